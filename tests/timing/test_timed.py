"""Inputs that change at each timestep: values, time and cost, on both fidelities."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import _node, forward, random_images, random_network
from numpy.typing import NDArray
from plain import plain_compare
from played import play
from random_chips import any_network, assert_same, chips, outcome, plays

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.functional.program.program import build
from imcsim.functional.run import calibrated_converters, ideal_converters
from imcsim.functional.run import run as play_values
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.inputs.data import fingerprint
from imcsim.mapping import place
from imcsim.network.graph import INPUT, Network
from imcsim.results.model import to_json
from imcsim.simulation.chip import make_chip, numerics
from imcsim.simulation.simulate import simulate
from imcsim.studies.comparison import compare, run
from imcsim.studies.settings import CompareOptions
from imcsim.studies.streaming import stream
from imcsim.timing import Timing, parse

T = 4
POLICIES = ("wait", "speculate", "interleave:2")


def hardware(name: str = "dtsnn_32nm", **overrides: object) -> Hardware:
    return imcsim.hardware.load(name, {k.replace("__", "."): v for k, v in overrides.items()})


def spiking(seed: int = 0, **options: Any) -> Network:
    """A network that takes spikes."""
    net = random_network(np.random.default_rng(seed), **({"depth": 2, "timesteps": T} | options))
    return replace(net, input_bits=1, input_scale=1.0)


def given_inputs(images: NDArray[np.uint8], labels: Any = None, **more: Any) -> Inputs:
    labels = np.zeros(len(images), np.int64) if labels is None else labels
    return Inputs(images, labels, "frames", "unknown", fingerprint(images, labels), **more)


def frames(network: Network, seed: int, count: int = 12, timesteps: int = T) -> Inputs:
    """Random spikes, most of them labelled as the network sees them."""
    rng = np.random.default_rng(seed)
    spikes = (rng.random((count, timesteps, *network.input_shape)) < 0.4).astype(np.uint8)
    outputs = timed_forward(network, spikes)[network.nodes[-1].name]
    labels = np.where(
        rng.random(count) < 0.2, rng.integers(0, network.classes, count), outputs.sum(0).argmax(1)
    )
    return given_inputs(spikes, labels.astype(np.int64), coding="frames")


def timed_forward(network: Network, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """The plain forward pass, with frames ``[N, T, C, H, W]`` as one more node."""
    values = {"frames": images.transpose(1, 0, 2, 3, 4) * network.input_scale}
    for node in network.nodes:
        named: Any = replace(node, inputs=tuple("frames" if n == INPUT else n for n in node.inputs))
        values[node.name] = _node(named, values, values["frames"][0], images.shape[1], network)
    return values


# Values


@pytest.mark.parametrize("kind", [{}, {"residual": True, "depth": 3}, {"average": True, "reset": "soft"}])
@pytest.mark.parametrize("bits", [1, 8])
def test_a_frame_enters_at_each_timestep(kind: dict[str, Any], bits: int) -> None:
    """Every spike and class output equals that of a plain forward pass over the frames."""
    net = random_network(np.random.default_rng(1), timesteps=T, **kind)
    shown = np.stack([random_images(np.random.default_rng(t), net.input_shape, 5) for t in range(T)], 1)
    if bits == 1:
        net, shown = replace(net, input_bits=1, input_scale=1.0), (shown > 120).astype(np.uint8)
    program = build(net, numerics(hardware().config).ideal())
    names = {step.name for step in program.neuron_layers}
    activity = play_values(program, shown, T, ideal_converters(program), record=names)
    wanted = timed_forward(net, shown)
    assert any(wanted[name].any() for name in names)
    for name in names:
        found = activity.recorded[name].transpose(1, 0, 4, 2, 3)
        assert np.array_equal(found.reshape(wanted[name].shape), wanted[name]), name
    shares = activity.outputs.transpose(1, 0, 2) / 2**program.numerics.checker.fraction_bits
    assert np.abs(shares - wanted[net.nodes[-1].name].reshape(shares.shape)).max() < 0.01


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 99), count=st.integers(1, T), average=st.booleans())
def test_equal_frames_are_an_image(seed: int, count: int, average: bool) -> None:
    """Spikes, counts, outputs and ADC scales are those of the image without frames, for any number."""
    net = random_network(np.random.default_rng(seed), average=average, size=6)
    images = random_images(np.random.default_rng(seed + 1), net.input_shape, 6)
    repeated = np.repeat(images[:, None], count, axis=1)
    program = build(net, numerics(hardware().config))
    scales = [calibrated_converters(program, shown, 4) for shown in (images, repeated)]
    for name, shift in scales[0].shift.items():
        assert np.array_equal(shift, scales[1].shift[name])
    still, moving = (
        play_values(program, shown, count, scales[0], toggles={INPUT}) for shown in (images, repeated)
    )
    for name in ("active_rows", "active_levels", "active_reads", "spikes", "outputs"):
        assert np.array_equal(getattr(still, name), getattr(moving, name)), name
    assert np.array_equal(still.toggles[INPUT], moving.toggles[INPUT])


def test_equal_frames_give_the_report_of_an_image_on_a_chip_that_recomputes() -> None:
    """Accuracy, exits and everything but the frames that are brought in."""
    net = random_network(np.random.default_rng(3), depth=2, timesteps=T)
    images = random_images(np.random.default_rng(4), net.input_shape, 20)
    labels = forward(net, images, T)[net.nodes[-1].name].sum(0).argmax(1)
    chip = hardware(encoder__mode="recompute")
    still = given_inputs(images, labels)
    moving = given_inputs(np.repeat(images[:, None], T, axis=1), labels, coding="frames")
    one, other = (
        json.loads(to_json(plain_compare(net, chip, shown, shown, CompareOptions(workers=1))))
        for shown in (still, moving)
    )
    for a, b in zip(one["static"], other["static"], strict=True):
        assert a["accuracy"] == b["accuracy"]
        assert a["energy_pj"] <= b["energy_pj"]
    for key in ("threshold", "accuracy", "exit_fraction"):
        assert one["dynamic"][key] == other["dynamic"][key]
    assert one["static"][0]["energy_pj"] == other["static"][0]["energy_pj"]
    assert one["static"][0]["latency_ns"] == other["static"][0]["latency_ns"]


# Time


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_both_fidelities_agree_on_frames(data: st.DataObject) -> None:
    network, config = data.draw(any_network()), data.draw(chips(("dtsnn_32nm", "spikesim_65nm")))
    config = config.model_copy(update={"encoder": config.encoder.model_copy(update={"mode": "recompute"})})
    about = data.draw(plays())
    placement = place(network, config)
    fine, quick = (
        outcome(placement, config, fidelity=kind, timed=True, **about) for kind in ("reference", "burst")
    )
    assert_same(fine, quick)


def test_each_timestep_brings_its_frame() -> None:
    """Bits from outside, into the global buffer and out of it, in closed form; and the cycles they take."""
    net = spiking()
    config = hardware(encoder__mode="recompute").config
    placement = place(net, config)
    bits = int(np.prod(net.input_shape))
    still, moving = (play(placement, config, [T], T, timed=timed) for timed in (False, True))
    for line, loads in ((still, [bits, 0, 0, 0]), (moving, [bits] * T)):
        assert line.count(Event.IMAGE_BITS)[:, 0].tolist() == loads
        assert line.count(Event.GLOBAL_BUFFER_WRITE_BITS)[:, 0].tolist() == loads
    assert np.array_equal(
        still.count(Event.GLOBAL_BUFFER_READ_BITS), moving.count(Event.GLOBAL_BUFFER_READ_BITS)
    )
    load_cycles = -(-bits // config.offchip_link.bits_per_cycle)
    assert moving.cycles - still.cycles == (T - 1) * load_cycles


def test_a_frame_of_cancelled_work_is_not_loaded() -> None:
    """Under speculate the frame of the timestep that follows the last is at most begun, never two of them."""
    net = spiking()
    config = hardware(encoder__mode="recompute").config
    placement = place(net, config)
    bits = int(np.prod(net.input_shape))
    line = play(placement, config, [1, 2], T, issue=parse("speculate"), timed=True)
    loads = line.count(Event.IMAGE_BITS)[:, 0]
    for image, stay in ((0, 1), (1, 2)):
        mine = loads[line.image == image]
        assert (mine[:stay] == bits).all()
        assert mine.sum() <= bits * len(mine)
    assert set(loads.tolist()) <= {0, bits}


def test_currents_are_not_kept() -> None:
    config = hardware(encoder__mode="keep").config
    with pytest.raises(ImcsimError, match=r"encoder\.mode: currents cannot be kept"):
        play(place(spiking(), config), config, [T], T, timed=True)


def test_a_keeping_encoder_recomputes_and_says_so() -> None:
    net = spiking()
    shown = frames(net, 1)
    kept = plain_compare(net, hardware(encoder__mode="keep"), shown, shown, CompareOptions(workers=1))
    again = plain_compare(net, hardware(encoder__mode="recompute"), shown, shown, CompareOptions(workers=1))
    assert kept.meta.hardware.encoder == "recompute"
    assert kept.static == again.static
    assert kept.components == again.components
    assert any("encoder recomputes" in text for text in kept.warnings)
    assert not any("encoder recomputes" in text for text in again.warnings)


def test_silent_frames_are_skipped_when_they_come() -> None:
    """With skipped reads the first layer reads what its windows hold in that timestep's frame."""
    net = spiking(size=6)
    shown = frames(net, 1, 3).images.copy()
    shown[:, 1] = 0
    chip = hardware(activity__skip_zero_reads=True, encoder__mode="recompute")
    inputs = given_inputs(shown, coding="frames")
    made = make_chip(net, chip, inputs, Timing(T, parse("wait"), timed=True), workers=1)
    fixed = simulate(made, inputs, workers=1).static.schedule.fixed
    reads, silent = (fixed[e][:, -1, :, 1] for e in (Event.CROSSBAR_READS, Event.SKIPPED_READS))
    assert (reads[:, 1] == 0).all()
    assert (reads[:, [0, 2, 3]] > 0).all()
    assert (reads + silent == reads[0, 0] + silent[0, 0]).all()
    windows = np.pad(shown, ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1)))
    filled = np.lib.stride_tricks.sliding_window_view(windows, (3, 3), axis=(3, 4)).any(axis=(2, 5, 6))
    layer = made.placement.layers[0]
    assert layer.blocks == 1
    each = (reads[0, 0] + silent[0, 0]) // (6 * 6)
    assert np.array_equal(reads, filled.sum(axis=(2, 3)) * each)


# Whole runs


@pytest.mark.parametrize(
    "chip",
    [
        {},
        {"activity__skip_zero_reads": True, "activity__spike_coding": "aer"},
        {"activity__toggling": "counted", "encoder__mode": "keep"},
    ],
    ids=["plain", "values", "toggles"],
)
@pytest.mark.parametrize("issue", POLICIES)
def test_reports_of_both_fidelities_are_equal(chip: dict[str, Any], issue: str) -> None:
    net = spiking(size=6)
    shown, others = frames(net, 1, 6), frames(net, 2, 8)
    options = CompareOptions(workers=1, issue=issue, timesteps=3)
    how = compare if issue == "wait" and not chip else plain_compare
    one, other = (
        json.loads(to_json(how(net, hardware(**chip), shown, others, replace(options, fidelity=fidelity))))
        for fidelity in ("reference", "burst")
    )
    one["meta"]["fidelity"] = other["meta"]["fidelity"]
    assert one == other
    result = stream(net, hardware(**chip), shown, others, options)
    assert result.accuracy == one["dynamic"]["accuracy"]


@pytest.mark.parametrize("validated", [True, False])
def test_a_short_run_is_the_beginning_of_a_long_one(validated: bool) -> None:
    """Law 6 for inputs with more frames than are run, ADC scales included."""
    net = spiking()
    shown, others = frames(net, 1), frames(net, 2, 40) if validated else None
    whole, short = (
        plain_compare(net, hardware(), shown, others, CompareOptions(timesteps=t, threshold=0.5, workers=1))
        for t in (T, 2)
    )
    assert whole.static[:2] == short.static
    assert short.meta.inputs.sha256 == fingerprint(shown.images[:, :2], shown.labels)


def test_pipelines_play_frames() -> None:
    net = spiking()
    shown = frames(net, 1)
    waiting, flowing = (
        run(net, hardware(), shown, None, CompareOptions(issue=issue, workers=1), policy="static").outcome
        for issue in ("wait", "pipeline")
    )
    assert flowing.latency_ns <= waiting.latency_ns
    assert flowing.accuracy == waiting.accuracy


def test_images_may_choose_the_threshold_for_frames_and_the_other_way_round() -> None:
    net = spiking()
    timed = frames(net, 1)
    still = given_inputs(np.ascontiguousarray(timed.images[:, 0]), timed.labels)
    for shown, others in ((timed, still), (still, timed)):
        result = plain_compare(net, hardware(), shown, others, CompareOptions(workers=1))
        same = plain_compare(
            net, hardware(), shown, others, CompareOptions(workers=1, threshold=result.dynamic.threshold)
        )
        assert result.static == same.static
        assert result.dynamic.energy_pj == same.dynamic.energy_pj
    assert result.meta.hardware.encoder == hardware().config.encoder.mode


# Refusals


def test_misfits_are_refused() -> None:
    net = spiking()
    shown = frames(net, 1, timesteps=2)
    with pytest.raises(ImcsimError, match="there are frames for 2 timesteps, 4 are to be run"):
        compare(net, hardware(), shown, None, CompareOptions(threshold=0.5))
    wide = replace(net, input_bits=8)
    with pytest.raises(ImcsimError, match="spikes, but the network was trained for 8-bit images"):
        compare(wide, hardware(), shown, None, CompareOptions(timesteps=2, threshold=0.5))
    bright = given_inputs(random_images(np.random.default_rng(0), net.input_shape, 3))
    with pytest.raises(ImcsimError, match=r"pixels reach 255, but the network takes spikes .*rate"):
        compare(net, hardware(), bright, None, CompareOptions(threshold=0.5))
    with pytest.raises(ImcsimError, match="there are no labels"):
        compare(net, hardware(), replace(shown, labels=np.empty(0, np.int64)), None, CompareOptions())
    chip = make_chip(net, hardware(), shown, Timing(2, parse("wait"), timed=False))
    with pytest.raises(ImcsimError, match="timed=True"):
        simulate(chip, shown)
