"""Reads safetensors files: a header that says where each tensor lies, then the plain numbers.

The format (https://github.com/huggingface/safetensors) is eight bytes with the length of the header, the
header in JSON, and the data. The header is checked against the size of the file before anything is made of
it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import NO_MEMORY, ImcsimError, cannot_read
from imcsim.importers.apart import MAX_BYTES
from imcsim.importers.importing.files import file_size

MAX_HEADER = 16 << 20
MAX_TENSORS = 100_000

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # the upper half of a float32
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "?",
}
_FIX = "write it again with safetensors"


def tensors(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors by name; bfloat16 comes out as float32. Raises ImcsimError for a file that is not sound."""
    size = file_size(path, MAX_BYTES)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or MAX_HEADER >= length > size - 8:
                raise _broken(path, "it is cut off within its header")
            if length > MAX_HEADER:
                raise _broken(path, "its header does not fit into the file")
            header = _header(path, file.read(length))
            entries = _entries(path, header, size - 8 - length)
            return {name: _tensor(file, 8 + length, *entry) for name, entry in entries.items()}
    except MemoryError:
        raise ImcsimError("there is not enough memory to read it", file=path, fix=NO_MEMORY) from None
    except OSError as error:
        raise cannot_read(path, error) from None


def _header(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        text = " ".join(str(error).split())[:100]
        raise _broken(path, f"its header is not sound JSON: {text}") from None
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise _broken(path, "its header is no list of tensors")
    header.pop("__metadata__", None)
    return header


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _entries(
    path: Path, header: dict[str, Any], room: int
) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """Type, shape, begin and end of each tensor; together they must fill the data without a gap."""
    found = {}
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise _broken(path, "it has no dtype, shape and data_offsets", name)
        kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if kind not in _TYPES if isinstance(kind, str) else True:
            raise _broken(path, f"tensors of type {str(kind)[:20]!a} are not read", name)
        if not _counts(shape, 8) or not _counts(offsets, 2) or len(offsets) != 2:
            raise _broken(path, "its shape or place is not possible", name)
        begin, end = offsets
        if begin <= end and end > room:
            raise _broken(path, f"it is cut off, {room} of {end} or more bytes of data are there", name)
        if not begin <= end <= room or math.prod(shape) * np.dtype(_TYPES[kind]).itemsize != end - begin:
            raise _broken(path, f"the shape {str(shape)[:60]} does not fit its place in the file", name)
        found[name] = (kind, tuple(shape), begin, end)
    position = 0
    for _, _, begin, end in sorted(found.values(), key=lambda e: (e[2], e[3])):
        if begin != position:
            raise _broken(path, "its tensors overlap or leave gaps")
        position = end
    if position != room:
        raise _broken(path, "the data do not end with the last tensor")
    return found


def _counts(value: Any, most: int) -> bool:
    return isinstance(value, list) and len(value) <= most and all(type(n) is int and n >= 0 for n in value)


def _tensor(file: Any, start: int, kind: str, shape: tuple[int, ...], begin: int, end: int) -> NDArray[Any]:
    file.seek(start + begin)
    flat = np.frombuffer(file.read(end - begin), _TYPES[kind])
    if kind == "BF16":
        flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return flat.reshape(shape)


def _broken(path: Path, why: str, name: str | None = None) -> ImcsimError:
    key = None if name is None else "".join(c if c.isprintable() else "?" for c in name)[:120]
    return ImcsimError(f"not a sound safetensors file: {why}", file=path, key=key, fix=_FIX)
