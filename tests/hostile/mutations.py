"""Ways to damage data that keep enough of its structure to get past the first check of a reader.

Everything is drawn from the `random.Random` that is given: equal draws, equal damage.
"""

from __future__ import annotations

import io
import json
import marshal
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import numpy as np

EXTREMES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 2**31, 2**53, 2**63, -(2**63), 10**30, 10**4000, 0.5, -0.0, 1e-320,
    1e308, -1e308, float("inf"), float("nan"), "", "a", "nan", "0x10", "1e5", "x" * 70_000, "\0", "\ufffd",
    "../../etc/passwd", "/dev/zero", "=1+1", "\x1b[31m", [], {}, [[]], [None], {"": None}, [1, [2, [3]]],
    "static", "dynamic", "input", "a.b.c", "2026-01-01",
)  # fmt: skip


def damaged_bytes(draw: Random, raw: bytes, others: bytes = b"") -> bytes:
    """Some bytes changed, cut out, doubled, or taken from `others`."""
    data = bytearray(raw)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        if not data:
            return bytes(data)
        at, length = draw.randrange(len(data)), draw.choice((1, 1, 2, 4, 8, 64))
        match draw.randrange(7):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at : at + length] = draw.randbytes(min(length, len(data) - at))
            case 2:
                data[at : at + length] = bytes([draw.choice((0, 255, 127, 128))]) * length
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                del data[at:]
            case _:
                data[at : at + length] = (others or raw)[at : at + length]
    return bytes(data)


def damaged_tree(draw: Random, data: Any) -> Any:
    """A copy of nested data in which some places hold something else, are gone, doubled or renamed."""
    whole = _copy(data)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        with suppress(RecursionError, ValueError):  # it is nested as deep as can be
            whole = _damaged_place(draw, whole)
    return whole


def _copy(data: Any) -> Any:
    """A copy of plain data; `copy.deepcopy` takes ten times as long."""
    return marshal.loads(marshal.dumps(data)) if isinstance(data, dict | list) else data


def _place(draw: Random, data: Any) -> tuple[Any, Any]:
    """A holder and a key in it, found from the top down: each field has its turn, however long others are."""
    while True:
        key = draw.choice(list(data)) if type(data) is dict else draw.randrange(len(data))
        inner = data[key]
        if type(inner) not in (dict, list) or not inner or draw.random() < 0.15:
            return data, key
        data = inner


def _damaged_place(draw: Random, data: Any) -> Any:
    if not isinstance(data, dict | list) or not data:
        return _extreme(draw)
    holder, key = _place(draw, data)
    match draw.randrange(8):
        case 0:
            del holder[key]
        case 1:
            holder[key] = [holder[key]]
        case 2:
            holder[key] = {"x": holder[key]}
        case 3 if isinstance(holder, dict):
            holder[draw.choice(("x", "", "y" * 70_000, str(key) + "s", "name"))] = holder.pop(key)
        case 3:
            holder.append(holder[key])
        case 4:
            other, place = _place(draw, data)
            holder[key] = _copy(other[place])
        case 5 if isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            factor = draw.choice((-1, 0, 0.5, 2, 1000, 1e9))
            with suppress(OverflowError):  # a whole number with hundreds of digits
                holder[key] = factor * holder[key]
        case 6 if isinstance(holder[key], list | str):
            holder[key] = holder[key] * draw.choice((0, 2, 50))
        case _:
            holder[key] = _extreme(draw)
    return data


def _extreme(draw: Random) -> Any:
    if draw.random() < 0.02:
        nested: Any = 0
        for _ in range(draw.choice((10, 200, 900))):
            nested = draw.choice(([nested], {"a": nested}))
        return nested
    return _copy(draw.choice(EXTREMES))  # a later round may damage it


def as_json(draw: Random, data: Any) -> bytes:
    """Nested data as JSON, now and then damaged as text."""
    try:
        raw = json.dumps(data).encode()
    except (ValueError, RecursionError):
        raw = b'{"a": 1' + b"0" * 5000 + b"}"
    return damaged_bytes(draw, raw) if draw.random() < 0.1 else raw


_YAML = (
    b"&a [*a]", b"*nowhere", b"!!python/object/apply:os.system ['touch executed']", b"<<: {a: 1}", b"- - - 1",
    b"\t", b"? [a]: b", b"!!binary aGVsbG8=", b"---\n", b"{a: 1, a: 2}", b"'", b"|\n  x", b"%YAML 9.9\n",
    b"@", b"0o777", b"1_000", b"12:30:45", b".inf", b"~", b"!!set {a}", b"!!float x", b"2001-01-01",
)  # fmt: skip


def as_yaml(draw: Random, data: Any) -> bytes:
    """Nested data as YAML (JSON is some), now and then with what only YAML has."""
    raw = as_json(draw, data)
    if draw.random() < 0.3:
        at = draw.choice([k for k, c in enumerate(raw) if c in b",:{["] or [0])
        raw = raw[: at + 1] + b" " + draw.choice(_YAML) + b" " + raw[at + 1 :]
    return raw


# --- arrays

_TYPES = (
    "?", "i1", "u1", "i2", "u4", "i8", "u8", "f2", "f4", "f8", ">f4", ">i8", "c8", "U1", "U7", "S3", "M8[s]",
    "V4", "O", "f4,i4", "g",
)  # fmt: skip
_COMPRESSIONS = (
    *(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) * 3,
    *(zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA),  # these take far longer to write
)


def damaged_array(draw: Random, array: np.ndarray) -> np.ndarray:
    """Of another type, another shape, or with other values."""
    try:
        return _damaged_array(draw, array)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return array  # it has been damaged before, and cannot be like that too


def _damaged_array(draw: Random, array: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        match draw.randrange(6):
            case 0:
                return array.astype(draw.choice(_TYPES))
            case 1:
                return draw.choice(
                    (
                        array[None],
                        array.ravel(),
                        array[..., None],
                        array[:0],
                        array.T,
                        np.zeros((), array.dtype),
                    )
                    if array.ndim
                    else (array[None], np.repeat(array, 3))
                )
            case 2 if array.ndim:
                return np.resize(array, tuple(max(0, n + draw.choice((-1, 0, 1, 5))) for n in array.shape))
            case 3 if array.size and array.dtype.kind in "biuf":
                return _other_values(draw, array)
            case 4 if array.dtype.kind == "U" and array.ndim == 0:
                text = str(array)
                try:
                    return np.array(
                        as_json(draw, damaged_tree(draw, json.loads(text))).decode("utf-8", "replace")
                    )
                except ValueError:
                    return np.array(draw.choice(("", "x" * 70_000, "test", "[")))
            case _:
                return np.array(draw.choice((0, 1, -1, 2**62, 0.5, "x", "")))


def _other_values(draw: Random, array: np.ndarray) -> np.ndarray:
    if not array.size or array.dtype.kind not in "biuf":
        return array
    changed = array.copy().ravel()
    with np.errstate(all="ignore"):
        for _ in range(draw.choice((1, 3))):
            value = draw.choice((0, 1, -1, 127, 255, 2**31 - 1, 2**62, 1e300, np.nan, np.inf))
            if array.dtype.kind == "f" or np.isfinite(value):
                changed[draw.randrange(changed.size)] = np.array(value).astype(array.dtype)
    return changed.reshape(array.shape)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


def damaged_npy(draw: Random, array: np.ndarray) -> bytes:
    raw = npy(damaged_array(draw, array) if draw.random() < 0.7 else array)
    if draw.random() < 0.3:
        raw = _other_header(draw, raw)
    return damaged_bytes(draw, raw) if draw.random() < 0.3 else raw


def _other_header(draw: Random, raw: bytes) -> bytes:
    """A header that claims something else than the data."""
    shape = draw.choice(
        ("()", "(1,)", "(1000000000000,)", "(-1,)", "(1, 2, 3, 4, 5, 6, 7, 8, 9)", "(2.5,)", "x")
    )
    kind = draw.choice(
        ("'<f8'", "'|O'", "'<U99999999'", "[('a', '<i4')]", "'|S0'", "__import__('os')", "9" * 5000)
    )
    text = f"{{'descr': {kind}, 'fortran_order': {draw.choice(('True', 'False', '3'))}, 'shape': {shape}, }}"
    header = text.encode() + b"\n"
    size = int.from_bytes(raw[8:10], "little")
    return raw[:8] + struct.pack("<H", len(header) & 0xFFFF) + header + raw[10 + size :]


def damaged_npz(draw: Random, arrays: dict[str, np.ndarray]) -> bytes:
    """An archive of arrays: other members, other compressions, and then damaged bytes. Now and then a sound
    archive with a few other values, which gets past all checks but the last.
    """
    members = dict(arrays)
    if members and draw.random() < 0.25:
        name = draw.choice(list(members))
        members[name] = _other_values(draw, members[name])
        file = io.BytesIO()
        np.savez(file, **members)
        return file.getvalue()
    for _ in range(draw.choice((1, 1, 2, 4))):
        name = draw.choice(list(members)) if members else "x"
        match draw.randrange(6):
            case 0 if members:
                del members[name]
            case 1:
                new = draw.choice(("x", "n" * 70_000, "../x", "", name + ".npy", "labels", "images", "é"))
                members[new] = members.get(name, np.zeros(3))
            case 2 if len(members) > 1:
                members[name] = members[draw.choice(list(members))]
            case _ if members:
                members[name] = damaged_array(draw, members[name])
    file = io.BytesIO()
    compression = draw.choice(_COMPRESSIONS)
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, array in members.items():
            raw = damaged_npy(draw, array) if draw.random() < 0.1 else npy(array)
            archive.writestr(f"{name}.npy"[:65_000], raw)
    raw = file.getvalue()
    return damaged_bytes(draw, raw) if draw.random() < 0.4 else raw


# --- images


def damaged_png(draw: Random, raw: bytes) -> bytes:
    """Chunks of a PNG changed, with checksums that fit."""
    if draw.random() < 0.3:
        return damaged_bytes(draw, raw)
    chunks, at = [], 8
    while at + 12 <= len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        chunks.append([raw[at + 4 : at + 8], raw[at + 8 : at + 8 + size]])
        at += 12 + size
    for _ in range(draw.choice((1, 2))):
        chunk = draw.choice(chunks)
        if chunk[0] == b"IHDR" and draw.random() < 0.7:
            sizes = [draw.choice((0, 1, 3, 70_000, 2**31 - 1)) for _ in range(2)]
            chunk[1] = struct.pack(">2I", *sizes) + draw.choice(
                (chunk[1][8:], bytes(draw.choices(range(20), k=5)))
            )
        elif draw.random() < 0.3:
            chunks.insert(
                draw.randrange(len(chunks)), [draw.choice((b"PLTE", b"tRNS", b"zTXt", b"acTL")), chunk[1]]
            )
        else:
            chunk[1] = damaged_bytes(draw, chunk[1]) if chunk[1] else b"x"
    made = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return raw[:8] + made


def damaged_zip(draw: Random, raw: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """A zip archive of which one member is changed and stored anew, checksums included."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as source, zipfile.ZipFile(file, "w") as target:
        names = source.namelist()
        chosen = draw.choice(names)
        for name in names:
            content = source.read(name)
            if name == chosen:
                if draw.random() < 0.1:
                    continue
                content = change(name, content)
            compression = zipfile.ZIP_STORED if draw.random() < 0.9 else draw.choice(_COMPRESSIONS)
            target.writestr(name, content, compression)
    made = file.getvalue()
    return damaged_bytes(draw, made) if draw.random() < 0.1 else made
