"""Neurons as integers: thresholds, leaks and biases in fixed point, and the branches that meet before them;
activations as integers: multipliers, shifts and biases.

The unit of a layer's membranes is the scale of its main branch's output channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.functional.program.layers import (
    ActivationLayer,
    Branch,
    CrossbarLayer,
    IntegratorLayer,
    NeuronLayer,
    PooledBias,
)
from imcsim.functional.program.numerics import Numerics
from imcsim.network.graph import LI, LIF, Add, Delay, PerChannel, Pool2d, Relu

RATIO_FRACTION_BITS = 12
RATIO_BITS = 16
"""The factor that brings a residual branch to the unit of the main branch has RATIO_BITS significant bits,
and at least RATIO_FRACTION_BITS fractional ones."""

MAX_SHIFT = 62
"""A rounding shift right by so many bits gives 0 for every sum that is allowed."""

MAX_BRANCH_BITS = 60
SHORT_FRACTION_BITS = 20
"""Fraction bits of a membrane that need room for four thresholds only; more are granted where there is room
for ``2**HEADROOM_BITS`` thresholds, and sums stay within MAX_BRANCH_BITS."""

HEADROOM_BITS = 12

MAX_STATE_BITS = 38
"""Class outputs of integrators leave room for the 24 bits of their multiplier."""


@dataclass(frozen=True)
class Value:
    """What a node's integers mean: the largest of them, and the real worth of one count."""

    largest: int
    worth: float

    @property
    def bits(self) -> int:
        return self.largest.bit_length()


@dataclass(frozen=True, eq=False)
class _Currents:
    """What enters a layer of neurons: its branches, the crossbar layer whose unit and tiles it shares, and
    the sum of the branches' biases in that unit.
    """

    inputs: tuple[str, ...]
    add: Add | None
    main: CrossbarLayer
    bias: NDArray[np.float64]
    pooled: PooledBias


@dataclass(frozen=True)
class Before:
    """What comes before a node, by name: the layers, additions and pools of currents, the values, and which
    of them are delayed.
    """

    crossbars: dict[str, CrossbarLayer]
    adds: dict[str, Add]
    pools: dict[str, Pool2d]
    values: dict[str, Value]
    delays: dict[str, Delay]

    def current(self, name: str, add: Add) -> Any:
        """The current that one count of a spike train adds: a number, or one per channel."""
        weight = self.delays[name].weight if name in self.delays else add.scale
        return self.values[name].worth * weight


def _entering(node: LIF | LI | Relu, before: Before) -> _Currents:
    source, crossbars = node.inputs[0], before.crossbars
    if source in before.pools:
        return _pooled(before.pools[source], crossbars)
    add = before.adds.get(source)
    inputs = (source,) if add is None else add.inputs
    main = crossbars[next(name for name in inputs if name in crossbars)]
    bias = sum((crossbars[name].bias for name in inputs if name in crossbars), np.zeros(main.bias.shape))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return _Currents(inputs, add, main, bias / main.unit, PooledBias())


def _pooled(pool: Pool2d, crossbars: dict[str, CrossbarLayer]) -> _Currents:
    """A layer's currents behind a pool: an average's count is worth less, and sums are larger. Padding has no
    bias, so where it takes part the bias is that of one sum.
    """
    main = crossbars[pool.inputs[0]]
    if pool.kind == "max":
        bias, pooled = main.bias / main.unit, PooledBias()
    else:
        area = pool.size[0] * pool.size[1]
        unit = main.unit / area if pool.kind == "average" else main.unit
        bias, pooled = main.bias / main.unit * area, PooledBias(elements=area)
        if pool.padding != (0, 0):
            bias, pooled = main.bias / main.unit, PooledBias(windows=_in_the_map(pool, main.out_shape))
        main = replace(main, unit=unit, largest_sum=main.largest_sum * area, reach=main.reach * area)
    return _Currents((main.name,), None, main, bias, pooled)


def _in_the_map(pool: Pool2d, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """How many places of a map ``(H, W, C)`` each window has, int64 ``[H, W]``."""
    along = []
    for size, step, padding, side in zip(pool.size, pool.stride, pool.padding, shape, strict=False):
        first = np.arange((side + 2 * padding - size) // step + 1) * step - padding
        along.append(np.minimum(first + size, side) - np.maximum(first, 0))
    places: NDArray[np.int64] = np.multiply.outer(*along).astype(np.int64)
    return places


def laid(value: PerChannel) -> PerChannel:
    """A parameter as it meets channels: a number, ``[C]``, or ``[H * W, C]`` of each neuron's own."""
    own = isinstance(value, np.ndarray) and value.ndim == 3
    return np.asarray(value).transpose(1, 2, 0).reshape(-1, len(np.asarray(value))) if own else value


def _decay(value: PerChannel | None, channels: int, bits: int) -> NDArray[np.int64]:
    """A leak or synapse as words, one per channel or per neuron; none for None."""
    if value is None:
        return np.zeros(0, np.int64)
    words = np.rint(np.float64(1 << bits) * laid(value))
    return (words.reshape(-1) if np.ndim(words) == 2 else np.broadcast_to(words, (channels,))).astype(
        np.int64
    )


def _aligned(
    node: LIF | LI,
    enters: _Currents,
    before: Before,
    fraction: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], tuple[Branch, ...]]:
    """Shifts, bias and branches for membranes with `fraction` fraction bits, ``[C]`` (below 0: fewer)."""
    main = enters.main
    left, right = np.maximum(fraction, 0), np.clip(-fraction, 0, MAX_SHIFT)
    step = np.exp2(fraction)
    bias = np.rint(enters.bias * step)
    largest = main.largest_sum << int(left.max())
    branches: tuple[Branch, ...] = ()
    if enters.add is not None:
        add = enters.add
        branches = tuple(
            Branch(name, np.int64(1) << left, right)
            if name == main.name
            else _branch(name, before, add, step / main.unit)
            for name in enters.inputs
        )
        left, right = np.zeros_like(left), np.zeros_like(right)
    if largest >= 1 << MAX_BRANCH_BITS or float(np.abs(bias).max()) >= 2.0**60:
        raise ImcsimError(
            "currents and biases need more than 60 bits",
            key=node.name,
            fix="use fewer weight bits, smaller biases or a narrower membrane",
        )
    return left, right, bias, branches


def _spare_bits(enters: _Currents, before: Before) -> NDArray[np.int64]:
    """Fraction bits with which every branch stays within 58 bits, ``[C]``."""
    largest: Any = np.full(enters.main.unit.shape, float(enters.main.largest_sum))
    for name in enters.inputs:
        if name != enters.main.name and enters.add is not None:
            side = before.crossbars.get(name)
            worth = np.abs(before.current(name, enters.add)) if side is None else side.unit
            counts = before.values[name].largest if side is None else side.largest_sum
            with np.errstate(over="ignore", divide="ignore"):
                largest = np.maximum(largest, worth * float(counts) / enters.main.unit)
    spare: NDArray[np.int64] = np.clip(
        MAX_BRANCH_BITS - 4 - np.ceil(np.log2(largest)), 0, MAX_BRANCH_BITS
    ).astype(np.int64)
    return spare


def neurons(node: LIF, before: Before, numerics: Numerics) -> NeuronLayer:
    enters = _entering(node, before)
    main, channels = enters.main, len(enters.main.unit)
    limit = (1 << (numerics.membrane_bits - 1)) - 1
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        threshold = np.atleast_2d(laid(node.threshold) / main.unit)
        most_of_all = (3.0 + node.max_spikes) * threshold.max(axis=0)
        reach = np.maximum(most_of_all, 2.0 * _farthest(node) / main.unit)
        sane = np.isfinite(reach) & np.isfinite(enters.bias)
        room = np.floor(np.log2(limit / reach))
    if not sane.all():
        raise ImcsimError(
            "threshold or bias is too large for the scale of the weights",
            key=node.name,
            fix="import the network again, with more --weight-bits",
        )
    # Threshold and bias in units of the main branch's scale, with as many fractional bits as leave room for
    # four thresholds (three more than spikes in a timestep); more than a few only where there is ample room.
    # A channel of tiny scale may have less than none.
    most = np.minimum(_spare_bits(enters, before), numerics.fraction_bits)
    ample = np.minimum(room + 2 - HEADROOM_BITS, most)
    fraction = np.maximum(np.minimum(room, SHORT_FRACTION_BITS), ample).astype(np.int64)
    threshold = np.rint(threshold * np.exp2(fraction))
    if threshold.min() < 1:
        raise ImcsimError(
            f"one weight step is worth more than 2**{fraction.max()} thresholds",
            key=main.name,
            fix="use smaller scales or more weight bits",
        )
    left, right, bias, branches = _aligned(node, enters, before, fraction)
    bits = numerics.leak_fraction_bits
    return NeuronLayer(
        name=node.name,
        source=node.inputs[0],
        main=main.name,
        left=left,
        right=right,
        bias=bias.astype(np.int64),
        threshold=threshold.reshape(-1).astype(np.int64),
        above=node.fires == "above",
        leak=_decay(node.leak, channels, bits),
        synapse=_decay(node.synapse, channels, bits),
        decay_bits=bits,
        reset=node.reset,
        late=node.reset_at == "next",
        limit=limit,
        floor=_level(node.floor, main, fraction, limit),
        initial=_level(node.initial if np.any(node.initial) else None, main, fraction, limit),
        drift=_level(node.drift if np.any(node.drift) else None, main, fraction, limit),
        max_spikes=node.max_spikes,
        refractory=node.refractory,
        branches=branches,
        pooled=enters.pooled,
    )


def _farthest(node: LIF) -> Any:
    """The size of the farthest level from 0 that a membrane is set to besides its threshold."""
    levels = [np.abs(value) for value in (node.floor, node.initial, node.drift) if value is not None]
    return np.maximum.reduce([np.asarray(level, np.float64) for level in np.broadcast_arrays(*levels)])


def _level(
    value: PerChannel | None, main: CrossbarLayer, fraction: NDArray[np.int64], limit: int
) -> NDArray[np.int64]:
    """A potential in counts of the membrane, ``[C]``; none for None."""
    if value is None:
        return np.zeros(0, np.int64)
    counts = np.rint(value / main.unit * np.exp2(fraction))
    return np.clip(counts, -limit - 1, limit).astype(np.int64)


def integrators(node: LI, before: Before, numerics: Numerics, timesteps: int) -> IntegratorLayer:
    """Fraction bits leave room for the largest possible membrane after `timesteps` timesteps."""
    enters = _entering(node, before)
    main, channels = enters.main, len(enters.main.unit)
    limit = (1 << (min(numerics.membrane_bits, MAX_STATE_BITS) - 1)) - 1
    reach: Any = np.abs(enters.bias)
    for name in enters.inputs:
        side = main if name == main.name else before.crossbars.get(name)
        if side is not None:
            reach = reach + side.reach * (side.unit / main.unit)
        elif enters.add is not None:
            most = before.values[name].largest * np.abs(before.current(name, enters.add))
            reach = reach + most / main.unit
    for decay in (node.leak, node.synapse):
        if decay is not None:
            # The sum of the first powers of the decay.
            kept = np.asarray(decay, np.float64)[..., None] ** np.arange(timesteps)
            reach = reach * kept.sum(axis=-1)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        room = np.floor(np.log2(limit / np.maximum(reach, 1.0)))
    if not np.isfinite(room).all():
        raise ImcsimError(
            "a bias is too large for the scale of the weights",
            key=node.name,
            fix="import the network again, with more --weight-bits",
        )
    spare = np.maximum(_spare_bits(enters, before), 0)
    fraction = np.minimum(room, np.minimum(spare, numerics.fraction_bits)).astype(np.int64)
    left, right, bias, branches = _aligned(node, enters, before, fraction)
    bits = numerics.leak_fraction_bits
    return IntegratorLayer(
        name=node.name,
        source=node.inputs[0],
        main=main.name,
        left=left,
        right=right,
        bias=bias.astype(np.int64),
        leak=_decay(node.leak, channels, bits),
        synapse=_decay(node.synapse, channels, bits),
        decay_bits=bits,
        limit=limit,
        unit=main.unit * np.exp2(-fraction.astype(np.float64)),
        branches=branches,
        pooled=enters.pooled,
    )


def activations(node: Relu, before: Before, numerics: Numerics) -> ActivationLayer:
    """Multipliers of ``numerics.rescale_bits`` significant bits bring sums to steps, as integer-only networks
    are usually computed (Jacob et al., CVPR 2018). Of a residual addition each branch has its own; the
    largest of a channel takes all the bits.
    """
    enters = _entering(node, before)
    main = enters.main
    # What one count of each branch is worth, in steps, and the largest count.
    ratios: dict[str, tuple[Any, int]] = {main.name: (main.unit / node.step, main.largest_sum)}
    for name in enters.inputs:
        if name != main.name and enters.add is not None:
            side = before.crossbars.get(name)
            worth = side.unit if side is not None else before.current(name, enters.add)
            largest = side.largest_sum if side is not None else before.values[name].largest
            ratios[name] = (np.broadcast_to(worth / node.step, main.unit.shape), largest)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        bias = enters.bias * main.unit / node.step
        most = np.abs(bias) + sum(ratio * largest for ratio, largest in ratios.values())
        position = np.floor(np.log2(np.maximum.reduce([ratio for ratio, _ in ratios.values()])))
        room = MAX_BRANCH_BITS - 1 - np.ceil(np.log2(most))
    if not (np.isfinite(position) & np.isfinite(room) & (room >= 0)).all():
        raise ImcsimError(
            "sums and biases are too large for the step of the activations",
            key=node.name,
            fix="use smaller scales and biases, or a larger step",
        )
    wanted = np.clip(numerics.rescale_bits - 1 - position, 0, MAX_SHIFT)
    right = np.minimum(wanted, room).astype(np.int64)
    multipliers = {
        name: np.rint(ratio * np.exp2(right)).astype(np.int64) for name, (ratio, _) in ratios.items()
    }
    nothing = np.zeros_like(right)
    return ActivationLayer(
        name=node.name,
        source=node.inputs[0],
        main=main.name,
        multiplier=multipliers[main.name],
        right=right,
        bias=np.rint(bias * np.exp2(right)).astype(np.int64),
        top=node.top,
        branches=tuple(Branch(name, multipliers[name], nothing) for name in enters.inputs)
        if enters.add is not None
        else (),
        pooled=enters.pooled,
    )


def _branch(name: str, before: Before, add: Add, counts: NDArray[np.float64]) -> Branch:
    """Bring a side branch of `add` to the main branch's unit; counts: membrane counts of a current of 1,
    ``[C]``."""
    side = before.crossbars.get(name)
    worth = side.unit if side is not None else before.current(name, add)
    largest = side.largest_sum if side is not None else (1 << before.values[name].bits) - 1
    with np.errstate(over="ignore"):
        return side_branch(name, worth * counts, largest, add.name)


def side_branch(name: str, ratio: NDArray[np.float64], largest: int, key: str) -> Branch:
    """The branch of `name` with membrane counts `ratio` to one of its own, ``[C]``; none is above `largest`.
    Feedback may be negative.

    Raises ImcsimError, about `key`, where that needs more than 60 bits.
    """
    with np.errstate(divide="ignore"):
        position = np.clip(np.floor(np.log2(np.abs(ratio))), -1000, 1000).astype(np.int64)
    room = MAX_BRANCH_BITS - 1 - largest.bit_length() - position
    if room.min() < 0:
        raise ImcsimError(
            "a residual branch needs more than 60 bits",
            key=key,
            fix="give both branches scales of like size",
        )
    wanted = np.clip(RATIO_BITS - 1 - position, RATIO_FRACTION_BITS, MAX_SHIFT)
    right = np.minimum(wanted, room)
    return Branch(name, np.rint(ratio * np.exp2(right)).astype(np.int64), right)
