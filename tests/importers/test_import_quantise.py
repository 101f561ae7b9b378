"""Quantisation: error bounds, grids, the three ways to choose scales, and integers that pass through."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imcsim.base.errors import ImcsimError
from imcsim.importers.importing.float_network import FloatNetwork, FloatWeights
from imcsim.importers.importing.float_run import walk
from imcsim.importers.quantising.quantise import quantise, quantise_layers, sample_windows
from imcsim.importers.quantising.scales import choose, error, largest_integer, on_grid, rounded
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear

BITS = st.integers(2, 16)
NUMBERS = st.floats(-4, 4, width=32).map(lambda v: 0.0 if abs(v) < 1e-6 else v)
MATRICES = arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(1, 9)), elements=NUMBERS)


def linear_network(
    weight: Any, scale: Any = None, *, integer: bool = False, bias: Any = None
) -> FloatNetwork:
    outer, inner = weight.shape
    scale = np.ones(outer) if scale is None else scale
    bias = np.zeros(outer) if bias is None else bias
    fc = FloatWeights("fc", (INPUT,), weight.astype(np.float64), scale, bias, integer=integer)
    out = LIF("out", ("fc",), 0.5, 1.0, "hard")
    return FloatNetwork("net", (inner, 1, 1), 8, 2.0**-8, max(outer, 2), 2, (fc, out))


@given(MATRICES, BITS)
@settings(max_examples=60, deadline=None)
def test_rounding_is_off_by_half_a_step_at_most(weight: Any, bits: int) -> None:
    scale = np.nan_to_num(choose(weight, bits, "max"), nan=1.0)
    integers = rounded(weight, scale, bits)
    assert np.abs(integers).max(initial=0) <= largest_integer(bits)
    assert (np.abs(weight - scale[:, None] * integers) <= 0.5 * scale[:, None] * (1 + 1e-9)).all()


@given(MATRICES, BITS, st.booleans(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_mse_is_never_worse_than_max_on_its_own_measure(
    weight: Any, bits: int, with_inputs: bool, seed: int
) -> None:
    inputs = np.random.default_rng(seed).normal(size=(20, weight.shape[1])) if with_inputs else None
    by_max = np.nan_to_num(choose(weight, bits, "max"), nan=1.0)
    by_mse = np.nan_to_num(choose(weight, bits, "mse", inputs=inputs), nan=1.0)
    assert (error(weight, by_mse, bits, inputs) <= error(weight, by_max, bits, inputs)).all()


def test_mse_looks_at_what_the_inputs_drive() -> None:
    """One large weight that no input drives does not spoil the small ones."""
    rng = np.random.default_rng(1)
    weight = np.concatenate([rng.normal(0, 0.1, (1, 20)), [[10.0]]], axis=1)
    seen = np.concatenate([rng.random((50, 20)), np.zeros((50, 1))], axis=1)
    scale = choose(weight, 4, "mse", inputs=seen)
    assert scale < choose(weight, 4, "max")
    assert error(weight, scale, 4, seen) < error(weight, choose(weight, 4, "max"), 4, seen)
    # By its weights alone, the large one counts most.
    assert error(weight, choose(weight, 4, "mse"), 4) <= error(weight, scale, 4)


def test_percentile_clips_the_largest() -> None:
    weight = np.concatenate([np.full(999, 0.5), [8.0]])[None, :] * np.array([[1.0], [2.0]])
    assert choose(weight, 8, "percentile", 99.0) == pytest.approx(np.array([0.5, 1.0]) / 127)
    assert choose(weight, 8, "percentile", 100.0) == pytest.approx(np.array([8.0, 16.0]) / 127)
    sparse = np.zeros((1, 1000))
    sparse[0, 3] = 2.0  # the percentile is 0: the largest counts
    assert choose(sparse, 8, "percentile", 99.0) == pytest.approx(2.0 / 127)


@given(
    arrays(np.int64, st.tuples(st.integers(2, 4), st.integers(1, 12)), elements=st.integers(-127, 127)),
    st.integers(8, 16),
    st.integers(-12, 12),
)
@settings(max_examples=80, deadline=None)
def test_integers_and_binary_fractions_are_exact(integers: Any, bits: int, exponent: int) -> None:
    weight = integers * 2.0**exponent
    node = quantise(linear_network(weight), bits).node("fc")
    assert isinstance(node, Linear)
    np.testing.assert_array_equal(node.scale[:, None] * node.weight, weight)
    steps = np.log2(node.scale)
    np.testing.assert_array_equal(steps, np.round(steps))  # powers of two, so that thresholds stay exact


@given(
    arrays(np.int64, st.tuples(st.integers(2, 4), st.integers(2, 12)), elements=st.integers(-7, 7)),
    st.floats(1e-3, 10),
)
@settings(max_examples=60, deadline=None)
def test_networks_trained_with_quantised_weights_keep_their_integers(integers: Any, step: float) -> None:
    """Weights stored as float32 of integers times a step: found, to the rounding of float32."""
    weight = (integers * step).astype(np.float32).astype(np.float64)
    result = quantise_layers(linear_network(weight), 4)
    node = result.network.node("fc")
    assert isinstance(node, Linear)
    assert result.layers[0].exact == len(weight)
    np.testing.assert_allclose(node.scale[:, None] * node.weight, weight, rtol=2.0**-21, atol=0)


@given(MATRICES, st.integers(2, 8), st.sampled_from(["max", "mse"]))
@settings(max_examples=40, deadline=None)
def test_quantising_what_was_quantised_changes_nothing(weight: Any, bits: int, scales: Any) -> None:
    once = quantise(linear_network(weight), bits, scales).node("fc")
    assert isinstance(once, Linear)
    real = once.scale[:, None] * once.weight
    again = quantise(linear_network(real), bits, scales).node("fc")
    assert isinstance(again, Linear)
    np.testing.assert_allclose(again.scale[:, None] * again.weight, real, rtol=1e-6, atol=0)


def test_random_weights_are_on_no_grid() -> None:
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(64, 50)).astype(np.float32).astype(np.float64)
    for bits in (2, 8, 16):
        assert np.isnan(on_grid(weight, bits)).all()


def test_weights_beside_the_largest_number_are_on_no_grid() -> None:
    """Steps of the smallest numbers round to 0; no warning comes of dividing by them."""
    weight = np.array([[5e-324, 1e-323], [1.7e308, 5e-324]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        on_grid(weight, 8)


def test_integers_of_a_quantised_file_pass_through() -> None:
    rng = np.random.default_rng(3)
    integers, scale = rng.integers(-60, 61, (4, 9)), rng.random(4) + 0.1
    result = quantise_layers(linear_network(integers, scale, integer=True), 8)
    node = result.network.node("fc")
    assert isinstance(node, Linear)
    np.testing.assert_array_equal(node.weight, integers)
    np.testing.assert_array_equal(node.scale, scale)
    assert (result.layers[0].exact, result.layers[0].error) == (4, 0.0)
    with pytest.raises(ImcsimError, match=r"fc: its integer weights reach 6\d .*--weight-bits 7") as caught:
        quantise(linear_network(np.full((2, 2), 63), integer=True), 6)
    assert caught.value.key == "fc"
    with pytest.raises(ImcsimError, match="not integers"):
        quantise(linear_network(np.full((2, 2), 0.5), integer=True), 6)


def test_channels_of_zeros_take_the_scale_of_the_others() -> None:
    weight = np.array([[0.0, 0.0], [0.25, 0.5], [0.0, 0.0]])
    result = quantise_layers(linear_network(weight, bias=np.array([0.5, 0.0, -1.0])), 4)
    node = result.network.node("fc")
    assert isinstance(node, Linear)
    np.testing.assert_array_equal(node.scale, [0.25, 0.25, 0.25])
    assert (node.weight[[0, 2]] == 0).all()
    np.testing.assert_array_equal(node.bias, [0.5, 0.0, -1.0])
    assert result.layers[0].dead == 2
    assert (quantise_layers(linear_network(np.zeros((2, 2)))).layers[0].dead) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused_by_name(bad: float) -> None:
    with pytest.raises(ImcsimError, match="fc: its weights or biases hold NaN or infinity"):
        quantise(linear_network(np.array([[1.0, bad]])))
    with pytest.raises(ImcsimError, match="fc: its weights or biases"):
        quantise(linear_network(np.ones((1, 2)), bias=np.array([bad])))


@pytest.mark.parametrize(
    ("bits", "percentile", "key"), [(0, 99, "weight_bits"), (17, 99, "weight_bits"), (8, 10, "percentile")]
)
def test_settings_out_of_range(bits: int, percentile: float, key: str) -> None:
    with pytest.raises(ImcsimError) as caught:
        quantise(linear_network(np.ones((2, 2))), bits, "percentile", percentile)
    assert caught.value.key == key


def test_windows_are_what_the_kernel_sees() -> None:
    """Sampled windows times the kernel are currents of the layer, whatever stride, padding and dilation."""
    rng = np.random.default_rng(4)
    conv1 = FloatWeights(
        "conv1", (INPUT,), rng.normal(size=(4, 1, 3, 2)), np.ones(4), np.zeros(4), (2, 1), (1, 0), (1, 2), 2
    )
    conv2 = FloatWeights("conv2", ("lif",), rng.normal(size=(3, 4, 2, 2)), np.ones(3), np.zeros(3))
    fc = FloatWeights("fc", ("flat",), rng.normal(size=(2, 27)), np.ones(2), np.zeros(2))
    nodes = (
        conv1, LIF("lif", ("conv1",), 0.5, 0.5, "hard"), conv2, LIF("lif2", ("conv2",), 0.5, 0.5, "hard"),
        Flatten("flat", ("lif2",)), fc,
    )  # fmt: skip
    net = FloatNetwork("net", (2, 8, 6), 8, 2.0**-8, 2, 3, nodes, (100.25, 50.5))
    images = rng.integers(0, 256, (3, 2, 8, 6)).astype(np.uint8)
    chunks = list(walk(net, images, 3))
    assert sum(len(chunk["fc"]) for chunk in chunks) == 3
    seen = sample_windows(net, images, 40)
    assert set(seen) == {"conv1", "conv2", "fc"}
    grouped = np.zeros((4, 2, 3, 2))
    grouped[:2, :1], grouped[2:, 1:] = conv1.weight[:2], conv1.weight[2:]
    for name, kernel in (("conv1", grouped), ("conv2", conv2.weight), ("fc", fc.weight)):
        currents = seen[name] @ kernel.reshape(len(kernel), -1).T
        known = np.concatenate([np.moveaxis(c[name], 2, -1).reshape(-1, len(kernel)) for c in chunks])
        distance = np.abs(currents[:, None] - known[None]).max(axis=2).min(axis=1)
        assert distance.max() < 1e-9, name


def test_scales_are_chosen_on_calibration_inputs() -> None:
    rng = np.random.default_rng(5)
    conv = FloatWeights("conv", (INPUT,), rng.normal(size=(8, 2, 3, 3)), np.ones(8), np.zeros(8), groups=1)
    net = FloatNetwork("net", (2, 6, 6), 8, 2.0**-8, 8, 2, (conv, LIF("l", ("conv",), 0.5, 1.0, "hard")))
    fc = FloatWeights("fc", ("flat",), rng.normal(size=(8, 128)), np.ones(8), np.zeros(8))
    net = FloatNetwork(**{**vars(net), "nodes": (*net.nodes, Flatten("flat", ("l",)), fc)})
    images = rng.integers(0, 256, (20, 2, 6, 6)).astype(np.uint8)
    by_max, by_mse = (quantise(net, 3, scales, calibration=images) for scales in ("max", "mse"))  # type: ignore[arg-type]
    again = quantise(net, 3, "mse", calibration=images)
    seen = sample_windows(net, images, 5000)
    for name in ("conv", "fc"):
        first, second, third = (n.node(name) for n in (by_max, by_mse, again))
        assert isinstance(first, Conv2d | Linear)
        assert isinstance(second, Conv2d | Linear)
        assert isinstance(third, Conv2d | Linear)
        np.testing.assert_array_equal(second.weight, third.weight)  # the draw has a fixed seed
        real = next(node for node in net.weighted if node.name == name).weight.reshape(8, -1)
        lost = [
            ((seen[name] @ (real - (n.scale * n.weight.reshape(8, -1).T).T).T) ** 2).mean()
            for n in (first, second)
        ]
        assert lost[1] < lost[0]


def test_unknown_words_are_refused_in_one_line(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.numpy").save_file

    from imcsim.importers import ReadOptions, import_model

    save_file({"fc.weight": np.ones((2, 2), np.float32)}, tmp_path / "net.safetensors")
    layers = tmp_path / "net.yaml"
    layers.write_text("input: {shape: [2, 1, 1]}\nlayers: [{name: fc, kind: linear, prefix: fc}]\n")
    with pytest.raises(ImcsimError, match="max, percentile, mse"):
        import_model(
            tmp_path / "net.safetensors",
            options=ReadOptions(layers_file=layers),
            scales="median",  # type: ignore[arg-type]
        )
