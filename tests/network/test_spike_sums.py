"""Sums of spikes, as SEW blocks make them: values of several bits, one set of weights behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images
from random_chips import assert_same, changed, outcome

from imcsim.base.errors import ImcsimError
from imcsim.functional.program.program import build
from imcsim.functional.run import exact, run
from imcsim.hardware.events import Event
from imcsim.mapping import place
from imcsim.network import load, save, validate
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Delay, Flatten, Linear, Network, Node, Pool2d
from imcsim.simulation.chip import numerics
from imcsim.simulation.counts import image_work, recorded_nodes
from imcsim.timing.figures import part_figures

SHOWN = random_images(np.random.default_rng(3), (2, 6, 6), 3)
T = 3


def conv(name: str, source: str, inner: int, outer: int, seed: int) -> Conv2d:
    weight = np.random.default_rng(seed).integers(-7, 8, (outer, inner, 3, 3)).astype(np.int8)
    # Powers of two, so that sums in float64 and on the chip are the same numbers.
    return Conv2d(name, (source,), weight, np.full(outer, 0.125), np.full(outer, 0.25), (1, 1), (1, 1))


def lif(name: str, source: str, **more: Any) -> LIF:
    return LIF(name, (source,), 0.5, 1.0, "hard", **more)


def sew(*more: Node, reads: str = "sum2", classes: int = 4, **about: Any) -> Network:
    """Two blocks whose spikes are added to those before them: 1, 2 and 3 spikes at most."""
    nodes = (
        conv("stem", INPUT, 2, 4, 1), lif("lif0", "stem"),
        conv("conv1", "lif0", 4, 4, 2), lif("lif1", "conv1", **about),
        Add("sum1", ("lif1", "lif0")),
        conv("conv2", "sum1", 4, 4, 3), lif("lif2", "conv2"),
        Add("sum2", ("sum1", "lif2")),
        *more,
        Flatten("flatten", (reads,)),
    )  # fmt: skip
    size = 4 * 9 if more else 4 * 36
    weight = np.random.default_rng(5).integers(-7, 8, (classes, size)).astype(np.int8)
    last = Linear("classes", ("flatten",), weight, np.full(classes, 0.125), np.zeros(classes))
    return Network("sew", (2, 6, 6), 8, 2.0**-8, classes, T, 4, (*nodes, last))


NETWORKS = {
    "flattened": sew(),
    "averaged": sew(Pool2d("pool", ("sum2",), "average", (2, 2), (2, 2)), reads="pool"),
    "summed": sew(Pool2d("pool", ("sum2",), "sum", (2, 2), (2, 2)), reads="pool"),
    "largest": sew(Pool2d("pool", ("sum2",), "max", (2, 2), (2, 2)), reads="pool"),
    "several spikes": sew(max_spikes=3),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_values_equal_the_equations(name: str) -> None:
    network = NETWORKS[name]
    validate(network)
    program = build(network, numerics(changed("dtsnn_32nm", {"cells.encoding": "differential"})))
    record = {node.name for node in network.nodes if isinstance(node, LIF | Add)}
    found = run(program, SHOWN, T, exact(program), workers=1, record=record).recorded
    expected = forward(network, SHOWN, T)
    for node in record:
        ours = found[node].transpose(1, 0, 4, 2, 3)
        assert np.array_equal(ours, expected[node]), node
    assert found["sum2"].max() > 1


def test_weights_are_held_once_and_bits_go_with_the_sum() -> None:
    graph = place(NETWORKS["averaged"], changed("dtsnn_32nm", {})).graph
    planes = {stage.name: stage.planes for stage in graph.stages}
    # At most 1, 2 and 4 times 3 spikes.
    assert planes == {"stem": 8, "conv1": 1, "conv2": 2, "classes": 4}
    sums = {stage.name: (stage.sum_bits, stage.spikes_read, stage.written_bits) for stage in graph.stages}
    assert sums["stem"] == (0, True, 1)
    assert sums["conv1"] == (2, False, 2)
    assert sums["conv2"] == (2, False, 2)
    sides = {(e.source, e.target): e.bits for e in graph.edges if e.role == "side"}
    assert sides == {(0, 1): 1, (1, 2): 2}


def test_spikes_that_leave_beside_their_sum_take_their_own_bits() -> None:
    network = sew()
    nodes = [replace(n, inputs=("lif2", "sum1", "lif0")) if n.name == "sum2" else n for n in network.nodes]
    extra = (conv("beside", "lif1", 4, 4, 9), lif("lif3", "beside"))
    nodes[5:5] = extra
    nodes = [replace(n, inputs=("lif3",)) if n.name == "conv2" else n for n in nodes]
    beside = replace(network, nodes=tuple(nodes))
    validate(beside)
    stage = next(s for s in place(beside, changed("dtsnn_32nm", {})).graph.stages if s.name == "conv1")
    assert (stage.sum_bits, stage.spikes_read, stage.written_bits) == (2, True, 3)


def test_additions_reads_and_registers_are_counted() -> None:
    """Closed forms of a row: an addition and a read for every neuron and train that meets its own."""
    network, config = NETWORKS["flattened"], changed("dtsnn_32nm", {})
    placement = place(network, config)
    for one in part_figures(placement, config):
        if one.stage.name != "conv2" or not one.is_head:
            continue
        counts = one.row_counts(stored=False, first=True)
        outputs = one.positions * one.part.channels
        assert counts[Event.RESIDUAL_ADDS] == outputs
        assert counts[Event.OUTPUT_REGISTER_BITS] == 2 * outputs
        window = sum(wave.fetch_bits for wave in one.waves)
        assert counts[Event.TILE_BUFFER_READ_BITS] == window + 2 * outputs
        assert counts[Event.LIF_UPDATES] == outputs  # they fire once: the sum takes no turns of theirs


@pytest.mark.parametrize("coding", ["aer", "bitmap"])
@pytest.mark.parametrize("name", ["averaged", "several spikes"])
def test_both_fidelities_play_real_work(name: str, coding: str) -> None:
    network = NETWORKS[name]
    config = changed("dtsnn_32nm", {"activity.skip_zero_reads": True, "activity.spike_coding": coding})
    program, placement = build(network, numerics(config)), place(network, config)
    nodes = recorded_nodes(program, placement)
    recorded = run(program, SHOWN, T, exact(program), workers=1, record=nodes).recorded
    about = {"exits": [T, 1, T], "timesteps": T, "work": image_work(program, placement, recorded)}
    assert_same(*(outcome(placement, config, **about, fidelity=kind) for kind in ("reference", "burst")))


def test_a_sum_comes_back_as_it_was_written(tmp_path: Path) -> None:
    save(NETWORKS["averaged"], tmp_path / "sew")
    assert load(tmp_path / "sew").node("sum2") == NETWORKS["averaged"].node("sum2")


def spoiled(name: str, **changes: Any) -> Network:
    network = sew()
    return replace(
        network, nodes=tuple(replace(n, **changes) if n.name == name else n for n in network.nodes)
    )


BROKEN = {
    "twice": (spoiled("sum1", inputs=("lif1", "lif1")), "sum1: adds 'lif1' twice"),
    "scale": (spoiled("sum1", scale=0.5), "sum1: is a sum of spikes, which has no scale"),
    "neurons": (spoiled("lif2", inputs=("sum1",)), "sum1: adds no currents"),
    "many": (spoiled("lif1", max_spikes=255), "sum1: adds up to more than 255 spikes"),
    "one tile": (spoiled("sum2", inputs=("lif1", "sum1")), "sum2: none of its inputs are neurons that come"),
    "both": (spoiled("sum2", inputs=("lif1", "lif0")), "sum2: adds to the spikes of 'lif1' as 'sum1' does"),
    "averages": (
        sew(Pool2d("mean", ("sum2",), "average", (3, 3), (1, 1), (1, 1)), Add("more", ("lif2", "mean")),
            reads="more"),
        "more: adds 'mean' (pool2d): it takes currents, spikes or max-pooled",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_no_tile_can_add_is_refused(case: str) -> None:
    network, said = BROKEN[case]
    with pytest.raises(ImcsimError) as error:
        validate(network)
    assert str(error.value).startswith(said)


def test_a_sum_that_adds_itself_has_no_bound() -> None:
    network = sew()
    nodes = [replace(n, inputs=("lif1", "back")) if n.name == "sum1" else n for n in network.nodes]
    nodes.insert(4, Delay("back", ("sum1",)))
    with pytest.raises(ImcsimError, match="sum1: adds up to more than 255 spikes"):
        validate(replace(network, nodes=tuple(nodes)))
