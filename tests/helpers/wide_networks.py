"""Networks of the papers' sizes, with ones for weights: for what depends on shapes alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d

VGG16: tuple[int | str, ...] = (
    64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M",
)  # fmt: skip


def conv(name: str, source: str, inner: int, outer: int, kernel: int = 3, stride: int = 1) -> Conv2d:
    weight = np.ones((outer, inner, kernel, kernel), np.int8)
    pad = kernel // 2
    return Conv2d(name, (source,), weight, np.ones(outer), np.zeros(outer), (stride, stride), (pad, pad))


def lif(name: str, source: str) -> LIF:
    return LIF(name, (source,), 0.5, 1.0, "hard")


def linear(name: str, source: str, inner: int, outer: int) -> Linear:
    return Linear(name, (source,), np.ones((outer, inner), np.int8), np.ones(outer), np.zeros(outer))


def vgg(plan: Sequence[int | str], *, weight_bits: int = 8, size: int = 32) -> Network:
    """3 x 3 convolutions with the output channels of `plan`, ``M`` for a 2 x 2 pool, and a classifier."""
    nodes: list[Node] = []
    last, inner, height = INPUT, 3, size
    for place, item in enumerate(plan):
        k = sum(isinstance(before, str) == isinstance(item, str) for before in plan[: place + 1])
        if isinstance(item, str):
            nodes.append(Pool2d(f"pool{k}", (last,), "max", (2, 2), (2, 2)))
            height //= 2
        else:
            nodes += [conv(f"conv{k}", last, inner, item), lif(f"lif{k}", f"conv{k}")]
            inner = item
        last = nodes[-1].name
    nodes += [Flatten("flatten", (last,)), linear("fc", "flatten", inner * height * height, 10)]
    return Network("vgg", (3, size, size), 8, 2.0**-8, 10, 4, weight_bits, tuple(nodes))


def resnet19(*, stem: int = 64, weight_bits: int = 8) -> Network:
    """The tdBN form: a stem, 3 + 3 + 2 blocks of 128, 256 and 512 channels, two linear layers."""
    nodes: list[Node] = [conv("stem", INPUT, 3, stem), lif("stem.lif", "stem")]
    last, inner = "stem.lif", stem
    for group, (outer, count) in enumerate([(128, 3), (256, 3), (512, 2)], 1):
        for block in range(1, count + 1):
            name, stride = f"block{group}.{block}", 2 if group > 1 and block == 1 else 1
            nodes += [
                conv(f"{name}.conv1", last, inner, outer, stride=stride),
                lif(f"{name}.lif1", f"{name}.conv1"),
                conv(f"{name}.conv2", f"{name}.lif1", outer, outer),
            ]
            side = last
            if inner != outer:
                side = f"{name}.shortcut"
                nodes.append(conv(side, last, inner, outer, 1, stride))
            nodes += [Add(f"{name}.add", (f"{name}.conv2", side)), lif(f"{name}.lif2", f"{name}.add")]
            last, inner = f"{name}.lif2", outer
    nodes += [Pool2d("pool", (last,), "average", (8, 8), (8, 8)), Flatten("flatten", ("pool",))]
    nodes += [linear("fc1", "flatten", inner, 256), lif("fc1.lif", "fc1"), linear("fc2", "fc1.lif", 256, 10)]
    return Network("resnet19", (3, 32, 32), 8, 2.0**-8, 10, 4, weight_bits, tuple(nodes))
