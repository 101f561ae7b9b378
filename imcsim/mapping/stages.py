"""The layer graph as hardware sees it: crossbar stages, and streams of rows between them.

A stage is a conv or linear layer with everything that happens behind its crossbars in the same tiles:
residual addition, neurons, pooling. An edge is a stream of rows from one stage (or the image) to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imcsim.errors import ImcsimError
from imcsim.network import shapes
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Pool2d

IMAGE = -1
"""The stage number of the global buffer, from which the image comes."""


@dataclass(frozen=True)
class Edge:
    """Rows from stage `source` to stage `target`.

    `role` says whether they are the crossbar's input or a current that meets its sums (``side``). A delivered
    row has `width` x `channels` values of `bits` bits; `height` rows make a map. Row r is ready when the
    source has finished its own rows below ``r * pool_stride + pool_size``.
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

    @property
    def row_bits(self) -> int:
        return self.width * self.channels * self.bits


@dataclass(frozen=True)
class Stage:
    """A conv or linear layer with `planes` input bits. Branches and outputs without LIF have no `neurons`."""

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
    """Values that pooling takes in, a timestep (0 without pooling)."""
    reads_image: bool
    is_output: bool

    @property
    def rows(self) -> int:
        return self.kernel[0] * self.kernel[1] * self.in_channels

    @property
    def positions(self) -> int:
        return self.out_height * self.out_width

    def rows_needed(self, out_row: int, in_height: int) -> int:
        """Input rows that must have arrived before output row `out_row` can start."""
        if self.kind == "linear":
            return in_height
        return max(0, min(in_height, out_row * self.stride[0] - self.padding[0] + self.kernel[0]))

    def rows_done(self, out_row: int, in_height: int) -> int:
        """Input rows that are not needed any more once output row `out_row` is finished."""
        if out_row == self.out_height - 1:
            return in_height
        return max(0, min(in_height, (out_row + 1) * self.stride[0] - self.padding[0]))


@dataclass(frozen=True)
class StageGraph:
    """Stages in topological order, and the edges between them."""

    stages: tuple[Stage, ...]
    edges: tuple[Edge, ...]
    image_bits: int
    classes: int

    def inputs(self, stage: Stage) -> tuple[Edge, ...]:
        return tuple(e for e in self.edges if e.target == stage.index)

    def outputs(self, index: int) -> tuple[Edge, ...]:
        return tuple(e for e in self.edges if e.source == index)


@dataclass(frozen=True)
class _Stream:
    """Where a node's values come from: stage, pooling on the way, map, bits."""

    stage: int
    size: int
    stride: int
    height: int
    width: int
    channels: int
    bits: int
    node: str


def stage_graph(network: Network, partial_sum_bits: int) -> StageGraph:
    """Fold `network` into stages. Raises ImcsimError for graphs that tiles cannot hold."""
    sizes = shapes(network)
    channels, height, width = network.input_shape
    streams: dict[str, _Stream] = {
        INPUT: _Stream(IMAGE, 1, 1, height, width, channels, network.input_bits, INPUT)
    }
    weighted = {node.name: k for k, node in enumerate(network.weighted)}
    fired = _stages_with_neurons(network)
    pooled = dict.fromkeys(weighted.values(), 0)
    adds: dict[str, Add] = {n.name: n for n in network.nodes if isinstance(n, Add)}
    edges: list[Edge] = []
    for node in network.nodes:
        if isinstance(node, Conv2d | Linear):
            source = streams[node.inputs[0]]
            edges.append(_edge(source, weighted[node.name], "input"))
            map_shape = (*sizes[node.name], 1, 1)[:3]
            streams[node.name] = _Stream(
                weighted[node.name], 1, 1, map_shape[1], map_shape[2], map_shape[0], partial_sum_bits, ""
            )
        elif isinstance(node, LIF):
            before = node.inputs[0]
            main = _main_branch(adds[before], weighted) if before in adds else before
            if before in adds:
                for side in adds[before].inputs:
                    if side != main:
                        edges.append(_edge(streams[side], weighted[main], "side"))
            at = streams[main]
            streams[node.name] = _Stream(at.stage, 1, 1, at.height, at.width, at.channels, 1, node.name)
        elif isinstance(node, Pool2d):
            at = streams[node.inputs[0]]
            out = sizes[node.name]
            bits = (node.size * node.size).bit_length() if node.kind == "average" else at.bits
            streams[node.name] = _Stream(
                at.stage,
                at.size + (node.size - 1) * at.stride,
                at.stride * node.stride,
                out[1],
                out[2],
                out[0],
                bits,
                node.name,
            )
            pooled[at.stage] += node.size * node.size * out[0] * out[1] * out[2]
        elif isinstance(node, Flatten):
            streams[node.name] = streams[node.inputs[0]]
    read = {edge.target: edge for edge in edges if edge.role == "input"}
    stages = tuple(
        _stage(k, node, sizes[node.name], read[k], fired, pooled[k], k == len(weighted) - 1)
        for k, node in enumerate(network.weighted)
    )
    return StageGraph(stages, tuple(edges), channels * height * width * network.input_bits, network.classes)


def _edge(at: _Stream, target: int, role: Literal["input", "side"]) -> Edge:
    return Edge(
        at.stage, target, role, at.height, at.width, at.channels, at.bits, at.size, at.stride, at.node
    )


def _main_branch(add: Add, weighted: dict[str, int]) -> str:
    """The branch in whose tiles the sum and the neurons stand: the first one with crossbars."""
    return next(name for name in add.inputs if name in weighted)


def _stages_with_neurons(network: Network) -> frozenset[str]:
    """Names of the layers whose tiles hold the neurons."""
    weighted = {n.name: k for k, n in enumerate(network.weighted)}
    adds = {n.name: n for n in network.nodes if isinstance(n, Add)}
    before = [n.inputs[0] for n in network.nodes if isinstance(n, LIF)]
    mains = [_main_branch(adds[b], weighted) if b in adds else b for b in before]
    twice = {m for m in mains if mains.count(m) > 1}
    if twice:
        raise ImcsimError(
            "two LIF layers read the same crossbar layer", key=sorted(twice)[0], fix="give each its own layer"
        )
    return frozenset(mains)


def _stage(
    index: int, node: Conv2d | Linear, shape: tuple[int, ...], edge: Edge, fired: frozenset[str], pooled: int,
    is_output: bool,
) -> Stage:  # fmt: skip
    conv = isinstance(node, Conv2d)
    return Stage(
        index=index,
        name=node.name,
        kind="conv" if conv else "linear",
        kernel=(node.weight.shape[2], node.weight.shape[3]) if isinstance(node, Conv2d) else (1, 1),
        stride=node.stride if isinstance(node, Conv2d) else (1, 1),
        padding=node.padding if isinstance(node, Conv2d) else (0, 0),
        in_channels=node.weight.shape[1],
        out_height=shape[1] if len(shape) == 3 else 1,
        out_width=shape[2] if len(shape) == 3 else 1,
        out_channels=shape[0],
        planes=edge.bits,
        neurons=node.name in fired,
        pool_inputs=pooled,
        reads_image=edge.source == IMAGE,
        is_output=is_output,
    )
