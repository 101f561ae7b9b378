"""Arrays in ``.npz`` files, read without trust: sizes are checked before memory is taken; no pickles."""

from __future__ import annotations

import lzma
import math
import os
import re
import shutil
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import NO_MEMORY, ImcsimError, cannot_read
from imcsim.base.files import ordinary, written_whole
from imcsim.base.memory import budget_bytes
from imcsim.base.zips import check_directory

MAX_BYTES = 1 << 30
"""Most that arrays of a file take in memory, however small the file is."""
MAPPED_BYTES = 1 << 26
"""Arrays that are larger than this, and than an eighth of the memory for values, stay on disk."""
MAX_SPOOLED_EXPANSION = 100
"""As `MAX_EXPANSION`, for an array that is unpacked to disk."""
MAX_MEMBERS = 4096
MAX_EXPANSION = 1000
"""Largest ratio of unpacked to packed size; honest deflate streams stay below it but for a file of zeros."""

_MOST_WINDOW = 1 << 26
_PIECE = 1 << 20
_SLACK = 1 << 20  # small files may expand more: a bias of zeros packs very well
_MAX_HEADER = 10_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}\.npy")
_REWRITE = "write it again with numpy.savez_compressed"
_END = struct.Struct("<4s4H2LH")
"""End of the central directory: signature, disks, entries on this disk, entries, size, offset, comment."""

_ZIP64 = 0xFFFF
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    ValueError,
    OverflowError,
    lzma.LZMAError,
)
"""What zipfile raises for damaged or unusual archives."""


def read_npz(
    path: str | Path,
    *,
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
    wanted: Callable[[str], bool] = lambda name: True,
) -> dict[str, NDArray[Any]]:
    """Read all arrays of the file `path`: name without ``.npy`` to C-ordered array in native byte order.

    With `wanted`, only those whose names it accepts; the sizes of all are checked. Booleans, integers, floats
    and text are accepted. Raises ImcsimError, naming file and member, for a file that is missing, truncated,
    damaged, encrypted or no ``.npz``; for more than `max_members` members, more than `max_bytes` unpacked or
    1000 times the packed size; for objects, structures and headers that disagree with the data.
    """
    path = Path(path)
    try:
        if not path.is_file():
            problem = "this is not a file" if path.exists() else "there is no such file"
            raise ImcsimError(problem, file=path, fix="name an .npz file")
        check_directory(path, max_members)
        with ordinary(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_count(path, archive)
            _check_members(path, members, max_bytes, max_members)
            named = {m.filename.removesuffix(".npy"): m for m in members}
            return {name: _sound_member(path, archive, m) for name, m in named.items() if wanted(name)}
    except _BROKEN as error:
        text = str(error).split("\n")[0]
        raise ImcsimError(f"not a sound .npz file: {text}", file=path, fix=_REWRITE) from None
    except MemoryError:
        raise ImcsimError("there is not enough memory to read it", file=path, fix=NO_MEMORY) from None
    except OSError as error:
        raise cannot_read(path, error) from None


def names_in_npz(path: str | Path) -> list[str]:
    """Names of the arrays of an ``.npz`` file, none of them read. Raises ImcsimError as `read_npz` does."""
    found: list[str] = []

    def note(name: str) -> bool:
        found.append(name)
        return False

    read_npz(path, wanted=note)
    return found


def read_npy(path: str | Path, *, max_bytes: int = MAX_BYTES) -> NDArray[Any]:
    """Read the one array of an ``.npy`` file, under the rules of `read_npz`; never objects.

    Raises ImcsimError, naming the file, for a file that is missing, cut off, too large or no such array.
    """
    path = Path(path)
    try:
        if not path.is_file():
            problem = "this is not a file" if path.exists() else "there is no such file"
            raise ImcsimError(problem, file=path, fix="name an .npy file")
        with ordinary(path) as stream:
            shape, fortran, dtype = _read_header(path, path.stem, stream)
            size = math.prod(shape) * dtype.itemsize
            rest = os.fstat(stream.fileno()).st_size - stream.tell()
            if size > max_bytes:
                raise ImcsimError(
                    f"it holds {size} bytes; at most {max_bytes} are read",
                    file=path,
                    fix="is it the right file?",
                )
            if size != rest:
                raise ImcsimError(
                    f"the header says shape {_shape(shape)} of {dtype}, which does not fit its data",
                    file=path,
                    fix="write it again with numpy.save",
                )
            if _mapped(size, fortran, dtype):
                return np.memmap(path, dtype, "r", stream.tell(), shape)
            array = _array(stream, shape, fortran, dtype)
            if array is None:
                raise ImcsimError("the data end too early", file=path, fix="fetch or write the file again")
            return array
    except MemoryError:
        raise ImcsimError("there is not enough memory to read it", file=path, fix=NO_MEMORY) from None
    except OSError as error:
        raise cannot_read(path, error) from None


def write_npz(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `arrays` compressed to `path`, whole or not at all; equal arrays give equal bytes.

    Raises ImcsimError where the file cannot be written.
    """
    path = Path(path)
    try:
        with written_whole(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **dict(arrays))
    except OSError as error:
        raise ImcsimError(
            f"cannot write the file: {error.strerror}", file=path, fix="choose a folder with room to write in"
        ) from None


def _check_count(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse a directory that lists fewer members than its end says; zipfile does not look at that."""
    with path.open("rb") as file:
        file.seek(-(_END.size + len(archive.comment)), os.SEEK_END)
        signature, _, _, _, count, _, _, _ = _END.unpack(file.read(_END.size))
    if signature != b"PK\x05\x06" or (count != _ZIP64 and count != len(archive.infolist())):
        raise zipfile.BadZipFile("its directory is damaged")


def _check_members(path: Path, members: list[zipfile.ZipInfo], max_bytes: int, max_members: int) -> None:
    """Refuse an archive by what its directory says, before anything is unpacked."""
    if len(members) > max_members:
        raise ImcsimError(
            f"it holds {len(members)} arrays; at most {max_members} are read",
            file=path,
            fix="is it the right file?",
        )
    seen = set()
    for member in members:
        if not _NAME.fullmatch(member.filename):
            raise ImcsimError(
                f"{_short(member.filename)} is no name of an array",
                file=path,
                fix=_REWRITE + " and plain names",
            )
        if member.filename in seen:
            raise ImcsimError(f"it holds {_short(member.filename)} twice", file=path, fix=_REWRITE)
        seen.add(member.filename)
    total = sum(m.file_size for m in members)
    packed = path.stat().st_size
    if total > max_bytes or packed > max_bytes:
        raise ImcsimError(
            f"it unpacks to {total} bytes; at most {max_bytes} are read",
            file=path,
            fix="is it the right file?",
        )
    # Packed size as found on disk: members that overlap in the file cannot hide behind their own entries.
    if total > MAX_EXPANSION * packed + _SLACK:
        raise ImcsimError(
            f"{packed} bytes claim to unpack to {total}; that is no honest file", file=path, fix=_REWRITE
        )


def _sound_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """The array of a member. Raises ImcsimError, naming it, where it is damaged."""
    name = member.filename.removesuffix(".npy")
    if member.compress_type == zipfile.ZIP_LZMA and _lzma_window(path, member) > _MOST_WINDOW:
        raise ImcsimError("it needs too much memory to unpack", file=path, key=name, fix=_REWRITE)
    try:
        return _read_member(path, archive, member)
    except _BROKEN as error:
        text = str(error).split("\n")[0][:200]
        raise ImcsimError(f"the data are damaged: {text}", file=path, key=name, fix=_REWRITE) from None
    except OSError as error:
        if error.errno is not None:
            raise
        text = str(error).split("\n")[0][:200]  # what bz2 says of damaged data
        raise ImcsimError(f"the data are damaged: {text}", file=path, key=name, fix=_REWRITE) from None


def _lzma_window(path: Path, member: zipfile.ZipInfo) -> int:
    """Bytes that the decoder of a member takes before it begins (PKWARE APPNOTE 5.8.8: the dictionary's size
    stands behind a version, a length and a byte of properties).
    """
    with path.open("rb") as file:
        file.seek(member.header_offset + 26)
        name, extra = struct.unpack("<2H", file.read(4))
        file.seek(name + extra + 5, os.SEEK_CUR)
        return int.from_bytes(file.read(4), "little")


def _read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as stream:
        shape, fortran, dtype = _read_header(path, name, stream)
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - stream.tell():
            raise ImcsimError(
                f"the header says shape {_shape(shape)} of {dtype}, which does not fit its data",
                file=path,
                key=name,
                fix=_REWRITE,
            )
        if _mapped(size, fortran, dtype):
            if size > MAX_BYTES and size > MAX_SPOOLED_EXPANSION * member.compress_size:
                raise ImcsimError(
                    f"{member.compress_size} bytes claim to unpack to {size}", file=path, key=name,
                    fix="store it with numpy.save",
                )  # fmt: skip
            return _on_disk(path, name, stream, shape, dtype)
        array = _array(stream, shape, fortran, dtype)
        if array is None:
            raise ImcsimError(
                "the data end too early", file=path, key=name, fix="fetch or write the file again"
            )
    return array


def _array(
    stream: IO[bytes], shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]
) -> NDArray[Any] | None:
    """The data up to the end of `stream`, which take no memory twice; None where they end too early."""
    array = np.empty(shape, dtype, order="F" if fortran else "C")
    flat = array.reshape(-1, order="A").view(np.uint8)
    at = 0
    while at < len(flat):
        piece = stream.read(min(_PIECE, len(flat) - at))
        if not piece:
            return None
        flat[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
    stream.read(1)  # at the end, the checksum of the archive is compared
    return np.asarray(array, dtype.newbyteorder("="), order="C")


def _mapped(size: int, fortran: bool, dtype: np.dtype[Any]) -> bool:
    """Whether an array of so many bytes stays on disk; what would have to be turned does not."""
    plain = not fortran and dtype.isnative and dtype.kind in "biuf"
    return plain and size > MAPPED_BYTES and size > min(budget_bytes() // 8, MAX_BYTES)


def roomy(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Room for bytes of this shape, to be written to: in memory, or on disk where memory would be full."""
    size = math.prod(shape)
    if not _mapped(size, False, np.dtype(np.uint8)):
        return np.empty(shape, np.uint8)
    return np.memmap(tempfile.TemporaryFile(), np.uint8, "w+", 0, shape)


def _on_disk(
    path: Path, name: str, stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """An array unpacked into a file that goes with it. Raises ImcsimError where there is no room for one."""
    size, done = math.prod(shape) * dtype.itemsize, 0
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the array keeps it open)
    if shutil.disk_usage(tempfile.gettempdir()).free < size:
        raise ImcsimError(
            f"unpacked it takes {size} bytes, more than {tempfile.gettempdir()} has room for",
            file=path,
            key=name,
            fix="store it with numpy.save, or let TMPDIR name a larger disk",
        )
    while piece := stream.read(1 << 22):  # to the end, so the checksum of the archive is compared
        file.write(piece)
        done += len(piece)
    if done != size:
        raise ImcsimError("the data end too early", file=path, key=name, fix="fetch or write the file again")
    file.flush()
    return np.memmap(file, dtype, "r", 0, shape)


def _read_header(path: Path, name: str, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and type of a member, from at most 10 KB of it."""
    head = stream.read(8)
    width = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}.get(head)
    if width is None:
        raise ImcsimError("the member is no numpy array", file=path, key=name, fix=_REWRITE)
    length = stream.read(width)
    size = int.from_bytes(length, "little")
    if len(length) != width or size > _MAX_HEADER:
        raise ImcsimError("the header of the array is broken", file=path, key=name, fix=_REWRITE)
    parse = np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # headers of Python 2 are not needed
            shape, fortran, dtype = parse(BytesIO(length + stream.read(size)))
    except Exception:  # the parser evaluates a literal; what that raises on hostile text has no common class
        raise ImcsimError("the header of the array is broken", file=path, key=name, fix=_REWRITE) from None
    if dtype.kind not in "biufU" or dtype.subdtype is not None or dtype.itemsize == 0:
        raise ImcsimError(
            f"arrays of {_short(str(dtype))} are not read",
            file=path,
            key=name,
            fix="store numbers, not objects"
            if dtype.names is None
            else "store each of its fields as an array of its own",
        )
    if len(shape) > 8 or any(type(n) is not int or n < 0 for n in shape):
        raise ImcsimError(
            f"the shape {_shape(shape)} is not possible here", file=path, key=name, fix="use at most 8 axes"
        )
    return shape, fortran, dtype


def _shape(shape: tuple[int, ...]) -> str:
    return _short("[" + ", ".join(map(str, shape)) + "]").strip("'")


def _short(text: str) -> str:
    return ascii(text if len(text) <= 60 else text[:57] + "...")
