"""From real weights to integers: symmetric, one scale an output channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.importers.importing.float_network import FloatNetwork, FloatWeights, Values
from imcsim.importers.importing.float_run import walk
from imcsim.importers.importing.float_values import windows
from imcsim.importers.quantising.scales import Scales, choose, largest_integer, on_grid, rounded
from imcsim.network import validate
from imcsim.network.graph import Conv2d, IntArray, Linear, Network, Node

SAMPLED_WINDOWS = 512
"""Windows of each layer's inputs on which ``mse`` measures currents: drawn evenly from all calibration
images and timesteps, with a fixed seed."""


@dataclass(frozen=True)
class LayerQuantisation:
    """What happened to the weights of one node.

    `exact` channels lost nothing: they lay on an integer grid, or came as integers from the file. `error` is
    the root of the mean-squared difference of the others' weights over the root of their mean square.
    """

    name: str
    channels: int
    weights: int
    exact: int
    dead: int
    error: float


@dataclass(frozen=True, eq=False)
class Quantised:
    """The network in integers, and what rounding did to each of its weighted nodes."""

    network: Network
    layers: tuple[LayerQuantisation, ...]


def quantise(
    network: FloatNetwork,
    weight_bits: int = 8,
    scales: Scales = "max",
    percentile: float = 99.9,
    calibration: NDArray[np.uint8] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Network:
    """Round the weights of `network` to symmetric integers of `weight_bits` bits.

    `scales` says how steps are chosen (see `imcsim.importers.quantising.scales`), `calibration` are the
    images on which ``mse`` measures: uint8 ``[N, C, H, W]`` or ``[N, T, C, H, W]``. Weights on an integer
    grid keep their values; integers of a file that was quantised pass through. Thresholds, leaks and biases
    are not touched:
    the chip rounds them to its own widths. Raises ImcsimError for numbers outside their range, for integers
    that do not fit, and where the result breaks a rule of the graph.

    >>> import numpy as np
    >>> from imcsim.importers.importing.float_network import FloatNetwork, FloatWeights
    >>> from imcsim.network.graph import LIF
    >>> fc = FloatWeights("fc", ("input",), np.array([[0.5, -0.25], [0.1, 0.3]]), np.ones(2), np.zeros(2))
    >>> net = FloatNetwork("net", (2, 1, 1), 1, 1.0, 2, 4, (fc, LIF("out", ("fc",), 1.0, 1.0, "soft")))
    >>> node = quantise(net, weight_bits=4).node("fc")
    >>> node.weight.tolist(), node.scale.tolist()
    ([[2, -1], [1, 3]], [0.25, 0.09999999999999999])
    """
    return quantise_layers(network, weight_bits, scales, percentile, calibration, provenance).network


def quantise_layers(
    network: FloatNetwork,
    weight_bits: int = 8,
    scales: Scales = "max",
    percentile: float = 99.9,
    calibration: NDArray[np.uint8] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Quantised:
    """`quantise`, with what it did to each layer."""
    if not 1 <= weight_bits <= 16:
        raise ImcsimError(f"must be from 1 to 16, not {weight_bits}", key="weight_bits", fix="8 is usual")
    if scales not in get_args(Scales):
        raise ImcsimError(
            f"must be {', '.join(get_args(Scales))}, not {scales!r:.40}",
            key="scales",
            fix=suggestion(scales, get_args(Scales), "use max"),
        )
    if not 50 <= percentile <= 100:
        raise ImcsimError(f"must be from 50 to 100, not {percentile}", key="percentile", fix="99.9 is usual")
    seen: dict[str, Values] = {}
    if scales == "mse" and calibration is not None:
        seen = sample_windows(network, calibration)
    nodes: list[Node] = []
    layers: list[LayerQuantisation] = []
    for node in network.nodes:
        if not isinstance(node, FloatWeights):
            nodes.append(node)
            continue
        made, about = _node(node, weight_bits, scales, percentile, seen.get(node.name))
        nodes.append(made)
        layers.append(about)
    result = Network(
        name=network.name,
        input_shape=network.input_shape,
        input_bits=network.input_bits,
        input_scale=network.input_scale,
        classes=network.classes,
        timesteps=network.timesteps,
        weight_bits=weight_bits,
        nodes=tuple(nodes),
        provenance=dict(provenance or {}),
        input_padding=tuple(round(value) for value in network.input_padding),
        votes=network.votes,
    )
    validate(result)
    return Quantised(result, tuple(layers))


def sample_windows(
    network: FloatNetwork, images: NDArray[np.uint8], samples: int = SAMPLED_WINDOWS
) -> dict[str, Values]:
    """What the weights of each node see on `images`: float64 ``[S, Cin * kH * kW]``, S at most `samples`.

    The same number from every image; drawn from all places and timesteps with a fixed seed.
    """
    draw = np.random.default_rng(0)
    found: dict[str, list[Values]] = {node.name: [] for node in network.weighted}
    each = -(-samples // max(1, len(images)))
    for values in walk(network, images, network.timesteps):
        for node in network.weighted:
            source = values[node.inputs[0]]
            found[node.name].append(_sample(node, source, network, each * len(source), draw))
    return {name: np.concatenate(pieces)[:samples] for name, pieces in found.items()}


def _sample(
    node: FloatWeights, source: Values, network: FloatNetwork, count: int, draw: np.random.Generator
) -> Values:
    source = source.reshape(-1, *source.shape[2:])
    if node.weight.ndim == 2:
        rows = source.reshape(len(source), -1)
        return np.asarray(rows[draw.integers(len(rows), size=min(count, len(rows)))])
    view = windows(node, source, network)
    shape = (view.shape[0], view.shape[2], view.shape[3])
    places = draw.integers(int(np.prod(shape)), size=min(count, int(np.prod(shape))))
    image, row, column = np.unravel_index(places, shape)
    return np.ascontiguousarray(view[image, :, row, column].reshape(len(places), -1))


def _node(
    node: FloatWeights, bits: int, scales: Scales, percentile: float, inputs: Values | None
) -> tuple[Node, LayerQuantisation]:
    flat, bits = node.weight.reshape(len(node.weight), -1), node.weight_bits or bits
    if not (np.isfinite(flat).all() and np.isfinite(node.bias).all()):
        raise ImcsimError(
            "its weights or biases hold NaN or infinity", key=node.name, fix="was the training run sound?"
        )
    if node.integer:
        integers, step = _given(node, flat, bits), np.ones(len(flat))
        dead = ~flat.any(axis=1)
        exact = np.ones(len(flat), bool)
    else:
        step = on_grid(flat, bits) if bits > 1 else np.abs(flat).mean(axis=1)
        exact = ~np.isnan(step) if bits > 1 else (np.abs(flat) == step[:, None]).all(axis=1)
        if bits > 1 and not exact.all():
            chosen = choose(flat, bits, scales, percentile, inputs, node.groups)
            step = np.where(exact, step, chosen)
        dead = np.isnan(step) if bits > 1 else step == 0
        step[dead] = 1.0
        exact |= dead & (bits > 1)
        # One bit holds the sign alone, worth the mean size (Rastegari et al., XNOR-Net, ECCV 2016).
        integers = rounded(flat, step, bits) if bits > 1 else np.where(flat < 0, -1, 1)
    lost = (flat - step[:, None] * integers) * node.scale[:, None]
    whole = flat * node.scale[:, None]
    power = float((whole[~exact] ** 2).sum())
    about = LayerQuantisation(
        name=node.name,
        channels=len(flat),
        weights=flat.size,
        exact=int(exact.sum()),
        dead=int((~flat.any(axis=1)).sum()),
        error=float(np.sqrt((lost[~exact] ** 2).sum() / power)) if power > 0 else 0.0,
    )
    smallest: type[np.signedinteger[Any]] = np.int8 if bits <= 8 else np.int16
    weight: IntArray = integers.reshape(node.weight.shape).astype(smallest)
    scale = node.scale * step
    if not node.integer and dead.any():
        # A scale means nothing for weights of zero, but is the unit of bias and threshold: one like those of
        # the other channels, and a power of two, in which short binary fractions are exact.
        usual = np.median(scale[~dead]) if not dead.all() else 1.0
        scale[dead] = np.exp2(np.rint(np.log2(usual))) if 0 < usual < np.inf else 1.0
    if not (scale > 0).all() or not np.isfinite(scale).all():
        raise ImcsimError(
            "its weights are too small or too large for a scale",
            key=node.name,
            fix="scale the weights and what they are added to alike, or train again",
        )
    if node.weight.ndim == 2:
        return Linear(node.name, node.inputs, weight, scale, node.bias, node.weight_bits), about
    window = (node.stride, node.padding, node.dilation, node.groups)
    return Conv2d(node.name, node.inputs, weight, scale, node.bias, *window, node.weight_bits), about


def _given(node: FloatWeights, flat: Values, bits: int) -> NDArray[np.int64]:
    """The integers of a file that was quantised; raises ImcsimError where they do not fit `bits`."""
    integers = np.rint(flat)
    if (integers != flat).any():
        raise ImcsimError(
            "its weights come with scales but are not integers", key=node.name, fix="export the integers"
        )
    size = int(np.abs(integers).max())
    if size > largest_integer(bits):
        raise ImcsimError(
            f"its integer weights reach {size} in size, beyond the symmetric range of {bits} bits",
            key=node.name,
            fix=f"use --weight-bits {size.bit_length() + 1}" if size < 1 << 15 else "use at most 16 bits",
        )
    return integers.astype(np.int64)
