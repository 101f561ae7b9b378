"""Packets of one row on the contended links of the network on chip.

A packet's head takes `hop_cycles` per hop, and more where a link is long; its flits follow, one per cycle,
and a link is held until the last one has passed. A link between chips takes its latency, and a packet holds
it for as long as its bits need; before and behind it the packet waits in a port until all of it has come. A
link decides at the end of a cycle among all packets that ask for it: the one that has waited longest, then
the one with the lower rank. A waiting packet is kept whole in its router, so it does not hold the links
behind it; room at the receiver is taken beforehand, so packets always drain.
"""

from __future__ import annotations

import heapq

import simpy

from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.topologies import Link
from imcsim.timing.link_times import head_cycles, held_cycles
from imcsim.timing.processes.flow import Wait, late
from imcsim.timing.recorder import Recorder


class ContendedLink:
    """One directed link, which one packet at a time holds."""

    def __init__(
        self, env: simpy.Environment, link: Link, config: HardwareConfig, recorder: Recorder | None = None
    ) -> None:
        self._env, self._config = env, config
        self.head_cycles = head_cycles(link, config)
        self.link, self._recorder = link, recorder
        self._free_at = 0.0
        self._asking: list[tuple[float, int, int, simpy.Event]] = []
        self._deciding = False
        self.busy_cycles = 0

    def ask(self, rank: int, flits: int) -> simpy.Event:
        """An event that happens when the link is granted to a packet of so many flits."""
        granted = self._env.event()
        heapq.heappush(self._asking, (self._env.now, rank, flits, granted))
        self._decide()
        return granted

    def held_cycles(self, flits: int) -> int:
        """Cycles for which a packet holds it."""
        return held_cycles(self.link, flits, self._config)

    def _decide(self) -> None:
        """Choose a packet at the end of this cycle, or of the one in which the link falls free."""
        if self._deciding:
            return
        self._deciding = True
        if self._free_at <= self._env.now:
            late(self._env).callbacks.append(self._grant)
        else:
            self._env.timeout(self._free_at - self._env.now).callbacks.append(
                lambda _: late(self._env).callbacks.append(self._grant)
            )

    def _grant(self, _: simpy.Event) -> None:
        self._deciding = False
        _waited_since, rank, flits, granted = heapq.heappop(self._asking)
        held = self.held_cycles(flits)
        self._free_at = self._env.now + held
        self.busy_cycles += held
        if self._recorder is not None:
            self._recorder.hop(self.link, rank, (int(self._env.now), held), flits)
        granted.succeed()
        if self._asking:
            self._decide()


class Links:
    """All links of a chip."""

    def __init__(
        self, env: simpy.Environment, config: HardwareConfig, recorder: Recorder | None = None
    ) -> None:
        self._env, self._config = env, config
        self._recorder = recorder
        self.links: dict[Link, ContendedLink] = {}

    def flits(self, bits: int) -> int:
        """A head flit, and as many as the payload needs."""
        return 1 + -(-bits // self._config.noc.flit_bits)

    def _link(self, link: Link) -> ContendedLink:
        found = self.links.get(link)
        if found is None:
            found = self.links[link] = ContendedLink(self._env, link, self._config, self._recorder)
        return found

    def send(self, way: tuple[Link, ...], flits: int, rank: int) -> Wait:
        """Carry a packet over some links; ends when its last flit has arrived."""
        for link, after in zip(way, (*way[1:], None), strict=True):
            over = self._link(link)
            yield over.ask(rank, flits)
            whole = after is None or link.between_chips or after.between_chips
            yield self._env.timeout(over.head_cycles + (over.held_cycles(flits) - 1 if whole else 0))
