"""Plays a module on the example, all its timesteps, and finds what it decides by."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.importers.live.neurons import Rules
from imcsim.importers.live.tracing import Tracer, tensors
from imcsim.importers.live.values import Axis, Dim, Lost, TracedNode, TracedValue

Readout = Literal["each", "mean", "sum", "last"]


@dataclass(frozen=True)
class Asked:
    """What the user says of a module: see `imcsim.from_torch`."""

    timesteps: int | None = None
    time_axis: int | None = None
    rules: Rules | None = None
    max_spikes: int | None = None
    output: int | str | None = None


@dataclass(eq=False)
class Played:
    """What was met. dims: the axes of the example; outputs: float64 ``[N, K]``, summed or averaged over
    time.
    """

    tracer: Tracer
    dims: tuple[Dim, ...]
    timesteps: int
    output: TracedNode
    readout: Readout
    outputs: NDArray[np.float64]


def play(module: Any, example: Any, asked: Asked) -> Played:
    """Run `module` on `example`, as in evaluation, from membranes at rest; its mode is given back afterwards.

    Raises ImcsimError, with the path of the module, for what has no counterpart.
    """
    tracer = Tracer(module, asked.rules or {}, asked.max_spikes)
    try:
        with _evaluating(module), torch.no_grad():
            return _play(tracer, module, example, asked)
    except Lost as lost:
        place = module.get_submodule(lost.path) if lost.path else module
        kind = type(place).__name__
        path = lost.path or kind
        shown = path if path == kind else f"{path} ({kind})"
        raise ImcsimError(lost.reason, key=shown, fix=lost.fix) from None


def _play(tracer: Tracer, module: Any, example: Any, asked: Asked) -> Played:
    dims = tracer.graph.example = _axes(module, example, asked)
    with tracer.watching():
        _reset(tracer)
        try:
            results = _run(tracer, module, example, dims, asked)
        finally:
            _reset(tracer)
    counts = {layer.calls for layer in tracer.neurons}
    if not tracer.neurons:
        raise Lost(
            "no layer of neurons was met",
            fix="give a rule for your own: rules={MyLIF: {'leak': 'beta', 'threshold': 'threshold'}}",
        )
    if len(counts) != 1:
        shown = ", ".join(f"{layer.path} {layer.calls}" for layer in tracer.neurons[:4])
        raise Lost(f"its layers of neurons run different numbers of timesteps ({shown})")
    (timesteps,) = counts
    if asked.timesteps not in (None, timesteps):
        raise ImcsimError(
            f"the module runs {counted(timesteps, 'timestep')} by itself, not "
            f"{asked.timesteps}", key="timesteps",
            fix="leave it out, or change the module's",
        )  # fmt: skip
    node, readout, outputs = _decision(tracer, results, timesteps, asked)
    return Played(tracer, dims, timesteps, node, readout, outputs)


def _axes(module: Any, example: Any, asked: Asked) -> tuple[Dim, ...]:
    """The axes of the example; what each is, is found out while the module runs."""
    shape = tuple(example.shape)
    if asked.time_axis is not None and not -len(shape) <= asked.time_axis < len(shape):
        raise ImcsimError(
            f"the example has {counted(len(shape), 'axis', 'axes')}", key="time_axis", fix="count from 0"
        )
    squeezed = next((part for part in module.modules() if hasattr(part, "squeeze_forward")), None)
    dims: tuple[Dim, ...] = tuple((Axis(size),) if size > 1 else () for size in shape)
    if squeezed is not None:  # sinabs: images and timesteps are one axis
        times = int(squeezed.num_timesteps)
        images = int(squeezed.batch_size) if squeezed.batch_size > 0 else shape[0] // max(1, times)
        if images < 1 or shape[0] % images:
            raise ImcsimError(
                f"the first axis has {counted(shape[0], 'entry', 'entries')}, which are no {images} images "
                "over timesteps",
                key="example", fix="give images x timesteps as the first axis, as the sinabs layers have it",
            )  # fmt: skip
        lead = [(images, "images"), (shape[0] // images, "time")]
        axes = tuple(Axis(size, role) for size, role in lead if size > 1)  # type: ignore[arg-type]
        dims = (axes, *dims[1:])
    return dims


def _run(tracer: Tracer, module: Any, example: Any, dims: tuple[Dim, ...], asked: Asked) -> list[Any]:
    """What the module gives: once where it goes through time by itself, else for each timestep."""
    place = None if asked.time_axis is None else asked.time_axis % example.ndim
    if place is not None:
        for axis in dims[place]:
            axis.role = "time"

    def show(at: int) -> Any:
        if place is None:
            tracer.show(example, TracedValue(tracer.graph.image, dims))
            return example
        frame = example.select(place, at)
        kept = (*dims[:place], *dims[place + 1 :])
        tracer.show(frame, TracedValue(tracer.graph.image, kept, at=at if dims[place] else None))
        return frame

    results = [module(show(0))]
    once = all(layer.calls == 1 and layer.about.time == "none" for layer in tracer.neurons)
    if not once or _goes_through_time(tracer, results[0]):
        return results
    count = example.shape[place] if place is not None else asked.timesteps
    if tracer.neurons and all(layer.about.activation is not None for layer in tracer.neurons):
        if count not in (None, 1):
            raise ImcsimError(
                f"a network of activations has one timestep, not {count}", key="timesteps", fix="leave it out"
            )
        return results
    if count is None:
        raise ImcsimError(
            "the module computes one timestep when it is called", key="timesteps", fix="say timesteps=4, say"
        )
    extra = _extra_parameters(module)
    for at in range(1, min(count, asked.timesteps or count)):
        last = results[-1]
        states = last[1:] if isinstance(last, tuple) and extra and len(last) - 1 == extra else ()
        results.append(module(show(at), *states))
    return results


def _goes_through_time(tracer: Tracer, result: Any) -> bool:
    """Does what a module gave have a time axis, though its neurons ran once (T = 1)?"""
    values = [tracer.value(tensor) for tensor in tensors(result)]
    return any(isinstance(value, TracedValue) and value.over is not None for value in values)


def _extra_parameters(module: Any) -> int:
    """How many things besides its input a module can be called with: membranes of the timestep before."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return 0
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return max(0, sum(parameter.kind in places for parameter in parameters) - 1)


def _decision(
    tracer: Tracer, results: list[Any], timesteps: int, asked: Asked
) -> tuple[TracedNode, Readout, NDArray[np.float64]]:
    """The node that gives the class outputs, how the module puts timesteps together, and what came out."""
    chosen = [_chosen(result, asked.output) for result in results]
    values = []
    for tensor in chosen:
        value = tracer.value(tensor)
        if isinstance(value, Lost):
            raise value
        if value is None:
            raise Lost("what the module gives does not depend on its inputs")
        values.append(value)
    node = values[0].node
    if any(value.node is not node for value in values):
        raise Lost("it does something else at another timestep")
    numbers = [tensor.detach().cpu().numpy().astype(np.float64) for tensor in chosen]
    classes = math.prod(axis.size for axis in node.features or ())
    if len(results) > 1:
        return node, "each", np.asarray(np.sum(numbers, axis=0)).reshape(-1, classes)
    (value,), (array,) = values, numbers
    if value.over is not None:
        shares = [share for _, share in value.over]
        if len(shares) != timesteps or not np.allclose(shares, shares[0]):
            fix = "decide by the mean or the sum of all timesteps"
            raise Lost("it weighs timesteps differently", fix=fix)
        mean = bool(np.isclose(shares[0], 1.0 / timesteps)) and timesteps > 1
        return node, "mean" if mean else "sum", array.reshape(-1, classes)
    if value.has_time():
        axes = list(itertools.chain(*value.dims))
        time = tuple(n for n, axis in enumerate(axes) if axis.role == "time")
        return node, "each", array.reshape([axis.size for axis in axes]).sum(axis=time).reshape(-1, classes)
    if timesteps > 1 and value.at is not None:
        if value.at != timesteps - 1:
            raise Lost(f"it decides by timestep {value.at + 1} of {timesteps}")
        return node, "last", array.reshape(-1, classes)
    return node, "each", array.reshape(-1, classes)


def _chosen(result: Any, output: int | str | None) -> Any:
    """The tensor that holds the class outputs, of what the module gave."""
    if output is not None:
        try:
            result = result[output]
        except (KeyError, IndexError, TypeError):
            raise ImcsimError(
                f"the module gives no {output!r}", key="output", fix="name one that it gives"
            ) from None
    if isinstance(result, list) and result and all(isinstance(one, torch.Tensor) for one in result):
        raise Lost("it gives a list of timesteps", fix="give torch.stack of it")
    found = next(tensors(result), None)
    if found is None:
        raise Lost("what the module gives is no tensor")
    return found


def _reset(tracer: Tracer) -> None:
    """Put all membranes to where a sequence starts."""
    tracer._inside += 1
    try:
        for part in tracer.module.modules():
            found = tracer.layers.get(id(part))
            if found is not None and found.reset is not None:
                found.reset()
    finally:
        tracer._inside -= 1


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """All modules in evaluation, and afterwards each in its own mode again."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
