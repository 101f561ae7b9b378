"""What each node of a network with real weights gives, in float64.

Plain numpy, straight from the equations of `imcsim.network.graph`. Nothing here is shared with the integer
side, so that the two can check each other.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from imcsim.importers.importing.float_network import FloatNetwork, FloatNode, FloatWeights, Values
from imcsim.network.graph import INPUT, LI, LIF, Add, Delay, Flatten, Pool2d, Relu

WINDOW_BYTES = 1 << 26
"""Memory for the windows of a convolution."""

TIE = 2.0**-40
"""Membranes this close to their threshold, as a share of it, are at it: a leak of 2/3, say, has no exact
float64, and a membrane that is exactly at its threshold would be a last bit above or below."""


def windows(node: FloatWeights, source: Values, network: FloatNetwork) -> Values:
    """What the kernel of a convolution sees of ``[n, C, H, W]``: ``[n, C, rows, columns, kH, kW]``."""
    down, right = node.padding
    if down or right:
        padded = np.pad(source, ((0, 0), (0, 0), (down, down), (right, right)))
        if node.inputs[0] == INPUT and network.input_padding:
            border = np.asarray(network.input_padding)[None, :, None, None] * network.input_scale
            inside = np.pad(np.ones(source.shape[2:]), ((down, down), (right, right)))
            padded = padded + border * (1.0 - inside)
        source = padded
    extent = tuple((k - 1) * d + 1 for k, d in zip(node.weight.shape[2:], node.dilation, strict=True))
    seen = np.lib.stride_tricks.sliding_window_view(source, extent, axis=(2, 3))
    strided: Values = seen[
        :, :, :: node.stride[0], :: node.stride[1], :: node.dilation[0], :: node.dilation[1]
    ]
    return strided


def node_values(node: FloatNode, values: dict[str, Values], network: FloatNetwork) -> Values:
    """What a node that remembers nothing gives."""
    read = [values[name] for name in node.inputs]
    x = read[0]
    match node:
        case FloatWeights():
            return _currents(node, x, network)
        case Relu():
            return np.asarray(np.clip(np.floor(x / node.step + 0.5), 0, node.top) * node.step)
        case Pool2d():
            of_currents = any(n.name == node.inputs[0] for n in network.weighted)
            return _pool(node, x, -np.inf if of_currents and node.kind == "max" else 0.0)
        case Flatten():
            return x.reshape(*x.shape[:2], -1)
        case Add():
            nodes = {n.name: n for n in network.nodes}
            total: Any = 0.0
            for name, v in zip(node.inputs, read, strict=True):
                source = nodes[name]
                if isinstance(source, Delay):
                    v = _along(source.weight, v[:, 0]) * v
                total = total + (node.scale * v if isinstance(source, LIF | Relu | Pool2d | Add) else v)
            return np.asarray(total)
        case LIF() | LI() | Delay():
            raise AssertionError("a player keeps their states")


def _currents(node: FloatWeights, x: Values, network: FloatNetwork) -> Values:
    if node.weight.ndim == 2:
        row = x.reshape(*x.shape[:2], -1)
        return np.asarray(node.scale * (row @ node.weight.T) + node.bias)
    seen = windows(node, x.reshape(-1, *x.shape[2:]), network)
    frames, channels, rows, columns = seen.shape[:4]
    sums = np.empty((len(node.weight), frames, rows, columns))
    inner, outer = channels // node.groups, len(node.weight) // node.groups
    few = max(1, WINDOW_BYTES // (8 * max(1, seen[0].size // node.groups)))
    for group, start in itertools.product(range(node.groups), range(0, frames, few)):
        at = slice(group * outer, (group + 1) * outer)
        # Places last: they lie next to each other in what is read, so that copying them is quick.
        part = seen[start : start + few, group * inner : (group + 1) * inner].transpose(1, 4, 5, 0, 2, 3)
        kernel = node.weight[at].reshape(outer, -1)
        made = kernel @ part.reshape(kernel.shape[1], -1)
        sums[at, start : start + few] = made.reshape(outer, *part.shape[3:])
    scale, bias = (v[:, None, None, None] for v in (node.scale, node.bias))
    currents = (scale * sums + bias).transpose(1, 0, 2, 3)
    return currents.reshape(*x.shape[:2], *currents.shape[1:])


class FloatNeurons:
    """Neurons of some images, for currents like `current` ``[n, ...]``."""

    def __init__(self, node: LIF, current: Values) -> None:
        self.node = node
        self.leak, self.threshold, self.drift, initial = (
            _along(v, current) for v in (node.leak, node.threshold, node.drift, node.initial)
        )
        self.synapse = None if node.synapse is None else _along(node.synapse, current)
        self.floor = None if node.floor is None else _along(node.floor, current)
        self.membrane, self.current = np.broadcast_to(initial, current.shape), np.zeros(current.shape)
        self.fired, self.resting = np.zeros(current.shape), np.zeros(current.shape, np.int64)
        self.least, self.most = self.threshold * (1.0 - TIE), self.threshold * (1.0 + TIE)

    def step(self, current: Values) -> Values:
        """Spikes of the next timestep, in which `current` enters."""
        node = self.node
        self.current = current if self.synapse is None else self.synapse * self.current + current
        held, membrane = self.membrane, self.leak * self.membrane + self.current + self.drift
        if node.reset_at == "next":
            membrane = _after(node, membrane, self.threshold, self.fired)
        if self.floor is not None:
            membrane = np.maximum(membrane, self.floor)
        if node.refractory:
            membrane = np.where(self.resting > 0, held, membrane)
        if node.max_spikes > 1:
            fired = np.clip(np.floor(membrane / self.least), 0, node.max_spikes)
        else:
            fired = (membrane >= self.least if node.fires == "at" else membrane > self.most).astype(
                np.float64
            )
        if node.refractory:
            fired = np.where(self.resting > 0, 0.0, fired)
            self.resting = np.where(fired > 0, node.refractory, np.maximum(self.resting - 1, 0))
        self.fired = fired
        if node.reset_at == "now":
            membrane = _after(node, membrane, self.threshold, self.fired)
        self.membrane = membrane
        return self.fired


def _after(node: LIF, membrane: Values, threshold: Values, fired: Values) -> Values:
    """The membrane once it is reset for the spikes `fired`."""
    if node.reset == "hard":
        return np.where(fired > 0, 0.0, membrane)
    return membrane - threshold * fired if node.reset == "soft" else membrane


class FloatIntegrators:
    """Integrators of some images, for currents like `current` ``[n, ...]``."""

    def __init__(self, node: LI, current: Values) -> None:
        self.leak = _along(node.leak, current)
        self.synapse = None if node.synapse is None else _along(node.synapse, current)
        self.membrane, self.current = np.zeros(current.shape), np.zeros(current.shape)

    def step(self, current: Values) -> Values:
        """Membranes after the next timestep, in which `current` enters."""
        self.current = current if self.synapse is None else self.synapse * self.current + current
        self.membrane = self.leak * self.membrane + self.current
        return self.membrane


def _along(value: Any, currents: Values) -> Values:
    """A number, or ``[C]`` shaped to multiply ``[n, C, ...]``; ``[C, H, W]`` as it is."""
    array = np.asarray(value, np.float64)
    if array.ndim == 3:
        return array
    return array.reshape(-1, *(1,) * (currents.ndim - 2)) if array.ndim else array


def _pool(node: Pool2d, x: Values, around: float) -> Values:
    (down, right), (tall, wide) = node.padding, node.size
    if x.ndim == 3:  # a row is a map of one channel, whose row it is
        return _pool(node, x[:, :, None, None, :], around)[:, :, 0, 0]
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (down, down), (right, right)), constant_values=around)
    seen = np.lib.stride_tricks.sliding_window_view(padded, (tall, wide), axis=(3, 4))
    seen = seen[:, :, :, :: node.stride[0], :: node.stride[1]]
    if node.kind == "max":
        return np.asarray(seen.max((-2, -1)))
    total = seen.sum((-2, -1))
    return np.asarray(total / (tall * wide) if node.kind == "average" else total)
