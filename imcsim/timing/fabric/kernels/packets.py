"""Rows on their way: senders, the image that comes onto the chip, hops from router to router."""

from __future__ import annotations

from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.kernels.buffers import arrive, release_rows
from imcsim.timing.fabric.kernels.jobs import is_dead, timestep_of
from imcsim.timing.fabric.kernels.links import ask_for
from imcsim.timing.fabric.kernels.records import Memory
from imcsim.timing.fabric.kernels.wheel import put
from imcsim.timing.processes.row_kernels import step


@step
def _fly(m: Memory, counts: Memory, stream: int, job: int, bits: int, now: int) -> None:
    """A row leaves for its receiver; within a tile it takes a cycle."""
    first = job * m[k.G_COUNTS]
    if m[stream + k.S_WRITE_PLACE] > 0:
        counts[first + m[stream + k.S_WRITE_PLACE]] += bits
    m[stream + k.S_PHASE] = k.FLYING
    m[stream + k.S_HOP] = m[stream + k.S_PATH]
    if m[stream + k.S_PATH_END] == m[stream + k.S_PATH]:
        put(m, stream, now + 1)
        return
    flits = 1 + (bits + m[k.G_FLIT_BITS] - 1) // m[k.G_FLIT_BITS]
    m[stream + k.S_FLITS] = flits
    counts[first + m[stream + k.S_HOPS_PLACE]] += flits * m[stream + k.S_ROUTERS]
    counts[first + m[stream + k.S_MOVED_PLACE]] += bits * m[stream + k.S_PITCHES]
    crossed = flits * m[k.G_FLIT_BITS] * m[stream + k.S_LINKS]
    counts[first + m[stream + k.S_LINKS_PLACE]] += crossed
    ask_for(m, stream, m[m[stream + k.S_PATH]], now)


@step
def run_sender(m: Memory, counts: Memory, stream: int, now: int) -> None:
    """Send queued rows one after the other, each when the receiver has room; drop what is cancelled."""
    while m[stream + k.S_PHASE] != k.FLYING:
        if m[stream + k.S_PHASE] == k.IDLE and m[stream + k.S_SENT] == m[m[stream + k.S_OUTPUT] + k.O_PUT]:
            return
        entry = m[stream + k.S_ENTRY]
        job = m[entry + k.QUEUE_JOB]
        dead = is_dead(m, job, now)
        if m[stream + k.S_PHASE] == k.FOR_PLACE or not dead:
            if m[stream + k.S_ROOM] == 0:
                m[stream + k.S_PHASE] = k.FOR_PLACE
                return
            if not dead:
                m[stream + k.S_ROOM] -= 1
                _fly(m, counts, stream, job, m[entry + k.QUEUE_BITS], now)
                return
        m[stream + k.S_PHASE] = k.IDLE
        arrive(m, stream, True)
        _sent(m, stream)


@step
def _sent(m: Memory, stream: int) -> None:
    """A row has been sent, or dropped: once by all senders of its output, it needs no place any more."""
    entry, output = m[stream + k.S_ENTRY], m[stream + k.S_OUTPUT]
    m[stream + k.S_SENT] += 1
    after = entry + k.QUEUE_SIZE
    m[stream + k.S_ENTRY] = m[output + k.O_QUEUE] if after == m[output + k.O_QUEUE_END] else after
    m[entry + k.QUEUE_LEFT] -= 1
    if m[entry + k.QUEUE_LEFT] > 0:
        return
    m[output + k.O_DELIVERED] += 1
    m[output + k.O_DELIVERED_ROWS] += 1
    if m[output + k.O_DELIVERED_ROWS] == m[output + k.O_HEIGHT]:
        m[output + k.O_DELIVERED_ROWS] = 0
        m[output + k.O_TURN] += m[output + k.O_OWN]
    first = m[output + k.O_DELIVERED_ROWS] * m[output + k.O_STRIDE] - m[output + k.O_PADDING]
    m[output + k.O_GONE] = m[output + k.O_TURN] + max(0, first) // m[output + k.O_BAND]
    release_rows(m, m[output + k.O_PART])


@step
def run_image(m: Memory, counts: Memory, stream: int, now: int) -> None:
    """Load each image into the global buffer, and send its rows (at every timestep to recompute).

    Row -1 stands for an image that has not been loaded.
    """
    while m[stream + k.S_PHASE] != k.FLYING and m[stream + k.S_PHASE] != k.LOADING:
        job = m[stream + k.S_JOB]
        if job >= m[k.G_ISSUED]:
            return
        dead = is_dead(m, job, now)
        if m[stream + k.S_ROW] < 0:
            later = timestep_of(m, job) > 0
            if later and m[k.G_KEEPS] == 1:
                m[stream + k.S_JOB] += 1
                continue
            m[stream + k.S_ROW] = 0
            if m[k.G_LOAD] > 0 and (not later or (m[k.G_TIMED] == 1 and not dead)):
                m[stream + k.S_PHASE] = k.LOADING
                put(m, stream, now + m[k.G_LOAD])
                return
        if m[stream + k.S_PHASE] == k.FOR_PLACE or not dead:
            if m[stream + k.S_ROOM] == 0:
                m[stream + k.S_PHASE] = k.FOR_PLACE
                return
            if not dead:
                m[stream + k.S_ROOM] -= 1
                counts[job * m[k.G_COUNTS] + m[k.G_GLOBAL_READ_PLACE]] += m[stream + k.S_BITS]
                _fly(m, counts, stream, job, m[stream + k.S_BITS], now)
                return
        m[stream + k.S_PHASE] = k.IDLE
        arrive(m, stream, True)
        _next_image_row(m, stream)


@step
def _next_image_row(m: Memory, stream: int) -> None:
    m[stream + k.S_ROW] += 1
    if m[stream + k.S_ROW] == m[stream + k.S_HEIGHT]:
        m[stream + k.S_ROW] = -1
        m[stream + k.S_JOB] += 1


@step
def packet_there(m: Memory, counts: Memory, stream: int, now: int) -> None:
    """A packet's head is at the next router, or all of it at its receiver; or an image is on the chip."""
    if m[stream + k.S_PHASE] == k.LOADING:
        m[stream + k.S_PHASE] = k.IDLE
        if stream == m[k.G_IMAGES]:
            first = m[stream + k.S_JOB] * m[k.G_COUNTS]
            counts[first + m[k.G_IMAGE_PLACE]] += m[k.G_IMAGE_BITS]
            counts[first + m[k.G_GLOBAL_WRITE_PLACE]] += m[k.G_IMAGE_BITS]
        run_image(m, counts, stream, now)
        return
    if m[stream + k.S_HOP] < m[stream + k.S_PATH_END]:
        ask_for(m, stream, m[m[stream + k.S_HOP]], now)
        return
    m[stream + k.S_PHASE] = k.IDLE
    arrive(m, stream, False)
    if m[stream + k.KIND] == k.IMAGE:
        _next_image_row(m, stream)
        run_image(m, counts, stream, now)
    else:
        _sent(m, stream)
        run_sender(m, counts, stream, now)
