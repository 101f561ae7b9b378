"""Rows in the pipeline of a tile: their reads, counted, and when they are through."""

from __future__ import annotations

from typing import Any

from imcsim.base.compiled import after
from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.kernels.jobs import add_counts
from imcsim.timing.fabric.kernels.records import Memory
from imcsim.timing.fabric.kernels.wheel import schedule
from imcsim.timing.processes.row_kernels import STATE_SIZE, row_of_waves, step


@step
def _reads(m: Memory, active: Any, taken: Any, part: int, job: int, y: int) -> bool:
    """Bring the reads of a row that are not skipped together, ``[waves, copies, drives, blocks]``, and count
    those of each run of blocks. False: no read is skipped.
    """
    runs, runs_end = m[part + k.P_RUNS], m[part + k.P_RUNS_END]
    for run in range(runs, runs_end, k.RUN_SIZE):
        m[run + k.RUN_READS] = m[run + k.RUN_ALL] if m[k.G_STAGES] == 0 else 0
    if m[k.G_STAGES] == 0:
        return False
    at = m[k.G_JOBS] + job * k.J_SIZE
    begins = m[m[k.G_WORK_AT] + m[at + k.J_SLOT] * (m[k.G_STAGES] + m[k.G_EDGES]) + m[part + k.P_STAGE]]
    drives, blocks = m[part + k.P_PLANES] * m[part + k.P_TURNS], m[part + k.P_BLOCKS]
    step = m[part + k.P_ALL_BLOCKS]
    width, band = m[part + k.P_WIDTH], m[part + k.P_BAND]
    begins += (m[at + k.J_TIMESTEP] * m[part + k.P_POSITIONS] + y * band * width) * drives * step
    to, at_once = 0, m[part + k.P_ALL_COPIES] // band
    for wave in range(m[part + k.P_WAVE_COUNT]):
        for copy in range(m[part + k.P_COPIES]):
            if copy >= m[m[part + k.P_WAVES] + wave]:
                to += drives * blocks
                continue
            of_all = m[part + k.P_COPY0] + copy
            position = of_all % band * width + wave * at_once + of_all // band
            source = begins + position * drives * step + m[part + k.P_BLOCK0]
            for _ in range(drives):
                block = 0
                for run in range(runs, runs_end, k.RUN_SIZE):
                    reads, end = 0, block + m[run + k.RUN_BLOCKS]
                    while block < end:
                        taken[to + block] = active[source + block]
                        reads += active[source + block]
                        block += 1
                    m[run + k.RUN_READS] += reads
                source += step
                to += blocks
    return True


@step
def _count_reads(m: Memory, counts: Memory, part: int, job: int) -> None:
    """Count a row's reads, and those that it leaves out."""
    for run in range(m[part + k.P_RUNS], m[part + k.P_RUNS_END], k.RUN_SIZE):
        reads = m[run + k.RUN_READS]
        add_counts(m, counts, job, m[run + k.RUN_COUNTS], reads)
        add_counts(m, counts, job, m[run + k.RUN_SKIP_COUNTS], m[run + k.RUN_ALL] - reads)


@step
def solve_rows(m: Memory, counts: Memory, active: Any, taken: Any, part: int, now: int) -> None:
    """Advance through the rows under way; keep the state behind the last one that is settled."""
    copies, blocks, planes = m[part + k.P_COPIES], m[part + k.P_BLOCKS], m[part + k.P_PLANES]
    units, sets, waves = copies * blocks, m[part + k.P_SETS], m[part + k.P_WAVES]
    turns, each = m[part + k.P_TURNS], m[part + k.P_TURNS_OF]
    count = m[part + k.P_WAVE_COUNT]
    size = STATE_SIZE + 2 * sets + 2 * units
    first = m[part + k.P_TIMES]
    settled = True
    for row in range(m[part + k.P_SETTLED], m[part + k.P_BEGUN]):
        slot = m[part + k.P_SLOTS] + row % m[part + k.P_SLOT_COUNT] * k.Q_SIZE
        if settled and m[slot + k.Q_SIDES] == k.NEVER:
            settled = False
            for n in range(size):
                m[m[k.G_SCRATCH] + n] = m[first + n]
            first = m[k.G_SCRATCH]
        stored = m[slot + k.Q_STORED] == 1
        everything = True
        if not stored:
            everything = not _reads(m, active, taken, part, m[slot + k.Q_JOB], m[slot + k.Q_ROW])
            if m[slot + k.Q_TOLD] & k.TOLD_READS == 0:
                m[slot + k.Q_TOLD] |= k.TOLD_READS
                _count_reads(m, counts, part, m[slot + k.Q_JOB])
        windows = first + STATE_SIZE
        arrays = windows + 2 * sets
        fetched, done = row_of_waves(
            m[slot + k.Q_READY], m[slot + k.Q_SIDES], stored, m[part + k.P_FIRES] == 1, count,
            after(m, waves), after(m, waves + count), after(m, waves + 2 * count),
            after(m, waves + 3 * count), planes, turns, after(m, each), m[part + k.P_SENSE],
            m[part + k.P_CONVERT], m[part + k.P_TREE], everything, taken, after(m, first),
            (units, blocks, sets, sets), after(m, windows), after(m, windows + sets), after(m, arrays),
            after(m, arrays + units),
        )  # fmt: skip
        if fetched < k.NEVER and m[slot + k.Q_TOLD] & k.TOLD_FETCHED == 0:
            m[slot + k.Q_TOLD] |= k.TOLD_FETCHED
            # Rows are fetched one by one: this is the one that the part waits for.
            m[part + k.P_FETCHED] = fetched
            schedule(m, part, now, fetched)
        if done < k.NEVER and m[slot + k.Q_TOLD] & k.TOLD_DONE == 0:
            m[slot + k.Q_TOLD] |= k.TOLD_DONE
            schedule(m, slot, now, done)
        if settled:
            m[part + k.P_SETTLED] += 1
