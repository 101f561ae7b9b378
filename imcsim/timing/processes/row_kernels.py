"""A whole row of waves at once: the max-plus recurrence of a tile's pipeline, compiled.

Times are cycles. A stage starts a wave when the stage before has finished it and the stage itself is free of
the wave before; see ``ReferencePart`` for the same thing as processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import compiled

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile without the interpreter lock, and keep the machine code between runs."""
    return compiled(function)


def step(function: F) -> F:
    """Compile a part of a kernel, which only kernels call."""
    return compiled(function, inner=True)


NEVER = 1 << 60
"""A cycle that does not come. Sums with it are later still, so that what hangs on it is told by its size."""

WINDOW, SUM, DRIVE, ADDED, COMPLETE, LIF, WRITE, BUSY = range(8)
STATE_SIZE = 8
"""Places in the state vector: next window slot and sum slot (ring positions), times at which stages fall
free, and the cycles in which crossbars were driven."""


def _row(
    ready: int,
    sides: int,
    stored: bool,
    fires: bool,
    waves: int,
    copies: NDArray[np.int64],
    fetch: NDArray[np.int64],
    lif: NDArray[np.int64],
    write: NDArray[np.int64],
    planes: int,
    turns: int,
    turns_of: NDArray[np.int64],
    sense: int,
    convert: int,
    tree: int,
    everything: bool,
    active: NDArray[np.bool_],
    state: NDArray[np.int64],
    sizes: tuple[int, int, int, int],
    windows: NDArray[np.int64],
    sums: NDArray[np.int64],
    array_free: NDArray[np.int64],
    adc_free: NDArray[np.int64],
) -> tuple[int, int]:
    """Play one row; returns the cycles at which its last window is fetched and its last value is written.

    ready: cycle at which the row starts. sides: cycle at which partial sums and residuals have come, `NEVER`
    if that is not known yet; then results that hang on it are `NEVER` or later. copies, fetch, lif, write:
    int64 ``[waves]``, positions and cycles of each wave. turns_of ``[blocks]``: turns in which each block's
    rows are driven, `turns` at most. active ``[waves * copies * planes * turns * blocks]``, in this order,
    says which reads are not skipped, unless that is `everything`. state, windows, sums, array_free and
    adc_free ``[copies * blocks]`` are carried from row to row. sizes: of array_free, turns_of, windows, sums.
    """
    units, blocks, slots, sum_slots = sizes
    loop = ready
    done = ready
    drives = planes * turns
    for w in range(waves):
        if not stored:
            slot = state[WINDOW]
            loop = max(loop, windows[slot]) + fetch[w]
        token = state[SUM]
        time = max(loop, sums[token])
        end = time
        if not stored:
            sample = max(time, state[DRIVE])
            began = sample
            end = sample
            for drive in range(drives):
                latest = sample
                for c in range(copies[w]):
                    first = (w * units + c * blocks) * drives + drive * blocks
                    for b in range(blocks):
                        if drive % turns >= turns_of[b] or (not everything and not active[first + b]):
                            continue
                        unit = c * blocks + b
                        taken = max(max(sample, array_free[unit]) + sense, adc_free[unit])
                        array_free[unit] = taken
                        adc_free[unit] = taken + convert
                        latest = max(latest, taken)
                        end = max(end, taken + convert)
                sample = latest
            state[DRIVE] = sample
            state[BUSY] += sample - began
            end = max(end, sample)
            windows[slot] = sample
            state[WINDOW] = (slot + 1) % slots
        end = max(end, state[ADDED])
        state[ADDED] = end
        # A stored wave, which waits for no partial sums, does not overtake one that does.
        end = max(max(end + tree, sides), state[COMPLETE])
        state[COMPLETE] = end
        if fires:
            end = max(end, state[LIF]) + lif[w]
            state[LIF] = end
        sums[token] = end
        state[SUM] = (token + 1) % sum_slots
        end = max(end, state[WRITE]) + write[w]
        state[WRITE] = end
        done = max(done, end)
    return loop, done


advance_row = jit(_row)
"""A kernel, for a tile's own arrays."""

row_of_waves = step(_row)
"""A part of the fabric's kernel, for bare `numbers` of its memory."""
