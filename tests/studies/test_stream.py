"""A stream of images: what its document says against the timeline, single runs, and figures by hand."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
import pytest
from networks import random_images, random_network
from random_chips import alone, built_in, changed

import imcsim.studies.streaming
from imcsim.base.choices import Fidelity
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import charges
from imcsim.inputs import Inputs
from imcsim.mapping import place
from imcsim.network.graph import INPUT, Linear, Network
from imcsim.results.stream import StreamResult
from imcsim.studies.comparison import run
from imcsim.studies.settings import CompareOptions
from imcsim.studies.streaming import StreamOptions, stream
from imcsim.timing import parse, play

IMAGES = 20
FIDELITIES: tuple[Fidelity, ...] = ("reference", "burst")

HAND = {
    "mapping.replication": "none", "mapping.placement": "path", "offchip_link.bits_per_cycle": 8,
    "tile.bus_bits": 256, "tile.input_sets": 2, "noc.flit_bits": 32, "noc.hop_cycles": 2,
    "lif.partial_sum_bits": 20, "adder_tree.level_cycles": 1, "accumulator.class_cycles": 1,
    "checker.class_cycles": 1, "checker.final_cycles": 4, "checker.verdict_cycles": 2,
    "cells.read_pulse_ns": 7.9, "adc.conversion_cycles": 1, "column_mux.columns_per_adc": 8,
    "encoder.mode": "recompute",
}  # fmt: skip


def hardware(values: dict[str, Any] | None = None, name: str = "dtsnn_32nm") -> Hardware:
    return replace(built_in(name), config=changed(name, values or {}))


def inputs(network: Network, count: int = IMAGES) -> Inputs:
    rng = np.random.default_rng(3)
    images = random_images(rng, network.input_shape, count)
    labels = rng.integers(0, network.classes, count)
    return Inputs(images, labels, "images", "unknown", "0" * 64, network.classes)


def one_layer() -> Network:
    """A classifier that reads a 2 x 2 image of 8 bits; it is sure of bright images and not of dark ones."""
    weight = np.array([[7, 7, 7, 7], [-7, -7, -7, -7]], np.int8)
    node = Linear("fc", (INPUT,), weight, np.full(2, 2.0**-4), np.array([-0.9, 0.9]))
    return Network("one", (1, 2, 2), 8, 2.0**-8, 2, 2, 4, (node,))


def deep() -> Network:
    return random_network(np.random.default_rng(1), depth=3, size=6)


def streamed(
    network: Network, chip: Hardware, arriving: StreamOptions | None = None, policy: Any = "dynamic",
    **options: Any,
) -> StreamResult:  # fmt: skip
    about = CompareOptions(**({"threshold": 0.7, "workers": 1} | options))
    return stream(network, chip, inputs(network), None, about, arriving, policy=policy)


def stays(result: StreamResult) -> list[int]:
    """Images that leave after 1, 2, .. timesteps."""
    return [round(share * result.meta.images) for share in result.exit_fraction]


# One tile, by hand

FIRST, LATER, DRIVEN = 101, 97, 64
"""Cycles of a first timestep of `one_layer`, of another, and those in which its crossbar is driven: 8 input
bits, 8 cycles each (worked out in test_timing)."""


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_a_static_stream_by_hand(fidelity: Any) -> None:
    result = streamed(one_layer(), hardware(HAND), policy="static", fidelity=fidelity)
    one = FIRST + LATER
    assert result.makespan_ns == IMAGES * one
    assert result.throughput_images_per_s == pytest.approx(1e9 / one, rel=1e-12)
    percentiles = (result.latency_p50_ns, result.latency_p95_ns, result.latency_p99_ns)
    assert (result.latency_ns, *percentiles) == (one,) * 4
    (tile,) = result.tiles
    assert tile.layers == ("fc",)
    assert tile.utilisation == pytest.approx(2 * DRIVEN / one, rel=1e-12)
    # Image rows of 16 bits, two a timestep, are 2 flits; class outputs of 40 bits are 3; one router each.
    assert result.flits_a_cycle_and_router == pytest.approx(2 * (2 * 2 + 3) / one, rel=1e-12)
    assert result.cancelled_energy_pj == 0


def test_a_dynamic_stream_by_hand() -> None:
    result = streamed(one_layer(), hardware(HAND))
    early, late = stays(result)
    assert early > 0
    assert late > 0
    assert early + late == IMAGES
    cycles = early * FIRST + late * (FIRST + LATER)
    assert result.makespan_ns == cycles
    assert result.mean_timesteps == pytest.approx((early + 2 * late) / IMAGES)
    assert result.latency_ns == pytest.approx(cycles / IMAGES, rel=1e-12)
    assert result.tiles[0].utilisation == pytest.approx((early + 2 * late) * DRIVEN / cycles, rel=1e-12)
    # A percentile is the latency of an image: the smallest that so many do not exceed.
    latencies = [FIRST] * early + [FIRST + LATER] * late
    for percent, said in (
        (50, result.latency_p50_ns),
        (95, result.latency_p95_ns),
        (99, result.latency_p99_ns),
    ):
        assert said == latencies[ceil(percent / 100 * IMAGES) - 1]


def test_the_clock_turns_cycles_into_time() -> None:
    one = streamed(one_layer(), hardware(HAND), policy="static")
    # A pulse of 8 cycles of 2 ns: the same cycles, each twice as long.
    slow = hardware(HAND | {"technology.clock_ns": 2.0, "cells.read_pulse_ns": 15.8})
    two = streamed(one_layer(), slow, policy="static")
    assert two.makespan_ns == 2 * one.makespan_ns
    assert two.throughput_images_per_s == pytest.approx(one.throughput_images_per_s / 2)
    assert two.tiles == one.tiles


# Against single runs


@pytest.mark.parametrize("policy", ["static", "dynamic"])
@pytest.mark.parametrize(
    "values",
    [{}, {"activity.skip_zero_reads": True, "activity.spike_coding": "aer", "cells.rows": 8}],
    ids=["same_time", "own_time"],
)
def test_images_in_a_closed_loop_cost_what_they_cost_alone(values: dict[str, Any], policy: Any) -> None:
    """Under ``wait`` one image is on the chip at a time, so a stream is its images one after the other."""
    network, chip = deep(), hardware({"clock.gating": "none"} | values)
    options = CompareOptions(threshold=0.7, workers=1)
    together = stream(network, chip, inputs(network), None, options, policy=policy)
    single = run(network, chip, inputs(network), None, options, policy=policy).outcome
    assert together.exit_fraction == single.exit_fraction
    assert together.accuracy == single.accuracy
    for key in ("energy_pj", "latency_ns", "latency_p50_ns", "latency_p95_ns", "latency_p99_ns"):
        assert getattr(together, key) == pytest.approx(getattr(single, key), rel=1e-9), key
    assert together.makespan_ns == pytest.approx(IMAGES * single.latency_ns, rel=1e-9)
    assert together.throughput_images_per_s == pytest.approx(IMAGES / together.makespan_ns * 1e9, rel=1e-12)
    assert together.edp_of_latency == pytest.approx(together.energy_pj * together.latency_ns, rel=1e-12)
    interval = together.makespan_ns / IMAGES
    assert together.edp_of_interval == pytest.approx(together.energy_pj * interval, rel=1e-12)
    assert together.efficiency.operations == pytest.approx(single.efficiency.operations, rel=1e-12)
    assert together.efficiency.inferences_per_s == pytest.approx(together.throughput_images_per_s)
    assert [one.spike_rate for one in together.layers] == [one.spike_rate for one in single.layers]
    for mine, other in zip(together.layer_efficiency, single.layer_efficiency, strict=True):
        assert mine.energy_pj_by_component == pytest.approx(other.energy_pj_by_component, rel=1e-9)
        assert (mine.latency_ns or 0.0) == pytest.approx(other.latency_ns or 0.0, rel=1e-9)
        assert mine.busy_ns == pytest.approx(other.busy_ns, rel=1e-9)
        assert (mine.bound_by, mine.skipped_reads) == (other.bound_by, other.skipped_reads)


LEAKY = {"technology.logic_leakage_uw_per_um2": 0.01, "clock.gating": "none"}


def leakage_pj(result: StreamResult, network: Network, chip: Hardware, ways: int = 1) -> float:
    """Standing power of the chip over the whole stream, per image."""
    size = place(network, chip.config).size
    size = size.holding(ways)
    a_cycle = sum(c.energy_pj for c in charges(chip.config, size) if c.event == Event.POWERED_CYCLES)
    assert a_cycle > 0
    return a_cycle * result.makespan_ns / chip.config.technology.clock_ns / result.meta.images


@pytest.mark.parametrize("issue", ["wait", "pipeline", "speculate", "interleave:3"])
def test_leakage_runs_over_the_makespan_and_work_does_not_change(issue: str) -> None:
    network, chip = deep(), hardware(LEAKY)
    calm = StreamOptions("periodic", 1e5)
    wait, other, slow = (
        streamed(network, chip, arriving, "static", issue=how)
        for how, arriving in (("wait", None), (issue, None), (issue, calm))
    )
    assert slow.makespan_ns > other.makespan_ns
    ways = 3 if issue.startswith("interleave") else 1
    work = wait.energy_pj - wait.leakage_energy_pj
    for result, k in ((wait, 1), (other, ways), (slow, ways)):
        expected = leakage_pj(result, network, chip, k)
        assert result.leakage_energy_pj == pytest.approx(expected, rel=1e-9)
        assert result.energy_pj - result.leakage_energy_pj == pytest.approx(work, rel=1e-9)
        assert result.cancelled_energy_pj == 0


def test_speculation_adds_what_it_cancels() -> None:
    network, chip = deep(), hardware(LEAKY)
    wait, ahead = (streamed(network, chip, issue=issue) for issue in ("wait", "speculate"))
    assert wait.exit_fraction == ahead.exit_fraction
    assert wait.exit_fraction[0] > 0
    assert wait.cancelled_energy_pj == 0
    assert ahead.cancelled_energy_pj > 0
    finished = ahead.energy_pj - ahead.leakage_energy_pj - ahead.cancelled_energy_pj
    assert finished == pytest.approx(wait.energy_pj - wait.leakage_energy_pj, rel=1e-9)


@pytest.mark.parametrize("issue", ["wait", "speculate", "interleave:2"])
def test_gating_changes_leakage_and_not_work(issue: str) -> None:
    """Tiles that are gated leak less, and what they still leak counts as leakage, not as work."""
    network = deep()
    full, gated = (
        streamed(network, hardware(LEAKY | {"clock.gating": gating}), issue=issue)
        for gating in ("none", "idle_tiles")
    )
    assert 0 < gated.leakage_energy_pj < full.leakage_energy_pj
    work = [r.energy_pj - r.leakage_energy_pj - r.cancelled_energy_pj for r in (full, gated)]
    assert work[1] == pytest.approx(work[0], rel=1e-9)


@pytest.mark.parametrize("issue", ["wait", "speculate", "interleave:2"])
def test_figures_follow_from_the_timeline(issue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, chip = deep(), hardware()
    lines = []

    def caught(*positional: Any, **named: Any) -> Any:
        lines.append(play(*positional, **named))
        return lines[-1]

    monkeypatch.setattr(imcsim.studies.streaming, "play", caught)
    result = streamed(network, chip, StreamOptions("poisson", 3e5), issue=issue, seed=4)
    (line,) = lines
    latency = np.sort(line.departure - line.arrival) * chip.config.technology.clock_ns
    assert result.makespan_ns == line.departure.max() * chip.config.technology.clock_ns
    assert result.latency_ns == pytest.approx(latency.mean(), rel=1e-12)
    for percent, said in (
        (50, result.latency_p50_ns),
        (95, result.latency_p95_ns),
        (99, result.latency_p99_ns),
    ):
        assert said == latency[ceil(percent / 100 * IMAGES) - 1]
    for tile, busy in zip(result.tiles, line.busy_cycles, strict=True):
        assert tile.utilisation == busy / line.departure.max()


# Arrivals


def arrivals(monkeypatch: pytest.MonkeyPatch, arriving: StreamOptions, **options: Any) -> list[int] | None:
    """When the images of a stream come, in cycles."""
    seen: list[list[int] | None] = []

    def caught(*positional: Any, **named: Any) -> Any:
        seen.append(named["arrivals"])
        return play(*positional, **named)

    monkeypatch.setattr(imcsim.studies.streaming, "play", caught)
    network = one_layer()
    about = CompareOptions(threshold=0.0, workers=1, **options)
    stream(network, hardware(HAND), inputs(network, 600), None, about, arriving, policy="static")
    return seen[-1]


def test_periodic_arrivals(monkeypatch: pytest.MonkeyPatch) -> None:
    # 3 million a second at 1 ns: every 333.3 cycles, without drift.
    cycles = arrivals(monkeypatch, StreamOptions("periodic", 3e6), timesteps=1)
    assert cycles == [round(k * 1000 / 3) for k in range(600)]


def test_poisson_arrivals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaps are exponential: mean and spread are the same, and 1/e of them are longer than the mean."""
    arriving = StreamOptions("poisson", 1e6)
    cycles = arrivals(monkeypatch, arriving, timesteps=1, seed=5)
    assert cycles is not None
    assert cycles[0] == 0
    gaps = np.diff(cycles)
    assert (gaps >= 0).all()
    error = 1 / np.sqrt(len(gaps))
    assert gaps.mean() == pytest.approx(1000, rel=4 * error)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=6 * error)
    assert (gaps > gaps.mean()).mean() == pytest.approx(np.exp(-1), abs=4 * 0.5 * error)
    # no memory: a gap says nothing about the next
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 4 * error
    assert arrivals(monkeypatch, arriving, timesteps=1, seed=5) == cycles
    assert arrivals(monkeypatch, arriving, timesteps=1, seed=6) != cycles
    # Twice the rate, half the gaps.
    twice = arrivals(monkeypatch, StreamOptions("poisson", 2e6), timesteps=1, seed=5)
    assert twice is not None
    assert np.allclose(np.array(twice) * 2, cycles, atol=2)


def test_a_closed_loop_has_no_arrivals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert arrivals(monkeypatch, StreamOptions(), timesteps=1) is None


def test_seeds() -> None:
    network, chip, random = deep(), hardware(), StreamOptions("poisson", 2e5)
    one, again, other = (streamed(network, chip, random, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one.makespan_ns != other.makespan_ns
    for arriving in (StreamOptions(), StreamOptions("periodic", 2e5)):
        first, second = (streamed(network, chip, arriving, seed=seed) for seed in (1, 2))
        assert first.model_copy(update={"meta": second.meta}) == second


def test_rare_images_wait_for_nobody() -> None:
    network, chip = deep(), hardware()
    placement = place(network, chip.config)
    latency = alone(placement, chip.config, 3, parse("wait"))
    rate = 1e9 / (2 * max(latency) * chip.config.technology.clock_ns)
    result = streamed(network, chip, StreamOptions("periodic", rate))
    mean = sum(n * cycles for n, cycles in zip(stays(result), latency, strict=True)) / IMAGES
    assert result.latency_ns == pytest.approx(mean * chip.config.technology.clock_ns, rel=1e-12)


def test_images_that_come_too_fast_queue() -> None:
    network, chip = deep(), hardware()
    closed, rush = (streamed(network, chip, how) for how in (None, StreamOptions("periodic", 1e8)))
    assert rush.throughput_images_per_s == pytest.approx(closed.throughput_images_per_s, rel=1e-9)
    assert rush.latency_ns > 5 * closed.latency_ns
    assert rush.latency_p99_ns == pytest.approx(rush.makespan_ns - (IMAGES - 1) * 10)


@pytest.mark.parametrize("kind", ["periodic", "poisson"])
@pytest.mark.parametrize("rate", [1e-300, 1e-9])
def test_arrivals_over_more_cycles_than_can_be_counted_are_refused(kind: Any, rate: float) -> None:
    with pytest.raises(ImcsimError, match="more cycles than can be counted") as caught:
        streamed(one_layer(), hardware(HAND), StreamOptions(kind, rate))
    assert caught.value.key == "rate"


@pytest.mark.parametrize("rate", [None, 0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("kind", ["periodic", "poisson"])
def test_arrivals_need_a_rate(kind: Any, rate: float | None) -> None:
    with pytest.raises(ImcsimError, match="need images per second above 0") as caught:
        streamed(one_layer(), hardware(HAND), StreamOptions(kind, rate))
    assert caught.value.key == "rate"


def test_nothing_leaves_a_pipeline_early() -> None:
    with pytest.raises(ImcsimError, match="a pipeline has no early exit") as caught:
        streamed(one_layer(), hardware(HAND), issue="pipeline")
    assert "speculate" in (caught.value.fix or "")


def test_both_fidelities_write_the_same_document() -> None:
    network, chip = deep(), hardware({"activity.skip_zero_reads": True, "cells.rows": 8})
    options = CompareOptions(threshold=0.7, workers=1)
    for issue in ("wait", "speculate", "interleave:2"):
        fine, quick = (
            stream(
                network,
                chip,
                inputs(network, 3),
                None,
                replace(options, issue=issue, fidelity=kind),
                StreamOptions("poisson", 3e5),
            )
            for kind in FIDELITIES
        )
        assert fine.model_copy(update={"meta": quick.meta}) == quick


@pytest.mark.parametrize("issue", ["wait", "speculate", "interleave:2"])
def test_memory_changes_no_stream(issue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is made for as many images as there is room for, when they enter; counts, some jobs at a time."""
    network, chip = deep(), hardware({"activity.skip_zero_reads": True, "cells.rows": 8})
    whole = streamed(network, chip, issue=issue)
    monkeypatch.setattr("imcsim.functional.in_flight.budget_bytes", lambda: 1)
    monkeypatch.setattr(imcsim.studies.streaming, "COUNTED_JOBS", 3)
    assert streamed(network, chip, issue=issue) == whole


# Copies of the chip behind a dispatcher


def test_copies_of_the_chip_by_hand() -> None:
    """Four images at a time, each on a chip of its own: all figures follow from those of one chip."""
    one, four = (streamed(one_layer(), hardware(HAND), StreamOptions(copies=n), "static") for n in (1, 4))
    assert one.copies is None
    assert "copies" not in one.model_dump()
    assert four.model_dump()["copies"] == four.copies == 4
    assert four.makespan_ns == one.makespan_ns / 4
    assert four.latency_ns == one.latency_ns
    assert four.tiles == one.tiles  # each as busy as before
    assert four.flits_a_cycle_and_router == one.flits_a_cycle_and_router
    # Four chips leak for a quarter of the time.
    assert four.leakage_energy_pj == pytest.approx(one.leakage_energy_pj)
    assert four.energy_pj == pytest.approx(one.energy_pj)
    assert four.peak.area_um2 == 4 * one.peak.area_um2
    assert four.peak.operations == 4 * one.peak.operations
    assert four.peak.native.tops_per_w == pytest.approx(one.peak.native.tops_per_w)
    assert four.efficiency.native.tops == pytest.approx(4 * one.efficiency.native.tops)
    assert four.efficiency.native.tops_per_mm2 == pytest.approx(one.efficiency.native.tops_per_mm2)
    assert four.programming.energy_pj == pytest.approx(4 * one.programming.energy_pj)
    assert four.programming.time_ns == one.programming.time_ns


def test_copies_that_wait_leak_all_the_same() -> None:
    rate = StreamOptions("periodic", 1e6)
    one, two = (streamed(deep(), hardware(), replace(rate, copies=n)) for n in (1, 2))
    assert two.makespan_ns <= one.makespan_ns
    assert two.latency_p99_ns <= one.latency_p99_ns
    work = [result.energy_pj - result.leakage_energy_pj for result in (one, two)]
    assert work[0] == pytest.approx(work[1])
    leaks = one.leakage_energy_pj / one.makespan_ns, two.leakage_energy_pj / two.makespan_ns
    assert leaks[1] == pytest.approx(2 * leaks[0], rel=1e-3)


@pytest.mark.parametrize("copies", [0, -1, 257])
def test_numbers_of_copies_that_are_refused(copies: int) -> None:
    with pytest.raises(ImcsimError, match="copies of a chip cannot be played"):
        streamed(one_layer(), hardware(HAND), StreamOptions(copies=copies))


def test_a_stream_over_a_package() -> None:
    """Two chips on a link: the same work, whose energy on the link is a component of its own."""
    package = hardware({"package.chips": 2})
    one, two = streamed(deep(), hardware()), streamed(deep(), package)
    assert (one.meta.hardware.chips, two.meta.hardware.chips) == (None, 2)
    assert two.accuracy == one.accuracy
    assert two.exit_fraction == one.exit_fraction
    assert two.makespan_ns > one.makespan_ns
    assert "link_utilisation" not in one.model_dump()
    assert two.link_utilisation is not None
    assert 0 < two.link_utilisation < 1
    busy = [row.busy_ns.get("package") for row in two.layer_efficiency if row.latency_ns is not None]
    assert any(busy)
    assert None not in busy
    paid = [row.energy_pj_by_component.get("package", 0.0) for row in two.layer_efficiency]
    assert sum(paid) > 0
    output = [row.name for row in two.layer_efficiency].index("output")
    verdicts = (
        two.mean_timesteps * package.config.noc.flit_bits * package.config.package.known("bit_energy_pj")
    )
    assert paid[output] == pytest.approx(verdicts)
