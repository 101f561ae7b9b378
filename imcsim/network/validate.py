"""The rules of the layer graph: what may follow what, and which parameters make sense."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from imcsim.errors import ImcsimError
from imcsim.names import nearest
from imcsim.network.graph import INPUT, LIF, Add, Conv2d, Flatten, Linear, Network, Node, Pool2d, kind
from imcsim.network.sizes import Shape, node_shape, show

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
MAX_SIZE = 1 << 16

_LIMITS = {
    "input.bits": (1, 8),
    "classes": (2, MAX_SIZE),
    "timesteps": (1, 256),
    "weight_bits": (2, 16),
}


@dataclass(frozen=True)
class Problem:
    """A rule that a network breaks. `index` is the place of the node in `nodes`; None: the network itself."""

    index: int | None
    key: str
    message: str
    fix: str | None = None


def validate(network: Network) -> None:
    """Raise ImcsimError with the first rule that `network` breaks."""
    for problem in problems(network):
        raise ImcsimError(problem.message, key=problem.key, fix=problem.fix)


def problems(network: Network) -> Iterator[Problem]:
    """All rules that `network` breaks, in the order of its nodes.

    The rules: names are unique and inputs come before their readers; shapes fit; weights are integers of the
    symmetric range of `weight_bits`; scales and thresholds are positive, leaks lie in [0, 1]; `Conv2d` and
    `Linear` read the image or spikes, `LIF` reads currents, `Pool2d` spikes, `Add` currents or spikes (not
    averaged ones); the last node gives one value a class, and every other node is read.
    """
    yield from _about_network(network)
    known: dict[str, Node] = {}
    sizes: dict[str, Shape] = {}
    if _is_shape(network.input_shape):
        sizes[INPUT] = network.input_shape
    later = {node.name for node in network.nodes}
    for index, node in enumerate(network.nodes):
        wrong = [Problem(index, node.name, *text) for text in _about_node(node, known, later, network)]
        if not wrong and all(name in sizes for name in node.inputs):
            try:
                sizes[node.name] = node_shape(node, sizes)
            except ImcsimError as error:
                wrong.append(Problem(index, node.name, error.message, error.fix))
        yield from wrong
        known.setdefault(node.name, node)
    yield from _about_ends(network, sizes)


Text = tuple[str, str | None]


def _about_network(network: Network) -> Iterator[Problem]:
    if not NAME.fullmatch(network.name):
        yield Problem(None, "name", f"{network.name!a} is not a name", _NAME_FIX)
    if not _is_shape(network.input_shape):
        yield Problem(
            None,
            "input.shape",
            "the shape must be channels, rows, columns",
            f"use integers from 1 to {MAX_SIZE}",
        )
    for key, (low, high) in _LIMITS.items():
        value = getattr(network, key.replace(".", "_"))
        if not _is_int(value) or not low <= value <= high:
            yield Problem(None, key, f"must be an integer from {low} to {high}, not {value!r}")
    if not _positive(network.input_scale):
        yield Problem(None, "input.scale", f"must be a positive number, not {network.input_scale!r}")
    accuracy = network.provenance.get("accuracy")
    for key, value in accuracy.items() if isinstance(accuracy, Mapping) else ():
        if isinstance(value, list | tuple) and not all(_number(v) and 0 <= v <= 1 for v in value):
            yield Problem(None, f"provenance.accuracy.{key}", "accuracies are numbers from 0 to 1")


_NAME_FIX = "use a letter, then letters, digits, dots, dashes and underscores, 64 at most"


def _about_node(node: Node, known: Mapping[str, Node], later: set[str], network: Network) -> Iterator[Text]:
    if not NAME.fullmatch(node.name) or node.name == INPUT:
        yield f"{node.name!a} is not a name for a node", _NAME_FIX + f"; {INPUT!r} is the image"
    if node.name in known:
        yield "two nodes have this name", "rename one"
    count = 2 if isinstance(node, Add) else 1
    if len(node.inputs) != count:
        yield f"reads {len(node.inputs)} nodes, but {kind(node)} takes {count}", "correct `inputs`"
    for name in node.inputs:
        if name == node.name:
            yield "reads itself", "name the node before it"
        elif name in known or name == INPUT:
            continue
        elif name in later:
            yield f"reads {name!r}, which comes after it", "order nodes so that inputs come first; no loops"
        else:
            guess = nearest(name, [*known, INPUT])
            yield f"reads {name!r}, but no node has that name", f"did you mean {guess!r}?" if guess else None
    if all(name in known or name == INPUT for name in node.inputs):
        yield from _about_reading(node, known)
    yield from _about_parameters(node, network.weight_bits)


def _about_reading(node: Node, known: Mapping[str, Node]) -> Iterator[Text]:
    """Who may read whom."""
    sources = [known.get(name) for name in node.inputs]  # None is the image
    for name, source in zip(node.inputs, sources, strict=True):
        what = "the image" if source is None else f"{name!r} ({kind(source)})"
        match node:
            case Conv2d() | Linear():
                if source is not None and not isinstance(source, LIF | Pool2d | Flatten):
                    yield f"reads {what}: weights take the image or spikes", "put a lif node between them"
            case LIF():
                if not isinstance(source, Conv2d | Linear | Add):
                    yield f"reads {what}: neurons take currents", "let it read a conv2d, linear or add node"
            case Pool2d():
                if not isinstance(source, LIF | Pool2d):
                    yield f"reads {what}: pools take spikes", "pool after the lif node"
                elif node.kind == "average" and _averaged(source, known):
                    yield f"averages {what}, which is averaged already", "use one larger average or max pools"
            case Flatten():
                if not isinstance(source, LIF | Pool2d):
                    yield (
                        f"reads {what}: only maps of spikes are flattened",
                        "let it read a lif or pool2d node",
                    )
            case Add():
                currents = isinstance(source, Conv2d | Linear)
                spikes = isinstance(source, LIF | Pool2d) and not _averaged(source, known)
                if not currents and not spikes:
                    yield (
                        f"adds {what}: it takes currents, spikes or max-pooled spikes",
                        "let it read conv2d, linear, lif or max pool2d nodes",
                    )
    if isinstance(node, Add) and not any(isinstance(source, Conv2d | Linear) for source in sources):
        yield "adds no currents", "at least one of its inputs must be a conv2d or linear node"


def _averaged(node: Node | None, known: Mapping[str, Node]) -> bool:
    """Does an average pool stand between `node` and the neurons?"""
    while isinstance(node, Pool2d):
        if node.kind == "average":
            return True
        node = known.get(node.inputs[0])
    return False


def _about_parameters(node: Node, weight_bits: int) -> Iterator[Text]:
    match node:
        case Conv2d() | Linear():
            yield from _about_weights(node, weight_bits)
            if isinstance(node, Conv2d) and node.weight.ndim == 4:
                if not _pair(node.stride, 1):
                    yield f"stride must be two integers from 1 to {MAX_SIZE}, not {node.stride!r}", None
                kernel = node.weight.shape[2:]
                if not _pair(node.padding, 0) or any(
                    p >= k for p, k in zip(node.padding, kernel, strict=True)
                ):
                    yield f"padding must be two integers from 0 to below the kernel {show(kernel)}", None
        case LIF():
            if not _number(node.leak) or not 0 <= node.leak <= 1:
                yield f"leak must lie in [0, 1], not {node.leak!r}", "1 keeps the membrane, 0 forgets it"
            if not _positive(node.threshold):
                yield f"threshold must be a positive number, not {node.threshold!r}", None
            if node.reset not in ("hard", "soft"):
                yield f"reset must be 'hard' or 'soft', not {node.reset!r}", None
        case Pool2d():
            if node.kind not in ("average", "max"):
                yield f"pooling must be 'average' or 'max', not {node.kind!r}", None
            if not _pair((node.size, node.stride), 1):
                yield f"size and stride must be integers from 1 to {MAX_SIZE}", None
        case Add():
            if not _positive(node.scale):
                yield f"scale must be a positive number, not {node.scale!r}", None
        case Flatten():
            pass


def _about_weights(node: Conv2d | Linear, bits: int) -> Iterator[Text]:
    axes = "[Cout, Cin, kH, kW]" if isinstance(node, Conv2d) else "[Cout, Cin]"
    weight = node.weight
    if weight.ndim != axes.count(",") + 1 or 0 in weight.shape:
        yield f"weights must be {axes}, not {list(weight.shape)}", None
        return
    if weight.dtype.kind not in "iu":
        yield f"weights must be integers, not {weight.dtype}", "divide them by their scale and round"
    elif _is_int(bits) and 2 <= bits <= 16:
        largest = max(int(weight.max()), -int(weight.min()))
        limit = 2 ** (bits - 1) - 1
        if largest > limit:
            yield (
                f"weights reach {largest} in size, beyond the symmetric range of {bits} bits",
                f"keep them within -{limit} to {limit} or raise weight_bits",
            )
    for key, values in (("scale", node.scale), ("bias", node.bias)):
        if values.shape != weight.shape[:1]:
            yield f"{key} must be [{weight.shape[0]}], one number an output, not {list(values.shape)}", None
        elif values.dtype != np.float64:
            yield f"{key} must be float64, not {values.dtype}", None
        elif not np.isfinite(values).all():
            yield f"{key} has numbers that are not finite", "was the training run sound?"
        elif key == "scale" and not (values > 0).all():
            yield (
                "scale must be positive everywhere",
                "move signs into the weights; use zero weights for zero",
            )


def _about_ends(network: Network, sizes: Mapping[str, Shape]) -> Iterator[Problem]:
    """Every node but the last is read; the last gives the class outputs."""
    if not network.nodes:
        yield Problem(None, "nodes", "the network has no nodes")
        return
    read = {name for node in network.nodes for name in node.inputs}
    for index, node in enumerate(network.nodes[:-1]):
        if node.name not in read:
            yield Problem(index, node.name, "nothing reads this node", "remove it, or put the output last")
    index, last = len(network.nodes) - 1, network.nodes[-1]
    if not isinstance(last, Conv2d | Linear):
        yield Problem(
            index,
            last.name,
            f"the last node is a {kind(last)}",
            "end with the linear or conv2d node of the outputs",
        )
        return
    if INPUT in last.inputs:
        yield Problem(index, last.name, "the output reads the image", "put spiking layers before it")
    shape = sizes.get(last.name)
    if shape is not None and (shape[0] != network.classes or math.prod(shape) != network.classes):
        yield Problem(
            index, last.name, f"the output is {show(shape)}, but there are {network.classes} classes", None
        )


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _pair(values: Any, low: int) -> bool:
    return (
        isinstance(values, tuple)
        and len(values) == 2
        and all(_is_int(v) and low <= v <= MAX_SIZE for v in values)
    )


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple) and len(shape) == 3 and all(_is_int(n) and 1 <= n <= MAX_SIZE for n in shape)
    )
