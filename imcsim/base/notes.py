"""Notes to the user on stderr: one line each, once in a process."""

from __future__ import annotations

import sys
from contextlib import suppress

_SAID: set[str] = set()


def note_once(text: str, *, kind: str | None = None) -> None:
    """Print ``note: text`` on stderr, unless this process has said it, or something of its `kind`, before."""
    if (kind or text) in _SAID or sys.stderr is None:
        return
    _SAID.add(kind or text)
    # A file name may hold anything; a terminal should not obey it.
    plain = "".join(c if c.isprintable() else "?" for c in text)
    with suppress(OSError, ValueError):
        print(f"note: {plain}", file=sys.stderr)
