"""Opening a file that somebody gave us: does it exist, how large is it, what does it begin with."""

from __future__ import annotations

from pathlib import Path

from imcsim.base.errors import ImcsimError, cannot_read


def file_size(path: Path, most: int) -> int:
    """Bytes of the ordinary file `path`. Raises ImcsimError where it is none, empty or larger than `most`."""
    try:
        if path.is_dir():
            raise ImcsimError("this is a folder", file=path, fix="name a file with trained weights")
        if not path.exists():
            raise ImcsimError("there is no such file", file=path, fix="check the path")
        if not path.is_file():
            raise ImcsimError("this is not an ordinary file", file=path, fix="name a file")
        size = path.stat().st_size
    except OSError as error:
        raise cannot_read(path, error) from None
    except ValueError:  # a NUL or a lone surrogate in the name
        raise ImcsimError(f"not a file name: {str(path)!a}", fix="name a file") from None
    if size == 0:
        raise ImcsimError("the file is empty", file=path, fix="write or fetch it again")
    if size > most:
        raise ImcsimError(
            f"the file has {size} bytes; at most {most} are read", file=path, fix="is it the right file?"
        )
    return size


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of the file. Raises ImcsimError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise cannot_read(path, error) from None
