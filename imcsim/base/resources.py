"""Where the hardware configs, networks and inputs that come with the package lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def data_dirs(kind: Literal["hw_configs", "models"]) -> tuple[Path, ...]:
    """The folders that hold the built-in data of `kind`; none where the package came without any.

    An installed package holds them inside itself (``imcsim/data/<kind>``); in a checkout that is installed in
    editable mode they lie beside the package, and are looked for there only when the package holds none.
    """
    from importlib.resources import files

    package = Path(str(files("imcsim")))
    candidates = (package / "data" / kind, package.parent / kind)
    return tuple(folder for folder in candidates if folder.is_dir())[:1]
