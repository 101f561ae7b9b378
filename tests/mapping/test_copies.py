"""Copies of layers: what they gain by the objective of a policy, what they cost, what they leave as it is."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network, vgg_like
from played import play

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import LayerPlacement, place
from imcsim.mapping.copies import Layers, busiest, busy_cycles, grants, objective_of, timestep_cycles
from imcsim.mapping.cut import cut
from imcsim.mapping.stages import stage_graph
from imcsim.network.graph import Network
from imcsim.timing.timeline import EVENTS

POLICIES = ("latency", "throughput", "edp")


def chip(replication: object, **overrides: object) -> HardwareConfig:
    values = {k.replace("__", "."): v for k, v in overrides.items()}
    return imcsim.hardware.load("dtsnn_32nm", {"mapping.replication": replication, **values}).config


def small(seed: int = 0, size: int = 8) -> Network:
    return vgg_like(np.random.default_rng(seed), plan=(4, "M", 8, 8), size=size, classes=3, timesteps=4)


def objective(network: Network, policy: str, config: HardwareConfig) -> float:
    graph = stage_graph(network, config.lif.partial_sum_bits)
    return objective_of(graph, chip(policy))(cut(graph, config))


@pytest.mark.parametrize("policy", POLICIES)
@given(seed=st.integers(0, 30), residual=st.booleans())
@settings(deadline=None, max_examples=6)
def test_a_larger_budget_is_never_worse(policy: str, seed: int, residual: bool) -> None:
    network = random_network(np.random.default_rng(seed), residual=residual, depth=3, channels=10)
    single = place(network, chip("none")).crossbars
    found = []
    for budget in (0, 3, 10, 11, 40, 400):
        config = chip(policy, mapping__extra_crossbars=budget)
        assert place(network, config).crossbars - single <= budget
        found.append(objective(network, policy, config))
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[0]


def ladder(layer: LayerPlacement) -> list[LayerPlacement]:
    """Every number of copies that a layer may have, by hand."""
    height, width = layer.stage.out_height, layer.stage.out_width
    counts = [*range(1, width + 1), *(r * width for r in range(2, height + 1) if height % r == 0)]
    return [
        LayerPlacement(**{**vars_of(layer), "copies": n, "row_copies": max(1, n // width)}) for n in counts
    ]


def vars_of(layer: LayerPlacement) -> dict[str, object]:
    return {name: getattr(layer, name) for name in LayerPlacement.__dataclass_fields__}


@pytest.mark.parametrize("budget", [0, 1, 4, 7, 12, 30, 60])
def test_throughput_is_the_best_of_all_ways_to_spend_the_budget(budget: int) -> None:
    network, config = small(), chip("throughput", mapping__extra_crossbars=budget)
    graph = stage_graph(network, config.lif.partial_sum_bits)
    single = cut(graph, chip("none"))
    spend = sum(layer.crossbars for layer in single) + budget
    best = min(
        max(busy_cycles(layer, graph, config) for layer in some)
        for some in product(*map(ladder, single))
        if sum(layer.crossbars for layer in some) <= spend
    )
    assert objective_of(graph, config)(cut(graph, config)) == best


def test_copies_of_a_whole_map_do_the_same_work_in_one_wave() -> None:
    network = small()
    one, whole = chip({"conv1": 1}), chip({"conv1": 64, "conv2": 16})
    counts, cycles = [], []
    for config in (one, whole):
        placed = place(network, config)
        line = play(placed, config, [2], 2)
        counts.append(line.counts.sum(axis=(0, 2)))
        cycles.append(int(line.verdict[-1]))
    layer = placed.layers[0]
    assert (layer.bands, layer.waves, layer.copies) == (1, 1, 64)
    for event in (Event.CROSSBAR_READS, Event.CONVERSIONS, Event.LIF_UPDATES, Event.POOL_OPERATIONS):
        k = EVENTS.index(event)
        assert counts[0][k] == counts[1][k] > 0
    assert cycles[1] < cycles[0]


def test_rows_of_a_band_fetch_what_they_share_once() -> None:
    network = small()
    fetched = []
    for copies in (8, 16, 32, 64):  # of a map of 8 x 8, with windows of 3 x 3 and padding
        config = chip({"conv1": copies}, tile_buffer__capacity_bytes=1 << 16, tile__pes_per_tile=64)
        line = play(place(network, config), config, [1], 1)
        fetched.append(int(line.counts[:, EVENTS.index(Event.TILE_BUFFER_READ_BITS), 1].sum()))
    bands = np.array([8, 4, 2, 1])
    rows = np.array([3, 4, 6, 10])
    assert fetched == [int(n) * (3 + 7) * 3 * 8 for n in bands * rows]


def test_what_is_done_once_counts_less_the_longer_images_stay() -> None:
    network = small(size=16)
    found = []
    for timesteps in (1.0, 100.0):
        config = chip("latency", mapping__extra_crossbars=24, mapping__expected_timesteps=timesteps)
        found.append([layer.copies for layer in place(network, config).layers])
    assert found[0][0] > found[1][0]
    assert max(found[1][1:]) > max(found[0][1:])
    recompute = chip("latency", encoder__mode="recompute", mapping__expected_timesteps=7.0)
    graph = stage_graph(network, 20)
    layers = cut(graph, chip("none"))
    assert objective_of(graph, recompute)(layers) == 7 * timestep_cycles(layers, graph, recompute)


def test_tiles_and_area_limit_copies_too() -> None:
    network = small()
    for policy in ("balanced", "latency"):
        many: dict[str, object] = {
            "mapping__extra_crossbars": 10_000, "tile__pes_per_tile": 1, "tile__crossbars_per_pe": 2,
        }  # fmt: skip
        free = place(network, chip(policy, **many)).tiles
        single = place(network, chip("none", **many))
        for extra in (0, 2):
            assert (
                place(network, chip(policy, mapping__extra_tiles=extra, **many)).tiles <= single.tiles + extra
            )
        area = chip(policy, **many).tile_area_um2() * 1e-6
        limited = place(network, chip(policy, mapping__extra_area_mm2=2.5 * area, **many)).tiles
        assert single.tiles <= limited <= single.tiles + 2 < free


def test_each_step_says_what_it_gained_and_which_layer_was_busiest() -> None:
    network, config = small(), chip("latency", mapping__extra_crossbars=60)
    graph = stage_graph(network, config.lif.partial_sum_bits)
    single: Layers = cut(graph, chip("none"))
    taken = list(grants(single, graph, config))
    assert taken[0][1].bound_by == busiest(single, graph, config)
    assert taken[0][1].before == objective_of(graph, config)(single)
    for (_, before), (layers, after) in pairwise(taken):
        assert before.after == after.before > after.after
        named = {layer.stage.name: layer.copies for layer in layers}
        assert tuple(named[name] for name in after.layers) == after.copies
    assert sum(step.crossbars for _, step in taken) <= 60
    found = [(layer.copies, layer.row_copies) for layer in cut(graph, config)]
    assert [(layer.copies, layer.row_copies) for layer in taken[-1][0]] == found


@pytest.mark.parametrize(
    ("copies", "message"),
    [
        ({"conv9": 2}, "there is no layer 'conv9'.*did you mean 'conv"),
        (
            {"conv1": 20},
            "20 copies of conv1 cannot share its map of 8 rows of 8 evenly.*use 1 to 8 or 16 or 32",
        ),
        ({"fc": 2}, "use 1 to 1"),
    ],
)
def test_copies_by_hand_that_cannot_be(copies: dict[str, int], message: str) -> None:
    with pytest.raises(ImcsimError, match=message):
        place(small(), chip(copies))
