"""Packets of one row on the contended links of the network on chip.

A packet's head takes `hop_cycles` per hop, and more where a link is long; its flits follow, one per cycle,
and a link is held until the last one has passed. A link decides at the end of a cycle among all packets that
ask for it: the one that has waited longest, then the one with the lower rank. A waiting packet is kept whole
in its router, so it does not hold the links behind it; room at the receiver is taken beforehand, so packets
always drain.
"""

from __future__ import annotations

import heapq

import simpy

from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.topologies import Hop, Link
from imcsim.timing.processes.flow import Wait, late
from imcsim.timing.recorder import Recorder


class ContendedLink:
    """One directed link, over which a head takes `cycles`. It is held by one packet at a time."""

    def __init__(
        self, env: simpy.Environment, hop: Hop, cycles: int, recorder: Recorder | None = None
    ) -> None:
        self._env = env
        self.cycles = cycles
        self.hop, self._recorder = hop, recorder
        self._free_at = 0.0
        self._asking: list[tuple[float, int, int, simpy.Event]] = []
        self._deciding = False
        self.busy_cycles = 0

    def ask(self, rank: int, flits: int) -> simpy.Event:
        """An event that happens when the link is granted; it is then held for `flits` cycles."""
        granted = self._env.event()
        heapq.heappush(self._asking, (self._env.now, rank, flits, granted))
        self._decide()
        return granted

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
        self._free_at = self._env.now + flits
        self.busy_cycles += flits
        if self._recorder is not None:
            self._recorder.hop(self.hop, rank, self._env.now, flits)
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
            cycles = self._config.noc.link_cycles(link.pitches, self._config)
            found = self.links[link] = ContendedLink(self._env, link.ends, cycles, self._recorder)
        return found

    def send(self, way: tuple[Link, ...], flits: int, rank: int) -> Wait:
        """Carry a packet over some links; ends when its last flit has arrived."""
        path = [self._link(link) for link in way]
        for link in path[:-1]:
            yield link.ask(rank, flits)
            yield self._env.timeout(link.cycles)
        yield path[-1].ask(rank, flits)
        yield self._env.timeout(path[-1].cycles + flits - 1)
