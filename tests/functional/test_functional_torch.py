"""Law 3: with ideal converters, spikes and class outputs equal an independent implementation in torch.

`integers` plays the integer network with the thresholds, biases and alignments of a `Program`: everything
must agree bit for bit. `reals` knows no program: float64 straight from scales, biases, leaks and thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networks
import numpy as np
import pytest
from numpy.typing import NDArray

from imcsim import inputs as images_in
from imcsim.base.choices import Encoding, RowOrder
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import IntegratorLayer, NeuronLayer, Program, build
from imcsim.functional.run import Activity, ideal_converters, run
from imcsim.network import load, validate
from imcsim.network import names as network_names
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d

torch = pytest.importorskip("torch")

ENCODINGS: tuple[Encoding, ...] = ("offset", "differential", "twos_complement")
Tensor = Any
Weigh = Callable[[Conv2d | Linear, Tensor], Tensor]


def numerics(
    encoding: Encoding = "offset", *, rows: int = 32, order: RowOrder = "im2col", cell_bits: int = 3
) -> Numerics:
    return Numerics(rows, order, encoding, cell_bits, 6, "ideal", 100.0, 16).ideal()


def weigh(node: Conv2d | Linear, x: Tensor) -> Tensor:
    """Sums of weights times inputs over ``[T, N, ...]``; float64 holds these integers exactly."""
    weight = torch.from_numpy(node.weight.astype(np.float64))
    flat = x.flatten(0, 1).to(torch.float64)
    if isinstance(node, Linear):
        total = flat.flatten(1) @ weight.T
    else:
        total = torch.nn.functional.conv2d(flat, weight, stride=node.stride, padding=node.padding)
    return total.unflatten(0, x.shape[:2])


def spread(values: Any, like: Tensor) -> Tensor:
    """One number per channel, over the places of ``[T, N, C, ...]``."""
    return torch.as_tensor(np.asarray(values)).reshape(1, 1, -1, *[1] * (like.ndim - 3))


def pooled(node: Pool2d, x: Tensor) -> Tensor:
    """Window sums or maxima, integers in and out."""
    flat = x.flatten(0, 1).to(torch.float64)
    if node.kind == "average":
        out = torch.nn.functional.avg_pool2d(flat, node.size, node.stride) * math.prod(node.size)
    else:
        out = torch.nn.functional.max_pool2d(flat, node.size, node.stride)
    return out.round().unflatten(0, x.shape[:2]).to(torch.int64)


def integers(
    network: Network, program: Program, images: NDArray[np.uint8], timesteps: int
) -> dict[str, Tensor]:
    """Spikes ``[T, N, ...]`` of every LIF layer, and the class outputs under the name of the last node."""
    image = torch.from_numpy(images.astype(np.int64)).expand(timesteps, *images.shape)
    values: dict[str, Tensor] = {INPUT: image}
    steps = {step.name: step for step in program.neuron_layers}
    for node in network.nodes:
        x = values.get(node.inputs[0])  # none after an Add: its neurons read the branches
        match node:
            case Conv2d() | Linear():
                values[node.name] = weigh(node, x).to(torch.int64)
            case Pool2d():
                values[node.name] = pooled(node, x)
            case Flatten():
                values[node.name] = x.flatten(2)
            case Add():
                continue
            case LIF():
                step = steps[node.name]
                if step.branches:
                    current = sum(
                        rounded_shift(values[b.source] * spread(b.multiplier, values[b.source]), b.right)
                        for b in step.branches
                    )
                else:
                    current = rounded_shift(x << spread(step.left, x), step.right)
                current = current + spread(step.bias, current)
                u = torch.zeros_like(current[0])
                spikes = torch.zeros_like(current)
                threshold = spread(step.threshold, current)[0]
                for t in range(timesteps):
                    u = leaked(u, step) + current[t]
                    u = u.clamp(-step.limit - 1, step.limit)
                    spikes[t] = u >= threshold
                    kept = torch.zeros_like(u) if node.reset == "hard" else u - threshold
                    u = torch.where(spikes[t] == 1, kept, u)
                values[node.name] = spikes
    last = values[network.nodes[-1].name].flatten(2)
    scaled = rounded_shift(
        last * spread(program.out_multiplier, last), np.full(last.shape[2], program.out_right)
    )
    values[network.nodes[-1].name] = scaled + spread(program.out_bias, scaled)
    return values


def leaked(u: Tensor, step: NeuronLayer | IntegratorLayer) -> Tensor:
    """Membranes ``[N, C, ...]`` a timestep later, rounded down, in Python's integers."""
    leak = step.leak.astype(object).reshape(1, -1, *[1] * (u.ndim - 2))
    half = 0 if step.decay_bits <= 15 else 2 ** (step.decay_bits - 1)
    return torch.from_numpy(((u.numpy().astype(object) * leak + half) // 2**step.decay_bits).astype(np.int64))


def rounded_shift(x: Tensor, right: NDArray[np.int64]) -> Tensor:
    """Division by ``2**right``, halves upwards."""
    by = spread(right, x)
    half = torch.where(by > 0, torch.ones_like(by) << (by - 1).clamp(min=0), torch.zeros_like(by))
    return (x + half) >> by


def reals(network: Network, images: NDArray[np.uint8], timesteps: int) -> dict[str, Tensor]:
    """Values ``[T, N, ...]`` of every node in float64, from the network alone."""
    image = torch.from_numpy(images.astype(np.float64)).expand(timesteps, *images.shape)
    values: dict[str, Tensor] = {INPUT: image * network.input_scale}
    direct = (LIF, Pool2d)
    for node in network.nodes:
        x = values[node.inputs[0]]
        match node:
            case Conv2d() | Linear():
                total = weigh(node, x)
                values[node.name] = total * spread(node.scale, total) + spread(node.bias, total)
            case Pool2d():
                pooled_sum = pooled(node, x * 4096) / 4096.0  # spikes, or averages of them
                values[node.name] = pooled_sum / (math.prod(node.size) if node.kind == "average" else 1)
            case Flatten():
                values[node.name] = x.flatten(2)
            case Add():
                values[node.name] = sum(
                    values[name] * (node.scale if isinstance(network.node(name), direct) else 1.0)
                    for name in node.inputs
                )
            case LIF():
                u, spikes = torch.zeros_like(x[0]), torch.zeros_like(x)
                for t in range(timesteps):
                    u = node.leak * u + x[t]
                    fired = u >= node.threshold
                    u = torch.where(fired, u * 0 if node.reset == "hard" else u - node.threshold, u)
                    spikes[t] = fired
                values[node.name] = spikes
    return values


def played(network: Network, program: Program, images: NDArray[np.uint8], timesteps: int) -> Activity:
    record = {node.name for node in network.nodes if isinstance(node, LIF)}
    return run(program, images, timesteps, ideal_converters(program), workers=1, record=record)


def as_torch(values: NDArray[Any]) -> Tensor:
    """``[N, T, H, W, C]`` as ``[T, N, C, H, W]``."""
    return torch.from_numpy(values.astype(np.int64)).permute(1, 0, 4, 2, 3)


def assert_spikes(network: Network, activity: Activity, expected: dict[str, Tensor]) -> None:
    for k, name in enumerate(activity.neuron_layers):
        ours = as_torch(activity.recorded[name])
        theirs = expected[name].reshape(ours.shape).to(torch.int64)
        assert torch.equal(ours, theirs), f"{name}: {int((ours != theirs).sum())} of {ours.numel()} differ"
        assert activity.spikes[:, :, k].tolist() == theirs.sum(dim=(2, 3, 4)).T.tolist()


def assert_integers(
    network: Network, images: NDArray[np.uint8], timesteps: int, chip: Numerics
) -> tuple[Program, Activity]:
    program = build(network, chip)
    activity = played(network, program, images, timesteps)
    expected = integers(network, program, images, timesteps)
    assert_spikes(network, activity, expected)
    outputs = expected[network.nodes[-1].name]
    assert torch.equal(torch.from_numpy(activity.outputs).permute(1, 0, 2), outputs)
    return program, activity


def assert_reals(network: Network, activity: Activity, images: NDArray[np.uint8], timesteps: int) -> None:
    expected = reals(network, images, timesteps)
    assert_spikes(network, activity, expected)
    outputs = expected[network.nodes[-1].name].flatten(2).permute(1, 0, 2).numpy()
    # One count for rounding, and the class scales' 16 bits.
    assert np.abs(activity.outputs / 4096 - outputs).max() <= 1.5 / 4096 + np.abs(outputs).max() * 2.0**-12


KINDS: dict[str, dict[str, Any]] = {
    "sequential": {"depth": 3},
    "average": {"depth": 3, "average": True},
    "residual": {"depth": 4, "residual": True, "size": 9},
    "residual_average": {"depth": 3, "residual": True, "average": True},
    "soft": {"depth": 3, "reset": "soft", "leak": 0.5},
    "integrate": {"depth": 2, "leak": 1.0},
    "forget": {"depth": 2, "leak": 0.0},
    "fine": {"depth": 2, "weight_bits": 8, "residual": True},
    "coarse": {"depth": 2, "weight_bits": 2},
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_random_networks(kind: str, encoding: Encoding, seed: int) -> None:
    rng = np.random.default_rng(100 * seed + len(kind))
    network = networks.random_network(rng, **KINDS[kind])
    images = networks.random_images(rng, network.input_shape, 3)
    chip = numerics(encoding, rows=int(rng.integers(5, 70)), cell_bits=int(rng.integers(1, 9)))
    if seed == 1:
        chip = replace(chip, row_order="kernel_position")
    _, activity = assert_integers(network, images, 4, chip)
    rate = activity.spikes.sum() / sum(v.size for v in activity.recorded.values())
    assert 0.02 < rate < 0.9, "silent networks prove nothing"
    assert_reals(network, activity, images, 4)


def test_both_shortcuts_are_covered() -> None:
    """The residual networks above hold identity and convolution shortcuts."""
    found = set()
    for seed in (0, 1):
        for kind in ("residual", "residual_average", "fine"):
            rng = np.random.default_rng(100 * seed + len(kind))
            network = networks.random_network(rng, **KINDS[kind])
            for node in network.nodes:
                if isinstance(node, Add):
                    found.add(type(network.node(node.inputs[1])).__name__)
    assert found == {"LIF", "Conv2d"}


@pytest.mark.parametrize("membrane_bits", [8, 12, 16])
@pytest.mark.parametrize("kind", ["sequential", "residual", "soft", "average"])
def test_narrow_membranes(kind: str, membrane_bits: int) -> None:
    """Bit for bit as well where currents are shifted right and membranes saturate."""
    rng = np.random.default_rng(membrane_bits)
    network = networks.random_network(rng, **KINDS[kind])
    images = networks.random_images(rng, network.input_shape, 3)
    chip = replace(numerics("differential"), membrane_bits=membrane_bits)
    assert_integers(network, images, 4, chip)


def test_a_leak_that_is_no_binary_fraction() -> None:
    rng = np.random.default_rng(5)
    network = networks.random_network(rng, leak=0.3, depth=3)
    assert_integers(network, networks.random_images(rng, network.input_shape, 3), 5, numerics())


@pytest.mark.parametrize("average", [False, True])
def test_vgg_like(average: bool) -> None:
    rng = np.random.default_rng(11)
    network = networks.vgg_like(rng, plan=(12, "M", 16, 20, "M", 24), size=16, average=average)
    images = networks.random_images(rng, network.input_shape, 2)
    _, activity = assert_integers(network, images, 4, numerics("offset", rows=64, cell_bits=4))
    assert_reals(network, activity, images, 4)


def small(nodes: tuple[Node, ...], shape: tuple[int, int, int] = (2, 4, 4)) -> Network:
    network = Network("small", shape, 8, 2.0**-8, 3, 3, 5, nodes)
    validate(network)
    return network


def weights(rng: np.random.Generator, *shape: int) -> NDArray[np.int8]:
    return rng.integers(-15, 16, shape).astype(np.int8)


def test_first_layer_that_is_linear_sees_the_whole_image() -> None:
    """Channels first, as in the frameworks that train."""
    rng = np.random.default_rng(3)
    network = small(
        (
            Linear("fc1", (INPUT,), weights(rng, 6, 32), np.full(6, 2.0**-5), np.full(6, 0.25)),
            LIF("lif1", ("fc1",), 0.5, 1.0, "hard"),
            Linear("fc2", ("lif1",), weights(rng, 3, 6), np.full(3, 0.25), np.zeros(3)),
        )
    )
    images = networks.random_images(rng, network.input_shape, 6)
    _, activity = assert_integers(network, images, 3, numerics())
    assert 0 < activity.spikes.sum() < 6 * 3 * 6
    assert_reals(network, activity, images, 3)


def test_maximum_over_averages() -> None:
    """A max pool may follow an average pool: it compares numbers of three bits, not spikes."""
    rng = np.random.default_rng(4)
    network = small(
        (
            Conv2d(
                "c1",
                (INPUT,),
                weights(rng, 5, 2, 3, 3),
                np.full(5, 2.0**-5),
                np.full(5, 0.25),
                padding=(1, 1),
            ),
            LIF("l1", ("c1",), 0.5, 1.0, "hard"),
            Pool2d("average", ("l1",), "average", (2, 2), (1, 1)),
            Pool2d("max", ("average",), "max", (2, 2), (1, 1)),
            Conv2d("c2", ("max",), weights(rng, 4, 5, 2, 2), np.full(4, 2.0**-5), np.full(4, 0.125)),
            LIF("l2", ("c2",), 0.5, 1.0, "hard"),
            Flatten("flatten", ("l2",)),
            Linear("fc", ("flatten",), weights(rng, 3, 4), np.full(3, 0.25), np.zeros(3)),
        )
    )
    images = networks.random_images(rng, network.input_shape, 6)
    _, activity = assert_integers(network, images, 4, numerics())
    assert activity.spikes[:, :, 1].sum() > 0
    assert_reals(network, activity, images, 4)


def residual(rng: np.random.Generator, inputs: tuple[str, str], **change: Any) -> Network:
    """Two convolutions of the image, or one and its spikes, added."""
    scale = change.get("scale", 2.0**-5)
    return small(
        (
            Conv2d("c1", (INPUT,), weights(rng, 4, 2, 1, 1), np.full(4, 2.0**-5), np.full(4, 0.5)),
            LIF("l1", ("c1",), 0.5, 1.0, "hard"),
            Conv2d("c2", ("l1",), weights(rng, 4, 4, 1, 1), np.full(4, 2.0**-5), np.full(4, 0.25)),
            Conv2d("s", (INPUT,), weights(rng, 4, 2, 1, 1), np.full(4, scale), np.full(4, 0.125)),
            Add("add", inputs, 0.75),
            LIF("l2", ("add",), 0.5, 1.0, "hard"),
            Flatten("flatten", ("l2",)),
            Linear("fc", ("flatten",), weights(rng, 3, 64), np.full(3, 2.0**-5), np.zeros(3)),
        )
    )


@pytest.mark.parametrize("inputs", [("c2", "s"), ("s", "c2")])
@pytest.mark.parametrize("scale", [2.0**-5, 2.0**-9, 2.0**-2])
def test_shortcut_from_the_image(inputs: tuple[str, str], scale: float) -> None:
    """One branch is the same at every timestep and eight bits wide, the other is not; scales differ."""
    rng = np.random.default_rng(8)
    network = residual(rng, inputs, scale=scale)
    images = networks.random_images(rng, network.input_shape, 4)
    _, activity = assert_integers(network, images, 4, numerics("twos_complement"))
    assert_reals(network, activity, images, 4)


def test_a_branch_added_to_itself() -> None:
    rng = np.random.default_rng(9)
    nodes = residual(rng, ("c2", "s")).nodes
    network = replace(
        residual(rng, ("c2", "s")),
        nodes=tuple(
            replace(n, inputs=("c2", "c2")) if isinstance(n, Add) else n for n in nodes if n.name != "s"
        ),
    )
    validate(network)
    images = networks.random_images(rng, network.input_shape, 4)
    _, activity = assert_integers(network, images, 4, numerics())
    assert_reals(network, activity, images, 4)


@pytest.mark.parametrize("bias", [-300.0, -6.0, 6.0])
def test_biases_beyond_the_membrane(bias: float) -> None:
    """A bias of many thresholds is met by a current of as many: their sum counts, not the bias cut off.

    The membrane has room for four to eight thresholds.
    """
    rng = np.random.default_rng(12)
    weight = np.full((4, 2, 1, 1), 1, np.int8)
    image_mean = 2 * 128 / 256
    scale = np.full(4, max(-bias, 2.0) / image_mean)
    nodes = residual(rng, ("c2", "s")).nodes
    network = small(
        (
            Conv2d("c1", (INPUT,), weight, scale, np.full(4, bias)),
            nodes[1],
            Flatten("flatten", ("l1",)),
            nodes[-1],
        )
    )
    images = rng.integers(100, 156, (4, 2, 4, 4)).astype(np.uint8)
    program = build(network, replace(numerics(), membrane_bits=16))
    activity = played(network, program, images, 1)
    expected = reals(network, images, 1)
    assert_spikes(network, activity, expected)
    assert 0 < activity.spikes.sum() <= 4 * 64


def test_the_trained_network() -> None:
    name = "vgg7_cifar10"
    if name not in network_names() or "cifar10_test" not in images_in.names():
        pytest.skip(f"the built-in network {name} or its inputs are not in this checkout")
    network = load(name)
    images = images_in.load("cifar10_test", limit=4).images
    chips: tuple[tuple[Encoding, int, int], ...] = (
        ("offset", 64, 4),
        ("differential", 128, 2),
        ("twos_complement", 64, 8),
    )
    for encoding, rows, cell_bits in chips:
        chip = numerics(encoding, rows=rows, cell_bits=cell_bits)
        _, activity = assert_integers(network, images, 4, chip)
        assert_integers(network, images[:2], 4, replace(chip, membrane_bits=12))
    # Its scales are no short binary fractions, so a membrane may stand a rounding away from its threshold.
    expected = reals(network, images, 4)
    for layer in activity.neuron_layers:
        ours = as_torch(activity.recorded[layer])
        assert (ours != expected[layer].reshape(ours.shape)).to(torch.float64).mean() < 1e-4
