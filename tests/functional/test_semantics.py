"""What neurons, convolutions, pools and outputs mean, against torch and plain numpy in float64.

Scales, leaks and thresholds are short binary fractions, so floats are exact and spikes must be equal; leaks
that no word holds exactly are compared to the precision that is promised.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import build
from imcsim.functional.run import Activity, ideal_converters, run
from imcsim.network import fingerprint, load, save, validate
from imcsim.network.graph import INPUT, LI, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d

CHIP = Numerics(16, "im2col", "offset", 2, 5, "ideal", 100.0, 24)
IDEAL = CHIP.ideal()
WIDE = replace(CHIP, adc_bits=None, membrane_bits=40)
"""The words of a chip, wide enough for the numbers here."""

T = 6
Images = NDArray[np.uint8]


def spikes(activity: Activity, name: str) -> NDArray[Any]:
    """``[N, T, C, H, W]``."""
    return np.moveaxis(activity.recorded[name], -1, 2)


def play(network: Network, images: Images, chip: Numerics = IDEAL, record: tuple[str, ...] = ()) -> Activity:
    validate(network)
    program = build(network, chip)
    return run(program, images, network.timesteps, ideal_converters(program), workers=1, record=set(record))


def real(network: Network, activity: Activity) -> NDArray[np.float64]:
    """Class outputs ``[N, T, K]`` as numbers."""
    return activity.outputs / 2.0**IDEAL.checker.fraction_bits


def behind(neurons: LIF, images: Images, *, scale: float = 2.0**-3) -> Network:
    """Neurons on weights 1, 2 and 3 of one pixel of 4 bits, and a classifier behind them."""
    weight = np.array([1, 2, 3], np.int8).reshape(3, 1, 1, 1)
    nodes: tuple[Node, ...] = (
        Conv2d("conv", (INPUT,), weight, np.full(3, scale), np.array([0.0, -0.25, 0.125])),
        neurons,
        Flatten("flatten", (neurons.name,)),
        Linear("fc", ("flatten",), np.eye(2, 3 * images[0, 0].size, dtype=np.int8), np.ones(2), np.zeros(2)),
    )
    return Network("small", images.shape[1:], 4, 1.0, 2, T, 4, nodes)  # type: ignore[arg-type]


PIXELS = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4)
CASES = list(
    product(("hard", "soft", "none"), ("now", "next"), ("at", "above"), (None, "one", "each"), (False, True))
)


@pytest.mark.parametrize(("reset", "reset_at", "fires", "synapse", "each"), CASES)
def test_neurons_of_every_kind(
    reset: Any, reset_at: Any, fires: Any, synapse: str | None, each: bool
) -> None:
    """Written out once more, neuron by neuron, from the equations of the page on networks."""
    leak: Any = np.array([0.5, 1.0, 0.75]) if each else 0.5
    threshold: Any = np.array([1.0, 0.75, 1.5]) if each else 1.0
    decay: Any = {None: None, "one": 0.5, "each": np.array([0.0, 0.5, 0.25])}[synapse]
    node = LIF("lif", ("conv",), leak, threshold, reset, fires, reset_at, decay)
    network = behind(node, PIXELS)
    expected = np.zeros((T, 3, 16))
    ties = 0
    for c, pixel in product(range(3), range(16)):
        a, b = (v[c] if isinstance(v, np.ndarray) else v for v in (leak, threshold))
        s = decay[c] if isinstance(decay, np.ndarray) else decay
        current = (c + 1) * pixel / 8 + (0.0, -0.25, 0.125)[c]
        u = i = fired = 0.0
        for t in range(T):
            i = current if s is None else s * i + current
            if reset_at == "now" or reset == "none":
                u = a * u + i
            elif reset == "soft":
                u = a * u + i - b * fired
            else:
                u = (a * u + i) * (1 - fired)
            ties += u == b
            fired = float(u > b or (u == b and fires == "at"))
            if reset_at == "now" and fired:
                u = {"hard": 0.0, "soft": u - b, "none": u}[reset]
            expected[t, c, pixel] = fired
    assert ties > 0
    assert 0.05 < expected.mean() < 0.95
    for chip in (IDEAL, WIDE):
        found = spikes(play(network, PIXELS, chip, ("lif",)), "lif")[0].reshape(T, 3, 16)
        assert np.array_equal(found, expected), chip


@pytest.mark.parametrize("leak", [0.9, 0.95, 0.123456789, np.exp(-1 / 20)])
def test_leaks_that_no_word_holds(leak: float) -> None:
    """Ideal words keep a membrane to a millionth of itself, and so all spikes that are no ties."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 16, (8, 1, 4, 4)).astype(np.uint8)
    network = behind(LIF("lif", ("conv",), leak, 1.1, "soft", synapse=0.7), images, scale=0.0371)
    network = replace(network, timesteps=40)
    found = spikes(play(network, images, IDEAL, ("lif",)), "lif")
    assert np.array_equal(found.swapaxes(0, 1), networks.forward(network, images, 40)["lif"])
    fc = replace(network.nodes[-1], scale=np.array([0.01, 0.3]), bias=np.array([0.2, -0.1]))  # type: ignore[arg-type]
    out = replace(network, nodes=(*network.nodes[:-1], fc, LI("out", ("fc",), leak, leak**2)))
    wanted = networks.forward(out, images, 40)["out"].swapaxes(0, 1)
    # A class output is rounded to 2**-12, and the larger scale to 22 bits or more.
    assert np.abs(real(out, play(out, images)) - wanted).max() < 2.0**-13 + np.abs(wanted).max() * 2.0**-18


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["linear", "lif", "li"]))
def test_networks_of_everything(seed: int, output: Any) -> None:
    """All kinds of nodes together, in three layouts of cells, against the equations in numpy."""
    rng = np.random.default_rng(seed)
    network = networks.mixed_network(rng, output=output)
    images = networks.random_images(rng, network.input_shape, 2)
    names = tuple(node.name for node in network.nodes if isinstance(node, LIF))
    expected = networks.forward(network, images, network.timesteps)
    chip = replace(
        IDEAL,
        row_order=rng.choice(["im2col", "kernel_position"]).item(),
        encoding=rng.choice(["offset", "differential", "twos_complement"]).item(),
    )
    activity = play(network, images, chip, names)
    for name in names:
        wanted = expected[name].swapaxes(0, 1)
        assert np.array_equal(spikes(activity, name).reshape(wanted.shape), wanted), name
        assert activity.spikes[:, :, activity.neuron_layers.index(name)].sum() == wanted.sum()
    wanted = expected[network.nodes[-1].name].swapaxes(0, 1).reshape(activity.outputs.shape)
    tolerance = 2.0**-12 + np.abs(wanted).max() * 2.0**-14
    assert np.abs(real(network, activity) - wanted).max() <= (0 if output == "lif" else tolerance)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["linear", "lif", "li"]))
def test_bundles_keep_everything(tmp_path_factory: pytest.TempPathFactory, seed: int, output: Any) -> None:
    network = networks.mixed_network(np.random.default_rng(seed), output=output)
    folder = tmp_path_factory.mktemp("bundle") / "net"
    save(network, folder)
    loaded = load(folder)
    assert loaded.sha256 == fingerprint(network)
    assert loaded.input_padding in (network.input_padding, ())
    for one, other in zip(network.nodes, loaded.nodes, strict=True):
        assert type(one) is type(other)
        for key, value in vars(one).items():
            assert np.array_equal(value, getattr(other, key)), (one.name, key)


def test_defaults_are_not_written(tmp_path: Any) -> None:
    """Bundles from before the new keys keep their fingerprint."""
    save(networks.random_network(np.random.default_rng(0)), tmp_path / "n")
    text = (tmp_path / "n/network.yaml").read_text()
    for key in ("dilation", "groups", "fires", "reset_at", "synapse"):
        assert key not in text
    assert text.count("padding") == text.count("kind: conv2d")


# --- against torch


def conv_network(conv: Conv2d, shape: tuple[int, int, int], size: int, **more: Any) -> Network:
    """The convolution alone, seen through a classifier that the test does not look at."""
    nodes: tuple[Node, ...] = (
        conv,
        LIF("lif", (conv.name,), 1.0, 1.0, "soft"),
        Flatten("flatten", ("lif",)),
        Linear("fc", ("flatten",), np.ones((2, size), np.int8), np.ones(2), np.zeros(2)),
    )
    return replace(Network("net", shape, 8, 1.0, 2, 1, 5, nodes), **more)


@settings(max_examples=60, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 3, 6]),
    outer=st.integers(1, 2),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    border=st.none() | st.lists(st.integers(0, 255), min_size=6, max_size=6),
    order=st.sampled_from(["im2col", "kernel_position"]),
    seed=st.integers(0, 2**31),
)
def test_convolutions_against_torch(
    groups: int, outer: int, kernel: Any, stride: Any, padding: Any, dilation: Any, border: Any, order: Any,
    seed: int,
) -> None:  # fmt: skip
    """Dilated, grouped and depthwise, padded beyond the kernel, with pixels around the image or zeros."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (2, 6, 7, 8)).astype(np.uint8)
    weight = rng.integers(-15, 16, (outer * 6, 6 // groups, *kernel)).astype(np.int8)
    ones = np.ones(outer * 6)
    conv = Conv2d("conv", (INPUT,), weight, ones, 0 * ones, stride, padding, dilation, groups)
    x = torch.from_numpy(images.astype(np.float64))
    if border is not None:
        pixels = torch.tensor(border, dtype=torch.float64).reshape(1, 6, 1, 1)
        framed = pixels.expand(2, 6, 7 + 2 * padding[0], 8 + 2 * padding[1]).clone()
        framed[:, :, padding[0] : padding[0] + 7, padding[1] : padding[1] + 8] = x
        x, padding = framed, (0, 0)
    weights = torch.from_numpy(weight.astype(np.float64))
    expected = torch.conv2d(x, weights, None, stride, padding, dilation, groups).numpy()
    network = conv_network(conv, (6, 7, 8), expected[0].size, input_padding=tuple(border or ()))
    activity = play(network, images, replace(IDEAL, row_order=order), ("conv",))
    assert np.array_equal(spikes(activity, "conv")[:, 0], expected)


def test_a_border_moves_with_the_mean() -> None:
    """Subtracting a mean before a convolution padded with zeros is a bias and a border of that mean."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 2, 5, 5)).astype(np.uint8)
    weight = rng.integers(-7, 8, (4, 2, 3, 3)).astype(np.int8)
    mean, floats = np.array([100.0, 37.0]), weight.astype(np.float64)
    bias = -(floats.sum(axis=(2, 3)) @ mean)
    conv = Conv2d("conv", (INPUT,), weight, np.ones(4), bias, (1, 1), (1, 1))
    network = conv_network(conv, (2, 5, 5), 100, input_padding=(100, 37))
    normalised = torch.from_numpy(images - mean[:, None, None])
    expected = torch.conv2d(normalised, torch.from_numpy(floats), None, 1, 1).numpy()
    found = spikes(play(network, images, IDEAL, ("conv",)), "conv")[:, 0]
    assert np.array_equal(found + bias[:, None, None], expected)
    wrong = spikes(play(replace(network, input_padding=()), images, IDEAL, ("conv",)), "conv")[:, 0]
    assert not np.array_equal(wrong + bias[:, None, None], expected)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["average", "max", "sum"]),
            st.tuples(st.integers(1, 3), st.integers(1, 3)),
            st.tuples(st.integers(1, 2), st.integers(1, 3)),
        ),
        min_size=1,
        max_size=2,
    ),
    st.integers(0, 2**31),
)
def test_pools_against_torch(pools: Any, seed: int) -> None:
    """One pool or one on another, with the padding that torch allows; a convolution reads what they give."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 2, (2, 2, 8, 9)).astype(np.uint8)
    eye = np.eye(2, dtype=np.int8).reshape(2, 2, 1, 1)
    nodes: list[Node] = [
        Conv2d("conv", (INPUT,), eye, np.ones(2), np.zeros(2)),
        LIF("lif", ("conv",), 0.0, 1.0, "hard"),
    ]
    x = torch.from_numpy(images.astype(np.float64))
    for k, (kind, size, stride) in enumerate(pools):
        padding = tuple(int(rng.integers(0, n // 2 + 1)) for n in size)
        nodes.append(Pool2d(f"pool{k}", (nodes[-1].name,), kind, size, stride, padding))  # type: ignore[arg-type]
        if kind == "max":
            x = torch.nn.functional.max_pool2d(x, size, stride, padding)
        else:
            x = torch.nn.functional.avg_pool2d(x, size, stride, padding)
            x = x * (size[0] * size[1] if kind == "sum" else 1)
    weight = rng.integers(-7, 8, (2, 2, *x.shape[2:])).astype(np.int8)
    scale = np.array([0.5, 0.25])
    nodes.append(Conv2d("out", (nodes[-1].name,), weight, scale, np.zeros(2)))
    network = Network("net", (2, 8, 9), 1, 1.0, 2, 1, 4, tuple(nodes))
    wanted = torch.conv2d(x, torch.from_numpy(weight.astype(np.float64))).numpy().reshape(2, 2) * scale
    found = real(network, play(network, images))[:, 0]
    assert np.abs(found - wanted).max() <= 2.0**-12 + np.abs(wanted).max() * 2.0**-14


# --- outputs and additions


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_spikes_as_class_outputs(reset: Any) -> None:
    """A network may end in neurons, even without a hidden layer: an output is 1 where its neuron fires."""
    weight = np.array([[1, 2, 0, 0], [0, 0, 3, 1], [1, 1, 1, 1]], np.int8)
    fc = Linear("fc", (INPUT,), weight, np.full(3, 2.0**-4), np.array([0.0, 0.5, -0.25]))
    network = Network(
        "flat", (1, 2, 2), 3, 1.0, 3, T, 4, (fc, LIF("out", ("fc",), 0.5, np.array([1.0, 0.5, 2.0]), reset))
    )
    images = np.random.default_rng(1).integers(0, 8, (20, 1, 2, 2)).astype(np.uint8)
    wanted = networks.forward(network, images, T)["out"].swapaxes(0, 1)
    for chip in (IDEAL, WIDE):
        activity = play(network, images, chip)
        assert np.array_equal(real(network, activity), wanted)
        assert np.array_equal(activity.spikes[:, :, 0], wanted.sum(axis=2))
    assert 0.1 < wanted.mean() < 0.9


@pytest.mark.parametrize("leak", [1.0, 0.5, np.array([0.25, 0.75])])
@pytest.mark.parametrize("synapse", [None, 0.5, np.array([0.0, 0.75])])
@pytest.mark.parametrize("bits", [16, 24, 48])
def test_integrators_as_class_outputs(leak: Any, synapse: Any, bits: int) -> None:
    """In the closed form of a constant current, to the precision that membranes of so many bits have."""
    fc = Linear("fc", (INPUT,), np.array([[3, -5], [7, 2]], np.int8), np.array([0.25, 0.125]), np.ones(2))
    network = Network("li", (2, 1, 1), 4, 0.5, 2, T, 4, (fc, LI("out", ("fc",), leak, synapse)))
    images = np.random.default_rng(1).integers(0, 16, (20, 2, 1, 1)).astype(np.uint8)
    current = (images.reshape(20, 2) / 2) @ fc.weight.T * fc.scale + fc.bias
    factors = np.zeros((T, 2))
    for t in range(T):
        # v_t = sum over j of leak^(t-j) sum over k <= j of synapse^(j-k), times the current.
        for j in range(t + 1):
            kept = sum((np.asarray(synapse) ** k for k in range(j + 1)), 0.0) if synapse is not None else 1.0
            factors[t] += np.asarray(leak) ** (t - j) * kept
    wanted = current[:, None] * factors
    found = real(network, play(network, images, replace(CHIP, adc_bits=None, membrane_bits=bits)))
    reach = np.abs(wanted).max() + 20
    assert np.abs(found - wanted).max() <= 2.0**-12 + reach * (2.0**-15 + T * 8 / 2.0**bits)


def test_integrators_do_not_saturate_within_their_timesteps() -> None:
    """Largest input, largest weights, nothing leaks: the last output is still T times the first."""
    fc = Linear("fc", (INPUT,), np.full((2, 50), 127, np.int8), np.array([2.0**-8, 2.0**-12]), np.zeros(2))
    network = Network("li", (50, 1, 1), 8, 1.0, 2, 64, 8, (fc, LI("out", ("fc",), 1.0)))
    images = np.full((1, 50, 1, 1), 255, np.uint8)
    for bits in (16, 24, 48):
        found = play(network, images, replace(CHIP, adc_bits=None, membrane_bits=bits)).outputs[0]
        assert found[-1] / found[0] == pytest.approx(64, rel=2e-3)
        assert found[-1] / 2**12 == pytest.approx(127 * 50 * 255 * 64 * fc.scale, rel=2e-3)


def test_an_addition_of_three_branches() -> None:
    """Currents of two convolutions and spikes, with unlike scales, against numpy."""
    rng = np.random.default_rng(5)
    eye = np.eye(3, dtype=np.int8).reshape(3, 3, 1, 1)
    images = rng.integers(0, 2, (6, 3, 4, 4)).astype(np.uint8)
    weights = [rng.integers(-3, 4, (3, 3, k, k)).astype(np.int8) for k in (3, 1)]
    nodes: tuple[Node, ...] = (
        Conv2d("first", (INPUT,), eye, np.ones(3), np.zeros(3)),
        LIF("pixels", ("first",), 0.5, 1.0, "hard"),
        Conv2d("a", ("pixels",), weights[0], np.array([0.5, 0.25, 1.0]), np.full(3, 0.125), padding=(1, 1)),
        Conv2d("b", ("pixels",), weights[1], np.array([0.25, 1.0, 0.125]), np.full(3, -0.5)),
        Add("add", ("pixels", "b", "a"), 0.75),
        LIF("lif", ("add",), 0.75, 1.0, "soft"),
        Flatten("flatten", ("lif",)),
        Linear("fc", ("flatten",), np.ones((2, 48), np.int8), np.ones(2), np.zeros(2)),
    )
    network = Network("three", (3, 4, 4), 1, 1.0, 2, 4, 3, nodes)
    found = spikes(play(network, images, IDEAL, ("lif",)), "lif")
    padded = np.pad(images.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    a = np.einsum("nchwyx,ocyx->nohw", windows, weights[0]) * nodes[2].scale[:, None, None] + 0.125  # type: ignore[union-attr]
    b = np.einsum("nchw,oc->nohw", images, weights[1][:, :, 0, 0]) * nodes[3].scale[:, None, None] - 0.5  # type: ignore[union-attr]
    current, u = a + b + 0.75 * images, np.zeros(images.shape)
    for t in range(4):
        u = 0.75 * u + current
        assert np.array_equal(found[:, t], u >= 1)
        u = u - (u >= 1)
    assert 0.1 < found.mean() < 0.9


def test_published_weights_keep_their_fingerprint() -> None:
    """Nothing that the graph has learnt since is written where it says nothing new."""
    document = load("vgg7_cifar10")
    assert document.sha256 == fingerprint(document)
    assert all(vars(node).get("dilation", (1, 1)) == (1, 1) for node in document.nodes)
