"""The layer graph as hardware sees it: crossbar stages, and streams of rows between them.

A stage is a conv or linear layer with everything that happens behind its crossbars in the same tiles:
residual addition, neurons, pooling. An edge is a stream of rows from one stage (or the image) to another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.network import shapes
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
    Pool2d,
    Relu,
)
from imcsim.network.sums import largest_value, neurons_of_sum, sums_spikes

IMAGE = -1
"""The stage number of the global buffer, from which the image comes."""

BUFFER = -2
"""The stage number of the global buffer as a receiver: it keeps rows for layers that are loaded later."""


@dataclass(frozen=True)
class Edge:
    """Rows from stage `source` to stage `target`.

    `role` says whether they are the crossbar's input or a current that meets its sums (``side``). A delivered
    row has `width` x `channels` values of `bits` bits; `height` rows make a map. Row r is ready when the
    source has finished its own rows below ``r * pool_stride - pool_padding + pool_size`` (all of them where
    it has fewer); `pool_area` values are pooled into each of its values.

    With a `delay` of k timesteps the rows of a timestep are what the target works on k timesteps later: they
    are kept in memory of its own until then. In the first timesteps it finds zeros there.
    """

    source: int
    target: int
    role: Literal["input", "side"]
    height: int
    width: int
    channels: int
    bits: int
    pool_size: int = 1
    pool_stride: int = 1
    node: str = ""
    """The node whose values travel; empty for currents."""
    pool_padding: int = 0
    pool_area: int = 1
    delay: int = 0
    delayed: str = ""
    """The node that holds these values k timesteps later; empty without a delay."""
    channel_stride: int = 1
    """Neighbouring values of a row from one pooled value to the next."""

    @property
    def read_node(self) -> str:
        """The node whose values the target works on."""
        return self.delayed or self.node

    @property
    def stays(self) -> bool:
        """Whether spikes come back to their own neurons, so that each part needs its own alone."""
        return self.source == self.target and self.role == "side" and self.pool_size == 1

    @property
    def row_bits(self) -> int:
        return self.width * self.channels * self.bits


def rows_after(y: int, own: int, height: int, size: int, stride: int, padding: int) -> range:
    """The pooled rows, of `height`, that are complete once own row y of `own` is done: one or none, but for
    the last own row, below which all that is left is padding.
    """
    row, rest = divmod(y + 1 + padding - size, stride)
    if y == own - 1:
        # The first row that the own row before did not complete.
        before = (y + padding - size) // stride
        return range(max(0, before + 1), height)
    return range(row, row + 1) if row >= 0 and rest == 0 and row < height else range(0)


@dataclass(frozen=True)
class CurrentPool:
    """A pool between a layer's sums and its neurons: `height` x `width` windows, sizes as (rows, columns)."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    height: int
    width: int

    @property
    def area(self) -> int:
        """Sums under a window."""
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class Stage:
    """A conv or linear layer with `planes` input bits. Branches and outputs without LIF have no `neurons`.

    Of a grouped convolution `in_channels` counts the channels of all groups.
    """

    index: int
    name: str
    kind: Literal["conv", "linear"]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    in_channels: int
    out_height: int
    out_width: int
    out_channels: int
    planes: int
    neurons: bool
    pool_inputs: int
    """Values that pooling takes in per timestep (0 without pooling)."""
    reads_image: bool
    is_output: bool
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    states: int = 1
    """Words of state of a neuron: its membrane, and a synaptic current; none of an activation."""
    fires: bool = True
    """Neurons give spikes; those that never fire give their membranes."""
    spike_bits: int = 1
    """Bits of what a neuron gives in a timestep: more than one where it may fire several times, and those of
    an activation.
    """
    counter_bits: int = 0
    """Bits in which a neuron counts its refractory timesteps."""
    pool: CurrentPool | None = None
    """What its currents pass before the neurons."""
    weight_bits: int = 8
    sum_bits: int = 0
    """Bits of the sum of its neurons' spikes and those of others, made behind them; 0 where there is none."""
    neuron_words: int = 0
    """Parameters that each neuron has for itself: a threshold, a leak, a synapse."""
    channels_together: int = 1
    """Neighbouring outputs that must not be parted, since they are pooled: windows begin at multiples."""
    spikes_read: bool = True
    """Whether the spikes leave, or their sum with others alone."""

    def keeps_currents(self, hardware: HardwareConfig) -> bool:
        """Whether its currents are computed once for an image, and stored: those of the encoder."""
        return self.reads_image and hardware.encoder.mode == "keep"

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns that a window spans."""
        return (
            (self.kernel[0] - 1) * self.dilation[0] + 1,
            (self.kernel[1] - 1) * self.dilation[1] + 1,
        )

    @property
    def spikes(self) -> bool:
        """Whether spikes leave, of `spike_bits` each; else sums or membranes do."""
        return self.neurons and self.fires

    @property
    def activates(self) -> bool:
        """Whether its neurons are activations, which keep nothing."""
        return self.neurons and self.states == 0

    @property
    def written_bits(self) -> int:
        """Bits that a neuron puts into the output register: its spikes, their sum with others, or both."""
        return self.sum_bits + (self.spike_bits if self.spikes_read else 0)

    @property
    def updates(self) -> int:
        """Turns of a lane that a neuron takes: one for each word of state, and one for each further bit of
        its spikes. These are found from the highest bit on, by comparing with that many thresholds and taking
        them away (restoring division). An activation takes one.
        """
        if self.activates:
            return 1
        return self.states + self.spike_bits - 1

    def state_bits(self, membrane_bits: int) -> int:
        """Bits that a neuron keeps from one timestep to the next."""
        return self.states * membrane_bits + self.counter_bits

    @property
    def rows(self) -> int:
        return self.kernel[0] * self.kernel[1] * self.in_channels

    @property
    def positions(self) -> int:
        return self.out_height * self.out_width

    @property
    def leaving_height(self) -> int:
        """Rows that leave: those behind a pool of currents, where there is one."""
        return self.out_height if self.pool is None else self.pool.height

    @property
    def leaving_width(self) -> int:
        return self.out_width if self.pool is None else self.pool.width

    @property
    def neuron_positions(self) -> int:
        return self.leaving_height * self.leaving_width

    def rows_behind_pool(self, y: int) -> range:
        """The rows of neurons whose currents are complete once own row y is done, behind a pool of them."""
        pool = self.pool
        if pool is None:
            return range(0)
        return rows_after(y, self.out_height, pool.height, pool.size[0], pool.stride[0], pool.padding[0])

    def rows_needed(self, out_row: int, in_height: int) -> int:
        """Input rows that must have arrived before output row `out_row` can start."""
        if self.kind == "linear":
            return in_height
        return max(0, min(in_height, out_row * self.stride[0] - self.padding[0] + self.extent[0]))

    def rows_done(self, out_row: int, in_height: int) -> int:
        """Input rows that are not needed any more once output row `out_row` is finished."""
        if out_row == self.out_height - 1:
            return in_height
        return max(0, min(in_height, (out_row + 1) * self.stride[0] - self.padding[0]))


@dataclass(frozen=True)
class StageGraph:
    """Stages in topological order but for delays, and the edges between them."""

    stages: tuple[Stage, ...]
    edges: tuple[Edge, ...]
    image_bits: int
    classes: int
    votes: int = 1
    """Outputs per class, which are averaged."""
    timesteps: int = 1
    """For which the network was trained."""
    stored: tuple[Edge, ...] = ()
    """Rows that go to the global buffer, for stages that are not in this graph (see mapping.reload)."""

    @property
    def answers(self) -> bool:
        """Whether class outputs come of it."""
        return any(stage.is_output for stage in self.stages)

    def inputs(self, stage: Stage) -> tuple[Edge, ...]:
        return tuple(e for e in self.edges if e.target == stage.index)

    def outputs(self, index: int) -> tuple[Edge, ...]:
        return tuple(e for e in self.edges if e.source == index)


@dataclass(frozen=True)
class _Stream:
    """Where a node's values come from: stage, pooling on the way, map, largest value or bits of a sum."""

    stage: int
    height: int
    width: int
    channels: int
    bits: int
    node: str
    largest: int = 1
    size: int = 1
    stride: int = 1
    padding: int = 0
    rows: int = 1
    row_stride: int = 1
    columns: int = 1
    column_stride: int = 1
    """Pooling so far: rows of the stage under a window, its step and padding; and rows and columns of spikes
    under a window and their steps (as large as they are without padding)."""
    channel_stride: int = 1
    delay: int = 0
    delayed: str = ""
    """Timesteps by which it is delayed, and the node that does it."""


def stage_graph(network: Network, partial_sum_bits: int) -> StageGraph:
    """Fold `network` into stages. Raises ImcsimError for graphs that tiles cannot hold."""
    sizes = shapes(network)
    channels, height, width = network.input_shape
    streams: dict[str, _Stream] = {INPUT: _Stream(IMAGE, height, width, channels, network.input_bits, INPUT)}
    weighted = {node.name: k for k, node in enumerate(network.weighted)}
    neurons = _neurons_of_stages(network)
    pooled = dict.fromkeys(weighted.values(), 0)
    adds: dict[str, Add] = {n.name: n for n in network.nodes if isinstance(n, Add)}
    pools = _pools_of_currents(network, sizes)
    known = {node.name: node for node in network.nodes}
    sums = _sums(network)
    for node in network.nodes:
        if isinstance(node, Conv2d | Linear):
            map_shape = (*sizes[node.name], 1, 1)[:3]
            streams[node.name] = _Stream(
                weighted[node.name], map_shape[1], map_shape[2], map_shape[0], partial_sum_bits, ""
            )
        elif isinstance(node, LIF | LI | Relu):
            at, pool = streams[_main(node, network, adds, weighted)], pools.get(node.inputs[0])
            most = _most(node)
            streams[node.name] = _Stream(
                at.stage, at.height, at.width, at.channels, most.bit_length(), node.name, most
            )
            if pool is not None:
                streams[node.name] = replace(
                    streams[node.name], height=pool.height, width=pool.width, size=pool.size[0],
                    stride=pool.stride[0], padding=pool.padding[0],
                )  # fmt: skip
        elif isinstance(node, Pool2d):
            at = streams[node.inputs[0]]
            # What is pooled before the neurons travels nowhere.
            streams[node.name] = at if node.name in pools else _pooled(node, at, sizes[node.name])
            pooled[at.stage] += math.prod(node.size) * math.prod(sizes[node.name])
        elif isinstance(node, Add) and node.name in sums:
            largest = largest_value(node, known)
            streams[node.name] = replace(
                streams[sums[node.name]], bits=largest.bit_length(), node=node.name, largest=largest
            )
    _behind_delays(network, streams)
    edges = _edges(network, streams, adds, weighted) + [
        _edge(streams[name], streams[of].stage, "side")
        for add, of in sums.items()
        for name in adds[add].inputs
        if name != of
    ]
    read = {edge.target: edge for edge in edges if edge.role == "input"}
    last = network.nodes[-1]
    output = next((stage for stage, node in neurons.items() if node is last), last.name)
    stages = tuple(
        replace(
            _stage(
                k, node, sizes[node.name], read[k], neurons.get(node.name), pooled[k], node.name == output
            ),
            weight_bits=network.bits_of(node),
            pool=next((pools[n.inputs[0]] for n in _of(neurons, node) if n.inputs[0] in pools), None),
            sum_bits=next((streams[add].bits for add, of in sums.items() if streams[of].stage == k), 0),
            channels_together=math.lcm(*(edge.channel_stride for edge in edges if edge.source == k)),
            spikes_read=all(_read_alone(n.name, network, sums) for n in _of(neurons, node)),
        )
        for k, node in enumerate(network.weighted)
    )
    return StageGraph(
        stages, tuple(edges), channels * height * width * network.input_bits, network.classes, network.votes,
        network.timesteps,
    )  # fmt: skip


def _sums(network: Network) -> dict[str, str]:
    """The sums of spikes, and the neurons in whose tiles each is made. Raises ImcsimError where none are."""
    known = {node.name: node for node in network.nodes}
    found: dict[str, str] = {}
    for node in network.nodes:
        if isinstance(node, Add) and sums_spikes(node, known):
            of = neurons_of_sum(node, known)
            if of is None or of in found.values():
                raise ImcsimError(
                    "it adds spikes in no tile of its own",
                    key=node.name,
                    fix="let it add the spikes of neurons to what came earlier, one sum for each",
                )
            found[node.name] = of
    return found


def _read_alone(neurons: str, network: Network, sums: Mapping[str, str]) -> bool:
    """Whether spikes leave as they are, and not in a sum alone."""
    mine = {add for add, of in sums.items() if of == neurons}
    readers = {node.name for node in network.nodes if neurons in node.inputs}
    return not mine or neurons == network.nodes[-1].name or bool(readers - mine)


def _behind_delays(network: Network, streams: dict[str, _Stream]) -> None:
    """The streams of delays, which may read later nodes, and of rows of values."""
    left = [node for node in network.nodes if isinstance(node, Flatten | Delay)]
    while left:
        node = next(n for n in left if n.inputs[0] in streams)
        left.remove(node)
        before = streams[node.inputs[0]]
        streams[node.name] = (
            replace(before, delay=node.timesteps, delayed=node.name) if isinstance(node, Delay) else before
        )


def _edges(
    network: Network, streams: Mapping[str, _Stream], adds: Mapping[str, Add], weighted: dict[str, int]
) -> list[Edge]:
    """Who reads whom, in the order of the nodes."""
    edges: list[Edge] = []
    for node in network.nodes:
        if isinstance(node, Conv2d | Linear):
            edges.append(_edge(streams[node.inputs[0]], weighted[node.name], "input"))
        elif isinstance(node, LIF | LI | Relu) and node.inputs[0] in adds:
            main = _main(node, network, adds, weighted)
            sides = [name for name in adds[node.inputs[0]].inputs if name != main]
            edges += [_edge(streams[side], weighted[main], "side") for side in sides]
    return edges


def _edge(at: _Stream, target: int, role: Literal["input", "side"]) -> Edge:
    return Edge(
        at.stage, target, role, at.height, at.width, at.channels, at.bits, at.size, at.stride, at.node,
        at.padding, at.rows * at.columns, at.delay, at.delayed, at.channel_stride,
    )  # fmt: skip


def _pooled(node: Pool2d, at: _Stream, shape: tuple[int, ...]) -> _Stream:
    """A stream behind one more pool: windows of windows are larger windows."""
    largest = at.largest if node.kind == "max" else at.largest * math.prod(node.size)
    if len(shape) == 1:
        return replace(
            at,
            channels=shape[0],
            bits=largest.bit_length(),
            node=node.name,
            largest=largest,
            columns=at.columns * node.size[1],
            channel_stride=at.channel_stride * node.stride[1],
        )
    return replace(
        at,
        height=shape[1],
        width=shape[2],
        bits=largest.bit_length(),
        node=node.name,
        largest=largest,
        size=at.size + (node.size[0] - 1) * at.stride,
        stride=at.stride * node.stride[0],
        padding=at.padding + node.padding[0] * at.stride,
        rows=at.rows + (node.size[0] - 1) * at.row_stride,
        row_stride=at.row_stride * node.stride[0],
        columns=at.columns + (node.size[1] - 1) * at.column_stride,
        column_stride=at.column_stride * node.stride[1],
    )


def _main_branch(add: Add, weighted: dict[str, int]) -> str:
    """The branch in whose tiles the sum and the neurons stand: the first one with crossbars."""
    return next(name for name in add.inputs if name in weighted)


def _pools_of_currents(network: Network, sizes: Mapping[str, tuple[int, ...]]) -> dict[str, CurrentPool]:
    """The pools between weights and neurons, by name."""
    weighted = {node.name for node in network.weighted}
    return {
        node.name: CurrentPool(node.size, node.stride, node.padding, *sizes[node.name][1:])
        for node in network.nodes
        if isinstance(node, Pool2d) and node.inputs[0] in weighted
    }


def _most(node: LIF | LI | Relu | None) -> int:
    """The largest value that neurons give."""
    if isinstance(node, Relu):
        return node.top
    return node.max_spikes if isinstance(node, LIF) else 1


def _main(node: LIF | LI | Relu, network: Network, adds: Mapping[str, Add], weighted: dict[str, int]) -> str:
    """The layer in whose tiles neurons stand."""
    before = node.inputs[0]
    if before in adds:
        return _main_branch(adds[before], weighted)
    return before if before in weighted else network.node(before).inputs[0]


def _of(neurons: Mapping[str, LIF | LI | Relu], node: Conv2d | Linear) -> tuple[LIF | LI | Relu, ...]:
    """The neurons of a layer: one or none."""
    return (neurons[node.name],) if node.name in neurons else ()


def _neurons_of_stages(network: Network) -> dict[str, LIF | LI | Relu]:
    """The neurons in the tiles of each layer that has some, by the layer's name."""
    weighted = {n.name: k for k, n in enumerate(network.weighted)}
    adds = {n.name: n for n in network.nodes if isinstance(n, Add)}
    found = [n for n in network.nodes if isinstance(n, LIF | LI | Relu)]
    mains = [_main(n, network, adds, weighted) for n in found]
    twice = {m for m in mains if mains.count(m) > 1}
    if twice:
        raise ImcsimError(
            "two LIF layers read the same crossbar layer",
            key=sorted(twice)[0],
            fix="give each its own layer",
        )
    return dict(zip(mains, found, strict=True))


def _stage(
    index: int, node: Conv2d | Linear, shape: tuple[int, ...], edge: Edge, neurons: LIF | LI | Relu | None,
    pooled: int, is_output: bool,
) -> Stage:  # fmt: skip
    conv = isinstance(node, Conv2d)
    groups = node.groups if isinstance(node, Conv2d) else 1
    return Stage(
        index=index,
        name=node.name,
        kind="conv" if conv else "linear",
        kernel=(node.weight.shape[2], node.weight.shape[3]) if isinstance(node, Conv2d) else (1, 1),
        stride=node.stride if isinstance(node, Conv2d) else (1, 1),
        padding=node.padding if isinstance(node, Conv2d) else (0, 0),
        in_channels=node.weight.shape[1] * groups,
        out_height=shape[1] if len(shape) == 3 else 1,
        out_width=shape[2] if len(shape) == 3 else 1,
        out_channels=shape[0],
        planes=edge.bits,
        neurons=neurons is not None,
        pool_inputs=pooled,
        reads_image=edge.source == IMAGE,
        is_output=is_output,
        dilation=node.dilation if isinstance(node, Conv2d) else (1, 1),
        groups=groups,
        states=_states(neurons),
        fires=not isinstance(neurons, LI),
        spike_bits=_most(neurons).bit_length(),
        counter_bits=neurons.refractory.bit_length() if isinstance(neurons, LIF) else 0,
        neuron_words=sum(np.ndim(getattr(neurons, key)) == 3 for key in OWN)
        if isinstance(neurons, LIF)
        else 0,
    )


def _states(neurons: LIF | LI | Relu | None) -> int:
    """Words of state of a neuron."""
    if isinstance(neurons, Relu):
        return 0
    return 1 if neurons is None or neurons.synapse is None else 2
