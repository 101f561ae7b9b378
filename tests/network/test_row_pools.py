"""Pools of neighbouring values in a row: windows side by side, pooled in the tile of their neurons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images
from random_chips import assert_same, changed, outcome

from imcsim.base.errors import ImcsimError
from imcsim.functional.program.program import build
from imcsim.functional.run import exact, run
from imcsim.mapping import place
from imcsim.network import validate
from imcsim.network.graph import INPUT, LIF, Linear, Network, Pool2d
from imcsim.simulation.chip import numerics
from imcsim.simulation.counts import image_work, recorded_nodes
from imcsim.timing.figures import part_figures

SHOWN = random_images(np.random.default_rng(3), (2, 3, 3), 3)
T = 3


def fc(name: str, source: str, inner: int, outer: int, seed: int) -> Linear:
    weight = np.random.default_rng(seed).integers(-7, 8, (outer, inner)).astype(np.int8)
    return Linear(name, (source,), weight, np.full(outer, 0.125), np.full(outer, 0.25))


def pooled(kind: Any = "max", size: int = 3, stride: int = 3, values: int = 20, **lif: Any) -> Network:
    left = (values - size) // stride + 1
    return Network(
        "rows", (2, 3, 3), 8, 2.0**-8, 4, T, 4,
        (
            fc("hidden", INPUT, 18, values, 1), LIF("lif", ("hidden",), 0.5, 1.0, "hard", **lif),
            Pool2d("pool", ("lif",), kind, (1, size), (1, stride)), fc("classes", "pool", left, 4, 2),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    "network",
    [
        pooled(), pooled("sum"), pooled("average", 4, 4), pooled("max", 2, 5),
        pooled("max", 2, 2, max_spikes=3),
    ],
)  # fmt: skip
def test_values_equal_the_equations(network: Network) -> None:
    validate(network)
    program = build(network, numerics(changed("dtsnn_32nm", {"cells.encoding": "differential"})))
    found = run(program, SHOWN, T, exact(program), workers=1, record={"lif", "pool"}).recorded
    expected = forward(network, SHOWN, T)
    node = network.node("pool")
    assert isinstance(node, Pool2d)
    worth = node.size[1] if node.kind == "average" else 1  # averages are sums until the weights
    assert np.array_equal(found["pool"][:, :, 0, 0].transpose(1, 0, 2), expected["pool"] * worth)
    assert found["pool"].any()


@pytest.mark.parametrize(("columns", "per_column"), [(8, 6), (64, 63), (5, 3)])
def test_windows_are_not_parted(columns: int, per_column: int) -> None:
    """A crossbar takes as many outputs as make whole windows, so that each tile pools its own."""
    config = changed("dtsnn_32nm", {"cells.columns": columns, "tile.pes_per_tile": 1})
    placement = place(pooled(), config)
    layer, edge = placement.layers[0], placement.graph.edges[-1]
    assert layer.slices == 1
    assert layer.channels_per_column == per_column
    assert (edge.channels, edge.pool_area, edge.channel_stride, edge.row_bits) == (6, 3, 3, 6)
    parts = [p for p in placement.parts_of(0) if p.head == p.index]
    assert [n for part in parts for n in layer.pooled_channels(part, edge)] == list(range(6))
    # Twenty values: two are left over at the end, and travel nowhere.
    bits = sum(one.packet_bits(edge) for one in part_figures(placement, config) if one.part in parts)
    assert bits == 6
    taken = sum(one.pooled_values(edge, 1) for one in part_figures(placement, config) if one.part in parts)
    assert taken == 18
    assert placement.graph.stages[0].pool_inputs == 18


def test_a_window_wider_than_a_crossbar_is_refused() -> None:
    with pytest.raises(ImcsimError, match="9 neighbouring outputs of layer hidden are pooled in its tile"):
        place(pooled(size=9, stride=9), changed("dtsnn_32nm", {"cells.columns": 8}))


@pytest.mark.parametrize("coding", ["aer", "bitmap"])
def test_both_fidelities_play_real_work(coding: str) -> None:
    about = {"activity.skip_zero_reads": True, "activity.spike_coding": coding, "cells.columns": 8}
    config = changed("dtsnn_32nm", about | {"tile.pes_per_tile": 1, "tile.crossbars_per_pe": 2})
    network = pooled()
    program, placement = build(network, numerics(config)), place(network, config)
    nodes = recorded_nodes(program, placement)
    recorded = run(program, SHOWN, T, exact(program), workers=1, record=nodes).recorded
    work = image_work(program, placement, recorded)
    played = {"exits": [T, 1, T], "timesteps": T, "work": work}
    one, other = (outcome(placement, config, **played, fidelity=kind) for kind in ("reference", "burst"))
    assert_same(one, other)
    assert not isinstance(one, str)


BROKEN = {
    "overlap": ({"stride": (1, 2)}, "pools the row of values of 'lif' in windows that are no neighbours"),
    "padding": ({"padding": (0, 1)}, "pools the row of values of 'lif' in windows that are no neighbours"),
    "rows": ({"size": (3, 1), "stride": (3, 1)}, "pools the row of values of 'lif' in windows that are no"),
    "wide": ({"size": (1, 21), "stride": (1, 21)}, "a window of 21 does not fit the 20 values of 'lif'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_other_windows_are_refused(case: str) -> None:
    changes, said = BROKEN[case]
    network = pooled()
    nodes = tuple(replace(n, **changes) if n.name == "pool" else n for n in network.nodes)
    with pytest.raises(ImcsimError) as error:
        validate(replace(network, nodes=nodes))
    assert error.value.message.startswith(said)
