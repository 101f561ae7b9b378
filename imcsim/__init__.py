"""imcsim: cycle-level simulation of in-memory-computing hardware for spiking neural networks.

``imcsim.compare``, ``run``, ``stream`` and ``sweep`` do what the commands of that name do, ``compare_chips``
what ``imcsim compare --chips`` does (see imcsim.api), and ``from_torch`` makes a network of a live PyTorch
module;
they are loaded when they are first asked for, so that the package imports nothing heavy by itself.
"""

from __future__ import annotations

from imcsim._version import __version__ as __version__

# What type checkers take for true. The module of that name takes longer to import than all else here, and
# until the command line listens, Ctrl-C is answered by a traceback.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from imcsim.api import Monitor as Monitor
    from imcsim.api import compare as compare
    from imcsim.api import compare_chips as compare_chips
    from imcsim.api import from_torch as from_torch
    from imcsim.api import load_result as load_result
    from imcsim.api import run as run
    from imcsim.api import stream as stream
    from imcsim.api import sweep as sweep

__all__ = ["Monitor", "compare", "compare_chips", "from_torch", "load_result", "run", "stream", "sweep"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("imcsim.api"), name)
    raise AttributeError(f"module 'imcsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
