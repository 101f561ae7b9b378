"""A network with real weights plays images in float64: what quantisation is compared with."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.importers.importing.float_network import FloatNetwork, FloatNode, FloatWeights, Values
from imcsim.importers.importing.float_values import FloatIntegrators, FloatNeurons, node_values
from imcsim.network.graph import INPUT, LI, LIF, Delay, Flatten, Pool2d

CHUNK_IMAGES = 16
CHUNK_BYTES = 1 << 28
"""Images that are played together: so many at most, and fewer where their values take more memory."""

FEW_TIMESTEPS = 16
"""So many are always played together."""


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
        outputs.append(class_outputs(network, values, timesteps))
        for name in record:
            kept[name].append(values[name].astype(np.uint8))
    return FloatActivity(
        np.concatenate(outputs), {name: np.concatenate(pieces) for name, pieces in kept.items()}
    )


def class_outputs(network: FloatNetwork, values: dict[str, Values], timesteps: int) -> Values:
    """Class outputs of played images, ``[n, T, classes]``: what the last node gives, or averages of its
    votes.
    """
    last = values[network.nodes[-1].name]
    every = np.broadcast_to(last, (len(last), timesteps, *last.shape[2:]))
    return np.asarray(every.reshape(len(last), timesteps, -1, network.votes).mean(axis=-1))


@dataclass(frozen=True, eq=False)
class FloatBlock:
    """The values of all nodes and of ``input`` for some images in some timesteps.

    Each is float64 ``[n, t, ...]``, or ``[n, 1, ...]`` where every timestep is the same.
    """

    images: slice
    timesteps: slice
    values: dict[str, Values]

    @property
    def count(self) -> int:
        """How many timesteps these are."""
        return int(self.timesteps.stop - self.timesteps.start)


def walk(network: FloatNetwork, images: NDArray[np.uint8], timesteps: int) -> Iterator[dict[str, Values]]:
    """The values of all nodes and of ``input``, for a few images after the other, as in `FloatBlock`, of all
    timesteps. n depends on the network alone; the first n is 1.
    """
    for block in _walk(network, images, timesteps, timesteps):
        yield block.values


def walk_blocks(network: FloatNetwork, images: NDArray[np.uint8], timesteps: int) -> Iterator[FloatBlock]:
    """As `walk`, with blocks of timesteps one after the other where all of an image's would take too much
    memory.
    """
    block = timesteps
    if timesteps > FEW_TIMESTEPS and len(images):
        once = _Player(network, images[:1]).play(0, 1)
        block = int(np.clip(CHUNK_BYTES // sum(value.nbytes for value in once.values()), 1, timesteps))
    yield from _walk(network, images, timesteps, block)


def _walk(
    network: FloatNetwork, images: NDArray[np.uint8], timesteps: int, block: int
) -> Iterator[FloatBlock]:
    start, count = 0, 1
    while start < len(images):
        stop, size = min(start + count, len(images)), 0
        player = _Player(network, images[start:stop])
        for begin in range(0, timesteps, block):
            end = min(begin + block, timesteps)
            values = player.play(begin, end)
            yield FloatBlock(slice(start, stop), slice(begin, end), values)
            size += sum(value.nbytes for value in values.values())
        start = stop
        if count == 1:
            count = int(np.clip(CHUNK_BYTES // size, 1, CHUNK_IMAGES))


class _Player:
    """Some images on their way through the network, a block of timesteps after the other."""

    def __init__(self, network: FloatNetwork, images: NDArray[np.uint8]) -> None:
        self.network, self.images = network, images
        self.looped = _looped(network)
        self.constant = set() if images.ndim == 5 else _constant(network)
        self.values: dict[str, Values] = {}
        """Of nodes that give the same in every timestep."""
        self.states: dict[str, FloatNeurons | FloatIntegrators] = {}
        self.late: dict[str, deque[Values]] = {
            node.name: deque() for node in network.nodes if isinstance(node, Delay)
        }
        """What each delay will give, a timestep each."""
        self.silent: dict[str, tuple[int, ...]] = {}

    def play(self, start: int, stop: int) -> dict[str, Values]:
        """The values of timesteps `start` to `stop`, which follow those played before."""
        frames = self.images[:, start:stop] if self.images.ndim == 5 else self.images[:, None]
        values = {INPUT: frames.astype(np.float64) * self.network.input_scale, **self.values}
        for node in self.network.nodes:
            if node.name in values or node.name in self.looped:
                continue
            if not isinstance(node, LIF | LI | Delay):
                values[node.name] = node_values(node, values, self.network)
                continue
            x = values[node.inputs[0]]
            x = np.broadcast_to(x, (len(x), stop - start, *x.shape[2:]))
            made = np.empty(x.shape)
            for t in range(stop - start):
                if isinstance(node, Delay):
                    self.late[node.name].append(x[:, t])
                    made[:, t] = self._due(node, x.shape[2:])
                else:
                    made[:, t] = self._step(node, x[:, t])
            values[node.name] = made
        self.values = {name: values[name] for name in self.constant}
        if self.looped:
            self._play_loops(values, stop - start)
        return values

    def _step(self, node: LIF | LI, current: Values) -> Values:
        if node.name not in self.states:
            made = FloatNeurons(node, current) if isinstance(node, LIF) else FloatIntegrators(node, current)
            self.states[node.name] = made
        return self.states[node.name].step(current)

    def _due(self, node: Delay, shape: tuple[int, ...], coming: int = 0) -> Values:
        """What a delay gives now; `coming`: entries that this timestep has yet to add."""
        queue = self.late[node.name]
        if len(queue) + coming <= node.timesteps:
            return np.zeros((len(self.images), *shape))
        return queue.popleft()

    def _play_loops(self, values: dict[str, Values], timesteps: int) -> None:
        """Play nodes timestep by timestep; `values` has those of all others, and receives theirs."""
        nodes = [node for node in self.network.nodes if node.name in self.looped]
        kept: dict[str, list[Values]] = {node.name: [] for node in nodes}
        self.silent = self.silent or _silent(self.network, values, self.looped)
        for t in range(timesteps):
            here = {name: v[:, t : t + 1] if v.shape[1] > 1 else v for name, v in values.items()}
            for node in nodes:
                if isinstance(node, Delay):
                    made = self._due(node, self.silent[node.name], coming=1)[:, None]
                elif isinstance(node, LIF | LI):
                    made = self._step(node, here[node.inputs[0]][:, 0])[:, None]
                else:
                    made = node_values(node, here, self.network)
                here[node.name] = made
                kept[node.name].append(made)
            for node in nodes:
                if isinstance(node, Delay):
                    self.late[node.name].append(here[node.inputs[0]][:, 0])
        values |= {name: np.concatenate(pieces, axis=1) for name, pieces in kept.items()}


def _constant(network: FloatNetwork) -> set[str]:
    """The nodes that give the same in every timestep where the image is the same."""
    found = {INPUT}
    for node in network.nodes:
        if not isinstance(node, LIF | LI | Delay) and found.issuperset(node.inputs):
            found.add(node.name)
    return found - {INPUT}


def _looped(network: FloatNetwork) -> set[str]:
    """The nodes whose values hang on spikes that come back."""
    found: set[str] = set()
    seen = {INPUT}
    for node in network.nodes:
        if not found.isdisjoint(node.inputs) or not seen.issuperset(node.inputs):
            found.add(node.name)
        seen.add(node.name)
    return found


def _silent(
    network: FloatNetwork, values: dict[str, Values], looped: Collection[str]
) -> dict[str, tuple[int, ...]]:
    """Shapes of what delays give, without images and timesteps. An addition has that of any of its branches,
    and weights in a row give as many values as they have rows.
    """
    known = {name: value.shape[2:] for name, value in values.items()}
    left = [node for node in network.nodes if node.name in looped]
    while left:
        for node in left:
            shape = _shape_of(node, known, network)
            if shape is not None:
                known[node.name] = shape
        before, left = len(left), [node for node in left if node.name not in known]
        assert len(left) < before, "folding has seen to it that sizes are known"
    return known


def _shape_of(
    node: FloatNode, known: dict[str, tuple[int, ...]], network: FloatNetwork
) -> tuple[int, ...] | None:
    read = next((known[name] for name in node.inputs if name in known), None)
    if isinstance(node, FloatWeights) and node.weight.ndim == 2:
        return (len(node.weight),)
    if read is None:
        return None
    if isinstance(node, FloatWeights | Pool2d | Flatten):
        return node_values(node, {node.inputs[0]: np.zeros((1, 1, *read))}, network).shape[2:]
    return read
