"""Membranes in fixed point, compiled: neurons that fire, and integrators that do not.

As in `imcsim.functional.kernels`, raw arrays go in and out, with channels last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.kernels import jit


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


@jit
def _aligned(value: Any, left: Any, right: Any) -> Any:
    """A current in the unit of the membrane: ``<< left``, or a rounding ``>> right``."""
    return ((value << left) + ((1 << right) >> 1)) >> right


HARD, SOFT, NONE = 0, 1, 2
"""How a spike resets a membrane."""


@jit
def lif(
    current: NDArray[Any],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    bias: NDArray[np.int64],
    threshold: NDArray[np.int64],
    above: bool,
    leak: NDArray[np.int64],
    synapse: NDArray[np.int64],
    decay_bits: int,
    reset: int,
    late: bool,
    limit: int,
    spikes: NDArray[np.uint8],
    counts: NDArray[np.int64],
) -> None:
    """Synapse, leak, integrate, reset, saturate, compare, in fixed point; see `LIF` for the equations.

    current ``[n, T or 1, P, C]`` is aligned by ``<< left`` or a rounding ``>> right`` of its channel; a
    current with one timestep is the same at every timestep (stored encoder). `leak` and `synapse` (empty for
    none) count in ``2**-decay_bits``, one a channel. A spike is a membrane at or `above` its threshold.
    `late` resets come with the next timestep. Membranes and synaptic currents saturate at +-`limit`.
    spikes uint8 ``[n, T, P, C]``; counts ``[n, T]`` receives their number.
    """
    images, timesteps, positions, channels = spikes.shape
    constant = current.shape[1] == 1
    filtered = synapse.shape[0] > 0
    beyond = 1 if above else 0
    membrane = np.empty((positions, channels), np.int64)
    flowing = np.zeros((positions, channels) if filtered else (0, channels), np.int64)
    for n in range(images):
        membrane[:, :] = 0
        flowing[:, :] = 0
        for t in range(timesteps):
            source = current[n, 0 if constant else t]
            total = 0
            for p in range(positions):
                for c in range(channels):
                    add = _aligned(np.int64(source[p, c]), left[c], right[c]) + bias[c]
                    if filtered:
                        add += _decayed(flowing[p, c], synapse[c], decay_bits)
                        add = min(max(add, -limit - 1), limit)
                        flowing[p, c] = add
                    u = _decayed(membrane[p, c], leak[c], decay_bits) + add
                    if late and t > 0 and spikes[n, t - 1, p, c]:
                        if reset == HARD:
                            u = 0
                        elif reset == SOFT:
                            u -= threshold[c]
                    u = min(max(u, -limit - 1), limit)
                    spike = u >= threshold[c] + beyond
                    spikes[n, t, p, c] = spike
                    total += spike
                    if spike and not late:
                        if reset == HARD:
                            u = 0
                        elif reset == SOFT:
                            u -= threshold[c]
                    membrane[p, c] = u
            counts[n, t] = total


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
    out: NDArray[np.int64],
) -> None:
    """Leaky integrators that never fire: `lif` without threshold; out ``[n, T, P, C]`` receives membranes."""
    images, timesteps, positions, channels = out.shape
    constant = current.shape[1] == 1
    filtered = synapse.shape[0] > 0
    for n in range(images):
        for p in range(positions):
            for c in range(channels):
                u = flowing = 0
                for t in range(timesteps):
                    value = np.int64(current[n, 0 if constant else t, p, c])
                    add = _aligned(value, left[c], right[c]) + bias[c]
                    if filtered:
                        add += _decayed(flowing, synapse[c], decay_bits)
                        add = min(max(add, -limit - 1), limit)
                        flowing = add
                    u = _decayed(u, leak[c], decay_bits) + add
                    u = min(max(u, -limit - 1), limit)
                    out[n, t, p, c] = u
