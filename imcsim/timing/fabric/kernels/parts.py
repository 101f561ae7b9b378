"""Parts of layers: job after job, row after row."""

from __future__ import annotations

from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.kernels.buffers import free_rows
from imcsim.timing.fabric.kernels.jobs import is_dead, timestep_of, turn_of
from imcsim.timing.fabric.kernels.records import Memory
from imcsim.timing.fabric.kernels.rows import begin_row, leave_rows, sides_come
from imcsim.timing.processes.row_kernels import step


@step
def _row_over(m: Memory, events: Memory, part: int, y: int, stored: bool, void: bool) -> None:
    """Fetched or void: let go of input rows, and turn to the next row or job."""
    if not stored:
        done = m[m[part + k.P_ROW_TABLE] + 2 * y + 1]
        for entry in range(m[part + k.P_INPUTS], m[part + k.P_INPUTS_END]):
            free_rows(m, m[entry], done - m[part + k.P_FREED])
        m[part + k.P_FREED] = done
    m[part + k.P_PHASE] = k.NEXT_ROW
    m[part + k.P_ROW] = y + 1
    if void:
        leave_rows(m, events, part)
    if y + 1 == m[part + k.P_ROWS]:
        m[part + k.P_PLAYED] += 1
        after = m[part + k.P_HOLD] + 1
        m[part + k.P_HOLD] = m[part + k.P_HELD] if after == m[part + k.P_HELD_END] else after
        _job_over(m, part)


@step
def _job_over(m: Memory, part: int) -> None:
    m[part + k.P_JOB] += 1
    m[part + k.P_PHASE] = k.NEXT_JOB
    if part == m[k.G_PARTS] and m[k.G_TELLS_ENTERED] == 1:
        m[k.G_TELL] = 1


@step
def run_part(m: Memory, counts: Memory, events: Memory, part: int, now: int) -> None:
    """All rows of one job after the other, as far as a part can go now."""
    if m[part + k.P_WAITING] > 0:
        sides_come(m, part, now)
    while m[k.G_FAILED] == 0:
        job, y = m[part + k.P_JOB], m[part + k.P_ROW]
        if job >= m[k.G_ISSUED]:
            return
        stored = m[part + k.P_KEEPS] == 1 and timestep_of(m, job) > 0
        phase = m[part + k.P_PHASE]
        if phase == k.FOR_FETCH:
            if now < m[part + k.P_FETCHED]:
                return
            slot = m[part + k.P_SLOTS] + (m[part + k.P_BEGUN] - 1) % m[part + k.P_SLOT_COUNT] * k.Q_SIZE
            m[slot + k.Q_BEGAN] = now
            _row_over(m, events, part, y, stored, False)
            continue
        if phase == k.NEXT_JOB:
            if stored and m[part + k.P_HEAD] == 0:
                _job_over(m, part)
                continue
            m[part + k.P_ROW] = y = 0
            m[part + k.P_FREED] = 0
            m[m[part + k.P_HOLD]] = 0
            phase = k.NEXT_ROW
        dead = is_dead(m, job, now)
        placed = phase == k.FOR_INPUT
        if phase == k.FOR_ROOM or (phase == k.NEXT_ROW and not dead):
            if m[part + k.P_ROOM] == 0:
                m[part + k.P_PHASE] = k.FOR_ROOM
                return
            m[part + k.P_ROOM] -= 1
            m[part + k.P_PHASE] = k.FOR_INPUT
            m[part + k.P_SEEN] = m[part + k.P_INPUTS]
            placed = True
        if placed and not stored:
            turn = turn_of(m, m[m[part + k.P_INPUTS]], job)
            if m[part + k.P_INPUT_IMAGE] == 1:
                turn = m[m[k.G_JOBS] + job * k.J_SIZE + k.J_MAP]
            needed = turn * m[part + k.P_INPUT_HEIGHT] + m[m[part + k.P_ROW_TABLE] + 2 * y]
            seen = m[part + k.P_SEEN]
            while seen < m[part + k.P_INPUTS_END] and m[m[seen] + k.S_TOTAL] >= needed:
                seen += 1
            m[part + k.P_SEEN] = seen
            if seen < m[part + k.P_INPUTS_END]:
                return
        if dead:
            m[part + k.P_ROOM] += placed
            _row_over(m, events, part, y, stored, True)
            continue
        m[m[part + k.P_HOLD]] += 1
        m[part + k.P_PHASE] = k.FOR_FETCH
        begin_row(m, counts, part, job, y, stored, now)
