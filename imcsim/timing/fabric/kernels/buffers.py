"""Rows and the room for them: at receivers of streams, and in the output buffers of parts."""

from __future__ import annotations

from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.kernels.records import Memory
from imcsim.timing.fabric.kernels.wheel import wake
from imcsim.timing.processes.row_kernels import step


@step
def arrive(m: Memory, stream: int, void: bool) -> None:
    """A row has come to its receiver."""
    at, rows = m[stream + k.S_COME], m[stream + k.S_COME_ROWS]
    if rows == 0:
        m[at] = 0
    if not void:
        m[at] += 1
        if m[stream + k.S_TOTAL] < m[stream + k.S_FREED]:
            m[stream + k.S_ROOM] += 1
    m[stream + k.S_TOTAL] += 1
    m[stream + k.S_COME_ROWS] = rows + 1
    if rows + 1 == m[stream + k.S_HEIGHT]:
        m[stream + k.S_COME_ROWS] = 0
        m[stream + k.S_COME] = m[stream + k.S_VALID] if at + 1 == m[stream + k.S_VALID_END] else at + 1
    part = m[stream + k.S_TARGET]
    if part > 0:
        for_input = m[part + k.P_PHASE] == k.FOR_INPUT and m[m[part + k.P_SEEN]] == stream
        if for_input or m[part + k.P_WAITING] > 0:
            wake(m, part)
        return
    for entry in range(m[k.G_ANSWERS], m[k.G_ANSWERS_END]):
        if m[m[entry] + k.S_TOTAL] // m[m[entry] + k.S_HEIGHT] < m[k.G_WANTED]:
            return
    m[k.G_TELL] = 1


@step
def free_rows(m: Memory, stream: int, rows: int) -> None:
    """The next rows of a stream are not needed any more, whether or not they have come yet."""
    room = m[stream + k.S_ROOM]
    for _ in range(rows):
        at = m[stream + k.S_LET]
        if m[stream + k.S_FREED] < m[stream + k.S_TOTAL] and m[stream + k.S_LET_ROWS] < m[at]:
            m[stream + k.S_ROOM] += 1
        m[stream + k.S_FREED] += 1
        m[stream + k.S_LET_ROWS] += 1
        if m[stream + k.S_LET_ROWS] == m[stream + k.S_HEIGHT]:
            m[stream + k.S_LET_ROWS] = 0
            m[stream + k.S_LET] = m[stream + k.S_VALID] if at + 1 == m[stream + k.S_VALID_END] else at + 1
    if room == 0 and m[stream + k.S_ROOM] > 0 and m[stream + k.S_PHASE] == k.FOR_PLACE:
        wake(m, stream)


@step
def release_rows(m: Memory, part: int) -> None:
    """A stream has moved on, or a row has ended: free the output rows that no stream needs any more."""
    until, room = m[part + k.P_ENDED], m[part + k.P_ROOM]
    for output in range(m[part + k.P_OUTPUTS], m[part + k.P_OUTPUTS_END], k.O_SIZE):
        until = min(until, m[output + k.O_GONE])
    for _ in range(m[part + k.P_RELEASED], until):
        at = m[part + k.P_LET]
        if m[part + k.P_LET_ROWS] < m[at]:
            m[part + k.P_ROOM] += 1
        m[part + k.P_RELEASED] += 1
        m[part + k.P_LET_ROWS] += 1
        if m[part + k.P_LET_ROWS] == m[part + k.P_ROWS]:
            m[part + k.P_LET_ROWS] = 0
            m[part + k.P_LET] = m[part + k.P_HELD] if at + 1 == m[part + k.P_HELD_END] else at + 1
    if room == 0 and m[part + k.P_ROOM] > 0:
        wake(m, part)
