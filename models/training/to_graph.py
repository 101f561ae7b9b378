"""The layer graph of a trained network, with batch norm folded in, and an independent way to run it.

Batch norm is folded into a scale and a bias for each output channel, in float64; weights become the integers
that training already rounded them to.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from architectures import MAX, Spiking, SpikingResNet, SpikingVGG
from snn import LEAK, THRESHOLD, activation_step, weight_scale
from torch import Tensor

from imcsim.network import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d, Relu

TIMESTEPS = 4
SIZE = 32
SMALLEST_SCALE = 1e-12


def to_integers(weight: Tensor, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Integer weights, and their float64 step for each output channel: the very grid of training."""
    scale = weight_scale(weight, bits)
    integers = (weight / scale).round()  # in float32, as in training, so that ties fall the same way
    return integers.to(torch.int16).numpy(), scale.flatten().double().numpy()


def fold(conv: torch.nn.Conv2d, norm: torch.nn.BatchNorm2d, bits: int) -> dict[str, np.ndarray]:
    """Weight, scale > 0 and bias of a convolution with the batch norm that follows it.

    A negative batch-norm factor turns the signs of the integers; one of next to nothing gives zero weights.
    """
    weight, step = to_integers(conv.weight.detach(), bits)
    mean, variance = norm.running_mean.double().numpy(), norm.running_var.double().numpy()
    gamma, beta = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    factor = gamma / np.sqrt(variance + norm.eps)
    scale = np.abs(factor) * step
    dead = scale < SMALLEST_SCALE
    sign = np.where(dead, 0, np.sign(factor)).astype(np.int16)
    return {
        "weight": weight * sign[:, None, None, None],
        "scale": np.where(dead, 1.0, scale),
        "bias": beta - factor * mean,
    }


def to_network(model: Spiking, name: str) -> Network:
    """The layer graph of a trained network (in eval mode, on the CPU)."""
    match model:
        case SpikingVGG():
            nodes = _vgg(model)
        case SpikingResNet():
            nodes = _resnet(model)
        case _:
            raise TypeError(f"no layer graph for a {type(model).__name__}")
    bits = model.weight_bits
    weight, scale = to_integers(model.classifier.weight.detach(), bits)
    bias = model.classifier.bias.detach().double().numpy()
    nodes += [Flatten("flatten", (nodes[-1].name,)), Linear("fc", ("flatten",), weight, scale, bias)]
    classes = len(bias)
    timesteps = TIMESTEPS if model.neurons == "lif" else 1
    return Network(name, (3, SIZE, SIZE), 8, 1 / 255, classes, timesteps, bits, tuple(nodes))


def convolutions(model: Spiking) -> Iterator[tuple[str, torch.nn.Conv2d, torch.nn.BatchNorm2d]]:
    """The node's name, the convolution and its batch norm, of all convolutions of `model`."""
    match model:
        case SpikingVGG():
            for number, (conv, norm) in enumerate(zip(model.convs, model.norms, strict=True), start=1):
                yield f"conv{number}", conv, norm
        case SpikingResNet():
            yield "stem", model.stem, model.stem_norm
            for number, block in enumerate(model.blocks, start=1):
                if block.has_shortcut:
                    yield f"block{number}_shortcut", block.shortcut, block.shortcut_norm
                yield f"block{number}_conv1", block.conv1, block.norm1
                yield f"block{number}_conv2", block.conv2, block.norm2


def _vgg(model: SpikingVGG) -> list[Node]:
    nodes, last = list[Node](), INPUT
    convs = pools = 0
    for item in model.plan:
        if isinstance(item, str):
            pools += 1
            kind = "max" if item == MAX else "average"
            nodes.append(Pool2d(f"pool{pools}", (last,), kind, (2, 2), (2, 2)))
        else:
            convs += 1
            conv = _convolution(f"conv{convs}", last, model.convs[convs - 1], model.norms[convs - 1], model)
            nodes += [conv, _neurons(f"lif{convs}", conv.name, model)]
        last = nodes[-1].name
    return nodes


def _resnet(model: SpikingResNet) -> list[Node]:
    stem = _convolution("stem", INPUT, model.stem, model.stem_norm, model)
    nodes: list[Node] = [stem, _neurons("stem_lif", "stem", model)]
    size = SIZE
    for number, block in enumerate(model.blocks, start=1):
        name, last = f"block{number}", nodes[-1].name
        shortcut = last
        if block.has_shortcut:
            if block.stride != 1:
                step = (block.stride, block.stride)
                nodes.append(Pool2d(f"{name}_pool", (last,), model.plan["pool"], step, step))
                shortcut = f"{name}_pool"
            nodes.append(
                _convolution(f"{name}_shortcut", shortcut, block.shortcut, block.shortcut_norm, model)
            )
            shortcut = f"{name}_shortcut"
        conv1 = _convolution(f"{name}_conv1", last, block.conv1, block.norm1, model)
        inner = _neurons(f"{name}_lif1", conv1.name, model)
        conv2 = _convolution(f"{name}_conv2", inner.name, block.conv2, block.norm2, model)
        nodes += [conv1, inner, conv2]
        nodes += [Add(f"{name}_add", (conv2.name, shortcut)), _neurons(f"{name}_lif2", f"{name}_add", model)]
        size //= block.stride
    nodes.append(Pool2d("pool", (nodes[-1].name,), "average", (size, size), (size, size)))
    return nodes


def _convolution(
    name: str, reads: str, conv: torch.nn.Conv2d, norm: torch.nn.BatchNorm2d, model: Spiking
) -> Conv2d:
    folded = fold(conv, norm, model.weight_bits)
    (down, right), (rows, columns) = conv.stride, conv.padding
    return Conv2d(name, (reads,), **folded, stride=(down, right), padding=(rows, columns))


def _neurons(name: str, reads: str, model: Spiking) -> LIF | Relu:
    """The neurons of a layer; those without spikes are called relu where a spiking network has lif."""
    if model.neurons == "quantised":
        bits = model.activation_bits
        return Relu(name.replace("lif", "relu"), (reads,), bits, activation_step(bits))
    return LIF(name, (reads,), LEAK, THRESHOLD, "hard")


@torch.no_grad()
def forward(network: Network, images: Tensor, timesteps: int) -> Tensor:
    """Class outputs ``[T, N, K]`` of a bundle for uint8 images, in float64, by the equations of its nodes.

    Raises NotImplementedError for a node that no network of this folder has.
    """
    membranes: dict[str, Tensor] = {}
    outputs = []
    pixels = images.double()
    kept: dict[str, Tensor] = {}  # the sums over the image are the same at every timestep
    for _ in range(timesteps):
        values: dict[str, Tensor] = {}
        for node in network.nodes:
            x = [pixels if name == INPUT else values[name] for name in node.inputs]
            match node:
                case Conv2d() | Linear():
                    current = kept.get(node.name)
                    if current is None:
                        current = _current(node, x[0], network.input_scale)
                    if INPUT in node.inputs:
                        kept[node.name] = current
                    values[node.name] = current
                case LIF(reset="hard" | "soft", fires="at", reset_at="now", synapse=None):
                    membrane = node.leak * membranes.get(node.name, torch.zeros_like(x[0])) + x[0]
                    spikes = (membrane >= node.threshold).double()
                    down = membrane if node.reset == "hard" else node.threshold
                    membranes[node.name] = membrane - down * spikes
                    values[node.name] = spikes
                case Relu():
                    codes = torch.clamp(torch.floor(x[0] / node.step + 0.5), 0, node.top)
                    values[node.name] = codes * node.step
                case Pool2d(kind="average" | "max"):
                    pool = F.avg_pool2d if node.kind == "average" else F.max_pool2d
                    values[node.name] = pool(x[0], node.size, node.stride, node.padding)
                case Flatten():
                    values[node.name] = x[0].flatten(1)
                case Add():
                    direct = [isinstance(network.node(name), LIF | Relu | Pool2d) for name in node.inputs]
                    values[node.name] = sum(
                        v * node.scale if d else v for v, d in zip(x, direct, strict=True)
                    )
                case _:
                    raise NotImplementedError(f"{node.name}: no such node is trained here")
        outputs.append(values[network.nodes[-1].name])
    return torch.stack(outputs)


def _current(node: Conv2d | Linear, x: Tensor, input_scale: float) -> Tensor:
    """``scale * sum(weight * x) + bias``; the sums are over integers, hence exact."""
    weight = torch.from_numpy(node.weight.astype(np.float64))
    scale, bias = torch.from_numpy(node.scale), torch.from_numpy(node.bias)
    if INPUT in node.inputs:
        scale = scale * input_scale
    if isinstance(node, Linear):
        return F.linear(x.flatten(1), weight) * scale + bias
    sums = F.conv2d(x, weight, None, node.stride, node.padding, node.dilation, node.groups)
    return sums * scale[:, None, None] + bias[:, None, None]
