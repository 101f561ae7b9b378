"""Ctrl-C and SIGTERM for the command line: each ends it by KeyboardInterrupt, wherever it comes.

Python raises KeyboardInterrupt at Ctrl-C by itself, but not at SIGTERM, and a callback or a destructor that
happens to run just then swallows it. Libraries may also turn it into an error of their own: `heard` tells
that a signal is what lies behind. Only the process of a command calls `listen`; a program that uses the
package keeps its own handlers.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import time
from typing import Any

STATUS = 130
"""The exit status of a command that was interrupted."""

_SAME_KEY_S = 2.0
"""Signals so close together are one request: a terminal and a supervisor may both send one."""

_RAISED_AGAIN_S = 0.02

_heard_at: list[float] = []
_finished: list[int] = []


def listen() -> None:
    """From now on SIGINT and SIGTERM raise KeyboardInterrupt in the main thread, once. A later one ends the
    process at once.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _interrupted)
            # While the interpreter ends, it puts back the default action, which would kill it, but leaves an
            # ignored signal ignored. What is registered first runs last, when nothing is waited for any more.
            atexit.register(signal.signal, number, signal.SIG_IGN)
    sys.unraisablehook = _unraisable


def heard() -> bool:
    """Whether a signal has come since `listen`."""
    return bool(_heard_at)


def raise_if_heard() -> None:
    """Raise KeyboardInterrupt where a signal has come: for who goes on after an error, which may be what a
    library has made of it.
    """
    if heard():
        raise KeyboardInterrupt


def finished(status: int) -> None:
    """All work is done and written: a signal that still comes ends the process with `status`, silently."""
    # No other handlers are set: to set one takes a while, in which a signal would still be raised.
    _finished.append(status)


def _interrupted(number: int, frame: Any) -> None:
    if _finished:
        os._exit(_finished[0])
    now = time.monotonic()
    if not _heard_at:
        _heard_at.append(now)
        raise KeyboardInterrupt
    if now > _heard_at[0] + _SAME_KEY_S:
        os.write(2, b"interrupted\n")
        os._exit(STATUS)


def _unraisable(about: Any) -> None:
    """Raise a swallowed KeyboardInterrupt once more, when what swallowed it has ended."""
    if not issubclass(about.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(about)
        return
    from threading import Thread, main_thread

    def again() -> None:
        ident = main_thread().ident
        while True:
            time.sleep(_RAISED_AGAIN_S)
            # On a busy machine this function may still be at work there, and whoever calls it swallows too.
            if not _at_work(ident):
                break
        _heard_at.clear()
        if hasattr(signal, "pthread_kill") and ident is not None:
            signal.pthread_kill(ident, signal.SIGINT)  # it may be waiting for something
        else:
            _thread.interrupt_main()

    Thread(target=again, daemon=True).start()


def _at_work(ident: int | None) -> bool:
    """Whether the thread is inside `_unraisable`."""
    frame = sys._current_frames().get(ident) if ident is not None else None
    while frame is not None:
        if frame.f_code is _unraisable.__code__:
            return True
        frame = frame.f_back
    return False
