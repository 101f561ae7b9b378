"""When it is not worth while to look for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_collected() -> Iterator[None]:
    """While thousands of objects are made that last: to look through them meanwhile takes a tenth of the
    time. Several threads may be in here; who finds it off leaves it to the others to switch it on.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
