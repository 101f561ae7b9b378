"""Rows of a part: begun when their inputs have come, passed on when they are done."""

from __future__ import annotations

from imcsim.timing.fabric.kernels.buffers import free_rows, release_rows
from imcsim.timing.fabric.kernels.jobs import add_counts, timestep_of
from imcsim.timing.fabric.kernels.records import (
    AFTER_COUNT,
    AFTER_FIRST,
    AFTER_POOL,
    AFTER_SIZE,
    G_COUNTS,
    G_EDGES,
    G_FAILED,
    G_GATED,
    G_JOBS,
    G_POWERED,
    G_POWERED_ROWS,
    G_STAGES,
    G_WORK_AT,
    IDLE,
    J_MAP,
    J_SIZE,
    J_SLOT,
    J_TIMESTEP,
    NEVER,
    O_AFTER,
    O_BITS,
    O_CHANNELS,
    O_COPIES,
    O_EDGE,
    O_EDGE_CHANNELS,
    O_ENTRY,
    O_EVENT_BITS,
    O_FIRST,
    O_HEIGHT,
    O_PUT,
    O_QUEUE,
    O_QUEUE_END,
    O_SHARE,
    O_SIZE,
    O_STREAMS,
    O_STREAMS_END,
    P_BEGUN,
    P_COUNTS,
    P_ENDED,
    P_FETCHED,
    P_HEAD,
    P_KEEPS,
    P_OUTPUTS,
    P_OUTPUTS_END,
    P_PARTIALS,
    P_PARTIALS_END,
    P_POOL_PLACE,
    P_POOL_VALUES,
    P_RESIDUALS,
    P_RESIDUALS_END,
    P_ROWS,
    P_SETTLED,
    P_SLOT_COUNT,
    P_SLOTS,
    P_TILE,
    P_UNSOLVED,
    P_WAITING,
    Q_ALIVE,
    Q_BEGAN,
    Q_JOB,
    Q_OUTPUT,
    Q_PART,
    Q_READY,
    Q_ROW,
    Q_SIDES,
    Q_SIZE,
    Q_STORED,
    Q_TOLD,
    QUEUE_BITS,
    QUEUE_JOB,
    QUEUE_LEFT,
    QUEUE_SIZE,
    S_PHASE,
    S_SIZE,
    S_TOTAL,
    TOLD_POWERED,
    Memory,
)
from imcsim.timing.fabric.kernels.wheel import put, wake
from imcsim.timing.processes.row_kernels import step


@step
def _bits(m: Memory, events: Memory, output: int, job: int, row: int) -> int:
    """This part's share of a row: all of it, or an address for each value above 0."""
    if m[output + O_EDGE] < 0 or m[G_EDGES] == 0:
        return int(m[output + O_BITS])
    at = m[G_JOBS] + job * J_SIZE
    begins = m[m[G_WORK_AT] + m[at + J_SLOT] * (m[G_STAGES] + m[G_EDGES]) + m[G_STAGES] + m[output + O_EDGE]]
    if begins < 0:
        return int(m[output + O_BITS])
    begins += (m[at + J_TIMESTEP] * m[output + O_HEIGHT] + row) * m[output + O_EDGE_CHANNELS]
    happened = 0
    for k in range(begins + m[output + O_FIRST], begins + m[output + O_FIRST] + m[output + O_CHANNELS]):
        happened += events[k]
    mine = (happened * m[output + O_SHARE] + m[output + O_COPIES] - 1) // m[output + O_COPIES]
    return int(mine * m[output + O_EVENT_BITS])


@step
def _queue(m: Memory, events: Memory, output: int, job: int, row: int) -> None:
    """Put a row out for sending."""
    entry = m[output + O_ENTRY]
    m[output + O_PUT] += 1
    after = entry + QUEUE_SIZE
    m[output + O_ENTRY] = m[output + O_QUEUE] if after == m[output + O_QUEUE_END] else after
    m[entry + QUEUE_JOB] = job
    m[entry + QUEUE_BITS] = _bits(m, events, output, job, row)
    m[entry + QUEUE_LEFT] = (m[output + O_STREAMS_END] - m[output + O_STREAMS]) // S_SIZE
    for stream in range(m[output + O_STREAMS], m[output + O_STREAMS_END], S_SIZE):
        if m[stream + S_PHASE] == IDLE:
            wake(m, stream)


@step
def leave_row(m: Memory, events: Memory, part: int, job: int, y: int, stored: bool) -> None:
    """A row has ended, or was never started: let go of what it held and pass it on."""
    m[part + P_ENDED] += 1
    if not stored:
        for k in range(m[part + P_PARTIALS], m[part + P_PARTIALS_END]):
            free_rows(m, m[k], 1)
    for k in range(m[part + P_RESIDUALS], m[part + P_RESIDUALS_END]):
        free_rows(m, m[k], 1)
    for output in range(m[part + P_OUTPUTS], m[part + P_OUTPUTS_END], O_SIZE):
        after = m[output + O_AFTER] + y * AFTER_SIZE
        for row in range(m[after + AFTER_FIRST], m[after + AFTER_FIRST] + m[after + AFTER_COUNT]):
            _queue(m, events, output, job, row)
    release_rows(m, part)


@step
def _sides_there(m: Memory, part: int, job: int, y: int, stored: bool) -> bool:
    """Whether the partial sums and residuals that row y fires with have come."""
    rows = m[part + P_ROWS]
    for k in range(m[part + P_RESIDUALS], m[part + P_RESIDUALS_END]):
        if m[m[k] + S_TOTAL] < job * rows + y + 1:
            return False
    if not stored:
        # A stored encoder's other parts do nothing, so its partial sums come once for each image.
        maps = m[m[G_JOBS] + job * J_SIZE + J_MAP] if m[part + P_KEEPS] == 1 else job
        for k in range(m[part + P_PARTIALS], m[part + P_PARTIALS_END]):
            if m[m[k] + S_TOTAL] < maps * rows + y + 1:
                return False
    return True


@step
def sides_come(m: Memory, part: int, now: int) -> None:
    """Note of the rows under way which have their partial sums and residuals now."""
    come = False
    for row in range(m[part + P_SETTLED], m[part + P_BEGUN]):
        slot = m[part + P_SLOTS] + row % m[part + P_SLOT_COUNT] * Q_SIZE
        if m[slot + Q_SIDES] == NEVER and _sides_there(
            m, part, m[slot + Q_JOB], m[slot + Q_ROW], m[slot + Q_STORED] == 1
        ):
            m[slot + Q_SIDES] = now
            m[part + P_WAITING] -= 1
            come = True
    if come:
        m[part + P_UNSOLVED] = 1


@step
def begin_row(m: Memory, counts: Memory, part: int, job: int, y: int, stored: bool, now: int) -> None:
    """Start a row now; its inputs are there."""
    slot = m[part + P_SLOTS] + m[part + P_BEGUN] % m[part + P_SLOT_COUNT] * Q_SIZE
    if m[slot + Q_ALIVE] == 1:
        m[G_FAILED] = 1
        return
    waits = m[part + P_HEAD] == 1 and not _sides_there(m, part, job, y, stored)
    m[part + P_BEGUN] += 1
    m[part + P_WAITING] += waits
    m[part + P_FETCHED] = NEVER
    m[slot + Q_JOB], m[slot + Q_ROW], m[slot + Q_STORED] = job, y, stored
    m[slot + Q_READY], m[slot + Q_SIDES] = now, NEVER if waits else 0
    m[slot + Q_TOLD], m[slot + Q_OUTPUT], m[slot + Q_ALIVE] = 0, m[part + P_OUTPUTS], 1
    add_counts(m, counts, job, m[m[part + P_COUNTS] + 2 * stored + (timestep_of(m, job) > 0)], 1)
    m[part + P_UNSOLVED] = 1


@step
def row_done(m: Memory, counts: Memory, events: Memory, slot: int, now: int) -> None:
    """A row is done, or one of its streams pooled: pool the next, and queue it for sending."""
    part, y, job = m[slot + Q_PART], m[slot + Q_ROW], m[slot + Q_JOB]
    if m[slot + Q_TOLD] & TOLD_POWERED == 0:
        m[slot + Q_TOLD] |= TOLD_POWERED
        if m[G_GATED] == 1:
            entry = m[G_POWERED] + 4 * m[G_POWERED_ROWS]
            m[entry], m[entry + 1], m[entry + 2], m[entry + 3] = m[part + P_TILE], m[slot + Q_BEGAN], now, job
            m[G_POWERED_ROWS] += 1
    while m[slot + Q_OUTPUT] < m[part + P_OUTPUTS_END]:
        cycles = m[m[m[slot + Q_OUTPUT] + O_AFTER] + y * AFTER_SIZE + AFTER_POOL]
        m[slot + Q_OUTPUT] += O_SIZE
        if cycles > 0:
            put(m, slot, now + cycles)
            return
    if y == m[part + P_ROWS] - 1:
        counts[job * m[G_COUNTS] + m[part + P_POOL_PLACE]] += m[part + P_POOL_VALUES]
    m[slot + Q_ALIVE] = 0
    leave_row(m, events, part, job, y, m[slot + Q_STORED] == 1)
