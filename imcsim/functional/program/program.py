"""A network as the integers the chip computes with: cells, ADC steps, thresholds in fixed point.

The unit of a layer's currents is the scale of its output channel, so no multiplier stands between crossbar
and neuron: threshold and bias are divided by the scale once, here, and stored for each channel. A channel's
membrane has as many fractional bits as its threshold leaves room for (four thresholds of head room). Sums
that become activations do have a multiplier, a shift and a bias for each channel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.functional.program.designed import designed_crossbars
from imcsim.functional.program.layers import (
    ActivationLayer,
    Branch,
    CrossbarLayer,
    DelayLayer,
    FlattenLayer,
    IntegratorLayer,
    NeuronLayer,
    PoolLayer,
    Program,
    Step,
    SumLayer,
)
from imcsim.functional.program.membranes import Before, Value, activations, integrators, neurons
from imcsim.functional.program.numerics import Numerics
from imcsim.network import shapes
from imcsim.network.graph import INPUT, LI, LIF, Add, Conv2d, Delay, Linear, Network, Pool2d, Relu
from imcsim.network.sums import largest_value, sums_spikes

__all__ = [
    "FLAT_INPUT",
    "IDEAL_ADC_MAX",
    "ActivationLayer",
    "Branch",
    "CrossbarLayer",
    "DelayLayer",
    "FlattenLayer",
    "IntegratorLayer",
    "NeuronLayer",
    "PoolLayer",
    "Program",
    "SumLayer",
    "build",
]

MAX_OUTPUT_BITS = 37
"""Class outputs leave room for a running mean over 4,096 timesteps (`choices.MAX_TIMESTEPS`)."""

IDEAL_ADC_MAX = 2**30

FLAT_INPUT = "input in a row"
"""The image as a `Linear` reads it; no node can have this name."""


def build(network: Network, numerics: Numerics) -> Program:
    """Lower `network` to integers.

    Raises ImcsimError where a word of 64 bits would overflow, or a threshold would be less than one count.
    """
    sizes = shapes(network)
    values: dict[str, Value] = {INPUT: Value((1 << network.input_bits) - 1, network.input_scale)}
    crossbars: dict[str, CrossbarLayer] = {}
    adds: dict[str, Add] = {}
    pools: dict[str, Pool2d] = {}
    delays: dict[str, Delay] = {}
    before = Before(crossbars, adds, pools, values, delays)
    steps: list[Step] = []
    known = {node.name: node for node in network.nodes}
    types = numerics.assignment.types_of(network.fan_ins)
    for node in network.nodes:
        shape = sizes[node.name]
        if isinstance(node, Conv2d | Linear):
            source = node.inputs[0]
            if isinstance(node, Linear) and source == INPUT:
                source = FLAT_INPUT
                if source not in values:
                    steps.append(FlattenLayer(source, INPUT))
                    values[source] = values[INPUT]
            kind = types[node.name]
            own = numerics.of_type(kind)
            layer = _crossbar(network, node, source, values[source], _map_shape(shape), own)
            layer = replace(layer, tile_type=kind)
            crossbars[node.name] = layer
            steps.append(layer)
        elif isinstance(node, Add) and sums_spikes(node, known):
            steps.append(SumLayer(node.name, node.inputs))
            values[node.name] = Value(sum(values[name].largest for name in node.inputs), 1.0)
        elif isinstance(node, Add):
            adds[node.name] = node
        elif isinstance(node, LIF):
            steps.append(neurons(node, before, numerics))
            values[node.name] = Value(node.max_spikes, 1.0)
        elif isinstance(node, LI):
            steps.append(integrators(node, before, numerics, network.timesteps))
        elif isinstance(node, Relu):
            steps.append(activations(node, before, numerics))
            values[node.name] = Value(node.top, node.step)
        elif isinstance(node, Pool2d):
            currents = node.inputs[0] in crossbars
            if currents:
                pools[node.name] = node
            else:
                values[node.name] = _pooled(node, values[node.inputs[0]])
            steps.append(
                PoolLayer(
                    node.name, node.inputs[0], node.size, node.stride, node.padding, node.kind != "max",
                    _map_shape(shape), currents, len(shape) == 1,
                )
            )  # fmt: skip
        elif isinstance(node, Delay):
            delays[node.name] = node
            values[node.name] = _spikes(network, node.inputs[0])
            steps.append(DelayLayer(node.name, node.inputs[0], node.timesteps, _map_shape(shape)))
        else:
            steps.append(FlattenLayer(node.name, node.inputs[0]))
            values[node.name] = values[node.inputs[0]]
    return _with_output(network, crossbars, steps, numerics)


def _spikes(network: Network, name: str) -> Value:
    """What the integers of a node mean that may come later: neurons, pools and sums of their spikes, rows of
    them.
    """
    node = network.node(name)
    if isinstance(node, LIF):
        return Value(node.max_spikes, 1.0)
    if isinstance(node, Add):
        return Value(largest_value(node, {n.name: n for n in network.nodes}), 1.0)
    before = _spikes(network, node.inputs[0])
    return _pooled(node, before) if isinstance(node, Pool2d) else before


def _pooled(node: Pool2d, before: Value) -> Value:
    """What a pool's integers mean: an average is a sum that is worth less."""
    if node.kind == "max":
        return before
    window = node.size[0] * node.size[1]
    if before.largest * window > 255:
        raise ImcsimError(
            f"{'an average' if node.kind == 'average' else 'a sum'} over {window} values needs more than 8 "
            "input bits",
            key=node.name,
            fix="use windows of at most 15 x 15" if before.largest == 1 else "use smaller windows",
        )
    return Value(before.largest * window, before.worth / window if node.kind == "average" else before.worth)


def _map_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """``(H, W, C)`` of a node's shape ``(C, H, W)`` or ``(C,)``."""
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else (1, 1, shape[0])


def _crossbar(
    network: Network,
    node: Conv2d | Linear,
    source: str,
    value: Value,
    out_shape: tuple[int, int, int],
    numerics: Numerics,
) -> CrossbarLayer:
    bits = network.bits_of(node)
    largest = (1 << value.bits) - 1
    pulses = largest if numerics.input_drive != "bits" else 0
    crossbars = designed_crossbars(node, bits, pulses, numerics)
    rows = crossbars.layout.rows
    largest_read = int(crossbars.layout.block_rows.max()) * crossbars.largest_level * max(pulses, 1)
    # All slices of all rows at full input bound every intermediate of the digital sums. A rounding ADC at
    # most doubles what it reads: it gives 0 below half a step.
    largest_sum = 2 * rows * (1 << bits) * largest
    if largest_read > IDEAL_ADC_MAX or largest_sum >= 1 << 60:
        raise ImcsimError("sums need more than 60 bits", key=node.name, fix="use fewer weight or input bits")
    return CrossbarLayer(
        name=node.name,
        source=source,
        crossbars=crossbars,
        planes=value.bits,
        stride=node.stride if isinstance(node, Conv2d) else (1, 1),
        padding=node.padding if isinstance(node, Conv2d) else (0, 0),
        border=network.input_padding if source == INPUT and any(network.input_padding) else (),
        out_shape=out_shape,
        unit=np.asarray(node.scale, np.float64) * value.worth,
        bias=np.asarray(node.bias, np.float64),
        largest_sum=largest_sum,
        reach=value.largest
        * np.abs(node.weight.astype(np.int32)).reshape(len(node.weight), -1).sum(axis=1, dtype=np.float64),
        accumulator=np.dtype(np.int32 if largest_sum < 1 << 30 else np.int64),
    )


def _with_output(
    network: Network, crossbars: dict[str, CrossbarLayer], steps: list[Step], numerics: Numerics
) -> Program:
    last = network.nodes[-1].name
    one = float(1 << numerics.checker.fraction_bits) / network.votes
    step = next(s for s in steps if s.name == last)
    if isinstance(step, CrossbarLayer):
        multiplier, right, bias = _scaled(last, step.unit * one, step.bias * one, step.largest_sum, 16, 40)
    elif isinstance(step, IntegratorLayer):
        unit = step.unit * one
        multiplier, right, bias = _scaled(last, unit, np.zeros_like(unit), step.limit + 1, 24, 60)
    elif network.votes > 1:
        worth = np.full(network.classes * network.votes, one)
        multiplier, right, bias = _scaled(last, worth, np.zeros_like(worth), 255, 16, 40)
    else:  # spikes, each of which counts as 1
        multiplier, right, bias = (
            np.full(network.classes, int(one), np.int64),
            0,
            np.zeros(network.classes, np.int64),
        )
    return Program(
        steps=tuple(steps),
        output=last,
        out_multiplier=multiplier,
        out_right=right,
        out_bias=bias,
        numerics=numerics,
        classes=network.classes,
        votes=network.votes,
    )


def _scaled(
    name: str,
    unit: NDArray[np.float64],
    bias: NDArray[np.float64],
    largest: int,
    significant: int,
    longest: int,
) -> tuple[NDArray[np.int64], int, NDArray[np.int64]]:
    """Multiplier, shift (`longest` at most) and bias of class outputs whose counts are worth `unit`."""
    if largest * float(unit.max()) + float(np.abs(bias).max()) >= 2.0**MAX_OUTPUT_BITS:
        raise ImcsimError(
            f"class outputs need more than {MAX_OUTPUT_BITS} bits",
            key=name,
            fix="use smaller scales or fewer fraction_bits in the checker",
        )
    # So many significant bits for the largest class scale; more would not change a class output by one count.
    position = np.floor(np.log2(max(float(unit.max()), 2.0**-100)))
    right = int(np.clip(significant - 1 - position, 0, longest))
    return np.rint(unit * 2.0**right).astype(np.int64), right, np.rint(bias).astype(np.int64)
