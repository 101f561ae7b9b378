"""What every topology of the network on chip has in common: a pure function of where tiles stand.

A topology joins sites, which are places of tiles in a block of columns and rows, by directed links. It says
over which links a packet goes from one tile to another. Nothing here knows time: what a link takes and costs
follows from how far it reaches (`Link.pitches`).

No topology can lock up in this model. A packet waits whole in the router in front of the link that it asks
for, and holds no other one meanwhile; a router has room for what waits there, since each sender has one
packet on its way at a time; and room at the receiver is taken before a packet leaves. So whoever holds a link
gives it back after a known number of cycles, whatever the routes are. Routers with less room would need what
is said with each topology.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Position = tuple[int, int]
"""Coordinates ``(x, y)`` of a site; the global buffer and the checker sit beside that at ``(0, 0)``."""

Node = tuple[int, ...]
"""A router or a tile: its coordinates, and what else tells it from others."""

Hop = tuple[Node, Node]
"""The two ends of a directed link; the local port of a mesh's router has the same end twice."""


EDGE: Node = (-1,)
"""The global buffer and the checker, where they have a link of their own."""


def named(link: Link) -> str:
    """A link in words."""
    source, target = (_named(node) for node in link.ends)
    if link.between_chips:
        return f"chip {link.ends[0][1]} to chip {link.ends[1][1]}"
    on = f"chip {link.chip}: " if link.chip else ""
    return on + (f"{source} to its tile" if source == target else f"{source} to {target}")


def _named(node: Node) -> str:
    if node == EDGE:
        return "global buffer"
    return f"router {node[:2]} of level {node[2]}" if len(node) > 2 else str(node)


class Link(NamedTuple):
    """A directed link.

    pitches: how far it reaches, in sides of a tile. routers: those that a flit passes to get onto it, one or,
    where it comes out of a tile, none. chip: on which it is, or from which it leads to another.
    """

    ends: Hop
    pitches: int = 1
    routers: int = 1
    chip: int = 0
    between_chips: bool = False
    """Whether it joins two chips of a package, whose numbers its ends have last."""


def chip_link(source: int, target: int) -> Link:
    """The link from one chip of a package to another."""
    return Link(((*EDGE, source), (*EDGE, target)), 0, 0, source, between_chips=True)


@dataclass(frozen=True)
class Topology:
    """Sites, a block of `mesh` columns and rows of which some hold `tiles`, and the links that join them."""

    mesh: tuple[int, int]
    tiles: int

    def sites(self) -> tuple[Position, ...]:
        """Where tiles may stand, those of a path from tile to neighbouring tile first."""
        columns, rows = self.mesh
        return tuple((x if y % 2 == 0 else columns - 1 - x, y) for y in range(rows) for x in range(columns))

    def row_by_row(self) -> tuple[Position, ...]:
        """Where tiles stand if they fill row after row from the left."""
        return tuple((k % self.mesh[0], k // self.mesh[0]) for k in range(self.tiles))

    def route(self, source: Position | None, target: Position | None) -> tuple[Link, ...]:
        """The links from one site to another, in their order; None is the global buffer with the checker."""
        raise NotImplementedError

    def distances(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        """Links between each two of some sites, without those that every packet takes, ``[sites,
        sites]``.
        """
        raise NotImplementedError

    def reaches(self, sites: Sequence[Position]) -> NDArray[np.float64]:
        """Links between the global buffer and some sites, as `distances` counts them, ``[sites]``."""
        raise NotImplementedError

    def routers(self, positions: Sequence[Position]) -> int:
        """Routers of a chip with tiles at these positions."""
        raise NotImplementedError

    @property
    def stations(self) -> int:
        """Routers that there are with a tile at each site."""
        return self.routers(self.sites())

    @property
    def verdict_pitches(self) -> int:
        """Sides of a tile that a verdict passes on its way to the farthest tile."""
        raise NotImplementedError

    @property
    def longest_link(self) -> int:
        """Sides of a tile that the longest link spans."""
        return 1
