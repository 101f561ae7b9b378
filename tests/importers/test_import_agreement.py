"""Float against quantised: networks on an integer grid agree in every spike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from imcsim import hardware as chips
from imcsim.functional.program.program import build
from imcsim.importers.importing import float_run
from imcsim.importers.importing.agreement import Agreement, ComparedChip, agree
from imcsim.importers.importing.float_network import FloatNetwork, FloatWeights
from imcsim.importers.importing.float_run import run
from imcsim.importers.quantising.fixed_point import fixed_point
from imcsim.importers.quantising.quantise import quantise
from imcsim.inputs import Inputs
from imcsim.network.graph import LI, LIF, Add, Delay, Flatten, Network, Pool2d
from imcsim.simulation.chip import numerics, program_chip

CHIP = chips.load("dtsnn_32nm")
NUMERICS = numerics(CHIP.config)


def agreed(real: FloatNetwork, network: Network, images: Inputs, *chip: ComparedChip) -> Agreement:
    return agree(real, network, images, build(network, NUMERICS.ideal()), *chip)


def inputs(
    rng: Any, network: FloatNetwork, count: int, *, timed: bool = False, labels: bool = True
) -> Inputs:
    shape = (count, network.timesteps, *network.input_shape) if timed else (count, *network.input_shape)
    images = rng.integers(0, 2**network.input_bits, shape).astype(np.uint8)
    given = rng.integers(0, network.classes, count) if labels else np.empty(0, np.int64)
    return Inputs(images, given, "random", "unknown", "0" * 64)


def network(rng: Any, *, grid: bool, last: str = "fc", reset: Any = "hard", at: Any = "now") -> FloatNetwork:
    """Convolution, residual block with strided shortcut, pool, classifier."""

    def weights(name: str, source: str, *shape: int, **about: Any) -> FloatWeights:
        weight = rng.integers(-7, 8, shape).astype(np.float64)
        if not grid:
            weight = weight + rng.normal(0, 0.5, shape)
        scale = np.full(shape[0], 2.0**-4)
        bias = rng.integers(-4, 9, shape[0]) / 16.0
        return FloatWeights(name, (source,), weight, scale, bias, **about)

    def lif(name: str, source: str, **about: Any) -> LIF:
        leak = rng.choice([0.5, 0.75, 0.25], 6)
        return LIF(name, (source,), leak if name != "out" else 0.5, 1.0, reset, "at", at, **about)

    nodes: list[Any] = [
        weights("conv1", "input", 6, 2, 3, 3, padding=(1, 1)),
        lif("lif1", "conv1"),
        weights("conv2", "lif1", 6, 3, 3, 3, padding=(2, 2), dilation=(2, 2), groups=2),
        Add("add", ("conv2", "lif1"), 0.5),
        lif("lif2", "add", synapse=0.5),
        Pool2d("pool", ("lif2",), "average", (2, 2), (2, 2)),
        weights("conv3", "pool", 6, 6, 3, 3, padding=(1, 1), stride=(2, 2)),
        weights("short", "lif2", 6, 6, 1, 1, stride=(4, 4)),
        Add("add3", ("conv3", "short")),
        lif("lif3", "add3"),
        Flatten("flat", ("lif3",)),
        weights("fc", "flat", 5, 24),
    ]
    if last == "lif":
        nodes.append(lif("out", "fc"))
    if last == "li":
        nodes.append(LI("out", ("fc",), 0.5))
    return FloatNetwork("net", (2, 8, 8), 8, 2.0**-7, 5, 4, tuple(nodes))


@pytest.mark.parametrize("last", ["fc", "lif", "li"])
@pytest.mark.parametrize(("reset", "at"), [("hard", "now"), ("soft", "next")])
def test_networks_on_the_grid_agree_in_every_spike(last: str, reset: str, at: str) -> None:
    rng = np.random.default_rng(1)
    real = network(rng, grid=True, last=last, reset=reset, at=at)
    images = inputs(rng, real, 20)
    found = agreed(real, quantise(real, 4), images)
    assert [layer.equal for layer in found.ideal.layers] == [1.0] * (4 if last == "lif" else 3)
    assert all(0 < layer.rate == layer.float_rate < 1 for layer in found.ideal.layers)
    assert found.ideal.same_prediction == (1.0,) * 4
    assert found.ideal.accuracy == found.float_accuracy


def test_timed_inputs() -> None:
    rng = np.random.default_rng(2)
    real = network(rng, grid=True)
    images = inputs(rng, real, 6, timed=True, labels=False)
    found = agreed(real, quantise(real, 4), images)
    assert [layer.equal for layer in found.ideal.layers] == [1.0] * 3
    assert found.float_accuracy is None
    assert found.provenance() is None


def test_rates_shares_and_intervals_are_those_of_the_runs() -> None:
    """Ordinary weights at 3 bits: some spikes differ; the figures follow from the spikes of both runs."""
    from imcsim.functional.program.program import build
    from imcsim.functional.run import ideal_converters
    from imcsim.functional.run import run as run_program

    rng = np.random.default_rng(3)
    real = network(rng, grid=False)
    coarse = quantise(real, 3)
    images = inputs(rng, real, 37)
    found = agreed(real, coarse, images)
    floats = run(real, images.images, 4, record=["lif1", "lif2", "lif3"])
    program = build(coarse, NUMERICS.ideal())
    whole = run_program(program, images.images, 4, ideal_converters(program), record={"lif1", "lif2", "lif3"})
    for layer in found.ideal.layers:
        spikes = whole.recorded[layer.name].transpose(0, 1, 4, 2, 3)
        wanted = floats.spikes[layer.name]
        assert layer.equal == (spikes == wanted).mean() < 1
        assert layer.rate == spikes.mean()
        assert layer.float_rate == wanted.mean()
    named = floats.outputs.cumsum(1).argmax(2)
    coarse_named = whole.outputs.cumsum(1).argmax(2)
    assert found.ideal.same_prediction == tuple((named == coarse_named).mean(0))
    right = (named == images.labels[:, None]).mean(0)
    assert found.float_accuracy is not None
    assert found.float_accuracy.per_timestep == tuple(right)
    low, high = np.array(found.float_accuracy.low), np.array(found.float_accuracy.high)
    assert ((low < right) & (right < high)).all()
    about = found.provenance()
    assert about is not None
    assert about["images"] == 37
    assert about["quantised_per_timestep"] == list((coarse_named == images.labels[:, None]).mean(0))


def test_a_chip_is_played_beside_the_ideal_one() -> None:
    rng = np.random.default_rng(4)
    real = network(rng, grid=True)
    images = inputs(rng, real, 8)
    chip = ComparedChip(CHIP.name, lambda network, shown: program_chip(network, CHIP.config, shown))
    found = agreed(real, quantise(real, 4), images, chip)
    assert found.chip is not None
    assert found.chip.hardware == "dtsnn_32nm"
    assert all(layer.equal > 0.8 for layer in found.chip.layers)


def test_a_chip_with_errors_is_played_with_them() -> None:
    """Its cells and the noise of each image are those of a run on the same chip."""
    from imcsim.exits.outputs import predictions
    from imcsim.functional.run import run as run_program

    rng = np.random.default_rng(6)
    real = network(rng, grid=True)
    coarse, images = quantise(real, 4), inputs(rng, real, 40)
    keys = {"nonideal.variation.sigma": 0.4, "nonideal.read_noise.sigma": 0.1}
    erring = chips.load("dtsnn_32nm", keys).config

    def on_chip(config: Any, seed: int) -> Any:
        chip = ComparedChip("c", lambda network, shown: program_chip(network, config, shown, seed), seed)
        return agreed(real, coarse, images, chip).chip

    found, plain = on_chip(erring, 3), on_chip(CHIP.config, 3)
    assert found.seed == 3
    assert all(a.equal < b.equal for a, b in zip(found.layers, plain.layers, strict=True))
    assert found == on_chip(erring, 3) != on_chip(erring, 4)
    program, converters = program_chip(coarse, erring, images, 3)
    named = predictions(run_program(program, images.images, 4, converters).outputs)
    assert found.accuracy.per_timestep == tuple((named == images.labels[:, None]).mean(0))


def test_words_of_the_chip() -> None:
    """Rounding of thresholds, biases and leaks against their definition: half a last bit at most."""
    rng = np.random.default_rng(5)
    real = network(rng, grid=False, last="lif")
    coarse = quantise(real, 8)
    words = {word.name: word for word in fixed_point(coarse, NUMERICS)}
    assert set(words) == {"lif1", "lif2", "lif3", "out"}
    for word in words.values():
        assert word.membrane_bits == CHIP.config.lif.membrane_bits
        assert word.leak_fraction_bits == 15
        assert word.leak_error == 0
        assert word.threshold_error is not None
        assert 0 < word.threshold_error < 2.0**-10
    node = next(n for n in coarse.weighted if n.name == "fc")
    counts = 1.0 / node.scale * 2.0 ** np.array(words["out"].fraction_bits[0])
    assert words["out"].threshold_error <= 0.5 / counts.min()  # type: ignore[operator]


def delayed(rng: Any) -> FloatNetwork:
    """A delay ahead of a layer, neurons whose spikes come back two timesteps later, and an integrator."""

    def weights(name: str, source: str, *shape: int) -> FloatWeights:
        weight = rng.integers(-7, 8, shape).astype(np.float64)
        return FloatWeights(name, (source,), weight, np.full(shape[0], 2.0**-3), np.full(shape[0], 0.25))

    nodes: list[Any] = [
        weights("fc1", "input", 6, 8),
        LIF("lif1", ("fc1",), 0.5, 1.0, "soft", "at", "next"),
        Delay("late", ("lif1",), 3),
        weights("fc2", "late", 6, 6),
        Delay("back", ("lif2",), 2),
        weights("rec", "back", 6, 6),
        Add("add", ("fc2", "rec")),
        LIF("lif2", ("add",), 0.75, 1.0, "hard", "at", "now", 0.5),
        weights("fc3", "lif2", 5, 6),
        LI("out", ("fc3",), 0.5),
    ]
    return FloatNetwork("net", (8, 1, 1), 2, 0.25, 5, 40, tuple(nodes))


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("make", ["delayed", "network"])
def test_blocks_of_timesteps_are_the_whole_run(
    make: str, timed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What neurons and delays hold goes over from block to block; so do sums of class outputs."""
    rng = np.random.default_rng(4)
    real = delayed(rng) if make == "delayed" else replace(network(rng, grid=True, last="li"), timesteps=40)
    images = inputs(rng, real, 3, timed=timed)
    integers = quantise(real, 4)
    whole = agreed(real, integers, images)
    together = list(float_run.walk(real, images.images, 40))
    size = sum(value.nbytes for value in together[0].values())
    monkeypatch.setattr(float_run, "CHUNK_BYTES", size // 6)
    blocks = list(float_run.walk_blocks(real, images.images, 40))
    assert len(blocks) > 3 * 5
    for block in blocks:
        played = float_run.run(real, images.images[block.images], 40, record=["lif1", "lif2"])
        for name, spikes in played.spikes.items():
            np.testing.assert_array_equal(block.values[name], spikes[:, block.timesteps])
    assert all(layer.rate > 0 for layer in whole.ideal.layers)
    assert agreed(real, integers, images) == whole
