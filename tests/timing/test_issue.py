"""Issue policies: who enters when, what leaving early cancels, and what a policy is good for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import random_images, random_network, vgg_like
from plain import plain_compare
from played import play
from random_chips import (
    POLICIES,
    alone,
    any_network,
    assert_same,
    built_in,
    changed,
    chips,
    outcome,
    plays,
)

from imcsim.base.choices import Fidelity
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.mapping import Placement, place
from imcsim.network.graph import INPUT, Delay, Linear, Network
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import simulate
from imcsim.studies.settings import CompareOptions
from imcsim.timing import Issue, Recorder, Timeline, Timing, parse
from imcsim.timing.jobs import Job
from imcsim.timing.processes.burst import BurstPart
from imcsim.timing.processes.chip import ProcessEngine
from imcsim.timing.processes.reference import ReferencePart

EARLY = ("wait", "speculate", "interleave:2", "interleave:3")
"""Policies under which images may leave early."""

EVERYDAY = settings(deadline=None, max_examples=25, derandomize=True)


def default_like() -> Network:
    """The shape of the default network, a quarter as wide and half as high."""
    return vgg_like(np.random.default_rng(0), plan=(8, "M", 16, 16, "M", 32, 32, "M", 32), size=16)


CHIP = {"cells.rows": 32, "cells.columns": 32}


def small() -> tuple[Placement, HardwareConfig]:
    config = changed("dtsnn_32nm", CHIP)
    return place(random_network(np.random.default_rng(1), depth=3, size=6), config), config


def played(policy: str, exits: Sequence[int], timesteps: int = 3, **about: Any) -> Timeline:
    placement, config = small()
    return play(placement, config, exits, timesteps, issue=parse(policy), **about)


# Names


@pytest.mark.parametrize("text", ["wait", "pipeline", "speculate"])
def test_plain_names(text: str) -> None:
    assert parse(text) == Issue(text)  # type: ignore[arg-type]
    assert str(parse(text)) == text
    assert parse(text).images_on_chip == 1


@pytest.mark.parametrize("ways", [1, 2, 64])
def test_interleave_has_ways(ways: int) -> None:
    issue = parse(f"interleave:{ways}")
    assert (issue.kind, issue.ways, issue.images_on_chip) == ("interleave", ways, ways)
    assert parse(str(issue)) == issue


@pytest.mark.parametrize(
    "text",
    ["", "Wait", "wait ", "wait:1", "speculate:2", "interleave", "interleave:", "interleave:0",
     "interleave:65", "interleave:-1", "interleave:1.5", "interleave:²", "interleave:1:2", "interleave 2",
     "dynamic"],
)  # fmt: skip
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ImcsimError, match="is not an issue policy") as caught:
        parse(text)
    assert "interleave:k with k from 1 to 64" in (caught.value.fix or "")


# Who enters when


@given(st.data())
@EVERYDAY
def test_jobs_of_any_play(data: st.DataObject) -> None:
    """What must hold whatever the network, the chip, the policy and the arrivals."""
    network, config, about = data.draw(any_network()), data.draw(chips()), data.draw(plays())
    line = outcome(place(network, config), config, **about)
    if isinstance(line, str):
        return
    exits, issue = np.array(about["exits"]), about["issue"]
    done = line.verdict >= 0
    # Verdicts come in the order of issue, each after its answer, and images leave with their last one.
    assert (np.diff(line.verdict[done]) > 0).all()
    assert (np.diff(line.issued) >= 0).all()
    assert (line.issued[done] < line.answer[done]).all()
    assert (line.answer[done] < line.verdict[done]).all()
    assert (done == (line.timestep < exits[line.image])).all()
    for image, leaves in enumerate(exits):
        mine = line.image == image
        assert line.timestep[mine].tolist() == list(range(mine.sum()))
        assert line.departure[image] == line.verdict[mine & done].max()
        assert leaves <= mine.sum() <= about["timesteps"]
        # Only what is issued before the verdict, and never checked, is cancelled.
        assert (line.issued[mine] < line.departure[image]).all()
        assert (line.cancelled[mine & done] == -1).all()
        assert (line.cancelled[mine & ~done] == line.departure[image]).all()
    if issue.kind != "speculate":
        assert done.all()
    arrivals = about["arrivals"]
    if arrivals is not None:
        assert line.arrival.tolist() == arrivals
    assert (line.issued >= line.arrival[line.image]).all()
    # No more images are on the chip than the policy allows.
    if issue.kind in ("wait", "interleave"):
        for image in range(len(exits)):
            now = line.issued[line.image == image][0]
            entered = [line.issued[line.image == k][0] for k in range(len(exits))]
            on = sum(e <= now < d for e, d in zip(entered, line.departure, strict=True))
            assert on <= issue.images_on_chip
            # A timestep enters in the cycle of the verdict on the one before.
            mine = line.image == image
            assert (line.issued[mine][1:] == line.verdict[mine][:-1]).all()


def test_wait_takes_one_image_at_a_time() -> None:
    line = played("wait", [2, 1, 3, 1])
    assert line.issued.tolist()[1:] == line.verdict.tolist()[:-1]
    assert line.arrival.tolist()[1:] == line.departure.tolist()[:-1]


def test_a_pipeline_runs_all_timesteps() -> None:
    line = played("pipeline", [3, 3])
    assert line.timestep.tolist() == [0, 1, 2, 0, 1, 2]
    assert (line.verdict > 0).all()
    # The next timestep enters long before the verdict.
    assert (line.issued[1:] < line.verdict[:-1]).all()


@given(st.data())
@EVERYDAY
def test_interleaving_one_image_is_waiting(data: st.DataObject) -> None:
    network, config, about = data.draw(any_network()), data.draw(chips()), data.draw(plays())
    placement = place(network, config)
    assert_same(
        *(outcome(placement, config, **about | {"issue": parse(p)}) for p in ("wait", "interleave:1"))
    )


@given(st.data())
@EVERYDAY
def test_one_image_alone_finds_no_one_to_interleave_with(data: st.DataObject) -> None:
    network, config = data.draw(any_network()), data.draw(chips())
    placement = place(network, config)
    about = {"exits": [data.draw(st.integers(1, 3))], "timesteps": 3}
    assert_same(*(outcome(placement, config, **about, issue=parse(p)) for p in ("wait", "interleave:3")))


@pytest.mark.parametrize("policy", EARLY)
def test_rare_images_take_as_long_as_one_alone(policy: str) -> None:
    placement, config = small()
    latency = alone(placement, config, 3, parse(policy))
    gap = 3 * max(latency)
    exits = [1, 2, 3, 3, 1]
    cycles = [7 + gap * k for k in range(len(exits))]
    line = play(placement, config, exits, 3, issue=parse(policy), arrivals=cycles)
    assert (line.departure - line.arrival).tolist() == [latency[t - 1] for t in exits]


def test_images_that_come_together_queue() -> None:
    one = played("wait", [2]).cycles
    line = played("wait", [2, 2, 2], arrivals=[0, 0, 0])
    assert (line.departure - line.arrival).tolist() == [one, 2 * one, 3 * one]


# What policies are good for


def test_a_pipeline_has_the_higher_throughput() -> None:
    placement, config = place(default_like(), changed("dtsnn_32nm", CHIP)), changed("dtsnn_32nm", CHIP)
    wait, pipeline = (
        play(placement, config, [4] * 3, 4, issue=parse(p)).cycles for p in ("wait", "pipeline")
    )
    assert pipeline < 0.8 * wait


def test_speculation_shortens_every_later_exit() -> None:
    config = changed("dtsnn_32nm", CHIP)
    placement = place(default_like(), config)
    wait, ahead = (np.array(alone(placement, config, 4, parse(p))) for p in ("wait", "speculate"))
    assert (ahead <= wait).all()
    assert (ahead[1:] < wait[1:]).all()


@given(st.data())
@EVERYDAY
def test_running_ahead_gains_time(data: st.DataObject) -> None:
    """Rows of later timesteps may hold up an image that leaves at once; who stays longer gains more.

    Not to the last cycle: links serve who has waited longest, and another order may be worse by a packet.
    Without delays but those of feedback: where the answer comes of an earlier timestep's rows, verdicts do
    not wait for the layers before, and rows of later timesteps hold these up (170 cycles became 218 on a
    mesh).
    """
    network, config = data.draw(any_network()), data.draw(chips(tile_buffer__capacity_bytes=4096))
    assume(not any(isinstance(node, Delay) and node.name.startswith("late") for node in network.nodes))
    placement = place(network, config)
    wait, ahead = (alone(placement, config, 3, parse(p)) for p in ("wait", "speculate"))
    assert ahead[1] <= 1.02 * wait[1]
    assert ahead[2] <= 1.02 * wait[2]
    stay: dict[str, Any] = {"exits": [3, 3, 3], "timesteps": 3}
    one_by_one, streamed = (
        play(placement, config, **stay, issue=parse(p)).cycles for p in ("wait", "pipeline")
    )
    assert streamed <= 1.02 * one_by_one


def test_interleaving_never_lowers_the_throughput_of_the_default_network() -> None:
    config = changed("dtsnn_32nm", CHIP)
    placement = place(default_like(), config)
    exits = [1, 4, 1, 2, 1, 1, 3, 1]
    cycles = [
        play(placement, config, exits, 4, issue=parse(p)).cycles
        for p in ("wait", "interleave:2", "interleave:4", "interleave:8")
    ]
    # More ways than two need not help further: the slowest layer is busy all the time.
    assert all(c < 0.9 * cycles[0] for c in cycles[1:])


# Cancelled work


@pytest.mark.parametrize("fidelity", ["reference", "burst"])
@pytest.mark.parametrize("mode", ["keep", "recompute"])
@pytest.mark.parametrize("residual", [False, True])
def test_nothing_starts_from_the_verdict_on(
    residual: bool, mode: str, fidelity: Fidelity, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[tuple[Job, int]] = []
    packets: list[tuple[Job, int]] = []
    for kind in (BurstPart, ReferencePart):
        begin = kind.begin

        def recorded(self: Any, job: Job, y: int, stored: bool, begin: Any = begin) -> Any:
            rows.append((job, int(self.env.now)))
            return begin(self, job, y, stored)

        monkeypatch.setattr(kind, "begin", recorded)
    carry = ProcessEngine.carry

    def carried(self: Any, job: Job, *rest: Any, **more: Any) -> Any:
        packets.append((job, int(self.env.now)))
        return carry(self, job, *rest, **more)

    monkeypatch.setattr(ProcessEngine, "carry", carried)
    config = changed("dtsnn_32nm", CHIP | {"encoder.mode": mode})
    network = random_network(np.random.default_rng(3), residual=residual, depth=3)
    placement = place(network, config)
    about: dict[str, Any] = {"issue": parse("speculate"), "fidelity": fidelity}
    # With a recorder, burst has a process for everything; the others must do the same.
    line = play(placement, config, [1, 2, 1], 4, recorder=Recorder(), **about)
    assert_same(line, play(placement, config, [1, 2, 1], 4, **about))
    assert (line.verdict < 0).any()
    for began in (rows, packets):
        cancelled = [(job, cycle) for job, cycle in began if job.verdict_at is None]
        assert cancelled
        assert all(cycle < job.cancelled_at for job, cycle in cancelled)
        assert all(cycle < job.verdict_at for job, cycle in began if job.verdict_at is not None)
    # Work that was cancelled late has done more of it.
    reads = line.count(Event.CROSSBAR_READS) + line.count(Event.SKIPPED_READS)
    whole = reads[(line.verdict >= 0) & (line.timestep == 1)].max(axis=0)
    lost = reads[line.verdict < 0]
    assert (lost <= whole).all()
    assert 0 < lost.sum() < len(lost) * whole.sum()


@pytest.mark.parametrize("mode", ["keep", "recompute"])
def test_nothing_is_issued_for_an_image_that_has_left(mode: str) -> None:
    config = changed("dtsnn_32nm", CHIP | {"encoder.mode": mode})
    network = random_network(np.random.default_rng(1), depth=3, size=6)
    line = play(place(network, config), config, [1, 2, 1], 64, issue=parse("speculate"))
    # The chip could take in many more timesteps than pass the first layer before the verdict.
    assert len(line.image) < 3 * 64
    assert (line.issued < line.departure[line.image]).all()


def labelled(network: Network, count: int = 12) -> Inputs:
    images = random_images(np.random.default_rng(5), network.input_shape, count)
    labels = np.arange(count, dtype=np.int64) % network.classes
    return Inputs(images, labels, "images", "unknown", "0" * 64, network.classes)


@pytest.mark.parametrize("policy", EARLY)
def test_only_speculation_pays_for_cancelled_work(policy: str) -> None:
    network = random_network(np.random.default_rng(1), depth=3, size=6)
    options = CompareOptions(threshold=0.9, workers=1, issue=policy)
    result = plain_compare(network, built_in("dtsnn_32nm"), labelled(network), None, options)
    assert result.dynamic.exit_fraction[0] > 0
    lost = result.dynamic.cancelled_energy_pj
    assert (lost > 0) == (policy == "speculate")
    assert lost < result.dynamic.energy_pj


def test_static_runs_cancel_nothing() -> None:
    network = random_network(np.random.default_rng(1), depth=3, size=6)
    inputs = labelled(network)
    for policy in POLICIES:
        chip = make_chip(network, built_in("dtsnn_32nm"), inputs, Timing(3, parse(policy)), workers=1)
        ledger = simulate(chip, inputs, workers=1).static.ledger
        for stay in (1, 2, 3):
            lost = ledger.cancelled(np.full(len(inputs.images), stay, np.int64))
            assert not any(table.any() for table in lost.values()), (policy, stay)


# Memory


@pytest.mark.parametrize("ways", [2, 5])
def test_every_image_on_the_chip_has_its_own_membranes(ways: int) -> None:
    network = random_network(np.random.default_rng(1), depth=3, size=6)
    inputs = labelled(network)
    hardware = built_in("dtsnn_32nm")
    # A bank that divides the memory, so that area and leakage are multiples and not rounded up to a bank.
    config = changed("dtsnn_32nm", {"state_memory.bank_bytes": 1, "sram.leakage_uw_per_byte": 1.5})
    hardware = type(hardware)(config, hardware.provenance, hardware.unsourced, hardware.sha256, hardware.path)
    chips = [
        make_chip(network, hardware, inputs, Timing(2, parse(p)), workers=1)
        for p in ("wait", "speculate", f"interleave:{ways}")
    ]
    one, ahead, many = (chip.size.memory_bits for chip in chips)
    assert one % 8 == 0
    assert ahead == one > 0
    assert many == ways * one
    memory = config.state_memory
    areas = [memory.area_um2(config) * memory.instances(config, chip.size) for chip in chips]
    assert areas[2] == pytest.approx(ways * areas[0], rel=1e-12)
    leakage = [
        sum(c.energy_pj for c in chip.prices() if c.component == "state_memory" and "powered" in c.event)
        for chip in chips
    ]
    assert leakage[0] > 0
    assert leakage[1] == leakage[0]
    assert leakage[2] == pytest.approx(ways * leakage[0], rel=1e-12)


# Partial sums and stored currents


def spread_encoder(layers: int) -> tuple[Placement, HardwareConfig]:
    """A linear encoder whose blocks of rows stand in two tiles and more."""
    config = changed(
        "dtsnn_32nm",
        {"cells.rows": 4, "tile.crossbars_per_pe": 1, "tile.pes_per_tile": 1, "encoder.mode": "keep",
         "mapping.replication": "none", "noc.hop_cycles": 40},
    )  # fmt: skip
    weight = np.ones((2, 16), np.int8)
    node = Linear("fc", (INPUT,), weight, np.ones(2), np.zeros(2))
    network = Network("one", (1, 4, 4), 1, 1.0, 2, layers, 4, (node,))
    placement = place(network, config)
    assert any(part.head != part.index for part in placement.parts)
    return placement, config


@pytest.mark.parametrize("fidelity", ["reference", "burst"])
def test_stored_currents_do_not_overtake_their_own_partial_sums(fidelity: Fidelity) -> None:
    placement, config = spread_encoder(3)
    wait, ahead = (
        play(placement, config, [3], 3, issue=parse(p), fidelity=fidelity) for p in ("wait", "pipeline")
    )
    # The first answer hangs on partial sums that are 40 cycles a hop away; nobody answers before it.
    assert ahead.answer[0] == wait.answer[0]
    assert ahead.answer[0] < ahead.answer[1] < ahead.answer[2]


@pytest.mark.parametrize("fidelity", ["reference", "burst"])
@pytest.mark.parametrize("policy", POLICIES)
def test_partial_sums_of_a_kept_encoder_come_once_an_image(policy: str, fidelity: Fidelity) -> None:
    placement, config = spread_encoder(2)
    exits = [2, 2, 2] if policy == "pipeline" else [2, 1, 2]
    line = play(placement, config, exits, 2, issue=parse(policy), fidelity=fidelity)
    adds = line.count(Event.PARTIAL_SUM_ADDS).sum(axis=1)
    assert (adds[line.timestep == 0] == adds[0]).all()
    assert not adds[line.timestep > 0].any()
