"""Membranes in fixed point, compiled: neurons that fire, and integrators that do not.

As in `imcsim.functional.kernels`, raw arrays go in and out, with channels last.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.kernels import HARD, SOFT, jit, step


@jit
def _decayed(value: Any, decay: Any, bits: int) -> Any:
    """``(value * decay) >> bits``; with `bits` above 15 (then 43 to 48) the nearest integer to the product.

    Rounding there makes decays that have no binary word, as 0.8, hit thresholds where they do exactly. The
    product of 56 and 48 bits is taken in pieces of 14 bits of the value, from the lowest, each floored.
    """
    if bits <= 15:
        return (value * decay) >> bits
    low = ((value & 0x3FFF) * decay) >> 14
    low = (((value >> 14) & 0x3FFF) * decay + low) >> 14
    low = (((value >> 28) & 0x3FFF) * decay + low) >> 14
    return ((value >> 42) * decay + low + (1 << (bits - 43))) >> (bits - 42)


@step
def _aligned(value: Any, left: Any, right: Any) -> Any:
    """A current in the unit of the membrane: ``<< left``, or a rounding ``>> right``."""
    return ((value << left) + ((1 << right) >> 1)) >> right


STATES = 4
"""What a neuron keeps at most: its membrane, its synaptic current, the timesteps that it rests, and its last
spikes.
"""

STRIP = 256
"""Neurons that take all their timesteps together, or one position's where these are more: a loop over few
channels is slow.
"""


@step
def _enter(
    current: NDArray[Any],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    bias: NDArray[np.int64],
    entering: NDArray[np.int64],
) -> None:
    """What enters some neurons in a timestep."""
    for c in range(current.shape[0]):
        entering[c] = _aligned(np.int64(current[c]), left[c], right[c]) + bias[c]


@step
def _decay(
    state: NDArray[np.int64], decay: NDArray[np.int64], decay_bits: int, entering: NDArray[np.int64]
) -> None:
    """Let membranes or synaptic currents decay for a timestep, and add what enters."""
    for c in range(entering.shape[0]):
        state[c] = _decayed(state[c], decay[c], decay_bits) + entering[c]


@step
def _saturate(state: NDArray[np.int64], limit: int) -> None:
    for c in range(state.shape[0]):
        state[c] = min(max(state[c], -limit - 1), limit)


@step
def _fire(
    membrane: NDArray[np.int64], threshold: NDArray[np.int64], beyond: int, spikes: NDArray[np.uint8]
) -> int:
    """Spikes of membranes that are at least `beyond` above their threshold; returns how many."""
    total = 0
    for c in range(spikes.shape[0]):
        spike = membrane[c] >= threshold[c] + beyond
        spikes[c] = spike
        total += spike
    return total


@step
def _fire_several(
    membrane: NDArray[np.int64], threshold: NDArray[np.int64], most: int, spikes: NDArray[np.uint8]
) -> int:
    """Whole thresholds in each membrane, `most` at most; returns how many spikes these are."""
    total = 0
    for c in range(spikes.shape[0]):
        count = 0
        if membrane[c] >= threshold[c]:
            count = min(membrane[c] // threshold[c], most)
        spikes[c] = count
        total += count
    return total


@step
def _silence(resting: NDArray[np.int64], refractory: int, spikes: NDArray[np.uint8]) -> int:
    """Take back spikes of neurons that rest, let those that fired begin to; returns spikes taken back."""
    taken = 0
    for c in range(spikes.shape[0]):
        if resting[c] > 0:
            resting[c] -= 1
            taken += spikes[c]
            spikes[c] = 0
        elif spikes[c] > 0:
            resting[c] = refractory
    return taken


@step
def _reset(
    membrane: NDArray[np.int64],
    threshold: NDArray[np.int64],
    spikes: NDArray[np.uint8],
    reset: int,
    most: int,
) -> None:
    if reset == HARD:
        for c in range(spikes.shape[0]):
            membrane[c] = 0 if spikes[c] else membrane[c]
    elif reset == SOFT and most > 1:
        for c in range(spikes.shape[0]):
            membrane[c] -= threshold[c] * np.int64(spikes[c])
    elif reset == SOFT:
        for c in range(spikes.shape[0]):
            membrane[c] -= threshold[c] if spikes[c] else 0


@step
def _repeated(values: NDArray[np.int64], times: int) -> NDArray[np.int64]:
    """One number per channel, for so many positions."""
    channels = values.shape[0]
    repeated = np.empty(times * channels, np.int64)
    for k in range(times):
        for c in range(channels):
            repeated[k * channels + c] = values[c]
    return repeated


@step
def _copy(source: NDArray[np.int64], target: NDArray[np.int64]) -> None:
    """``target[: len(source)] = source``: numba takes two seconds to compile an assignment of arrays."""
    for c in range(source.shape[0]):
        target[c] = source[c]


@step
def _part(values: NDArray[Any], first: int, count: int) -> NDArray[Any]:
    """``values[first : first + count]``: a slice takes long to compile, a call of what holds one does not."""
    return values[first : first + count]


@step
def _clear(values: NDArray[np.int64]) -> None:
    """``values[:] = 0``, as `_copy`."""
    for c in range(values.shape[0]):
        values[c] = 0


class More(NamedTuple):
    """What most neurons do without. synapse: its decay. late: resets come with the next timestep. floor,
    initial and drift: one per channel. Each array is empty for none. A neuron fires `most` times at most and
    then rests for `refractory` timesteps.
    """

    synapse: NDArray[np.int64]
    late: bool
    floor: NDArray[np.int64]
    initial: NDArray[np.int64]
    drift: NDArray[np.int64]
    most: int
    refractory: int


def more_of(
    synapse: NDArray[np.int64],
    late: bool,
    floor: NDArray[np.int64],
    initial: NDArray[np.int64],
    drift: NDArray[np.int64],
    most: int,
    refractory: int,
) -> More | None:
    """What neurons have of it; None for those that do without, whose kernel is another one."""
    if late or most > 1 or refractory or any(len(words) for words in (synapse, floor, initial, drift)):
        return More(synapse, late, floor, initial, drift, most, refractory)
    return None


@jit
def _lif(
    current: NDArray[Any],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    bias: NDArray[np.int64],
    threshold: NDArray[np.int64],
    above: bool,
    leak: NDArray[np.int64],
    decay_bits: int,
    reset: int,
    limit: int,
    more: More,
    state: NDArray[np.int64],
    first: bool,
    spikes: NDArray[np.uint8],
    counts: NDArray[np.int64],
) -> None:
    """`lif` of neurons that have more than most."""
    images, timesteps, positions, channels = spikes.shape
    neurons, given = positions * channels, current.shape[1]
    currents, fired_map, states = current.reshape(-1), spikes.reshape(-1), state.reshape(-1)
    beyond = 1 if above else 0
    places = min(max(STRIP // channels, 1), positions)
    left, right, bias = _repeated(left, places), _repeated(right, places), _repeated(bias, places)
    # What neurons have each for themselves is taken strip by strip, what channels have is the same in all.
    own = threshold.shape[0] > channels, leak.shape[0] > channels
    thresholds = threshold if own[0] else _repeated(threshold, places)
    leaks = leak if own[1] else _repeated(leak, places)
    strip = places * channels
    membrane, entering = np.empty(strip, np.int64), np.empty(strip, np.int64)
    carried = state.shape[0] > 0
    filtered, own_synapse = more.synapse.shape[0] > 0, more.synapse.shape[0] > channels
    synapses = more.synapse if own_synapse else _repeated(more.synapse, places)
    floor, drift = _repeated(more.floor, places), _repeated(more.drift, places)
    initial = _repeated(more.initial, places)
    flowing, before = np.empty(strip, np.int64), np.empty(strip, np.uint8)
    resting, held = np.empty(strip, np.int64), np.empty(strip, np.int64)
    for c in range(strip):
        before[c] = 0
    for n in range(images):
        for t in range(timesteps):
            counts[n, t] = 0
        for begin in range(0, neurons, strip):
            size = min(begin + strip, neurons) - begin
            u, add = _part(membrane, 0, size), _part(entering, 0, size)
            threshold = _part(thresholds, begin if own[0] else 0, size)
            leak = _part(leaks, begin if own[1] else 0, size)
            kept = n * state.shape[1] * neurons + begin
            _clear(u)
            i = _part(flowing, 0, size)
            synapse = _part(synapses, begin if own_synapse else 0, size if filtered else 0)
            _clear(i)
            _clear(resting)
            for c in range(initial.shape[0]):
                if c < size:
                    u[c] = initial[c]
            if carried and not first:
                _copy(_part(states, kept, size), u)
                if filtered:
                    _copy(_part(states, kept + neurons, size), i)
                if more.refractory > 0:
                    _copy(_part(states, kept + 2 * neurons, size), resting)
                if more.late:
                    for c in range(size):
                        before[c] = state[n, 3, begin + c]
            for t in range(timesteps):
                if t < given:
                    _enter(_part(currents, (n * given + t) * neurons + begin, size), left, right, bias, add)
                here = (n * timesteps + t) * neurons + begin
                fired = _part(fired_map, here, size)
                if more.refractory > 0:
                    _copy(u, held)
                if filtered:
                    _decay(i, synapse, decay_bits, add)
                    _saturate(i, limit)
                    _decay(u, leak, decay_bits, i)
                else:
                    _decay(u, leak, decay_bits, add)
                if drift.shape[0] > 0:
                    for c in range(size):
                        u[c] += drift[c]
                if more.late and t > 0:
                    _reset(u, threshold, _part(fired_map, here - neurons, size), reset, 1)
                elif more.late and not first:
                    _reset(u, threshold, _part(before, 0, size), reset, 1)
                _saturate(u, limit)
                if floor.shape[0] > 0:
                    for c in range(size):
                        u[c] = max(u[c], floor[c])
                if more.refractory > 0:
                    for c in range(size):
                        u[c] = held[c] if resting[c] > 0 else u[c]
                if more.most > 1:
                    counts[n, t] += _fire_several(u, threshold, more.most, fired)
                else:
                    counts[n, t] += _fire(u, threshold, beyond, fired)
                if more.refractory > 0:
                    counts[n, t] -= _silence(resting, more.refractory, fired)
                if not more.late:
                    _reset(u, threshold, fired, reset, more.most)
            if carried:
                _copy(u, _part(states, kept, size))
                if filtered:
                    _copy(i, _part(states, kept + neurons, size))
                if more.refractory > 0:
                    _copy(_part(resting, 0, size), _part(states, kept + 2 * neurons, size))
                if more.late:
                    last = (n * timesteps + timesteps - 1) * neurons + begin
                    for c in range(size):
                        state[n, 3, begin + c] = fired_map[last + c]


def lif(
    current: NDArray[Any],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    bias: NDArray[np.int64],
    threshold: NDArray[np.int64],
    above: bool,
    leak: NDArray[np.int64],
    decay_bits: int,
    reset: int,
    limit: int,
    more: More | None,
    state: NDArray[np.int64],
    first: bool,
    spikes: NDArray[np.uint8],
    counts: NDArray[np.int64],
    word: Any = np.int64,
) -> None:
    """Synapse, leak, integrate, reset, saturate, compare, in fixed point; see `LIF` for the equations.

    current ``[n, T or 1, P, C]`` is aligned by ``<< left`` or a rounding ``>> right`` of its channel; a
    current with one timestep is the same at every timestep (stored encoder). `leak` and the synapses' decay
    count in ``2**-decay_bits``. They and `threshold` are one per channel, or ``[P * C]``, one per neuron. A
    spike is a membrane at or `above` its threshold. Membranes and synaptic currents saturate at +-`limit`.
    state ``[n, up to STATES, P * C]`` carries membranes, synaptic currents, the timesteps that neurons rest
    and their last spikes from one call to the next, so many of these as such neurons have; it is read unless
    the timesteps are the `first` ones. Empty: there is no other call.
    spikes uint8 ``[n, T, P, C]``; counts ``[n, T]`` receives their number. Words of neurons without `more`
    hold what they add up (see `Program.words`).
    """
    if more is not None:
        _lif(
            current, left, right, bias, threshold, above, leak, decay_bits, reset, limit, more, state, first,
            spikes, counts,
        )  # fmt: skip
        return
    from imcsim.functional import membrane_simd  # imports numba

    images, timesteps, positions, channels = spikes.shape
    neurons, given = positions * channels, current.shape[1]
    again = np.arange(channels + membrane_simd.LANES) % channels
    entering = np.stack([left, right, (np.int64(1) << right) >> 1, bias])[:, again].astype(word)
    own = len(threshold) > channels, len(leak) > channels
    counts[...] = 0
    # The last vector of each image is filled up with neurons whose spikes nobody asks for.
    more_neurons = -neurons % membrane_simd.LANES
    sums, states = current.reshape(images, given, neurons), state
    fired = spikes.reshape(images, timesteps, neurons)
    if more_neurons:
        sums, states, fired = (_filled_up(one, more_neurons) for one in (sums, states, fired))
        threshold, leak = (_filled_up(one, more_neurons) for one in (threshold, leak))
    reached = (threshold if own[0] else threshold[again]).astype(word) + word(above)
    membrane_simd.leaky(
        sums.reshape(-1), entering.ravel(), reached, (leak if own[1] else leak[again]).astype(word), own,
        decay_bits, reset, limit, states.reshape(-1), first,
        (images, timesteps, given, state.shape[1], neurons + more_neurons, channels),
        fired.reshape(-1), counts.reshape(-1),
    )  # fmt: skip
    if more_neurons:
        spikes[...] = fired[..., :neurons].reshape(spikes.shape)
        state[...] = states[..., : state.shape[-1]]  # which may be empty
        counts[...] = fired[..., :neurons].sum(axis=-1, dtype=counts.dtype)


def _filled_up(numbers: NDArray[Any], more: int) -> NDArray[Any]:
    """Zeros after the last of each row."""
    return np.pad(numbers, [(0, 0)] * (numbers.ndim - 1) + [(0, more)])


@jit
def integrate(
    current: NDArray[Any],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    bias: NDArray[np.int64],
    leak: NDArray[np.int64],
    synapse: NDArray[np.int64],
    decay_bits: int,
    limit: int,
    state: NDArray[np.int64],
    first: bool,
    out: NDArray[np.int64],
) -> None:
    """Leaky integrators that never fire: `lif` without threshold; out ``[n, T, P, C]`` receives membranes."""
    images, timesteps, positions, channels = out.shape
    filtered = synapse.shape[0] > 0
    u, i = np.empty(channels, np.int64), np.empty(channels, np.int64)
    add, carried = np.empty(channels, np.int64), state.shape[0] > 0
    for n in range(images):
        for p in range(positions):
            _clear(u)
            _clear(i)
            here = p * channels
            if carried and not first:
                _copy(state[n, 0, here : here + channels], u)
                if filtered:
                    _copy(state[n, 1, here : here + channels], i)
            for t in range(timesteps):
                if t < current.shape[1]:
                    _enter(current[n, t, p], left, right, bias, add)
                if filtered:
                    _decay(i, synapse, decay_bits, add)
                    _saturate(i, limit)
                    _decay(u, leak, decay_bits, i)
                else:
                    _decay(u, leak, decay_bits, add)
                _saturate(u, limit)
                for c in range(channels):
                    out[n, t, p, c] = u[c]
            if carried:
                _copy(u, state[n, 0, here : here + channels])
                if filtered:
                    _copy(i, state[n, 1, here : here + channels])
