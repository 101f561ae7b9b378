"""The networks of the benchmarks: VGG-16 of full width, and SpikeSim's VGG9, at usual spike rates.

    python benchmarks/networks.py

prints their spike rates. VGG-16's weights are trained ones of quarter width, its channels repeated up to full
width; VGG9's are random, and each layer's scale and bias are set from what its neurons then do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import imcsim.inputs
import imcsim.network
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network, Node, Pool2d
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
    """3 x 3 convolutions with the output channels of `plan` and random weights; ``P`` is a 2 x 2 pool.

    Each channel's scale and bias are such that on a few images its currents have one mean and spread, and
    the whole layer's neurons fire at RATE.
    """
    rng = np.random.default_rng(seed)
    images = imcsim.inputs.load("cifar10_test", TUNING_IMAGES).images
    values: NDArray[np.float32] = (images / np.float32(256))[:, None].astype(np.float32)
    nodes: list[Node] = []
    last, count, pools = INPUT, 0, 0
    for item in plan:
        if isinstance(item, str):
            pools += 1
            nodes.append(Pool2d(f"pool{pools}", (last,), pool, (2, 2), (2, 2)))
            values = pooled(values, pool)
        else:
            count += 1
            weight = rng.integers(-127, 128, (item, values.shape[2], 3, 3)).astype(np.int8)
            current = convolved(values, weight)
            axes = (0, 1, 3, 4)
            scale = 0.5 / np.maximum(current.std(axes), 1e-3)
            shift, values = fired(current, scale)
            bias = shift - scale * current.mean(axes)
            scale, bias = scale.astype(np.float64), bias.astype(np.float64)
            nodes.append(Conv2d(f"conv{count}", (last,), weight, scale, bias, (1, 1), (1, 1)))
            nodes.append(LIF(f"lif{count}", (nodes[-1].name,), LEAK, 1.0, "hard"))
        last = nodes[-1].name
    weight = rng.integers(-127, 128, (10, values[0, 0].size)).astype(np.int8)
    outputs = values.reshape(*values.shape[:2], -1) @ weight.T.astype(np.float32)
    scale = np.full(10, SPREAD / float(outputs.std()))
    nodes += [Flatten("flatten", (last,)), Linear("fc", ("flatten",), weight, scale, np.zeros(10))]
    return Network(name, (3, 32, 32), 8, 2.0**-8, 10, TIMESTEPS, 8, tuple(nodes))


def convolved(values: NDArray[np.float32], weight: NDArray[np.int8]) -> NDArray[np.float32]:
    """3 x 3 sums of ``[N, T, C, H, W]``, padded with zeros."""
    padded = np.pad(values, ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(3, 4))
    sums = np.tensordot(windows, weight.astype(np.float32), axes=((2, 5, 6), (1, 2, 3)))
    return np.moveaxis(sums, -1, 2)


def pooled(values: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    *outer, height, width = values.shape
    windows = values.reshape(*outer, height // 2, 2, width // 2, 2)
    found: NDArray[np.float32] = windows.max((-3, -1)) if kind == "max" else windows.mean((-3, -1))
    return found


def fired(current: NDArray[np.float32], scale: NDArray[Any]) -> tuple[float, NDArray[np.float32]]:
    """The mean current with which neurons fire at RATE, and their spikes ``[N, T, C, H, W]``."""
    axes = (0, 1, 3, 4)
    spread = (scale[:, None, None] * (current - current.mean(axes)[:, None, None])).astype(np.float32)
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


def rates(network: Network, images: int = 10) -> dict[str, float]:
    """Spikes a neuron and timestep of every layer, on test images, with exact converters."""
    import imcsim.hardware
    from imcsim.functional.program.program import build
    from imcsim.functional.run import ideal_converters, run
    from imcsim.network.sizes import shapes
    from imcsim.simulation.chip import numerics

    program = build(network, numerics(imcsim.hardware.load("dtsnn_32nm").config).ideal())
    shown = imcsim.inputs.load("cifar10_test", images).images
    found = run(program, shown, network.timesteps, ideal_converters(program))
    sizes, each = shapes(network), found.spikes.mean((0, 1))
    return {name: float(each[k]) / np.prod(sizes[name]) for k, name in enumerate(found.neuron_layers)}


def main() -> None:
    for network in (vgg16(), vgg9()):
        print(network.name)
        for name, rate in rates(network).items():
            print(f"  {name:8} {100 * rate:5.1f} %")


if __name__ == "__main__":
    main()
