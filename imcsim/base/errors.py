"""The one exception that reaches a user: what is wrong, where, and how to mend it."""

from __future__ import annotations

import errno
from pathlib import Path


class ImcsimError(Exception):
    """A problem with what the user gave us.

    `message` says what is wrong, `file` and `line` where, `key` names the setting or array,
    `fix` says what to do. The command line prints it without a traceback and exits with 2.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        key: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.key = key
        self.fix = fix

    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}:"
        if self.line is not None:
            place += f"{self.line}:"
        parts = [p for p in (place, f"{self.key}:" if self.key else "", self.message) if p]
        text = " ".join(parts)
        return f"{text} ({self.fix})" if self.fix else text


_MENDS = {
    errno.EACCES: "choose another place, or have its permissions changed",
    errno.EPERM: "choose another place, or have its permissions changed",
    errno.EROFS: "choose a disk that can be written to",
    errno.ENOSPC: "make room on the disk, or choose another one",
    errno.EDQUOT: "make room on the disk, or choose another one",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "close files or start fewer processes",
    errno.ENFILE: "close files or start fewer processes",
    errno.EIO: "is the disk sound? Choose another one",
}
"""What to do about what the operating system refuses."""

NO_MEMORY = "free memory, or use a smaller file"
"""What to do where there is not enough memory to read something."""


def mend(error: OSError, otherwise: str) -> str:
    """What to do about an error of the operating system, such as a full disk; else `otherwise`."""
    return _MENDS.get(error.errno or 0, otherwise)


def cannot_read(path: str | Path, error: OSError, what: str = "the file") -> ImcsimError:
    """The error about a file, or `what` else, that the operating system does not let us read."""
    reason = error.strerror or str(error)
    return ImcsimError(f"cannot read {what}: {reason}", file=path, fix=mend(error, "check the path"))


def cannot_write(path: str | Path, error: OSError) -> ImcsimError:
    """The error about a file or folder that the operating system does not let us write."""
    reason = error.strerror or str(error)
    fix = mend(error, "choose a folder that can be written to")
    return ImcsimError(f"cannot be written: {reason}", file=path, fix=fix)
