"""A mesh of routers that each serve a block of two by two tiles (Balfour and Dally, ICS 2006).

A router stands in the middle of its block: a side of a tile away from its tiles, two from its neighbours. The
global buffer and the checker stand at the router of the block at (0, 0). Packets go along x, then along y, as
on the mesh, and for the same reason wait in no circle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imcsim.mapping.topologies.topology import EDGE, Link, Node, Position, Topology


class ConcentratedMesh(Topology):
    """Routers have four neighbours and four tiles; that at (0, 0) has the global buffer where no neighbour
    is.
    """

    def route(self, source: Position | None, target: Position | None) -> tuple[Link, ...]:
        (x, y), (to_x, to_y) = (_block(site) for site in (source, target))
        here: Node = EDGE if source is None else source
        links = [Link((here, (x, y, 1)), 1, 0)]
        while (x, y) != (to_x, to_y):
            step = (x + (1 if to_x > x else -1), y) if x != to_x else (x, y + (1 if to_y > y else -1))
            links.append(Link(((x, y, 1), (*step, 1)), 2))
            x, y = step
        links.append(Link(((x, y, 1), EDGE if target is None else target)))
        return tuple(links)

    def distances(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        at = np.array([_block(site) for site in sites], np.int64)
        apart = np.abs(at[:, None] - at[None]).sum(axis=-1) + 2
        apart[np.arange(len(at)), np.arange(len(at))] = 0
        found: NDArray[np.float64] = apart.astype(np.float64)
        return found

    def reaches(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        return np.array([sum(_block(site)) + 2 for site in sites], np.float64)

    def routers(self, positions: Sequence[Position]) -> int:
        return len({_block(site) for site in positions})

    @property
    def verdict_pitches(self) -> int:
        return 2 + 2 * sum((side - 1) // 2 for side in self.mesh)

    @property
    def longest_link(self) -> int:
        return 2


def _block(site: Position | None) -> Position:
    """The router of a site."""
    return (0, 0) if site is None else (site[0] // 2, site[1] // 2)
