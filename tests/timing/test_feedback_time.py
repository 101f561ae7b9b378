"""Feedback in time: both fidelities agree, a timestep waits for the spikes that come back, and these are
counted where they are kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import recurrent_network
from played import play
from random_chips import POLICIES, assert_same, changed, outcome

from imcsim.functional.program.program import build
from imcsim.functional.run import calibrated_converters, run
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Placement, place
from imcsim.mapping.traffic import traffic
from imcsim.network.graph import INPUT, LIF, Add, Delay, Linear, Network, Node
from imcsim.simulation.chip import numerics
from imcsim.simulation.counts import image_work, recorded_nodes
from imcsim.timing import Recorder, Timeline, parse

SMALL = {"cells.rows": 8, "cells.columns": 8, "column_mux.columns_per_adc": 4, "tile.pes_per_tile": 2}
T = 4


def recurrent(delay: int = 1, neurons: int = 12, one_to_one: bool = False) -> Network:
    """One layer that reads its own spikes of `delay` timesteps before, and two outputs."""
    ones = np.ones(neurons)
    nodes: list[Node] = [
        Delay("back", ("lif",), delay, -0.5 if one_to_one else 1.0),
        Linear("fc", (INPUT,), np.ones((neurons, 6), np.int8), ones, 0 * ones),
        Linear("rec", ("back",), np.ones((neurons, neurons), np.int8), ones, 0 * ones),
        Add("add", ("fc", "back" if one_to_one else "rec")),
        LIF("lif", ("add",), 0.5, 1.0, "soft"),
        Linear("out", ("lif",), np.ones((2, neurons), np.int8), np.ones(2), np.zeros(2)),
    ]
    if one_to_one:
        del nodes[2]
    return Network("rec", (6, 1, 1), 1, 1.0, 2, T, 4, tuple(nodes))


def compared(placement: Placement, config: HardwareConfig, **about: Any) -> Timeline:
    fine, quick = (outcome(placement, config, fidelity=kind, **about) for kind in ("reference", "burst"))
    assert_same(fine, quick)
    assert isinstance(quick, Timeline), quick
    return quick


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("delay", "one_to_one"), [(1, False), (1, True), (3, False), (2, True)])
def test_both_fidelities_agree(delay: int, one_to_one: bool, policy: str) -> None:
    number = POLICIES.index(policy) + delay
    values = SMALL | {
        "encoder.mode": ("keep", "recompute")[number % 2], "mapping.share_tiles": number % 3 > 0,
        "tile.output_rows": 1 + number % 2, "noc.flit_bits": 4,
    }  # fmt: skip
    config = changed("dtsnn_32nm", values)
    placement = place(recurrent(delay, one_to_one=one_to_one), config)
    exits = [T] * 4 if policy == "pipeline" else [2, T, 1, 3]
    compared(placement, config, exits=exits, timesteps=T, issue=parse(policy))


@pytest.mark.parametrize("policy", POLICIES)
def test_real_spikes_of_loops_within_loops(policy: str) -> None:
    """Silent reads and address events of a network with feedback from its own and from later layers."""
    network = recurrent_network(np.random.default_rng(POLICIES.index(policy)), size=3)
    values = {"activity.skip_zero_reads": True, "activity.spike_coding": "aer", "noc.flit_bits": 4}
    config = changed("dtsnn_32nm", values | {"cells.rows": 16, "tile.crossbars_per_pe": 2})
    placement = place(network, config)
    program = build(network, numerics(config))
    images = np.random.default_rng(1).integers(0, 256, (3, *network.input_shape)).astype(np.uint8)
    converters = calibrated_converters(program, images, T, 1)
    activity = run(program, images, T, converters, workers=1, record=recorded_nodes(program, placement))
    work = image_work(program, placement, activity.recorded)
    exits = [T] * 3 if policy == "pipeline" else [2, T, 1]
    line = compared(placement, config, exits=exits, timesteps=T, issue=parse(policy), work=work)
    assert line.count(Event.SKIPPED_READS).any()


def test_many_images_one_after_the_other() -> None:
    """More jobs than there is room for at first: the rings of the compiled chip grow under way."""
    config = changed("dtsnn_32nm", SMALL)
    for delay in (1, 3):
        placement = place(recurrent(delay), config)
        for policy in ("pipeline", "interleave:3"):
            compared(placement, config, exits=[T] * 8, timesteps=T, issue=parse(policy))


@pytest.mark.parametrize("delay", [1, 2])
def test_a_timestep_waits_for_the_spikes_that_come_back(delay: int) -> None:
    config = changed("dtsnn_32nm", SMALL | {"encoder.mode": "recompute"})
    placement, recorder = place(recurrent(delay), config), Recorder()
    about: dict[str, Any] = {"issue": parse("pipeline"), "timed": True}
    play(placement, config, [T, T], T, fidelity="reference", recorder=recorder, **about)
    fetched = {s.job: s.began for s in recorder.of("fetch") if s.layer == 2}
    fired = {s.job: s.ended for s in recorder.of("fire") if s.layer == 1}
    for job in range(2 * T):
        if job % T >= delay:
            assert fetched[job] > fired[job - delay]
    # The first timesteps of the second image find zeros and need not wait for the end of the first.
    assert fetched[T] < fired[T - 1] or delay == 1
    # With one timestep the loop is what takes time; with two, two timesteps are under way.
    assert fetched[delay] > fired[0]


def test_what_comes_back_is_kept_and_counted() -> None:
    """Closed forms of bits written, read and kept."""
    config = changed("dtsnn_32nm", SMALL | {"encoder.mode": "recompute"})
    network = recurrent(2)
    placement = place(network, config)
    line = compared(placement, config, exits=[T], timesteps=T)
    parts = placement.parts_of(1)
    # Every part of the feedback's crossbars gets all the spikes, keeps those of two timesteps and of the one
    # that is written meanwhile, and brings the rows of its own blocks to its crossbars once per timestep.
    assert placement.size.delay_bits == tuple([3 * 12] * len(parts))
    rows = [sum(int(placement.layers[1].rows.block_rows[b]) for b in range(*part.blocks)) for part in parts]
    assert line.count(Event.DELAY_WRITE_BITS)[:, 2].tolist() == [12 * len(parts)] * T
    assert line.count(Event.DELAY_READ_BITS)[:, 2].tolist() == [sum(rows)] * T
    assert not line.count(Event.DELAY_READ_BITS)[:, 1].any()
    size, memory = placement.size, config.state_memory
    plain = replace(size, delay_bits=())
    banks = memory.instances(config, size) - memory.instances(config, plain)
    assert banks == len(parts)  # of 36 bits each
    assert size.holding(3).delay_bits == tuple(3 * bits for bits in size.delay_bits)
    prices = memory.charges(config)
    assert prices[Event.DELAY_READ_BITS] == prices[Event.MEMBRANE_READ_BITS] > 0
    assert prices[Event.DELAY_WRITE_BITS] == prices[Event.MEMBRANE_WRITE_BITS] > 0


def test_one_to_one_feedback_stays_with_its_neurons() -> None:
    config = changed("dtsnn_32nm", SMALL | {"tile.crossbars_per_pe": 1})
    network = recurrent(1, neurons=24, one_to_one=True)
    placement = place(network, config)
    heads = [part for part in placement.parts_of(0) if part.head == part.index]
    assert len(heads) > 1
    line = compared(placement, config, exits=[T], timesteps=T)
    assert line.count(Event.DELAY_WRITE_BITS)[:, 1].tolist() == [24] * T
    assert line.count(Event.DELAY_READ_BITS)[:, 1].tolist() == [24] * T
    assert line.count(Event.RESIDUAL_ADDS)[:, 1].tolist() == [24] * T
    # Two maps of each part's own spikes, and nothing of them on the mesh.
    assert placement.size.delay_bits == tuple(2 * part.channels for part in heads)
    stayed = [flow.bits for flow in traffic(placement, config) if flow.source == flow.target is not None]
    assert sorted(stayed) == sorted(part.channels for part in heads)
