"""What a chip's words do to thresholds, biases and leaks: their widths, and what rounding changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from imcsim.functional.program.membranes import laid
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import (
    ActivationLayer,
    IntegratorLayer,
    NeuronLayer,
    Program,
    build,
)
from imcsim.network.graph import LI, LIF, Network, Pool2d


@dataclass(frozen=True)
class FixedPoint:
    """Words of one layer of neurons. `fraction_bits` are those of the membrane, in units of the weights'
    scale: the fewest and the most of all channels (below 0: the last bits of the sums are dropped).

    threshold_error: the largest change of a threshold by rounding, as a share of it; None for integrators.
    bias_error: the largest change of a bias, floor, drift or initial membrane, as a share of the threshold
    (for integrators, of the largest bias). leak_error: the largest change of a leak or synapse, as a share
    of it.
    """

    name: str
    membrane_bits: int
    fraction_bits: tuple[int, int]
    leak_fraction_bits: int
    threshold_error: float | None
    bias_error: float
    leak_error: float


def fixed_point(network: Network, numerics: Numerics) -> tuple[FixedPoint, ...]:
    """The words of each layer with membranes on a chip. Raises ImcsimError where a word overflows."""
    return words_of(network, build(network, numerics))


def words_of(network: Network, program: Program) -> tuple[FixedPoint, ...]:
    """The words of each layer with membranes in a program of the network."""
    numerics = program.numerics
    units = {layer.name: layer.unit for layer in program.crossbar_layers}
    biases = {layer.name: layer.bias for layer in program.crossbar_layers}
    return tuple(
        _words(network, layer, units, biases, numerics)
        for layer in program.neuron_layers
        if not isinstance(layer, ActivationLayer)
    )


def _words(
    network: Network,
    layer: NeuronLayer | IntegratorLayer,
    units: dict[str, Any],
    biases: dict[str, Any],
    numerics: Numerics,
) -> FixedPoint:
    node, unit = network.node(layer.name), units[layer.main]
    assert isinstance(node, LIF | LI)
    pool = network.node(node.inputs[0])
    count = math.prod(pool.size) if isinstance(pool, Pool2d) and pool.kind != "max" else 1
    if isinstance(pool, Pool2d) and pool.kind == "average":
        unit = unit / count
    if isinstance(layer, NeuronLayer):
        assert isinstance(node, LIF)
        threshold = np.atleast_2d(laid(node.threshold) / unit)
        words = layer.threshold.reshape(threshold.shape)
        fraction = np.rint(np.log2(words.max(axis=0) / threshold.max(axis=0))).astype(np.int64)
        counts = threshold * np.exp2(fraction)
        threshold_error: float | None = float((np.abs(words - counts) / counts).max())
    else:
        fraction = np.rint(np.log2(unit / layer.unit)).astype(np.int64)
        threshold_error = None
    names = [branch.source for branch in layer.branches] or [layer.main]
    exact = sum((biases[name] for name in names if name in biases), np.zeros_like(unit)) / units[layer.main]
    # Of pooled sums as many as there are, or of one where padding has none.
    exact = exact * np.exp2(fraction) * (1 if layer.pooled.windows.size else count)
    scale = counts if isinstance(layer, NeuronLayer) else np.maximum(np.abs(exact).max(), 1.0)
    changes = [np.abs(layer.bias - exact) / scale]
    for key in ("floor", "drift", "initial") if isinstance(layer, NeuronLayer) else ():
        if len(words := getattr(layer, key)):
            changes.append(np.abs(words - getattr(node, key) / unit * np.exp2(fraction)) / scale)
    return FixedPoint(
        name=layer.name,
        membrane_bits=numerics.membrane_bits,
        fraction_bits=(int(fraction.min()), int(fraction.max())),
        leak_fraction_bits=layer.decay_bits,
        threshold_error=threshold_error,
        bias_error=max(float(change.max()) for change in changes),
        leak_error=max(
            _relative(layer.leak, node.leak, layer.decay_bits),
            _relative(layer.synapse, node.synapse, layer.decay_bits),
        ),
    )


def _relative(words: Any, value: Any, bits: int) -> float:
    if value is None:
        return 0.0
    plain = np.asarray(laid(value), np.float64)
    exact = np.broadcast_to(plain.reshape(-1) if plain.ndim == 2 else plain, words.shape)
    change = np.abs(words / 2.0**bits - exact)
    return float(np.divide(change, exact, out=np.zeros_like(exact), where=exact > 0).max(initial=0.0))
