"""Reads NIR files (https://neuroir.org): the graph and the numbers, in the dialect of the framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.importers.apart import read_apart
from imcsim.importers.importing.layers import (
    Delayed,
    Layer,
    Norm,
    ReadFlatten,
    ReadModel,
    ReadOptions,
    ReadPool,
    Weights,
)
from imcsim.importers.importing.per_neuron import as_number, bare
from imcsim.importers.nir.dialects import (
    DECAYING,
    DEFAULTS,
    NEURONS,
    NORSE,
    Dialect,
    affirmed,
    check_said,
    describe,
    neuron,
)
from imcsim.importers.nir.graph import FEEDBACK, NirGraph, NirNode, graph, whole_numbers
from imcsim.importers.nir.recognise import recognise
from imcsim.network.parameters import MAX_DELAY

READ = (
    "Conv1d", "Conv2d", "Linear", "Affine", "SumPool2d", "AvgPool2d", "Flatten", "Scale", "Delay", *NEURONS,
)  # fmt: skip
"""The types of nodes that are read, besides Input, Output and graphs."""


def read(path: Path, options: ReadOptions) -> ReadModel:
    """The network in the NIR file `path`; needs the extra ``nir`` (h5py).

    `options.framework` says whose equations hold (`nir_dialects`); ``auto`` recognises the exporter. `dt`,
    `reset`, `reset_at` and `fires` overrule the framework's. Raises ImcsimError, naming the node.
    """
    _refuse_unused(path, options)
    document, arrays = read_apart("hdf5", path)
    found = graph(path, document, arrays)
    for node in found.nodes:
        if node.kind not in (*READ, FEEDBACK):
            raise ImcsimError(
                f"nodes of type {node.kind!a:.60} are not modelled",
                file=path,
                key=node.name,
                fix="use only " + ", ".join(READ),
            )
    dialect = _dialect(path, found, options)
    layers = tuple(_layer(path, node, dialect, options) for node in found.nodes)
    notes = describe(dialect, options)
    notes += [
        f"what {node.reads[0]} gives comes back a timestep later"
        for node in found.nodes
        if node.kind == FEEDBACK
    ]
    shape = options.input_shape or _input_shape(path, found, layers, notes)
    source: dict[str, Any] = {
        "file": str(path),
        "format": "nir",
        "version": found.version,
        "framework": dialect.name,
        "recognised": options.framework == "auto",
        "notes": notes,
        "affirmed": affirmed(dialect, found.nodes, options),
    }
    if options.timesteps is not None:
        source["timesteps"] = options.timesteps
    return ReadModel(options.name or path.stem, shape, layers, found.output, source)


def _refuse_unused(path: Path, options: ReadOptions) -> None:
    if options.layers_file is not None:
        raise ImcsimError("a NIR file has a graph of its own", file=path, fix="leave out --layers")


def _dialect(path: Path, found: NirGraph, options: ReadOptions) -> Dialect:
    name = recognise(path, found) if options.framework == "auto" else options.framework
    if name not in DEFAULTS:
        raise ImcsimError(
            f"must be auto, {', '.join(DEFAULTS)}, not {name!r:.40}",
            file=path,
            key="framework",
            fix=suggestion(name, DEFAULTS, "use auto"),
        )
    dialect = DEFAULTS[name]
    check_said(path, dialect, found.nodes, options)
    stated = (options.neuron or {}).get("input")
    if stated is not None:
        dialect = replace(dialect, decayed_input=stated == "decayed")
    if options.dt is not None:
        if not 0 < options.dt < float("inf"):
            raise ImcsimError(
                f"the timestep {options.dt:g} s is not possible", fix="give seconds above 0 to --dt"
            )
        if name == "sinabs":
            raise ImcsimError("sinabs counts time in timesteps", file=path, fix="leave out --dt")
        return replace(dialect, dt=options.dt)
    if name in NORSE and not {node.kind for node in found.nodes} & set(DECAYING):
        return replace(dialect, dt_known=True)  # without leaks nothing depends on it
    if name == "spikingjelly":  # its exporter takes any dt; an IF or an undecayed input tells
        for node in found.nodes:
            r = node.fields.get("r")
            if isinstance(r, np.ndarray) and r.size and np.all(r > 0):
                if node.kind == "IF":
                    return replace(dialect, dt=1.0 / float(r.flat[0]), dt_known=True)
                tau = node.fields.get("tau_mem" if node.kind == "CubaLIF" else "tau")
                if isinstance(tau, np.ndarray) and tau.size and r.flat[0] > 1:
                    return replace(dialect, dt=float(tau.flat[0] / r.flat[0]), dt_known=True)
    return dialect


def _layer(path: Path, node: NirNode, dialect: Dialect, options: ReadOptions) -> Layer:
    match node.kind:
        case "Conv1d" | "Conv2d":
            return _convolution(path, node)
        case "Linear" | "Affine":
            weight = _real(path, node, "weight")
            bias = _real(path, node, "bias").reshape(-1) if node.kind == "Affine" else None
            if weight.ndim != 2:
                raise _wrong(
                    path, node, f"weights of shape {list(weight.shape)} are not read", "use [out, in]"
                )
            return Weights(node.name, node.reads, weight, bias)
        case "SumPool2d" | "AvgPool2d":
            size, stride, padding = (_pair(path, node, f) for f in ("kernel_size", "stride", "padding"))
            return ReadPool(
                node.name, node.reads, "sum" if node.kind == "SumPool2d" else "average", size, stride, padding
            )
        case "Flatten":
            _check_flatten(path, node)
            return ReadFlatten(node.name, node.reads)
        case "Delay":
            return Delayed(node.name, node.reads, _timesteps(path, node, dialect))
        case "feedback":
            return Delayed(node.name, node.reads, 1)
        case "Scale":
            factor = as_number(bare(_real(path, node, "scale")))
            if isinstance(factor, np.ndarray) and factor.ndim > 1:
                raise _wrong(path, node, "the scale differs within a channel", "use one scale per channel")
            values = np.atleast_1d(np.asarray(factor, np.float64))
            return Norm(node.name, node.reads, values, np.zeros(1))
    return neuron(path, node, dialect, options)


def _convolution(path: Path, node: NirNode) -> Weights:
    one = node.kind == "Conv1d"
    weight, bias = _real(path, node, "weight"), _real(path, node, "bias").reshape(-1)
    if weight.ndim != (3 if one else 4):
        raise _wrong(path, node, f"weights of shape {list(weight.shape)} are not read", "export it again")
    get: Callable[[str], tuple[int, int]] = lambda field: _pair(path, node, field, one)  # noqa: E731
    stride, dilation = get("stride"), get("dilation")
    if one:
        weight = weight[:, :, None, :]
        stride, dilation = (1, stride[1]), (1, dilation[1])
    extent = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    text = node.fields.get("padding")
    if not isinstance(text, str):
        padding = get("padding")
    elif text == "same":
        if any(e % 2 for e in extent) or stride != (1, 1):
            raise _wrong(path, node, "padding 'same' is not equal on both sides here", "use an odd kernel")
        padding = (extent[0] // 2, extent[1] // 2)
    elif text == "valid":
        padding = (0, 0)
    else:
        raise _wrong(path, node, f"padding {text[:40]!a} is not known", "use numbers, 'same' or 'valid'")
    groups = node.array(path, "groups")
    if groups.size != 1 or groups.dtype.kind not in "iu":
        raise _wrong(path, node, "groups is not one integer", "export it again")
    if one:
        padding = (0, padding[1])
    return Weights(node.name, node.reads, weight, bias, stride, padding, dilation, int(groups.flat[0]))


def _timesteps(path: Path, node: NirNode, dialect: Dialect) -> int:
    """The timesteps of a delay, which the file gives in seconds."""
    delay = _real(path, node, "delay").ravel() / dialect.dt
    if not delay.size or not np.isfinite(delay).all() or delay.min() < 0 or delay.max() > 1 << 20:
        raise _wrong(path, node, "the delay is no number of seconds from 0 on", "export it again")
    if (delay != delay[0]).any():
        raise _wrong(path, node, "the delay differs between neurons", "give all of them the same delay")
    timesteps = round(float(delay[0]))
    if abs(float(delay[0]) - timesteps) > 1e-4 * max(1, timesteps):
        raise _wrong(
            path,
            node,
            f"the delay is {delay[0]:.6g} timesteps, which is no whole number",
            "give the timestep of the network with --dt",
        )
    if timesteps > MAX_DELAY:
        why = f"the delay is {timesteps} timesteps; a chip keeps at most {MAX_DELAY}"
        raise _wrong(path, node, why, "is the timestep right (--dt)?")
    return timesteps


def _real(path: Path, node: NirNode, field: str) -> NDArray[np.float64]:
    return node.array(path, field).astype(np.float64)


def _pair(path: Path, node: NirNode, field: str, one: bool = False) -> tuple[int, int]:
    """A field that holds one integer, for both axes, or two (one for a 1-D convolution)."""
    value = node.array(path, field)
    if value.dtype.kind not in "iu" or value.size not in ((1,) if one else (1, 2)):
        raise _wrong(
            path,
            node,
            f"{field} must be {'one integer' if one else 'one or two integers'}",
            "export it again",
        )
    numbers = [int(n) for n in value.ravel()]
    return numbers[0], numbers[-1]


def _check_flatten(path: Path, node: NirNode) -> None:
    """Only all axes can become one row; `start_dim` counts without the batch axis."""
    ends = [whole_numbers(node.array(path, field)) for field in ("start_dim", "end_dim")]
    if any(len(found) != 1 for found in ends):
        raise _wrong(path, node, "start_dim and end_dim must each be one integer", "export it again")
    (start,), (end,) = ends
    shape = node.fields.get("input_type")
    sizes = whole_numbers(shape) if isinstance(shape, np.ndarray) and shape.ndim == 1 else []
    rank = len(sizes) or None
    first = start + rank if rank and start < 0 else start
    last = end + rank if rank and end < 0 else end
    if sizes and all(n == 1 for n in sizes[: max(first, 0)]):
        first = 0
    if rank and last == rank - 1:
        last = -1
    if first not in (0, -3) or last not in (-1, 2):
        raise _wrong(
            path, node, f"it flattens axes {start} to {end} only", "flatten all axes: start_dim 0, end_dim -1"
        )


def _input_shape(path: Path, found: NirGraph, layers: tuple[Layer, ...], notes: list[str]) -> tuple[int, ...]:
    """``(C, H, W)``, ``(C, L)`` or ``(N,)`` from the Input node, without an axis for the batch."""
    shape = found.input_shape
    fix = "give it with --input-shape, as 3x32x32"
    if not shape or any(n < 1 for n in shape):
        raise ImcsimError("the Input node has no usable shape", file=path, fix=fix)
    first = next((x for x in layers if "input" in x.inputs), None)
    flat = isinstance(first, Weights) and first.weight.ndim == 2
    line = isinstance(first, Weights) and first.weight.ndim == 4 and found.nodes[0].kind == "Conv1d"
    rank = 1 if flat else 2 if line else 3
    if len(shape) == rank + 1 and shape[0] == 1:
        notes.append(f"the Input node's shape {list(shape)} is taken to begin with the batch")
        shape = shape[1:]
    if len(shape) > 3:
        raise ImcsimError(f"the Input node has the shape {list(shape)}", file=path, fix=fix)
    return shape


def _wrong(path: Path, node: NirNode, why: str, fix: str) -> ImcsimError:
    return ImcsimError(f"{node.kind}: {why}", file=path, key=node.name, fix=fix)
