"""The networks that are trained: a small VGG, VGG-16 and ResNet-19 of DT-SNN (Li et al., DAC 2023), and a
ResNet-9 without spikes, which learns quickly and teaches the others.

Convolutions are 3x3 with padding 1 and no bias, each followed by batch norm. Pools read spikes. An average
pool gives multiples of a quarter, so the convolution behind it has a few input bits instead of one.

A network is described by plain data, which its checkpoint keeps: a list is the plan of a `SpikingVGG`, a
mapping ``{"stem", "blocks", "pool"}`` is a `SpikingResNet`, one of ``{"channels"}`` a `QuickResNet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypedDict

import torch
import torch.nn.functional as F
from snn import FakeQuant, clipped, lif, quantised, weight_scale
from torch import Tensor, nn
from variation import CellVariation

NETWORKS = ("vgg7", "vgg16", "resnet19")
TEACHERS = ("resnet9",)  # that no chip gets
MAX, AVERAGE = "M", "A"  # the marks of a 2x2 pool in a plan, as is usual for VGG
POOLS = {"max": MAX, "average": AVERAGE}
USUAL_POOL = {"vgg7": "max", "vgg16": "average", "resnet19": "average", "resnet9": "max"}

Plan = list[int | str]


class ResNetPlan(TypedDict):
    """`blocks`: ``[channels, stride]`` of each block; `pool`: the 2x2 pool of a shortcut with a stride."""

    stem: int
    blocks: list[list[int]]
    pool: str


class QuickPlan(TypedDict):
    """`channels` of the stem and of the three stages."""

    channels: list[int]


VGG7: Plan = [32, "P", 64, 64, "P", 128, 128, "P", 128]
VGG16: Plan = [64, 64, "P", 128, 128, "P", *[256] * 3, "P", *[512] * 3, "P", *[512] * 3, "P"]
VGGS = {"vgg7": VGG7, "vgg16": VGG16}
RESNET9 = (64, 128, 256, 512)
RESNET19_STEM = 128
RESNET19_BLOCKS = [(128, 1)] * 3 + [(256, 2)] + [(256, 1)] * 2 + [(512, 2), (512, 1)]


class Spiking(nn.Module):
    """What both networks share: weights that are rounded to `weight_bits` bits (0: not at all), and that vary
    as the cells of `variation` do while the network is trained.
    """

    weight_bits: int
    classifier: nn.Linear
    neurons: str = "lif"
    activation_bits: int = 4
    variation: CellVariation | None = None

    def quantised(self, weight: Tensor) -> Tensor:
        if not self.weight_bits:
            return weight
        rounded = FakeQuant.apply(weight, self.weight_bits)
        if self.variation is None or not self.training:
            return rounded
        return self.variation.varied(
            rounded, weight_scale(weight.detach(), self.weight_bits), self.weight_bits
        )

    def convolve(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        weight = self.quantised(conv.weight)
        if conv.stride == (1, 1) or x.is_cuda:
            return F.conv2d(x, weight, stride=conv.stride, padding=conv.padding)
        # On a CPU the gradient of a strided convolution is far slower in bfloat16 (a second) than in float32.
        with torch.autocast(x.device.type, enabled=False):
            x = x.float() if x.dtype == torch.bfloat16 else x
            return F.conv2d(x, weight, stride=conv.stride, padding=conv.padding)

    def fire(self, current: Tensor, timesteps: int) -> Tensor:
        """What the neurons make of their currents ``[T * B, ...]``, timestep-major."""
        if self.neurons == "quantised":
            return quantised(current, self.activation_bits)
        if self.neurons == "relu":
            return F.relu(current)
        return lif(current, timesteps) if self.neurons == "lif" else clipped(current)

    def classify(self, x: Tensor, timesteps: int) -> Tensor:
        x = F.linear(x.flatten(1), self.quantised(self.classifier.weight), self.classifier.bias)
        return x.unflatten(0, (timesteps, -1))

    def description(self) -> Plan | ResNetPlan | QuickPlan:
        """Plain data from which `from_description` makes the network anew."""
        raise NotImplementedError


class SpikingVGG(Spiking):
    """`plan` lists output channels of 3x3 convolutions; ``M`` is a 2x2 max pool, ``A`` a 2x2 average pool."""

    def __init__(self, plan: Plan, *, classes: int = 10, size: int = 32, weight_bits: int = 8):
        super().__init__()
        self.plan, self.weight_bits = list(plan), weight_bits
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        channels = 3
        for item in plan:
            if isinstance(item, str):
                size //= 2
                continue
            self.convs.append(nn.Conv2d(channels, int(item), 3, padding=1, bias=False))
            self.norms.append(nn.BatchNorm2d(int(item)))
            channels = int(item)
        self.classifier = nn.Linear(channels * size * size, classes)

    def description(self) -> Plan:
        return self.plan

    def forward(self, image: Tensor, timesteps: int) -> Tensor:
        """Classifier outputs ``[T, B, classes]`` of images ``[B, 3, H, W]`` in 0 to 1."""
        x, k = image, 0
        for item in self.plan:
            if isinstance(item, str):
                x = _pool(x, "max" if item == MAX else "average")
                continue
            x = self.norms[k](self.convolve(self.convs[k], x))
            if k == 0:
                x = x.repeat(timesteps, 1, 1, 1)
            x = self.fire(x, timesteps)
            k += 1
        return self.classify(x, timesteps)


class Block(nn.Module):
    """Two convolutions around a LIF; the shortcut is added to their current, before the block's last LIF.

    Where the shape changes, the shortcut is a 2x2 pool of the spikes (if the block has a stride), a 1x1
    convolution and batch norm; elsewhere each spike adds a current of 1.
    """

    def __init__(self, before: int, channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(before, channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.has_shortcut = stride != 1 or before != channels
        if self.has_shortcut:
            self.shortcut = nn.Conv2d(before, channels, 1, bias=False)
            self.shortcut_norm = nn.BatchNorm2d(channels)


class SpikingResNet(Spiking):
    """Stem, residual blocks, the average over the whole map, one linear layer."""

    def __init__(self, plan: ResNetPlan, *, classes: int = 10, weight_bits: int = 8):
        super().__init__()
        self.plan, self.weight_bits = plan, weight_bits
        channels = plan["stem"]
        self.stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(channels)
        self.blocks = nn.ModuleList()
        for width, stride in plan["blocks"]:
            self.blocks.append(Block(channels, width, stride))
            channels = width
        self.classifier = nn.Linear(channels, classes)

    def description(self) -> ResNetPlan:
        return self.plan

    def forward(self, image: Tensor, timesteps: int) -> Tensor:
        """Classifier outputs ``[T, B, classes]`` of images ``[B, 3, H, W]`` in 0 to 1."""
        x = self.stem_norm(self.convolve(self.stem, image)).repeat(timesteps, 1, 1, 1)
        x = self.fire(x, timesteps)
        for block in self.blocks:
            shortcut = x
            if block.has_shortcut:
                shortcut = _pool(x, self.plan["pool"]) if block.stride != 1 else x
                shortcut = block.shortcut_norm(self.convolve(block.shortcut, shortcut))
            x = self.fire(block.norm1(self.convolve(block.conv1, x)), timesteps)
            x = self.fire(block.norm2(self.convolve(block.conv2, x)) + shortcut, timesteps)
        return self.classify(x.mean((2, 3)), timesteps)


class QuickResNet(Spiking):
    """Nine layers for CIFAR-10 (the shape of D. Page, "How to train your ResNet", 2018), for a teacher.

    A stem, three convolutions with a max pool each, of which the first and the last carry a residual pair,
    and a linear layer on the largest values of the map.
    """

    LOGIT_SCALE = 0.125
    """Keeps the first outputs small, as there."""

    def __init__(self, plan: QuickPlan, *, classes: int = 10, weight_bits: int = 0):
        super().__init__()
        self.plan, self.weight_bits = plan, weight_bits
        stem, first, second, third = plan["channels"]
        shapes = [(3, stem), (stem, first), (first, first), (first, first)]
        shapes += [(first, second), (second, third), (third, third), (third, third)]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in shapes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b in shapes)
        self.classifier = nn.Linear(third, classes, bias=False)

    def description(self) -> QuickPlan:
        return self.plan

    def _layer(self, k: int, x: Tensor) -> Tensor:
        return self.fire(self.norms[k](self.convolve(self.convs[k], x)), 1)

    def forward(self, image: Tensor, timesteps: int) -> Tensor:
        """Classifier outputs ``[1, B, classes]`` of images ``[B, 3, H, W]`` in 0 to 1."""
        x = _pool(self._layer(1, self._layer(0, image)), "max")
        x = x + self._layer(3, self._layer(2, x))
        x = _pool(self._layer(4, x), "max")
        x = _pool(self._layer(5, x), "max")
        x = x + self._layer(7, self._layer(6, x))
        return self.LOGIT_SCALE * self.classify(x.amax((2, 3)), timesteps)


def _pool(spikes: Tensor, kind: str) -> Tensor:
    return F.avg_pool2d(spikes, 2) if kind == "average" else F.max_pool2d(spikes, 2)


def widths(text: str) -> tuple[float, ...]:
    """The numbers of a ``--width``, ``0.5`` or ``0.75,0.75,0.5``: one for all layers, or one per block.

    Raises ValueError where one is no number.
    """
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is no number; give 0.5, or one per block: 0.75,0.75,0.5") from None


def build(
    network: str,
    *,
    width: float | Sequence[float] = 1.0,
    pool: str | None = None,
    weight_bits: int = 8,
) -> Spiking:
    """An untrained `network` of ``NETWORKS`` or ``TEACHERS``: `width` times its channels, `pool` for its own.

    A VGG may have a width for each of its blocks, the convolutions between two pools.

    Raises ValueError where `width` leaves a layer without a whole number of channels, or has more than one
    number for a network without such blocks, or another number of them.
    """
    pool = pool or USUAL_POOL[network]
    numbers = [width] if isinstance(width, float | int) else list(width)
    if network in VGGS:
        layers = widened_plan(VGGS[network], numbers)
        return SpikingVGG(
            [POOLS[pool] if isinstance(item, str) else item for item in layers], weight_bits=weight_bits
        )
    if len(numbers) > 1:
        raise ValueError(f"{network} has one width for all layers")
    width = numbers[0]
    if network == "resnet19":
        blocks = [[scaled(channels, width), stride] for channels, stride in RESNET19_BLOCKS]
        plan: ResNetPlan = {"stem": scaled(RESNET19_STEM, width), "blocks": blocks, "pool": pool}
        return SpikingResNet(plan, weight_bits=weight_bits)
    return QuickResNet({"channels": [scaled(n, width) for n in RESNET9]}, weight_bits=weight_bits)


def widened_plan(plan: Plan, numbers: Sequence[float]) -> Plan:
    """A VGG's plan with `numbers` times its channels: one number for all layers, or one for each block.

    Raises ValueError where the numbers are more or fewer than the blocks, or leave no whole channels.
    """
    block_of = list(accumulate((isinstance(item, str) for item in plan), initial=0))[:-1]
    blocks = 1 + max(k for k, item in zip(block_of, plan, strict=True) if not isinstance(item, str))
    if len(numbers) not in (1, blocks):
        raise ValueError(f"{len(numbers)} numbers for {blocks} blocks; give one, or one per block")
    return [
        item if isinstance(item, str) else scaled(item, numbers[k % len(numbers)])
        for k, item in zip(block_of, plan, strict=True)
    ]


def from_description(plan: Any, *, weight_bits: int) -> Spiking:
    """The network, without its weights, that `description` returned `plan` for."""
    if isinstance(plan, list):
        return SpikingVGG(plan, weight_bits=weight_bits)
    if "channels" in plan:
        return QuickResNet(plan, weight_bits=weight_bits)
    return SpikingResNet(plan, weight_bits=weight_bits)


def scaled(channels: int, width: float) -> int:
    """`width` times `channels`. Raises ValueError where that is no whole number, or none."""
    found = channels * width
    if found < 1 or found != int(found):
        raise ValueError(f"{width:g} leaves {found:g} of {channels} channels; use 1, 0.5, 0.25, ...")
    return int(found)
