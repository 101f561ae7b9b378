"""The wheel of cycles: what happens later, and what is looked at before a cycle ends."""

from __future__ import annotations

from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.kernels.records import Memory
from imcsim.timing.processes.row_kernels import step


@step
def put(m: Memory, node: int, time: int) -> None:
    """Let something happen to a record at a later cycle."""
    bucket = m[k.G_WHEEL] + 2 * (time & (m[k.G_BUCKETS] - 1))
    m[node + k.DUE] = time
    m[node + k.NEXT] = 0
    if m[bucket] == 0:
        m[bucket] = node
    else:
        m[m[bucket + 1] + k.NEXT] = node
    m[bucket + 1] = node
    m[k.G_LIVE] += 1


@step
def wake(m: Memory, node: int) -> None:
    """Look at a record before this cycle ends."""
    if m[node + k.WOKEN] == 0:
        m[node + k.WOKEN] = m[k.G_WOKEN]
        m[k.G_WOKEN] = node


@step
def schedule(m: Memory, node: int, now: int, time: int) -> None:
    """Let something happen to a record, now or later."""
    if time <= now:
        wake(m, node)
    else:
        put(m, node, time)
