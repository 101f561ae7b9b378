"""The same function on more channels: every channel stands several times, one copy beside the other.

Copies of a channel get the same currents and so give the same spikes. A layer that reads k copies of each
channel has k times the active rows; its scale is divided by k, so its currents stay what they were. This is
how costs of a wide network can be had with the spike rates, layer by layer, of a narrow one that was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from imcsim.base.errors import ImcsimError
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
)
from imcsim.network.parameters import is_int
from imcsim.network.sizes import MAX_DENSE, Shape, shapes
from imcsim.network.validate import validate

_NAME_LENGTH = 64


def widen(network: Network, factor: int) -> Network:
    """`network` with every channel `factor` times, the copies of a channel side by side.

    The image and the class outputs stay as they are. Weights stay the same integers; scales are divided by
    `factor` where copies are read, without rounding where it is a power of two. Grouped convolutions keep the
    number of their groups. The name ends in ``_x<factor>``; the provenance says what was widened
    (``widened``). With a factor of 1 it is `network` itself. Raises ImcsimError for a factor that is no
    integer of at least 1, for a network that breaks a rule, and where the wide one would be larger than
    networks may be.

    >>> import imcsim.network
    >>> from imcsim.network.widen import widen
    >>> wide = widen(imcsim.network.load("vgg7_cifar10"), 2)
    >>> wide.name, wide.node("conv1").weight.shape, wide.node("conv2").weight.shape
    ('vgg7_cifar10_x2', (64, 3, 3, 3), (128, 64, 3, 3))
    """
    if not is_int(factor) or factor < 1:
        raise ImcsimError(f"must be an integer of at least 1, not {factor!r}", key="factor")
    validate(network)
    if factor == 1:
        return network
    copied = copies(network, factor)
    weights = sum(n.weight.size * copied[n.name] * copied[n.inputs[0]] for n in network.weighted)
    if weights > MAX_DENSE:
        raise ImcsimError(
            f"{network.name} with {factor} copies of each channel would have {weights} weights; "
            f"at most {MAX_DENSE} are allowed",
            key="factor",
            fix="use a smaller factor",
        )
    sizes = shapes(network)
    sizes |= {n.name: sizes[n.inputs[0]] for n in network.nodes if isinstance(n, Flatten)}
    ending = f"_x{factor}"
    about = {
        "network": network.name,
        "sha256": network.sha256 or fingerprint(network),
        "factor": factor,
        "how": f"each channel but the image's and the class outputs stands {factor} times; layers that read "
        f"copies have their scale divided by {factor}",
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


def copies(network: Network, factor: int) -> dict[str, int]:
    """How often each channel of ``input`` and of every node stands in the network that `widen` gives.

    Once where a node has the channels of the class outputs, as neurons, pools and additions have those of
    what they read.
    """
    same = [{n.name, *n.inputs} for n in network.nodes if not isinstance(n, Conv2d | Linear)]
    single = {network.nodes[-1].name}
    found = 0
    while len(single) > found:
        found = len(single)
        for channels in same:
            if channels & single:
                single |= channels
    return {INPUT: 1} | {n.name: 1 if n.name in single else factor for n in network.nodes}


def _wide(node: Node, copied: Mapping[str, int], sizes: Mapping[str, Shape]) -> Node:
    """A node of the wide network. `sizes`: shapes of the nodes, those of flattened maps before they were."""
    outer = copied[node.name]
    match node:
        case Conv2d() | Linear():
            inner = copied[node.inputs[0]]
            return replace(
                node,
                weight=_weights(node, inner, sizes[node.inputs[0]]).repeat(outer, axis=0),
                scale=node.scale.repeat(outer) / inner,
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


def _weights(node: Conv2d | Linear, inner: int, read: Shape) -> IntArray:
    """Weights of `inner` copies of each channel that is read."""
    if isinstance(node, Conv2d) or inner == 1:
        # Copies stand side by side, so those of a group's channels are a group.
        return node.weight.repeat(inner, axis=1)
    # A flattened map runs over channels first: the copies of a channel are whole maps.
    by_channel = node.weight.reshape(len(node.weight), read[0], -1)
    return by_channel.repeat(inner, axis=1).reshape(len(node.weight), -1)


def _parameter(value: PerChannel, outer: int) -> PerChannel:
    return np.repeat(value, outer, axis=0) if isinstance(value, np.ndarray) else value
