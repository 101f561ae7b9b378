"""A network with real weights, and its run in float64: what quantisation is compared with.

Plain numpy, straight from the equations of `imcsim.network.graph`. Nothing here is shared with the integer
side, so that the two can check each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.network.graph import INPUT, LI, LIF, Add, Flatten, Pool2d

Values = NDArray[np.float64]

CHUNK_IMAGES = 16
CHUNK_BYTES = 1 << 28
"""Images that are played together: so many at most, and fewer where their values take more memory."""

WINDOW_BYTES = 1 << 26
"""Memory for the windows of a convolution."""

TIE = 2.0**-40
"""Membranes this close to their threshold, as a share of it, are at it: a leak of 2/3, say, has no exact
float64, and a membrane that is exactly at its threshold would be a last bit above or below."""


@dataclass(frozen=True, eq=False)
class FloatWeights:
    """A convolution (`weight` ``[Cout, Cin/groups, kH, kW]``) or fully connected layer (``[Cout, Cin]``).

    The real weight is ``scale[c] * weight[c]``, scale > 0; batch norms and the gains of neurons are in
    `scale`, so that `weight` keeps the numbers of the file where it can. `integer` says that these are the
    integers of a file that was quantised already.
    """

    name: str
    inputs: tuple[str]
    weight: Values
    scale: Values
    bias: Values
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    integer: bool = False


FloatNode = FloatWeights | LIF | LI | Pool2d | Flatten | Add


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """`nodes` in topological order, the last one gives the class outputs; the rest as in `Network`.

    `input_padding` is the pixel around the image of a padded convolution, one number per channel, exact.
    `names` maps the layers of the file to the nodes that hold their values, `notes` say what was done.
    """

    name: str
    input_shape: tuple[int, int, int]
    input_bits: int
    input_scale: float
    classes: int
    timesteps: int
    nodes: tuple[FloatNode, ...]
    input_padding: tuple[float, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def weighted(self) -> tuple[FloatWeights, ...]:
        """The nodes with weights, in order."""
        return tuple(node for node in self.nodes if isinstance(node, FloatWeights))

    @property
    def spiking(self) -> tuple[LIF, ...]:
        """The nodes that fire, in order."""
        return tuple(node for node in self.nodes if isinstance(node, LIF))


@dataclass(frozen=True, eq=False)
class FloatActivity:
    """outputs: float64 ``[N, T, classes]``, of each timestep alone; spikes: uint8 ``[N, T, ...]`` by node."""

    outputs: Values
    spikes: dict[str, NDArray[np.uint8]]


def run(
    network: FloatNetwork, images: NDArray[np.uint8], timesteps: int, *, record: Collection[str] = ()
) -> FloatActivity:
    """Play images uint8 ``[N, C, H, W]``, or ``[N, T, C, H, W]`` with a frame per timestep.

    `record` names LIF nodes whose spikes are kept. The result is exact where all sums are (numbers with short
    binary fractions), whatever their order.
    """
    outputs: list[Values] = []
    kept: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in record}
    for values in walk(network, images, timesteps):
        last = values[network.nodes[-1].name]
        count = len(last)
        outputs.append(
            np.broadcast_to(last, (count, timesteps, *last.shape[2:])).reshape(count, timesteps, -1)
        )
        for name in record:
            kept[name].append(values[name].astype(np.uint8))
    return FloatActivity(
        np.concatenate(outputs), {name: np.concatenate(pieces) for name, pieces in kept.items()}
    )


def walk(network: FloatNetwork, images: NDArray[np.uint8], timesteps: int) -> Iterator[dict[str, Values]]:
    """The values of all nodes and of ``input``, for a few images after the other.

    Each is float64 ``[n, T, ...]``, or ``[n, 1, ...]`` where every timestep is the same. n depends on the
    network alone; the first n is 1.
    """
    start, count = 0, 1
    while start < len(images):
        values = _play(network, images[start : start + count], timesteps)
        yield values
        start += count
        if count == 1:
            size = sum(value.nbytes for value in values.values())
            count = int(np.clip(CHUNK_BYTES // size, 1, CHUNK_IMAGES))


def _play(network: FloatNetwork, images: NDArray[np.uint8], timesteps: int) -> dict[str, Values]:
    frames = images[:, :timesteps] if images.ndim == 5 else images[:, None]
    values: dict[str, Values] = {INPUT: frames.astype(np.float64) * network.input_scale}
    for node in network.nodes:
        values[node.name] = _node(node, values, timesteps, network)
    return values


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


def _node(node: FloatNode, values: dict[str, Values], timesteps: int, network: FloatNetwork) -> Values:
    read = [values[name] for name in node.inputs]
    x = read[0]
    match node:
        case FloatWeights():
            return _currents(node, x, network)
        case LIF():
            return _fire(node, np.broadcast_to(x, (len(x), timesteps, *x.shape[2:])))
        case LI():
            return _integrate(node, np.broadcast_to(x, (len(x), timesteps, *x.shape[2:])))
        case Pool2d():
            of_currents = any(n.name == node.inputs[0] for n in network.weighted)
            return _pool(node, x, -np.inf if of_currents and node.kind == "max" else 0.0)
        case Flatten():
            return x.reshape(*x.shape[:2], -1)
        case Add():
            fired = {n.name for n in network.nodes if isinstance(n, LIF | Pool2d)}
            total = sum(
                node.scale * v if name in fired else v for name, v in zip(node.inputs, read, strict=True)
            )
            return np.asarray(total)


def _currents(node: FloatWeights, x: Values, network: FloatNetwork) -> Values:
    if node.weight.ndim == 2:
        row = x.reshape(*x.shape[:2], -1)
        return np.asarray(node.scale * (row @ node.weight.T) + node.bias)
    seen = windows(node, x.reshape(-1, *x.shape[2:]), network)
    frames, channels, rows, columns = seen.shape[:4]
    sums = np.empty((frames, rows, columns, len(node.weight)))
    inner, outer = channels // node.groups, len(node.weight) // node.groups
    few = max(1, WINDOW_BYTES // (8 * max(1, seen[0].size // node.groups)))
    for group, start in itertools.product(range(node.groups), range(0, frames, few)):
        at = slice(group * outer, (group + 1) * outer)
        part = seen[start : start + few, group * inner : (group + 1) * inner].transpose(0, 2, 3, 1, 4, 5)
        kernel = node.weight[at].reshape(outer, -1)
        sums[start : start + few, ..., at] = part.reshape(*part.shape[:3], -1) @ kernel.T
    currents = (node.scale * sums + node.bias).transpose(0, 3, 1, 2)
    return currents.reshape(*x.shape[:2], *currents.shape[1:])


def _fire(node: LIF, currents: Values) -> Values:
    """Spikes of each timestep, ``[n, T, ...]``."""
    leak, threshold, drift, initial = (
        _along(v, currents) for v in (node.leak, node.threshold, node.drift, node.initial)
    )
    synapse = None if node.synapse is None else _along(node.synapse, currents)
    floor = -np.inf if node.floor is None else _along(node.floor, currents)
    membrane, current = np.broadcast_to(initial, currents[:, 0].shape), np.zeros(currents[:, 0].shape)
    fired = np.zeros(membrane.shape)
    resting = np.zeros(membrane.shape, np.int64)
    spikes = np.empty(currents.shape)
    least, most = threshold * (1.0 - TIE), threshold * (1.0 + TIE)
    for t in range(currents.shape[1]):
        current = currents[:, t] if synapse is None else synapse * current + currents[:, t]
        held, membrane = membrane, leak * membrane + current + drift
        if node.reset_at == "next":
            membrane = _after(node, membrane, threshold, fired)
        membrane = np.where(resting > 0, held, np.maximum(membrane, floor))
        if node.max_spikes > 1:
            fired = np.clip(np.floor(membrane / least), 0, node.max_spikes)
        else:
            fired = (membrane >= least if node.fires == "at" else membrane > most).astype(np.float64)
        fired = np.where(resting > 0, 0.0, fired)
        resting = np.where(fired > 0, node.refractory, np.maximum(resting - 1, 0))
        if node.reset_at == "now":
            membrane = _after(node, membrane, threshold, fired)
        spikes[:, t] = fired
    return spikes


def _after(node: LIF, membrane: Values, threshold: Values, fired: Values) -> Values:
    """The membrane once it is reset for the spikes `fired`."""
    if node.reset == "hard":
        return np.where(fired > 0, 0.0, membrane)
    return membrane - threshold * fired if node.reset == "soft" else membrane


def _integrate(node: LI, currents: Values) -> Values:
    leak = _along(node.leak, currents)
    synapse = None if node.synapse is None else _along(node.synapse, currents)
    membrane, current = np.zeros(currents[:, 0].shape), np.zeros(currents[:, 0].shape)
    out = np.empty(currents.shape)
    for t in range(currents.shape[1]):
        current = currents[:, t] if synapse is None else synapse * current + currents[:, t]
        membrane = leak * membrane + current
        out[:, t] = membrane
    return out


def _along(value: Any, currents: Values) -> Values:
    """A number, or ``[C]`` shaped to multiply ``[n, C, ...]``."""
    array = np.asarray(value, np.float64)
    return array.reshape(-1, *(1,) * (currents.ndim - 3)) if array.ndim else array


def _pool(node: Pool2d, x: Values, around: float) -> Values:
    (down, right), (tall, wide) = node.padding, node.size
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (down, down), (right, right)), constant_values=around)
    seen = np.lib.stride_tricks.sliding_window_view(padded, (tall, wide), axis=(3, 4))
    seen = seen[:, :, :, :: node.stride[0], :: node.stride[1]]
    if node.kind == "max":
        return np.asarray(seen.max((-2, -1)))
    total = seen.sum((-2, -1))
    return np.asarray(total / (tall * wide) if node.kind == "average" else total)
