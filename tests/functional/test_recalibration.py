"""Neurons that are set anew on a chip with errors: closed forms, what stays, and what it mends."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import mixed_network, random_images, random_network, recurrent_network
from numpy.typing import NDArray

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.base.nonideal import Drift, Stuck, Variation
from imcsim.exits.outputs import predictions
from imcsim.functional import recalibration
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal_chip import on_real_chip
from imcsim.functional.program.layers import Branch, CrossbarLayer, NeuronLayer, Program
from imcsim.functional.program.membranes import side_branch
from imcsim.functional.program.program import build
from imcsim.functional.recalibration import Channels, channels, measured_layers, recalibrated
from imcsim.functional.run import Activity, calibrated_converters, exact, run
from imcsim.functional.steps import Converters, TimeBlock, play
from imcsim.hardware.config import HardwareConfig
from imcsim.inputs import Inputs
from imcsim.network.graph import LIF, Conv2d, Flatten, Linear, Network, Pool2d
from imcsim.simulation.cache import CachedValues, LongestRun
from imcsim.simulation.chip import numerics, program_chip
from imcsim.simulation.values import COMPUTED, ActivityRequest

T = 3
ERRORLESS = DrawnChip(0, 0, 15, 64, 8)
CHIP = "nonideal.neurons.calibrated_on"


def config(**keys: Any) -> HardwareConfig:
    """The default chip, differential, with errors: ``variation__sigma`` for ``nonideal.variation.sigma``."""
    said = {f"nonideal.{key.replace('__', '.')}": value for key, value in keys.items()}
    return imcsim.hardware.load("dtsnn_32nm", {"cells.encoding": "differential", **said}).config


def network(seed: int, channels: int = 8, **about: Any) -> Network:
    rng = np.random.default_rng(seed)
    return random_network(rng, depth=3, classes=5, timesteps=T, channels=channels, **about)


def even(net: Network) -> Network:
    """Weights of which half is a whole number."""
    nodes = [
        replace(node, weight=node.weight // 2 * 2) if isinstance(node, Conv2d | Linear) else node
        for node in net.nodes
    ]
    return replace(net, nodes=tuple(nodes))


def weakened(factor: float, **more: Any) -> DrawnChip:
    """A chip whose cells all conduct `factor` of what they should."""
    return replace(
        ERRORLESS,
        drift=Drift(exponent=math.log2(1 / factor), exponent_sigma=0.0, time_s=2.0, reference_time_s=1.0),
        **more,
    )


def shown(net: Network, seed: int, count: int = 12) -> Inputs:
    rng = np.random.default_rng(seed)
    images = random_images(rng, net.input_shape, count)
    return Inputs(images, rng.integers(0, net.classes, count), f"i{seed}", "unknown", f"{seed:064x}", 5)


def mended(real: Program, designed: Program, converters: Converters, images: NDArray[np.uint8]) -> Program:
    return recalibrated(real, channels(real, designed, converters, images, T, 1))


def spikes(program: Program, converters: Converters, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    names = {step.name for step in program.steps if isinstance(step, NeuronLayer)}
    return run(program, images, T, converters, workers=1, record=names).recorded


def words(program: Program) -> list[list[Any]]:
    """All words of neurons."""
    found = []
    for step in program.steps:
        if isinstance(step, NeuronLayer):
            branches = [(b.source, b.multiplier.tolist(), b.right.tolist()) for b in step.branches]
            each = (step.left, step.right, step.bias, step.threshold)
            found.append([step.name, *(word.tolist() for word in each), branches])
    return found


@pytest.mark.parametrize(("residual", "seed"), [(False, 1), (True, 2), (True, 3), (True, 5)])
def test_cells_that_conduct_half_as_much_give_the_same_spikes(residual: bool, seed: int) -> None:
    """Sums are exactly half of what they were to be: all thresholds are halved, and no spike is lost."""
    net = even(network(seed, residual=residual))
    program = build(net, replace(numerics(config()), membrane_bits=40))  # so that rounding plays no part
    images, converters = shown(net, 7).images, exact(program)
    real = on_real_chip(program, weakened(0.5), {})
    wanted, lost = spikes(program, converters, images), spikes(real, converters, images)
    found = mended(real, program, converters, images)
    again = spikes(found, converters, images)
    assert any(not np.array_equal(lost[name], wanted[name]) for name in wanted)
    assert all(np.array_equal(again[name], wanted[name]) for name in wanted)
    assert all(0 < wanted[name].mean() < 1 for name in wanted)
    # Class outputs as well: their multipliers are doubled, to a unit in the last place of either.
    outputs = [run(one, images, T, converters, workers=1).outputs for one in (program, real, found)]
    assert np.abs(outputs[2] - outputs[0]).max() <= 4 < np.abs(outputs[1] - outputs[0]).max()
    for old, new in zip(program.neuron_layers, found.neuron_layers, strict=True):
        assert isinstance(old, NeuronLayer)
        assert isinstance(new, NeuronLayer)
        assert np.abs(2 * new.threshold - old.threshold).max() <= 1


@pytest.mark.parametrize("residual", [False, True])
def test_cells_that_conduct_a_fifth_less_give_the_same_spikes_within_rounding(residual: bool) -> None:
    net = network(4, residual=residual, weight_bits=12, channels=16)
    # Levels so many that rounding a sum to a whole one is little.
    program = build(net, replace(numerics(config()), cell_bits=12))
    images, converters = shown(net, 8).images, exact(program)
    real = on_real_chip(program, weakened(0.8, largest_level=4095), {})
    wanted, lost = spikes(program, converters, images), spikes(real, converters, images)
    found = channels(real, program, converters, images, T)
    again = spikes(recalibrated(real, found), converters, images)
    moved, kept = ({n: (one[n] != wanted[n]).mean() for n in wanted} for one in (lost, again))
    assert kept["lif1"] < 0.001 < 0.05 < moved["lif1"]
    # A spike that rounding moves moves others in the layers after it: random networks are chaotic.
    assert all(kept[name] < moved[name] / 2 for name in wanted)
    assert found["conv1"].stretch == pytest.approx(0.8, abs=1e-3)
    hidden = [one for name, one in found.items() if name != program.output]
    assert all(np.median(one.stretch) == pytest.approx(0.8, abs=0.02) for one in hidden)


@pytest.mark.parametrize("residual", [False, True])
def test_statistics_are_those_of_the_chip_as_it_is_set(residual: bool) -> None:
    """Each layer's are taken with all earlier neurons set anew: the finished chip has them."""
    net = network(6, residual=residual)
    program = build(net, numerics(config()))
    images = shown(net, 9, 21).images
    converters = calibrated_converters(program, images, T)
    real = on_real_chip(
        program, replace(ERRORLESS, variation=Variation(kind="normal", sigma=(0.3,) * 16)), {}
    )
    found = channels(real, program, converters, images, T)
    assert set(found) == set(measured_layers(real)) == {la.name for la in program.crossbar_layers}
    for played, mean, spread in (
        (program, "designed_mean", "designed_spread"),
        (recalibrated(real, found), "mean", "spread"),
    ):
        sums = run(played, images, T, converters, record=set(found)).recorded
        for name, one in found.items():
            rows = sums[name].reshape(-1, sums[name].shape[-1]).astype(np.float64)
            assert getattr(one, mean) == pytest.approx(rows.mean(0), abs=1e-9, rel=1e-12)
            assert getattr(one, spread) == pytest.approx(rows.std(0), abs=1e-9, rel=1e-9)


def _neurons(rng: np.random.Generator, count: int, fraction: NDArray[np.int64]) -> NeuronLayer:
    """Neurons of any kind; thresholds around 40 counts of the sums."""
    limit = (1 << 40) - 1  # no membrane gets there
    decays = rng.integers(1 << 12, 1 << 15, (2, count))
    several, rests = int(rng.choice([1, 1, 4])), int(rng.choice([0, 0, 2]))

    def level(low: int, high: int) -> NDArray[np.int64]:
        """Of half the neurons; even counts, which every stretch leaves whole."""
        if rng.integers(2):
            return np.zeros(0, np.int64)
        return 2 * np.rint(rng.uniform(low, high, count) * 2.0**fraction).astype(np.int64)

    return NeuronLayer(
        name="lif", source="main", main="main", left=np.maximum(fraction, 0), right=np.maximum(-fraction, 0),
        bias=np.rint(rng.uniform(-20, 20, count) * 2.0**fraction).astype(np.int64),
        threshold=np.rint(rng.uniform(20, 60, count) * 2.0**fraction).astype(np.int64),
        above=bool(rng.integers(2)) and several == 1, leak=decays[0],
        synapse=decays[1] if rng.integers(2) else np.zeros(0, np.int64), decay_bits=15,
        reset=rng.choice(["hard", "soft", "none"]).item(),
        late=bool(rng.integers(2)) and several == 1 and rests == 0, limit=limit, floor=level(-20, 0),
        initial=level(-10, 10), drift=level(-2, 2), max_spikes=several, refractory=rests,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_neurons_fire_as_on_the_currents_that_were_to_be(seed: int, residual: bool) -> None:
    """Each channel's currents are shifted and stretched at random; so are those of every branch."""
    rng, count = np.random.default_rng(seed), 24
    net = network(1)
    template = next(s for s in build(net, numerics(config())).steps if isinstance(s, CrossbarLayer))
    names = ("main", "side") if residual else ("main",)
    layers = [replace(template, name=name, largest_sum=1 << 14) for name in names]
    step = _neurons(rng, count, rng.integers(18, 23, count))
    if residual:
        ones = np.int64(1) << step.left
        worth = np.exp2(step.left) * rng.uniform(0.3, 3, count)
        spiking = side_branch("spikes", 15 * np.exp2(step.left), 1, "add")
        step = replace(
            step, source="add", left=0 * step.left, right=0 * step.right,
            branches=(
                Branch("main", ones, step.right), side_branch("side", worth, 1 << 14, "add"), spiking,
            ),
        )  # fmt: skip
    blank = build(net, numerics(config()))
    program = replace(blank, steps=(*layers, step), output="another")
    designed, real = dict[str, NDArray[Any]](), dict[str, NDArray[Any]]()
    found = {}
    for name in names:
        stretch = rng.choice([0.5, 1.0, 2.0, 4.0], count)
        mean, there = rng.integers(-30, 30, count), rng.integers(-30, 30, count)
        sums = mean + 4 * rng.integers(-15, 16, (5, 6, 2, 2, count))
        designed[name] = sums.astype(np.int32)
        real[name] = (there + (sums - mean) * stretch).astype(np.int32)
        found[name] = Channels(
            mean.astype(np.float64), np.full(count, 36.0), there.astype(np.float64), 36 * stretch
        )
    designed["spikes"] = real["spikes"] = rng.integers(0, 2, (5, 6, 2, 2, count)).astype(np.uint8)
    again = recalibrated(program, found).steps[-1]
    assert isinstance(again, NeuronLayer)
    assert (4 * again.threshold <= again.limit).all() or (step.threshold * 4 > step.limit).any()
    about: Any = (TimeBlock(0, 6, np.arange(5)), exact(blank), False)
    wanted, found_spikes = play(step, designed, *about)[0], play(again, real, *about)[0]
    assert 0 < (wanted > 0).mean() < 1
    # Words are rounded, and decays cut off, to other last bits.
    assert (found_spikes == wanted).mean() > 0.9995
    assert (play(step, real, *about)[0] == wanted).mean() < 0.99


@pytest.mark.parametrize("padding", [(0, 0), (1, 1)])
@pytest.mark.parametrize("kind", ["max", "average", "sum"])
def test_pooled_currents_are_set_right_too(kind: Any, padding: tuple[int, int]) -> None:
    """A shift of every sum moves a pooled one by that of all sums under its window."""
    rng = np.random.default_rng(5)
    nodes = (
        Conv2d(
            "conv", ("input",), np.ones((4, 1, 1, 1), np.int8), np.full(4, 0.25), rng.integers(-8, 9, 4) / 8
        ),
        Pool2d("pool", ("conv",), kind, (2, 2), (2, 2), padding),
        LIF("lif", ("pool",), 0.5, np.array([4.0, 6.0, 8.0, 10.0]), "soft"),
        Flatten("flat", ("lif",)),
        Linear("fc", ("flat",), np.ones((2, 36 if any(padding) else 16), np.int8), np.ones(2), np.zeros(2)),
    )
    program = build(Network("pooled", (1, 4, 4), 8, 1.0, 2, 6, 4, nodes), numerics(config()).ideal())
    pool, lif = program.steps[1:3]
    stretch, mean, there = np.array([0.5, 1, 2, 4]), rng.integers(-9, 9, 4), rng.integers(-9, 9, 4)
    sums = mean + 4 * rng.integers(-20, 21, (5, 6, 4, 4, 4))
    real = (there + (sums - mean) * stretch).astype(np.int64)
    found = {"conv": Channels(mean.astype(float), np.full(4, 36.0), there.astype(float), 36 * stretch)}
    again = recalibrated(program, found).steps[2]
    about: Any = (TimeBlock(0, 6, np.arange(5)), exact(program), False)

    def spikes_of(step: Any, currents: NDArray[Any]) -> NDArray[Any]:
        pooled = play(pool, {"conv": currents}, *about)[0]
        return play(step, {"pool": pooled}, *about)[0]

    wanted = spikes_of(lif, sums)
    assert 0.02 < wanted.mean() < 0.98
    assert np.array_equal(spikes_of(again, real), wanted)
    assert not np.array_equal(spikes_of(lif, real), wanted)


def test_thresholds_keep_their_room() -> None:
    """Fraction bits go where a threshold grows beyond a quarter of the largest membrane."""
    net = network(1)
    blank = build(net, numerics(config()))
    template = next(s for s in blank.steps if isinstance(s, CrossbarLayer))
    step = _neurons(np.random.default_rng(1), 3, np.array([24, 0, -2]))
    step = replace(step, limit=1 << 31, threshold=np.array([1 << 29, 1 << 20, 3]), max_spikes=1)
    program = replace(blank, steps=(replace(template, name="main"), step), output="another")
    wide = Channels(*np.array([[0.0] * 3, [10.0] * 3, [0.0] * 3, [80.0, 80.0, 1.0]]))
    found = recalibrated(program, {"main": wide}).steps[-1]
    assert isinstance(found, NeuronLayer)
    assert found.threshold.tolist() == [1 << 29, 1 << 23, 1]
    assert (found.left.tolist(), found.right.tolist()) == ([21, 0, 0], [0, 0, 2])
    # Five spikes in a timestep: room for eight thresholds.
    found = recalibrated(
        replace(program, steps=(program.steps[0], replace(step, max_spikes=5))), {"main": wide}
    ).steps[-1]
    assert isinstance(found, NeuronLayer)
    assert found.threshold.tolist() == [1 << 28, 1 << 23, 1]


def test_silent_constant_and_broken_channels_keep_their_scale() -> None:
    one = Channels(
        designed_mean=np.zeros(6), mean=np.zeros(6),
        designed_spread=np.array([0, 0, 10, 10, 10, 10.0]), spread=np.array([0, 9, 0, 200, 0.5, 9]),
    )  # fmt: skip
    assert one.stretch.tolist() == [1, 1, 1, 1, 1, 0.9]


def test_a_silent_channel_is_left_alone_and_one_that_was_to_be_silent_gets_its_mean() -> None:
    net = network(3)
    nodes = list(net.nodes)
    weight = nodes[0].weight.copy()  # type: ignore[union-attr]
    weight[2] = 0
    nodes[0] = replace(nodes[0], weight=weight)  # type: ignore[arg-type]
    program = build(replace(net, nodes=tuple(nodes)), numerics(config()))
    images, converters = shown(net, 3).images, exact(program)
    old = program.neuron_layers[0]
    assert isinstance(old, NeuronLayer)
    for chip in (weakened(0.7), replace(ERRORLESS, stuck=Stuck(on_rate=0.2))):
        real = on_real_chip(program, chip, {})
        found = channels(real, program, converters, images, T)
        new = recalibrated(real, found).neuron_layers[0]
        assert isinstance(new, NeuronLayer)
        assert new.threshold[2] == old.threshold[2]
        moved = -found["conv1"].mean[2] * 2.0 ** (old.left[2] - old.right[2])
        assert new.bias[2] == old.bias[2] + np.rint(moved)
        assert (chip.stuck == Stuck()) == (moved == 0)


def test_an_ideal_chip_stays_as_it_is_to_the_bit() -> None:
    net = network(5, residual=True)
    held_out = shown(net, 2)
    plain, said = (
        program_chip(net, config(**keys), held_out) for keys in ({}, {"neurons__calibrated_on": "chip"})
    )
    assert words(said[0]) == words(plain[0])
    assert said[0].numerics == plain[0].numerics
    assert not config(neurons__calibrated_on="chip").nonideal.active
    wanted, found = (run(program, shown(net, 1).images, T, adcs).outputs for program, adcs in (plain, said))
    assert np.array_equal(wanted, found)
    # Also through the arithmetic of real cells, and with all that mixed networks have.
    for other in (net, *(mixed_network(np.random.default_rng(seed), output="li") for seed in range(4))):
        program = build(other, numerics(config()))
        held = on_real_chip(program, replace(ERRORLESS, neurons_recalibrated=True), {})
        images = shown(other, 2).images
        assert words(mended(held, program, exact(program), images)) == words(program)


def test_class_outputs_stay() -> None:
    for output in ("linear", "lif", "li"):
        net = mixed_network(np.random.default_rng(1), output=output)
        program = build(net, numerics(config()))
        real = on_real_chip(program, weakened(0.7), {})
        found = mended(real, program, exact(program), shown(net, 2).images)
        assert found.steps[-1] is real.steps[-1]
        assert words(found) != words(program)


def test_results_do_not_depend_on_workers_and_seeds_draw_chips() -> None:
    net = network(6, residual=True)
    erring = config(variation__sigma=0.3, read_noise__sigma=0.02, neurons__calibrated_on="chip")
    held_out = shown(net, 4, 21)

    def made(seed: int, number: int, workers: int) -> list[list[Any]]:
        return words(program_chip(net, erring, held_out, seed, number, workers)[0])

    one = made(1, 0, 1)
    assert one == made(1, 0, 2) == made(1, 0, 3) == made(1, 0, 8)
    others = [made(1, 1, 2), made(2, 0, 2), words(build(net, numerics(config())))]
    assert all(other != one for other in others)


def test_kept_statistics_make_the_same_chip(tmp_path: Path) -> None:
    """Runs are told apart by what calibration images make of the neurons, and of wires."""
    net = network(6)
    for errors in (
        {"variation__sigma": 0.2, "neurons__calibrated_on": "chip"},
        {"wires__bitline_ohm": 200.0, "wires__inactive": "gated"},
    ):
        erring = config(**errors)
        inputs = shown(net, 1)
        kept = CachedValues(tmp_path, "0" * 64, {inputs.sha256: LongestRun(inputs.sha256, T)})

        def outputs(values: Any, held_out: Inputs) -> NDArray[np.int64]:
            program, _ = program_chip(net, erring, held_out, 3, values=values)  # noqa: B023
            # The same scales, whatever the images.
            activity: Activity = values.activity(
                ActivityRequest(program, exact(program), inputs, T)  # noqa: B023
            )
            return activity.outputs

        dim = replace(shown(net, 5), images=shown(net, 5).images // 3)
        for held_out in (shown(net, 2), dim, shown(net, 2)):
            assert np.array_equal(outputs(kept, held_out), outputs(COMPUTED, held_out))
        assert kept.reused >= 1
        assert not np.array_equal(outputs(COMPUTED, dim), outputs(COMPUTED, shown(net, 2)))
    assert list(tmp_path.glob("channels-*.npz"))


# The default network


@cache
def right(**errors: Any) -> NDArray[np.float64]:
    """Accuracy after each timestep."""
    net = imcsim.network.load("vgg7_cifar10")
    held_out, test = imcsim.inputs.load("cifar10_validation", 32), imcsim.inputs.load("cifar10_test", 100)
    program, converters = program_chip(net, config(**errors), held_out)
    named = predictions(run(program, test.images, 4, converters).outputs)
    share: NDArray[np.float64] = (named == test.labels[:, None]).mean(axis=0)
    return share


def test_it_mends_the_default_network_behind_wires() -> None:
    wires = {"wires__wordline_ohm": 25.0, "wires__bitline_ohm": 8.0, "wires__inactive": "gated"}
    plain, lost = right(), right(**wires)
    found = right(**wires, neurons__calibrated_on="chip")
    assert lost[-1] < plain[-1] - 0.1
    assert found[-1] > lost[-1] + 0.15


def test_it_mends_the_default_network_under_variation() -> None:
    lost, found = (right(variation__sigma=0.2, neurons__calibrated_on=on) for on in ("ideal", "chip"))
    assert found[-1] > lost[-1] + 0.1


def looped(seed: int = 3) -> Network:
    return recurrent_network(np.random.default_rng(seed))


def test_statistics_without_feedback_are_the_same_on_the_way_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole program is played for every step, which without feedback changes nothing."""
    net = network(6, residual=True)
    program = build(net, numerics(config()))
    images = shown(net, 9).images
    real = on_real_chip(program, weakened(0.7), {})
    wanted = channels(real, program, exact(program), images, T)
    monkeypatch.setattr(recalibration, "_moments", recalibration._moments_with_feedback)
    found = channels(real, program, exact(program), images, T)
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        for key in ("designed_mean", "designed_spread", "mean", "spread"):
            assert getattr(found[name], key) == pytest.approx(getattr(one, key), abs=1e-9, rel=1e-9)


def test_statistics_with_feedback_are_those_of_the_chip_so_far() -> None:
    """Sums of each layer on a chip whose earlier neurons are set anew, played apart; of the designed chip as
    it is.
    """
    net = looped()
    program = build(net, numerics(config()))
    assert program.feedback
    images = random_images(np.random.default_rng(8), net.input_shape, 5)
    real, converters = on_real_chip(program, weakened(0.7), {}), exact(program)
    found = channels(real, program, converters, images, T, 1)
    assert set(found) == set(measured_layers(program))
    so_far = {step.name: step for step in recalibrated(real, found).steps}
    for name, one in found.items():
        place = [step.name for step in real.steps].index(name)
        mixed = tuple(so_far[s.name] if k < place else s for k, s in enumerate(real.steps))
        for played, mean, spread in (
            (program, "designed_mean", "designed_spread"),
            (replace(real, steps=mixed), "mean", "spread"),
        ):
            sums = run(played, images, T, converters, record={name}).recorded[name]
            rows = sums.reshape(-1, sums.shape[-1]).astype(np.float64)
            assert getattr(one, mean) == pytest.approx(rows.mean(0), abs=1e-9, rel=1e-12)
            assert getattr(one, spread) == pytest.approx(rows.std(0), abs=1e-9, rel=1e-9)


def test_feedback_on_an_ideal_chip_stays_and_on_a_weak_one_is_mended() -> None:
    net = looped(5)
    program = build(net, numerics(config()))
    images = random_images(np.random.default_rng(8), net.input_shape, 8)
    held = on_real_chip(program, replace(ERRORLESS, neurons_recalibrated=True), {})
    assert words(mended(held, program, exact(program), images)) == words(program)
    real = on_real_chip(program, weakened(0.6), {})
    wanted = spikes(program, exact(program), images)

    def wrong(played: Program) -> float:
        found = spikes(played, exact(program), images)
        return float(np.mean([np.mean(found[name] != wanted[name]) for name in wanted]))

    anew = mended(real, program, exact(program), images)
    assert words(anew) == words(recalibrated(real, channels(real, program, exact(program), images, T, 3)))
    assert wrong(anew) < wrong(real) / 2
