"""Membranes of neurons that only leak, integrate and fire, compiled: as `membrane_kernels`, with vectors.

A loop over neurons stores membranes after each step of a timestep. Those of LANES neurons stay in registers
for all timesteps, in words of 32 bits where these hold all that neurons of a layer add up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import numbers
from imcsim.functional.crossbars.read_kernels import inlined
from imcsim.functional.crossbars.short_simd import at_least, larger, less, raised, selected, total
from imcsim.functional.crossbars.simd import add, converted, full, load, shifted, smaller, store, times, zeros
from imcsim.functional.kernels import HARD, SOFT, jit

LANES = 64


@inlined
def _decayed(value: Any, decay: Any, bits: int, words: NDArray[Any]) -> Any:
    """As `membrane_kernels._decayed`."""
    if bits <= 15:
        return shifted(times(value, decay), full(words, bits, LANES))
    piece = full(words, 14, LANES)
    low, rest = times(less(value, raised(shifted(value, piece), piece)), decay), shifted(value, piece)
    for _ in range(2):
        low = add(times(less(rest, raised(shifted(rest, piece), piece)), decay), shifted(low, piece))
        rest = shifted(rest, piece)
    low = add(shifted(low, piece), full(words, 1 << (bits - 43), LANES))
    return shifted(add(times(rest, decay), low), full(words, bits - 42, LANES))


@jit
def leaky(
    current: NDArray[Any],
    words: NDArray[Any],
    thresholds: NDArray[Any],
    leaks: NDArray[Any],
    own: tuple[bool, bool],
    decay_bits: int,
    reset: int,
    limit: int,
    state: NDArray[np.int64],
    first: bool,
    shape: tuple[int, int, int, int, int, int],
    spikes: NDArray[np.uint8],
    counts: NDArray[np.int64],
) -> None:
    """`lif` of neurons that have no `More`; arrays are flat, with images, timesteps, those of current, states
    of a neuron, neurons and channels as the shape beside them. Neurons are a multiple of LANES. counts ``[n,
    T]``: zeros at first.

    words: left, right, half of ``1 << right``, and bias, each for LANES channels more than there are, from
    the first again. So are thresholds, which spikes reach, and leaks, unless each neuron has its `own`.
    """
    images, timesteps, given, states, neurons, channels = shape
    length, carried = words.shape[0] // 4, state.shape[0] > 0
    sums, word, reached, leak = numbers(current), numbers(words), numbers(thresholds), numbers(leaks)
    held, fires, total_of = numbers(state), numbers(spikes), numbers(counts)
    highest, lowest = full(word, limit, LANES), full(word, -limit - 1, LANES)
    nothing = zeros(word, LANES)
    for n in range(images):
        for begin in range(0, neurons, LANES):
            at = begin % channels
            left, right = load(word, at, LANES), load(word, length + at, LANES)
            half, bias = load(word, 2 * length + at, LANES), load(word, 3 * length + at, LANES)
            threshold = load(reached, begin if own[0] else at, LANES)
            decay = load(leak, begin if own[1] else at, LANES)
            kept = n * states * neurons + begin
            u = entering = nothing
            if carried and not first:
                u = converted(load(held, kept, LANES), word)
            for t in range(timesteps):
                if t < given:
                    added = converted(load(sums, (n * given + t) * neurons + begin, LANES), word)
                    entering = add(shifted(add(raised(added, left), half), right), bias)
                u = add(_decayed(u, decay, decay_bits, word), entering)
                u = larger(smaller(u, highest), lowest)
                fired = at_least(u, threshold, fires)
                store(fires, (n * timesteps + t) * neurons + begin, fired)
                total_of[n * timesteps + t] += total(fired)
                if reset == HARD:
                    u = selected(fired, nothing, u)
                elif reset == SOFT:
                    u = selected(fired, less(u, threshold), u)
            if carried:
                store(held, kept, converted(u, held))
