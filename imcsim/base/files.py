"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

PARTIAL = ".partial"
"""How the names of files end that are not whole yet. A process that is killed may leave some behind."""


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Let a file be written beside `path`, and put it in the place of `path` when the block ends.

    Yields the temporary name, which nothing has yet, in the folder of `path` (of its target, where `path` is
    a link). When the block ends without an error, the file takes its place in one step, so a reader finds
    what was there before or the whole new file. After an error, a full disk or Ctrl-C, `path` is as it was
    and the temporary file is gone. Raises OSError where the folder cannot be written.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "table.csv"
    >>> with written_whole(file) as temporary:
    ...     _ = temporary.write_text("point,energy_pj")
    >>> [found.name for found in file.parent.iterdir()]
    ['table.csv']
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(temporary_name())
    try:
        yield temporary
        temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folders(*folders: Path) -> Iterator[None]:
    """Make folders, with those above them. After an error, those that were made here and are empty go again;
    one that somebody else has put in their place stays.

    Raises OSError where one cannot be made.
    """
    made: list[tuple[Path, tuple[int, int]]] = []
    try:
        for folder in folders:
            missing = [place for place in (folder, *folder.absolute().parents) if not place.exists()]
            for place in reversed(missing):
                place.mkdir(exist_ok=True)
                made.append((place, file_number(place)))
            folder.mkdir(exist_ok=True)
        yield
    except BaseException:
        for place, number in reversed(made):
            with suppress(OSError):
                if file_number(place) == number:
                    place.rmdir()
        raise


def file_number(path: Path) -> tuple[int, int]:
    """What tells a file or folder from another one of its name: device and number. Raises OSError."""
    found = path.stat()
    return found.st_dev, found.st_ino


@contextmanager
def ordinary(path: Path) -> Iterator[BinaryIO]:
    """Open an ordinary file to read it. A pipe, a device or a folder is never waited for.

    Raises OSError, also for what is no ordinary file.
    """
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "this is not an ordinary file", str(path))
        yield file


def read_ordinary(path: Path, most: int) -> bytes:
    """The content of an ordinary file of at most `most` bytes.

    Raises OSError as `ordinary` does, and ValueError for a larger file.
    """
    with ordinary(path) as file:
        content = file.read(most + 1)
    if content is None:  # a file of the kernel that something has to come into first
        raise OSError(errno.EAGAIN, "there is nothing in it yet", str(path))
    if len(content) > most:
        raise ValueError(f"the file is larger than {most} bytes")
    return content


def write_through(path: Path, data: bytes) -> None:
    """Write a new file, and return when its `data` are on the disk: it is whole after a power cut too.

    Raises OSError where the file exists or cannot be written.
    """
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def temporary_name() -> str:
    """A name that no other file has, as short as any file system allows."""
    return f".imcsim-{token_hex(8)}{PARTIAL}"
