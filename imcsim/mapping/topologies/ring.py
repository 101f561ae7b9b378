"""A ring in both directions: routers at the tiles, joined along a path back and forth over the chip.

The last one is joined to the first by a wire that runs back along the chip's edges. Packets take the shorter
way round, of two equal ones that along the path. The links of a ring do wait for each other in a circle: a
ring whose routers do not hold whole packets needs two virtual channels, of which packets change to the second
where they pass the first router (Dally and Seitz, IEEE Trans. Computers C-36(5), 1987).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imcsim.mapping.topologies.topology import Link, Position, Topology


class Ring(Topology):
    """Routers have two neighbours and a tile. A tile's packets enter its router without a link."""

    def sites(self) -> tuple[Position, ...]:
        return super().sites()[: self.tiles]

    def row_by_row(self) -> tuple[Position, ...]:
        return tuple(sorted(self.sites(), key=lambda site: (site[1], site[0])))

    def route(self, source: Position | None, target: Position | None) -> tuple[Link, ...]:
        around = self.sites()
        at, end = self._place(source or (0, 0)), self._place(target or (0, 0))
        forward = (end - at) % len(around)
        step = 1 if 2 * forward <= len(around) else -1
        links: list[Link] = []
        while at != end:
            after = (at + step) % len(around)
            links.append(Link((around[at], around[after]), self._pitches(around[at], around[after])))
            at = after
        links.append(Link((around[end], around[end])))
        return tuple(links)

    def _place(self, site: Position) -> int:
        """How many sites come before one on the path."""
        x, y = site
        return y * self.mesh[0] + (x if y % 2 == 0 else self.mesh[0] - 1 - x)

    def _pitches(self, one: Position, other: Position) -> int:
        return abs(one[0] - other[0]) + abs(one[1] - other[1])

    def distances(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        at = np.array([self._place(site) for site in sites])
        apart = np.abs(at[:, None] - at[None])
        found: NDArray[np.float64] = np.minimum(apart, self.tiles - apart).astype(np.float64)
        return found

    def reaches(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        at = np.array([self._place(site) for site in sites])
        found: NDArray[np.float64] = np.minimum(at, self.tiles - at).astype(np.float64)
        return found

    def routers(self, positions: Sequence[Position]) -> int:
        return self.tiles

    @property
    def verdict_pitches(self) -> int:
        return max(sum(link.pitches for link in self.route(None, site)[:-1]) for site in self.sites())

    @property
    def longest_link(self) -> int:
        around = self.sites()
        return max(1, self._pitches(around[-1], around[0]))
