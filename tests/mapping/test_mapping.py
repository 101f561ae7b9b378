"""Layers to crossbars, PEs, tiles and mesh positions, against closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network, vgg_like
from played import play

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping import IMAGE, Part, Placement, place, stage_graph
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d


def chip(name: str = "dtsnn_32nm", **overrides: object) -> HardwareConfig:
    """A built-in config, a layer to a tile, tiles in a row; ``adc__bits`` stands for ``adc.bits``."""
    overrides = {"mapping__placement": "path", "mapping__share_tiles": False, **overrides}
    return imcsim.hardware.load(name, {k.replace("__", "."): v for k, v in overrides.items()}).config


def plain(**overrides: object) -> HardwareConfig:
    return chip(**{"mapping__replication": "none", **overrides})


def conv(name: str, source: str, outer: int, inner: int, kernel: int = 3, **settings: Any) -> Conv2d:
    pad = kernel // 2
    weight = np.ones((outer, inner, kernel, kernel), np.int8)
    return Conv2d(name, (source,), weight, np.ones(outer), np.zeros(outer), padding=(pad, pad), **settings)


def lif(name: str, source: str) -> LIF:
    return LIF(name, (source,), 0.5, 1.0, "hard")


def network(*nodes: Node, shape: tuple[int, int, int] = (2, 8, 8), bits: int = 4) -> Network:
    """`nodes`, flattened and classified."""
    from imcsim.network import shapes

    open_end = Network("net", shape, 8, 1.0, 2, 2, bits, nodes)
    inner = math.prod(shapes(open_end)[nodes[-1].name])
    end = Linear("fc", ("flat",), np.ones((2, inner), np.int8), np.ones(2), np.zeros(2))
    return Network("net", shape, 8, 1.0, 2, 2, bits, (*nodes, Flatten("flat", (nodes[-1].name,)), end))


def one_layer(inner: int, outer: int, kernel: int, bits: int) -> Network:
    return network(
        conv("conv", INPUT, outer, inner, kernel), lif("lif", "conv"), shape=(inner, 4, 4), bits=bits
    )


def held(placed: Placement, stage: int) -> list[tuple[int, int, int]]:
    """Every copy, column and block that the parts of a layer hold."""
    return [
        (copy, column, block)
        for part in placed.parts_of(stage)
        for copy in range(*part.copies)
        for column in range(*part.columns)
        for block in range(*part.blocks)
    ]


def check_placement(placed: Placement, config: HardwareConfig) -> None:
    """What holds for every placement: nothing twice, nothing missing, no tile too full, one head a column."""
    whole_pe = config.cells.row_order == "kernel_position"
    capacity = config.tile.pes_per_tile * (1 if whole_pe else config.tile.crossbars_per_pe)
    used = [0] * placed.tiles
    for index, part in enumerate(placed.parts):
        assert part.index == index
        used[part.tile] += part.units
    assert max(used) <= capacity
    assert min(used) > 0
    layers_of_tile: dict[int, set[int]] = {}
    for part in placed.parts:
        layers_of_tile.setdefault(part.tile, set()).add(part.stage)
    if not config.mapping.share_tiles:
        assert all(len(stages) == 1 for stages in layers_of_tile.values())
    for k, layer in enumerate(placed.layers):
        everything = [
            (copy, column, block)
            for copy in range(layer.copies)
            for column in range(layer.columns)
            for block in range(layer.blocks)
        ]
        assert sorted(held(placed, k)) == everything
        heads = [p for p in placed.parts_of(k) if p.head == p.index]
        adders = [(copy, column) for p in heads for copy in range(*p.copies) for column in range(*p.columns)]
        assert sorted(adders) == sorted({(copy, column) for copy, column, _ in everything})
        assert sum(p.channels * p.copy_count for p in heads) == layer.stage.out_channels * layer.copies
        for part in placed.parts_of(k):
            head = placed.parts[part.head]
            assert (head.stage, head.copies, head.columns) == (k, part.copies, part.columns)
            assert head.head == head.index
    assert len(set(placed.positions)) == placed.tiles
    assert all(
        0 <= x < placed.chips[0].mesh[0] and 0 <= y < placed.chips[0].mesh[1] for x, y in placed.positions
    )
    if config.mapping.placement == "path":
        steps = zip(placed.positions, placed.positions[1:], strict=False)
        assert all(abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1 for a, b in steps)


@given(
    inner=st.integers(1, 70),
    outer=st.integers(1, 300),
    kernel=st.sampled_from([1, 3, 5]),
    rows=st.sampled_from([4, 16, 64, 100]),
    columns=st.sampled_from([8, 16, 64, 104]),
    bits=st.integers(2, 8),
    cell_bits=st.integers(1, 4),
    encoding=st.sampled_from(["offset", "differential", "twos_complement"]),
    pes=st.integers(1, 8),
)
@settings(deadline=None, max_examples=40)
def test_cutting_a_layer(
    inner: int,
    outer: int,
    kernel: int,
    rows: int,
    columns: int,
    bits: int,
    cell_bits: int,
    encoding: str,
    pes: int,
) -> None:
    config = plain(
        cells__rows=rows, cells__columns=columns, cells__cell_bits=cell_bits, cells__encoding=encoding,
        tile__pes_per_tile=pes,
    )  # fmt: skip
    magnitude = -(-(bits - 1) // cell_bits)
    slices = {
        "offset": -(-bits // cell_bits),
        "differential": 2 * magnitude,
        "twos_complement": magnitude + 1,
    }
    per_weight = slices[encoding]
    net = one_layer(inner, outer, kernel, bits)
    if per_weight > columns:
        with pytest.raises(ImcsimError, match=f"one weight takes {per_weight} cells"):
            place(net, config)
        return
    placed = place(net, config)
    layer = placed.layers[0]
    assert layer.stage.rows == kernel * kernel * inner
    assert layer.slices == per_weight
    assert layer.blocks == -(-kernel * kernel * inner // rows)
    assert layer.channels_per_column == columns // per_weight
    assert layer.columns == -(-outer // (columns // per_weight))
    assert layer.crossbars == layer.blocks * layer.columns
    assert layer.copies == layer.unit_crossbars == 1
    assert layer.rows.block_rows.sum() == layer.stage.rows
    check_placement(placed, config)
    assert placed.crossbars == sum(la.blocks * la.columns for la in placed.layers)
    assert placed.size.tiles == placed.tiles
    assert placed.size.pes == placed.tiles * pes
    assert placed.size.crossbars == placed.tiles * pes * 8


def test_the_paper_s_vgg16_counts() -> None:
    # 3,600 crossbars of 64 x 64 at one cell a weight; 7,192 with 8-bit weights in 4-bit cells (Li et al., DAC
    # 2023).
    widths = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
    nodes: list[Node] = []
    last, inner = INPUT, 3
    for k, width in enumerate(widths):
        if isinstance(width, str):
            nodes.append(Pool2d(f"pool{k}", (last,), "max", (2, 2), (2, 2)))
        else:
            nodes += [conv(f"conv{k}", last, width, inner), lif(f"lif{k}", f"conv{k}")]
            inner = width
        last = nodes[-1].name
    fc = Linear("fc", ("flat",), np.ones((10, 512), np.int8), np.ones(10), np.zeros(10))
    nodes += [Flatten("flat", (last,)), fc]
    for bits, crossbars in ((4, 3600), (8, 7192)):
        net = Network("vgg16", (3, 32, 32), 8, 1.0, 10, 4, bits, tuple(nodes))
        placed = place(net, plain())
        check_placement(placed, plain())
        assert placed.crossbars == crossbars
    stages = placed.graph.stages
    assert sum(s.rows * s.out_channels for s in stages) == 14_715_584
    assert sum(s.positions * s.rows * s.out_channels for s in stages) == 313_201_664
    neurons = sum(s.positions * s.out_channels for s in stages if s.neurons)
    assert neurons + 10 == 276_490
    kept = 32 * 32 * 64 * 20
    assert placed.size.memory_bits == neurons * 16 + kept
    assert place(net, plain(encoder__mode="recompute")).size.memory_bits == neurons * 16


def test_a_layer_taller_than_a_tile_has_one_head_a_column() -> None:
    config = plain(tile__pes_per_tile=1, tile__crossbars_per_pe=4)
    # conv: 9 x 60 = 540 rows in 9 blocks of 64; 40 channels in 2 slices of 64 columns: 2 columns. Tiles of 4
    # crossbars.
    net = network(
        conv("first", INPUT, 60, 2), lif("a", "first"), conv("tall", "a", 40, 60), lif("b", "tall"), bits=8
    )
    placed = place(net, config)
    check_placement(placed, config)
    tall = placed.parts_of(1)
    assert placed.layers[1].blocks == 9
    assert placed.layers[1].columns == 2
    assert [(p.columns, p.blocks) for p in tall] == [
        ((0, 1), (0, 4)), ((0, 1), (4, 8)), ((0, 1), (8, 9)),
        ((1, 2), (0, 3)), ((1, 2), (3, 7)), ((1, 2), (7, 9)),
    ]  # fmt: skip
    assert [p.head - tall[0].index for p in tall] == [0, 0, 0, 3, 3, 3]
    assert [p.channels for p in tall] == [32, 32, 32, 8, 8, 8]
    assert tall[2].tile == tall[3].tile
    # The same layer in tiles that hold a column stays whole: nothing to add up across tiles.
    roomy = plain(tile__pes_per_tile=1, tile__crossbars_per_pe=9)
    whole = place(net, roomy)
    check_placement(whole, roomy)
    assert [(p.columns, p.blocks, p.head == p.index) for p in whole.parts_of(1)] == [
        ((0, 1), (0, 9), True),
        ((1, 2), (0, 9), True),
    ]


def test_weights_wider_than_a_crossbar_are_refused() -> None:
    with pytest.raises(ImcsimError, match="one weight takes 7 cells, but a crossbar has 4 columns") as caught:
        place(
            one_layer(2, 2, 1, 7), plain(cells__cell_bits=1, cells__columns=4, column_mux__columns_per_adc=4)
        )
    assert caught.value.key == "cells.columns"


# The mesh


@pytest.mark.parametrize(
    ("tiles", "mesh"), [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (4, (2, 2)), (5, (3, 2)), (7, (3, 3))]
)
def test_the_mesh_is_as_square_as_it_can_be(tiles: int, mesh: tuple[int, int]) -> None:
    nodes: list[Node] = []
    for k in range(tiles - 1):
        nodes += [conv(f"conv{k}", INPUT if k == 0 else f"lif{k - 1}", 2, 2), lif(f"lif{k}", f"conv{k}")]
    if nodes:
        net = network(*nodes)
    else:
        end = Linear("fc", (INPUT,), np.ones((2, 128), np.int8), np.ones(2), np.zeros(2))
        net = Network("net", (2, 8, 8), 8, 1.0, 2, 2, 4, (end,))
    placed = place(net, plain())
    assert (placed.tiles, placed.chips[0].mesh) == (tiles, mesh)
    check_placement(placed, plain())


def test_tiles_snake_over_a_given_mesh() -> None:
    net = random_network(np.random.default_rng(0), depth=5, size=8)
    placed = place(net, plain(mesh__columns=2, mesh__rows=7))
    assert placed.chips[0].mesh == (2, 7)
    assert placed.positions == ((0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2))
    check_placement(placed, plain())


def test_a_mesh_that_is_too_small_says_by_how_much() -> None:
    net = random_network(np.random.default_rng(0), depth=5)
    with pytest.raises(ImcsimError, match=r"needs 6 tiles, the mesh has 2 x 2 = 4: 2 short") as caught:
        place(net, plain(mesh__columns=2, mesh__rows=2))
    assert caught.value.key == "mesh.columns"
    assert "mesh.rows" in (caught.value.fix or "")


@pytest.mark.parametrize("share_tiles", [False, True])
@pytest.mark.parametrize("placement", ["path", "rows", "annealed"])
@pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm"])
def test_every_way_of_placing_loses_nothing(name: str, placement: str, share_tiles: bool) -> None:
    config = chip(name, mapping__share_tiles=share_tiles, mapping__placement=placement)
    net = random_network(np.random.default_rng(3), residual=True, depth=3, channels=30)
    placed = place(net, config)
    check_placement(placed, config)
    assert placed.tiles <= place(net, chip(name)).tiles


# Copies


@given(seed=st.integers(0, 50), budget=st.integers(0, 90), residual=st.booleans())
@settings(deadline=None, max_examples=25)
def test_copies_stay_within_the_budget_and_save_waves(seed: int, budget: int, residual: bool) -> None:
    net = random_network(np.random.default_rng(seed), residual=residual, depth=3, channels=20)
    config = chip(mapping__replication="balanced", mapping__extra_crossbars=budget)
    placed, single = place(net, config), place(net, plain())
    check_placement(placed, config)
    extra = [a.crossbars - b.crossbars for a, b in zip(placed.layers, single.layers, strict=True)]
    assert 0 <= sum(extra) <= budget
    assert placed.crossbars - single.crossbars == sum(extra)

    def work(p: Placement) -> list[int]:
        return [la.waves_per_band * la.bands * la.stage.planes for la in p.layers]

    slowest = max(work(placed))
    assert slowest <= max(work(single))
    for layer, waves in zip(placed.layers, work(placed), strict=True):
        # No copy is idle in every wave, and only layers that were the slowest got any.
        assert layer.copies == -(-layer.stage.out_width // layer.waves_per_band)
        if layer.copies > 1:
            fewer = (
                -(-layer.stage.out_width // (layer.copies - 1)) * layer.stage.out_height * layer.stage.planes
            )
            assert fewer >= slowest
        assert waves <= slowest
    # The budget is spent: the next copies for the slowest layer would not fit into what is left.
    k = work(placed).index(slowest)
    layer = placed.layers[k]
    if layer.waves_per_band > 1:
        wanted = -(-layer.stage.out_width // (layer.waves_per_band - 1)) - layer.copies
        assert wanted * layer.crossbars_per_copy > budget - sum(extra)


@pytest.mark.parametrize("seed", range(4))
def test_copies_make_a_chip_no_slower(seed: int) -> None:
    net = random_network(np.random.default_rng(seed), residual=seed % 2 == 1, depth=3, channels=8, size=12)
    cycles = []
    for budget in (0, 2, 8, 64):
        config = chip(mapping__extra_crossbars=budget, encoder__mode="recompute")
        cycles.append(int(play(place(net, config), config, [1], 1).verdict[0]))
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[-1] < cycles[0]


def test_copies_that_overflow_a_tile_go_on_in_the_next() -> None:
    # 3 crossbars a copy (9 x 20 = 180 rows), tiles of 8: two copies a tile.
    net = network(conv("a", INPUT, 20, 20), lif("la", "a"), shape=(20, 8, 8))
    config = chip(tile__pes_per_tile=1, mapping__extra_crossbars=9)
    placed = place(net, config)
    check_placement(placed, config)
    assert placed.layers[0].copies == 4
    assert [(p.copies, p.tile) for p in placed.parts_of(0)] == [((0, 2), 0), ((2, 4), 1)]


# kernel_position


def test_kernel_positions_share_a_pe() -> None:
    config = chip("spikesim_65nm")
    # 130 input channels: 3 groups; 70 output channels at one cell a weight: 2 columns. 6 PEs of 9 crossbars.
    net = network(conv("a", INPUT, 130, 2), lif("la", "a"), conv("b", "la", 70, 130), lif("lb", "b"))
    placed = place(net, config)
    check_placement(placed, config)
    first, second, fc = placed.layers
    assert (first.blocks, first.columns, first.unit_crossbars, first.crossbars) == (1, 3, 9, 27)
    assert (second.blocks, second.columns, second.unit_crossbars, second.crossbars) == (3, 2, 9, 54)
    # A linear layer has one kernel position: a PE holds one crossbar of it. 70 x 64 = 4,480 rows: 70 PEs, 8 a
    # tile.
    assert (fc.blocks, fc.columns, fc.unit_crossbars) == (70, 1, 1)
    assert placed.tiles == 1 + 1 + 9
    assert placed.pes_used == 3 + 6 + 70
    assert second.rows.block_rows.tolist() == [576, 576, 18]


def test_spikesim_s_vgg9_takes_48_pes() -> None:
    plan = (64, "M", 64, "M", 128, 128, "M", 256, 256, 256)
    placed = place(
        vgg_like(np.random.default_rng(0), plan=plan, size=16, weight_bits=4, timesteps=1),
        chip("spikesim_65nm"),
    )
    # Cin 3 64 64 128 128 256 256 -> Cout 64 64 128 128 256 256 (256): ceil(Cin / 64) ceil(Cout / 64) each.
    convs = [la for la in placed.layers if la.stage.kind == "conv"]
    assert [la.blocks * la.columns for la in convs] == [1, 1, 2, 4, 8, 16, 16]
    assert sum(la.blocks * la.columns for la in convs) == 48


def test_a_kernel_larger_than_a_pe_is_refused() -> None:
    net = network(conv("wide", INPUT, 2, 2, 5), lif("l", "wide"))
    with pytest.raises(ImcsimError, match=r"layer wide needs 25 crossbars in a PE.*has 9") as caught:
        place(net, chip("spikesim_65nm"))
    assert caught.value.key == "tile.crossbars_per_pe"
    assert "at least 25" in (caught.value.fix or "")


# Stages and streams


def edges(net: Network) -> list[tuple[int, int, str, int, int, int, int, int, int]]:
    return [
        (e.source, e.target, e.role, e.height, e.width, e.channels, e.bits, e.pool_size, e.pool_stride)
        for e in stage_graph(net, 20).edges
    ]


def test_pools_fold_into_the_stream_before_them() -> None:
    net = network(
        conv("a", INPUT, 4, 2), lif("la", "a"), Pool2d("p1", ("la",), "max", (2, 2), (2, 2)),
        Pool2d("p2", ("p1",), "average", (2, 2), (1, 1)),
        conv("b", "p2", 6, 4), lif("lb", "b"), shape=(2, 9, 8),
    )  # fmt: skip
    graph = stage_graph(net, 20)
    assert edges(net) == [
        (IMAGE, 0, "input", 9, 8, 2, 8, 1, 1),
        # 9 x 8 -> 4 x 4 -> 3 x 3; a row needs 4 own rows, the next one 2 more; four spikes fill 3 bits
        (0, 1, "input", 3, 3, 4, 3, 4, 2),
        (1, 2, "input", 3, 3, 6, 1, 1, 1),
    ]
    assert [s.planes for s in graph.stages] == [8, 3, 1]
    assert [s.pool_inputs for s in graph.stages] == [4 * (4 * 4 * 4) + 4 * (3 * 3 * 4), 0, 0]
    assert [s.neurons for s in graph.stages] == [True, True, False]
    assert [s.reads_image for s in graph.stages] == [True, False, False]
    assert [s.is_output for s in graph.stages] == [False, False, True]
    assert graph.image_bits == 2 * 9 * 8 * 8


def test_an_identity_shortcut_brings_spikes_to_the_sum() -> None:
    net = network(
        conv("a", INPUT, 4, 2), lif("la", "a"), conv("b", "la", 4, 4), lif("lb", "b"), conv("c", "lb", 4, 4),
        Add("add", ("c", "la")), lif("lc", "add"),
    )  # fmt: skip
    assert edges(net) == [
        (IMAGE, 0, "input", 8, 8, 2, 8, 1, 1),
        (0, 1, "input", 8, 8, 4, 1, 1, 1),
        (1, 2, "input", 8, 8, 4, 1, 1, 1),
        (0, 2, "side", 8, 8, 4, 1, 1, 1),
        (2, 3, "input", 8, 8, 4, 1, 1, 1),
    ]
    assert [s.neurons for s in stage_graph(net, 20).stages] == [True, True, True, False]


def test_a_convolution_in_the_shortcut_brings_currents() -> None:
    down = Conv2d("down", ("la",), np.ones((4, 4, 1, 1), np.int8), np.ones(4), np.zeros(4), stride=(2, 2))
    main = conv("b", "la", 4, 4, stride=(2, 2))
    net = network(
        conv("a", INPUT, 4, 2), lif("la", "a"), main, down, Add("add", ("b", "down")), lif("lb", "add")
    )
    assert edges(net)[3] == (2, 1, "side", 4, 4, 4, 20, 1, 1)
    stages = stage_graph(net, 20).stages
    assert [s.neurons for s in stages] == [True, True, False, False]
    # The branch without neurons has no membranes to hold.
    bits = place(net, plain(encoder__mode="recompute")).size.memory_bits
    assert bits == (8 * 8 * 4 + 4 * 4 * 4) * 16


def test_two_neuron_layers_cannot_share_a_crossbar_layer() -> None:
    net = network(conv("a", INPUT, 4, 2), lif("l1", "a"), lif("l2", "a"), Add("add", ("l1", "l2")))
    with pytest.raises(ImcsimError, match="two LIF layers read the same crossbar layer") as caught:
        stage_graph(net, 20)
    assert caught.value.key == "a"


@given(kernel=st.integers(1, 5), stride=st.integers(1, 3), pad=st.integers(0, 4), height=st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_rows_needed_and_rows_done(kernel: int, stride: int, pad: int, height: int) -> None:
    """Against the rows that each window touches."""
    pad = min(pad, kernel - 1)
    if height + 2 * pad < kernel:
        return
    weight = np.ones((1, 2, kernel, kernel), np.int8)
    node = Conv2d("conv", (INPUT,), weight, np.ones(1), np.zeros(1), (stride, stride), (pad, pad))
    stage = stage_graph(network(node, lif("l", "conv"), shape=(2, height, height)), 20).stages[0]
    touched = [
        {row for row in range(y * stride - pad, y * stride - pad + kernel) if 0 <= row < height}
        for y in range(stage.out_height)
    ]
    for y in range(stage.out_height):
        so_far = set().union(*touched[: y + 1])
        later = set().union(*touched[y + 1 :])
        needed, done = stage.rows_needed(y, height), stage.rows_done(y, height)
        assert needed >= max(so_far, default=-1) + 1
        assert needed <= height
        assert done <= min(later, default=height)
    assert stage.rows_done(stage.out_height - 1, height) == height


def test_parts_are_listed_by_layer() -> None:
    placed = place(random_network(np.random.default_rng(1), depth=3, channels=40), chip())
    for k in range(len(placed.layers)):
        parts: tuple[Part, ...] = placed.parts_of(k)
        assert parts
        assert all(part.stage == k for part in parts)
