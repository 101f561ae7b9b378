"""The rules of the layer graph: what may follow what, and which parameters make sense."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from imcsim.base.choices import MAX_TIMESTEPS
from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.plurals import counted
from imcsim.network.graph import (
    INPUT,
    LI,
    LIF,
    Add,
    Conv2d,
    Delay,
    Flatten,
    Linear,
    Network,
    Node,
    Pool2d,
    Relu,
    kind,
)
from imcsim.network.parameters import (
    MAX_SIZE,
    Text,
    about_parameters,
    is_int,
    is_shape,
    number,
    pair,
    positive,
)
from imcsim.network.sizes import Shape, delayed_shapes, node_shape, show
from imcsim.network.sums import largest_value, neurons_of_sum, sums_spikes

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
MAX_BRANCHES = 8
MAX_POOLED = 255
"""A value that weights read has 8 bits."""

_LIMITS = {
    "input.bits": (1, 8),
    "classes": (2, MAX_SIZE),
    "timesteps": (1, MAX_TIMESTEPS),
    "weight_bits": (1, 16),
    "votes": (1, MAX_SIZE),
}


@dataclass(frozen=True)
class BrokenRule:
    """A rule that a network breaks. `index` is the place of the node in `nodes`; None: the network itself."""

    index: int | None
    key: str
    message: str
    fix: str | None = None


def validate(network: Network) -> None:
    """Raise ImcsimError with the first rule that `network` breaks."""
    for problem in problems(network):
        raise ImcsimError(problem.message, key=problem.key, fix=problem.fix)


def problems(network: Network) -> Iterator[BrokenRule]:
    """All rules that `network` breaks, in the order of its nodes.

    The rules: names are unique and inputs come before their readers; shapes fit; weights are integers of the
    symmetric range of `weight_bits`; scales and thresholds are positive, leaks and synapses lie in [0, 1];
    `Conv2d` and `Linear` read the image or spikes, `LIF` and `LI` currents, `Pool2d` spikes, or the currents
    of a `Conv2d` for one layer of neurons, `Add` currents or spikes (not averaged or summed by pools; spikes
    alone for weights and pools behind it); sums of spikes stay below 256; the last node gives one value a
    class, and every other node is read; an `LI` is the last node. What holds for spikes holds for the
    activations of a `Relu`, but that they are not added alone; a network has spikes or activations, and of
    activations one timestep and no delays.
    """
    yield from _about_network(network)
    known: dict[str, Node] = {}
    sizes: dict[str, Shape] = {}
    if is_shape(network.input_shape):
        sizes[INPUT] = network.input_shape
    later = {node.name: node for node in network.nodes}
    delayed = _delayed_shapes(network)
    for index, node in enumerate(network.nodes):
        wrong = [BrokenRule(index, node.name, *text) for text in _about_node(node, known, later, network)]
        if not wrong and (isinstance(node, Delay) or all(name in sizes for name in node.inputs)):
            try:
                sizes[node.name] = node_shape(node, sizes | delayed if isinstance(node, Delay) else sizes)
            except ImcsimError as error:
                wrong.append(BrokenRule(index, node.name, error.message, error.fix))
        yield from wrong
        known.setdefault(node.name, node)
    yield from _about_activations(network)
    yield from _about_ends(network, sizes)


def _about_activations(network: Network) -> Iterator[BrokenRule]:
    """A network has spikes, or activations and one timestep."""
    if not network.is_ann:
        return
    if network.timesteps != 1:
        yield BrokenRule(
            None, "timesteps", "a network of activations (relu) has one timestep", "write timesteps: 1"
        )
    for index, node in enumerate(network.nodes):
        if isinstance(node, LIF | LI | Delay):
            yield BrokenRule(
                index,
                node.name,
                f"a {kind(node)} node in a network of activations (relu), which has one timestep",
                "use neurons of one kind: lif or relu",
            )


def _about_network(network: Network) -> Iterator[BrokenRule]:
    if not NAME.fullmatch(network.name):
        yield BrokenRule(None, "name", f"{network.name!a} is not a name", _NAME_FIX)
    if not is_shape(network.input_shape):
        yield BrokenRule(
            None,
            "input.shape",
            "the shape must be channels, rows, columns",
            f"use integers from 1 to {MAX_SIZE}",
        )
    for key, (low, high) in _LIMITS.items():
        value = getattr(network, key.replace(".", "_"))
        if not is_int(value) or not low <= value <= high:
            yield BrokenRule(None, key, f"must be an integer from {low} to {high}, not {value!r}")
    if not positive(network.input_scale):
        yield BrokenRule(None, "input.scale", f"must be a positive number, not {network.input_scale!r}")
    padding = network.input_padding
    if padding and is_shape(network.input_shape) and is_int(network.input_bits):
        largest = (1 << min(max(network.input_bits, 1), 8)) - 1
        channels = network.input_shape[0]
        if len(padding) != channels or not all(is_int(n) and 0 <= n <= largest for n in padding):
            yield BrokenRule(
                None, "input.padding", f"must be {channels} pixels from 0 to {largest}, one per channel"
            )
    accuracy = network.provenance.get("accuracy")
    for key, value in accuracy.items() if isinstance(accuracy, Mapping) else ():
        if isinstance(value, list | tuple) and not all(number(v) and 0 <= v <= 1 for v in value):
            yield BrokenRule(None, f"provenance.accuracy.{key}", "accuracies are numbers from 0 to 1")


_NAME_FIX = "use a letter, then letters, digits, dots, dashes and underscores, 64 at most"


def _delayed_shapes(network: Network) -> dict[str, Shape]:
    """Shapes of what delays read, as far as they can be known of a network that may break rules."""
    if any(isinstance(node, Delay) for node in network.nodes) and is_shape(network.input_shape):
        try:
            return delayed_shapes(network)
        except (ValueError, TypeError, IndexError, AttributeError, ArithmeticError):
            pass  # the node that is to blame is named in its turn
    return {}


def _about_node(
    node: Node, known: Mapping[str, Node], later: Mapping[str, Node], network: Network
) -> Iterator[Text]:
    if not NAME.fullmatch(node.name) or node.name == INPUT:
        yield f"{node.name!a} is not a name for a node", _NAME_FIX + f"; {INPUT!r} is the image"
    if node.name in known:
        yield "two nodes have this name", "rename one"
    low, high, takes = (2, MAX_BRANCHES, f"2 to {MAX_BRANCHES}") if isinstance(node, Add) else (1, 1, "1")
    if not low <= len(node.inputs) <= high:
        yield f"reads {counted(len(node.inputs), 'node')}, but {kind(node)} takes {takes}", "correct `inputs`"
    for name in node.inputs:
        if name == node.name:
            yield "reads itself", "name the node before it"
        elif name in known or name == INPUT or (name in later and isinstance(node, Delay)):
            continue
        elif name in later:
            yield (
                f"reads {name!r}, which comes after it",
                "order nodes so that inputs come first; feedback passes through a delay node",
            )
        else:
            yield f"reads {name!r}, but no node has that name", suggestion(name, [*known, INPUT])
    if isinstance(node, Delay) and all(name in later or name == INPUT for name in node.inputs):
        yield from _about_delaying(node, later)
    elif all(name in known or name == INPUT for name in node.inputs):
        yield from _about_reading(node, later)
    yield from about_parameters(node, network.weight_bits)


def _about_reading(node: Node, known: Mapping[str, Node]) -> Iterator[Text]:
    """Who may read whom."""
    sources = [known.get(name) for name in node.inputs]  # None is the image
    for name, source in zip(node.inputs, sources, strict=True):
        what = "the image" if source is None else f"{name!r} ({kind(source)})"
        match node:
            case Conv2d() | Linear():
                if pools_currents(source, known):
                    yield f"reads pooled currents of {name!r}", "put a lif node between them"
                elif isinstance(source, Delay) and np.any(np.not_equal(source.weight, 1)):
                    yield (
                        f"reads {name!r}, whose spikes have a weight of their own",
                        "give the delay a weight of 1: these weights are the feedback's",
                    )
                elif not sums_spikes(source, known) and not isinstance(
                    source, LIF | Relu | Pool2d | Flatten | Delay | None
                ):
                    yield f"reads {what}: weights take the image or spikes", "put a lif node between them"
            case LIF() | LI() | Relu():
                if not isinstance(source, Conv2d | Linear | Add) and not pools_currents(source, known):
                    yield f"reads {what}: neurons take currents", "let it read a conv2d, linear or add node"
            case Pool2d():
                if pools_currents(source, known):
                    yield f"pools the pooled currents of {name!r}", "make one pool of both"
                elif not sums_spikes(source, known) and not isinstance(source, LIF | Relu | Pool2d | Conv2d):
                    yield f"reads {what}: pools take spikes, or a convolution's currents", "pool a map"
                elif isinstance(source, Conv2d):
                    pass
                elif pair(node.size, 1) and (most := largest_value(node, known)) > MAX_POOLED:
                    yield (
                        f"adds up to {most} spikes; an input of 8 bits holds {MAX_POOLED}",
                        "use smaller windows, or max pools",
                    )
            case Flatten():
                spiking = isinstance(source, LIF | Relu | Pool2d | Delay) or sums_spikes(source, known)
                if not spiking or pools_currents(source, known):
                    yield (
                        f"reads {what}: only maps of spikes are flattened",
                        "let it read a lif or pool2d node",
                    )
            case Add():
                currents = isinstance(source, Conv2d | Linear)
                trains = isinstance(source, LIF | Relu | Delay | Pool2d) or sums_spikes(source, known)
                spikes = trains and not (_summed(source, known) or pools_currents(source, known))
                if not currents and not spikes:
                    yield (
                        f"adds {what}: it takes currents, spikes or max-pooled spikes",
                        "let it read conv2d, linear, lif, delay or max pool2d nodes",
                    )
    if isinstance(node, Add) and sums_spikes(node, known):
        yield from _about_sum(node, known)


def _about_sum(node: Add, known: Mapping[str, Node]) -> Iterator[Text]:
    """Additions that no current enters."""
    if any(isinstance(reader, LIF | LI) and node.name in reader.inputs for reader in known.values()):
        yield "adds no currents", "at least one of its inputs must be a conv2d or linear node"
        return
    twice = sorted({name for name in node.inputs if node.inputs.count(name) > 1})
    if twice:
        yield f"adds {twice[0]!r} twice", "double the scale of the weights behind it"
        return
    if positive(node.scale) and node.scale != 1:
        yield "is a sum of spikes, which has no scale", "set it to 1: weights behind it have scales"
    for name in node.inputs:
        source = known.get(name)
        if isinstance(source, Delay) and np.any(np.not_equal(source.weight, 1)):
            yield f"adds {name!r}, whose spikes have a weight of their own", "give the delay a weight of 1"
    main = neurons_of_sum(node, known)
    if main is None:
        yield (
            "none of its inputs are neurons that come last",
            "let it add the spikes of a lif node, without a pool before it, to what came earlier",
        )
        return
    for other in known.values():
        if other is node:
            break
        if not isinstance(other, Add) or main not in other.inputs or not sums_spikes(other, known):
            continue
        if neurons_of_sum(other, known) == main:
            yield f"adds to the spikes of {main!r} as {other.name!r} does", "make one sum of both"
    if largest_value(node, known) > MAX_POOLED:
        yield (
            f"adds up to more than {MAX_POOLED} spikes, which an input of 8 bits holds",
            "add fewer spikes, and none that come back to it",
        )


def pools_currents(node: Node | None, known: Mapping[str, Node]) -> bool:
    """Does `node` pool what a convolution gives, before neurons?"""
    return isinstance(node, Pool2d) and isinstance(known.get(node.inputs[0]), Conv2d)


def _about_delaying(node: Delay, every: Mapping[str, Node]) -> Iterator[Text]:
    """What a delay may read: spikes, of whatever node."""
    source = every.get(node.inputs[0]) if node.inputs else None
    what = "the image" if source is None else f"{node.inputs[0]!r} ({kind(source)})"
    spikes = isinstance(source, LIF | Pool2d | Flatten) or sums_spikes(source, every)
    if not spikes or pools_currents(source, every):
        yield (
            f"delays {what}: a chip keeps spikes",
            "let it read a lif node, or a pool2d or flatten of spikes",
        )
    if isinstance(source, Flatten) and isinstance(every.get(source.inputs[0]), Delay):
        yield f"delays {source.inputs[0]!r}, a delay", "make one delay of both"


def _summed(node: Node | None, known: Mapping[str, Node]) -> bool:
    """Does an average or sum pool stand between `node` and the neurons?"""
    return any(pool.kind != "max" for pool in _pools_before(node, known))


def _pools_before(node: Node | None, known: Mapping[str, Node]) -> list[Pool2d]:
    """The pools from `node` back to the neurons, delayed or not."""
    if isinstance(node, Delay):
        node = known.get(node.inputs[0])
    pools: list[Pool2d] = []
    while isinstance(node, Pool2d) and node not in pools:
        pools.append(node)
        node = known.get(node.inputs[0])
    return pools


def _about_ends(network: Network, sizes: Mapping[str, Shape]) -> Iterator[BrokenRule]:
    """Every node but the last is read; the last gives the class outputs."""
    if not network.nodes:
        yield BrokenRule(None, "nodes", "the network has no nodes")
        return
    read = {name for node in network.nodes for name in node.inputs}
    for index, node in enumerate(network.nodes[:-1]):
        if node.name not in read:
            yield BrokenRule(index, node.name, "nothing reads this node", "remove it, or put the output last")
    known = {node.name: node for node in network.nodes}
    readers = {name: [n for n in network.nodes if name in n.inputs] for name in known}
    for index, node in enumerate(network.nodes):
        if pools_currents(node, known) and (len(readers[node.name]) > 1 or len(readers[node.inputs[0]]) > 1):
            yield BrokenRule(
                index,
                node.name,
                "pooled currents are for one layer of neurons, and so is what they are pooled of",
                "give each layer of neurons a convolution of its own",
            )
    index, last = len(network.nodes) - 1, network.nodes[-1]
    for place, node in enumerate(network.nodes[:-1]):
        if isinstance(node, LI):
            yield BrokenRule(place, node.name, "an li node never fires", "put it last, or use a lif node")
    if not isinstance(last, Conv2d | Linear | LIF | LI):
        yield BrokenRule(
            index,
            last.name,
            f"the last node is a {kind(last)}",
            "end with the linear, conv2d, lif or li node of the outputs",
        )
        return
    if INPUT in last.inputs:
        yield BrokenRule(index, last.name, "the output reads the image", "put spiking layers before it")
    shape = sizes.get(last.name)
    if not is_int(network.votes) or not is_int(network.classes):
        return
    outputs = network.classes * network.votes
    if shape is not None and (shape[0] != outputs or math.prod(shape) != outputs):
        each = f" of {network.votes} votes" if network.votes > 1 else ""
        yield BrokenRule(
            index,
            last.name,
            f"the output is {show(shape)}, but there are {network.classes} classes{each}",
            None,
        )
