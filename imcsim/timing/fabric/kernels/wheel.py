"""The wheel of cycles: what happens later, and what is looked at before a cycle ends."""

from __future__ import annotations

from imcsim.timing.fabric.kernels.records import DUE, G_BUCKETS, G_LIVE, G_WHEEL, G_WOKEN, NEXT, WOKEN, Memory
from imcsim.timing.processes.row_kernels import step


@step
def put(m: Memory, node: int, time: int) -> None:
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
def wake(m: Memory, node: int) -> None:
    """Look at a record before this cycle ends."""
    if m[node + WOKEN] == 0:
        m[node + WOKEN] = m[G_WOKEN]
        m[G_WOKEN] = node


@step
def schedule(m: Memory, node: int, now: int, time: int) -> None:
    """Let something happen to a record, now or later."""
    if time <= now:
        wake(m, node)
    else:
        put(m, node, time)
