"""Sizes of what the nodes of a network put out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.network.graph import (
    INPUT,
    LI,
    LIF,
    OWN,
    Add,
    Conv2d,
    Delay,
    Flatten,
    Linear,
    Network,
    Node,
    Pool2d,
    Relu,
)

Shape = tuple[int, ...]

MAX_VALUES = 1 << 26
"""Values that one node may put out a timestep; more is a mistake, or an attack on memory."""

MAX_DENSE = 1 << 27
"""Weights of a grouped convolution with the zeros between its groups; a small file may ask for many."""


def shapes(network: Network) -> dict[str, Shape]:
    """Output shape of every node and of ``input``, without batch and time: ``(C, H, W)`` or ``(K,)``.

    Raises ImcsimError for a node whose inputs are missing or do not fit it.
    """
    known: dict[str, Shape] = {INPUT: network.input_shape} | delayed_shapes(network)
    for node in network.nodes:
        known[node.name] = node_shape(node, known)
    return known


def delayed_shapes(network: Network) -> dict[str, Shape]:
    """Output shapes of the delays, which may read what comes after them, and of what they read; those that
    can be known.
    """
    delays = [node for node in network.nodes if isinstance(node, Delay)]
    if not delays:
        return {}
    known: dict[str, Shape] = {INPUT: network.input_shape}
    count = 0
    while len(known) > count:
        count = len(known)
        for node in network.nodes:
            # Branches that are added have one shape, so the first that is known tells that of the sum.
            read = [name for name in node.inputs if name in known]
            if node.name in known or not read or (len(read) < len(node.inputs) and not isinstance(node, Add)):
                continue
            try:
                shape = [known[name] for name in read]
                known[node.name] = shape[0] if isinstance(node, Add) else _shape(node, shape)
            except ImcsimError:  # said where the node has its turn
                continue
    wanted = {name for delay in delays for name in (delay.name, *delay.inputs)}
    return {name: shape for name, shape in known.items() if name in wanted}


def node_shape(node: Node, known: Mapping[str, Shape]) -> Shape:
    """Output shape of `node`, given the shapes of what it reads. Raises ImcsimError where they do not fit."""
    missing = [name for name in node.inputs if name not in known]
    if missing and isinstance(node, Delay):
        raise ImcsimError(
            f"the shape of {missing[0]!r} cannot be known",
            key=node.name,
            fix="a loop needs neurons that read more than the loop",
        )
    if missing:
        raise ImcsimError(
            f"reads {missing[0]!r}, which does not come before it",
            key=node.name,
            fix="order nodes so that inputs come first",
        )
    read = [known[name] for name in node.inputs]
    shape = _shape(node, read)
    if math.prod(shape) > MAX_VALUES:
        raise ImcsimError(
            f"puts out {show(shape)} values; at most {MAX_VALUES} are allowed",
            key=node.name,
            fix="use fewer channels or smaller maps",
        )
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
            if inner * node.groups != channels:
                groups = f" in each of {node.groups} groups" if node.groups > 1 else ""
                raise ImcsimError(
                    f"its weights take {counted(inner, 'channel')}{groups}, but {source!r} gives {channels}",
                    key=node.name,
                    fix=f"give it weights for {counted(channels // node.groups, 'channel')}, or read "
                    "another node",
                )
            if node.groups > 1 and out * channels * math.prod(kernel) > MAX_DENSE:
                raise ImcsimError(
                    f"takes the crossbars of {show((out, channels, *kernel))} weights, whatever its groups; "
                    f"at most {MAX_DENSE} are allowed",
                    key=node.name,
                    fix="use fewer channels or more layers",
                )
            rows, columns = _windows((height, width), node.extent, node.stride, node.padding)
            if rows < 1 or columns < 1:
                spread = "" if node.dilation == (1, 1) else f" with dilation {show(node.dilation)}"
                raise ImcsimError(
                    f"a {show(tuple(kernel))} kernel{spread} does not fit the {height} x {width} map of "
                    f"{source!r}",
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
                    f"its weights take {counted(node.weight.shape[1], 'value')}; {source!r} gives "
                    f"{math.prod(first)}",
                    key=node.name,
                    fix=f"give it weights for {counted(math.prod(first), 'value')}, or read another node",
                )
            return (node.weight.shape[0],)
        case Pool2d() if len(first) == 1:
            return _windows_of_row(node, first[0])
        case Pool2d():
            channels, height, width = _map(node, first)
            rows, columns = _windows((height, width), node.size, node.stride, node.padding)
            if rows < 1 or columns < 1:
                raise ImcsimError(
                    f"a window of {show(node.size)} does not fit the {height} x {width} map of {source!r}",
                    key=node.name,
                    fix="use a smaller window or pool less before it",
                )
            return (channels, rows, columns)
        case Flatten():
            return (math.prod(first),)
        case Add():
            for name, shape in zip(node.inputs, read, strict=True):
                if shape != first:
                    raise ImcsimError(
                        f"adds {show(first)} of {source!r} to {show(shape)} of {name!r}",
                        key=node.name,
                        fix="give all branches the same channels and strides",
                    )
            return first
        case LIF() | LI() | Relu() | Delay():
            for key in ("leak", "threshold", "synapse", "floor", "initial", "drift", "weight"):
                value = getattr(node, key, None)
                each = (
                    isinstance(node, LIF) and key in OWN and isinstance(value, np.ndarray) and value.ndim == 3
                )
                if isinstance(value, np.ndarray) and value.shape != (first if each else first[:1]):
                    raise ImcsimError(
                        f"{key} has {show(value.shape)} values, but {source!r} gives "
                        f"{show(first) if each else first[0]} {'neurons' if each else 'channels'}",
                        key=node.name,
                        fix="give one number, one per channel, or leaks and thresholds for each neuron",
                    )
            return first


def _windows_of_row(node: Pool2d, values: int) -> Shape:
    """Windows of a row of values, which lie side by side: a tile pools what its own neurons give."""
    (tall, wide), step, source = node.size, node.stride[1], node.inputs[0]
    if tall != 1 or step < wide or node.padding != (0, 0):
        raise ImcsimError(
            f"pools the row of values of {source!r} in windows that are no neighbours side by side",
            key=node.name,
            fix="give it a size (1, n), a stride (1, n) or more, and no padding",
        )
    if wide > values:
        raise ImcsimError(
            f"a window of {wide} does not fit the {values} values of {source!r}",
            key=node.name,
            fix="use a smaller window",
        )
    return ((values - wide) // step + 1,)


def _windows(
    size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[int, int]:
    """Rows and columns of windows on a padded map; 0 or less where none fits."""
    rows, columns = (
        (s + 2 * p - w) // d + 1 for s, w, d, p in zip(size, window, stride, padding, strict=True)
    )
    return rows, columns


def _map(node: Node, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ImcsimError(
            f"needs a map of channels, rows and columns, but {node.inputs[0]!r} gives {show(shape)} values",
            key=node.name,
            fix="put it before the flatten node",
        )
    return shape[0], shape[1], shape[2]
