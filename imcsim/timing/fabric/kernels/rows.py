"""Rows of a part: begun when their inputs have come, passed on, one after the other, when they are done."""

from __future__ import annotations

from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.kernels.buffers import free_rows, release_rows
from imcsim.timing.fabric.kernels.jobs import add_counts, timestep_of, turn_of
from imcsim.timing.fabric.kernels.records import Memory
from imcsim.timing.fabric.kernels.wheel import put, wake
from imcsim.timing.processes.row_kernels import step


@step
def _bits(m: Memory, events: Memory, output: int, job: int, row: int) -> int:
    """This part's share of a row: all of it, or an address for each value above 0."""
    if m[output + k.O_EDGE] < 0 or m[k.G_EDGES] == 0:
        return int(m[output + k.O_BITS])
    at = m[k.G_JOBS] + job * k.J_SIZE
    image = m[k.G_WORK_AT] + m[at + k.J_SLOT] * (m[k.G_STAGES] + m[k.G_EDGES])
    begins = m[image + m[k.G_STAGES] + m[output + k.O_EDGE]]
    if begins < 0:
        return int(m[output + k.O_BITS])
    begins += (m[at + k.J_TIMESTEP] * m[output + k.O_HEIGHT] + row) * m[output + k.O_EDGE_CHANNELS]
    begins += m[output + k.O_FIRST]
    happened = 0
    for value in range(begins, begins + m[output + k.O_CHANNELS]):
        happened += events[value]
    mine = (happened * m[output + k.O_SHARE] + m[output + k.O_COPIES] - 1) // m[output + k.O_COPIES]
    return int(mine * m[output + k.O_EVENT_BITS])


@step
def _queue(m: Memory, events: Memory, output: int, job: int, row: int) -> None:
    """Put a row out for sending."""
    entry = m[output + k.O_ENTRY]
    m[output + k.O_PUT] += 1
    after = entry + k.QUEUE_SIZE
    m[output + k.O_ENTRY] = m[output + k.O_QUEUE] if after == m[output + k.O_QUEUE_END] else after
    m[entry + k.QUEUE_JOB] = job
    m[entry + k.QUEUE_BITS] = _bits(m, events, output, job, row)
    m[entry + k.QUEUE_LEFT] = (m[output + k.O_STREAMS_END] - m[output + k.O_STREAMS]) // k.S_SIZE
    for stream in range(m[output + k.O_STREAMS], m[output + k.O_STREAMS_END], k.S_SIZE):
        if m[stream + k.S_PHASE] == k.IDLE:
            wake(m, stream)


@step
def leave_rows(m: Memory, events: Memory, part: int) -> None:
    """A row has ended, or was never started: let it leave, once all before it have left, and those behind it
    that wait for it.
    """
    rows = m[part + k.P_ROWS]
    # All rows so far that have begun or are void.
    passed = m[part + k.P_PLAYED] * rows
    if m[part + k.P_PHASE] != k.NEXT_JOB:
        passed += m[part + k.P_ROW] + (m[part + k.P_PHASE] == k.FOR_FETCH)
    skips = m[part + k.P_KEEPS] == 1 and m[part + k.P_HEAD] == 0
    while m[part + k.P_ENDED] < passed:
        job, y = m[part + k.P_LEFT_JOB], m[part + k.P_ENDED] % rows
        while skips and timestep_of(m, job) > 0:
            job += 1
        slot = m[part + k.P_SLOTS] + m[part + k.P_LEFT] % m[part + k.P_SLOT_COUNT] * k.Q_SIZE
        began = m[part + k.P_LEFT] < m[part + k.P_BEGUN] and m[slot + k.Q_NUMBER] == m[part + k.P_ENDED]
        if began:
            if m[slot + k.Q_TOLD] & k.TOLD_ENDED == 0:
                break
            m[slot + k.Q_ALIVE] = 0
            m[part + k.P_LEFT] += 1
        m[part + k.P_LEFT_JOB] = job + (y + 1 == rows)
        m[part + k.P_ENDED] += 1
        _leave(m, events, part, job, y, m[part + k.P_KEEPS] == 1 and timestep_of(m, job) > 0)
    release_rows(m, part)


@step
def _leave(m: Memory, events: Memory, part: int, job: int, y: int, stored: bool) -> None:
    """Let go of what a row held and pass it on."""
    if not stored:
        for entry in range(m[part + k.P_PARTIALS], m[part + k.P_PARTIALS_END]):
            free_rows(m, m[entry], 1)
    for entry in range(m[part + k.P_RESIDUALS], m[part + k.P_RESIDUALS_END]):
        free_rows(m, m[entry], m[part + k.P_BAND])
    for output in range(m[part + k.P_OUTPUTS], m[part + k.P_OUTPUTS_END], k.O_SIZE):
        after = m[output + k.O_AFTER] + y * k.AFTER_SIZE
        for row in range(m[after + k.AFTER_FIRST], m[after + k.AFTER_FIRST] + m[after + k.AFTER_COUNT]):
            _queue(m, events, output, job, row)


@step
def _sides_there(m: Memory, part: int, job: int, y: int, stored: bool) -> bool:
    """Whether the partial sums and residuals that row y fires with have come."""
    rows, band = m[part + k.P_ROWS], m[part + k.P_BAND]
    for entry in range(m[part + k.P_RESIDUALS], m[part + k.P_RESIDUALS_END]):
        if m[m[entry] + k.S_TOTAL] < (turn_of(m, m[entry], job) * rows + y + 1) * band:
            return False
    if not stored:
        # A stored encoder's other parts do nothing, so its partial sums come once for each image.
        maps = m[m[k.G_JOBS] + job * k.J_SIZE + k.J_MAP] if m[part + k.P_KEEPS] == 1 else job
        for entry in range(m[part + k.P_PARTIALS], m[part + k.P_PARTIALS_END]):
            if m[m[entry] + k.S_TOTAL] < maps * rows + y + 1:
                return False
    return True


@step
def sides_come(m: Memory, part: int, now: int) -> None:
    """Note of the rows under way which have their partial sums and residuals now."""
    come = False
    for row in range(m[part + k.P_SETTLED], m[part + k.P_BEGUN]):
        slot = m[part + k.P_SLOTS] + row % m[part + k.P_SLOT_COUNT] * k.Q_SIZE
        if m[slot + k.Q_SIDES] == k.NEVER and _sides_there(
            m, part, m[slot + k.Q_JOB], m[slot + k.Q_ROW], m[slot + k.Q_STORED] == 1
        ):
            m[slot + k.Q_SIDES] = now
            m[part + k.P_WAITING] -= 1
            come = True
    if come:
        m[part + k.P_UNSOLVED] = 1


@step
def begin_row(m: Memory, counts: Memory, part: int, job: int, y: int, stored: bool, now: int) -> None:
    """Start a row now; its inputs are there."""
    slot = m[part + k.P_SLOTS] + m[part + k.P_BEGUN] % m[part + k.P_SLOT_COUNT] * k.Q_SIZE
    if m[slot + k.Q_ALIVE] == 1:
        m[k.G_FAILED] = 1
        return
    waits = m[part + k.P_HEAD] == 1 and not _sides_there(m, part, job, y, stored)
    m[part + k.P_BEGUN] += 1
    m[part + k.P_WAITING] += waits
    m[part + k.P_FETCHED] = k.NEVER
    m[slot + k.Q_JOB], m[slot + k.Q_ROW], m[slot + k.Q_STORED] = job, y, stored
    m[slot + k.Q_READY], m[slot + k.Q_SIDES] = now, k.NEVER if waits else 0
    m[slot + k.Q_TOLD], m[slot + k.Q_OUTPUT], m[slot + k.Q_ALIVE] = 0, m[part + k.P_OUTPUTS], 1
    m[slot + k.Q_NUMBER] = m[part + k.P_PLAYED] * m[part + k.P_ROWS] + y
    add_counts(m, counts, job, m[m[part + k.P_COUNTS] + 2 * stored + (timestep_of(m, job) > 0)], 1)
    began = job * m[k.G_COUNTS] + m[part + k.P_BEGUN_PLACE]
    if counts[began] == 0:
        counts[began] = now + 1
    m[part + k.P_UNSOLVED] = 1


@step
def row_done(m: Memory, counts: Memory, events: Memory, slot: int, now: int) -> None:
    """A row is done, or one of its streams pooled: pool the next, and queue it for sending."""
    part, y, job = m[slot + k.Q_PART], m[slot + k.Q_ROW], m[slot + k.Q_JOB]
    if m[part + k.P_FIRE_ROWS] != 0 and m[slot + k.Q_TOLD] & k.TOLD_FIRED == 0:
        m[slot + k.Q_TOLD] |= k.TOLD_FIRED
        entry = m[part + k.P_FIRE_ROWS] + 2 * y
        if m[entry] > 0:
            ends = max(now, m[part + k.P_FIRE_FREE]) + m[entry + 1]
            m[part + k.P_FIRE_FREE] = ends
            counted = m[part + k.P_FIRE_COUNTS] + (timestep_of(m, job) > 0)
            add_counts(m, counts, job, m[counted], m[entry])
            if ends > now:
                put(m, slot, ends)
                return
    if m[slot + k.Q_TOLD] & k.TOLD_POWERED == 0:
        m[slot + k.Q_TOLD] |= k.TOLD_POWERED
        if m[k.G_GATED] == 1:
            entry = m[k.G_POWERED] + 4 * m[k.G_POWERED_ROWS]
            m[entry], m[entry + 1] = m[part + k.P_TILE], m[slot + k.Q_BEGAN]
            m[entry + 2], m[entry + 3] = now, job
            m[k.G_POWERED_ROWS] += 1
    while m[slot + k.Q_OUTPUT] < m[part + k.P_OUTPUTS_END]:
        cycles = m[m[m[slot + k.Q_OUTPUT] + k.O_AFTER] + y * k.AFTER_SIZE + k.AFTER_POOL]
        m[slot + k.Q_OUTPUT] += k.O_SIZE
        if cycles > 0:
            put(m, slot, now + cycles)
            return
    if y == m[part + k.P_ROWS] - 1:
        counts[job * m[k.G_COUNTS] + m[part + k.P_POOL_PLACE]] += m[part + k.P_POOL_VALUES]
    counts[job * m[k.G_COUNTS] + m[part + k.P_ENDED_PLACE]] = now + 1
    m[slot + k.Q_TOLD] |= k.TOLD_ENDED
    leave_rows(m, events, part)
