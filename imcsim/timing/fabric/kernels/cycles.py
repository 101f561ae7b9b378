"""Cycle after cycle: what happens, until the issuer or the checker has to be asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.timing.fabric.kernels.buffers import free_rows
from imcsim.timing.fabric.kernels.links import decide
from imcsim.timing.fabric.kernels.packets import packet_there, run_image, run_sender
from imcsim.timing.fabric.kernels.parts import run_part
from imcsim.timing.fabric.kernels.reads import solve_rows
from imcsim.timing.fabric.kernels.records import (
    DUE,
    G_ANSWERS,
    G_ANSWERS_END,
    G_BUCKETS,
    G_DECIDING,
    G_FAILED,
    G_FREE_ANSWERS,
    G_IMAGES,
    G_IMAGES_END,
    G_ISSUED,
    G_LIVE,
    G_PARTS,
    G_PARTS_END,
    G_SEEN_JOBS,
    G_TELL,
    G_WHEEL,
    G_WOKEN,
    IDLE,
    IMAGE,
    KIND,
    LAST,
    LINK,
    NEVER,
    NEXT,
    NEXT_JOB,
    P_PHASE,
    P_SIZE,
    P_UNSOLVED,
    PART,
    S_PHASE,
    S_SIZE,
    SLOT,
    WOKEN,
    Memory,
)
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
    while m[G_FREE_ANSWERS] > 0:
        m[G_FREE_ANSWERS] -= 1
        for k in range(m[G_ANSWERS], m[G_ANSWERS_END]):
            free_rows(m, m[k], 1)
    if m[G_SEEN_JOBS] < m[G_ISSUED]:
        m[G_SEEN_JOBS] = m[G_ISSUED]
        for part in range(m[G_PARTS], m[G_PARTS_END], P_SIZE):
            if m[part + P_PHASE] == NEXT_JOB:
                wake(m, part)
        for stream in range(m[G_IMAGES], m[G_IMAGES_END], S_SIZE):
            if m[stream + S_PHASE] == IDLE:
                wake(m, stream)
    while True:
        bucket = m[G_WHEEL] + 2 * (now & (m[G_BUCKETS] - 1))
        node = m[bucket]
        m[bucket] = 0
        while node != 0 or m[G_WOKEN] != LAST:
            if node != 0:
                what, node, due = node, m[node + NEXT], True
                m[G_LIVE] -= 1
                if m[what + DUE] != now:  # in another turn of the wheel
                    put(m, what, m[what + DUE])
                    continue
            else:
                what, due = m[G_WOKEN], False
                m[G_WOKEN], m[what + WOKEN] = m[what + WOKEN], 0
            kind = m[what + KIND]
            if kind == LINK:
                m[what + WOKEN] = m[G_DECIDING]
                m[G_DECIDING] = what
            elif kind == PART:
                run_part(m, counts, events, what, now)
                if m[what + P_UNSOLVED] == 1:
                    m[what + P_UNSOLVED] = 0
                    solve_rows(m, counts, active, taken, what, now)
            elif kind == SLOT:
                row_done(m, counts, events, what, now)
            elif due:
                packet_there(m, counts, what, now)
            elif kind == IMAGE:
                run_image(m, counts, what, now)
            else:
                run_sender(m, counts, what, now)
        if m[G_FAILED] == 1:
            return FAILED, now
        if m[G_TELL] == 1:
            m[G_TELL] = 0
            return TOLD, now
        decide(m, now)
        if m[G_LIVE] == 0:
            return RESTS, NEVER
        now += 1
        while now < until and m[m[G_WHEEL] + 2 * (now & (m[G_BUCKETS] - 1))] == 0:
            now += 1
        if now >= until:
            return RESTS, until
