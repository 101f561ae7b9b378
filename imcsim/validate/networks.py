"""The networks of the two papers, with seeded random weights: their shapes count here, not what they know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imcsim.inputs import Inputs
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network, Node, Pool2d

Values = NDArray[np.float64]

SPIKESIM_CHANNELS = (64, 64, 128, 128, 256, 256, 256)
"""Output channels of SpikeSim's example, its conv layers from first to last."""

VGG16: tuple[int | None, ...] = (
    64, 64, None, 128, 128, None, 256, 256, 256, None, 512, 512, 512, None, 512, 512, 512, None,
)  # fmt: skip
"""Output channels of DT-SNN's VGG-16; None is a 2 x 2 average pool."""

LEAK = 0.5
CLASSES = 10
_TUNING_TIMESTEPS = 4


def spikesim_vgg9(pools_after: Sequence[int], *, classifier: bool = True) -> Network:
    """SpikeSim's example network: 1-bit image, 4-bit weights, max pools after the conv layers `pools_after`.

    A pool over the whole map and a classifier follow, which SpikeSim's list does not have. Without
    `classifier` the network ends with its seventh conv layer: it can be placed, but not run.
    """
    rng = np.random.default_rng(0)
    nodes: list[Node] = []
    last, inner, side = INPUT, 3, 32
    for k, outer in enumerate(SPIKESIM_CHANNELS):
        weight = rng.integers(-7, 8, (outer, inner, 3, 3)).astype(np.int8)
        nodes.append(_conv(f"conv{k + 1}", last, weight, 1.0))
        if k + 1 == len(SPIKESIM_CHANNELS) and not classifier:
            break
        nodes.append(LIF(f"lif{k + 1}", (f"conv{k + 1}",), LEAK, float(inner), "hard"))
        if k in pools_after:
            nodes.append(Pool2d(f"pool{k + 1}", (nodes[-1].name,), "max", (2, 2), (2, 2)))
            side //= 2
        last, inner = nodes[-1].name, outer
    if classifier:
        weight = rng.integers(-7, 8, (CLASSES, inner)).astype(np.int8)
        nodes.append(Pool2d("pool", (last,), "max", (side, side), (side, side)))
        nodes += [Flatten("flatten", ("pool",)), _linear("fc", "flatten", weight, 2.0**-8)]
    return Network("spikesim_vgg9", (3, 32, 32), 1, 1.0, CLASSES, 5, 4, tuple(nodes))


def vgg16(spike_rate: float, seed: int) -> Network:
    """DT-SNN's VGG-16 for CIFAR-10 with 8-bit weights drawn from a uniform distribution.

    Thresholds are set layer by layer so that `spike_rate` of the neurons fire, over four timesteps of a
    random image.
    """
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    counts = random_images((3, 32, 32), 8, 1, seed).images[0].astype(np.float32)[None]
    worth, last = 2.0**-8, INPUT
    for k, outer in enumerate(VGG16):
        if outer is None:
            nodes.append(Pool2d(f"pool{k}", (last,), "average", (2, 2), (2, 2)))
            counts = counts.reshape(*counts.shape[:2], counts.shape[2] // 2, 2, -1, 2).sum(axis=(3, 5))
            worth, last = 0.25, nodes[-1].name
            continue
        weight = rng.integers(-127, 128, (outer, counts.shape[1], 3, 3)).astype(np.int8)
        current = _convolved(counts, weight) * worth
        threshold = _threshold(current, spike_rate)
        nodes.append(_conv(f"conv{k}", last, weight, 1 / threshold))
        nodes.append(LIF(f"lif{k}", (nodes[-1].name,), LEAK, 1.0, "hard"))
        counts, worth, last = _fire(current, threshold).astype(np.float32), 1.0, nodes[-1].name
    weight = rng.integers(-127, 128, (CLASSES, counts[0].size)).astype(np.int8)
    nodes += [Flatten("flatten", (last,)), _linear("fc", "flatten", weight, 2.0**-10)]
    return Network("vgg16", (3, 32, 32), 8, 2.0**-8, CLASSES, 4, 8, tuple(nodes))


def random_images(shape: tuple[int, int, int], bits: int, count: int, seed: int) -> Inputs:
    """`count` images of uniform pixels."""
    images = np.random.default_rng(seed).integers(0, 1 << bits, (count, *shape)).astype(np.uint8)
    return Inputs(images, np.zeros(count, np.int64), "random", "unknown", "", CLASSES)


def _conv(name: str, source: str, weight: NDArray[np.int8], scale: float) -> Conv2d:
    ones = np.ones(weight.shape[0])
    pad = (weight.shape[2] // 2, weight.shape[3] // 2)
    return Conv2d(name, (source,), weight, scale * ones, 0 * ones, (1, 1), pad)


def _linear(name: str, source: str, weight: NDArray[np.int8], scale: float) -> Linear:
    ones = np.ones(weight.shape[0])
    return Linear(name, (source,), weight, scale * ones, 0 * ones)


def _convolved(counts: NDArray[np.float32], weight: NDArray[np.int8]) -> Values:
    """Sums ``[T, O, H, W]`` of a 3 x 3 convolution of ``[T, C, H, W]`` with a pad of 1.

    Every sum stays below 2**24, so that float32 is exact and the order of addition does not matter.
    """
    steps, channels, height, width = counts.shape
    padded = np.pad(counts, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, channels * 9)
    sums = columns @ weight.reshape(len(weight), -1).T.astype(np.float32)
    return sums.reshape(steps, height, width, -1).transpose(0, 3, 1, 2).astype(np.float64)


def _fire(current: Values, threshold: float) -> NDArray[np.bool_]:
    """Spikes ``[T, ...]`` of LIF neurons with hard reset; a current of one timestep is the same at every
    one.
    """
    membrane = np.zeros(current.shape[1:])
    spikes = np.zeros((_TUNING_TIMESTEPS, *current.shape[1:]), np.bool_)
    for t in range(_TUNING_TIMESTEPS):
        membrane = LEAK * membrane + current[t % len(current)]
        spikes[t] = membrane >= threshold
        membrane[spikes[t]] = 0
    return spikes


def _threshold(current: Values, rate: float) -> float:
    """The threshold at which `rate` of the neurons fire, by bisection to one part in a million."""
    low, high = 0.0, 2 * float(current.max())
    for _ in range(20):
        middle = (low + high) / 2
        if _fire(current, middle).mean() > rate:
            low = middle
        else:
            high = middle
    return high
