"""A 2-D mesh: a router at every tile, joined to those of its neighbours.

Packets go along x, then along y, then out of the last router's local port. No packet turns from y to x, so
the links wait for each other in no circle, however little room routers have (Dally and Seitz, IEEE Trans.
Computers C-36(5), 1987).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imcsim.mapping.topologies.topology import Link, Position, Topology


class Mesh(Topology):
    """Routers have four neighbours and a tile. A tile's packets enter its router without a link."""

    def route(self, source: Position | None, target: Position | None) -> tuple[Link, ...]:
        (x, y), end = source or (0, 0), target or (0, 0)
        links: list[Link] = []
        while x != end[0]:
            step = (x + (1 if end[0] > x else -1), y)
            links.append(Link(((x, y), step)))
            x = step[0]
        while y != end[1]:
            step = (x, y + (1 if end[1] > y else -1))
            links.append(Link(((x, y), step)))
            y = step[1]
        links.append(Link((end, end)))
        return tuple(links)

    def distances(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        at = np.array(sites, np.int64)
        found: NDArray[np.float64] = np.abs(at[:, None] - at[None]).sum(axis=-1).astype(np.float64)
        return found

    def reaches(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.array(sites, np.int64).sum(axis=1).astype(np.float64)
        return found

    def routers(self, positions: Sequence[Position]) -> int:
        return len(positions)

    @property
    def verdict_pitches(self) -> int:
        return sum(self.mesh) - 2
