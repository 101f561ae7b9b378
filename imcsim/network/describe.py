"""A network as rows for a table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from imcsim.base.plurals import counted
from imcsim.network.graph import (
    LI,
    LIF,
    Add,
    Conv2d,
    Delay,
    Flatten,
    Linear,
    Network,
    Node,
    PerChannel,
    Pool2d,
    Relu,
    kind,
)
from imcsim.network.sizes import shapes, show


class NodeSummary(NamedTuple):
    """One layer: its name, kind, output shape, number of weights (empty for none) and parameters, as text."""

    layer: str
    kind: str
    shape: str
    weights: str
    detail: str


def describe(network: Network) -> list[NodeSummary]:
    """One row for the image and for each node. Raises ImcsimError where shapes do not fit."""
    sizes = shapes(network)
    rows = [NodeSummary("input", "image", show(network.input_shape), "", f"{network.input_bits}-bit pixels")]
    for node in network.nodes:
        weights = f"{node.weight.size:,}" if isinstance(node, Conv2d | Linear) else ""
        rows.append(NodeSummary(node.name, kind(node), show(sizes[node.name]), weights, _detail(node)))
    if network.votes > 1:
        about = f"averages of {network.votes} outputs each"
        rows.append(NodeSummary("votes", "voting", str(network.classes), "", about))
    return rows


def _detail(node: Node) -> str:
    match node:
        case Conv2d():
            kernel = "x".join(map(str, node.weight.shape[2:]))
            dilation = "" if node.dilation == (1, 1) else f", dilation {_pair(node.dilation)}"
            groups = "" if node.groups == 1 else f", {node.groups} groups"
            stride, padding = _pair(node.stride), _pair(node.padding)
            return f"{kernel} kernel, stride {stride}, padding {padding}{dilation}{groups}{_bits(node)}"
        case LIF():
            after = " a timestep later" if node.reset_at == "next" and node.reset != "none" else ""
            above = " (fires above it)" if node.fires == "above" else ""
            threshold = f"threshold {_number(node.threshold)}{above}"
            more = _synapse(node) + _more(node)
            return f"leak {_number(node.leak)}, {threshold}, {node.reset} reset{after}{more}"
        case LI():
            return f"leak {_number(node.leak)}{_synapse(node)}"
        case Relu():
            bits = f"{node.bits} bit{'s' if node.bits > 1 else ''}"
            return f"{bits}, steps of {node.step:g}, clipped at {node.top * node.step:g}"
        case Pool2d():
            padding = "" if node.padding == (0, 0) else f", padding {_pair(node.padding)}"
            return f"{node.kind} of {'x'.join(map(str, node.size))}, stride {_pair(node.stride)}{padding}"
        case Add():
            return " + ".join(node.inputs)
        case Delay():
            times = f"{node.timesteps} timestep{'s' if node.timesteps > 1 else ''} later"
            weighs = "" if np.all(np.equal(node.weight, 1)) else f", weight {_number(node.weight)}"
            return f"{node.inputs[0]} {times}{weighs}"
        case Linear():
            return f"{node.weight.shape[1]} inputs{_bits(node)}"
        case Flatten():
            return ""


def _bits(node: Conv2d | Linear) -> str:
    if node.weight_bits is None:
        return ""
    return f", weights of {node.weight_bits} bit{'s' if node.weight_bits > 1 else ''}"


def _number(value: PerChannel) -> str:
    """A number, or the range of one number per channel."""
    if not isinstance(value, np.ndarray):
        return f"{value:g}"
    low, high = value.min(), value.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _synapse(node: LIF | LI) -> str:
    return "" if node.synapse is None else f", synapse {_number(node.synapse)}"


def _more(node: LIF) -> str:
    """What few neurons have."""
    said = "" if node.floor is None else f", floor {_number(node.floor)}"
    said += f", starts at {_number(node.initial)}" if np.any(node.initial) else ""
    said += f", drift {_number(node.drift)}" if np.any(node.drift) else ""
    said += f", up to {node.max_spikes} spikes" if node.max_spikes > 1 else ""
    return said + (f", {counted(node.refractory, 'refractory timestep')}" if node.refractory else "")


def _pair(values: tuple[int, int]) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]}x{values[1]}"
