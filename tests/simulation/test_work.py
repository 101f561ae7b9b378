"""What recorded values make a chip do, against plain counting: silent reads, address events, their times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import row_of_input
from networks import random_images, random_network
from numpy.typing import NDArray
from played import play
from random_chips import changed, random_work

from imcsim.functional.program.program import Program, build
from imcsim.functional.run import Activity, calibrated_converters, run
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import IMAGE, Edge, Placement, place
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network
from imcsim.simulation.chip import numerics
from imcsim.simulation.counts import image_work, recorded_nodes
from imcsim.timing import ImageWork, Timeline, parse

IMAGES, TIMESTEPS = 2, 3


class Case:
    """A network that has run on a chip, and the work it made."""

    def __init__(self, network: Network, config: HardwareConfig) -> None:
        self.network, self.config = network, config
        self.placement: Placement = place(network, config)
        self.program: Program = build(network, numerics(config))
        images = random_images(np.random.default_rng(1), network.input_shape, IMAGES)
        images[0, :, :3] = 0  # silent rows in the image too
        converters = calibrated_converters(self.program, images, TIMESTEPS, 1)
        self.activity: Activity = run(
            self.program,
            images,
            TIMESTEPS,
            converters,
            workers=1,
            record=recorded_nodes(self.program, self.placement),
        )
        self.work: list[ImageWork] = image_work(self.program, self.placement, self.activity.recorded)

    def play(self, exits: list[int] | None = None, policy: str = "wait", **about: Any) -> Timeline:
        exits = [TIMESTEPS] * IMAGES if exits is None else exits
        work = {"work": self.work} | about
        return play(self.placement, self.config, exits, TIMESTEPS, issue=parse(policy), **work)


KINDS: dict[str, dict[str, Any]] = {
    "plain": {"size": 7},
    "residual": {"residual": True, "size": 6},
    "average": {"average": True, "size": 8},
}


def case(kind: str, name: str = "dtsnn_32nm", **overrides: Any) -> Case:
    network = random_network(np.random.default_rng(2), depth=3, channels=4, **KINDS[kind])
    values = {"cells.rows": 4, "cells.columns": 8, "activity.skip_zero_reads": True}
    values |= {key.replace("__", "."): value for key, value in overrides.items()}
    return Case(network, changed(name, values))


def active_by_hand(program: Program, index: int, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether any row of a block is driven, window by window: ``[positions, planes, blocks]`` of
    ``[H, W, C]``.
    """
    layer = program.crossbar_layers[index]
    out_height, out_width, _ = layer.out_shape
    (down, right), (top, left) = layer.stride, layer.padding
    height, width, _ = values.shape
    active = np.zeros((out_height * out_width, layer.planes, layer.layout.blocks), bool)
    for y in range(out_height):
        for x in range(out_width):
            for (ky, kx, channel), (_, block) in row_of_input(layer.layout).items():
                row, column = y * down - top + ky, x * right - left + kx
                if 0 <= row < height and 0 <= column < width:
                    value = int(values[row, column, channel])
                    for plane in range(layer.planes):
                        active[y * out_width + x, plane, block] |= bool(value >> plane & 1)
    return active


@pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm"])
@pytest.mark.parametrize("kind", KINDS)
def test_active_reads_equal_plain_counting(kind: str, name: str) -> None:
    made = case(kind, name)
    layers = made.program.crossbar_layers
    assert len(made.work) == IMAGES
    for n, work in enumerate(made.work):
        assert set(work.active) == set(range(len(layers)))
        for k, layer in enumerate(layers):
            stage = made.placement.layers[k].stage
            shape = (TIMESTEPS, stage.positions, stage.planes, made.placement.layers[k].blocks)
            assert work.active[k].shape == shape
            assert work.active[k].dtype == np.bool_
            recorded = made.activity.recorded[layer.source]
            for t in range(TIMESTEPS):
                assert (work.active[k][t] == active_by_hand(made.program, k, recorded[n, t])).all(), (k, t)
            # The functional run counts the same reads, in its own way.
            assert (work.active[k].sum((1, 2, 3)) == made.activity.active_reads[n, :, k]).all()
    silent = [not work.active[k].all() for work in made.work for k in range(len(layers))]
    assert any(silent)


@pytest.mark.parametrize("kind", KINDS)
def test_events_equal_plain_counting(kind: str) -> None:
    made = case(kind)
    edges = [e for e in made.placement.graph.edges if e.node and e.source != IMAGE]
    assert edges
    for n, work in enumerate(made.work):
        assert set(work.events) == set(edges)
        for edge in edges:
            values = made.activity.recorded[edge.node][n]
            assert work.events[edge].shape == (TIMESTEPS, edge.height, edge.channels)
            for t in range(TIMESTEPS):
                for row in range(edge.height):
                    for channel in range(edge.channels):
                        there = sum(int(v) > 0 for v in values[t, row, :, channel])
                        assert work.events[edge][t, row, channel] == there
        assert any(work.events[edge].any() for edge in edges)


def test_the_image_does_the_same_at_every_timestep() -> None:
    made = case("plain")
    for work in made.work:
        assert (work.active[0] == work.active[0][:1]).all()
        assert any((work.active[k] != work.active[k][:1]).any() for k in work.active if k > 0)


# What the chip makes of it


@pytest.mark.parametrize("fidelity", ["reference", "burst"])
@pytest.mark.parametrize("mode", ["keep", "recompute"])
@pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm"])
@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_reads_and_skipped_reads_are_all_reads(kind: str, name: str, mode: str, fidelity: Any) -> None:
    made = case(kind, name, encoder__mode=mode)
    exits = [2, 3]
    line = made.play(exits, fidelity=fidelity)
    every = made.play(exits, fidelity=fidelity, work=None)
    reads, skipped = line.count(Event.CROSSBAR_READS), line.count(Event.SKIPPED_READS)
    assert (reads + skipped == every.count(Event.CROSSBAR_READS)).all()
    assert not every.count(Event.SKIPPED_READS).any()
    assert skipped.any()
    # Reads played are the active ones of the functional run, once for each column of crossbars.
    for job, (image, t) in enumerate(zip(line.image, line.timestep, strict=True)):
        for k, layer in enumerate(made.placement.layers):
            runs = not (layer.stage.reads_image and mode == "keep" and t > 0)
            active = int(made.activity.active_reads[image, t, k])
            assert reads[job, k + 1] == runs * active * layer.columns * layer.unit_crossbars
            outputs = layer.stage.out_channels * layer.slices
            assert line.count(Event.CONVERSIONS)[job, k + 1] == runs * active * outputs
            assert line.count(Event.SHIFT_ADDS)[job, k + 1] == runs * active * outputs
    # What does not hang on reads stays as it was.
    for event in (Event.LIF_UPDATES, Event.PARTIAL_SUM_ADDS, Event.TILE_BUFFER_READ_BITS, Event.FLIT_HOPS):
        assert (line.count(event) == every.count(event)).all(), event


def test_a_silent_chip_reads_nothing_and_is_faster() -> None:
    made = case("plain")
    quiet = random_work(np.random.default_rng(0), made.placement, IMAGES, TIMESTEPS, 0.0)
    line, full = made.play(work=quiet), made.play(work=None)
    assert not line.count(Event.CROSSBAR_READS).any()
    assert not line.count(Event.CONVERSIONS).any()
    assert (line.departure < full.departure).all()


@given(st.integers(0, 10**6), st.sampled_from((0.05, 0.3, 0.8)))
@settings(deadline=None, max_examples=10, derandomize=True)
def test_all_reads_active_is_no_skipping(seed: int, density: float) -> None:
    made = case("residual")
    work = random_work(np.random.default_rng(seed), made.placement, IMAGES, TIMESTEPS, density)
    full = [ImageWork({k: np.ones_like(a) for k, a in one.active.items()}, one.events) for one in work]
    all_active, no_work = made.play(work=full), made.play(work=None)
    assert (all_active.verdict == no_work.verdict).all()
    assert (all_active.counts == no_work.counts).all()


# Address events, by hand


def two_tiles() -> Network:
    """A 1 x 1 convolution of a 2 x 4 image of 1 bit to three channels, and a classifier."""
    rng = np.random.default_rng(0)
    nodes = (
        Conv2d("conv", (INPUT,), rng.integers(-3, 4, (3, 1, 1, 1)).astype(np.int8), np.ones(3), np.zeros(3)),
        LIF("lif", ("conv",), 0.5, 1.0, "hard"),
        Flatten("flat", ("lif",)),
        Linear("fc", ("flat",), rng.integers(-3, 4, (2, 24)).astype(np.int8), np.ones(2), np.zeros(2)),
    )
    return Network("two", (1, 2, 4), 1, 1.0, 2, TIMESTEPS, 4, nodes)


def aer_chip(**overrides: Any) -> HardwareConfig:
    values = {
        "activity.spike_coding": "aer", "noc.flit_bits": 8, "mapping.placement": "path",
        "mapping.replication": "none", "mapping.share_tiles": False,
    }  # fmt: skip
    return changed("dtsnn_32nm", values | {key.replace("__", "."): value for key, value in overrides.items()})


def one_image(placement: Placement, events: NDArray[np.int64]) -> tuple[Edge, ImageWork]:
    edge = next(e for e in placement.graph.edges if e.source == 0)
    active = {
        layer.stage.index: np.ones(
            (TIMESTEPS, layer.stage.positions, layer.stage.planes, layer.blocks), np.bool_
        )
        for layer in placement.layers
    }
    return edge, ImageWork(active, {edge: events})


def test_packets_of_addresses_by_hand() -> None:
    config = aer_chip()
    placement = place(two_tiles(), config)
    assert placement.positions == ((0, 0), (1, 0))
    # Row 0: 5, 0, 12 spikes at t = 0, 1, 2; row 1: 0, 1, 3.
    events = np.zeros((TIMESTEPS, 2, 3), np.int64)
    events[:, 0] = [[4, 1, 0], [0, 0, 0], [4, 4, 4]]
    events[:, 1] = [[0, 0, 0], [0, 0, 1], [1, 1, 1]]
    edge, work = one_image(placement, events)
    line = play(placement, config, [TIMESTEPS], TIMESTEPS, work=[work])
    # A row has 4 x 3 = 12 places: an address is 4 bits; a spike has no value beside it. Flits of 8 bits and a
    # head: 20 bits -> 1 + 3, none -> 1; none -> 1, 4 bits -> 1 + 1; 48 bits -> 1 + 6, 12 bits -> 1 + 2. Two
    # routers each.
    flits = [4 + 1, 1 + 2, 7 + 3]
    assert line.count(Event.FLIT_HOPS)[:, 1].tolist() == [2 * n for n in flits]
    assert line.count(Event.TILE_BUFFER_WRITE_BITS)[:, 2].tolist() == [20, 4, 60]
    assert edge.bits == 1
    # As bitmaps: two rows of 12 bits in 1 + 2 flits.
    bitmap = play(placement, aer_chip(activity__spike_coding="bitmap"), [TIMESTEPS], TIMESTEPS, work=[work])
    assert bitmap.count(Event.FLIT_HOPS)[:, 1].tolist() == [2 * 6] * 3
    assert bitmap.count(Event.TILE_BUFFER_WRITE_BITS)[:, 2].tolist() == [24] * 3
    # Image rows and class outputs travel as they are.
    for layer in (0, 2):
        assert (line.count(Event.FLIT_HOPS)[:, layer] == bitmap.count(Event.FLIT_HOPS)[:, layer]).all()


def test_shares_of_copies_and_columns_are_rounded_up() -> None:
    # Three channels over two columns of crossbars in tiles of their own (2 and 1 channels), one copy.
    config = aer_chip(
        cells__columns=2, cells__cell_bits=4, column_mux__columns_per_adc=1, tile__crossbars_per_pe=1,
        tile__pes_per_tile=1,
    )  # fmt: skip
    placement = place(two_tiles(), config)
    heads = [p for p in placement.parts if p.stage == 0]
    assert [p.channels for p in heads] == [2, 1]
    events = np.zeros((TIMESTEPS, 2, 3), np.int64)
    events[0, 0] = [3, 2, 1]
    _, work = one_image(placement, events)
    line = play(placement, config, [TIMESTEPS], TIMESTEPS, work=[work])
    # 5 spikes among 4 x 2 places: 5 x 3 bits; 1 among 4 x 1: 2 bits; to every part that reads them.
    readers = len([p for p in placement.parts if p.stage == 1])
    quiet = play(placement, config, [TIMESTEPS], TIMESTEPS, work=[one_image(placement, 0 * events)[1]])
    more, none = (run.count(Event.TILE_BUFFER_WRITE_BITS)[:, 2] for run in (line, quiet))
    assert (more - none).tolist() == [readers * (15 + 2), 0, 0]


def test_averages_carry_their_value_beside_the_address() -> None:
    made = case("average", activity__skip_zero_reads=False, activity__spike_coding="aer")
    edge = next(e for e in made.placement.graph.edges if e.node.startswith("pool") and e.bits > 1)
    # A mean over 2 x 2 is one of 0 .. 4: 3 bits as a bitmap; an event is never 0, one bit less beside the
    # address.
    assert edge.bits == 3
    line, target = made.play(), edge.target
    heads = [p for p in made.placement.parts if p.stage == edge.source and p.head == p.index]
    readers = [p for p in made.placement.parts if p.stage == target]
    quiet = made.play(work=[ImageWork(w.active, {e: 0 * n for e, n in w.events.items()}) for w in made.work])
    more = (
        line.count(Event.TILE_BUFFER_WRITE_BITS)[:, target + 1]
        - quiet.count(Event.TILE_BUFFER_WRITE_BITS)[:, target + 1]
    )
    source = made.placement.layers[edge.source]
    for job, (image, t) in enumerate(zip(line.image, line.timestep, strict=True)):
        bits = 0
        for row in range(edge.height):
            for part in heads:
                first = part.columns[0] * source.channels_per_column
                events = int(made.work[image].events[edge][t, row, first : first + part.channels].sum())
                address = int(np.ceil(np.log2(edge.width * part.channels)))
                bits += -(-events * part.copy_count // source.copies) * (max(1, address) + 2)
        assert more[job] == bits * len(readers)
    assert made.placement.layers[target].stage.planes == 3


@pytest.mark.parametrize("policy", ["wait", "speculate", "interleave:2"])
def test_every_timestep_of_every_image_has_its_own_work(policy: str) -> None:
    """A job plays the work of its own image and timestep, not another's."""
    made = case("plain")
    line = made.play([2, 1], policy)
    done = line.verdict >= 0
    reads = line.count(Event.CROSSBAR_READS)
    for job in np.flatnonzero(done):
        image, t = line.image[job], line.timestep[job]
        for k, layer in enumerate(made.placement.layers):
            if not layer.stage.reads_image:
                active = int(made.activity.active_reads[image, t, k])
                assert reads[job, k + 1] == active * layer.columns
