"""A network as the integers the chip computes with: cells, ADC steps, thresholds in fixed point.

The unit of a layer's currents is the scale of its output channel, so no multiplier stands between crossbar and
neuron: threshold and bias are divided by the scale once, here, and stored for each channel. A channel's membrane
has as many fractional bits as its threshold leaves room for (four thresholds of head room).
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
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Pool2d
from imcsim.network.rows import RowLayout, row_layout

LEAK_FRACTION_BITS = 15
"""Leaks are 16-bit words; the published 0.5 is exact."""

MAX_FRACTION_BITS = 20
RATIO_FRACTION_BITS = 12
"""Fractional bits of the factor that brings a residual branch to the unit of the main branch."""

IDEAL_ADC_MAX = 2**30


@dataclass(frozen=True, eq=False)
class CrossbarLayer:
    """A conv or linear layer as programmed. levels ``[rows, slices * Cout]``; unit: real value of one count ``[Cout]``."""

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
    """Lower `network` to integers. Raises ImcsimError where a word of 64 bits would overflow."""
    sizes = shapes(network)
    values: dict[str, _Value] = {INPUT: _Value(network.input_bits, network.input_scale)}
    crossbars: dict[str, CrossbarLayer] = {}
    adds: dict[str, Add] = {}
    steps: list[Step] = []
    for node in network.nodes:
        shape = sizes[node.name]
        if isinstance(node, Conv2d | Linear):
            layer = _crossbar(network, node, values[node.inputs[0]], _map_shape(shape), numerics)
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
    network: Network, node: Conv2d | Linear, value: _Value, out_shape: tuple[int, int, int], numerics: Numerics
) -> CrossbarLayer:
    layout = row_layout(node, numerics.rows, numerics.row_order)
    weight = node.weight if isinstance(node, Conv2d) else node.weight[:, :, None, None]
    cells = to_cells(layout.order(weight), network.weight_bits, numerics.cell_bits, numerics.encoding)
    slices, out_channels, rows = cells.levels.shape
    levels = np.ascontiguousarray(cells.levels.reshape(slices * out_channels, rows).T)
    largest_read = int(layout.block_rows.max()) * int(levels.max(initial=0))
    levels = levels.astype(np.int16 if largest_read <= np.iinfo(np.int16).max else np.int32)
    # The sum of all slices of all rows at full input bounds every intermediate of the digital sums. A rounding
    # ADC adds at most one step a read, which doubling covers.
    bound = 2 * rows * (1 << network.weight_bits) * ((1 << value.bits) - 1) * 2
    if bound >= 1 << 62:
        raise ImcsimError("sums need more than 62 bits", key=node.name, fix="use fewer weight or input bits")
    return CrossbarLayer(
        name=node.name,
        source=node.inputs[0],
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
        accumulator=np.dtype(np.int32 if bound < 1 << 31 else np.int64),
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
    # exact: threshold and bias in units of the main branch's scale, then as many fractional bits as fit.
    threshold = node.threshold / main.unit
    room = np.floor(np.log2(limit / (4.0 * threshold)))
    fraction = np.clip(room, -40, MAX_FRACTION_BITS).astype(np.int64)
    bias = main.bias + sum(
        (crossbars[n].bias for n in inputs if n in crossbars and n != main.name), np.zeros(main.bias.shape)
    )
    if add is not None and add.inputs[0] == add.inputs[1]:
        bias = 2 * main.bias
    step = np.exp2(fraction)
    branches: list[Branch] = []
    for name in inputs if add is not None else ():
        if name == main.name:
            branches.append(
                Branch(name, np.int64(1) << np.maximum(fraction, 0), np.maximum(-fraction, 0))
            )
            continue
        worth = crossbars[name].unit if name in crossbars else values[name].worth * add.scale  # type: ignore[union-attr]
        ratio = np.broadcast_to(worth / main.unit, main.unit.shape) * step
        multiplier = np.rint(ratio * (1 << RATIO_FRACTION_BITS))
        if np.abs(multiplier).max() * _largest(crossbars.get(name)) >= 2.0**62:
            raise ImcsimError("a residual branch needs more than 62 bits", key=source)
        branches.append(
            Branch(name, multiplier.astype(np.int64), np.full(main.unit.shape, RATIO_FRACTION_BITS, np.int64))
        )
    aligned = add is not None
    return NeuronLayer(
        name=node.name,
        source=source,
        main=main.name,
        left=np.zeros_like(fraction) if aligned else np.maximum(fraction, 0),
        right=np.zeros_like(fraction) if aligned else np.maximum(-fraction, 0),
        bias=_rounded(bias / main.unit * step, limit),
        threshold=np.maximum(_rounded(threshold * step, limit), 1),
        leak=round(node.leak * (1 << LEAK_FRACTION_BITS)),
        hard=node.reset == "hard",
        limit=limit,
        branches=tuple(branches),
    )


def _largest(layer: CrossbarLayer | None) -> float:
    """A bound on the digital sum that a branch brings."""
    if layer is None:
        return 255.0
    return float(layer.layout.rows) * float(np.abs(layer.factor).sum()) * float(layer.levels.max(initial=1))


def _rounded(value: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    return np.rint(np.clip(value, -float(limit), float(limit))).astype(np.int64)


def _with_output(
    network: Network, crossbars: dict[str, CrossbarLayer], steps: list[Step], numerics: Numerics
) -> Program:
    last = crossbars[network.nodes[-1].name]
    one = float(1 << numerics.checker.fraction_bits)
    # 16 significant bits for the largest class scale; more would not change a class output by one count.
    right = int(np.clip(15 - np.floor(np.log2(last.unit.max() * one)), 0, 40))
    return Program(
        steps=tuple(steps),
        output=last.name,
        out_multiplier=np.rint(last.unit * one * 2.0**right).astype(np.int64),
        out_right=right,
        out_bias=np.rint(last.bias * one).astype(np.int64),
        numerics=numerics,
        classes=network.classes,
    )
