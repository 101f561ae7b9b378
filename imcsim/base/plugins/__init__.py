"""Parts of the simulator that can be added from outside: found by kind and name, loaded, hashed, and blamed.

A kind of part (`Kind`) has parts of its own, which come with imcsim, and takes further ones from two places:

- files that a user names (``--plugin my_chip.py``): a file is run once, as a module, and gives its parts as
  mappings from name to part, such as ``exit_rules = {"patience": Patience()}``;
- installed packages, by entry points of the group ``imcsim.<kind>``, which are imported when they are asked
  for by name.

Nothing here knows what the parts do: each kind stands where its parts are used. What a part does wrong is
told as an `ImcsimError` with the part's own file and line.
"""

from __future__ import annotations

from imcsim.base.plugins.files import PluginFile, adopt, load_file, load_files
from imcsim.base.plugins.files import files as loaded_files
from imcsim.base.plugins.kind import Kind, forget
from imcsim.base.plugins.origin import KINDS, Origin, blamed

__all__ = [
    "KINDS", "Kind", "Origin", "PluginFile", "adopt", "blamed", "forget", "load_file", "load_files",
    "loaded_files",
]  # fmt: skip
