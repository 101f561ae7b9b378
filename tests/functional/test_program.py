"""Lowering to integers: what the words mean, and that nothing overflows in silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import networks
import numpy as np
import pytest
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.exits.numerics import CheckerNumerics
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import build
from imcsim.functional.run import ideal_converters, run
from imcsim.network import validate
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network

CHIP = Numerics(64, "im2col", "offset", 4, 14, "ideal", 100.0, 48)


def one_neuron(
    scale: float = 1.0,
    bias: float = 0.0,
    threshold: float = 1.0,
    *,
    inputs: int = 4,
    weight: int = 1,
    weight_bits: int = 8,
    out_scale: float = 1.0,
    out_bias: float = 0.0,
    leak: float = 0.5,
    reset: Literal["hard", "soft"] = "hard",
) -> Network:
    """A neuron over `inputs` pixels of equal weight, and two classes that read it with weights 1 and -1."""
    kind = np.int8 if weight_bits <= 8 else np.int16
    row = np.full((1, inputs, 1, 1), weight, kind)
    ends = np.array([[1], [-1]], kind)
    network = Network(
        "one", (inputs, 1, 1), 8, 1.0, 2, 4, weight_bits,
        (
            Conv2d("conv", (INPUT,), row, np.array([scale]), np.array([bias])),
            LIF("lif", ("conv",), leak, threshold, reset),
            Flatten("flatten", ("lif",)),
            Linear("fc", ("flatten",), ends, np.full(2, out_scale), np.full(2, out_bias)),
        ),
    )  # fmt: skip
    validate(network)
    return network


def spikes(network: Network, chip: Numerics, *pixels: int, timesteps: int = 4) -> list[list[int]]:
    """Spikes a timestep for images whose pixels all have one of the values `pixels`."""
    program = build(network, chip)
    images = np.repeat(np.array(pixels, np.uint8), network.input_shape[0]).reshape(-1, *network.input_shape)
    found = run(program, images, timesteps, ideal_converters(program), workers=1).spikes[:, :, 0]
    return [[int(s) for s in row] for row in found]


def expected(network: Network, *pixels: int, timesteps: int = 4) -> list[list[int]]:
    """The same from the equations of the graph, in float64."""
    images = np.repeat(np.array(pixels, np.uint8), network.input_shape[0]).reshape(-1, *network.input_shape)
    values = networks.forward(network, images, timesteps)["lif"]
    return [[int(s) for s in row] for row in values.reshape(timesteps, -1).T]


@pytest.mark.parametrize("membrane_bits", [8, 12, 16, 32, 48])
@pytest.mark.parametrize("power", [-900, -100, -60, -30, -8, 0, 6, 12, 17])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_scales_from_tiny_to_large(membrane_bits: int, power: int, reset: Any) -> None:
    """Scale, bias and threshold by one common factor change nothing; nor does the smallest of worlds."""
    factor = 2.0**power
    network = one_neuron(2.0**-10 * factor, 0.25 * factor, factor, reset=reset)
    chip = replace(CHIP, membrane_bits=membrane_bits)
    # Currents of 4 pixels: 0.25, 0.31, 0.54, 1.03, 1.25.
    pixels = (0, 15, 75, 200, 255)
    assert spikes(network, chip, *pixels) == expected(network, *pixels)


@pytest.mark.parametrize("power", [-1000, -300, -60, -40, -36])
@pytest.mark.parametrize("membrane_bits", [8, 16, 48])
def test_dead_channels_follow_their_bias(power: int, membrane_bits: int) -> None:
    """A channel whose weights have no weight: the bias alone decides, whatever the digital sums."""
    chip = replace(CHIP, membrane_bits=membrane_bits)
    for bias, wanted in ((0.0, [0] * 4), (0.625, [0, 0, 1, 0]), (1.5, [1] * 4), (-3.0, [0] * 4)):
        network = one_neuron(2.0**power, bias, leak=1.0 if bias != 0.625 else 0.5, inputs=300, weight=127)
        assert spikes(network, chip, 255, 0) == expected(network, 255, 0)
        if bias != 0.625:
            assert spikes(network, chip, 255) == [wanted]


@pytest.mark.parametrize("ratio", [-1.0, -5.0, -60.0, -3000.0])
@pytest.mark.parametrize("membrane_bits", [12, 16, 48])
def test_large_negative_biases(ratio: float, membrane_bits: int) -> None:
    """The current that lifts a neuron over its bias and threshold is the one of the equations."""
    full = 4 * 255
    network = one_neuron((1.5 - ratio) / full, ratio, leak=0.0)
    pixels = (0, 100, 200, 255)
    wanted = expected(network, *pixels)
    assert wanted[-1] == [1] * 4
    assert wanted[-2] == [0] * 4 or ratio == -1.0
    assert spikes(network, replace(CHIP, membrane_bits=membrane_bits), *pixels) == wanted


@pytest.mark.parametrize("encoding", ["offset", "differential", "twos_complement"])
@pytest.mark.parametrize("cell_bits", [1, 3, 8])
@pytest.mark.parametrize("adc_bits", [None, 14])
def test_widest_words(encoding: Any, cell_bits: int, adc_bits: int | None) -> None:
    """16-bit weights, 8-bit pixels, 48-bit membranes and a 14-bit converter, all at their ends."""
    chip = replace(CHIP, encoding=encoding, cell_bits=cell_bits, adc_bits=adc_bits, rows=1024)
    for weight in (32767, -32767):
        full = 2000 * 32767 * 255
        network = one_neuron(
            2.0 / full, 1.5 if weight < 0 else -0.5, inputs=2000, weight=weight, weight_bits=16, leak=1.0
        )
        program = build(network, chip)
        images = np.full((1, 2000, 1, 1), 255, np.uint8)
        activity = run(program, images, 3, ideal_converters(program), workers=1, record={"conv"})
        # Rounding of the 14-bit converter: at most half a step of a block's full scale in 2**14 - 1.
        full_scale = 1024 * (2**cell_bits - 1)
        tolerance = 0 if adc_bits is None else 2 * full_scale / (2**14 - 1) / 255
        found = int(activity.recorded["conv"][0, 0, 0, 0, 0])
        assert abs(found / (2000 * weight * 255) - 1) <= tolerance
        # Currents: 1.5 each timestep; or 1.5 - 2 = -0.5.
        assert activity.spikes[0, :, 0].tolist() == ([1, 1, 1] if weight > 0 else [0, 0, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 2.0**30}, "thresholds"),
        ({"scale": 1e-308, "threshold": 1e10}, "too large for the scale"),
        ({"scale": 1e-300, "bias": -1e200}, "too large for the scale"),
        ({"bias": -1e30}, "60 bits"),
        ({"bias": 2.0**60}, "60 bits"),
        ({"out_scale": 1e30}, "class outputs"),
        ({"out_scale": 2.0**40}, "class outputs"),
        ({"out_bias": -1e12}, "class outputs"),
    ],
)
def test_what_would_overflow_is_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(ImcsimError, match=words) as caught:
        build(one_neuron(**change), CHIP)  # type: ignore[arg-type]
    assert caught.value.key in {"conv", "lif", "fc"}


def test_a_scale_that_underflows_is_refused() -> None:
    network = replace(one_neuron(1e-200), input_scale=1e-200)
    with pytest.raises(ImcsimError, match="too large for the scale"):
        build(network, CHIP)


def test_wide_sums_and_fractions_together_are_refused() -> None:
    """2**16 pixels of 8 bits with 16-bit weights may reach 2**41; 20 more bits are too many."""
    network = one_neuron(1.0, inputs=2**16, weight_bits=16)
    with pytest.raises(ImcsimError, match="60 bits"):
        build(network, replace(CHIP, cell_bits=8))
    build(network, replace(CHIP, cell_bits=8, membrane_bits=8))


def shortcut(scale: float, side: float, add: float, *, direct: bool) -> Network:
    """A residual addition of a convolution of `scale` and another of `side`, or spikes worth `add`."""
    weight = np.full((1, 1, 1, 1), 100, np.int8)
    one, zero = np.ones(1), np.zeros(1)
    network = Network(
        "shortcut", (1, 1, 1), 8, 2.0**-8, 2, 4, 8,
        (
            Conv2d("c1", (INPUT,), weight, one * 2.0**-6, zero),
            LIF("l1", ("c1",), 0.5, 1.0, "hard"),
            Conv2d("c2", ("l1",), weight, one * scale, zero),
            Conv2d("s", ("l1",), weight, one * side, zero),
            Add("add", ("c2", "l1" if direct else "s"), add),
            LIF("lif", ("add",), 0.5, 1.0, "hard"),
            Flatten("flatten", ("lif",)),
            Linear("fc", ("flatten",), np.array([[1], [-1]], np.int8), np.ones(2), np.zeros(2)),
        ),
    )  # fmt: skip
    if direct:
        network = replace(network, nodes=tuple(n for n in network.nodes if n.name != "s"))
    validate(network)
    return network


@pytest.mark.parametrize("membrane_bits", [8, 16, 48])
@pytest.mark.parametrize("power", [-200, -40, -20, -14, -8])
def test_branches_of_unlike_scales(membrane_bits: int, power: int) -> None:
    """Either branch may be far smaller than the other; the larger one still makes the neuron fire."""
    chip = replace(CHIP, membrane_bits=membrane_bits)
    image = np.full((1, 1, 1, 1), 255, np.uint8)
    for scales in ((2.0**-6, 2.0**power), (2.0**power, 2.0**-6)):
        network = shortcut(*scales, 1.0, direct=False)
        program = build(network, chip)
        found = run(program, image, 4, ideal_converters(program), workers=1).spikes[0, :, 1]
        real = networks.forward(network, image, 4)["lif"].ravel()
        assert found.tolist() == real.tolist()
        assert found.any()


def test_branches_too_far_apart_for_a_word_are_refused() -> None:
    with pytest.raises(ImcsimError, match="branch"):
        build(shortcut(1.0 / 64, 1e18, 1.0, direct=False), CHIP)
    with pytest.raises(ImcsimError, match="branch"):
        build(shortcut(1.0 / 64, 1.0, 1e300, direct=True), CHIP)


def test_small_shortcuts_of_many_inputs_are_kept() -> None:
    """A side branch of 16-bit weights adds up small counts to a whole threshold, at 8-bit membranes too."""
    inner = 512
    weight = np.full((1, inner, 1, 1), 32767, np.int16)
    side = 1.25 / (inner * 32767)
    ones = np.ones(1)
    network = Network(
        "many", (1, 1, 1), 8, 2.0**-8, 2, 2, 16,
        (
            Conv2d("c1", (INPUT,), np.ones((inner, 1, 1, 1), np.int16), np.full(inner, 2.0), np.zeros(inner)),
            LIF("l1", ("c1",), 0.5, 1.0, "hard"),
            Conv2d("c2", ("l1",), weight // 32767, ones * 2.0**-20, ones * 0),
            Conv2d("s", ("l1",), weight, ones * side, ones * 0),
            Add("add", ("c2", "s"), 1.0),
            LIF("lif", ("add",), 0.5, 1.0, "hard"),
            Flatten("flatten", ("lif",)),
            Linear("fc", ("flatten",), np.array([[1], [-1]], np.int16), np.ones(2), np.zeros(2)),
        ),
    )  # fmt: skip
    validate(network)
    image: NDArray[np.uint8] = np.full((1, 1, 1, 1), 255, np.uint8)
    assert networks.forward(network, image, 2)["lif"].ravel().tolist() == [1, 1]
    for membrane_bits in (8, 12, 16):
        program = build(network, replace(CHIP, membrane_bits=membrane_bits, adc_bits=None))
        found = run(program, image, 2, ideal_converters(program), workers=1).spikes[0, :, 1]
        assert found.tolist() == [1, 1], membrane_bits


@pytest.mark.parametrize("membrane_bits", [8, 12, 16, 24, 48])
def test_thresholds_leave_four_times_their_size(membrane_bits: int) -> None:
    """And use the membrane: the threshold is above an eighth of the range, or has all fractional bits."""
    rng = np.random.default_rng(membrane_bits)
    network = networks.random_network(rng, depth=3, weight_bits=8)
    for step in build(network, replace(CHIP, membrane_bits=membrane_bits)).neuron_layers:
        limit = 2 ** (membrane_bits - 1) - 1
        assert step.limit == limit
        assert (4 * step.threshold <= limit + 2).all()
        assert ((8 * step.threshold >= limit - 4) | (step.left == 20)).all()
        assert not (step.left * step.right).any()


@pytest.mark.parametrize(("leak", "word"), [(0.0, 0), (0.5, 2**14), (1.0, 2**15), (0.3, 9830)])
def test_leak_words(leak: float, word: int) -> None:
    (step,) = build(one_neuron(2.0**-10, leak=leak), CHIP).neuron_layers
    assert step.leak.tolist() == [word]


def test_class_outputs_of_tiny_scale() -> None:
    """They are the bias, and the multiplier does not overflow on the way."""
    network = one_neuron(2.0**-9, out_scale=1e-300, out_bias=0.5)
    program = build(network, replace(CHIP, checker=CheckerNumerics(fraction_bits=16)))
    activity = run(program, np.full((1, 4, 1, 1), 255, np.uint8), 2, ideal_converters(program), workers=1)
    assert activity.outputs.tolist() == [[[2**15] * 2] * 2]
