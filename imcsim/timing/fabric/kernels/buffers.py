"""Rows and the room for them: at receivers of streams, and in the output buffers of parts."""

from __future__ import annotations

from imcsim.timing.fabric.kernels.records import (
    FOR_INPUT,
    FOR_PLACE,
    G_ANSWERS,
    G_ANSWERS_END,
    G_TELL,
    G_WANTED,
    O_GONE,
    O_SIZE,
    P_ENDED,
    P_HELD,
    P_HELD_END,
    P_LET,
    P_LET_ROWS,
    P_OUTPUTS,
    P_OUTPUTS_END,
    P_PHASE,
    P_RELEASED,
    P_ROOM,
    P_ROWS,
    P_SEEN,
    P_WAITING,
    S_COME,
    S_COME_ROWS,
    S_FREED,
    S_HEIGHT,
    S_LET,
    S_LET_ROWS,
    S_PHASE,
    S_ROOM,
    S_TARGET,
    S_TOTAL,
    S_VALID,
    S_VALID_END,
    Memory,
)
from imcsim.timing.fabric.kernels.wheel import wake
from imcsim.timing.processes.row_kernels import step


@step
def arrive(m: Memory, stream: int, void: bool) -> None:
    """A row has come to its receiver."""
    at, rows = m[stream + S_COME], m[stream + S_COME_ROWS]
    if rows == 0:
        m[at] = 0
    if not void:
        m[at] += 1
        if m[stream + S_TOTAL] < m[stream + S_FREED]:
            m[stream + S_ROOM] += 1
    m[stream + S_TOTAL] += 1
    m[stream + S_COME_ROWS] = rows + 1
    if rows + 1 == m[stream + S_HEIGHT]:
        m[stream + S_COME_ROWS] = 0
        m[stream + S_COME] = m[stream + S_VALID] if at + 1 == m[stream + S_VALID_END] else at + 1
    part = m[stream + S_TARGET]
    if part > 0:
        if m[part + P_WAITING] > 0 or (m[part + P_PHASE] == FOR_INPUT and m[m[part + P_SEEN]] == stream):
            wake(m, part)
        return
    for k in range(m[G_ANSWERS], m[G_ANSWERS_END]):
        if m[m[k] + S_TOTAL] < m[G_WANTED]:
            return
    m[G_TELL] = 1


@step
def free_rows(m: Memory, stream: int, rows: int) -> None:
    """The next rows of a stream are not needed any more, whether or not they have come yet."""
    room = m[stream + S_ROOM]
    for _ in range(rows):
        at = m[stream + S_LET]
        if m[stream + S_FREED] < m[stream + S_TOTAL] and m[stream + S_LET_ROWS] < m[at]:
            m[stream + S_ROOM] += 1
        m[stream + S_FREED] += 1
        m[stream + S_LET_ROWS] += 1
        if m[stream + S_LET_ROWS] == m[stream + S_HEIGHT]:
            m[stream + S_LET_ROWS] = 0
            m[stream + S_LET] = m[stream + S_VALID] if at + 1 == m[stream + S_VALID_END] else at + 1
    if room == 0 and m[stream + S_ROOM] > 0 and m[stream + S_PHASE] == FOR_PLACE:
        wake(m, stream)


@step
def release_rows(m: Memory, part: int) -> None:
    """A stream has moved on, or a row has ended: free the output rows that no stream needs any more."""
    until, room = m[part + P_ENDED], m[part + P_ROOM]
    for output in range(m[part + P_OUTPUTS], m[part + P_OUTPUTS_END], O_SIZE):
        until = min(until, m[output + O_GONE])
    for _ in range(m[part + P_RELEASED], until):
        at = m[part + P_LET]
        if m[part + P_LET_ROWS] < m[at]:
            m[part + P_ROOM] += 1
        m[part + P_RELEASED] += 1
        m[part + P_LET_ROWS] += 1
        if m[part + P_LET_ROWS] == m[part + P_ROWS]:
            m[part + P_LET_ROWS] = 0
            m[part + P_LET] = m[part + P_HELD] if at + 1 == m[part + P_HELD_END] else at + 1
    if room == 0 and m[part + P_ROOM] > 0:
        wake(m, part)
