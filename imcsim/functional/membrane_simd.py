"""Membranes of neurons that only leak, integrate and fire, compiled: as `membrane_kernels`, with vectors.

A loop over neurons stores membranes after each step of a timestep. Those of LANES neurons stay in registers
for all timesteps, in words of 32 bits where these hold all that neurons of a layer add up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.crossbars.read_kernels import inlined
from imcsim.functional.crossbars.short_simd import at_least, larger, less, raised, selected, total
from imcsim.functional.crossbars.simd import add, converted, full, load, shifted, smaller, store, times, zeros
from imcsim.functional.kernels import HARD, SOFT, jit

LANES = 64


def _strip_of(width: int) -> Callable[..., None]:
    """What plays `width` neurons side by side."""

    @inlined
    def decayed(value: Any, decay: Any, bits: int, words: NDArray[Any]) -> Any:
        """As `membrane_kernels._decayed`."""
        if bits <= 15:
            return shifted(times(value, decay), full(words, bits, width))
        piece = full(words, 14, width)
        low, rest = times(less(value, raised(shifted(value, piece), piece)), decay), shifted(value, piece)
        for _ in range(2):
            low = add(times(less(rest, raised(shifted(rest, piece), piece)), decay), shifted(low, piece))
            rest = shifted(rest, piece)
        low = add(shifted(low, piece), full(words, 1 << (bits - 43), width))
        return shifted(add(times(rest, decay), low), full(words, bits - 42, width))

    @inlined
    def strip(
        current: NDArray[Any],
        words: NDArray[Any],
        length: int,
        thresholds: NDArray[Any],
        at_threshold: int,
        leaks: NDArray[Any],
        at_leak: int,
        decay_bits: int,
        reset: int,
        limit: int,
        state: NDArray[np.int64],
        kept: int,
        carried: bool,
        first: bool,
        shape: tuple[int, int, int, int],
        at: int,
        begin: int,
        spikes: NDArray[np.uint8],
        counts: NDArray[np.int64],
    ) -> None:
        """Neurons from `begin` on of one image take all timesteps; `at` is their place in `words`."""
        n, timesteps, given, neurons = shape
        left, right, half = (
            load(words, at, width),
            load(words, length + at, width),
            load(words, 2 * length + at, width),
        )
        bias, threshold = load(words, 3 * length + at, width), load(thresholds, at_threshold, width)
        leak = load(leaks, at_leak, width)
        highest, lowest = full(words, limit, width), full(words, -limit - 1, width)
        nothing = zeros(words, width)
        u = nothing
        if carried and not first:
            u = converted(load(state, kept, width), words)
        entering = nothing
        for t in range(timesteps):
            if t < given:
                sums = converted(load(current, (n * given + t) * neurons + begin, width), words)
                entering = add(shifted(add(raised(sums, left), half), right), bias)
            u = add(decayed(u, leak, decay_bits, words), entering)
            u = larger(smaller(u, highest), lowest)
            fired = at_least(u, threshold, spikes)
            store(spikes, (n * timesteps + t) * neurons + begin, fired)
            counts[n * timesteps + t] += total(fired)
            if reset == HARD:
                u = selected(fired, nothing, u)
            elif reset == SOFT:
                u = selected(fired, less(u, threshold), u)
        if carried:
            store(state, kept, converted(u, state))

    return strip


_strip, _single = _strip_of(LANES), _strip_of(1)


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
    of a neuron, neurons and channels as the shape beside them. counts ``[n, T]``: zeros at first.

    words: left, right, half of ``1 << right``, and bias, each for LANES channels more than there are, from
    the first again. So are thresholds, which spikes reach, and leaks, unless each neuron has its `own`.
    """
    images, timesteps, given, states, neurons, channels = shape
    length, carried = words.shape[0] // 4, state.shape[0] > 0
    for n in range(images):
        begin = 0
        while begin < neurons:
            at = begin % channels
            at_threshold, at_leak = begin if own[0] else at, begin if own[1] else at
            kept, about = n * states * neurons + begin, (n, timesteps, given, neurons)
            if begin + LANES <= neurons:
                _strip(
                    current, words, length, thresholds, at_threshold, leaks, at_leak, decay_bits, reset,
                    limit, state, kept, carried, first, about, at, begin, spikes, counts,
                )  # fmt: skip
                begin += LANES
            else:
                _single(
                    current, words, length, thresholds, at_threshold, leaks, at_leak, decay_bits, reset,
                    limit, state, kept, carried, first, about, at, begin, spikes, counts,
                )  # fmt: skip
                begin += 1
