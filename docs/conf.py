"""How Sphinx builds this site: `sphinx-build -W --keep-going docs build/docs`."""

import imcsim

project = "imcsim"
author = "the imcsim authors"
release = version = imcsim.__version__

extensions = ["myst_nb"]

# Headings can be linked to, as on the code hosts that show these pages too.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]

# The notebook is shown with the output it was stored with; tests/pages/test_docs_site.py runs and
# compares it.
nb_execution_mode = "off"

html_theme = "furo"
html_title = f"imcsim {release}"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
