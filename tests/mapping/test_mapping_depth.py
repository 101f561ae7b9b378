"""Sharing tiles, placement on the mesh, traffic, utilisation, and advice on networks of the papers' sizes."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network
from played import play
from wide_networks import VGG16, conv, lif, resnet19, vgg

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Placement, floorplan, place, traffic, weighted_hops
from imcsim.network.graph import INPUT, Network, Pool2d


def chip(name: str = "dtsnn_32nm", **overrides: object) -> HardwareConfig:
    """A built-in config; ``adc__bits`` stands for ``adc.bits``."""
    return imcsim.hardware.load(name, {k.replace("__", "."): v for k, v in overrides.items()}).config


def units_by_tile(placed: Placement) -> dict[int, dict[int, int]]:
    """Units of each layer in each tile."""
    units: dict[int, dict[int, int]] = {}
    for part in placed.parts:
        stages = units.setdefault(part.tile, {})
        stages[part.stage] = stages.get(part.stage, 0) + part.units
    return units


# Published sizes


@pytest.mark.parametrize(("cell_bits", "crossbars"), [(8, 3600), (4, 7192)])
@pytest.mark.parametrize("share", [False, True])
def test_vgg16_takes_the_crossbars_of_the_paper(cell_bits: int, crossbars: int, share: bool) -> None:
    config = chip(cells__cell_bits=cell_bits, mapping__replication="none", mapping__share_tiles=share)
    plan = floorplan(place(vgg(VGG16), config), config)
    assert plan.crossbars_used == crossbars
    assert sum(layer.cells_used for layer in plan.layers) == 14_715_584 * (8 // cell_bits)


def test_spikesim_s_vgg9_takes_48_pes_and_6_tiles() -> None:
    # Output maps 32 16 16 8 8 8 4, as its released estimator lists them; it has no classifier.
    nodes, last, inner = [], INPUT, 3
    for k, (outer, pool) in enumerate([(64, 1), (64, 1), (128, 0), (128, 1), (256, 0), (256, 0), (256, 0)]):
        nodes += [conv(f"conv{k}", last, inner, outer)]
        if k < 6:
            nodes += [lif(f"lif{k}", f"conv{k}")]
        last, inner = f"lif{k}", outer
        if pool:
            nodes += [Pool2d(f"pool{k}", (last,), "max", (2, 2), (2, 2))]
            last = f"pool{k}"
    network = Network("vgg9", (3, 32, 32), 8, 1.0, 10, 5, 4, tuple(nodes))
    placed = place(network, chip("spikesim_65nm"))
    assert [layer.blocks * layer.columns for layer in placed.layers] == [1, 1, 2, 4, 8, 16, 16]
    assert (placed.pes_used, placed.tiles) == (48, 6)
    assert [sorted(stages) for stages in units_by_tile(placed).values()] == [
        [0, 1, 2, 3],
        [4],
        [5],
        [5],
        [6],
        [6],
    ]
    alone = place(network, chip("spikesim_65nm", mapping__share_tiles=False))
    assert (alone.pes_used, alone.tiles) == (48, 9)


def test_vgg16_is_balanced_within_its_budget() -> None:
    # One copy: conv1 reads 32 x 32 positions x 8 bits = 8,192 times, conv2 1,024. A copy of conv1 costs 2
    # crossbars, one of conv2 18. conv1 gets 16 copies (2 waves a row), conv2 2 (16 waves): 30 + 18 of 64.
    # Both then read 512 times, and the next step of conv1, 16 copies more, costs 32 of the 16 that are left.
    placed = place(vgg(VGG16), chip())
    assert [layer.copies for layer in placed.layers] == [16, 2] + 12 * [1]
    reads = [layer.reads_in_turn for layer in placed.layers]
    assert reads == [512, 512, 256, 256, 64, 64, 64, 16, 16, 16, 4, 4, 4, 1]
    # Ten times the budget: conv1 has a copy for each of its 32 positions and still reads 32 rows x 8 bits in
    # turn, so conv2 needs no more than 4 copies, and nothing else any.
    richer = place(vgg(VGG16), chip(mapping__extra_crossbars=640))
    assert [layer.copies for layer in richer.layers] == [32, 4] + 12 * [1]
    assert max(layer.reads_in_turn for layer in richer.layers) == 256
    assert richer.crossbars == 7192 + 31 * 2 + 3 * 18


# Sharing tiles


@given(
    seed=st.integers(0, 1000),
    residual=st.booleans(),
    budget=st.sampled_from([0, 10, 60]),
    pes=st.integers(1, 5),
    crossbars=st.integers(1, 5),
    whole_pe=st.booleans(),
    share=st.booleans(),
    placement=st.sampled_from(["path", "rows", "annealed"]),
)
@settings(deadline=None, max_examples=40)
def test_every_placement_is_sound(
    seed: int,
    residual: bool,
    budget: int,
    pes: int,
    crossbars: int,
    whole_pe: bool,
    share: bool,
    placement: str,
) -> None:
    network = random_network(np.random.default_rng(seed), residual=residual, depth=3, channels=9, timesteps=1)
    common: dict[str, object] = {
        "cells__rows": 16, "cells__columns": 16, "tile__pes_per_tile": pes,
        "mapping__extra_crossbars": budget,
        "mapping__replication": "balanced", "mapping__placement": placement,
    }  # fmt: skip
    if not whole_pe:
        common["tile__crossbars_per_pe"] = crossbars
    pe_units = 1 if whole_pe else crossbars

    def make(share: bool) -> HardwareConfig:
        name = "spikesim_65nm" if whole_pe else "dtsnn_32nm"
        return chip(name, mapping__share_tiles=share, **common)

    config = make(share)
    placed = place(network, config)
    for k, layer in enumerate(placed.layers):
        held = [
            (copy, column, block)
            for part in placed.parts_of(k)
            for copy in range(*part.copies)
            for column in range(*part.columns)
            for block in range(*part.blocks)
        ]
        assert sorted(held) == list(
            itertools.product(range(layer.copies), range(layer.columns), range(layer.blocks))
        )
        heads = [part for part in placed.parts_of(k) if part.head == part.index]
        assert (
            sum(part.channels * part.copy_count for part in heads) == layer.stage.out_channels * layer.copies
        )
        for part in placed.parts_of(k):
            head = placed.parts[part.head]
            assert (head.head, head.stage, head.copies, head.columns, head.channels) == (
                head.index, k, part.copies, part.columns, part.channels,
            )  # fmt: skip
            # A column that fits into a tile is never cut.
            assert part.head == part.index or layer.blocks > pes * pe_units
    units = units_by_tile(placed)
    assert sorted(units) == list(range(placed.tiles))
    pes_of_tile = {t: sum(-(-n // pe_units) for n in stages.values()) for t, stages in units.items()}
    assert max(pes_of_tile.values()) <= pes
    assert placed.pes_used == sum(pes_of_tile.values())
    assert share or all(len(stages) == 1 for stages in units.values())
    assert len(set(placed.positions)) == placed.tiles
    assert all(
        0 <= x < placed.chips[0].mesh[0] and 0 <= y < placed.chips[0].mesh[1] for x, y in placed.positions
    )
    if not share:
        assert place(network, make(True)).tiles <= placed.tiles


@given(channels=st.lists(st.integers(1, 300), min_size=1, max_size=6), pes=st.integers(1, 9))
@settings(deadline=None, max_examples=25)
def test_shared_tiles_are_full_where_no_column_is_taller_than_a_pe(channels: list[int], pes: int) -> None:
    nodes, last, inner = [], INPUT, 60
    for k, outer in enumerate(channels):
        # 1 x 1 kernels on at most 60 input channels, by way of a narrow layer: one block each.
        nodes += [conv(f"wide{k}", last, inner, outer, 1), lif(f"a{k}", f"wide{k}")]
        last, inner = f"a{k}", outer
    network = Network("net", (60, 4, 4), 8, 1.0, 2, 1, 4, tuple(nodes))
    config = chip("spikesim_65nm", tile__pes_per_tile=pes, cells__rows=1024, cells__columns=64)
    placed = place(network, config)
    needed = sum(-(-outer // 64) for outer in channels)
    assert (placed.pes_used, placed.tiles) == (needed, -(-needed // pes))


def test_a_shared_tile_starts_the_next_layer_in_a_fresh_pe() -> None:
    # PEs of 4 crossbars, 2 a tile. 9 x 20 = 180 rows are 3 blocks: a layer leaves one crossbar of its PE.
    nodes = [conv("a", INPUT, 20, 20), lif("la", "a"), conv("b", "la", 20, 20), lif("lb", "b")]
    nodes += [conv("c", "lb", 20, 20)]
    network = Network("net", (20, 4, 4), 8, 1.0, 2, 1, 4, tuple(nodes))
    config = chip(
        mapping__replication="none", mapping__share_tiles=True, tile__crossbars_per_pe=4, tile__pes_per_tile=2
    )
    placed = place(network, config)
    assert [(part.stage, part.tile) for part in placed.parts] == [(0, 0), (1, 0), (2, 1)]
    assert placed.pes_used == 3


@pytest.mark.parametrize(
    ("inner", "outer", "parts"),
    [
        # 9 x 20 rows, 3 blocks, one column: two whole copies a tile, and 2 crossbars are left empty.
        (20, 20, [(0, (0, 2), (0, 1)), (1, (2, 4), (0, 1))]),
        # One block, 3 columns of 64 channels: the third copy is cut between its columns.
        (7, 192, [(0, (0, 2), (0, 3)), (0, (2, 3), (0, 2)), (1, (2, 3), (2, 3)), (1, (3, 4), (0, 3))]),
    ],
)
def test_copies_in_shared_tiles_are_cut_between_columns_only(
    inner: int, outer: int, parts: list[tuple[int, tuple[int, int], tuple[int, int]]]
) -> None:
    network = Network("net", (inner, 4, 4), 1, 1.0, 2, 1, 4, (conv("a", INPUT, inner, outer),))
    config = chip(mapping__share_tiles=True, tile__pes_per_tile=1, mapping__extra_crossbars=9)
    placed = place(network, config)
    assert [(part.tile, part.copies, part.columns) for part in placed.parts] == parts


# Traffic and placement


def two_layers() -> tuple[Network, HardwareConfig]:
    """A convolution in two tiles, 32 channels each, and a classifier in one."""
    from imcsim.network.graph import Flatten, Linear

    weight = np.ones((4, 64 * 16), np.int8)
    nodes = (
        conv("a", INPUT, 3, 64),
        lif("la", "a"),
        Flatten("flat", ("la",)),
        Linear("fc", ("flat",), weight, np.ones(4), np.zeros(4)),
    )
    config = chip(
        mapping__replication="none", tile__crossbars_per_pe=16, tile__pes_per_tile=1, cells__columns=32,
        mapping__placement="path",
    )  # fmt: skip
    return Network("two", (3, 4, 4), 8, 1.0, 4, 1, 4, nodes), config


def test_traffic_by_hand() -> None:
    network, config = two_layers()
    placed = place(network, config)
    # conv: 27 rows, 64 channels: 2 crossbars of 32 columns in tile 0. fc: 1,024 rows: 16 blocks, tile 1.
    assert [part.tile for part in placed.parts] == [0, 1]
    flows = [tuple(flow) for flow in traffic(placed, config)]
    assert flows == [
        (None, 0, 4 * 96, 4 * (1 + 3)),  # the image: 4 rows of 3 x 4 pixels of 8 bits, flits of 32
        (0, 1, 4 * 256, 4 * (1 + 8)),  # spikes: 4 rows of 64 x 4 bits
        (1, None, 4 * 20, 1 + 3),  # the outputs of 4 classes
    ]
    # Tile 0 is at the corner: 1 hop; its neighbour is 2 away, there and back.
    assert placed.positions == ((0, 0), (1, 0))
    assert weighted_hops(placed, config) == 16 * 1 + 36 * 2 + 4 * 2
    moved = replace(placed, positions=((1, 1), (0, 0)))
    assert weighted_hops(moved, config) == 16 * 3 + 36 * 3 + 4 * 1


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("share", [False, True])
def test_flit_hops_are_those_that_the_engine_counts(tall: bool, residual: bool, share: bool) -> None:
    network = random_network(
        np.random.default_rng(5), residual=residual, depth=3, channels=40, average=True, timesteps=1
    )
    config = chip(
        mapping__share_tiles=share, mapping__placement="annealed", tile__pes_per_tile=1,
        tile__crossbars_per_pe=2 if tall else 8,
        mapping__replication="balanced", mapping__extra_crossbars=20, tile_buffer__capacity_bytes=1 << 20,
    )  # fmt: skip
    placed = place(network, config)
    assert placed.tiles > 3
    # With tiles of 2 crossbars, columns are spread and their heads add up.
    assert tall == any(part.head != part.index for part in placed.parts)
    counted = play(placed, config, [1], 1).count(Event.FLIT_HOPS)
    assert weighted_hops(placed, config) == counted.sum()


@pytest.mark.parametrize("mesh", [0, 3])
@pytest.mark.parametrize("seed", range(3))
def test_few_tiles_are_annealed_to_the_best_order(seed: int, mesh: int) -> None:
    network = random_network(np.random.default_rng(seed), residual=True, depth=2, channels=24, timesteps=1)
    config = chip(tile__pes_per_tile=1, mapping__replication="none", mesh__columns=mesh, mesh__rows=mesh)
    placed = place(network, config)
    assert 4 <= placed.tiles <= 7
    sites = list(itertools.product(range(placed.chips[0].mesh[0]), range(placed.chips[0].mesh[1])))[:7]
    flows = [flow for flow in traffic(placed, config) if flow.source != flow.target]

    def cost(at: tuple[tuple[int, int], ...]) -> int:
        ends = [[(0, 0) if t is None else at[t] for t in flow[:2]] for flow in flows]
        return sum(
            flow.flits * (abs(a[0] - b[0]) + abs(a[1] - b[1]) + 1)
            for flow, (a, b) in zip(flows, ends, strict=True)
        )

    assert cost(placed.positions) == weighted_hops(placed, config)
    best = min(cost(at) for at in itertools.permutations(sites, placed.tiles))
    assert cost(placed.positions) <= best


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("make", [lambda: vgg(VGG16), resnet19])
def test_annealing_shortens_the_traffic_of_large_networks(make: object, share: bool) -> None:
    network = make()  # type: ignore[operator]
    hops = {}
    for placement in ("path", "rows", "annealed"):
        config = chip(mapping__placement=placement, mapping__share_tiles=share)
        placed = place(network, config)
        assert place(network, config).positions == placed.positions
        hops[placement] = weighted_hops(placed, config)
    assert hops["annealed"] < 0.92 * hops["path"]


def test_path_turns_and_rows_do_not() -> None:
    network = random_network(np.random.default_rng(0), depth=5, size=8, timesteps=1)
    positions = {
        placement: place(
            network,
            chip(mapping__placement=placement, mesh__columns=2, mesh__rows=4, mapping__share_tiles=False),
        ).positions
        for placement in ("path", "rows")
    }
    assert positions["path"] == ((0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2))
    assert positions["rows"] == ((0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2))


# What would make it fit


def refusal(network: Network, config: HardwareConfig) -> str:
    with pytest.raises(ImcsimError) as caught:
        place(network, config)
    assert caught.value.key == "mesh.columns"
    return str(caught.value)


@pytest.mark.parametrize(("columns", "rows"), [(6, 6), (13, 10), (1, 100), (128, 1)])
def test_advice_for_a_mesh_that_is_too_small_works(columns: int, rows: int) -> None:
    network, mesh = vgg(VGG16), {"mesh__columns": columns, "mesh__rows": rows}
    settings = {"mapping__extra_crossbars": 640, **mesh}
    text = refusal(network, chip(**settings))
    needed = place(network, chip(mapping__extra_crossbars=640)).tiles
    assert f"needs {needed} tiles, the mesh has {columns} x {rows}" in text
    assert f"{needed - columns * rows} short" in text
    larger = re.search(r"mesh.columns (\d+) with mesh.rows (\d+) would do", text)
    assert larger
    wider, higher = map(int, larger.groups())
    assert wider >= columns
    assert higher >= rows
    place(network, chip(**settings | {"mesh__columns": wider, "mesh__rows": higher}))
    pes = int(re.search(r"tile.pes_per_tile (\d+) would do", text)[1])  # type: ignore[index]
    place(network, chip(**settings, tile__pes_per_tile=pes))
    refusal(network, chip(**settings, tile__pes_per_tile=pes - 1))
    options = {
        "mapping.share_tiles true": {"mapping__share_tiles": True},
        "mapping.replication none": {"mapping__replication": "none"},
    }
    for name, values in options.items():
        found = re.search(rf"{name} saves (\d+) tiles?, (which is|not) enough", text)
        saved = needed - place(network, chip(**{"mapping__extra_crossbars": 640, **values})).tiles
        assert (saved > 0) == bool(found)
        if found:
            assert int(found[1]) == saved
            assert (found[2] == "which is") == (needed - saved <= columns * rows)


def test_advice_tries_both_settings_together_when_neither_is_enough() -> None:
    network = vgg(VGG16)
    sizes = {
        (share, replication): place(
            network,
            chip(
                mapping__extra_crossbars=640, mapping__share_tiles=share, mapping__replication=replication,
                mapping__placement="path",
            ),
        ).tiles
        for share in (False, True)
        for replication in ("none", "balanced")
    }  # fmt: skip
    fewest = sizes[True, "none"]
    assert fewest < min(sizes[False, "none"], sizes[True, "balanced"])
    text = refusal(network, chip(mapping__extra_crossbars=640, mesh__columns=fewest, mesh__rows=1))
    assert f"both together save {sizes[False, 'balanced'] - fewest} tiles, which is enough" in text
    text = refusal(network, chip(mapping__extra_crossbars=640, mesh__columns=fewest - 1, mesh__rows=1))
    assert "which is not enough" in text


def test_no_advice_that_cannot_help() -> None:
    # A tile can hardly be too small for a mesh of one tile where every layer needs its own.
    network = random_network(np.random.default_rng(0), depth=3, timesteps=1)
    text = refusal(network, chip(mesh__columns=1, mesh__rows=1, mapping__replication="none"))
    assert "pes_per_tile" not in text
    assert "replication" not in text
    assert "mapping.share_tiles true saves 3 tiles, which is enough" in text


# Utilisation


@pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm"])
@pytest.mark.parametrize("make", [lambda: vgg(VGG16), resnet19])
def test_cells_of_layers_and_tiles_add_up(name: str, make: object) -> None:
    network = make()  # type: ignore[operator]
    config = chip(name)
    placed = place(network, config)
    plan = floorplan(placed, config)
    for row, layer in zip(plan.layers, placed.layers, strict=True):
        weights = next(n for n in network.weighted if n.name == row.name).weight.size
        assert row.cells_used == weights * row.slices * row.copies
        assert row.cell_utilisation == row.cells_used / (layer.crossbars * 64 * 64)
        assert row.tiles == tuple(sorted({p.tile for p in placed.parts if p.stage == layer.stage.index}))
    assert sum(row.cells_used for row in plan.layers) == sum(tile.cells_used for tile in plan.tiles)
    for tile in plan.tiles:
        assert tile.crossbars_used == sum(number for _, number in tile.layers)
        assert 0 < tile.cells_used <= tile.crossbars_used * 64 * 64
        assert tile.crossbars == config.crossbars_per_tile
    assert sum(tile.crossbars_used for tile in plan.tiles) == plan.crossbars_used == placed.crossbars
    assert sum(row.pes for row in plan.layers) == plan.pes_used
    whole = sum(tile.cell_utilisation for tile in plan.tiles) / len(plan.tiles)
    assert plan.cell_utilisation == pytest.approx(whole, rel=1e-12)
