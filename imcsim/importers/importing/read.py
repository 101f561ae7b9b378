"""Which reader a file needs, and what all of them must hold to."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from imcsim.base.errors import ImcsimError
from imcsim.importers.apart import MAX_BYTES
from imcsim.importers.importing.files import file_size, first_bytes
from imcsim.importers.importing.layers import (
    INPUT,
    Delayed,
    Neuron,
    Norm,
    ReadModel,
    ReadOptions,
    ReadPool,
    Weights,
)

MAX_STEP = 4096
"""Largest kernel, stride, padding and dilation."""

MAX_PIXELS = 1 << 24
"""Most numbers in one input."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_SUFFIXES = {
    ".nir": "nir",
    ".h5": "nir",
    ".hdf5": "nir",
    ".safetensors": "safetensors",
    ".onnx": "onnx",
    ".pt": "torch",
    ".pth": "torch",
    ".ckpt": "torch",
    ".bin": "torch",
    ".tar": "torch",
}


def read(path: str | Path, options: ReadOptions | None = None) -> ReadModel:
    """The network in a NIR, safetensors, PyTorch or ONNX file, with real numbers; nothing in it is executed.

    The kind of file is seen from its first bytes, else from its name. Raises ImcsimError, naming file and
    node, for files that cannot be read or hold what cannot be represented, and where an optional dependency
    is missing.
    """
    path, options = Path(path), options or ReadOptions()
    kind = kind_of(path)
    model: ReadModel
    if kind == "nir":
        from imcsim.importers.nir.file import read as read_nir

        model = read_nir(path, options)
    elif kind == "onnx":
        from imcsim.importers.onnx.file import read as read_onnx

        model = read_onnx(path, options)
    else:
        from imcsim.importers.listed.layer_list import read as read_list

        model = read_list(path, kind, options)
    check_model(path, model)
    return model


def kind_of(path: Path) -> str:
    """``nir``, ``onnx``, ``safetensors`` or ``torch``. Raises ImcsimError for other files."""
    file_size(path, MAX_BYTES)
    head = first_bytes(path, 16)
    if head.startswith(_HDF5):
        return "nir"
    if head.startswith(b"PK"):
        return "torch"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < MAX_BYTES:
        return "safetensors"
    suffix = path.suffix.lower()
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or zipfile.is_zipfile(path):
        return "torch"
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    raise ImcsimError(
        "this is no file with trained weights that is read here",
        file=path,
        fix="use .nir, .safetensors, .onnx, or a PyTorch state dict (.pt, .pth)",
    )


def check_model(path: Path | None, model: ReadModel) -> None:
    """What holds for every format: finite numbers, sensible sizes, names that exist and come first.

    Raises ImcsimError, about the file `path` where there is one.
    """
    shape = model.input_shape
    if not 1 <= len(shape) <= 3 or any(n < 1 for n in shape) or math.prod(shape) > MAX_PIXELS:
        raise ImcsimError(
            f"inputs of shape {list(shape)} are not possible", file=path, fix="say --input-shape"
        )
    known, every = {INPUT}, {layer.name for layer in model.layers}
    for layer in model.layers:
        for value in vars(layer).values():
            if isinstance(value, np.ndarray | float) and not np.isfinite(value).all():
                what = "NaN" if np.isnan(value).any() else "infinite numbers"
                raise ImcsimError(
                    f"it holds {what}", file=path, key=layer.name, fix="train or export it again"
                )
        if isinstance(layer, Weights):
            _check_weights(path, layer)
        if isinstance(layer, ReadPool):
            _check_steps(path, layer.name, size=layer.size, stride=layer.stride)
            _check_steps(path, layer.name, least=0, padding=layer.padding)
        if isinstance(layer, Norm | Neuron) and any(
            isinstance(v, np.ndarray) and v.size == 0 for v in vars(layer).values()
        ):
            raise ImcsimError("it holds an empty array", file=path, key=layer.name, fix="export it again")
        if layer.name in known:
            raise ImcsimError("two layers have this name", file=path, key=layer.name, fix="rename one")
        for name in layer.inputs:
            if name not in (every if isinstance(layer, Delayed) else known):
                raise ImcsimError(
                    f"it reads {name!a}, which does not come before it",
                    file=path,
                    key=layer.name,
                    fix="list layers in the order in which they are computed",
                )
        known.add(layer.name)
    if not any(isinstance(layer, Weights) for layer in model.layers):
        raise ImcsimError("it holds no weights", file=path, fix="is it the right file?")
    if model.output not in known - {INPUT}:
        raise ImcsimError(
            f"there is no layer {model.output!a} to give the output",
            file=path,
            fix="name one of its layers as the output, or export it again",
        )


def _check_weights(path: Path | None, layer: Weights) -> None:
    weight = layer.weight
    if weight.ndim not in (2, 4) or weight.size == 0:
        raise ImcsimError(
            f"weights of shape {list(weight.shape)} are not read",
            file=path,
            key=layer.name,
            fix="give weights [out, in] or [out, in, rows, columns]",
        )
    for what, value in (("bias", layer.bias), ("scale", layer.scale)):
        if value is not None and value.shape != (len(weight),):
            raise ImcsimError(
                f"the {what} has the shape {list(value.shape)}, but there are {len(weight)} output channels",
                file=path,
                key=layer.name,
                fix=f"store one {what} a channel",
            )
    if layer.scale is not None and (np.any(weight != np.round(weight)) or np.any(layer.scale <= 0)):
        raise ImcsimError(
            "quantised weights must be integers and their scales positive",
            file=path,
            key=layer.name,
            fix="store integers, and one scale above 0 for each channel",
        )
    if layer.groups < 1 or len(weight) % layer.groups:
        raise ImcsimError(
            f"{len(weight)} output channels do not part into {layer.groups} groups",
            file=path,
            key=layer.name,
            fix="give groups that divide the channels",
        )
    _check_steps(path, layer.name, stride=layer.stride, dilation=layer.dilation, kernel=weight.shape[2:])
    _check_steps(path, layer.name, least=0, padding=layer.padding)


def _check_steps(path: Path | None, name: str, least: int = 1, **steps: Any) -> None:
    for what, pair in steps.items():
        if any(not least <= n <= MAX_STEP for n in pair):
            raise ImcsimError(
                f"the {what} {list(pair)} is not possible; it must be {least} to {MAX_STEP}",
                file=path,
                key=name,
                fix=f"give {least} to {MAX_STEP}",
            )
