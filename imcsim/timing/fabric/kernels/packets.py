"""Rows on their way: senders, the image that comes onto the chip, hops from router to router."""

from __future__ import annotations

from imcsim.timing.fabric.kernels.buffers import arrive, release_rows
from imcsim.timing.fabric.kernels.jobs import is_dead, timestep_of
from imcsim.timing.fabric.kernels.links import ask_for
from imcsim.timing.fabric.kernels.records import (
    FLYING,
    FOR_PLACE,
    G_COUNTS,
    G_FLIT_BITS,
    G_GLOBAL_READ_PLACE,
    G_GLOBAL_WRITE_PLACE,
    G_IMAGE_BITS,
    G_IMAGE_PLACE,
    G_IMAGES,
    G_ISSUED,
    G_KEEPS,
    G_LOAD,
    G_TIMED,
    IDLE,
    IMAGE,
    KIND,
    LOADING,
    O_DELIVERED,
    O_DELIVERED_ROWS,
    O_GONE,
    O_HEIGHT,
    O_OWN,
    O_PADDING,
    O_PART,
    O_PUT,
    O_QUEUE,
    O_QUEUE_END,
    O_STRIDE,
    O_TURN,
    QUEUE_BITS,
    QUEUE_JOB,
    QUEUE_LEFT,
    QUEUE_SIZE,
    S_BITS,
    S_ENTRY,
    S_FLITS,
    S_HEIGHT,
    S_HOP,
    S_HOPS_PLACE,
    S_JOB,
    S_MOVED_PLACE,
    S_OUTPUT,
    S_PATH,
    S_PATH_END,
    S_PHASE,
    S_ROOM,
    S_ROW,
    S_SENT,
    S_TARGET,
    S_WRITE_PLACE,
    Memory,
)
from imcsim.timing.fabric.kernels.wheel import put
from imcsim.timing.processes.row_kernels import step


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
        put(m, stream, now + 1)
        return
    flits = 1 + (bits + m[G_FLIT_BITS] - 1) // m[G_FLIT_BITS]
    m[stream + S_FLITS] = flits
    counts[first + m[stream + S_HOPS_PLACE]] += flits * hops
    counts[first + m[stream + S_MOVED_PLACE]] += bits * hops
    ask_for(m, stream, m[m[stream + S_PATH]], now)


@step
def run_sender(m: Memory, counts: Memory, stream: int, now: int) -> None:
    """Send queued rows one after the other, each when the receiver has room; drop what is cancelled."""
    while m[stream + S_PHASE] != FLYING:
        if m[stream + S_PHASE] == IDLE and m[stream + S_SENT] == m[m[stream + S_OUTPUT] + O_PUT]:
            return
        entry = m[stream + S_ENTRY]
        job = m[entry + QUEUE_JOB]
        dead = is_dead(m, job, now)
        if m[stream + S_PHASE] == FOR_PLACE or not dead:
            if m[stream + S_ROOM] == 0:
                m[stream + S_PHASE] = FOR_PLACE
                return
            if not dead:
                m[stream + S_ROOM] -= 1
                _fly(m, counts, stream, job, m[entry + QUEUE_BITS], now)
                return
        m[stream + S_PHASE] = IDLE
        arrive(m, stream, True)
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
    release_rows(m, m[output + O_PART])


@step
def run_image(m: Memory, counts: Memory, stream: int, now: int) -> None:
    """Load each image into the global buffer, and send its rows (at every timestep to recompute).

    Row -1 stands for an image that has not been loaded.
    """
    while m[stream + S_PHASE] != FLYING and m[stream + S_PHASE] != LOADING:
        job = m[stream + S_JOB]
        if job >= m[G_ISSUED]:
            return
        dead = is_dead(m, job, now)
        if m[stream + S_ROW] < 0:
            later = timestep_of(m, job) > 0
            if later and m[G_KEEPS] == 1:
                m[stream + S_JOB] += 1
                continue
            m[stream + S_ROW] = 0
            if not later or (m[G_TIMED] == 1 and not dead):
                m[stream + S_PHASE] = LOADING
                put(m, stream, now + m[G_LOAD])
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
        arrive(m, stream, True)
        _next_image_row(m, stream)


@step
def _next_image_row(m: Memory, stream: int) -> None:
    m[stream + S_ROW] += 1
    if m[stream + S_ROW] == m[stream + S_HEIGHT]:
        m[stream + S_ROW] = -1
        m[stream + S_JOB] += 1


@step
def packet_there(m: Memory, counts: Memory, stream: int, now: int) -> None:
    """A packet's head is at the next router, or all of it at its receiver; or an image is on the chip."""
    if m[stream + S_PHASE] == LOADING:
        m[stream + S_PHASE] = IDLE
        if stream == m[G_IMAGES]:
            first = m[stream + S_JOB] * m[G_COUNTS]
            counts[first + m[G_IMAGE_PLACE]] += m[G_IMAGE_BITS]
            counts[first + m[G_GLOBAL_WRITE_PLACE]] += m[G_IMAGE_BITS]
        run_image(m, counts, stream, now)
        return
    if m[stream + S_HOP] < m[stream + S_PATH_END]:
        ask_for(m, stream, m[m[stream + S_HOP]], now)
        return
    m[stream + S_PHASE] = IDLE
    arrive(m, stream, False)
    if m[stream + KIND] == IMAGE:
        _next_image_row(m, stream)
        run_image(m, counts, stream, now)
    else:
        _sent(m, stream)
        run_sender(m, counts, stream, now)
