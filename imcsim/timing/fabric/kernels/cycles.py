"""Cycle after cycle: what happens, until the issuer or the checker has to be asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import numbers
from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.kernels.buffers import free_rows
from imcsim.timing.fabric.kernels.links import decide
from imcsim.timing.fabric.kernels.packets import packet_there, run_image, run_sender
from imcsim.timing.fabric.kernels.parts import run_part
from imcsim.timing.fabric.kernels.reads import solve_rows
from imcsim.timing.fabric.kernels.records import Memory
from imcsim.timing.fabric.kernels.rows import row_done
from imcsim.timing.fabric.kernels.wheel import put, wake
from imcsim.timing.processes.row_kernels import jit

TOLD, RESTS, FAILED = range(3)
"""What a call to `advance` ends with."""


@jit
def advance(
    m: Memory,
    counts: Memory,
    active: NDArray[np.bool_],
    events: Memory,
    taken: NDArray[np.bool_],
    now: int,
    until: int,
) -> tuple[int, int]:
    """Play cycle `now`, and those after it that lie before `until`.

    Returns a status and a cycle. `TOLD`: something has happened there that the issuer or the checker waits
    for; links have not decided yet, so the next call goes on in the same cycle. `RESTS`: nothing will happen
    before `until`, or (`NEVER`) at all. `FAILED`: rows overtake each other by more than there are places.

    counts int64 ``[jobs * events * layers]``. active, events: values of the images under way, end to end.
    taken: scratch, the reads of one row.
    """
    m, counts, events = numbers(m), numbers(counts), numbers(events)
    active, taken = numbers(active), numbers(taken)
    while m[k.G_FREE_ANSWERS] > 0:
        m[k.G_FREE_ANSWERS] -= 1
        for entry in range(m[k.G_ANSWERS], m[k.G_ANSWERS_END]):
            free_rows(m, m[entry], m[m[entry] + k.S_HEIGHT])
    if m[k.G_SEEN_JOBS] < m[k.G_ISSUED]:
        m[k.G_SEEN_JOBS] = m[k.G_ISSUED]
        for part in range(m[k.G_PARTS], m[k.G_PARTS_END], k.P_SIZE):
            if m[part + k.P_PHASE] == k.NEXT_JOB:
                wake(m, part)
        for stream in range(m[k.G_IMAGES], m[k.G_IMAGES_END], k.S_SIZE):
            if m[stream + k.S_PHASE] == k.IDLE:
                wake(m, stream)
    while True:
        bucket = m[k.G_WHEEL] + 2 * (now & (m[k.G_BUCKETS] - 1))
        node = m[bucket]
        m[bucket] = 0
        while node != 0 or m[k.G_WOKEN] != k.LAST:
            if node != 0:
                what, node, due = node, m[node + k.NEXT], True
                m[k.G_LIVE] -= 1
                if m[what + k.DUE] != now:  # in another turn of the wheel
                    put(m, what, m[what + k.DUE])
                    continue
            else:
                what, due = m[k.G_WOKEN], False
                m[k.G_WOKEN], m[what + k.WOKEN] = m[what + k.WOKEN], 0
            kind = m[what + k.KIND]
            if kind == k.LINK:
                m[what + k.WOKEN] = m[k.G_DECIDING]
                m[k.G_DECIDING] = what
            elif kind == k.PART:
                run_part(m, counts, events, what, now)
                if m[what + k.P_UNSOLVED] == 1:
                    m[what + k.P_UNSOLVED] = 0
                    solve_rows(m, counts, active, taken, what, now)
            elif kind == k.SLOT:
                row_done(m, counts, events, what, now)
            elif due:
                packet_there(m, counts, what, now)
            elif kind == k.IMAGE:
                run_image(m, counts, what, now)
            else:
                run_sender(m, counts, what, now)
        if m[k.G_FAILED] == 1:
            return FAILED, now
        if m[k.G_TELL] == 1:
            m[k.G_TELL] = 0
            return TOLD, now
        decide(m, now)
        if m[k.G_LIVE] == 0:
            return RESTS, k.NEVER
        now += 1
        while now < until and m[m[k.G_WHEEL] + 2 * (now & (m[k.G_BUCKETS] - 1))] == 0:
            now += 1
        if now >= until:
            return RESTS, until
