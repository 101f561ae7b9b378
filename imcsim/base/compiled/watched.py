"""Who is told which kernel is being compiled, so that a first run says what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Watcher = Callable[[str | None], None]

_watchers: list[Watcher] = []


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` the name of each kernel as its compilation begins, and None as it ends.

    Kernels that were kept are not compiled. A kernel's parts are told while it is compiled itself.
    """
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def tell(kernel: str | None) -> None:
    """A kernel is being compiled, or was."""
    for watcher in tuple(_watchers):
        watcher(kernel)
