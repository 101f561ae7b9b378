"""Sizes of what the nodes of a network put out."""

from __future__ import annotations

import math
from collections.abc import Mapping

from imcsim.errors import ImcsimError
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d

Shape = tuple[int, ...]

MAX_VALUES = 1 << 26
"""Values that one node may put out a timestep; more is a mistake, or an attack on memory."""


def shapes(network: Network) -> dict[str, Shape]:
    """Output shape of every node and of ``input``, without batch and time: ``(C, H, W)`` or ``(K,)``.

    Raises ImcsimError for a node whose inputs are missing or do not fit it.
    """
    known: dict[str, Shape] = {INPUT: network.input_shape}
    for node in network.nodes:
        known[node.name] = node_shape(node, known)
    return known


def node_shape(node: Node, known: Mapping[str, Shape]) -> Shape:
    """Output shape of `node`, given the shapes of what it reads. Raises ImcsimError where they do not fit."""
    missing = [name for name in node.inputs if name not in known]
    if missing:
        raise ImcsimError(f"reads {missing[0]!r}, which does not come before it", key=node.name)
    read = [known[name] for name in node.inputs]
    shape = _shape(node, read)
    if math.prod(shape) > MAX_VALUES:
        raise ImcsimError(f"puts out {show(shape)} values; at most {MAX_VALUES} are allowed", key=node.name)
    return shape


def show(shape: Shape) -> str:
    """`shape` for people: ``64 x 8 x 8``."""
    return " x ".join(map(str, shape))


def _shape(node: Node, read: list[Shape]) -> Shape:
    first, source = read[0], node.inputs[0]
    match node:
        case Conv2d():
            channels, height, width = _map(node, first)
            out, inner, *kernel = node.weight.shape
            if inner != channels:
                raise ImcsimError(
                    f"its weights take {inner} channels, but {source!r} gives {channels}",
                    key=node.name,
                )
            rows, columns = (
                (size + 2 * pad - k) // step + 1
                for size, pad, k, step in zip((height, width), node.padding, kernel, node.stride, strict=True)
            )
            if rows < 1 or columns < 1:
                raise ImcsimError(
                    f"a {show(tuple(kernel))} kernel does not fit the {height} x {width} map of {source!r}",
                    key=node.name,
                    fix="enlarge padding or pool less before it",
                )
            return (out, rows, columns)
        case Linear():
            if len(first) != 1 and node.inputs[0] != INPUT:
                raise ImcsimError(
                    f"{source!r} gives a {show(first)} map, not a row of values",
                    key=node.name,
                    fix="put a flatten node between them",
                )
            if math.prod(first) != node.weight.shape[1]:
                raise ImcsimError(
                    f"its weights take {node.weight.shape[1]} values; {source!r} gives {math.prod(first)}",
                    key=node.name,
                )
            return (node.weight.shape[0],)
        case Pool2d():
            channels, height, width = _map(node, first)
            if node.size > min(height, width):
                raise ImcsimError(
                    f"a window of {node.size} does not fit the {height} x {width} map of {source!r}",
                    key=node.name,
                    fix="use a smaller window or pool less before it",
                )
            return (channels, *((s - node.size) // node.stride + 1 for s in (height, width)))
        case Flatten():
            return (math.prod(first),)
        case Add():
            if read[0] != read[1]:
                raise ImcsimError(
                    f"adds {show(read[0])} of {node.inputs[0]!r} to {show(read[1])} of {node.inputs[1]!r}",
                    key=node.name,
                    fix="give both branches the same channels and strides",
                )
            return first
        case LIF():
            return first


def _map(node: Node, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ImcsimError(
            f"needs a map of channels, rows and columns, but {node.inputs[0]!r} gives {show(shape)} values",
            key=node.name,
        )
    return shape[0], shape[1], shape[2]
