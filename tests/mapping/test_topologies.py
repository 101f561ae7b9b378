"""Topologies: routes that hang together and are as short as they say, what they count, and chips that have
them.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network
from played import play
from random_chips import changed

import imcsim.hardware
from imcsim.base.choices import NocTopology
from imcsim.base.errors import ImcsimError
from imcsim.hardware.components.noc import PORTS
from imcsim.hardware.events import Event
from imcsim.mapping import place, traffic, weighted_hops
from imcsim.mapping.topologies import Link, Position, Topology, topology_named

NAMES: tuple[NocTopology, ...] = ("mesh", "ring", "tree", "concentrated_mesh")
CLOSED: tuple[NocTopology, ...] = ("ring", "tree", "concentrated_mesh")

Size = tuple[int, int, int]


@st.composite
def sizes(draw: st.DrawFn) -> Size:
    columns, rows = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return columns, rows, draw(st.integers(1, columns * rows))


def ends_of(topology: Topology) -> list[Position | None]:
    return [None, *topology.sites()]


@given(st.sampled_from(NAMES), sizes())
@settings(deadline=None, max_examples=40)
def test_routes_hang_together_and_end_at_their_targets(name: NocTopology, size: Size) -> None:
    topology = topology_named(name, size[:2], size[2])
    assert len(set(topology.sites())) == len(topology.sites()) >= size[2]
    begins: dict[Position | None, set[object]] = {}
    for source, target in product(ends_of(topology), repeat=2):
        way = topology.route(source, target)
        assert way
        assert len(set(way)) == len(way)
        assert all(before.ends[1] == after.ends[0] for before, after in pairwise(way))
        begins.setdefault(source, set()).add(way[0].ends[0])
        # A flit passes a router to get onto each link but the one out of a tile that has no router.
        assert sum(link.routers for link in way) == len(way) - (name in ("tree", "concentrated_mesh"))
        assert all(1 <= link.pitches <= topology.longest_link for link in way)
    assert all(len(nodes) == 1 for nodes in begins.values())


@given(st.sampled_from(NAMES), sizes())
@settings(deadline=None, max_examples=40)
def test_distances_are_those_of_routes(name: NocTopology, size: Size) -> None:
    topology = topology_named(name, size[:2], size[2])
    sites = topology.sites()
    between, reach = topology.distances(sites), topology.reaches(sites)
    always = 1 if name in ("mesh", "ring") else 0  # the local port
    for a, b in product(range(len(sites)), repeat=2):
        if a != b:
            assert between[a, b] == len(topology.route(sites[a], sites[b])) - always
    for a, site in enumerate(sites):
        there, back = topology.route(None, site), topology.route(site, None)
        assert reach[a] == len(there) - always == len(back) - always
    assert (np.diag(between) == 0).all()


def turns(ways: list[tuple[Link, ...]]) -> dict[Link, set[Link]]:
    found: dict[Link, set[Link]] = {}
    for way in ways:
        for before, after in pairwise(way):
            found.setdefault(before, set()).add(after)
    return found


def has_circle(after: dict[Link, set[Link]]) -> bool:
    left = {link: set(others) for link, others in after.items()}
    while left:
        ends = [link for link, others in left.items() if not others & left.keys()]
        if not ends:
            return True
        for link in ends:
            del left[link]
    return False


@pytest.mark.parametrize("name", NAMES)
def test_only_the_links_of_a_ring_wait_for_each_other_in_a_circle(name: NocTopology) -> None:
    """What the files say of routers that do not hold whole packets (Dally and Seitz, 1987)."""
    topology = topology_named(name, (4, 4), 16)
    ways = [topology.route(a, b) for a, b in product(ends_of(topology), repeat=2) if a != b]
    assert has_circle(turns(ways)) == (name == "ring")


def test_routes_by_hand() -> None:
    ring = topology_named("ring", (3, 2), 5)
    # The path: (0,0) (1,0) (2,0) (2,1) (1,1), and back to (0,0), two sides of a tile away.
    assert [link.ends for link in ring.route((0, 0), (1, 1))] == [((0, 0), (1, 1)), ((1, 1), (1, 1))]
    assert [link.pitches for link in ring.route((0, 0), (1, 1))] == [2, 1]
    assert [link.ends[1] for link in ring.route((1, 0), (2, 1))] == [(2, 0), (2, 1), (2, 1)]
    tree = topology_named("tree", (4, 4), 16)
    near, far = tree.route((0, 0), (1, 1)), tree.route((0, 0), (3, 0))
    assert [link.pitches for link in near] == [1, 1]
    assert [link.pitches for link in far] == [1, 2, 2, 1]
    assert [link.pitches for link in tree.route(None, (3, 3))] == [2, 2, 1]
    mesh = topology_named("concentrated_mesh", (4, 4), 16)
    assert [link.pitches for link in mesh.route((0, 0), (1, 1))] == [1, 1]
    assert [link.pitches for link in mesh.route((0, 0), (3, 3))] == [1, 2, 2, 1]
    routers = {name: topology_named(name, (4, 4), 16).stations for name in NAMES}
    assert routers == {"mesh": 16, "ring": 16, "tree": 4 + 1, "concentrated_mesh": 4}
    assert tree.routers([(0, 0), (1, 0), (3, 3)]) == 2 + 1


def test_ports_are_the_most_links_of_a_router() -> None:
    for name in NAMES:
        topology = topology_named(name, (6, 6), 36)
        out: Counter[object] = Counter()
        for link in {n for a, b in product(ends_of(topology), repeat=2) for n in topology.route(a, b)}:
            out[link.ends[0]] += link.routers
        assert max(out.values()) == PORTS[name]


def chip(name: NocTopology, **values: object) -> imcsim.hardware.HardwareConfig:
    given = {key.replace("__", "."): value for key, value in values.items()}
    small = {"tile.pes_per_tile": 1, "tile.crossbars_per_pe": 2, "cells.rows": 16, "cells.columns": 16}
    return changed("dtsnn_32nm", {**small, "noc.topology": name, **given})


NET = random_network(np.random.default_rng(3), residual=True, depth=2, channels=8, timesteps=2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("placement", ["path", "rows", "annealed"])
def test_counts_are_flits_times_routers_and_bits_times_lengths(name: NocTopology, placement: str) -> None:
    config = chip(name, mapping__placement=placement)
    placed = place(NET, config)
    assert len(set(placed.positions)) == placed.tiles > 4
    assert set(placed.positions) <= set(placed.chips[0].topology.sites())
    line = play(placed, config, [1], 1)
    assert line.count(Event.FLIT_HOPS)[0].sum() == weighted_hops(placed, config)
    assert config.noc.instances(config, placed.size) == placed.chips[0].topology.routers(placed.positions)


@pytest.mark.parametrize("name", NAMES)
def test_annealing_is_never_worse_than_the_path(name: NocTopology) -> None:
    def links(placement: str) -> int:
        config = chip(name, mapping__placement=placement)
        placed = place(NET, config)
        return sum(f.flits * len(placed.route(f.source, f.target)) for f in traffic(placed, config))

    assert links("annealed") <= links("path")


def test_routers_cost_by_their_ports() -> None:
    mesh = chip("mesh")
    for name in CLOSED:
        other = chip(name)
        for figure in ("area_um2", "leakage_uw"):
            was, now = (getattr(one.noc, figure)(one) for one in (mesh, other))
            assert now == pytest.approx(was * PORTS[name] / 5)
        given = changed("dtsnn_32nm", {"noc.topology": name, "noc.router_leakage_uw": 10.0})
        assert given.noc.leakage_uw(given) == pytest.approx(2.0 * PORTS[name])


def test_long_links_take_the_cycles_of_their_wire() -> None:
    config = chip("tree", noc__link_length_mm=2.0, noc__hop_cycles=2)
    # 0.289 ns per mm at 32 nm: 0.578 cycles for one side of a tile, so 1, 2, 3, 5 cycles for 1, 2, 4, 8.
    assert [config.noc.link_cycles(n, config) for n in (1, 2, 4, 8)] == [2, 3, 4, 6]
    assert config.checker.way_cycles(place(NET, config).reach, config) > 0


def test_a_mesh_is_the_chip_that_it_was() -> None:
    plain, given = (imcsim.hardware.load("dtsnn_32nm", over) for over in ({}, {"noc.topology": "mesh"}))
    assert plain.sha256 == given.sha256
    assert place(NET, plain.config).size.routers is None
    assert imcsim.hardware.load("dtsnn_32nm", {"noc.topology": "ring"}).sha256 != plain.sha256


def test_an_unknown_topology_is_refused_in_one_line() -> None:
    with pytest.raises(ImcsimError) as refused:
        imcsim.hardware.load("dtsnn_32nm", {"noc.topology": "torus"})
    assert "noc.topology" in str(refused.value)
    assert "concentrated_mesh" in str(refused.value)
    assert "\n" not in str(refused.value)
