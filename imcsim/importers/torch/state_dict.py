"""Reads state dicts of PyTorch without PyTorch: a zip file with a pickle, and the numbers of each tensor.

The pickle is read as symbols, not executed (see `imcsim.importers.torch.symbols`); it names a storage, a
type, a place, a shape and strides for each tensor. The numbers lie in members of their own, packed by
nothing. Sizes are checked against those of the file before memory is taken.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import NO_MEMORY, ImcsimError, cannot_read
from imcsim.base.zips import check_directory
from imcsim.importers.apart import MAX_BYTES
from imcsim.importers.importing.files import file_size
from imcsim.importers.torch.symbols import SAVE_AGAIN, Made, Name, Stored, symbols

MAX_MEMBERS = 50_000
MAX_TENSORS = 50_000
MAX_PICKLE = 16 << 20

PREFIXES = ("module.", "_orig_mod.", "model.")
"""What wrappers (DataParallel, torch.compile, Lightning) put in front of every name."""

WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "module", "weights", "params")
"""Where checkpoints keep the state dict."""

_PICKLE = "data.pkl"
_TYPES = {
    "Double": "f8", "Float": "f4", "Half": "f2", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1",
    "Byte": "u1", "Bool": "?", "uint16": "u2", "uint32": "u4", "uint64": "u8",
    "BFloat16": "u2",  # the upper half of a float32
}  # fmt: skip
"""Types of numbers by the name of their storage, or of themselves where they are younger than storages."""

_REBUILD = "torch._utils._rebuild_"
_BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    struct.error,
    ValueError,
    KeyError,
)


def tensors(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors by name, without the wrappers' prefixes; bfloat16 comes out as float32.

    A state dict in a checkpoint is found by itself. Raises ImcsimError for legacy pickles, TorchScript,
    classes other than tensors, tensors whose shapes repeat their data, and damaged files.
    """
    file_size(path, MAX_BYTES)
    try:
        return stripped(_tensors(path))
    except ImcsimError as error:
        raise ImcsimError(error.message, file=path, key=error.key, fix=error.fix) from None
    except _BROKEN as error:
        text = "".join(c if c.isprintable() else "?" for c in str(error))[:120]
        raise ImcsimError(f"not a sound PyTorch state dict: {text}", file=path, fix=SAVE_AGAIN) from None
    except MemoryError:
        raise ImcsimError("there is not enough memory to read it", file=path, fix=NO_MEMORY) from None
    except OSError as error:
        raise cannot_read(path, error) from None


def stripped(found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """`found` without a prefix that all names have."""
    for _ in range(3):
        for prefix in PREFIXES:
            if found and all(name.startswith(prefix) and len(name) > len(prefix) for name in found):
                found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _tensors(path: Path) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                raise ImcsimError("the zip file is cut off or damaged: its end is missing", fix=SAVE_AGAIN)
        raise ImcsimError("this is no zip file; old pickle files of PyTorch are not read", fix=SAVE_AGAIN)
    check_directory(path, MAX_MEMBERS)
    with zipfile.ZipFile(path) as archive:
        place = _checked(archive.infolist(), path.stat().st_size)
        state = _state(symbols(archive.read(place + _PICKLE)))
        order = place + "byteorder"
        big = order in archive.namelist() and archive.read(order).strip() == b"big"
        read = _Storages(lambda key: archive.read(f"{place}data/{key}"), ">" if big else "<")
        found: dict[str, NDArray[Any]] = {}
        total = 0
        for name, value in state.items():
            if not _is_tensor(value):
                continue
            try:
                found[name] = read.tensor(value)
            except ImcsimError as error:
                raise ImcsimError(error.message, key=name, fix=error.fix or SAVE_AGAIN) from None
            total += found[name].nbytes
            if total > MAX_BYTES or len(found) > MAX_TENSORS:
                raise ImcsimError(
                    f"its tensors need more than {MAX_BYTES} bytes", key=name, fix="is it the right file?"
                )
    if not found:
        raise ImcsimError("it holds no tensors by name", fix=SAVE_AGAIN)
    return found


def _checked(members: list[zipfile.ZipInfo], size: int) -> str:
    """The folder of the state dict inside an archive of `size` bytes. Raises ImcsimError for what is none."""
    names = {member.filename for member in members}
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise ImcsimError("this is a TorchScript program, not a state dict", fix=SAVE_AGAIN)
    pickles = [m for m in members if m.filename.rsplit("/", 1)[-1] == _PICKLE]
    if len(names) != len(members) or len(pickles) != 1:
        raise ImcsimError("this zip file is no state dict of PyTorch", fix=SAVE_AGAIN)
    if any(m.compress_type != zipfile.ZIP_STORED or m.file_size != m.compress_size for m in members):
        raise ImcsimError("its members are packed, which torch.save never does", fix=SAVE_AGAIN)
    if sum(m.file_size for m in members) > size or pickles[0].file_size > MAX_PICKLE:
        raise ImcsimError("its members are larger than the file may hold", fix=SAVE_AGAIN)
    return pickles[0].filename.removesuffix(_PICKLE)


def _state(loaded: Any) -> dict[str, Any]:
    """The state dict itself, in a checkpoint that holds more."""
    for _ in range(4):
        if not isinstance(loaded, dict):
            called = f"call of {loaded.path[:80]}" if isinstance(loaded, Made) else type(loaded).__name__
            kind = "tensor" if _is_tensor(loaded) else called
            raise ImcsimError(f"it holds a {kind}, not a state dict", fix=SAVE_AGAIN)
        if any(_is_tensor(value) for value in loaded.values()):
            return loaded
        inside = next((loaded[k] for k in WRAPPERS if isinstance(loaded.get(k), dict)), None)
        if inside is None:
            break
        loaded = inside
    raise ImcsimError("it holds no state dict", fix=f"{SAVE_AGAIN}, or under 'state_dict'")


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Made) and (
        value.path.startswith(_REBUILD)
        or value.path in ("torch._tensor._rebuild_from_type_v2", "torch.nn.parameter.Parameter")
    )


class _Storages:
    """Makes arrays of the tensors of one file; `member` reads the numbers of a storage, `order` is the order
    of their bytes.
    """

    def __init__(self, member: Callable[[str], bytes], order: str) -> None:
        self.member, self.order = member, order
        self.raw: dict[str, bytes] = {}

    def tensor(self, call: Made) -> NDArray[Any]:
        """The numbers of a tensor. Raises ImcsimError, and ValueError for what makes no sense."""
        for _ in range(4):  # a parameter is made of a tensor
            inside = call.arguments[0] if call.arguments else None
            if call.path == "torch._tensor._rebuild_from_type_v2" and len(call.arguments) == 4:
                made, _, arguments, _ = call.arguments
                if not isinstance(made, Name) or type(arguments) is not tuple:
                    break
                call = Made(made.path, arguments)
            elif isinstance(inside, Made):
                call = inside
            else:
                break
        what = call.path.removeprefix(_REBUILD)
        if what not in ("tensor", "tensor_v2", "tensor_v3") or len(call.arguments) < (
            7 if what[-1] == "3" else 4
        ):
            raise ImcsimError(
                "sparse, quantised, complex and empty tensors are not read",
                fix="save dense tensors of floats",
            )
        stored, offset, shape, strides, *rest = call.arguments
        kind = rest.pop(2) if what == "tensor_v3" else None
        if len(rest) > 2 and rest[2]:
            raise ImcsimError(
                "conjugated and negated views are not read", fix="save tensor.resolve_conj().resolve_neg()"
            )
        return self._array(stored, offset, shape, strides, kind)

    def _array(self, stored: Any, offset: Any, shape: Any, strides: Any, kind: Any) -> NDArray[Any]:
        if not isinstance(stored, Stored) or type(stored.about) is not tuple or len(stored.about) != 5:
            raise ValueError("a tensor has no storage")
        _, storage, key, _, _ = stored.about
        kind = storage if kind is None else kind
        if not isinstance(kind, Name) or not isinstance(key, str):
            raise ValueError("a storage has no name")
        if not all(type(n) is tuple and all(type(i) is int and i >= 0 for i in n) for n in (shape, strides)):
            raise ValueError("a tensor has no shape")
        if type(offset) is not int or offset < 0 or len(shape) != len(strides):
            raise ValueError("a tensor has no place")
        name = kind.path.split(".")[-1].removesuffix("Storage")
        if name not in _TYPES:
            raise ImcsimError(f"tensors of {name[:40]} are not read", fix="store floats")
        if len(shape) > 8:
            raise ImcsimError(f"it has {len(shape)} axes", fix="use at most 8 axes")
        if key not in self.raw:
            self.raw[key] = self.member(key)
        raw, dtype = self.raw[key], np.dtype(self.order + _TYPES[name])
        size = math.prod(shape) * dtype.itemsize
        if size > len(raw):
            raise ImcsimError(
                f"the shape {str(list(shape))[:60]} repeats its data", fix="save tensor.contiguous()"
            )
        if size == 0:
            return np.empty(shape, dtype.newbyteorder("="))
        steps = [step * dtype.itemsize for step in strides]
        try:
            seen: NDArray[Any] = np.ndarray(shape, dtype, raw, offset * dtype.itemsize, steps)
        except (ValueError, TypeError, OverflowError):
            raise ImcsimError(
                f"the shape {str(list(shape))[:60]} does not fit its data", fix=SAVE_AGAIN
            ) from None
        found = np.asarray(seen, dtype.newbyteorder("="), order="C")
        if name == "BFloat16":
            return (found.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return found
