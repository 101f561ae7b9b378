"""Reads safetensors files and PyTorch state dicts with the help of a YAML file that lists the layers.

Such files hold tensors by name and no graph. The list says what is done with them::

    input: {shape: [1, 28, 28]}
    timesteps: 4
    classes: 10
    neuron: {tau: 2.0, threshold: 1.0}
    layers:
      - kind: flatten
      - {kind: linear, prefix: "0"}
      - kind: neuron
      - {kind: linear, prefix: "2"}

``imcsim import --template vgg16|resnet19|mlp`` prints longer ones, with comments, ``--template FILE`` drafts
one. A layer reads the one before it unless it has `inputs`; `prefix: p` stands for the tensors ``p.weight``,
``p.bias`` and so on. A ``delay`` gives what a layer of neurons, which may come later, gave `timesteps`
timesteps before (1 by default)::

      - {kind: linear, name: fc, prefix: fc}
      - {kind: delay, name: back, inputs: [lif]}
      - {kind: linear, name: rec, prefix: lif.recurrent}
      - {kind: neuron, name: lif, inputs: [fc, rec]}
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.yamlfile import read_yaml
from imcsim.importers.importing.files import first_bytes
from imcsim.importers.importing.layers import (
    INPUT,
    Delayed,
    Layer,
    Norm,
    ReadFlatten,
    ReadModel,
    ReadOptions,
    ReadPool,
    Voting,
    Weights,
)
from imcsim.importers.listed.layer_entry import Entry
from imcsim.importers.listed.neuron_keys import KEYS as NEURON_KEYS
from imcsim.importers.listed.neuron_keys import check_keys, make_neuron
from imcsim.network.parameters import MAX_DELAY

MAX_LAYERS = 5000
_SILENT = ("num_batches_tracked", "reset_mechanism_val")
"""Tensors that say nothing of values, or what the list says."""

_GRADED = "graded_spikes_factor"
_TOP = ("schema", "name", "input", "timesteps", "classes", "neuron", "layers")
_COMMON = ("name", "kind", "inputs")
_WINDOW = ("stride", "padding", "dilation", "groups")
_WEIGHTS = ("prefix", "weight", "bias", "scale", "weight_bits")
_NORM = ("prefix", "weight", "bias", "mean", "variance", "eps")
KINDS: Mapping[str, tuple[str, ...]] = {
    "conv1d": (*_WEIGHTS, *_WINDOW),
    "conv2d": (*_WEIGHTS, *_WINDOW),
    "linear": _WEIGHTS,
    "batchnorm": _NORM,
    "tdbn": (*_NORM, "alpha", "threshold"),
    "scale": ("factor", "offset"),
    "neuron": NEURON_KEYS,
    "lif": NEURON_KEYS,  # the same by the name that bundles use
    "li": ("leak", "tau", "input", "synapse"),
    "avgpool": ("size", "stride", "padding"),
    "maxpool": ("size", "stride", "padding"),
    "sumpool": ("size", "stride", "padding"),
    "flatten": (),
    "add": (),
    "delay": ("timesteps",),
    "voting": ("size",),
}
"""The kinds of layers and their keys."""

_POOLS: Mapping[str, Literal["average", "max", "sum"]] = {
    "avgpool": "average",
    "maxpool": "max",
    "sumpool": "sum",
}


def read(path: Path, kind: str, options: ReadOptions) -> ReadModel:
    """The network whose tensors are in `path` (`kind`: ``safetensors`` or ``torch``) and whose layers are in
    `options.layers_file`.

    Raises ImcsimError: naming the line of the list for unknown keys, missing tensors and wrong shapes.
    """
    if options.layers_file is None:
        _refuse_cut_off(path, kind)
        raise ImcsimError(
            "the file holds tensors by name, but no graph",
            file=path,
            fix=f"list its layers with --layers FILE; imcsim import --template {path} drafts such a list",
        )
    if options.framework not in ("auto", "nir") or options.dt is not None:
        raise ImcsimError("--framework and --dt are for NIR files", file=path, fix="say it under `neuron:`")
    document = read_yaml(options.layers_file)
    if kind == "safetensors":
        from imcsim.importers.torch import safetensors as safetensors_file

        stored = safetensors_file.tensors(path)
    else:
        from imcsim.importers.torch import state_dict as torch_file

        stored = torch_file.tensors(path)
    top = Entry(document, (), document.data, _TOP, stored, set())
    if top.has("schema") and top.integer("schema") != 1:
        raise top.fail("schema", f"schema {top.integer('schema')} is not known", "this version reads 1")
    return _List(top, options).model(path, kind)


def _refuse_cut_off(path: Path, kind: str) -> None:
    """A file that is not whole has no layers to list. Raises ImcsimError for one whose end is missing."""
    if kind == "safetensors":
        from imcsim.importers.torch import safetensors as safetensors_file

        safetensors_file.tensors(path)
    elif first_bytes(path, 2) == b"PK" and not zipfile.is_zipfile(path):
        raise ImcsimError(
            "the zip file is cut off or damaged: its end is missing", file=path, fix="fetch or save it again"
        )


class _List:
    """Makes layers of the entries, one after the other."""

    def __init__(self, top: Entry, options: ReadOptions) -> None:
        self.top, self.options = top, options
        self.image = top.section("input", ("shape", "scale"))
        stated = top.mapping("neuron") if top.has("neuron") else {}
        self.default = {**stated, **(options.neuron or {})}
        check_keys(self.default, lambda key, *text: top.fail(f"neuron.{key}", *text))
        self.layers: list[Layer] = []
        self.later: set[str] = set()
        """The names of all neurons, which delays may read before they come."""
        self.sums: dict[str, tuple[str, ...]] = {INPUT: (INPUT,)}
        """What each name stands for: itself, or for an `add` the layers that are added."""

    def model(self, path: Path, kind: str) -> ReadModel:
        top, options = self.top, self.options
        shape = options.input_shape or self.image.integers("shape")
        entries = top.entries("layers", MAX_LAYERS)
        self.later = {
            data["name"]
            for data in entries
            if isinstance(data, dict)
            and data.get("kind") in ("neuron", "lif")
            and isinstance(data.get("name"), str)
        }
        last = INPUT
        for index, data in enumerate(entries):
            last = self._add(index, data, last)
        notes = [f"read by the list {Path(str(options.layers_file)).name}"]
        unused = [n for n in top.tensors if n not in top.used and not n.endswith(_SILENT)]
        for graded in (n for n in unused if n.endswith(_GRADED)):
            if np.any(top.tensors[graded] != 1):
                raise ImcsimError(
                    "snnTorch multiplies these spikes by a factor that is not 1",
                    file=path,
                    key=graded,
                    fix="train with graded_spikes_factor=1.0, or multiply the next layer's weights by it and "
                    "store 1 there",
                )
        unused = [n for n in unused if not n.endswith(_GRADED)]
        if unused:
            more = f" and {len(unused) - 5} more" if len(unused) > 5 else ""
            notes.append(f"no layer uses the tensors {', '.join(unused[:5])}{more}")
        source: dict[str, Any] = {"file": str(path), "format": kind, "framework": "list", "notes": notes}
        for key in ("timesteps", "classes"):
            if top.has(key):
                source[key] = top.integer(key)
                if source[key] < 1:
                    raise top.fail(key, "must be at least 1", "give a whole number from 1 on")
        if options.timesteps is not None:
            source["timesteps"] = options.timesteps
        if self.image.has("scale"):
            source["input_scale"] = self.image.number("scale")
        output = self.sums[last]
        if len(output) != 1:  # a sum at the end: a norm that changes nothing holds it
            self.layers.append(Norm(last, output, np.ones(1), np.zeros(1)))
        name = options.name or (top.text("name") if top.has("name") else path.stem)
        return ReadModel(name, shape, tuple(self.layers), last if len(output) != 1 else output[0], source)

    def _add(self, index: int, data: Any, before: str) -> str:
        """Append the layer that entry `index` describes; returns its name."""
        place = ("layers", index)
        what = data.get("kind") if isinstance(data, dict) else None
        if not isinstance(what, str) or what not in KINDS:
            raise self.top.unknown((*place, "kind"), what, KINDS, "kind of layer")
        entry = Entry(
            self.top.document, place, data, (*_COMMON, *KINDS[what]), self.top.tensors, self.top.used
        )
        name = entry.text("name") if entry.has("name") else f"{what}{index}"
        if name in self.sums:
            raise entry.fail("name", f"two layers are called {name!r}", "rename one")
        inputs = self._inputs(entry, before)
        if what == "add":
            if len(inputs) < 2:
                raise entry.fail(
                    "inputs", "an addition needs two inputs or more", "name them: inputs: [a, b]"
                )
            self.sums[name] = inputs
            return name
        self.layers.append(self._layer(what, name, inputs, entry))
        self.sums[name] = (name,)
        return name

    def _inputs(self, entry: Entry, before: str) -> tuple[str, ...]:
        named = entry.texts("inputs") if entry.has("inputs") else (before,)
        found: list[str] = []
        for name in named:
            if entry.data.get("kind") == "delay" and name in self.later and name not in self.sums:
                found.append(name)
                continue
            if name not in self.sums:
                raise entry.unknown((*entry.path, "inputs"), name, self.sums, "layer before this one")
            found += self.sums[name]
        if not found or len(set(found)) != len(found):
            raise entry.fail("inputs", "a layer is named twice, or none", "name each input once")
        return tuple(found)

    def _layer(self, what: str, name: str, inputs: tuple[str, ...], entry: Entry) -> Layer:
        match what:
            case "conv1d" | "conv2d" | "linear":
                return _weights(what, name, inputs, entry)
            case "batchnorm" | "tdbn":
                return _norm(what, name, inputs, entry)
            case "scale":
                factor, offset = entry.values("factor", 1.0), entry.values("offset", 0.0)
                return Norm(name, inputs, factor, offset)
            case "neuron" | "lif" | "li":
                keys = {k: v for k, v in entry.data.items() if k not in _COMMON}
                default = self.default
                if what == "li":
                    default = {k: v for k, v in default.items() if k in KINDS["li"]}
                return make_neuron(
                    name, inputs, keys, default, self.options, entry.tensor, entry.fail, what != "li"
                )
            case "flatten":
                return ReadFlatten(name, inputs)
            case "voting":
                if (votes := entry.integer("size")) < 1:
                    raise entry.fail(
                        "size", f"must be at least 1, not {votes}", "give a whole number from 1 on"
                    )
                return Voting(name, inputs, votes)
            case "delay":
                steps = entry.integer("timesteps") if entry.has("timesteps") else 1
                if not 0 < steps <= MAX_DELAY:
                    raise entry.fail(
                        "timesteps", f"must be from 1 to {MAX_DELAY}, not {steps}", f"give 1 to {MAX_DELAY}"
                    )
                return Delayed(name, inputs, steps)
        size = entry.pair("size", None)
        return ReadPool(
            name, inputs, _POOLS[what], size, entry.pair("stride", size), entry.pair("padding", (0, 0))
        )


def _weights(what: str, name: str, inputs: tuple[str, ...], entry: Entry) -> Weights:
    weight = entry.array("weight", "weight")
    rank = {"linear": 2, "conv1d": 3, "conv2d": 4}[what]
    if weight.ndim != rank:
        raise entry.fail(
            "weight", f"the tensor has the shape {list(weight.shape)}; a {what} has {rank} axes", None
        )
    bias = entry.optional("bias", "bias")
    scale = _scale(entry, len(weight))
    bits = entry.integer("weight_bits") if entry.has("weight_bits") else None
    if bits is not None and not 1 <= bits <= 16:
        raise entry.fail("weight_bits", f"must be from 1 to 16, not {bits}", "8 is usual")
    if what == "linear":
        return Weights(name, inputs, weight, bias, scale=scale, weight_bits=bits)
    groups = entry.integer("groups") if entry.has("groups") else 1
    one = what == "conv1d"
    if one:
        weight = weight[:, :, None, :]
    stride, dilation = (entry.pair(key, (1, 1)) for key in ("stride", "dilation"))
    padding = entry.pair("padding", (0, 0))
    if one:
        stride, dilation, padding = (1, stride[1]), (1, dilation[1]), (0, padding[1])
    return Weights(name, inputs, weight, bias, stride, padding, dilation, groups, scale, bits)


def _scale(entry: Entry, channels: int) -> NDArray[np.float64] | None:
    """The scale of integers, one per channel: what `scale` says, or the tensor that usually holds it."""
    if entry.has("scale"):
        found = entry.values("scale", 1.0)
    else:
        prefix = entry.data.get("prefix")
        weight = entry.data.get("weight", f"{prefix}.weight")
        if entry.tensors[weight].dtype.kind not in "iu":
            return None
        usual = [
            weight + "_scale",
            weight + ".scale",
            weight + "_scales",
            f"{prefix}.scale",
            f"{prefix}.scales",
        ]
        name = next((name for name in usual if name in entry.tensors), None)
        if name is None:
            return None
        found = entry.tensor("weight", name).astype(np.float64).ravel()
    if len(found) not in (1, channels):
        raise entry.fail(
            "scale", f"{len(found)} scales for {channels} channels", "give one, or one per channel"
        )
    return np.broadcast_to(found, (channels,)).copy()


def _norm(what: str, name: str, inputs: tuple[str, ...], entry: Entry) -> Norm:
    """Batch norm in evaluation: ``(x - mean) / sqrt(variance + eps) * weight + bias``.

    tdBN (Zheng et al., AAAI 2021) multiplies the normalised value by ``alpha * threshold`` first.
    """
    mean, variance = entry.array("mean", "running_mean"), entry.array("variance", "running_var")
    eps = entry.number("eps") if entry.has("eps") else 1e-5
    if np.any(variance < 0) or eps < 0 or np.any(variance + eps <= 0):
        raise entry.fail("variance", "the variance must not be negative", "is the tensor the right one?")
    gain = 1.0 / np.sqrt(variance + eps)
    if what == "tdbn":
        for key in ("alpha", "threshold"):
            gain = gain * (entry.number(key) if entry.has(key) else 1.0)
    centre = -mean * gain
    for value in (weight := entry.optional("weight", "weight"), bias := entry.optional("bias", "bias")):
        if value is not None and value.shape != mean.shape:
            raise entry.fail(
                "prefix",
                "weight, bias, mean and variance have different shapes",
                "are the tensors those of one layer?",
            )
    if mean.ndim != 1 or variance.shape != mean.shape:
        raise entry.fail(
            "mean",
            f"the tensor has the shape {list(mean.shape)}; one number per channel is read",
            "name a tensor [channels]",
        )
    if weight is not None:
        gain, centre = gain * weight, centre * weight
    return Norm(name, inputs, gain, centre if bias is None else centre + bias)
