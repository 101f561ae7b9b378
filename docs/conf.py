"""How Sphinx builds this site: `sphinx-build -W --keep-going docs build/docs`."""

import imcsim

project = "imcsim"
author = "the imcsim authors"
release = version = imcsim.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Headings can be linked to, as on the code hosts that show these pages too.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]

# The notebook is shown with the output it was stored with; tests/pages/test_docs_site.py runs and
# compares it.
nb_execution_mode = "off"

autodoc_member_order = "bysource"
# Signatures stay short: types stand with the arguments that they belong to.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
# A word between single backticks is a name in this code base.
default_role = "code"

html_theme = "furo"
html_title = f"imcsim {release}"
html_show_copyright = False
