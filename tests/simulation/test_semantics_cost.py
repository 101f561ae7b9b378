"""What dilation, padded pools, synapses and outputs of neurons cost, by hand and by brute force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import plain_compare
from played import play
from random_chips import changed

import imcsim.hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.mapping import Edge, Stage, place, stage_graph, traffic
from imcsim.network import validate
from imcsim.network.graph import INPUT, LI, LIF, Conv2d, Flatten, Linear, Network, Node, Pool2d
from imcsim.studies.settings import CompareOptions
from imcsim.timing import EVENTS, Timeline
from imcsim.timing.figures import part_figures
from imcsim.timing.wiring import Output

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def ones(name: str, source: str, outer: int, inner: int) -> Linear:
    return Linear(name, (source,), np.ones((outer, inner), np.int8), np.ones(outer), np.zeros(outer))


def count(line: Timeline, event: Event, layer: str, timestep: int = 0) -> int:
    return int(line.counts[timestep, EVENTS.index(event), line.layers.index(layer)])


@given(
    kernel=st.integers(1, 4),
    dilation=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 5),
    height=st.integers(1, 9),
)
@settings(max_examples=200, deadline=None)
def test_rows_of_dilated_windows(kernel: int, dilation: int, stride: int, padding: int, height: int) -> None:
    """A row starts when all rows that it reads have come, and none that it needs is let go before."""
    extent = (kernel - 1) * dilation + 1
    rows = (height + 2 * padding - extent) // stride + 1
    if rows < 1:
        return
    stage = Stage(
        0, "c", "conv", (kernel, 1), (stride, 1), (padding, 0), 1, rows, 1, 1, 1, True, 0, True, False,
        dilation=(dilation, 1),
    )  # fmt: skip
    for y in range(rows):
        taps = [y * stride - padding + k * dilation for k in range(kernel)]
        read = [tap for tap in taps if 0 <= tap < height]
        needed = stage.rows_needed(y, height)
        assert needed >= max(read, default=-1) + 1
        if taps[-1] < height:
            assert needed == max(taps[-1] + 1, 0)
        if y:
            assert stage.rows_done(y - 1, height) <= min(read, default=height)
    assert stage.rows_done(rows - 1, height) == height


@given(size=st.integers(1, 4), stride=st.integers(1, 4), data=st.data())
@settings(max_examples=200, deadline=None)
def test_rows_of_padded_pools(size: int, stride: int, data: st.DataObject) -> None:
    """Every pooled row leaves with the last row under its window, and no row is freed while it is needed."""
    padding, own = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, 9))
    height = (own + 2 * padding - size) // stride + 1
    if height < 1:
        return
    edge = Edge(0, 1, "input", height, 1, 1, 1, size, stride, "pool", padding, size)
    out = Output(edge, own)
    left = [(y, row) for y in range(own) for row in out.rows_after(y)]
    assert [row for _, row in left] == list(range(height))
    for y, row in left:
        under = [r for r in range(row * stride - padding, row * stride - padding + size) if 0 <= r < own]
        assert y == under[-1]
        assert out.first_own_band(row) == under[0]


def test_windows_of_pools_on_pools() -> None:
    """A padded pool on a padded pool is one window on the rows of its stage, larger and further out."""
    nodes: tuple[Node, ...] = (
        Conv2d("conv", (INPUT,), np.ones((2, 1, 1, 1), np.int8), np.ones(2), np.zeros(2)),
        LIF("lif", ("conv",), 0.5, 1.0, "hard"),
        Pool2d("inner", ("lif",), "sum", (2, 3), (2, 1), (1, 0)),
        Pool2d("outer", ("inner",), "average", (3, 2), (1, 2), (1, 1)),
        Flatten("flatten", ("outer",)),
        ones("fc", "flatten", 2, 2 * 5 * 3),
    )
    network = Network("pools", (1, 8, 6), 8, 1.0, 2, 1, 4, nodes)
    validate(network)
    graph = stage_graph(network, 20)
    edge = graph.inputs(graph.stages[1])[0]
    assert (edge.height, edge.width, edge.channels, edge.bits) == (5, 3, 2, 6)  # 36 spikes at most
    # Rows 2 r - 3 .. 2 r + 2 of the convolution; columns 2 c .. 2 c + 3 of it.
    assert (edge.pool_size, edge.pool_stride, edge.pool_padding, edge.pool_area) == (6, 2, 3, 24)
    assert graph.stages[0].pool_inputs == 6 * 2 * 5 * 4 + 6 * 2 * 5 * 3


@pytest.mark.parametrize(("stride", "columns"), [(1, 3 * 8), (2, 3 + 1 + 1 + 1), (3, 3 * 3)])
def test_columns_fetched_for_a_dilated_kernel(stride: int, columns: int) -> None:
    """Three taps two columns apart: every window is new at stride 1 and 3, two taps are kept at stride 2."""
    width = 12
    weight = np.ones((4, 1, 1, 3), np.int8)
    conv = Conv2d("conv", (INPUT,), weight, np.ones(4), np.zeros(4), (1, stride), dilation=(1, 2))
    out = (width - 5) // stride + 1
    network = Network(
        "wide", (1, 1, width), 8, 1.0, 2, 1, 4,
        (
            conv, LIF("lif", ("conv",), 0.5, 1.0, "hard"), Flatten("flat", ("lif",)),
            ones("fc", "flat", 2, 4 * out),
        ),
    )  # fmt: skip
    config = changed("dtsnn_32nm", {"mapping.replication": "none"})
    line = play(place(network, config), config, [1], 1)
    # 8 bits a pixel, one channel, one row.
    assert count(line, Event.TILE_BUFFER_READ_BITS, "conv") == columns * 8


def ending(output: str, synapse: float | None = None) -> Network:
    """16 inputs, a hidden layer of 64 neurons, and three classes: sums, spikes or membranes."""
    nodes: list[Node] = [
        ones("hidden", INPUT, 64, 16), LIF("lif", ("hidden",), 0.5, 1.0, "hard", synapse=synapse),
        ones("fc", "lif", 3, 64),
    ]  # fmt: skip
    if output == "lif":
        nodes.append(LIF("out", ("fc",), 0.5, 1.0, "hard"))
    if output == "li":
        nodes.append(LI("out", ("fc",), 0.5))
    network = Network("ending", (1, 4, 4), 8, 1.0, 3, 2, 4, tuple(nodes))
    validate(network)
    return network


@pytest.mark.parametrize(("output", "bits"), [("linear", 20), ("lif", 1), ("li", 20)])
def test_outputs_travel_as_what_they_are(output: str, bits: int) -> None:
    """Spikes take a bit each; neurons and integrators of the last layer are updated, and integrators never
    fire.
    """
    config = changed("dtsnn_32nm", {})
    network = ending(output)
    placement = place(network, config)
    stage = placement.graph.stages[-1]
    assert (stage.is_output, stage.neurons, stage.spikes) == (True, output != "linear", output == "lif")
    flow = [f for f in traffic(placement, config) if f.target is None]
    assert [f.bits for f in flow] == [3 * bits]
    line = play(placement, config, [2], 2)
    assert count(line, Event.LIF_UPDATES, "fc") == (0 if output == "linear" else 3)
    assert count(line, Event.MEMBRANE_READ_BITS, "fc", 1) == (0 if output == "linear" else 3 * 16)
    assert count(line, Event.OUTPUT_REGISTER_BITS, "fc") == 3 * bits
    assert line.counts[0, EVENTS.index(Event.ACCUMULATOR_ADDS), -2] == 6


def test_a_synapse_is_a_second_word_of_state() -> None:
    """Twice the memory, the updates, the accesses, and the cycles of the neurons."""
    config = changed("dtsnn_32nm", {"lif.lanes": 1, "encoder.mode": "recompute"})
    lines = [play(place(ending("linear", s), config), config, [2], 2) for s in (None, 0.5)]
    for event in (Event.LIF_UPDATES, Event.MEMBRANE_WRITE_BITS):
        assert [count(line, event, "hidden", 1) for line in lines][1] == 2 * count(
            lines[0], event, "hidden", 1
        )
    assert count(lines[1], Event.MEMBRANE_READ_BITS, "hidden", 1) == 2 * 64 * config.lif.membrane_bits
    assert lines[1].cycles - lines[0].cycles == 2 * 64  # one lane, 64 neurons, two timesteps
    one, two = (place(ending("linear", s), config).size.memory_bits for s in (None, 0.5))
    assert two - one == 64 * config.lif.membrane_bits


@pytest.mark.parametrize("kind", ["max", "average", "sum"])
def test_pooled_currents_by_hand(kind: Any) -> None:
    """Sums of 20 bits are written row by row, pooled, and fire: a neuron for each window.

    Windows of 2 x 3 with step 2 x 2 and a padding of 1 row on a map of 6 x 7: 4 x 3 neurons in 4 channels.
    """
    lanes = {"lif.lanes": 2, "pooling.lanes": 4, "tile.bus_bits": 16, "mapping.replication": "none"}
    config = changed("dtsnn_32nm", lanes | {"encoder.mode": "recompute"})
    nodes: tuple[Node, ...] = (
        Conv2d("conv", (INPUT,), np.ones((4, 1, 1, 1), np.int8), np.ones(4), np.zeros(4)),
        Pool2d("pool", ("conv",), kind, (2, 3), (2, 2), (1, 0)),
        LIF("lif", ("pool",), 0.5, 1.0, "hard", max_spikes=3),
        Flatten("flatten", ("lif",)),
        ones("fc", "flatten", 2, 48),
    )
    network = Network("pooled", (1, 6, 7), 8, 1.0, 2, 2, 4, nodes)
    validate(network)
    placement = place(network, config)
    stage = placement.graph.stages[0]
    assert (stage.positions, stage.neuron_positions, stage.pool_inputs) == (42, 12, 12 * 6 * 4)
    edge = placement.graph.inputs(placement.graph.stages[1])[0]
    assert (edge.height, edge.width, edge.channels, edge.bits, edge.pool_area) == (4, 3, 4, 2, 1)
    assert [len(stage.rows_behind_pool(y)) for y in range(6)] == [1, 0, 1, 0, 1, 1]
    line = play(placement, config, [2], 2)
    wanted = {
        Event.LIF_UPDATES: 48 * 2,
        Event.MEMBRANE_WRITE_BITS: 48 * 16,
        Event.MEMBRANE_READ_BITS: 48 * 16,
        Event.POOL_OPERATIONS: 12 * 6 * 4,
        Event.OUTPUT_REGISTER_BITS: 42 * 4 * 20 + 48 * 2,
    }
    assert {event: count(line, event, "conv", 1) for event in wanted} == wanted
    assert count(line, Event.MEMBRANE_READ_BITS, "conv", 0) == 0
    assert placement.size.memory_bits == 48 * 16
    # A row of neurons: 3 x 6 x 4 sums over 4 lanes, 12 neurons of two updates over 2, 24 bits over 16.
    figures = part_figures(placement, config)[0]
    assert figures.behind_pool_cycles(1) == 18 + 12 + 2
    assert figures.waves[0].write_cycles == 5  # 4 sums of 20 bits


@pytest.mark.parametrize("coding", ["bitmap", "aer"])
def test_several_spikes_and_refractory_timesteps(coding: str) -> None:
    """Up to 5 spikes are 3 bits: two more turns of a lane, three times the bits on all buses, three reads of
    the weights behind. Three timesteps of rest are 2 more bits of memory.
    """
    config = changed(
        "dtsnn_32nm", {"lif.lanes": 1, "encoder.mode": "recompute", "activity.spike_coding": coding}
    )
    plain = ending("lif")
    several = {n.name: replace(n, max_spikes=5, refractory=3) for n in plain.nodes if isinstance(n, LIF)}
    network = replace(plain, nodes=tuple(several.get(n.name, n) for n in plain.nodes))
    validate(network)
    places = [place(n, config) for n in (plain, network)]
    lines = [play(p, config, [2], 2) for p in places]

    def counts(event: Event, layer: str) -> list[int]:
        return [count(line, event, layer, 1) for line in lines]

    bits = config.lif.membrane_bits
    assert counts(Event.LIF_UPDATES, "hidden") == [64, 64 * 3]
    assert counts(Event.MEMBRANE_READ_BITS, "hidden") == [64 * bits, 64 * (bits + 2)]
    assert counts(Event.MEMBRANE_WRITE_BITS, "fc") == [3 * bits, 3 * (bits + 2)]
    assert counts(Event.OUTPUT_REGISTER_BITS, "hidden") == [64, 64 * 3]
    for event in (Event.CROSSBAR_READS, Event.CONVERSIONS, Event.INPUT_REGISTER_BITS, Event.SHIFT_ADDS):
        one, three = counts(event, "fc")
        assert three == 3 * one > 0, event
    assert places[1].size.memory_bits - places[0].size.memory_bits == 67 * 2
    assert [f.bits for f in traffic(places[1], config) if f.target is None] == [3 * 3]
    edge = places[1].graph.inputs(places[1].graph.stages[1])[0]
    assert (edge.bits, edge.row_bits, places[1].graph.stages[1].planes) == (3, 64 * 3, 3)
    reads = 2 * (config.sense_cycles + config.convert_cycles) * 2
    slower = lines[1].cycles - lines[0].cycles
    assert 2 * (64 + 3) * 2 <= slower <= 2 * (64 + 3) * 2 + reads + 2 * 16, "turns of the lanes, and reads"


@pytest.mark.parametrize("output", ["lif", "li"])
@pytest.mark.parametrize("mode", ["keep", "recompute"])
def test_one_layer_with_outputs_of_neurons(output: str, mode: str) -> None:
    """The layer that reads the image may be the one that decides."""
    rng = np.random.default_rng(0)
    fc = replace(
        ones("fc", INPUT, 3, 16),
        weight=rng.integers(-7, 8, (3, 16)).astype(np.int8),
        scale=np.full(3, 2.0**-9),
    )
    end: Node = LIF("out", ("fc",), 0.875, 1.0, "soft") if output == "lif" else LI("out", ("fc",), 0.875)
    network = Network("one", (1, 4, 4), 8, 2.0**-2, 3, 4, 4, (fc, end))
    images = networks.random_images(rng, (1, 4, 4), 12)
    outputs = networks.forward(network, images, 4)["out"].sum(0)
    labels = outputs.argmax(1).astype(np.int64)
    inputs = Inputs(images, labels, "images", "unknown", "0" * 64, 3)
    hardware: Any = imcsim.hardware.load("dtsnn_32nm", {"encoder.mode": mode, "adc.full_scale": "ideal"})
    result = plain_compare(network, hardware, inputs, None, CompareOptions(threshold=0.9, workers=1))
    assert result.static[-1].accuracy == 1.0
    assert result.dynamic.mean_timesteps < 4
    assert result.dynamic.energy_pj < result.static[-1].energy_pj
