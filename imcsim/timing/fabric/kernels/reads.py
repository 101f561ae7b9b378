"""Rows in the pipeline of a tile: their reads, counted, and when they are through."""

from __future__ import annotations

from typing import Any

from imcsim.timing.fabric.kernels.jobs import add_counts
from imcsim.timing.fabric.kernels.records import (
    G_CONVERT,
    G_EDGES,
    G_JOBS,
    G_SCRATCH,
    G_SENSE,
    G_SETS,
    G_STAGES,
    G_WORK_AT,
    J_SIZE,
    J_SLOT,
    J_TIMESTEP,
    NEVER,
    P_ALL_BLOCKS,
    P_ALL_COPIES,
    P_BEGUN,
    P_BLOCK0,
    P_BLOCKS,
    P_COPIES,
    P_COPY0,
    P_FETCHED,
    P_FIRES,
    P_PLANES,
    P_POSITIONS,
    P_READ_COUNTS,
    P_READS,
    P_SETTLED,
    P_SKIP_COUNTS,
    P_SLOT_COUNT,
    P_SLOTS,
    P_STAGE,
    P_TIMES,
    P_TREE,
    P_WAVE_COUNT,
    P_WAVES,
    P_WIDTH,
    Q_JOB,
    Q_READY,
    Q_ROW,
    Q_SIDES,
    Q_SIZE,
    Q_STORED,
    Q_TOLD,
    TOLD_DONE,
    TOLD_FETCHED,
    TOLD_READS,
    Memory,
)
from imcsim.timing.fabric.kernels.wheel import schedule
from imcsim.timing.processes.row_kernels import STATE_SIZE, advance_row, step


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
    add_counts(m, counts, job, m[part + P_READ_COUNTS], reads)
    add_counts(m, counts, job, m[part + P_SKIP_COUNTS], everything - reads)


@step
def solve_rows(m: Memory, counts: Memory, active: Any, taken: Any, part: int, now: int) -> None:
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
            schedule(m, part, now, fetched)
        if done < NEVER and m[slot + Q_TOLD] & TOLD_DONE == 0:
            m[slot + Q_TOLD] |= TOLD_DONE
            schedule(m, slot, now, done)
        if settled:
            m[part + P_SETTLED] += 1
