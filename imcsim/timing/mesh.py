"""The mesh: XY routing over contended links, packets of one row.

A packet's head takes `hop_cycles` a hop and waits for a link that another packet holds; its flits follow one a cycle,
and a link is held until the last one has passed. Room at the receiver is taken beforehand, so packets always drain.
"""

from __future__ import annotations

import simpy

from imcsim.timing.flow import Wait

Node = tuple[int, int]
Link = tuple[Node, Node]


def route(source: Node, target: Node) -> list[Link]:
    """Links from `source` to `target`: along x, then along y, then out of the last router's local port."""
    links: list[Link] = []
    x, y = source
    while x != target[0]:
        step = (x + (1 if target[0] > x else -1), y)
        links.append(((x, y), step))
        x = step[0]
    while y != target[1]:
        step = (x, y + (1 if target[1] > y else -1))
        links.append(((x, y), step))
        y = step[1]
    links.append((target, target))
    return links


class Mesh:
    """All links of the chip, each a resource that one packet holds at a time."""

    def __init__(self, env: simpy.Environment, flit_bits: int, hop_cycles: int) -> None:
        self._env = env
        self._flit_bits = flit_bits
        self._hop_cycles = hop_cycles
        self._links: dict[Link, simpy.Resource] = {}

    def flits(self, bits: int) -> int:
        """A head flit, and as many as the payload needs."""
        return 1 + -(-bits // self._flit_bits)

    def send(self, source: Node, target: Node, flits: int) -> Wait:
        """Carry a packet; ends when its last flit has arrived."""
        for link in route(source, target):
            resource = self._links.get(link)
            if resource is None:
                resource = self._links[link] = simpy.Resource(self._env, capacity=1)
            request = resource.request()
            yield request
            self._env.process(self._drain(resource, request, flits))
            yield self._env.timeout(self._hop_cycles)
        yield self._env.timeout(flits - 1)

    def _drain(self, resource: simpy.Resource, request: simpy.resources.resource.Request, flits: int) -> Wait:
        """Hold a link until the packet's last flit has passed."""
        yield self._env.timeout(flits)
        resource.release(request)
