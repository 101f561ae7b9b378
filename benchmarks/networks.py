"""The networks of the benchmarks, at usual spike rates.

    python benchmarks/networks.py

prints spike rates. VGG-16's weights for CIFAR-10 are trained ones of quarter width, its channels repeated up
to full width. SpikeSim's VGG9, ResNet-18 at 224 x 224 and VGG-16 at 64 x 64 have random weights, and each
layer's scale and bias are set from what its neurons then do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import imcsim.inputs
import imcsim.network
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d
from imcsim.network.widen import widen

TRAINED, FACTOR = Path(__file__).resolve().parent / "vgg16_quarter", 4
"""A bundle of VGG-16 at quarter width, and how often each channel stands at full width. It stays as it is, so
that figures of different days compare; the one that comes with the package is trained further and wider.
"""

Plan = Sequence[int | str]
VGG16: Plan = (
    64, 64, "P", 128, 128, "P", 256, 256, 256, "P", 512, 512, 512, "P", 512, 512, 512, "P",
)  # fmt: skip
VGG9: Plan = (64, 64, "P", 128, 128, "P", 256, 256, 256, "P")
"""The seven convolutions of SpikeSim's example; ``P`` is a 2 x 2 pool."""

RATE = 0.12
"""Spikes a neuron and timestep in networks that are made here."""

SPREAD = 3.0
"""Standard deviation of their class outputs."""

TIMESTEPS, TUNING_IMAGES, LEAK = 4, 4, 0.5


def vgg16(factor: int = FACTOR) -> Network:
    """VGG-16 for CIFAR-10, `factor` times as wide as a quarter of full width (so 4: 64 to 512 channels)."""
    return widen(imcsim.network.load(str(TRAINED)), factor)


def vgg9() -> Network:
    """SpikeSim's VGG9 list with random weights, and a classifier behind it."""
    return spiking("vgg9_random", VGG9, pool="max")


def spiking(name: str, plan: Plan, *, pool: Any = "average", seed: int = 0) -> Network:
    """3 x 3 convolutions with the output channels of `plan` and random weights; ``P`` is a 2 x 2 pool."""
    images = imcsim.inputs.load("cifar10_test", TUNING_IMAGES).images
    return chain(Balanced(images, seed), plan, pool, 10).network(name)


def large_vgg16(size: int = 64, classes: int = 200, divided: int = 1) -> Network:
    """VGG-16's convolutions on `size` x `size` pixels with random weights, and one fully connected layer; all
    channels over `divided`.
    """
    plan = [item if isinstance(item, str) else item // divided for item in VGG16]
    made = chain(Balanced(enlarged("cifar10_test", TUNING_IMAGES, size).images), plan, "max", classes)
    return made.network(f"vgg16_random_{size}")


def resnet18(size: int = 224, classes: int = 1000, divided: int = 1) -> Network:
    """ResNet-18 on `size` x `size` pixels with random weights; a shortcut without weights adds 1 a spike."""
    made = Balanced(enlarged("cifar10_test", TUNING_IMAGES, size).images)
    before = made.pool(
        "maxpool", made.lif("sn1", made.conv("conv1", INPUT, 64 // divided, 7, 2)), "max", 3, 2, 1
    )
    for stage, channels in enumerate((64, 128, 256, 512), 1):
        for block in (1, 2):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 1 else 1
            inner = made.lif(f"{at}.sn1", made.conv(f"{at}.conv1", before, channels // divided, 3, stride))
            outer = made.conv(f"{at}.conv2", inner, channels // divided)
            if stride > 1:
                before = made.conv(f"{at}.down", before, channels // divided, 1, stride)
            before = made.lif(f"{at}.sn2", made.add(f"{at}.add", outer, before), outer)
    made.pool("pool", before, "average", made.values[before].shape[-1])
    made.classifier(classes)
    return made.network(f"resnet18_random_{size}")


def enlarged(name: str, count: int, size: int) -> imcsim.inputs.Inputs:
    """Images of CIFAR-10, interpolated between pixels to `size` x `size`."""
    found = imcsim.inputs.load(name, count)
    sides = [Image.fromarray(np.moveaxis(one, 0, -1)) for one in found.images]
    large = [
        np.moveaxis(np.asarray(one.resize((size, size), Image.Resampling.BILINEAR)), -1, 0) for one in sides
    ]
    return replace(found, name=f"{name}_{size}", images=np.ascontiguousarray(large))


def chain(made: Balanced, plan: Plan, pool: Any, classes: int) -> Balanced:
    """One layer of `plan` after the other, and a classifier."""
    last, count, pools = INPUT, 0, 0
    for item in plan:
        if isinstance(item, str):
            pools += 1
            last = made.pool(f"pool{pools}", last, pool)
        else:
            count += 1
            last = made.lif(f"lif{count}", made.conv(f"conv{count}", last, item))
    made.classifier(classes)
    return made


class Balanced:
    """A network of random weights that is made layer by layer, with what its neurons do on a few images.

    Each channel's scale and bias are such that on those images its currents have one mean and spread, and the
    whole layer's neurons fire at RATE: a usual rate of trained networks, of which this is none.
    """

    def __init__(self, images: NDArray[np.uint8], seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = images.shape[1:]
        self.values: dict[str, NDArray[np.float32]] = {
            INPUT: (images / np.float32(256))[:, None].astype(np.float32)
        }
        """Spikes, currents or pixels of the layers so far, ``[N, T, C, H, W]``."""
        self.nodes: list[Node] = []
        self.classes = 0

    def conv(self, name: str, source: str, channels: int, kernel: int = 3, stride: int = 1) -> str:
        """Currents with mean 0 and one spread for all channels."""
        values = self.values[source]
        weight = self.rng.integers(-127, 128, (channels, values.shape[2], kernel, kernel)).astype(np.int8)
        current = convolved(values, weight, stride)
        axes = (0, 1, 3, 4)
        scale, mean = 0.5 / np.maximum(current.std(axes), 1e-3), current.mean(axes)
        self.values[name] = (scale[:, None, None] * (current - mean[:, None, None])).astype(np.float32)
        around = (kernel // 2, kernel // 2)
        self.nodes.append(Conv2d(name, (source,), weight, scale, -scale * mean, (stride, stride), around))
        return name

    def add(self, name: str, *sources: str) -> str:
        self.values[name] = np.sum([self.values[source] for source in sources], axis=0)
        self.nodes.append(Add(name, sources))
        return name

    def lif(self, name: str, current: str, biased: str | None = None) -> str:
        """Neurons that fire at RATE through the bias of a convolution: `biased`, else the one they read."""
        shift, self.values[name] = fired(self.values[current])
        for k, node in enumerate(self.nodes):
            if isinstance(node, Conv2d) and node.name == (biased or current):
                scale, bias = node.scale.astype(np.float64), (shift + node.bias).astype(np.float64)
                self.nodes[k] = replace(node, scale=scale, bias=bias)
        self.nodes.append(LIF(name, (current,), LEAK, 1.0, "hard"))
        return name

    def pool(
        self, name: str, source: str, kind: Any, size: int = 2, stride: int = 0, padding: int = 0
    ) -> str:
        self.values[name] = pooled(self.values[source], kind, size, stride or size, padding)
        step = (stride or size,) * 2
        self.nodes.append(Pool2d(name, (source,), kind, (size, size), step, (padding, padding)))
        return name

    def classifier(self, classes: int) -> None:
        last = self.nodes[-1].name
        values = self.values[last]
        weight = self.rng.integers(-127, 128, (classes, values[0, 0].size)).astype(np.int8)
        outputs = values.reshape(*values.shape[:2], -1) @ weight.T.astype(np.float32)
        scale = np.full(classes, SPREAD / float(outputs.std()))
        flat = Flatten("flatten", (last,))
        self.nodes += [flat, Linear("fc", (flat.name,), weight, scale, np.zeros(classes))]
        self.classes = classes

    def network(self, name: str) -> Network:
        return Network(name, self.shape, 8, 2.0**-8, self.classes, TIMESTEPS, 8, tuple(self.nodes))


def convolved(values: NDArray[np.float32], weight: NDArray[np.int8], stride: int = 1) -> NDArray[np.float32]:
    """Sums of ``[N, T, C, H, W]`` over windows, padded with zeros to as many."""
    side = weight.shape[-1]
    around = (side // 2, side // 2)
    padded = np.pad(values, ((0, 0), (0, 0), (0, 0), around, around))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(3, 4))
    windows = windows[:, :, :, ::stride, ::stride]
    sums = np.tensordot(windows, weight.astype(np.float32), axes=((2, 5, 6), (1, 2, 3)))
    return np.moveaxis(sums, -1, 2)


def pooled(
    values: NDArray[np.float32], kind: str, size: int = 2, stride: int = 2, padding: int = 0
) -> NDArray[np.float32]:
    """Maxima or means over windows; spikes and pixels are no less than the zeros around them."""
    around = (padding, padding)
    padded = np.pad(values, ((0, 0), (0, 0), (0, 0), around, around))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(3, 4))
    windows = windows[:, :, :, ::stride, ::stride]
    found: NDArray[np.float32] = windows.max((-2, -1)) if kind == "max" else windows.mean((-2, -1))
    return found


def fired(spread: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
    """What is added to the current `spread` for neurons to fire at RATE, and spikes ``[N, T, C, H, W]``."""
    low, high = -3.0, 3.0
    for _ in range(12):
        middle = (low + high) / 2
        spikes = lif(spread + np.float32(middle))
        low, high = (low, middle) if spikes.mean() > RATE else (middle, high)
    return middle, spikes


def lif(current: NDArray[np.float32]) -> NDArray[np.float32]:
    membrane = np.zeros((current.shape[0], *current.shape[2:]), np.float32)
    spikes = np.empty((len(current), TIMESTEPS, *current.shape[2:]), np.float32)
    for t in range(TIMESTEPS):
        membrane = LEAK * membrane + current[:, min(t, current.shape[1] - 1)]
        spikes[:, t] = membrane >= 1.0
        membrane *= 1 - spikes[:, t]
    return spikes


def rates(network: Network, images: int | NDArray[np.uint8] = 10) -> dict[str, float]:
    """Spikes a neuron and timestep of every layer on images (or so many test ones), exact converters."""
    import imcsim.hardware
    from imcsim.functional.program.program import build
    from imcsim.functional.run import ideal_converters, run
    from imcsim.network.sizes import shapes
    from imcsim.simulation.chip import numerics

    program = build(network, numerics(imcsim.hardware.load("dtsnn_32nm").config).ideal())
    shown = imcsim.inputs.load("cifar10_test", images).images if isinstance(images, int) else images
    found = run(program, shown, network.timesteps, ideal_converters(program))
    sizes, each = shapes(network), found.spikes.mean((0, 1))
    return {name: float(each[k]) / np.prod(sizes[name]) for k, name in enumerate(found.neuron_layers)}


def main() -> None:
    small = imcsim.inputs.load("cifar10_test", 10).images
    for network, images in (
        (vgg16(), small),
        (vgg9(), small),
        (large_vgg16(), enlarged("cifar10_test", 2, 64).images),
        (resnet18(), enlarged("cifar10_test", 2, 224).images),
    ):
        print(network.name)
        for name, rate in rates(network, images).items():
            print(f"  {name:8} {100 * rate:5.1f} %")


if __name__ == "__main__":
    main()
