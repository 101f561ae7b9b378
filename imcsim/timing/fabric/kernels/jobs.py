"""What is known of a job, and its counts."""

from __future__ import annotations

from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.kernels.records import Memory
from imcsim.timing.processes.row_kernels import step


@step
def is_dead(m: Memory, job: int, now: int) -> bool:
    """Whether a job is cancelled by now."""
    return bool(now >= m[m[k.G_JOBS] + job * k.J_SIZE + k.J_CANCELLED])


@step
def timestep_of(m: Memory, job: int) -> int:
    return int(m[m[k.G_JOBS] + job * k.J_SIZE + k.J_TIMESTEP])


@step
def turn_of(m: Memory, stream: int, job: int) -> int:
    """How many maps came over a stream before the one that a job works on; -1 where a delay has none for it,
    and it finds zeros.
    """
    for _ in range(m[stream + k.S_DELAY]):
        if job >= 0:
            job = m[m[k.G_JOBS] + job * k.J_SIZE + k.J_BEFORE]
    return job if job < 0 else int(job + m[stream + k.S_LAG])


@step
def add_counts(m: Memory, counts: Memory, job: int, some: int, times: int) -> None:
    """Count what a list says: how many entries, then places and numbers."""
    first = job * m[k.G_COUNTS]
    for pair in range(some + 1, some + 1 + 2 * m[some], 2):
        counts[first + m[pair]] += times * m[pair + 1]
