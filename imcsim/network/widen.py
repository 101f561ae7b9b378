"""The same function on more channels: every channel stands several times, one copy beside the other.

Copies of a channel get the same currents and so give the same spikes. A layer that reads k copies of each
channel has k times the active rows; its scale is divided by k, so its currents stay what they were. This is
how costs of a wide network can be had with the spike rates, layer by layer, of a narrow one that was trained.

A layer may have a factor of its own, also one that is not whole: of 4/3 a third of its channels stands twice,
and what reads them takes a part of their weights from each copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.network.bundle import fingerprint
from imcsim.network.graph import (
    INPUT,
    LI,
    LIF,
    Conv2d,
    Delay,
    Flatten,
    IntArray,
    Linear,
    Network,
    Node,
    PerChannel,
    Pool2d,
)
from imcsim.network.parameters import is_int
from imcsim.network.sizes import MAX_DENSE, Shape, shapes
from imcsim.network.validate import validate

_NAME_LENGTH = 64


Factor = int | Mapping[str, int | Fraction]
"""Of all layers, or of some by their names."""


def widen(network: Network, factor: Factor) -> Network:
    """`network` with every channel `factor` times, the copies of a channel side by side.

    The image and the class outputs stay as they are. Weights stay the same integers; scales are divided by
    the factor of what is read, without rounding where it is a power of two. Where that is not whole, weights
    of a channel that stands c times are divided among its copies in c whole numbers that add up to them, and
    scales stay. Grouped convolutions keep the number of their groups. The name ends in ``_x<factor>``
    (``_wide`` where layers differ); the provenance says what was widened (``widened``). With a factor of 1 it
    is `network` itself.

    Args:
        network: What is widened.
        factor: An integer of at least 1; or, by the names of layers with weights, how many times their
            channels stand: numbers of at least 1, of which their channels are a whole number; 1 for layers
            that are not named.

    Raises ImcsimError for a factor that is none of these, for factors that differ where channels are added or
    for a layer with the class outputs, for groups of a convolution that would differ, for neighbours of a
    row that are pooled, for a network that breaks a rule, and where the wide one would be larger than
    networks may be.

    >>> import imcsim.network
    >>> from imcsim.network.widen import widen
    >>> wide = widen(imcsim.network.load("vgg7_cifar10"), 2)
    >>> wide.name, wide.node("conv1").weight.shape, wide.node("conv2").weight.shape
    ('vgg7_cifar10_x2', (64, 3, 3, 3), (128, 64, 3, 3))
    """
    validate(network)
    copied = copies(network, factor)
    if all(times == 1 for times in copied.values()):
        return network
    sizes = shapes(network)
    for node in network.nodes:
        if isinstance(node, Pool2d) and len(sizes[node.name]) == 1 and copied[node.name] != 1:
            raise ImcsimError(
                f"{node.name} pools neighbours in a row of values, where copies would stand side by side",
                key="factor",
                fix="give 1 to the layers that make its row",
            )
    sizes |= {n.name: sizes[n.inputs[0]] for n in network.nodes if isinstance(n, Flatten)}
    weights = sum(n.weight.size * copied[n.name] * copied[n.inputs[0]] for n in network.weighted)
    if weights > MAX_DENSE:
        raise ImcsimError(
            f"{network.name} with so many copies of each channel would have {int(weights)} weights; "
            f"at most {MAX_DENSE} are allowed",
            key="factor",
            fix="use a smaller factor",
        )
    one = not isinstance(factor, Mapping)
    ending = f"_x{factor}" if one else "_wide"
    each = {layer.name: str(copied[layer.name]) for layer in network.weighted}
    about = {
        "network": network.name,
        "sha256": network.sha256 or fingerprint(network),
        "factor": factor if one else each,
        "how": f"each channel but the image's and the class outputs stands {factor} times; layers that read "
        f"copies have their scale divided by {factor}"
        if one
        else "channels but the image's and the class outputs stand so many times; what reads copies takes an "
        "equal part from each",
    }
    wide = replace(
        network,
        name=network.name[: _NAME_LENGTH - len(ending)] + ending,
        nodes=tuple(_wide(node, copied, sizes) for node in network.nodes),
        provenance={**network.provenance, "widened": about},
        sha256="",
    )
    validate(wide)
    return replace(wide, sha256=fingerprint(wide))


def copies(network: Network, factor: Factor) -> dict[str, Fraction]:
    """How often each channel of ``input`` and of every node stands in the network that `widen` gives.

    Once where a node has the channels of the class outputs, as neurons, pools and additions have those of
    what they read. Raises ImcsimError as `widen` does for its factors.
    """
    layers = {n.name: n for n in network.weighted}
    if not isinstance(factor, Mapping):
        if not is_int(factor) or factor < 1:
            raise ImcsimError(
                f"must be an integer of at least 1, not {factor!r}",
                key="factor",
                fix="8 makes every layer 8 times as wide",
            )
    elif unknown := [name for name in factor if name not in layers]:
        raise ImcsimError(
            f"{unknown[0]!r} is no layer with weights",
            key="factor",
            fix=suggestion(unknown[0], layers, f"layers are {', '.join(layers)}"),
        )
    found: dict[str, Fraction] = {}
    for alike in _alike(network):
        single = INPUT in alike or network.nodes[-1].name in alike
        if not isinstance(factor, Mapping):
            times = Fraction(1 if single else factor)
        else:
            asked = {name: factor.get(name, 1) for name in alike if name in layers}
            times = _one_of(asked, single=single)
        found |= dict.fromkeys(alike, times)
    for layer in layers.values():
        _check(layer, found[layer.inputs[0]], found[layer.name])
    return found


def _alike(network: Network) -> list[set[str]]:
    """The image and all nodes, those together that have the same channels."""
    groups = [{INPUT}]
    for node in network.nodes:
        names = {node.name} if isinstance(node, Conv2d | Linear) else {node.name, *node.inputs}
        joined = [group for group in groups if group & names]
        groups = [group for group in groups if not group & names] + [names.union(*joined)]
    return groups


def _one_of(asked: Mapping[str, int | Fraction], *, single: bool) -> Fraction:
    """The one factor of layers with the same channels."""
    for name, times in asked.items():
        if isinstance(times, bool) or not isinstance(times, int | Fraction) or times < 1:
            raise ImcsimError(
                f"{name}: must be a whole number or a fraction of at least 1, not {times!r}",
                key="factor",
                fix="give for example Fraction(3, 2)",
            )
    different = sorted({Fraction(times) for times in asked.values()} | ({Fraction(1)} if single else set()))
    if len(different) > 1:
        raise ImcsimError(
            f"{', '.join(asked)} have the same channels"
            + (", those of the class outputs" if single else "")
            + f", but factors of {' and '.join(map(str, different))}",
            key="factor",
            fix="give them 1" if single else "give them the same one",
        )
    return different[0] if different else Fraction(1)


def _check(layer: Conv2d | Linear, inner: Fraction, outer: Fraction) -> None:
    channels = len(layer.weight)
    if (channels * outer).denominator != 1:
        raise ImcsimError(
            f"{layer.name} has {channels} channels, of which {outer} times are no whole number",
            key="factor",
            fix="use a factor that gives a whole number of channels",
        )
    if isinstance(layer, Conv2d) and layer.groups > 1 and (inner.denominator, outer.denominator) != (1, 1):
        raise ImcsimError(
            f"{layer.name} is grouped: its groups would differ", key="factor", fix="give whole factors"
        )


def _standing(channels: int, times: Fraction) -> IntArray:
    """How often each of `channels` stands, ``[channels]``: of 4/3, the first third of them twice."""
    whole = int(times)
    more = int(channels * (times - whole))
    return np.where(np.arange(channels) < more, whole + 1, whole)


def _wide(node: Node, copied: Mapping[str, Fraction], sizes: Mapping[str, Shape]) -> Node:
    """A node of the wide network. `sizes`: shapes of the nodes, those of flattened maps before they were."""
    outer = _standing(sizes[node.name][0], copied[node.name])
    match node:
        case Conv2d() | Linear():
            inner = copied[node.inputs[0]]
            return replace(
                node,
                weight=_weights(node, inner, sizes[node.inputs[0]]).repeat(outer, axis=0),
                scale=node.scale.repeat(outer) / (int(inner) if inner.denominator == 1 else 1),
                bias=node.bias.repeat(outer),
            )
        case LIF():
            return replace(
                node,
                leak=_parameter(node.leak, outer),
                threshold=_parameter(node.threshold, outer),
                synapse=None if node.synapse is None else _parameter(node.synapse, outer),
                floor=None if node.floor is None else _parameter(node.floor, outer),
                initial=_parameter(node.initial, outer),
                drift=_parameter(node.drift, outer),
            )
        case LI():
            return replace(
                node,
                leak=_parameter(node.leak, outer),
                synapse=None if node.synapse is None else _parameter(node.synapse, outer),
            )
        case Delay():
            return replace(node, weight=_parameter(node.weight, outer))
        case _:
            return node


def _weights(node: Conv2d | Linear, inner: Fraction, read: Shape) -> IntArray:
    """Weights of the copies of each channel that is read."""
    if inner.denominator == 1 and isinstance(node, Conv2d):
        # Copies stand side by side, so those of a group's channels are a group.
        return node.weight.repeat(int(inner), axis=1)
    # A flattened map runs over channels first: the copies of a channel are whole maps.
    by_channel = node.weight.reshape(len(node.weight), read[0], -1)
    times = _standing(read[0], inner)
    wide = by_channel.repeat(times, axis=1)
    if inner.denominator != 1:
        first = np.cumsum(times) - times
        part = np.arange(times.sum()) - first.repeat(times)
        # w = q c + r: the first r of c copies get q + 1, the others q.
        whole, rest = np.divmod(wide, times.repeat(times).astype(wide.dtype)[:, None])
        wide = whole + (part[:, None] < rest).astype(wide.dtype)
    shape = node.weight.shape[2:] if isinstance(node, Conv2d) else ()
    return wide.reshape(len(node.weight), -1, *shape)


def _parameter(value: PerChannel, outer: IntArray) -> PerChannel:
    return np.repeat(value, outer, axis=0) if isinstance(value, np.ndarray) else value
