"""Random networks of activations, and an integer implementation of them that is written from the equations.

The weights, scales and biases are those of `networks.random_network`; neurons become clipped ReLUs of any
bits and steps. `codes` plays a network in Python's and NumPy's integers alone, from its description: sums of
integer weights and codes, a multiplier of so many significant bits, a rounding shift, a clip.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from networks import random_network
from numpy.typing import NDArray

from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d, Relu

Int = NDArray[np.int64]


def random_ann(rng: np.random.Generator, *, bits: tuple[int, int] = (1, 8), **options: Any) -> Network:
    """A random network with activations of `bits` (from, to) bits and steps that clip some of them."""
    network = random_network(rng, timesteps=1, **options)
    if options.get("average"):
        bits = bits[0], min(bits[1], 4)  # an average of larger codes needs more than 8 bits

    def activation(node: Node) -> Node:
        if not isinstance(node, LIF):
            return node
        wide = int(rng.integers(bits[0], bits[1] + 1))
        return Relu(node.name, node.inputs, wide, float(rng.uniform(0.7, 2.0)) / ((1 << wide) - 1))

    return replace(network, name="ann", nodes=tuple(activation(node) for node in network.nodes))


def codes(network: Network, images: NDArray[np.uint8], multiplier_bits: int) -> dict[str, Int]:
    """Codes of every activation and pool, ``[N, C, H, W]`` or ``[N, K]``, and the sums of weighted layers."""
    values: dict[str, Int] = {INPUT: images.astype(np.int64)}
    worth: dict[str, Fraction] = {INPUT: Fraction(network.input_scale)}
    for node in network.nodes:
        if isinstance(node, Add):
            continue
        x = values.get(node.inputs[0], values[INPUT])
        match node:
            case Conv2d():
                values[node.name] = _convolved(node, x)
            case Linear():
                values[node.name] = x.reshape(len(x), -1) @ node.weight.T.astype(np.int64)
            case Pool2d():
                rows, columns = (n // s for n, s in zip(x.shape[2:], node.size, strict=True))
                whole = x[:, :, : rows * node.size[0], : columns * node.size[1]]
                windows = whole.reshape(*x.shape[:2], rows, node.size[0], columns, node.size[1])
                values[node.name] = windows.max((3, 5)) if node.kind == "max" else windows.sum((3, 5))
                area = math.prod(node.size) if node.kind == "average" else 1
                worth[node.name] = worth[node.inputs[0]] / area
            case Flatten():
                values[node.name], worth[node.name] = x.reshape(len(x), -1), worth[node.inputs[0]]
            case Relu():
                values[node.name] = _activated(node, network, values, worth, multiplier_bits)
                worth[node.name] = Fraction(node.step)
    return values


def _convolved(node: Conv2d, x: Int) -> Int:
    (top, left), (down, right) = node.padding, node.stride
    padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    height, width = node.weight.shape[2:]
    rows = (padded.shape[2] - height) // down + 1
    columns = (padded.shape[3] - width) // right + 1
    out = np.zeros((len(x), len(node.weight), rows, columns), np.int64)
    for y in range(height):
        for z in range(width):
            seen = padded[:, :, y : y + rows * down : down, z : z + columns * right : right]
            seen = seen[:, :, :rows, :columns]
            out += np.einsum("nchw,oc->nohw", seen, node.weight[:, :, y, z].astype(np.int64))
    return out


def _activated(
    node: Relu, network: Network, values: dict[str, Int], worth: dict[str, Fraction], bits: int
) -> Int:
    """``min(max(floor(total / 2**shift + 1/2), 0), top)``, channel by channel, in Python's integers."""
    before = network.node(node.inputs[0])
    names = before.inputs if isinstance(before, Add) else (before.name,)
    first = values[names[0]]
    out = np.zeros(first.shape, np.int64)
    for channel in range(first.shape[1]):
        bias = Fraction(0)
        ratios: list[Fraction] = []
        for name in names:
            source = network.node(name)
            if isinstance(source, Conv2d | Linear):
                ratio = Fraction(float(source.scale[channel])) * worth[source.inputs[0]]
                bias += Fraction(float(source.bias[channel]))
            else:
                assert isinstance(before, Add)
                ratio = worth[name] * Fraction(before.scale)
            ratios.append(ratio / Fraction(node.step))
        # The largest multiplier has so many bits.
        shift = bits - 1 - math.floor(math.log2(max(ratios)))
        words = [round(ratio * 2**shift) for ratio in ratios]
        offset = round(bias / Fraction(node.step) * 2**shift)
        total = sum(values[name][:, channel].astype(object) * w for name, w in zip(names, words, strict=True))
        shifted = (total + offset + 2 ** (shift - 1)) // 2**shift
        out[:, channel] = np.clip(shifted.astype(np.float64), 0, (1 << node.bits) - 1).astype(np.int64)
    return out
