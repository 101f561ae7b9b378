"""Reads trained networks from the files of other frameworks.

`import_model` does the whole way, as ``imcsim import`` does. Nothing is loaded before it is used: the
processes that read files of strangers start from this package too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imcsim.importers.importing.image import Image
    from imcsim.importers.importing.importing import Imported, import_model
    from imcsim.importers.importing.layers import ReadOptions

__all__ = ["Image", "Imported", "ReadOptions", "import_model"]

_MODULES = {
    "Image": "importing.image",
    "Imported": "importing.importing",
    "ReadOptions": "importing.layers",
    "import_model": "importing.importing",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
