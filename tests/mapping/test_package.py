"""Packages of chips: ways over links, layers cut over chips, and what each chip is."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from networks import random_network, vgg_like
from random_chips import any_network, chips, package

import imcsim.hardware
from imcsim.base.arrangements import ARRANGEMENTS, Arrangement, chips_passed, farthest, links_between, places
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.estimators.figures import figures
from imcsim.hardware.ledger import charges
from imcsim.mapping import Placement, floorplan, place, traffic
from imcsim.mapping.traffic import package_flits
from imcsim.network.graph import Network


def network(seed: int = 3, depth: int = 3) -> Network:
    return random_network(np.random.default_rng(seed), residual=True, depth=depth, channels=8, timesteps=2)


# Ways


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 9, 16])
def test_ways_over_links_are_as_short_as_may_be(arrangement: Arrangement, count: int) -> None:
    links = links_between(arrangement, count)
    graph: dict[int, set[int]] = {k: set() for k in range(count)}
    for a, b in links:
        graph[a].add(b)
        graph[b].add(a)
    for source in range(count):
        distance, reached = {source: 0}, [source]
        for chip in reached:
            for other in sorted(graph[chip] - distance.keys()):
                distance[other] = distance[chip] + 1
                reached.append(other)
        for target in range(count):
            way = chips_passed(arrangement, count, source, target)
            assert (way[0], way[-1], len(way) - 1) == (source, target, distance[target])
            assert all(b in graph[a] for a, b in pairwise(way))
        assert farthest(arrangement, count, source) == max(distance.values())
    at = places(arrangement, count)
    assert len(set(at)) == count
    if arrangement in ("chain", "mesh"):  # chips that follow each other are neighbours
        assert all(abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1 for a, b in pairwise(at))


def test_links_by_hand() -> None:
    assert links_between("chain", 3) == {(0, 1), (1, 2)}
    assert links_between("ring", 4) == {(0, 1), (1, 2), (2, 3), (0, 3)}
    assert links_between("mesh", 4) == {(0, 1), (1, 2), (2, 3), (0, 3)}  # two by two, back and forth
    assert len(links_between("full", 5)) == 10
    assert chips_passed("ring", 4, 0, 2) == (0, 1, 2)
    assert chips_passed("ring", 4, 0, 3) == (0, 3)


def test_routes_pass_ports_and_links() -> None:
    placed = place(network(), package(3))
    first, last = placed.chips[0].tiles[-1], placed.chips[2].tiles[-1]
    way = placed.route(first, last)
    assert all(before.ends[1] == after.ends[0] for before, after in pairwise(way) if not (
        before.between_chips or after.between_chips))  # fmt: skip
    assert [(link.chip, link.between_chips) for link in way if link.between_chips] == [(0, True), (1, True)]
    on_chips = [link for link in way if not link.between_chips]
    corner = placed.chips[0].route(placed.positions[first], None)
    assert on_chips[: len(corner)] == list(corner)
    assert [link.chip for link in on_chips[len(corner) :]] == [2] * (len(on_chips) - len(corner))
    # The image stands beside the port, and class outputs stay on the checker's chip.
    assert placed.route(None, last)[0].between_chips
    assert not any(link.between_chips for link in placed.route(last, None))
    assert (placed.checker_chip, placed.reach.package_links) == (2, 2)


# Cuts


def crossed(placed: Placement, config: HardwareConfig) -> tuple[int, int]:
    """Flits over links, and tiles of the largest chip."""
    return package_flits(placed, config), max(len(chip.tiles) for chip in placed.chips)


@pytest.mark.parametrize(("arrangement", "count", "seed"), [("chain", 2, 3), ("full", 3, 4), ("chain", 3, 5)])
def test_the_cut_is_the_best_of_all(arrangement: str, count: int, seed: int) -> None:
    """All cuts are made by hand, placed, and their flits counted one by one."""
    net = network(seed, depth=2)
    config = package(count, package__arrangement=arrangement, mapping__chip_imbalance=0.3)
    names = [node.name for node in net.weighted]
    every = []
    for begins in combinations(range(1, len(names)), count - 1):
        by_hand = {names[begin]: k + 1 for k, begin in enumerate(begins)}
        mapping = config.mapping.model_copy(update={"chips": by_hand})
        one = config.model_copy(update={"mapping": mapping})
        every.append(crossed(place(net, one), one))
    even = min(tiles for _, tiles in every)
    best = min(one for one in every if one[1] <= even * 1.3)
    assert crossed(place(net, config), config) == best
    assert len({flits for flits, _ in every}) > 1


def test_a_given_mesh_limits_each_chip() -> None:
    net = network()
    open_ = place(net, package(2))
    largest = max(len(chip.tiles) for chip in open_.chips)
    side = {"mesh__columns": largest, "mesh__rows": 1}
    placed = place(net, package(2, **side))
    assert max(len(chip.tiles) for chip in placed.chips) <= largest
    with pytest.raises(ImcsimError) as refused:
        place(net, package(2, mesh__columns=largest // 2, mesh__rows=1))
    assert refused.value.key == "package.chips"
    enough = int(refused.value.fix.split()[3].strip(","))
    assert len(place(net, package(enough, mesh__columns=largest // 2, mesh__rows=1)).chips) == enough
    with pytest.raises(ImcsimError, match="stands on one chip") as refused:
        place(net, package(2, mesh__columns=1, mesh__rows=1))
    assert "would do" in refused.value.fix
    # A chip that is too small says how many of its size would do.
    with pytest.raises(ImcsimError) as refused:
        place(net, package(1, mesh__columns=largest // 2, mesh__rows=1))
    assert refused.value.key == "mesh.columns"
    assert f"package.chips {enough} would do" in refused.value.fix
    by_hand = {net.weighted[1].name: 1}
    with pytest.raises(ImcsimError, match="chip 1 holds") as refused:
        place(net, package(2, mapping__chips=by_hand, **side))
    assert refused.value.key == "mapping.chips"


def test_layers_by_hand() -> None:
    net = network()
    names = [node.name for node in net.weighted]
    placed = place(net, package(2, mapping__chips={names[1]: 1, names[2]: 0, names[-1]: 1}))
    assert [layer.chip for layer in placed.layers] == [0, 1, *[0] * (len(names) - 3), 1]
    assert [placed.chip_of[part.tile] for part in placed.parts] == [
        placed.layers[part.stage].chip for part in placed.parts
    ]
    refused = {
        "mapping.chips": ({"no_such": 1}, {names[0]: 1}),
        "package.chips": (),
    }
    for values in refused["mapping.chips"]:
        with pytest.raises(ImcsimError) as error:
            place(net, package(2, mapping__chips=values))
        assert error.value.key == "mapping.chips"
    with pytest.raises(ImcsimError, match="at most"):
        place(net, package(len(names) + 1))
    with pytest.raises(ImcsimError, match=r"mapping\.chips.* there is no chip 2"):
        package(2, mapping__chips={names[0]: 2})


# Chips


def test_each_chip_is_placed_like_one_by_itself() -> None:
    net = network()
    for placement in ("path", "rows"):
        config = package(2, mapping__placement=placement)
        placed = place(net, config)
        for chip in placed.chips:
            tiles, sites = len(chip.tiles), chip.topology
            wanted = sites.row_by_row() if placement == "rows" else sites.sites()[:tiles]
            assert tuple(placed.positions[tile] for tile in chip.tiles) == wanted
            side = next(n for n in range(1, 100) if n * n >= tiles)
            assert chip.mesh == (side, -(-tiles // side))
        # Only what runs over links, and what a chip has once, is more than on one chip.
        whole = place(net, package(1, mapping__placement=placement))
        assert placed.tiles == whole.tiles
        assert replace(placed.size, chips=1) == whole.size


def test_annealing_keeps_tiles_on_their_chips_and_is_never_worse() -> None:
    def hops(placement: str) -> int:
        config = package(2, mapping__placement=placement)
        placed = place(network(), config)
        for chip in placed.chips:
            at = [placed.positions[tile] for tile in chip.tiles]
            assert len(set(at)) == len(at)
            assert set(at) <= set(chip.topology.sites())
        return sum(f.flits * len(placed.route(f.source, f.target)) for f in traffic(placed, config))

    assert hops("annealed") <= hops("path")


def test_area_and_power_of_every_chip() -> None:
    net, one = network(), package(1)
    once = ("global_buffer", "accumulator", "checker", "offchip_link")
    for count, arrangement in ((2, "chain"), (3, "ring"), (4, "full")):
        config = package(count, package__arrangement=arrangement)
        sizes = place(net, one).size, place(net, config).size
        ends = 2 * len(links_between(arrangement, count))  # type: ignore[arg-type]
        assert config.instances_of("package", sizes[1]) == ends
        assert [config.instances_of(name, sizes[1]) for name in once] == [count] * 4
        known = figures("package")["interposer"]["value"]
        more = sum((count - 1) * one.component_area_um2(name, sizes[0]) for name in once)
        expected = one.area_um2(sizes[0]) + more + ends * known["port_area_um2"]
        assert config.area_um2(sizes[1]) == pytest.approx(expected)
        standing = {
            c.component: c.energy_pj for c in charges(config, sizes[1]) if c.event == "powered_cycles"
        }
        clock = config.technology.clock_ns
        assert standing["package"] == pytest.approx(ends * known["port_power_uw"] * clock * 1e-3)


@pytest.mark.parametrize("preset", ["interposer", "organic", "board"])
def test_presets_and_figures_by_hand(preset: str) -> None:
    known = figures("package")[preset]
    assert known["source"]
    config = package(2, package__link=preset, technology__clock_ns=0.7)
    rate, clock = known["value"]["bits_per_ns"], config.technology.clock_ns
    for bits in (1, 32, 1000, 123_457):
        assert config.package.transfer_cycles(bits, config) == int(np.ceil(bits / (rate * clock)))
    assert config.package.latency_cycles(config) == int(np.ceil(known["value"]["latency_ns"] / clock))
    other = package(2, package__link=preset, package__bits_per_ns=1.5, package__bit_energy_pj=2.0)
    assert other.package.known("bits_per_ns") == 1.5
    assert list(other.package.charges(other).values()) == [2.0]


@pytest.mark.parametrize("topology", ["ring", "tree", "concentrated_mesh"])
def test_packages_of_any_topology_and_types_of_tile(topology: str) -> None:
    """Routers of all chips are counted, and tiles of a type stand on the chip of their layers."""
    net = network()
    small = {"small": {"cells": {"rows": 8, "columns": 16}, "adc": {"bits": 4}}}
    types = {node.name: "small" for node in net.weighted[1::2]}
    config = package(3, noc__topology=topology, tile_types=small, mapping__tile_types=types)
    placed = place(net, config)
    for part in placed.parts:
        layer = placed.layers[part.stage]
        assert placed.tile_type(part.tile) == layer.tile_type
        assert placed.chip_of[part.tile] == layer.chip
    routers = [
        chip.topology.routers([placed.positions[tile] for tile in chip.tiles]) for chip in placed.chips
    ]
    assert config.instances_of("noc", placed.size) == sum(routers)
    assert [config.instances_of(name, placed.size) for name in ("global_buffer", "package")] == [3, 4]
    links = {link for a in range(placed.tiles) for link in placed.route(a, None if a % 2 else 0)}
    assert {link.chip for link in links} == {0, 1, 2}


@given(any_network(max_size=5), chips())
@settings(deadline=None, max_examples=30, derandomize=True)
def test_one_chip_of_a_package_is_today_s_chip(net: Network, config: HardwareConfig) -> None:
    plain = place(net, config)
    alone = place(
        net, config.model_copy(update={"package": config.package.model_copy(update={"link": "board"})})
    )
    assert alone.positions == plain.positions
    assert alone.parts == plain.parts
    assert alone.size == plain.size
    for a, b in product([None, *range(plain.tiles)], repeat=2):
        assert not any(link.between_chips or link.chip for link in alone.route(a, b))


def test_a_single_chip_s_hash_and_prices_do_not_know_packages() -> None:
    plain = imcsim.hardware.load("dtsnn_32nm")
    one = imcsim.hardware.load("dtsnn_32nm", {"package.chips": 1})
    assert plain.sha256 == one.sha256
    size = place(network(), plain.config).size
    assert "package" not in {charge.component for charge in charges(plain.config, size)}
    assert imcsim.hardware.load("dtsnn_32nm", {"package.chips": 2}).sha256 != plain.sha256


def test_a_floorplan_has_the_chips() -> None:
    config = package(3)
    net = vgg_like(np.random.default_rng(0), plan=(4, "M", 8, 8), size=8, classes=3, timesteps=2)
    placed = place(net, config)
    plan = floorplan(placed, config)
    assert [chip.layers for chip in plan.chips] == [
        tuple(one.stage.name for one in placed.layers if one.chip == k) for k in range(3)
    ]
    assert [chip.joined_to for chip in plan.chips] == [(1,), (0, 2), (1,)]
    assert sum(chip.tiles for chip in plan.chips) == len(plan.tiles)
    assert [tile.chip for tile in plan.tiles] == list(placed.chip_of)
    assert plan.package_flits == package_flits(placed, config) > 0
