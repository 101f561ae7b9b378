"""An H-tree of switches: four tiles to a switch, four switches to the next one, up to the root.

A switch stands in the middle of what is below it, so a link to the switch of level l is 2^(l - 1) sides of a
tile long. The global buffer and the checker are joined to the root, by a wire to the chip's edge. Packets go
up to the lowest switch that has both tiles below it, and down again. No packet turns up after it has gone
down, so the links wait for each other in no circle, however little room switches have. All links are equally
wide: what crosses the middle of the chip shares the root's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imcsim.mapping.topologies.topology import EDGE, Link, Node, Position, Topology


class Tree(Topology):
    """Switches have four below them and one above, or the global buffer."""

    @property
    def levels(self) -> int:
        """Levels of switches, one at least."""
        return max(1, (max(self.mesh) - 1).bit_length())

    def route(self, source: Position | None, target: Position | None) -> tuple[Link, ...]:
        top = next(
            level
            for level in range(1, self.levels + 1)
            if level == self.levels
            or (source is not None and target is not None and _above(source, level) == _above(target, level))
        )
        if source is None and target is None:
            root = _above((0, 0), top)
            return (Link((EDGE, root), self._edge, 0), Link((root, EDGE), self._edge))
        up = self._way(source, top)
        down = [(b, a) for a, b in reversed(self._way(target, top))]
        links = [Link(ends, self._pitches(ends), routers=min(n, 1)) for n, ends in enumerate([*up, *down])]
        return tuple(links)

    def _way(self, site: Position | None, top: int) -> list[tuple[Node, Node]]:
        """From a tile up to its switch of level `top`, or from the edge to the root."""
        if site is None:
            return [(EDGE, _above((0, 0), top))]
        nodes: list[Node] = [site, *(_above(site, level) for level in range(1, top + 1))]
        return list(pairwise(nodes))

    def _pitches(self, ends: tuple[Node, Node]) -> int:
        if EDGE in ends:
            return self._edge
        upper = max(ends, key=len)  # a tile has no level
        level = upper[2] if len(ends[0]) != len(ends[1]) else max(ends[0][2], ends[1][2])
        return int(1 << (level - 1))

    @property
    def _edge(self) -> int:
        return 1 << (self.levels - 1)

    def distances(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        at = np.array(sites, np.int64)
        apart = np.full((len(at), len(at)), 2 * self.levels)
        for level in range(self.levels - 1, 0, -1):
            above = at >> level
            apart[(above[:, None] == above[None]).all(axis=-1)] = 2 * level
        apart[np.arange(len(at)), np.arange(len(at))] = 0
        return apart.astype(np.float64)

    def reaches(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        return np.full(len(sites), self.levels + 1.0)

    def routers(self, positions: Sequence[Position]) -> int:
        return len({_above(site, level) for site in positions for level in range(1, self.levels + 1)})

    @property
    def verdict_pitches(self) -> int:
        return self._edge + (1 << self.levels) - 1

    @property
    def longest_link(self) -> int:
        return self._edge


def _above(site: Position, level: int) -> Node:
    """The switch of a level above a site."""
    return site[0] >> level, site[1] >> level, level
