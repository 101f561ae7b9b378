"""A network as the integers the chip computes with: cells, ADC steps, thresholds in fixed point.

The unit of a layer's currents is the scale of its output channel, so no multiplier stands between crossbar
and neuron: threshold and bias are divided by the scale once, here, and stored for each channel. A channel's
membrane has as many fractional bits as its threshold leaves room for (four thresholds of head room).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.errors import ImcsimError
from imcsim.functional.numerics import Numerics
from imcsim.network import shapes
from imcsim.network.cells import to_cells
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Linear, Network, Pool2d
from imcsim.network.rows import RowLayout, row_layout

LEAK_FRACTION_BITS = 15
"""Leaks are 16-bit words; the published 0.5 is exact."""

MAX_FRACTION_BITS = 20
RATIO_FRACTION_BITS = 12
RATIO_BITS = 16
"""The factor that brings a residual branch to the unit of the main branch has RATIO_BITS significant bits,
and at least RATIO_FRACTION_BITS fractional ones."""

MAX_SHIFT = 62
"""A rounding shift right by so many bits gives 0 for every sum that is allowed."""

MAX_BRANCH_BITS = 60
MAX_OUTPUT_BITS = 37
"""Class outputs leave room for a running mean over 256 timesteps."""

IDEAL_ADC_MAX = 2**30

FLAT_INPUT = "input in a row"
"""The image as a `Linear` reads it; no node can have this name."""


@dataclass(frozen=True, eq=False)
class CrossbarLayer:
    """A conv or linear layer as programmed.

    levels ``[rows, slices * Cout]``; unit: real value of one count ``[Cout]``; largest_sum bounds the size of
    every digital sum and of what is added up on the way to it.
    """

    name: str
    source: str
    layout: RowLayout
    levels: NDArray[Any]
    level_sum: NDArray[np.int64]
    factor: NDArray[np.int64]
    offset: int
    planes: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    out_shape: tuple[int, int, int]
    unit: NDArray[np.float64]
    bias: NDArray[np.float64]
    largest_sum: int
    accumulator: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class Branch:
    """A current that enters a neuron, aligned by ``(x * multiplier + half) >> right`` for each channel."""

    source: str
    multiplier: NDArray[np.int64]
    right: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NeuronLayer:
    """LIF neurons in fixed point. left, right, bias, threshold: int64 ``[C]``."""

    name: str
    source: str
    main: str
    """The crossbar layer in whose tiles these neurons stand."""
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    bias: NDArray[np.int64]
    threshold: NDArray[np.int64]
    leak: int
    hard: bool
    limit: int
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True)
class PoolLayer:
    name: str
    source: str
    size: int
    stride: int
    average: bool
    out_shape: tuple[int, int, int]


@dataclass(frozen=True)
class FlattenLayer:
    name: str
    source: str


Step = CrossbarLayer | NeuronLayer | PoolLayer | FlattenLayer


@dataclass(frozen=True, eq=False)
class Program:
    """Steps in order. Class outputs in 2**-fraction_bits: ``((sum * multiplier + half) >> right) + bias``."""

    steps: tuple[Step, ...]
    output: str
    out_multiplier: NDArray[np.int64]
    out_right: int
    out_bias: NDArray[np.int64]
    numerics: Numerics
    classes: int

    @property
    def crossbar_layers(self) -> tuple[CrossbarLayer, ...]:
        return tuple(s for s in self.steps if isinstance(s, CrossbarLayer))

    @property
    def neuron_layers(self) -> tuple[NeuronLayer, ...]:
        return tuple(s for s in self.steps if isinstance(s, NeuronLayer))


@dataclass(frozen=True)
class _Value:
    """What a node's integers mean: bits of a value, and the real worth of one count."""

    bits: int
    worth: float


def build(network: Network, numerics: Numerics) -> Program:
    """Lower `network` to integers.

    Raises ImcsimError where a word of 64 bits would overflow, or a threshold would be less than one count.
    """
    sizes = shapes(network)
    values: dict[str, _Value] = {INPUT: _Value(network.input_bits, network.input_scale)}
    crossbars: dict[str, CrossbarLayer] = {}
    adds: dict[str, Add] = {}
    steps: list[Step] = []
    for node in network.nodes:
        shape = sizes[node.name]
        if isinstance(node, Conv2d | Linear):
            source = node.inputs[0]
            if isinstance(node, Linear) and source == INPUT:
                source = FLAT_INPUT
                if source not in values:
                    steps.append(FlattenLayer(source, INPUT))
                    values[source] = values[INPUT]
            layer = _crossbar(network, node, source, values[source], _map_shape(shape), numerics)
            crossbars[node.name] = layer
            steps.append(layer)
        elif isinstance(node, Add):
            adds[node.name] = node
        elif isinstance(node, LIF):
            steps.append(_neurons(node, crossbars, adds, values, numerics))
            values[node.name] = _Value(1, 1.0)
        elif isinstance(node, Pool2d):
            average = node.kind == "average"
            window = node.size * node.size
            if average and window > 255:
                raise ImcsimError(
                    f"an average over {window} spikes needs more than 8 input bits",
                    key=node.name,
                    fix="use windows of at most 15 x 15",
                )
            steps.append(
                PoolLayer(node.name, node.inputs[0], node.size, node.stride, average, _map_shape(shape))
            )
            before = values[node.inputs[0]]
            values[node.name] = _Value(window.bit_length(), 1.0 / window) if average else before
        else:
            steps.append(FlattenLayer(node.name, node.inputs[0]))
            values[node.name] = values[node.inputs[0]]
    return _with_output(network, crossbars, steps, numerics)


def _map_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """``(H, W, C)`` of a node's shape ``(C, H, W)`` or ``(C,)``."""
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else (1, 1, shape[0])


def _crossbar(
    network: Network,
    node: Conv2d | Linear,
    source: str,
    value: _Value,
    out_shape: tuple[int, int, int],
    numerics: Numerics,
) -> CrossbarLayer:
    layout = row_layout(node, numerics.rows, numerics.row_order)
    weight = node.weight if isinstance(node, Conv2d) else node.weight[:, :, None, None]
    cells = to_cells(layout.order(weight), network.weight_bits, numerics.cell_bits, numerics.encoding)
    slices, out_channels, rows = cells.levels.shape
    levels = np.ascontiguousarray(cells.levels.reshape(slices * out_channels, rows).T)
    largest_read = int(layout.block_rows.max()) * int(levels.max(initial=0))
    levels = levels.astype(np.int16 if largest_read <= np.iinfo(np.int16).max else np.int32)
    # All slices of all rows at full input bound every intermediate of the digital sums. A rounding ADC at
    # most doubles what it reads: it gives 0 below half a step.
    largest_sum = 2 * rows * (1 << network.weight_bits) * ((1 << value.bits) - 1)
    if largest_read > IDEAL_ADC_MAX or largest_sum >= 1 << 60:
        raise ImcsimError("sums need more than 60 bits", key=node.name, fix="use fewer weight or input bits")
    return CrossbarLayer(
        name=node.name,
        source=source,
        layout=layout,
        levels=levels,
        level_sum=levels.astype(np.int64).sum(axis=1),
        factor=cells.factor,
        offset=cells.offset,
        planes=value.bits,
        stride=node.stride if isinstance(node, Conv2d) else (1, 1),
        padding=node.padding if isinstance(node, Conv2d) else (0, 0),
        out_shape=out_shape,
        unit=np.asarray(node.scale, np.float64) * value.worth,
        bias=np.asarray(node.bias, np.float64),
        largest_sum=largest_sum,
        accumulator=np.dtype(np.int32 if largest_sum < 1 << 30 else np.int64),
    )


def _neurons(
    node: LIF,
    crossbars: dict[str, CrossbarLayer],
    adds: dict[str, Add],
    values: dict[str, _Value],
    numerics: Numerics,
) -> NeuronLayer:
    source = node.inputs[0]
    add = adds.get(source)
    inputs = (source,) if add is None else add.inputs
    main = crossbars[next(name for name in inputs if name in crossbars)]
    limit = (1 << (numerics.membrane_bits - 1)) - 1
    bias = sum((crossbars[name].bias for name in inputs if name in crossbars), np.zeros(main.bias.shape))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        threshold, bias = node.threshold / main.unit, bias / main.unit
        sane = np.isfinite(4.0 * threshold) & np.isfinite(bias)
        room = np.floor(np.log2(limit / (4.0 * threshold)))
    if not sane.all():
        raise ImcsimError("threshold or bias is too large for the scale of the weights", key=node.name)
    # Threshold and bias in units of the main branch's scale, with as many fractional bits as fit. A channel
    # of tiny scale may have less than none.
    fraction = np.minimum(room, MAX_FRACTION_BITS).astype(np.int64)
    left, right = np.maximum(fraction, 0), np.clip(-fraction, 0, MAX_SHIFT)
    step = np.exp2(fraction)
    threshold, bias = np.rint(threshold * step), np.rint(bias * step)
    if threshold.min() < 1:
        raise ImcsimError(
            f"one weight step is worth more than 2**{MAX_FRACTION_BITS} thresholds",
            key=main.name,
            fix="use smaller scales or more weight bits",
        )
    branches: list[Branch] = []
    if add is None:
        largest = main.largest_sum << int(left.max())
    else:
        branches = [
            Branch(name, np.int64(1) << left, right)
            if name == main.name
            else _branch(name, crossbars, values, add, step / main.unit)
            for name in inputs
        ]
        largest = main.largest_sum << int(left.max())
        left, right = np.zeros_like(left), np.zeros_like(right)
    if largest >= 1 << MAX_BRANCH_BITS or float(np.abs(bias).max()) >= 2.0**60:
        raise ImcsimError(
            "currents and biases need more than 60 bits",
            key=node.name,
            fix="use fewer weight bits, smaller biases or a narrower membrane",
        )
    return NeuronLayer(
        name=node.name,
        source=source,
        main=main.name,
        left=left,
        right=right,
        bias=bias.astype(np.int64),
        threshold=threshold.astype(np.int64),
        leak=round(node.leak * (1 << LEAK_FRACTION_BITS)),
        hard=node.reset == "hard",
        limit=limit,
        branches=tuple(branches),
    )


def _branch(
    name: str,
    crossbars: dict[str, CrossbarLayer],
    values: dict[str, _Value],
    add: Add,
    counts: NDArray[np.float64],
) -> Branch:
    """Bring a side branch of `add` to the main branch's unit; counts: membrane counts of a current of 1,
    ``[C]``."""
    side = crossbars.get(name)
    worth = side.unit if side is not None else values[name].worth * add.scale
    largest = side.largest_sum if side is not None else (1 << values[name].bits) - 1
    with np.errstate(over="ignore", divide="ignore"):
        ratio = worth * counts
        position = np.clip(np.floor(np.log2(ratio)), -1000, 1000).astype(np.int64)
    room = MAX_BRANCH_BITS - 1 - largest.bit_length() - position
    if room.min() < 0:
        raise ImcsimError(
            "a residual branch needs more than 60 bits",
            key=add.name,
            fix="give both branches scales of like size",
        )
    wanted = np.clip(RATIO_BITS - 1 - position, RATIO_FRACTION_BITS, MAX_SHIFT)
    right = np.minimum(wanted, room)
    return Branch(name, np.rint(ratio * np.exp2(right)).astype(np.int64), right)


def _with_output(
    network: Network, crossbars: dict[str, CrossbarLayer], steps: list[Step], numerics: Numerics
) -> Program:
    last = crossbars[network.nodes[-1].name]
    one = float(1 << numerics.checker.fraction_bits)
    unit, bias = last.unit * one, last.bias * one
    if last.largest_sum * float(unit.max()) + float(np.abs(bias).max()) >= 2.0**MAX_OUTPUT_BITS:
        raise ImcsimError(
            f"class outputs need more than {MAX_OUTPUT_BITS} bits",
            key=last.name,
            fix="use smaller scales or fewer fraction_bits in the checker",
        )
    # 16 significant bits for the largest class scale; more would not change a class output by one count.
    position = np.floor(np.log2(max(float(unit.max()), 2.0**-100)))
    right = int(np.clip(15 - position, 0, 40))
    return Program(
        steps=tuple(steps),
        output=last.name,
        out_multiplier=np.rint(unit * 2.0**right).astype(np.int64),
        out_right=right,
        out_bias=np.rint(bias).astype(np.int64),
        numerics=numerics,
        classes=network.classes,
    )
