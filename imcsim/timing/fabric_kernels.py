"""Tiles and mesh between two verdicts, compiled: rows, packets, links and buffers on one wheel of cycles.

Says the same as the processes of ``part``, ``burst`` and ``mesh``, cycle for cycle. Within a cycle what
happens first comes to rest; then links decide among the packets that ask for them.

A chip is one array of integers, `m`. Its things are records in it and know each other by their address:
``m[thing + FIELD]``, where 0 stands for none. All records to which something can happen begin alike: one
event ahead on the wheel at most, and a place in the list of what is to be looked at before the cycle ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.timing.kernels import BUSY, STATE_SIZE, advance_row, jit, step

__all__ = ["BUSY", "STATE_SIZE", "advance"]

Memory = NDArray[np.int64]

NEVER = 1 << 60

# The head of the memory: figures of the chip, addresses of what there is once, how far the play has come.
(
    G_SENSE, G_CONVERT, G_HOP, G_FLIT_BITS, G_LOAD, G_KEEPS, G_TIMED, G_GATED, G_TELLS_ENTERED, G_IMAGE_BITS,
    G_IMAGE_PLACE, G_GLOBAL_WRITE_PLACE, G_GLOBAL_READ_PLACE, G_COUNTS, G_SETS, G_SCRATCH, G_WHEEL, G_BUCKETS,
    G_PARTS, G_PARTS_END, G_IMAGES, G_IMAGES_END, G_ANSWERS, G_ANSWERS_END, G_STAGES, G_EDGES, G_WORK_AT,
    G_JOBS, G_RING, G_POWERED, G_ISSUED, G_SEEN_JOBS, G_LIVE, G_WOKEN, G_DECIDING, G_TELL, G_WANTED,
    G_FREE_ANSWERS, G_LINK_CYCLES, G_POWERED_ROWS, G_FAILED, G_SIZE,
) = range(1, 43)  # fmt: skip

# Every record. On the wheel: the next one in the bucket, and the cycle.
NEXT, DUE, KIND, WOKEN = range(4)
SENDER, IMAGE, PART, SLOT, LINK = range(5)
LAST = -1
"""Ends lists of records that are linked by themselves."""

# A stream of rows: a sender (the image's have no output), and room and rows at the receiver (0: the checker).
# `S_VALID` to `S_VALID_END`: rows that are not void of each map under way; `S_COME` is being received and
# `S_LET` freed, so many rows of it. If two ask for a link at once, the lower address goes first.
(
    S_HOP, S_PATH_END, S_FLITS, S_ASKED, S_BEFORE, S_BEHIND, S_PHASE, S_TARGET, S_OUTPUT, S_ENTRY, S_PATH,
    S_ROOM, S_TOTAL, S_FREED, S_HEIGHT, S_VALID, S_VALID_END, S_COME, S_COME_ROWS, S_LET, S_LET_ROWS, S_SENT,
    S_HOPS_PLACE, S_MOVED_PLACE, S_WRITE_PLACE, S_BITS, S_JOB, S_ROW, S_SIZE,
) = range(4, 33)  # fmt: skip
IDLE, FOR_PLACE, FLYING, LOADING = range(4)

# A link: when it falls free, whether a decision is due, the packets that ask for it.
L_FREE, L_ASKED, L_FIRST, L_LAST, L_SIZE = range(4, 9)

# A stream that a part puts out: the streams to its receivers, and the rows that wait for them. `O_GONE`: own
# rows that it needs no more; `O_TURN`: own rows of all jobs of which every row has been delivered.
# `O_VALUES`: spikes or the like and not sums.
(
    O_PART, O_HEIGHT, O_OWN, O_STRIDE, O_PADDING, O_AFTER, O_STREAMS, O_STREAMS_END, O_QUEUE, O_QUEUE_END,
    O_ENTRY, O_BITS, O_EDGE, O_FIRST, O_CHANNELS, O_EDGE_CHANNELS, O_SHARE, O_COPIES, O_EVENT_BITS, O_VALUES,
    O_PUT, O_DELIVERED, O_DELIVERED_ROWS, O_TURN, O_GONE, O_SIZE,
) = range(26)  # fmt: skip
QUEUE_JOB, QUEUE_BITS, QUEUE_LEFT, QUEUE_SIZE = range(4)
AFTER_FIRST, AFTER_COUNT, AFTER_POOL, AFTER_SIZE = range(4)

# A part. Counts: addresses of lists of places and numbers (see `_count`), for rows not stored and stored, of
# first and later timesteps, for a read and for one that is left out. `P_HELD` to `P_HELD_END`: rows that hold
# a place of each job under way, of which `P_HOLD` is being played and `P_LET` released.
(
    P_HEAD, P_FIRES, P_KEEPS, P_ROWS, P_PLANES, P_TREE, P_COPIES, P_BLOCKS, P_WAVES, P_WAVE_COUNT, P_INPUTS,
    P_INPUTS_END, P_INPUT_HEIGHT, P_INPUT_IMAGE, P_ROW_TABLE, P_PARTIALS, P_PARTIALS_END, P_RESIDUALS,
    P_RESIDUALS_END, P_OUTPUTS, P_OUTPUTS_END, P_TILE, P_STAGE, P_POOL_VALUES, P_POOL_PLACE, P_SLOTS,
    P_SLOT_COUNT, P_WIDTH, P_POSITIONS, P_ALL_COPIES, P_COPY0, P_ALL_BLOCKS, P_BLOCK0, P_READS, P_COUNTS,
    P_READ_COUNTS, P_SKIP_COUNTS, P_TIMES, P_JOB, P_ROW, P_PHASE, P_FETCHED, P_FREED, P_ROOM, P_ENDED,
    P_RELEASED, P_PLAYED, P_BEGUN, P_SETTLED, P_WAITING, P_SEEN, P_HELD, P_HELD_END, P_HOLD, P_LET,
    P_LET_ROWS, P_UNSOLVED, P_SIZE,
) = range(4, 62)  # fmt: skip
NEXT_JOB, NEXT_ROW, FOR_ROOM, FOR_INPUT, FOR_FETCH = range(5)

# A row under way.
(
    Q_PART, Q_JOB, Q_ROW, Q_STORED, Q_READY, Q_SIDES, Q_TOLD, Q_BEGAN, Q_OUTPUT, Q_ALIVE, Q_SIZE,
) = range(4, 15)  # fmt: skip
TOLD_FETCHED, TOLD_DONE, TOLD_POWERED, TOLD_READS = 1, 2, 4, 8

J_TIMESTEP, J_MAP, J_CANCELLED, J_SLOT, J_SIZE = range(5)


# --- the wheel


@step
def _put(m: Memory, node: int, time: int) -> None:
    """Let something happen to a record at a later cycle."""
    bucket = m[G_WHEEL] + 2 * (time & (m[G_BUCKETS] - 1))
    m[node + DUE] = time
    m[node + NEXT] = 0
    if m[bucket] == 0:
        m[bucket] = node
    else:
        m[m[bucket + 1] + NEXT] = node
    m[bucket + 1] = node
    m[G_LIVE] += 1


@step
def _wake(m: Memory, node: int) -> None:
    """Look at a record before this cycle ends."""
    if m[node + WOKEN] == 0:
        m[node + WOKEN] = m[G_WOKEN]
        m[G_WOKEN] = node


@step
def _schedule(m: Memory, node: int, now: int, time: int) -> None:
    """Let something happen to a record, now or later."""
    if time <= now:
        _wake(m, node)
    else:
        _put(m, node, time)


@step
def _dead(m: Memory, job: int, now: int) -> bool:
    """Whether a job is cancelled by now."""
    return bool(now >= m[m[G_JOBS] + job * J_SIZE + J_CANCELLED])


@step
def _timestep(m: Memory, job: int) -> int:
    return int(m[m[G_JOBS] + job * J_SIZE + J_TIMESTEP])


@step
def _count(m: Memory, counts: Memory, job: int, some: int, times: int) -> None:
    """Count what a list says: how many entries, then places and numbers."""
    first = job * m[G_COUNTS]
    for k in range(some + 1, some + 1 + 2 * m[some], 2):
        counts[first + m[k]] += times * m[k + 1]


# --- links


@step
def _ask(m: Memory, sender: int, link: int, now: int) -> None:
    """A packet asks for a link: behind those that have waited longer, or as long with a lower rank."""
    m[sender + S_ASKED] = now
    before, behind = m[link + L_LAST], 0
    while before != 0 and m[before + S_ASKED] == now and before > sender:
        behind, before = before, m[before + S_BEFORE]
    m[sender + S_BEFORE] = before
    m[sender + S_BEHIND] = behind
    if before != 0:
        m[before + S_BEHIND] = sender
    else:
        m[link + L_FIRST] = sender
    if behind != 0:
        m[behind + S_BEFORE] = sender
    else:
        m[link + L_LAST] = sender
    if m[link + L_ASKED] == 0:
        m[link + L_ASKED] = 1
        if m[link + L_FREE] <= now:
            m[link + WOKEN] = m[G_DECIDING]
            m[G_DECIDING] = link
        else:
            _put(m, link, m[link + L_FREE])


@step
def _decide(m: Memory, now: int) -> None:
    """The end of a cycle: every link that is asked for and free takes a packet."""
    link = m[G_DECIDING]
    while link != LAST:
        sender = m[link + L_FIRST]
        behind = m[sender + S_BEHIND]
        flits = m[sender + S_FLITS]
        m[link + L_FIRST] = behind
        m[link + L_FREE] = now + flits
        m[G_LINK_CYCLES] += flits
        if behind != 0:
            m[behind + S_BEFORE] = 0
            _put(m, link, now + flits)
        else:
            m[link + L_LAST] = 0
            m[link + L_ASKED] = 0
        m[sender + S_HOP] += 1
        there = now + m[G_HOP]
        if m[sender + S_HOP] == m[sender + S_PATH_END]:
            there += flits - 1
        _put(m, sender, there)
        behind, m[link + WOKEN] = m[link + WOKEN], 0
        link = behind
    m[G_DECIDING] = LAST


# --- streams


@step
def _arrive(m: Memory, stream: int, void: bool) -> None:
    """A row has come to its receiver."""
    at, rows = m[stream + S_COME], m[stream + S_COME_ROWS]
    if rows == 0:
        m[at] = 0
    if not void:
        m[at] += 1
        if m[stream + S_TOTAL] < m[stream + S_FREED]:
            m[stream + S_ROOM] += 1
    m[stream + S_TOTAL] += 1
    m[stream + S_COME_ROWS] = rows + 1
    if rows + 1 == m[stream + S_HEIGHT]:
        m[stream + S_COME_ROWS] = 0
        m[stream + S_COME] = m[stream + S_VALID] if at + 1 == m[stream + S_VALID_END] else at + 1
    part = m[stream + S_TARGET]
    if part > 0:
        if m[part + P_WAITING] > 0 or (m[part + P_PHASE] == FOR_INPUT and m[m[part + P_SEEN]] == stream):
            _wake(m, part)
        return
    for k in range(m[G_ANSWERS], m[G_ANSWERS_END]):
        if m[m[k] + S_TOTAL] < m[G_WANTED]:
            return
    m[G_TELL] = 1


@step
def _free(m: Memory, stream: int, rows: int) -> None:
    """The next rows of a stream are not needed any more, whether or not they have come yet."""
    room = m[stream + S_ROOM]
    for _ in range(rows):
        at = m[stream + S_LET]
        if m[stream + S_FREED] < m[stream + S_TOTAL] and m[stream + S_LET_ROWS] < m[at]:
            m[stream + S_ROOM] += 1
        m[stream + S_FREED] += 1
        m[stream + S_LET_ROWS] += 1
        if m[stream + S_LET_ROWS] == m[stream + S_HEIGHT]:
            m[stream + S_LET_ROWS] = 0
            m[stream + S_LET] = m[stream + S_VALID] if at + 1 == m[stream + S_VALID_END] else at + 1
    if room == 0 and m[stream + S_ROOM] > 0 and m[stream + S_PHASE] == FOR_PLACE:
        _wake(m, stream)


@step
def _fly(m: Memory, counts: Memory, stream: int, job: int, bits: int, now: int) -> None:
    """A row leaves for its receiver; within a tile it takes a cycle."""
    first = job * m[G_COUNTS]
    if m[stream + S_TARGET] > 0:
        counts[first + m[stream + S_WRITE_PLACE]] += bits
    m[stream + S_PHASE] = FLYING
    m[stream + S_HOP] = m[stream + S_PATH]
    hops = m[stream + S_PATH_END] - m[stream + S_PATH]
    if hops == 0:
        _put(m, stream, now + 1)
        return
    flits = 1 + (bits + m[G_FLIT_BITS] - 1) // m[G_FLIT_BITS]
    m[stream + S_FLITS] = flits
    counts[first + m[stream + S_HOPS_PLACE]] += flits * hops
    counts[first + m[stream + S_MOVED_PLACE]] += bits * hops
    _ask(m, stream, m[m[stream + S_PATH]], now)


@step
def _run_sender(m: Memory, counts: Memory, stream: int, now: int) -> None:
    """Send queued rows one after the other, each when the receiver has room; drop what is cancelled."""
    while m[stream + S_PHASE] != FLYING:
        if m[stream + S_PHASE] == IDLE and m[stream + S_SENT] == m[m[stream + S_OUTPUT] + O_PUT]:
            return
        entry = m[stream + S_ENTRY]
        job = m[entry + QUEUE_JOB]
        dead = _dead(m, job, now)
        if m[stream + S_PHASE] == FOR_PLACE or not dead:
            if m[stream + S_ROOM] == 0:
                m[stream + S_PHASE] = FOR_PLACE
                return
            if not dead:
                m[stream + S_ROOM] -= 1
                _fly(m, counts, stream, job, m[entry + QUEUE_BITS], now)
                return
        m[stream + S_PHASE] = IDLE
        _arrive(m, stream, True)
        _sent(m, stream)


@step
def _sent(m: Memory, stream: int) -> None:
    """A row has been sent, or dropped: once by all senders of its output, it needs no place any more."""
    entry, output = m[stream + S_ENTRY], m[stream + S_OUTPUT]
    m[stream + S_SENT] += 1
    after = entry + QUEUE_SIZE
    m[stream + S_ENTRY] = m[output + O_QUEUE] if after == m[output + O_QUEUE_END] else after
    m[entry + QUEUE_LEFT] -= 1
    if m[entry + QUEUE_LEFT] > 0:
        return
    m[output + O_DELIVERED] += 1
    m[output + O_DELIVERED_ROWS] += 1
    if m[output + O_DELIVERED_ROWS] == m[output + O_HEIGHT]:
        m[output + O_DELIVERED_ROWS] = 0
        m[output + O_TURN] += m[output + O_OWN]
    first = m[output + O_DELIVERED_ROWS] * m[output + O_STRIDE] - m[output + O_PADDING]
    m[output + O_GONE] = m[output + O_TURN] + max(0, first)
    _release(m, m[output + O_PART])


@step
def _run_image(m: Memory, counts: Memory, stream: int, now: int) -> None:
    """Load each image into the global buffer, and send its rows (at every timestep to recompute).

    Row -1 stands for an image that has not been loaded.
    """
    while m[stream + S_PHASE] != FLYING and m[stream + S_PHASE] != LOADING:
        job = m[stream + S_JOB]
        if job >= m[G_ISSUED]:
            return
        dead = _dead(m, job, now)
        if m[stream + S_ROW] < 0:
            later = _timestep(m, job) > 0
            if later and m[G_KEEPS] == 1:
                m[stream + S_JOB] += 1
                continue
            m[stream + S_ROW] = 0
            if not later or (m[G_TIMED] == 1 and not dead):
                m[stream + S_PHASE] = LOADING
                _put(m, stream, now + m[G_LOAD])
                return
        if m[stream + S_PHASE] == FOR_PLACE or not dead:
            if m[stream + S_ROOM] == 0:
                m[stream + S_PHASE] = FOR_PLACE
                return
            if not dead:
                m[stream + S_ROOM] -= 1
                counts[job * m[G_COUNTS] + m[G_GLOBAL_READ_PLACE]] += m[stream + S_BITS]
                _fly(m, counts, stream, job, m[stream + S_BITS], now)
                return
        m[stream + S_PHASE] = IDLE
        _arrive(m, stream, True)
        _next_image_row(m, stream)


@step
def _next_image_row(m: Memory, stream: int) -> None:
    m[stream + S_ROW] += 1
    if m[stream + S_ROW] == m[stream + S_HEIGHT]:
        m[stream + S_ROW] = -1
        m[stream + S_JOB] += 1


@step
def _packet(m: Memory, counts: Memory, stream: int, now: int) -> None:
    """A packet's head is at the next router, or all of it at its receiver; or an image is on the chip."""
    if m[stream + S_PHASE] == LOADING:
        m[stream + S_PHASE] = IDLE
        if stream == m[G_IMAGES]:
            first = m[stream + S_JOB] * m[G_COUNTS]
            counts[first + m[G_IMAGE_PLACE]] += m[G_IMAGE_BITS]
            counts[first + m[G_GLOBAL_WRITE_PLACE]] += m[G_IMAGE_BITS]
        _run_image(m, counts, stream, now)
        return
    if m[stream + S_HOP] < m[stream + S_PATH_END]:
        _ask(m, stream, m[m[stream + S_HOP]], now)
        return
    m[stream + S_PHASE] = IDLE
    _arrive(m, stream, False)
    if m[stream + KIND] == IMAGE:
        _next_image_row(m, stream)
        _run_image(m, counts, stream, now)
    else:
        _sent(m, stream)
        _run_sender(m, counts, stream, now)


# --- rows


@step
def _release(m: Memory, part: int) -> None:
    """A stream has moved on, or a row has ended: free the output rows that no stream needs any more."""
    until, room = m[part + P_ENDED], m[part + P_ROOM]
    for output in range(m[part + P_OUTPUTS], m[part + P_OUTPUTS_END], O_SIZE):
        until = min(until, m[output + O_GONE])
    for _ in range(m[part + P_RELEASED], until):
        at = m[part + P_LET]
        if m[part + P_LET_ROWS] < m[at]:
            m[part + P_ROOM] += 1
        m[part + P_RELEASED] += 1
        m[part + P_LET_ROWS] += 1
        if m[part + P_LET_ROWS] == m[part + P_ROWS]:
            m[part + P_LET_ROWS] = 0
            m[part + P_LET] = m[part + P_HELD] if at + 1 == m[part + P_HELD_END] else at + 1
    if room == 0 and m[part + P_ROOM] > 0:
        _wake(m, part)


@step
def _leave(m: Memory, events: Memory, part: int, job: int, y: int, stored: bool) -> None:
    """A row has ended, or was never started: let go of what it held and pass it on."""
    m[part + P_ENDED] += 1
    if not stored:
        for k in range(m[part + P_PARTIALS], m[part + P_PARTIALS_END]):
            _free(m, m[k], 1)
    for k in range(m[part + P_RESIDUALS], m[part + P_RESIDUALS_END]):
        _free(m, m[k], 1)
    for output in range(m[part + P_OUTPUTS], m[part + P_OUTPUTS_END], O_SIZE):
        after = m[output + O_AFTER] + y * AFTER_SIZE
        for row in range(m[after + AFTER_FIRST], m[after + AFTER_FIRST] + m[after + AFTER_COUNT]):
            _queue(m, events, output, job, row)
    _release(m, part)


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
            _wake(m, stream)


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
def _reads(m: Memory, active: Any, taken: Any, part: int, job: int, y: int) -> int:
    """Bring the reads of a row that are not skipped together, ``[waves, copies, planes, blocks]``; how many
    they are. -1: no read is skipped.
    """
    if m[G_STAGES] == 0:
        return -1
    at = m[G_JOBS] + job * J_SIZE
    begins = m[m[G_WORK_AT] + m[at + J_SLOT] * (m[G_STAGES] + m[G_EDGES]) + m[part + P_STAGE]]
    planes, blocks, step = m[part + P_PLANES], m[part + P_BLOCKS], m[part + P_ALL_BLOCKS]
    begins += (m[at + J_TIMESTEP] * m[part + P_POSITIONS] + y * m[part + P_WIDTH]) * planes * step
    to, reads = 0, 0
    for wave in range(m[part + P_WAVE_COUNT]):
        x = wave * m[part + P_ALL_COPIES] + m[part + P_COPY0]
        for copy in range(m[part + P_COPIES]):
            if copy >= m[m[part + P_WAVES] + wave]:
                to += planes * blocks
                continue
            source = begins + (x + copy) * planes * step + m[part + P_BLOCK0]
            for _ in range(planes):
                for block in range(blocks):
                    taken[to + block] = active[source + block]
                    reads += active[source + block]
                source += step
                to += blocks
    return reads


@step
def _count_reads(m: Memory, counts: Memory, part: int, job: int, reads: int) -> None:
    """Count a row's reads (-1: all of them), and those that it leaves out."""
    everything = m[part + P_READS]
    if reads < 0:
        reads = everything
    _count(m, counts, job, m[part + P_READ_COUNTS], reads)
    _count(m, counts, job, m[part + P_SKIP_COUNTS], everything - reads)


@step
def _solve(m: Memory, counts: Memory, active: Any, taken: Any, part: int, now: int) -> None:
    """Advance through the rows under way; keep the state behind the last one that is settled."""
    copies, blocks, planes = m[part + P_COPIES], m[part + P_BLOCKS], m[part + P_PLANES]
    units, sets, waves = copies * blocks, m[G_SETS], m[part + P_WAVES]
    count = m[part + P_WAVE_COUNT]
    size = STATE_SIZE + 2 * sets + 2 * units
    first = m[part + P_TIMES]
    settled = True
    for row in range(m[part + P_SETTLED], m[part + P_BEGUN]):
        slot = m[part + P_SLOTS] + row % m[part + P_SLOT_COUNT] * Q_SIZE
        if settled and m[slot + Q_SIDES] == NEVER:
            settled = False
            for k in range(size):
                m[m[G_SCRATCH] + k] = m[first + k]
            first = m[G_SCRATCH]
        stored = m[slot + Q_STORED] == 1
        given = 0
        if not stored:
            reads = _reads(m, active, taken, part, m[slot + Q_JOB], m[slot + Q_ROW])
            if reads >= 0:
                given = count * units * planes
            if m[slot + Q_TOLD] & TOLD_READS == 0:
                m[slot + Q_TOLD] |= TOLD_READS
                _count_reads(m, counts, part, m[slot + Q_JOB], reads)
        windows = first + STATE_SIZE
        arrays = windows + 2 * sets
        fetched, done = advance_row(
            m[slot + Q_READY], m[slot + Q_SIDES], NEVER, stored, m[part + P_FIRES] == 1,
            m[waves : waves + count], m[waves + count : waves + 2 * count],
            m[waves + 2 * count : waves + 3 * count], m[waves + 3 * count : waves + 4 * count],
            planes, blocks, m[G_SENSE], m[G_CONVERT], m[part + P_TREE], taken[:given],
            m[first : first + STATE_SIZE], m[windows : windows + sets], m[windows + sets : arrays],
            m[arrays : arrays + units], m[arrays + units : arrays + 2 * units],
        )  # fmt: skip
        if fetched < NEVER and m[slot + Q_TOLD] & TOLD_FETCHED == 0:
            m[slot + Q_TOLD] |= TOLD_FETCHED
            # Rows are fetched one by one: this is the one that the part waits for.
            m[part + P_FETCHED] = fetched
            _schedule(m, part, now, fetched)
        if done < NEVER and m[slot + Q_TOLD] & TOLD_DONE == 0:
            m[slot + Q_TOLD] |= TOLD_DONE
            _schedule(m, slot, now, done)
        if settled:
            m[part + P_SETTLED] += 1


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
def _begin(m: Memory, counts: Memory, part: int, job: int, y: int, stored: bool, now: int) -> None:
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
    _count(m, counts, job, m[m[part + P_COUNTS] + 2 * stored + (_timestep(m, job) > 0)], 1)
    m[part + P_UNSOLVED] = 1


@step
def _row_done(m: Memory, counts: Memory, events: Memory, slot: int, now: int) -> None:
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
            _put(m, slot, now + cycles)
            return
    if y == m[part + P_ROWS] - 1:
        counts[job * m[G_COUNTS] + m[part + P_POOL_PLACE]] += m[part + P_POOL_VALUES]
    m[slot + Q_ALIVE] = 0
    _leave(m, events, part, job, y, m[slot + Q_STORED] == 1)


@step
def _row_over(m: Memory, events: Memory, part: int, job: int, y: int, stored: bool, void: bool) -> None:
    """Fetched or void: let go of input rows, and turn to the next row or job."""
    if not stored:
        done = m[m[part + P_ROW_TABLE] + 2 * y + 1]
        for k in range(m[part + P_INPUTS], m[part + P_INPUTS_END]):
            _free(m, m[k], done - m[part + P_FREED])
        m[part + P_FREED] = done
    if void:
        _leave(m, events, part, job, y, stored)
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
def _sides_come(m: Memory, part: int, now: int) -> None:
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
def _run_part(m: Memory, counts: Memory, events: Memory, part: int, now: int) -> None:
    """All rows of one job after the other, as far as a part can go now."""
    if m[part + P_WAITING] > 0:
        _sides_come(m, part, now)
    while m[G_FAILED] == 0:
        job, y = m[part + P_JOB], m[part + P_ROW]
        if job >= m[G_ISSUED]:
            return
        stored = m[part + P_KEEPS] == 1 and _timestep(m, job) > 0
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
        dead = _dead(m, job, now)
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
        _begin(m, counts, part, job, y, stored, now)


# --- cycles

TOLD, RESTS, FAILED = range(3)


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
            _free(m, m[k], 1)
    if m[G_SEEN_JOBS] < m[G_ISSUED]:
        m[G_SEEN_JOBS] = m[G_ISSUED]
        for part in range(m[G_PARTS], m[G_PARTS_END], P_SIZE):
            if m[part + P_PHASE] == NEXT_JOB:
                _wake(m, part)
        for stream in range(m[G_IMAGES], m[G_IMAGES_END], S_SIZE):
            if m[stream + S_PHASE] == IDLE:
                _wake(m, stream)
    while True:
        bucket = m[G_WHEEL] + 2 * (now & (m[G_BUCKETS] - 1))
        node = m[bucket]
        m[bucket] = 0
        while node != 0 or m[G_WOKEN] != LAST:
            if node != 0:
                what, node, due = node, m[node + NEXT], True
                m[G_LIVE] -= 1
                if m[what + DUE] != now:  # in another turn of the wheel
                    _put(m, what, m[what + DUE])
                    continue
            else:
                what, due = m[G_WOKEN], False
                m[G_WOKEN], m[what + WOKEN] = m[what + WOKEN], 0
            kind = m[what + KIND]
            if kind == LINK:
                m[what + WOKEN] = m[G_DECIDING]
                m[G_DECIDING] = what
            elif kind == PART:
                _run_part(m, counts, events, what, now)
                if m[what + P_UNSOLVED] == 1:
                    m[what + P_UNSOLVED] = 0
                    _solve(m, counts, active, taken, what, now)
            elif kind == SLOT:
                _row_done(m, counts, events, what, now)
            elif due:
                _packet(m, counts, what, now)
            elif kind == IMAGE:
                _run_image(m, counts, what, now)
            else:
                _run_sender(m, counts, what, now)
        if m[G_FAILED] == 1:
            return FAILED, now
        if m[G_TELL] == 1:
            m[G_TELL] = 0
            return TOLD, now
        _decide(m, now)
        if m[G_LIVE] == 0:
            return RESTS, NEVER
        now += 1
        while now < until and m[m[G_WHEEL] + 2 * (now & (m[G_BUCKETS] - 1))] == 0:
            now += 1
        if now >= until:
            return RESTS, until
