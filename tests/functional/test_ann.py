"""Networks of activations: values against an integer implementation of its own, and torch's rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import naive
import numpy as np
import pytest
from ann import codes, random_ann
from networks import random_images

import imcsim.hardware
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import Drift
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal_chip import on_real_chip
from imcsim.functional.program.layers import ActivationLayer
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import Program, build
from imcsim.functional.recalibration import channels, recalibrated
from imcsim.functional.run import calibrated_converters, exact, run
from imcsim.network.graph import LI, LIF, Add, Conv2d, Delay, Flatten, Linear, Network, Node, Pool2d, Relu
from imcsim.simulation.chip import numerics

CHIP = numerics(imcsim.hardware.load("dtsnn_32nm").config)
EXACT = replace(CHIP, adc_bits=None)

KINDS: list[dict[str, Any]] = [
    {},
    {"average": True},
    {"residual": True, "depth": 3},
    {"residual": True, "depth": 3, "average": True, "weight_bits": 8},
]


def played(network: Network, images: Any, how: Numerics, record: set[str] | None = None) -> Any:
    program = build(network, how)
    converters = calibrated_converters(program, images[:4], 1)
    names = {"input", *(step.name for step in program.steps)} if record is None else record
    return program, converters, run(program, images, 1, converters, record=names)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [16, 8, 24])
def test_codes_are_those_of_integer_arithmetic(seed: int, kind: dict[str, Any], bits: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_ann(rng, **kind)
    images = random_images(rng, network.input_shape, 3)
    program, _, activity = played(network, images, replace(EXACT, rescale_bits=bits))
    expected = codes(network, images, bits)
    for node in network.nodes:
        if isinstance(node, Add):
            continue
        # [N, 1, H, W, C] against [N, C, H, W] or [N, K]
        found = activity.recorded[node.name][:, 0]
        flat = expected[node.name].ndim == 2
        found = found[:, 0, 0] if flat else found.transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(found, expected[node.name], node.name)
    scores = expected["fc"] * network.node("fc").scale * _worth(network) + network.node("fc").bias  # type: ignore[union-attr]
    counted = activity.outputs[:, 0] / 2.0**program.numerics.checker.fraction_bits
    np.testing.assert_allclose(counted, scores, atol=2.0**-7, rtol=2e-4)
    kept = [k for k, step in enumerate(program.neuron_layers) if isinstance(step, ActivationLayer)]
    for k in kept:
        above = np.count_nonzero(expected[program.neuron_layers[k].name], axis=(1, 2, 3))
        np.testing.assert_array_equal(activity.spikes[:, 0, k], above)


def _worth(network: Network) -> float:
    """What one count of the last layer's inputs is worth."""
    name, worth = "fc", 1.0
    while not isinstance(node := network.node(name), Relu):
        if isinstance(node, Pool2d) and node.kind == "average":
            worth /= node.size[0] * node.size[1]
        name = node.inputs[0]
    return worth * node.step


@pytest.mark.parametrize("kind", [{}, {"residual": True, "depth": 3}])
def test_reads_of_several_bits_with_a_real_converter(kind: dict[str, Any]) -> None:
    """Every layer's sums are those of naive bit-serial reads of the codes before it, rounded and clipped."""
    rng = np.random.default_rng(5)
    network = random_ann(rng, bits=(2, 5), **kind)
    images = random_images(rng, network.input_shape, 2)
    program, converters, activity = played(network, images, replace(CHIP, rows=16, adc_bits=3))
    for k, layer in enumerate(program.crossbar_layers):
        values = np.ascontiguousarray(activity.recorded[layer.source][:, 0])
        reads = naive.crossbar_reads(
            values,
            layer.planes,
            layer.layout,
            layer.crossbars.levels,
            layer.crossbars.factor,
            layer.crossbars.offset,
            converters.shift[layer.name],
            converters.largest_code,
            layer.stride,
            layer.padding,
        )
        np.testing.assert_array_equal(activity.recorded[layer.name][:, 0], reads.sums)
        np.testing.assert_array_equal(activity.active_rows[:, 0, k], reads.active_rows)


def test_ideal_numerics_give_torch_its_own_rounding() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    network = random_ann(rng, bits=(4, 4), weight_bits=8)
    images = random_images(rng, network.input_shape, 4)
    _, _, activity = played(network, images, CHIP.ideal())
    x = torch.from_numpy(images).double() * network.input_scale
    for node in network.nodes:
        match node:
            case Conv2d():
                weight = torch.from_numpy(node.weight.astype(np.float64) * node.scale[:, None, None, None])
                x = torch.nn.functional.conv2d(x, weight, torch.from_numpy(node.bias), 1, node.padding)
            case Relu():
                # Quantised as a framework does it: scale, zero point 0, an unsigned range.
                x = torch.fake_quantize_per_tensor_affine(x.float(), node.step, 0, 0, node.top).double()
                found = activity.recorded[node.name][:, 0].transpose(0, 3, 1, 2)
                np.testing.assert_array_equal(found, (x / node.step).round().numpy())
            case Pool2d():
                x = torch.nn.functional.max_pool2d(x, node.size)
            case Flatten():
                break


def test_pooled_currents_become_activations() -> None:
    """A pool between weights and activations, averages with padding among them."""
    rng = np.random.default_rng(2)
    weight = rng.integers(-7, 8, (4, 2, 3, 3)).astype(np.int8)
    scale, bias = np.full(4, 0.01), np.array([0.1, -0.2, 0.3, 0.05])
    images = random_images(rng, (2, 8, 8), 2)
    for kind, padding in (("max", 0), ("average", 0), ("average", 1), ("sum", 1)):
        network = Network("pooled", (2, 8, 8), 8, 1 / 255, 3, 1, 4, (
            Conv2d("conv", ("input",), weight, scale, bias, padding=(1, 1)),
            Pool2d("pool", ("conv",), kind, (2, 2), (2, 2), (padding, padding)),  # type: ignore[arg-type]
            Relu("relu", ("pool",), 5, 0.03),
            Flatten("flat", ("relu",)),
            Linear("fc", ("flat",), np.ones((3, 4 * (4 + padding) ** 2), np.int8), np.ones(3), np.zeros(3)),
        ))  # fmt: skip
        imcsim.network.validate(network)
        _, _, activity = played(network, images, CHIP.ideal())
        sums = codes(replace(network, nodes=network.nodes[:1]), images, 16)["conv"]
        current = sums * 0.01 / 255 + bias[:, None, None]
        fill = -np.inf if kind == "max" else 0.0
        around = ((0, 0), (0, 0), (padding, padding), (padding, padding))
        framed = np.pad(current, around, constant_values=fill)
        windows = framed.reshape(2, 4, 4 + padding, 2, 4 + padding, 2)
        pooled = {"max": np.max, "average": np.mean, "sum": np.sum}[kind](windows, axis=(3, 5))
        expected = np.clip(np.floor(pooled / 0.03 + 0.5), 0, 31)
        np.testing.assert_array_equal(activity.recorded["relu"][:, 0].transpose(0, 3, 1, 2), expected)


def test_saved_and_loaded(tmp_path: Any) -> None:
    network = random_ann(np.random.default_rng(1), residual=True, depth=3)
    imcsim.network.save(network, tmp_path / "ann")
    loaded = imcsim.network.load(tmp_path / "ann")
    assert [n for n in loaded.nodes if isinstance(n, Relu)] == [] or loaded.is_ann
    for one, other in zip(network.nodes, loaded.nodes, strict=True):
        if isinstance(one, Relu):
            assert isinstance(other, Relu)
            assert (one.bits, one.step) == (other.bits, other.step)


def _broken(change: Any) -> Network:
    network = random_ann(np.random.default_rng(1))
    nodes: list[Node] = list(network.nodes)
    at = next(k for k, node in enumerate(nodes) if isinstance(node, Relu))
    return change(network, nodes, at)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda n, nodes, k: replace(n, timesteps=4), "has one timestep"),
        (lambda n, nodes, k: _swap(n, k, replace(n.nodes[k], bits=9)), "bits must be an integer from 1 to 8"),
        (lambda n, nodes, k: _swap(n, k, replace(n.nodes[k], step=0.0)), "step must be a positive number"),
        (
            lambda n, nodes, k: _swap(n, k, LIF(n.nodes[k].name, n.nodes[k].inputs, 0.5, 1.0, "hard")),
            "a lif node in a network of activations",
        ),
        (lambda n, nodes, k: replace(n, nodes=(*n.nodes, LI("end", ("fc",), 0.5))), "a li node in a network"),
        (
            lambda n, nodes, k: replace(n, nodes=(*n.nodes, Relu("end", ("fc",), 4, 0.5))),
            "the last node is a relu",
        ),
        (
            lambda n, nodes, k: replace(n, nodes=(*n.nodes[:-1], Delay("late", ("flatten",)), n.nodes[-1])),
            "a delay node in a network of activations",
        ),
    ],
)
def test_what_activations_do_not_go_with(change: Any, says: str) -> None:
    messages = [problem.message for problem in imcsim.network.problems(_broken(change))]
    assert any(says in message for message in messages), messages


def _swap(network: Network, at: int, node: Node) -> Network:
    return replace(network, nodes=(*network.nodes[:at], node, *network.nodes[at + 1 :]))


def test_averages_of_eight_bits_are_refused() -> None:
    network = random_ann(np.random.default_rng(1), average=True)
    wide = tuple(replace(n, bits=8) if isinstance(n, Relu) else n for n in network.nodes)
    with pytest.raises(ImcsimError, match="an input of 8 bits holds 255"):
        imcsim.network.validate(replace(network, nodes=wide))


def test_a_program_has_no_membranes_of_them() -> None:
    program: Program = build(random_ann(np.random.default_rng(3)), CHIP)
    layers = [step for step in program.neuron_layers if isinstance(step, ActivationLayer)]
    assert len(layers) == len(program.neuron_layers) == 2
    for layer in layers:
        # The multiplier has the bits that the chip's has.
        assert (layer.multiplier >= 1 << 15).all()
        assert (layer.multiplier <= 1 << 16).all()


@pytest.mark.parametrize("residual", [False, True])
def test_cells_that_conduct_half_as_much_give_the_same_codes_again(residual: bool) -> None:
    """Sums are exactly half of what they were to be: recalibration doubles all multipliers."""
    rng = np.random.default_rng(4)
    network = random_ann(rng, residual=residual, depth=3, bits=(3, 5), channels=8)
    nodes = [
        replace(node, weight=node.weight // 2 * 2) if isinstance(node, Conv2d | Linear) else node
        for node in network.nodes
    ]
    program = build(replace(network, nodes=tuple(nodes)), replace(EXACT, encoding="differential"))
    images, converters = random_images(rng, network.input_shape, 12), exact(program)
    drift = Drift(exponent=1.0, exponent_sigma=0.0, time_s=2.0, reference_time_s=1.0)
    real = on_real_chip(program, replace(DrawnChip(0, 0, 15, 64, 8), drift=drift), {})
    mended = recalibrated(real, channels(real, program, converters, images, 1, 1))
    names = [step.name for step in program.steps if isinstance(step, ActivationLayer)]
    wanted, lost, again = (
        run(one, images, 1, converters, workers=1, record=names).recorded for one in (program, real, mended)
    )
    for name in names:
        assert wanted[name].max() > 1
        # A code that lies on a rounding edge may move by one, as a mean is no whole number.
        assert np.abs(again[name].astype(int) - wanted[name]).max() <= 1
        assert (again[name] != wanted[name]).mean() < 0.01 < 0.2 < (lost[name] != wanted[name]).mean()
