"""Parts of layers: job after job, row after row."""

from __future__ import annotations

from imcsim.timing.fabric.kernels.buffers import free_rows
from imcsim.timing.fabric.kernels.jobs import is_dead, timestep_of
from imcsim.timing.fabric.kernels.records import (
    FOR_FETCH,
    FOR_INPUT,
    FOR_ROOM,
    G_FAILED,
    G_ISSUED,
    G_JOBS,
    G_PARTS,
    G_TELL,
    G_TELLS_ENTERED,
    J_MAP,
    J_SIZE,
    NEXT_JOB,
    NEXT_ROW,
    P_BEGUN,
    P_FETCHED,
    P_FREED,
    P_HEAD,
    P_HELD,
    P_HELD_END,
    P_HOLD,
    P_INPUT_HEIGHT,
    P_INPUT_IMAGE,
    P_INPUTS,
    P_INPUTS_END,
    P_JOB,
    P_KEEPS,
    P_PHASE,
    P_PLAYED,
    P_ROOM,
    P_ROW,
    P_ROW_TABLE,
    P_ROWS,
    P_SEEN,
    P_SLOT_COUNT,
    P_SLOTS,
    P_WAITING,
    Q_BEGAN,
    Q_SIZE,
    S_TOTAL,
    Memory,
)
from imcsim.timing.fabric.kernels.rows import begin_row, leave_row, sides_come
from imcsim.timing.processes.row_kernels import step


@step
def _row_over(m: Memory, events: Memory, part: int, job: int, y: int, stored: bool, void: bool) -> None:
    """Fetched or void: let go of input rows, and turn to the next row or job."""
    if not stored:
        done = m[m[part + P_ROW_TABLE] + 2 * y + 1]
        for k in range(m[part + P_INPUTS], m[part + P_INPUTS_END]):
            free_rows(m, m[k], done - m[part + P_FREED])
        m[part + P_FREED] = done
    if void:
        leave_row(m, events, part, job, y, stored)
    m[part + P_PHASE] = NEXT_ROW
    m[part + P_ROW] = y + 1
    if y + 1 == m[part + P_ROWS]:
        m[part + P_PLAYED] += 1
        after = m[part + P_HOLD] + 1
        m[part + P_HOLD] = m[part + P_HELD] if after == m[part + P_HELD_END] else after
        _job_over(m, part)


@step
def _job_over(m: Memory, part: int) -> None:
    m[part + P_JOB] += 1
    m[part + P_PHASE] = NEXT_JOB
    if part == m[G_PARTS] and m[G_TELLS_ENTERED] == 1:
        m[G_TELL] = 1


@step
def run_part(m: Memory, counts: Memory, events: Memory, part: int, now: int) -> None:
    """All rows of one job after the other, as far as a part can go now."""
    if m[part + P_WAITING] > 0:
        sides_come(m, part, now)
    while m[G_FAILED] == 0:
        job, y = m[part + P_JOB], m[part + P_ROW]
        if job >= m[G_ISSUED]:
            return
        stored = m[part + P_KEEPS] == 1 and timestep_of(m, job) > 0
        phase = m[part + P_PHASE]
        if phase == FOR_FETCH:
            if now < m[part + P_FETCHED]:
                return
            slot = m[part + P_SLOTS] + (m[part + P_BEGUN] - 1) % m[part + P_SLOT_COUNT] * Q_SIZE
            m[slot + Q_BEGAN] = now
            _row_over(m, events, part, job, y, stored, False)
            continue
        if phase == NEXT_JOB:
            if stored and m[part + P_HEAD] == 0:
                _job_over(m, part)
                continue
            m[part + P_ROW] = y = 0
            m[part + P_FREED] = 0
            m[m[part + P_HOLD]] = 0
            phase = NEXT_ROW
        dead = is_dead(m, job, now)
        placed = phase == FOR_INPUT
        if phase == FOR_ROOM or (phase == NEXT_ROW and not dead):
            if m[part + P_ROOM] == 0:
                m[part + P_PHASE] = FOR_ROOM
                return
            m[part + P_ROOM] -= 1
            m[part + P_PHASE] = FOR_INPUT
            m[part + P_SEEN] = m[part + P_INPUTS]
            placed = True
        if placed and not stored:
            turn = m[m[G_JOBS] + job * J_SIZE + J_MAP] if m[part + P_INPUT_IMAGE] == 1 else job
            needed = turn * m[part + P_INPUT_HEIGHT] + m[m[part + P_ROW_TABLE] + 2 * y]
            k = m[part + P_SEEN]
            while k < m[part + P_INPUTS_END] and m[m[k] + S_TOTAL] >= needed:
                k += 1
            m[part + P_SEEN] = k
            if k < m[part + P_INPUTS_END]:
                return
        if dead:
            m[part + P_ROOM] += placed
            _row_over(m, events, part, job, y, stored, True)
            continue
        m[m[part + P_HOLD]] += 1
        m[part + P_PHASE] = FOR_FETCH
        begin_row(m, counts, part, job, y, stored, now)
