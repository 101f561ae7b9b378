"""A network as rows for a table."""

from __future__ import annotations

from typing import NamedTuple

from imcsim.network.graph import LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d, kind
from imcsim.network.sizes import shapes, show


class Row(NamedTuple):
    """One layer: its name, kind, output shape, number of weights (empty for none) and parameters, as text."""

    layer: str
    kind: str
    shape: str
    weights: str
    detail: str


def describe(network: Network) -> list[Row]:
    """One row for the image and for each node. Raises ImcsimError where shapes do not fit."""
    sizes = shapes(network)
    rows = [Row("input", "image", show(network.input_shape), "", f"{network.input_bits}-bit pixels")]
    for node in network.nodes:
        weights = f"{node.weight.size:,}" if isinstance(node, Conv2d | Linear) else ""
        rows.append(Row(node.name, kind(node), show(sizes[node.name]), weights, _detail(node)))
    return rows


def _detail(node: Node) -> str:
    match node:
        case Conv2d():
            kernel = "x".join(map(str, node.weight.shape[2:]))
            return f"{kernel} kernel, stride {_pair(node.stride)}, padding {_pair(node.padding)}"
        case LIF():
            return f"leak {node.leak:g}, threshold {node.threshold:g}, {node.reset} reset"
        case Pool2d():
            return f"{node.kind} of {node.size}x{node.size}, stride {node.stride}"
        case Add():
            return f"{node.inputs[0]} + {node.inputs[1]}"
        case Linear():
            return f"{node.weight.shape[1]} inputs"
        case Flatten():
            return ""


def _pair(values: tuple[int, int]) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]}x{values[1]}"
