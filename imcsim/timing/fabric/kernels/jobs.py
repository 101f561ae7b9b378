"""What is known of a job, and its counts."""

from __future__ import annotations

from imcsim.timing.fabric.kernels.records import G_COUNTS, G_JOBS, J_CANCELLED, J_SIZE, J_TIMESTEP, Memory
from imcsim.timing.processes.row_kernels import step


@step
def is_dead(m: Memory, job: int, now: int) -> bool:
    """Whether a job is cancelled by now."""
    return bool(now >= m[m[G_JOBS] + job * J_SIZE + J_CANCELLED])


@step
def timestep_of(m: Memory, job: int) -> int:
    return int(m[m[G_JOBS] + job * J_SIZE + J_TIMESTEP])


@step
def add_counts(m: Memory, counts: Memory, job: int, some: int, times: int) -> None:
    """Count what a list says: how many entries, then places and numbers."""
    first = job * m[G_COUNTS]
    for k in range(some + 1, some + 1 + 2 * m[some], 2):
        counts[first + m[k]] += times * m[k + 1]
