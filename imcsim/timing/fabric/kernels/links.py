"""Links of the mesh: packets queue for them, and at the end of a cycle each free one takes a packet."""

from __future__ import annotations

from imcsim.timing.fabric.kernels.records import (
    G_DECIDING,
    G_HOP,
    G_LINK_CYCLES,
    L_ASKED,
    L_FIRST,
    L_FREE,
    L_LAST,
    LAST,
    S_ASKED,
    S_BEFORE,
    S_BEHIND,
    S_FLITS,
    S_HOP,
    S_PATH_END,
    WOKEN,
    Memory,
)
from imcsim.timing.fabric.kernels.wheel import put
from imcsim.timing.processes.row_kernels import step


@step
def ask_for(m: Memory, sender: int, link: int, now: int) -> None:
    """A packet asks for a link: behind those that have waited longer, or as long with a lower rank."""
    m[sender + S_ASKED] = now
    before, behind = m[link + L_LAST], 0
    while before != 0 and m[before + S_ASKED] == now and before > sender:
        behind, before = before, m[before + S_BEFORE]
    m[sender + S_BEFORE] = before
    m[sender + S_BEHIND] = behind
    if before != 0:
        m[before + S_BEHIND] = sender
    else:
        m[link + L_FIRST] = sender
    if behind != 0:
        m[behind + S_BEFORE] = sender
    else:
        m[link + L_LAST] = sender
    if m[link + L_ASKED] == 0:
        m[link + L_ASKED] = 1
        if m[link + L_FREE] <= now:
            m[link + WOKEN] = m[G_DECIDING]
            m[G_DECIDING] = link
        else:
            put(m, link, m[link + L_FREE])


@step
def decide(m: Memory, now: int) -> None:
    """The end of a cycle: every link that is asked for and free takes a packet."""
    link = m[G_DECIDING]
    while link != LAST:
        sender = m[link + L_FIRST]
        behind = m[sender + S_BEHIND]
        flits = m[sender + S_FLITS]
        m[link + L_FIRST] = behind
        m[link + L_FREE] = now + flits
        m[G_LINK_CYCLES] += flits
        if behind != 0:
            m[behind + S_BEFORE] = 0
            put(m, link, now + flits)
        else:
            m[link + L_LAST] = 0
            m[link + L_ASKED] = 0
        m[sender + S_HOP] += 1
        there = now + m[G_HOP]
        if m[sender + S_HOP] == m[sender + S_PATH_END]:
            there += flits - 1
        put(m, sender, there)
        behind, m[link + WOKEN] = m[link + WOKEN], 0
        link = behind
    m[G_DECIDING] = LAST
