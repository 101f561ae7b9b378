"""Links: packets queue for them, and at the end of a cycle each free one takes a packet."""

from __future__ import annotations

from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.kernels.records import Memory
from imcsim.timing.fabric.kernels.wheel import put
from imcsim.timing.processes.row_kernels import step


@step
def ask_for(m: Memory, sender: int, link: int, now: int) -> None:
    """A packet asks for a link: behind those that have waited longer, or as long with a lower rank."""
    m[sender + k.S_ASKED] = now
    before, behind = m[link + k.L_LAST], 0
    while before != 0 and m[before + k.S_ASKED] == now and before > sender:
        behind, before = before, m[before + k.S_BEFORE]
    m[sender + k.S_BEFORE] = before
    m[sender + k.S_BEHIND] = behind
    if before != 0:
        m[before + k.S_BEHIND] = sender
    else:
        m[link + k.L_FIRST] = sender
    if behind != 0:
        m[behind + k.S_BEFORE] = sender
    else:
        m[link + k.L_LAST] = sender
    if m[link + k.L_ASKED] == 0:
        m[link + k.L_ASKED] = 1
        if m[link + k.L_FREE] <= now:
            m[link + k.WOKEN] = m[k.G_DECIDING]
            m[k.G_DECIDING] = link
        else:
            put(m, link, m[link + k.L_FREE])


@step
def _comes_whole(m: Memory, sender: int, link: int) -> bool:
    """Whether a packet waits behind a link until all of it has come: at its receiver, and in ports."""
    after = m[sender + k.S_HOP]
    if after == m[sender + k.S_PATH_END] or m[link + k.L_RATE] > 0:
        return True
    return bool(m[m[after] + k.L_RATE] > 0)


@step
def decide(m: Memory, now: int) -> None:
    """The end of a cycle: every link that is asked for and free takes a packet."""
    link = m[k.G_DECIDING]
    while link != k.LAST:
        sender = m[link + k.L_FIRST]
        behind = m[sender + k.S_BEHIND]
        held = m[sender + k.S_FLITS]
        if m[link + k.L_RATE] > 0:
            bits = held * m[k.G_FLIT_BITS] * m[k.G_RATE_UNIT]
            held = (bits + m[link + k.L_RATE] - 1) // m[link + k.L_RATE]
            m[k.G_PACKAGE_CYCLES] += held
        else:
            m[k.G_LINK_CYCLES] += held
        m[link + k.L_FIRST] = behind
        m[link + k.L_FREE] = now + held
        if behind != 0:
            m[behind + k.S_BEFORE] = 0
            put(m, link, now + held)
        else:
            m[link + k.L_LAST] = 0
            m[link + k.L_ASKED] = 0
        m[sender + k.S_HOP] += 1
        there = now + m[link + k.L_CYCLES]
        if _comes_whole(m, sender, link):
            there += held - 1
        put(m, sender, there)
        behind, m[link + k.WOKEN] = m[link + k.WOKEN], 0
        link = behind
    m[k.G_DECIDING] = k.LAST
