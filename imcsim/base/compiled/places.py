"""Where machine code is kept: in a folder that nobody but its user can write.

Code that is loaded is run. So a folder is used only where it belongs to the user and others have no right to
write in it; new ones are private (0700).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from imcsim.base.notes import note_once

KERNELS = "imcsim-kernels"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@lru_cache
def place_for(source: str) -> Path | None:
    """The folder for the code of the file `source`, made if need be; None where no place is private.

    The first of: inside ``NUMBA_CACHE_DIR``, where that is set; in ``__pycache__`` beside the source; in the
    user's own cache (``XDG_CACHE_HOME``, else ``~/.cache``).
    """
    for folder in _candidates(Path(source).absolute()):
        if made_private(folder):
            return folder
    return None


def _candidates(source: Path) -> Iterator[Path]:
    """Folders for the code of a source, best first."""
    own = f"{source.parent.name}_{hashlib.sha256(str(source.parent).encode()).hexdigest()[:32]}"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        if not writable_by_others(Path(chosen)):
            yield Path(chosen) / own
        return
    yield source.parent / "__pycache__" / KERNELS
    users = users_cache()
    if users is not None:
        yield users / KERNELS / own


def users_cache() -> Path | None:
    """The user's own cache (``XDG_CACHE_HOME``, else ``~/.cache``); None for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None


def writable_by_others(folder: Path) -> bool:
    """Whether others can replace what is in `folder`, which the user has chosen; it is said if so."""
    try:
        mode = folder.stat().st_mode
    except OSError:  # there is none yet
        return False
    return _refused(folder, mode) if not mode & stat.S_ISVTX else False


def _refused(folder: Path, mode: int) -> bool:
    if os.name == "nt" or not mode & _OTHERS_WRITE:
        return False
    note_once(
        f"{folder}: others can write in this cache, so it is not used (chmod go-w makes it private)",
        kind="cache that others can write",
    )
    return True


def made_private(folder: Path) -> bool:
    """Make `folder` and see that it is the user's own, private and writable."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()  # of a link itself: it may lead to a folder of somebody else
        if not stat.S_ISDIR(found.st_mode):
            return False
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            return False
        return not _refused(folder, found.st_mode) and os.access(folder, os.W_OK | os.X_OK)
    except (OSError, ValueError):
        return False


def kept_below(package: Path) -> Iterator[Path]:
    """The folders in use that hold code of the sources in `package` and below; none is made."""
    for folder in sorted({source.parent for source in package.absolute().rglob("*.py")}):
        found = next((one for one in _candidates(folder / "any.py") if one.is_dir()), None)
        if found is not None:
            yield found
