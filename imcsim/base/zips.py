"""What a zip archive says of itself at its end, looked at before `zipfile` makes an object of every entry."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from imcsim.base.errors import ImcsimError
from imcsim.base.files import ordinary

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_SIZE_IN_64 = 40  # place of the directory's size in the end record of large archives
_MOST_COMMENT = 0xFFFF
_BYTES_PER_MEMBER = 512
_SLACK = 1 << 20


def check_directory(path: Path, members: int) -> None:
    """Refuse an archive whose directory takes more bytes than `members` entries do. Raises ImcsimError.

    Of a directory of 1 GiB, `zipfile` makes 10 GiB of objects. The formats of both ends of an archive are
    those of PKWARE's APPNOTE 6.3.10, sections 4.3.14 to 4.3.16.
    """
    with ordinary(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = max(0, size - _END.size - _MOST_COMMENT - _LOCATOR.size)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if not 0 <= at <= len(tail) - _END.size:
            return  # zipfile says what it lacks
        most = _END.unpack_from(tail, at)[5] % 0xFFFFFFFF  # all ones stand for: see the other record
        if at >= _LOCATOR.size and tail[at - _LOCATOR.size :].startswith(b"PK\x06\x07"):
            _, _, place, _ = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
            for begins in (place, start + at - _LOCATOR.size - 56):  # where it says, and where it must be
                if 0 <= begins <= size - 56:
                    file.seek(begins + _SIZE_IN_64)
                    most = max(most, int.from_bytes(file.read(8), "little"))
    if most > _SLACK + _BYTES_PER_MEMBER * members:
        raise ImcsimError(
            f"its directory takes {most} bytes; at most {members} members are read",
            file=path,
            fix="is it the right file?",
        )
