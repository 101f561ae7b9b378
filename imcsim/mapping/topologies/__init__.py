"""Topologies of the network on chip, by the names that ``noc.topology`` gives them."""

from __future__ import annotations

from imcsim.base.choices import NocTopology
from imcsim.mapping.topologies.concentrated_mesh import ConcentratedMesh
from imcsim.mapping.topologies.mesh import Mesh
from imcsim.mapping.topologies.ring import Ring
from imcsim.mapping.topologies.topology import Hop, Link, Node, Position, Topology, chip_link, named
from imcsim.mapping.topologies.tree import Tree

__all__ = [
    "ConcentratedMesh",
    "Hop",
    "Link",
    "Mesh",
    "Node",
    "Position",
    "Ring",
    "Topology",
    "Tree",
    "chip_link",
    "named",
    "topology_named",
]

_NAMED: dict[NocTopology, type[Topology]] = {
    "mesh": Mesh,
    "ring": Ring,
    "tree": Tree,
    "concentrated_mesh": ConcentratedMesh,
}


def topology_named(name: NocTopology, mesh: tuple[int, int], tiles: int) -> Topology:
    """The topology of a chip of so many tiles in a block of so many columns and rows."""
    return _NAMED[name](mesh, tiles)
