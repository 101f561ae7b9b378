"""The mesh: XY routing over contended links, packets of one row.

A packet's head takes `hop_cycles` per hop; its flits follow, one per cycle, and a link is held until the last
one has passed. A link decides at the end of a cycle among all packets that ask for it: the one that has
waited longest, then the one with the lower rank. A waiting packet is kept whole in its router, so it does not
hold the links behind it; room at the receiver is taken beforehand, so packets always drain.
"""

from __future__ import annotations

import heapq

import simpy

from imcsim.mapping.placement import Position
from imcsim.timing.processes.flow import Wait, late
from imcsim.timing.recorder import Recorder
from imcsim.timing.wiring import Hop, route


class Link:
    """One directed link. It is held by one packet at a time."""

    def __init__(self, env: simpy.Environment, hop: Hop, recorder: Recorder | None = None) -> None:
        self._env = env
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


class MeshLinks:
    """All links of the chip."""

    def __init__(
        self, env: simpy.Environment, flit_bits: int, hop_cycles: int, recorder: Recorder | None = None
    ) -> None:
        self._env = env
        self._flit_bits = flit_bits
        self._hop_cycles = hop_cycles
        self._recorder = recorder
        self.links: dict[Hop, Link] = {}
        self._routes: dict[tuple[Position, Position], list[Link]] = {}

    def flits(self, bits: int) -> int:
        """A head flit, and as many as the payload needs."""
        return 1 + -(-bits // self._flit_bits)

    def path(self, source: Position, target: Position) -> list[Link]:
        """The links between two nodes."""
        known = self._routes.get((source, target))
        if known is None:
            known = [
                self.links.setdefault(hop, Link(self._env, hop, self._recorder))
                for hop in route(source, target)
            ]
            self._routes[source, target] = known
        return known

    def send(self, source: Position, target: Position, flits: int, rank: int) -> Wait:
        """Carry a packet; ends when its last flit has arrived."""
        path = self.path(source, target)
        for link in path[:-1]:
            yield link.ask(rank, flits)
            yield self._env.timeout(self._hop_cycles)
        yield path[-1].ask(rank, flits)
        yield self._env.timeout(self._hop_cycles + flits - 1)
