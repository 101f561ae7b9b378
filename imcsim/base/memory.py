"""How much memory values in flight may take, for the whole process: ``--memory``, or half of what is free.

A setting of the process, as the number of its threads is one of the interpreter: it changes no result, only
how much is played, kept or read at a time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imcsim.base.errors import ImcsimError

LEAST_BYTES = 1 << 26
"""Less than this is never asked for: a timestep of one image may need it."""

_UNKNOWN_BYTES = 1 << 31
"""Taken where a system does not say how much memory it has."""

VARIABLE = "IMCSIM_MEMORY"
"""The variable of the environment that says as much as ``--memory``, for processes of a sweep too."""

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

_CGROUP = Path("/sys/fs/cgroup")
_limit: int | None = None


def budget_bytes() -> int:
    """Bytes that values in flight may take: what `limited` or the environment says, else half of what is
    free.

    Raises ImcsimError where the environment says no size.
    """
    if _limit is not None:
        return _limit
    if stated := os.environ.get(VARIABLE):
        return max(size_bytes(stated, VARIABLE), LEAST_BYTES)
    return max(_free_bytes() // 2, LEAST_BYTES)


def size_bytes(text: str, key: str) -> int:
    """Bytes of a size as people write it. Raises ImcsimError, naming `key`, for anything else.

    >>> size_bytes("512M", "memory"), size_bytes("1.5 GiB", "memory")
    (536870912, 1610612736)
    """
    found = _SIZE.fullmatch(text.strip())
    size = 0 if found is None else int(float(found[1]) * _UNITS.get((found[2] or "").lower(), 1))
    if not 1 <= size <= 1 << 60:
        raise ImcsimError(f"{text[:40]!a} is no size", key=key, fix="write bytes, or as 512M or 1.5G")
    return size


@contextmanager
def limited(most_bytes: int | None) -> Iterator[None]:
    """Let values in flight take `most_bytes` inside the block; None leaves the limit as it is.

    >>> with limited(1 << 30):
    ...     budget_bytes() == 1 << 30
    True
    """
    global _limit
    before = _limit
    if most_bytes is not None:
        _limit = max(most_bytes, LEAST_BYTES)
    try:
        yield
    finally:
        _limit = before


def _free_bytes() -> int:
    """Memory that this process can still get, also inside a container."""
    free = [found for found in (_free_of_system(), _free_of_group()) if found is not None]
    return min(free, default=_UNKNOWN_BYTES)


def _free_of_system() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        # Without a count of free pages: all of them.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _free_of_group() -> int | None:
    """What is left of the limit of a control group (version 2)."""
    try:
        most = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        return None if most == "max" else max(int(most) - used, 0)
    except (OSError, ValueError):
        return None
