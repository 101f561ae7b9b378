"""From what was traced to the layers that every importer makes (`imcsim.importers.importing.layers`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imcsim.base.errors import ImcsimError
from imcsim.importers.importing.layers import (
    INPUT,
    Delayed,
    Layer,
    Norm,
    ReadFlatten,
    ReadModel,
    ReadPool,
    Voting,
    Weights,
)
from imcsim.importers.live.neurons import About, array, to_neuron
from imcsim.importers.live.values import TracedNode


def to_model(name: str, output: TracedNode, layers: Sequence[About], source: Mapping[str, Any]) -> ReadModel:
    """The network that ends with `output`. `layers` are the layers of neurons by number.

    Raises ImcsimError for neurons that cannot be.
    """
    made: list[Layer] = []
    sums: dict[int, tuple[str, ...]] = {}
    for node in _ordered(output):
        if node.kind == "image":
            sums[id(node)] = (INPUT,)
        elif node.kind == "add":
            sums[id(node)] = tuple(one for before in node.inputs for one in sums[id(before)])
        else:
            inputs = tuple(one for before in node.inputs for one in sums[id(before)])
            votes = node.about.get("voting", 0) if node is output else 0
            if node.kind == "neurons" and (back := layers[node.about["number"]].recurrent) is not None:
                feedback = _feedback(node.name, back)
                made += feedback
                inputs = (*inputs, feedback[-1].name)
            made.append(Voting(node.name, inputs, votes) if votes else _layer(node, inputs, layers))
            sums[id(node)] = (node.name,)
    last = sums[id(output)]
    if len(last) != 1:  # a sum at the end: a norm that changes nothing holds it
        made.append(Norm(output.name, last, np.ones(1), np.zeros(1)))
        last = (output.name,)
    image = next(node for node in _ordered(output) if node.kind == "image")
    axes = image.axes or ()
    return ReadModel(name, tuple(axis.size for axis in axes), tuple(made), last[0], dict(source))


def _ordered(output: TracedNode) -> list[TracedNode]:
    """What `output` depends on, and itself: each after what it reads."""
    found: dict[int, TracedNode] = {}
    waiting: list[tuple[TracedNode, bool]] = [(output, False)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            found[id(node)] = node
        elif id(node) not in found:
            waiting.append((node, True))
            waiting.extend((before, False) for before in reversed(node.inputs))
    return list(found.values())


def _feedback(name: str, module: Any) -> list[Layer]:
    """What the spikes of the neurons `name` go through, a timestep later, on their way back to them.

    Raises ImcsimError for anything but weights, or one factor per neuron.
    """
    back = Delayed(f"{name}.back", (name,), 1)
    weight = getattr(module, "weight", None)
    if weight is None and hasattr(module, "V"):  # snnTorch's one-to-one feedback
        factor = array(module.V).reshape(-1)
        return [back, Norm(f"{name}.recurrent", (back.name,), factor, np.zeros(1))]
    if weight is None or array(weight).ndim not in (2, 4):
        raise ImcsimError(
            f"its feedback through a {type(module).__name__} has no counterpart", key=name,
            fix="use nn.Linear, nn.Conv2d or one-to-one feedback",
        )  # fmt: skip
    bias = None if module.bias is None else array(module.bias)
    window: tuple[Any, ...] = ()
    if array(weight).ndim == 4:
        padding = module.padding if isinstance(module.padding, tuple) else (module.padding,) * 2
        window = (tuple(module.stride), tuple(padding), tuple(module.dilation), module.groups)
    return [back, Weights(f"{name}.recurrent", (back.name,), array(weight), bias, *window)]


def _layer(node: TracedNode, inputs: tuple[str, ...], layers: Sequence[About]) -> Layer:
    about = node.about
    match node.kind:
        case "conv":
            step = (about["stride"], about["padding"], about["dilation"], about["groups"])
            return Weights(node.name, inputs, about["weight"], about["bias"], *step)
        case "linear":
            return Weights(node.name, inputs, about["weight"], about["bias"])
        case "affine":
            return Norm(node.name, inputs, about["factor"], about["offset"])
        case "pool":
            window = (about["size"], about["stride"], about["padding"])
            return ReadPool(node.name, inputs, about["pooling"], *window)
        case "flatten":
            return ReadFlatten(node.name, inputs)
    found = layers[about["number"]]
    if node.kind == "membranes":
        found = About(found.framework, found.keys, found.gain, spiking=False)
    return to_neuron(node.name, inputs, found, len(node.features or ()))
