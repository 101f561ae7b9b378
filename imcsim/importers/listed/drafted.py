"""A layer list drafted from a state dict's own names and shapes: what tensors show of layers, for the user to
fill in what they do not show - neurons, pools, strides, and how layers are joined.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError

Tensors = Mapping[str, NDArray[Any]]

_WORDS = ("yes", "no", "on", "off", "true", "false", "null")
"""What YAML takes for something else than text."""

_RESETS = {0: "soft", 1: "hard", 2: "none"}
"""snnTorch's reset_mechanism_val."""

_NUMBERS = re.compile(r"(\d+)")

_HEAD = """\
# Drafted from {file}: weights and batch norms are there by their names and shapes.
# Fill in what is marked with ?, put neurons, pools and additions where the network has them, then:
# imcsim import {file} --layers THIS_FILE -o model
schema: 1
name: {name}
input:
  shape: [{shape}]        # ? channels, rows, columns
timesteps: 4              # ? T that the network was trained for
classes: {classes}
neuron:                   # ? all neurons, unless a layer says otherwise
  leak: 0.5               # or tau: leak = 1 - 1 / tau (1.0 is integrate-and-fire)
  threshold: 1.0          # a number, or the name of a tensor
  reset: hard             # hard: membrane to 0; soft: minus the threshold; none
  fires: at               # at: u >= threshold; above: u > threshold
  reset_at: now           # now: in the timestep of the spike; next: one timestep later
layers:                   # each reads the one before it, unless it names `inputs`
"""
_NEURON = "  - {kind: neuron}            # ? where the network has neurons\n"


def drafted(path: Path) -> str:
    """The layer list of the safetensors file or PyTorch state dict `path`. Raises ImcsimError where it is
    none, or holds no weights.
    """
    from imcsim.importers.importing.read import kind_of

    kind = kind_of(path)
    if kind == "safetensors":
        from imcsim.importers.torch import safetensors as safetensors_file

        tensors = safetensors_file.tensors(path)
    elif kind == "torch":
        from imcsim.importers.torch import state_dict as torch_file

        tensors = torch_file.tensors(path)
    else:
        raise ImcsimError("the file has a graph of its own", file=path, fix="import it without --layers")
    return draft(tensors, path.name, path.stem)


def draft(tensors: Tensors, file: str, name: str) -> str:
    """The layer list of `tensors`, in the order of their names. Raises ImcsimError where none are weights."""
    groups = _groups(tensors)
    weights = [group for group in groups.values() if _kind(group) in _SHAPES]
    if not weights:
        raise ImcsimError(
            "it holds no weights of convolutions or fully connected layers",
            file=file,
            fix="is it the right file? --layers FILE describes others",
        )
    first, last = weights[0]["weight"], weights[-1]["weight"]
    shape = {2: f"{first.shape[-1]}", 3: f"{first.shape[1]}, 1, 0", 4: f"{first.shape[1]}, 0, 0"}[first.ndim]
    lines = [_HEAD.format(file=file, name=_plain(name), shape=shape, classes=len(last))]
    lines += _entries(groups)
    return "".join(lines)


_SHAPES = {
    "linear": "{1} to {0}",
    "conv1d": "{1} to {0} channels, kernel {2}",
    "conv2d": "{1} to {0} channels, {2} x {3}",
}
"""The kinds of layers with weights, and what is said of their shape."""


def _entries(groups: Mapping[str, Mapping[str, NDArray[Any]]]) -> Iterator[str]:
    """A line for each layer that shows in the tensors, and for each that must be between them."""
    mapped = fired = False
    waiting = False
    for prefix, group in groups.items():
        kind = _kind(group)
        if kind in _SHAPES:
            weight = group["weight"]
            if waiting and not fired:
                yield _NEURON
            if kind == "linear" and mapped:
                yield "  - {kind: flatten}           # ? with a pool before it, where the network has one\n"
                mapped = False
            about = _SHAPES[kind].format(*weight.shape)
            if kind != "linear" and weight.shape[1] == 1 and mapped:
                about += f"; depthwise: add groups: {len(weight)}"
            window = "" if kind == "linear" else _window(weight)
            about += "" if kind == "linear" else "; ? stride and padding"
            keys = f"name: {_quoted(prefix)}, kind: {kind}, prefix: {_quoted(prefix)}{window}"
            yield f"  - {{{keys}}}    # {about}\n"
            mapped = mapped or kind != "linear"
            waiting, fired = True, False
        elif kind == "batchnorm":
            yield f"  - {{name: {_quoted(prefix)}, kind: batchnorm, prefix: {_quoted(prefix)}}}\n"
        elif kind == "neuron":
            yield _neuron(prefix, group)
            fired = True
        else:
            yield f"  # ? tensors {', '.join(f'{prefix}.{part}'.lstrip('.') for part in group)}\n"
    if waiting and not fired:
        yield "  # its sums are the class outputs; add {kind: neuron} where its spikes are\n"


def _window(weight: NDArray[Any]) -> str:
    """Stride 1 and the padding that keeps the size, where there is one: the commonest case, which no tensor
    shows.
    """
    sizes = set(weight.shape[2:])
    size = sizes.pop()
    return f", padding: {size // 2}" if not sizes and size % 2 and size > 1 else ""


def _neuron(prefix: str, group: Mapping[str, NDArray[Any]]) -> str:
    """What the tensors of a neuron say of it: names of snnTorch and of SpikingJelly."""
    keys = [f"name: {_quoted(prefix)}", "kind: neuron"]
    for key, part in (("leak", "beta"), ("synapse", "alpha"), ("threshold", "threshold"), ("plif", "w")):
        if part in group:
            keys.append(f"{key}: {_quoted(f'{prefix}.{part}')}")
    mechanism = group.get("reset_mechanism_val")
    if mechanism is not None and mechanism.size == 1 and int(mechanism.flat[0]) in _RESETS:
        reset = _RESETS[int(mechanism.flat[0])]
        # Of snnTorch's neurons Leaky alone clears its membrane at once.
        at = "now" if reset == "hard" and "alpha" not in group else "next"
        keys += [f"reset: {reset}", "fires: above", f"reset_at: {at}"]
    return f"  - {{{', '.join(keys)}}}\n"


def _kind(group: Mapping[str, NDArray[Any]]) -> str:
    if {"running_mean", "running_var"} <= set(group):
        return "batchnorm"
    weight = group.get("weight")
    if weight is not None:
        return {2: "linear", 3: "conv1d", 4: "conv2d"}.get(weight.ndim, "")
    if "beta" in group or ("threshold" in group and group["threshold"].size == 1):
        return "neuron"
    return "neuron" if set(group) == {"w"} and group["w"].size == 1 else ""


def _groups(tensors: Tensors) -> dict[str, dict[str, NDArray[Any]]]:
    """Tensors by the module that holds them, in the order of the file; safetensors sorts its names, and so
    does this where they are sorted: by the numbers in them.
    """
    names = list(tensors)
    if names == sorted(names):
        names.sort(key=lambda name: [int(p) if p.isdigit() else p for p in _NUMBERS.split(name)])
    groups: dict[str, dict[str, NDArray[Any]]] = {}
    for name in names:
        prefix, _, part = name.rpartition(".")
        if np.asarray(tensors[name]).dtype.kind in "iuf":
            groups.setdefault(prefix, {})[part] = tensors[name]
    return groups


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]+", text) is not None and text.lower() not in _WORDS
    return text if plain else json.dumps(text)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text) or "network"
