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
def add_counts(m: Memory, counts: Memory, job: int, some: int, times: int) -> None:
    """Count what a list says: how many entries, then places and numbers."""
    first = job * m[k.G_COUNTS]
    for pair in range(some + 1, some + 1 + 2 * m[some], 2):
        counts[first + m[pair]] += times * m[pair + 1]
