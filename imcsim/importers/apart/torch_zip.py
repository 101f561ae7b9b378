"""A PyTorch state dict as arrays.

The file is opened with ``torch.load(weights_only=True)``, which builds tensors and plain containers and
refuses everything else; besides what imports live modules, this is the only module of the
package that imports torch. Sizes are checked before
and after.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.importers.apart import Answer

if TYPE_CHECKING:
    import torch

MAX_BYTES = 1 << 30
MAX_MEMBERS = 50_000
MAX_TENSORS = 50_000
MAX_PICKLE = 16 << 20

WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "module", "weights", "params")
"""Where checkpoints keep the state dict."""

_AGAIN = "save it again with torch.save(model.state_dict(), FILE)"


def read(path: Path) -> Answer:
    """The tensors of the state dict in the zip file `path`. Raises ImcsimError and what torch raises."""
    import torch

    check(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (MemoryError, ImcsimError):
        raise
    except Exception as error:  # torch raises pickle, runtime, value and attribute errors for hostile files
        text = " ".join(str(error).split())
        at = max(text.find("Unsupported"), text.find("Trying to load unsupported"))
        text = text[at : at + 120] if at >= 0 else text[:120]
        text = text.split(". Please use")[0].split(". Check the")[0]  # torch's advice is to trust the file
        raise ImcsimError(
            f"torch.load(weights_only=True) refuses the file: {text}",
            fix=f"it must hold tensors only; {_AGAIN}",
        ) from None
    state = _state(loaded)
    arrays: dict[str, NDArray[Any]] = {}
    names: dict[str, str] = {}
    total = 0
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            continue
        total += _size(key, value)
        if total > MAX_BYTES or len(names) >= MAX_TENSORS:
            raise ImcsimError(
                f"its tensors need more than {MAX_BYTES} bytes", key=key, fix="is it the right file?"
            )
        names[key] = f"a{len(names)}"
        arrays[names[key]] = _array(key, value)
    if not names:
        raise ImcsimError("it holds no tensors by name", fix=_AGAIN)
    return {"tensors": names}, arrays


def check(path: Path) -> None:
    """Refuse by the directory of the archive what is no state dict. Raises ImcsimError."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                raise ImcsimError("the zip file is cut off or damaged: its end is missing", fix=_AGAIN)
        raise ImcsimError("this is no zip file; old pickle files of PyTorch are not read", fix=_AGAIN)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise ImcsimError(f"it holds {len(members)} members; at most {MAX_MEMBERS} are read", fix=_AGAIN)
    names = {member.filename for member in members}
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise ImcsimError("this is a TorchScript program, not a state dict", fix=_AGAIN)
    pickles = [m for m in members if m.filename.rsplit("/", 1)[-1] == "data.pkl"]
    if len(names) != len(members) or len(pickles) != 1:
        raise ImcsimError("this zip file is no state dict of PyTorch", fix=_AGAIN)
    if any(m.compress_type != zipfile.ZIP_STORED or m.file_size != m.compress_size for m in members):
        raise ImcsimError("its members are packed, which torch.save never does", fix=_AGAIN)
    if sum(m.file_size for m in members) > path.stat().st_size or pickles[0].file_size > MAX_PICKLE:
        raise ImcsimError("its members are larger than the file may hold", fix=_AGAIN)


def _state(loaded: Any) -> Mapping[Any, Any]:
    """The state dict itself, in a checkpoint that holds more."""
    import torch

    for _ in range(4):
        if not isinstance(loaded, Mapping):
            raise ImcsimError(f"it holds a {type(loaded).__name__}, not a state dict", fix=_AGAIN)
        if any(isinstance(value, torch.Tensor) for value in loaded.values()):
            return loaded
        inside = next((loaded[k] for k in WRAPPERS if isinstance(loaded.get(k), Mapping)), None)
        if inside is None:
            break
        loaded = inside
    raise ImcsimError("it holds no state dict", fix=f"{_AGAIN}, or under 'state_dict'")


def _size(name: str, value: torch.Tensor) -> int:
    import torch

    if value.layout != torch.strided or value.is_quantized or value.is_meta or value.is_complex():
        raise ImcsimError("sparse, quantised, complex and empty tensors are not read", key=name, fix=_AGAIN)
    size = value.numel() * value.element_size()
    if value.numel() and size > value.untyped_storage().nbytes():
        raise ImcsimError(f"the shape {list(value.shape)} repeats its data", key=name, fix=_AGAIN)
    if value.ndim > 8:
        raise ImcsimError(f"it has {value.ndim} axes", key=name, fix="use at most 8 axes")
    return size


def _array(name: str, value: torch.Tensor) -> NDArray[Any]:
    import torch

    if value.dtype == torch.bfloat16:
        value = value.float()
    try:
        found: NDArray[Any] = np.array(value.detach().contiguous().numpy())
    except TypeError:
        raise ImcsimError(f"tensors of {value.dtype} are not read", key=name, fix="store floats") from None
    return found
