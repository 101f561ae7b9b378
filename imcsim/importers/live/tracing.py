"""Runs a module and watches what it does: layers of neurons as wholes, everything else operation by
operation.

`Tracer` is a dispatch mode of PyTorch, so it sees ATen operations however the module's code writes them. A
layer of neurons is known by its module (see `imcsim.importers.live.neurons`); inside it nothing is watched.
Its n-th call is timestep n, or it gets all timesteps at once; and each timestep must do the same.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from imcsim.importers.live.neurons import About, Rules, Unknown, about
from imcsim.importers.live.operations import RULES, Call
from imcsim.importers.live.values import Dim, Graph, Lost, TracedNode, TracedValue, reshaped

Spikes = NDArray[np.float64]


@dataclass(eq=False)
class TracedNeurons:
    """A layer of neurons that was met: its module's path, its node, and what it put out at each timestep.

    A module whose membranes are passed to it may be several layers.
    """

    path: str
    about: About
    node: TracedNode
    source: TracedNode
    calls: int = 0
    spikes: list[Spikes] = field(default_factory=list)
    """Of each timestep, ``[N, ...]``."""


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What was met while a module ran. `neurons` are in the order of their first calls."""

    def __init__(self, module: Any, rules: Rules, max_spikes: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.module, self.rules, self.max_spikes = module, rules, max_spikes
        self.graph = Graph()
        self.neurons: list[TracedNeurons] = []
        self.layers: dict[int, About] = {}
        self.paths: list[str] = []
        self._inside = 0
        self._values: dict[int, TracedValue | Lost] = {}
        self._kept: list[Any] = []
        """Traced tensors, so that no other tensor gets the place of one in memory, and its name with it."""
        self._arrays: dict[tuple[Any, ...], Spikes] = {}
        self._own: dict[int, TracedNeurons] = {}
        self._states: dict[int, tuple[TracedNeurons, int]] = {}
        self._views: dict[int, tuple[Any, int, int]] = {}
        self._filled: dict[int, dict[tuple[int, int], TracedValue]] = {}

    # --- what is known of tensors

    def show(self, tensor: Any, value: TracedValue | Lost) -> None:
        """Say what a tensor holds."""
        self._values[id(tensor)] = value
        self._kept.append(tensor)

    def value(self, tensor: Any) -> TracedValue | Lost | None:
        """What a tensor holds; None for a constant."""
        return self._values.get(id(tensor)) or self._written(tensor)

    def _written(self, tensor: Any) -> TracedValue | Lost | None:
        """What a tensor holds that was made first and filled timestep by timestep: ``out[t] = spikes``."""
        filled = self._filled.get(id(tensor))
        if not filled:
            return None
        dim = next(iter(filled))[1]
        try:
            if set(filled) != {(t, dim) for t in range(tensor.shape[dim])}:
                raise Lost("it is filled in part, timestep by timestep")
            values = [filled[t, dim] for t in range(tensor.shape[dim])]
            call = Call(
                self.graph, self.path, {"tensors": values, "dim": dim}, {}, tuple(tensor.shape), self.array
            )
            found: TracedValue | Lost = RULES["stack"](call)
        except Lost as lost:
            found = lost
        self.show(tensor, found)
        return found

    def array(self, tensor: Any) -> Spikes:
        """The numbers of a constant tensor in float64; made once for each."""
        key = (
            tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype, tensor._version,
        )  # fmt: skip
        if key not in self._arrays:
            self._arrays[key] = tensor.detach().cpu().numpy().astype(np.float64)
            self._kept.append(tensor)
        return self._arrays[key]

    @property
    def path(self) -> str:
        """The module that runs."""
        return self.paths[-1] if self.paths else ""

    # --- operations

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._inside:
            return func(*args, **kwargs)
        name = func._schema.name.split("::")[1]
        if name == "select" and id(args[0]) not in self._values:  # of a constant, or of one being filled
            out = func(*args, **kwargs)
            self._views[id(out)] = (args[0], int(args[2]), int(args[1]) % args[0].ndim)
            self._kept.append(out)
            return out
        known = [value for value in map(self.value, tensors((args, dict(kwargs)))) if value is not None]
        if not known:
            return func(*args, **kwargs)
        given = args
        if _in_place(name) and name != "copy_" and self.value(args[0]) is None:
            given = (args[0].clone(), *args[1:])  # what the constant was before
        out = func(*args, **kwargs)
        self._record(name, func, given, kwargs, out, known)
        return out

    def _record(
        self,
        name: str,
        func: Any,
        args: Any,
        kwargs: Mapping[str, Any],
        out: Any,
        known: list[TracedValue | Lost],
    ) -> None:
        outs = list(tensors(out))
        if not outs or name.startswith("new_") or name in _SHAPES:
            return
        if "rand" in name:
            drawn = Lost("it draws random numbers", self.path, "encode inputs before the module")
            for tensor in outs:
                self.show(tensor, drawn)
            return
        lost = next((value for value in known if isinstance(value, Lost)), None)
        if name == "copy_" and not isinstance(self.value(args[0]), TracedValue):
            self._copied(args[0], self.value(args[1]))
            return
        changes = _in_place(name)
        try:
            if lost is not None:
                raise lost
            if changes and self._shared(args[0]):
                raise Lost(
                    f"{name} changes values in place that other tensors show too", fix="write x = x + y"
                )
            rule = RULES.get(name) or RULES.get(name.rstrip("_"))
            if rule is None:
                raise Lost(_unknown(name), fix=next((fix for k, fix in _FIXES.items() if k in name), None))
            found = rule(self._call(name.rstrip("_") if changes else name, func, args, kwargs, outs[0]))
        except Lost as problem:
            problem.path = problem.path or self.path
            found = [problem] * len(outs)
        for tensor, value in zip(outs, found if isinstance(found, list) else [found], strict=False):
            self.show(tensor, value)

    def _call(self, name: str, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> Call:
        stated = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | dict(
            kwargs
        )
        shapes: dict[int, tuple[int, ...]] = {}

        def shown(given: Any) -> Any:
            if isinstance(given, torch.Tensor):
                value = self.value(given)
                if not isinstance(value, TracedValue):
                    return given
                value = replace(value)  # one of its own, so that a layer may read a tensor twice
                shapes[id(value)] = tuple(given.shape)
                return value
            return [shown(one) for one in given] if isinstance(given, list | tuple) else given

        about_it = {key: shown(given) for key, given in stated.items()} | {"__name__": name}
        return Call(self.graph, self.path, about_it, shapes, tuple(out.shape), self.array)

    def _shared(self, tensor: Any) -> bool:
        place = tensor.untyped_storage().data_ptr()
        return any(
            other is not tensor and id(other) in self._values and other.untyped_storage().data_ptr() == place
            for other in self._kept
            if isinstance(other, torch.Tensor)
        )

    def _copied(self, target: Any, value: TracedValue | Lost | None) -> None:
        view = self._views.get(id(target))
        if view is None:
            shown = value if value is not None else Lost("it is overwritten by a constant", self.path)
            self.show(target, shown)
            return
        base, index, dim = view
        if isinstance(value, TracedValue):
            self._filled.setdefault(id(base), {})[index % base.shape[dim], dim] = value
            self._kept.append(base)

    # --- modules

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The modules tell where an operation stands, and layers of neurons are met as wholes."""
        with ExitStack() as hooks, self:
            for path, module in self.module.named_modules(remove_duplicate=True):
                try:
                    found = about(module, self.rules, self.max_spikes)
                except Unknown as unknown:
                    raise Lost(unknown.reason, path, unknown.fix) from None
                if found is not None:
                    self.layers[id(module)] = found
                self._hook(hooks, path, module, found)
            yield

    def _hook(self, hooks: ExitStack, path: str, module: Any, found: About | None) -> None:
        whole = found is not None or _is_sum_pool(module)

        def before(_module: Any, _args: Any, _kwargs: Any) -> None:
            self.paths.append(path)
            self._inside += whole

        def after(_module: Any, args: Any, kwargs: Any, output: Any) -> None:
            self._inside -= whole
            if whole and not self._inside:
                try:
                    if found is None:
                        self._sum_pool(module, args[0], output)
                    else:
                        self._fired(path, module, found, (args, kwargs), output)
                except Lost as lost:
                    lost.path = lost.path or path
                    raise
            self.paths.pop()

        hooks.enter_context(_removing(module.register_forward_pre_hook(before, with_kwargs=True)))
        hooks.enter_context(_removing(module.register_forward_hook(after, with_kwargs=True)))

    def _sum_pool(self, module: Any, tensor: Any, output: Any) -> None:
        value = self.value(tensor)
        if value is None or isinstance(value, Lost):
            if value is not None:
                self.show(output, value)
            return
        if value.node.kind not in ("neurons", "pool"):
            raise Lost("a sum pool (LPPool) reads values that may be negative", fix="pool spikes")
        value = replace(value)
        about_it = {
            "self": value, "__name__": "sum_pool", "kernel_size": module.kernel_size, "stride": module.stride,
        }  # fmt: skip
        call = Call(
            self.graph, self.path, about_it, {id(value): tuple(tensor.shape)}, tuple(output.shape), self.array
        )
        self.show(output, RULES["sum_pool"](call)[0])

    def _fired(self, path: str, module: Any, found: About, given: tuple[Any, Any], output: Any) -> None:
        """A layer of neurons was called."""
        args, kwargs = given
        values = list(tensors((args, kwargs)))
        if not values:
            raise Lost("its neurons read nothing that is a tensor")
        source = self.value(values[0])
        if isinstance(source, Lost):
            raise source
        if source is None:
            raise Lost("its neurons read values that do not depend on the inputs")
        shape = tuple(values[0].shape)
        stepped = _time_apart(source, found, module, shape)
        layer = self._layer(path, module, found, source.node, (args, kwargs), values[1:])
        if layer.source is not source.node:
            raise Lost(
                f"its neurons read {layer.source.name} at timestep 0, but {source.node.name} at timestep "
                f"{layer.calls}: feedback and delays are not read here"
            )
        if source.over is not None:
            raise Lost("its neurons read a sum over timesteps")
        outputs = list(tensors(output))
        if not outputs:
            raise Lost("its neurons put out nothing that is a tensor")
        if found.time == "none" and not source.has_time():
            if source.at not in (None, layer.calls):
                raise Lost(
                    f"its neurons read timestep {source.at} of {source.node.name} at timestep {layer.calls}"
                )
            self._put_out(layer, source, outputs)
            return
        if found.time == "none":
            raise Lost(
                "its neurons get all timesteps at once, but take one after the other",
                fix="loop over the timesteps, or use the multi-step mode",
            )
        if source.at is not None:
            raise Lost("its neurons take all timesteps at once, but get a single one")
        self._put_out_whole(layer, source, stepped, output, outputs)

    def _layer(
        self,
        path: str,
        module: Any,
        found: About,
        source: TracedNode,
        given: tuple[Any, Any],
        states: list[Any],
    ) -> TracedNeurons:
        """The layer that a call is a timestep of: by the membranes that were passed, else by the module."""
        lineage = [self._states[id(tensor)] for tensor in states if id(tensor) in self._states]
        if lineage:
            layer, step = lineage[0]
            if any(other is not layer for other, _ in lineage) or step != layer.calls:
                raise Lost(
                    "its membranes come from another layer, or from another timestep than the one before"
                )
            return layer
        if any(tensor.numel() and bool((tensor != 0).any()) for tensor in states):
            raise Lost("its membranes do not start from 0, but from values that are passed to it")
        more = (*given[0][1:], *given[1].values())
        if id(module) in self._own and found.keeps and not states and not any(one is None for one in more):
            return self._own[id(module)]
        about_it = {"number": len(self.neurons)}
        node = self.graph.node("neurons", path, (source,), None, **about_it)
        layer = TracedNeurons(path, found, node, source)
        self.neurons.append(layer)
        self._own.setdefault(id(module), layer)
        return layer

    def _put_out(self, layer: TracedNeurons, source: TracedValue, outputs: list[Any]) -> None:
        """One timestep."""
        at = layer.calls
        layer.spikes.append(outputs[0].detach().cpu().numpy().astype(np.float64))
        layer.calls += 1
        self._named(layer, outputs[0], replace(source, at=at))
        self._membranes(layer, outputs, replace(source, at=at))

    def _put_out_whole(
        self,
        layer: TracedNeurons,
        source: TracedValue,
        dims: tuple[Dim, ...],
        output: Any,
        outputs: list[Any],
    ) -> None:
        """All timesteps: one tensor with an axis for them, or a list of one for each."""
        if layer.calls:
            raise Lost("its neurons are called twice, each time with all timesteps")
        time = 0 if layer.about.time == "first" else 1
        if isinstance(output, list):
            for at, tensor in enumerate(outputs):
                layer.spikes.append(tensor.detach().cpu().numpy().astype(np.float64))
                self._named(layer, tensor, replace(source, dims=dims[1:], at=at))
            layer.calls = len(outputs)
            return
        whole = outputs[0]
        if whole.numel() != math.prod(axis.size for axis in itertools.chain(*dims)):
            raise Lost("its neurons put out values of another shape than they read")
        steps = whole.reshape(_split(dims, whole))
        layer.calls = int(steps.shape[time])
        layer.spikes += [
            steps.select(time, at).detach().cpu().numpy().astype(np.float64) for at in range(layer.calls)
        ]
        self._named(layer, whole, replace(source, dims=reshaped(dims, whole.shape)))
        self._membranes(layer, outputs, None)

    def _named(self, layer: TracedNeurons, tensor: Any, value: TracedValue) -> None:
        node = layer.node
        if layer.about.factor != 1:
            factor = np.full(1, layer.about.factor)
            node = self.graph.node("affine", layer.path, (node,), None, factor=factor, offset=np.zeros(1))
        self.show(tensor, replace(value, node=node))

    def _membranes(self, layer: TracedNeurons, outputs: list[Any], value: TracedValue | None) -> None:
        spikes, *states = outputs
        integrates = value is not None and layer.about.keys.get("reset") == "none"
        for tensor in states:
            self._states[id(tensor)] = (layer, layer.calls)
            shown: TracedValue | Lost = Lost(
                "it reads the membranes of neurons that are reset, but only spikes leave a layer",
                layer.path,
                "read the spikes, or give the last layer no reset (integrators)",
            )
            if tensor is spikes:  # integrators put out their membranes
                continue
            if integrates and value is not None and tensor is states[-1]:
                node = self.graph.node(
                    "membranes", layer.path, (layer.source,), None, number=layer.node.about["number"]
                )
                shown = replace(value, node=node)
            self.show(tensor, shown)


# --- helpers

_SHAPES = ("zeros_like", "ones_like", "full_like", "empty_like")
"""Operations that take no more than a shape from a tensor."""


def tensors(given: Any) -> Iterator[Any]:
    """The tensors in nested containers, in order."""
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, Mapping):
        for one in given.values():
            yield from tensors(one)
    elif isinstance(given, list | tuple):
        for one in given:
            yield from tensors(one)


@contextmanager
def _removing(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _in_place(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def _is_sum_pool(module: Any) -> bool:
    return isinstance(module, torch.nn.LPPool2d) and float(module.norm_type) == 1.0


_FIXES = {
    "softmax": "leave it out: the exit rule has its own, of the accumulated outputs",
    "relu": "put neurons there, or activations in whole steps, with a rule: rules={QuantReLU: {'bits': 4, "
    "'step': 0.2}}",
}
_NAMES = {
    "relu": "a rectifier (ReLU)", "sigmoid": "a sigmoid", "tanh": "a tanh", "gelu": "a GELU",
    "gt": "a comparison", "ge": "a comparison", "lt": "a comparison", "le": "a comparison",
    "_softmax": "a softmax", "_log_softmax": "a softmax", "max": "a maximum", "amax": "a maximum",
    "native_layer_norm": "a layer norm", "native_group_norm": "a group norm",
    "bmm": "a product of two values",
}  # fmt: skip


def _unknown(name: str) -> str:
    said = _NAMES.get(name.rstrip("_"))
    what = f"it computes {said}" if said else f"it computes {name.strip('_')}"
    return f"{what}, which has no counterpart"


def _time_apart(value: TracedValue, found: About, module: Any, shape: tuple[int, ...]) -> tuple[Dim, ...]:
    """The axes of `value`, with time as one of its own where neurons take all timesteps at once."""
    if found.time == "none":
        return value.dims
    dims = value.dims
    times = getattr(module, "num_timesteps", None)
    if times is not None:  # sinabs: images and timesteps are one dimension
        images = shape[0] // times if module.batch_size < 0 else module.batch_size
        dims = reshaped(dims, (images, shape[0] // images, *shape[1:]))
    place = 0 if found.time == "first" else 1
    if len(dims) <= place:
        raise Lost("its neurons take all timesteps at once, but get values without time")
    axes = dims[place]
    if len(axes) > 1 or (axes and axes[0].role == "images"):
        raise Lost(f"dimension {place} of what its neurons read should be time, but is not")
    if axes:
        axes[0].role = "time"
    if place == 1:
        for axis in dims[0]:
            axis.role = axis.role or "images"
    return dims


def _split(dims: tuple[Dim, ...], tensor: Any) -> list[int]:
    """The shape of a tensor with `dims`, where some of its dimensions may be two in one."""
    if len(dims) == tensor.ndim:
        return list(tensor.shape)
    images = int(np.prod([axis.size for axis in dims[0]], dtype=np.int64))
    return [images, tensor.shape[0] // images, *tensor.shape[1:]]
