"""What each operation of PyTorch does to the values that are traced.

The names are those of ATen, to which every way of writing an operation comes down: ``x + y``, ``torch.add``
and ``x.add_(y)``; ``nn.Conv2d``, ``F.conv2d``. A function here gets the operation's arguments with a
`TracedValue` where a traced tensor stood, and the tensors that came out, and returns a `TracedValue` for each
of them, or raises `Lost`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.importers.live.values import (
    Axis,
    Dim,
    Graph,
    Lost,
    TracedNode,
    TracedValue,
    is_row,
    numbers_of,
    plain,
    reshaped,
    with_dims,
)

Values = NDArray[np.float64]


@dataclass
class Call:
    """One operation: where it stands, its arguments by name, the shapes of traced arguments, and its result.

    `arrays` gives the numbers of a constant tensor; `shape` is that of the (first) result.
    """

    graph: Graph
    path: str
    args: dict[str, Any]
    shapes: dict[int, tuple[int, ...]]
    shape: tuple[int, ...]
    arrays: Callable[[Any], Values]

    def value(self, name: str = "self") -> TracedValue:
        found = self.args[name]
        if not isinstance(found, TracedValue):
            raise Lost("it combines a constant and values in a way that is not known here")
        return found

    def shape_of(self, value: TracedValue) -> tuple[int, ...]:
        return self.shapes[id(value)]

    def numbers(self, name: str) -> Values | None:
        """The constant `name` as float64; None where it is left out."""
        found = self.args.get(name)
        if found is None:
            return None
        if isinstance(found, TracedValue):
            raise Lost(f"its {name} is computed from the inputs")
        return np.asarray(found, np.float64) if isinstance(found, int | float) else self.arrays(found)

    def make(
        self, kind: str, inputs: tuple[TracedNode, ...], axes: Sequence[int] | None, **about: Any
    ) -> TracedNode:
        return self.graph.node(kind, self.path, inputs, axes, **about)


Rule = Callable[[Call], Any]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers what operations of these names do."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


# --- shapes


@rule("clone", "detach", "alias", "contiguous", "_to_copy", "lift_fresh", "lift_fresh_copy", "positive", "to",
      "native_dropout", "dropout", "feature_dropout", "view_as_real")  # fmt: skip
def _same(call: Call) -> TracedValue:
    return call.value("input" if "input" in call.args else "self")


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten", "unsqueeze", "squeeze",
      "_reshape_copy", "view_copy")  # fmt: skip
def _view(call: Call) -> TracedValue:
    value = call.value()
    return with_dims(value, reshaped(value.dims, call.shape))


@rule("permute", "transpose", "t", "movedim", "transpose_", "swapaxes")
def _permute(call: Call) -> TracedValue:
    value = call.value()
    count = len(value.dims)
    order = list(range(count))
    if "dims" in call.args:
        order = [n % count for n in call.args["dims"]]
    else:
        a, b = (call.args.get("dim0", 0) % count, call.args.get("dim1", 1) % count) if count > 1 else (0, 0)
        order[a], order[b] = order[b], order[a]
    return with_dims(value, [value.dims[n] for n in order])


@rule("expand", "repeat", "expand_as")
def _expand(call: Call) -> TracedValue:
    """New axes, along which everything is the same."""
    value = call.value()
    old = call.shape_of(value)
    dims: list[Dim] = [()] * (len(call.shape) - len(old)) + list(value.dims)
    sizes = [1] * (len(call.shape) - len(old)) + list(old)
    for n, (before, after) in enumerate(zip(sizes, call.shape, strict=True)):
        if before != after:
            if before != 1:
                raise Lost("it repeats values along an axis that they have already")
            dims[n] = (Axis(after),)
    return with_dims(value, dims)


@rule("select", "select_copy")
def _select(call: Call) -> TracedValue:
    value = call.value()
    return _picked(value, call.args["dim"] % len(value.dims), call.args["index"], call.shape_of(value))


@rule("unbind", "unbind_copy")
def _unbind(call: Call) -> list[TracedValue]:
    value = call.value()
    dim = call.args.get("dim", 0) % len(value.dims)
    shape = call.shape_of(value)
    return [_picked(value, dim, index, shape) for index in range(shape[dim])]


@rule("split", "chunk", "split_with_sizes", "tensor_split", "unsafe_split", "unsafe_chunk")
def _split(call: Call) -> list[TracedValue]:
    value = call.value()
    dim = call.args.get("dim", 0) % len(value.dims)
    shape = call.shape_of(value)
    if call.shape[dim] != 1:
        raise Lost("it splits values into groups")
    dims = list(value.dims)
    dims[dim] = ()
    return [
        with_dims(_picked(value, dim, index, shape), dims) for index in range(shape[dim])
    ]  # the dimension stays, with one entry


@rule("slice", "slice_copy")
def _slice(call: Call) -> TracedValue:
    value = call.value()
    dim = call.args.get("dim", 0) % len(value.dims)
    before = call.shape_of(value)[dim]
    if call.shape[dim] == before and call.args.get("step", 1) == 1:
        return value
    if call.shape[dim] == 1 and value.dims[dim]:
        picked = _picked(value, dim, call.args.get("start") or 0, call.shape_of(value))
        dims = list(value.dims)
        dims[dim] = ()
        return with_dims(picked, dims)
    raise Lost("it takes a part of the values")


def _picked(value: TracedValue, dim: int, index: int, shape: Sequence[int]) -> TracedValue:
    """One entry of a dimension, which must be time."""
    dims = [*value.dims[:dim], *value.dims[dim + 1 :]]
    axes = plain(value.dims[dim])
    if not axes:
        return with_dims(value, dims)
    (axis, *more) = axes
    known = value.node.features
    if more or axis.role == "images" or (known is not None and axis in known):
        raise Lost("it takes one entry of values that are no timesteps")
    axis.role = "time"
    return replace(value, dims=tuple(dims), at=index % shape[dim])


@rule("stack")
def _stack(call: Call) -> TracedValue:
    """Values of one layer at timesteps 0, 1, 2, ... side by side: time becomes an axis."""
    values = call.args["tensors"]
    return _in_time(values, call.args.get("dim", 0) % len(call.shape), None)


@rule("cat", "concat")
def _cat(call: Call) -> TracedValue:
    values = call.args["tensors"]
    dim = call.args.get("dim", 0) % len(call.shape)
    if not all(isinstance(v, TracedValue) and call.shape_of(v)[dim] == 1 and not v.dims[dim] for v in values):
        raise Lost("it joins the values of several layers", fix="add them, or keep them apart")
    return _in_time(values, dim, dim)


def _in_time(values: Sequence[Any], dim: int, replaced: int | None) -> TracedValue:
    first = values[0]
    if not all(isinstance(v, TracedValue) for v in values):
        raise Lost("it joins constants and values")
    if any(v.node is not first.node or v.over is not None for v in values):
        raise Lost("it joins the values of several layers", fix="add them, or keep them apart")
    if len(values) == 1:
        dims = [d for n, d in enumerate(first.dims) if n != replaced]
        return with_dims(first, (*dims[:dim], (), *dims[dim:]))
    times = [v.at for v in values]
    if times != list(range(len(values))) and set(times) != {None}:
        raise Lost("it puts timesteps together in another order than they came")
    dims = [d for n, d in enumerate(first.dims) if n != replaced]
    dims.insert(dim, (Axis(len(values), "time"),))
    found: TracedValue = replace(first, dims=tuple(dims), at=None)
    return found


# --- weights


@rule("convolution", "_convolution", "conv2d", "conv1d", "cudnn_convolution", "mkldnn_convolution")
def _convolution(call: Call) -> TracedValue:
    value = call.value("input")
    weight, bias = call.numbers("weight"), call.numbers("bias")
    assert weight is not None
    if call.args.get("transposed"):
        raise Lost("transposed convolutions have no counterpart")
    count = weight.ndim - 1
    if count not in (2, 3) or len(value.dims) != count + 1:
        raise Lost(f"convolutions over {count - 1} axes have no counterpart", fix="use Conv1d or Conv2d")
    _must_be_map(value, count, call.shape_of(value))
    step = {
        key: tuple(int(n) for n in call.args.get(key) or (default,))
        for key, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    }
    step = {key: pair * (count - 1) if len(pair) == 1 else pair for key, pair in step.items()}
    if count == 2:  # one row
        weight = weight[:, :, None, :]
        step = {key: (0 if key == "padding" else 1, *pair) for key, pair in step.items()}
    node = call.make(
        "conv",
        (value.node,),
        call.shape[1:],
        weight=weight,
        bias=bias,
        groups=int(call.args.get("groups", 1)),
        **step,
    )
    return _new(value, node, count, call.shape)


@rule("addmm")
def _addmm(call: Call) -> TracedValue:
    if call.args.get("beta", 1) != 1 or call.args.get("alpha", 1) != 1:
        raise Lost("addmm with factors is not read here")
    return _linear(call, call.value("mat1"), call.numbers("mat2"), call.numbers("self"))


@rule("mm", "matmul", "linear")
def _mm(call: Call) -> TracedValue:
    if "input" in call.args:  # linear keeps its weights the other way round
        weight = call.numbers("weight")
        return _linear(call, call.value("input"), None if weight is None else weight.T, call.numbers("bias"))
    return _linear(call, call.value(), call.numbers("mat2" if "mat2" in call.args else "other"), None)


def _linear(call: Call, value: TracedValue, weight: Values | None, bias: Values | None) -> TracedValue:
    assert weight is not None
    shape = call.shape_of(value)
    if weight.ndim != 2:
        raise Lost("it multiplies by more than one matrix")
    if value.node.features is None:
        call.graph.image_is_a_row(value)
    if not is_row(value, shape):
        raise Lost("a linear layer reads a part of each image", fix="flatten the values before it")
    source = _row(call, value)
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), weight.shape[1:])
    node = call.make("linear", (source,), weight.shape[1:], weight=weight.T, bias=bias)
    return _new(value, node, 1, call.shape)


def _row(call: Call, value: TracedValue) -> TracedNode:
    """The node of `value`, behind a flatten layer where it is a map."""
    known = value.node.features
    assert known is not None
    if len(known) == 1:
        return value.node
    size = math.prod(axis.size for axis in known)
    return call.graph.node("flatten", "flatten", (value.node,), (size,))


def _must_be_map(value: TracedValue, count: int, shape: Sequence[int]) -> None:
    value.features(count, shape)
    if not value.is_map(count):
        raise Lost("it reads a map that was flattened in part")


def _new(value: TracedValue, node: TracedNode, count: int, shape: Sequence[int]) -> TracedValue:
    """What `node` puts out for each image and timestep of `value`, in the last `count` dimensions."""
    assert node.axes is not None
    axes = node.axes
    if len(axes) == count:
        last: list[Dim] = [(axis,) if axis.size > 1 else () for axis in axes]
    else:  # one axis of two or three: a map of height 1
        wide = plain(axes)
        last = [(wide.pop(0),) if size > 1 else () for size in shape[len(shape) - count :]]
    if value.over is not None and not _is_mean(value):
        fix = "use the mean, or sum at the end"
        raise Lost("weights after a sum over timesteps have no counterpart", fix=fix)
    return TracedValue(node, (*value.dims[: len(value.dims) - count], *last), value.at, value.over)


def _is_mean(value: TracedValue) -> bool:
    return value.over is None or math.isclose(sum(factor for _, factor in value.over), 1.0, rel_tol=1e-6)


# --- arithmetic


@rule("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "batch_norm",
      "_native_batch_norm_legit", "miopen_batch_norm")  # fmt: skip
def _batch_norm(call: Call) -> list[TracedValue]:
    value = call.value("input")
    if call.args.get("training"):
        raise Lost("it normalises by the batch, not by what was learned", fix="keep running statistics")
    mean, variance = call.numbers("running_mean"), call.numbers("running_var")
    if mean is None or variance is None:
        raise Lost("it has no running statistics", fix="train with track_running_stats=True")
    gain = 1.0 / np.sqrt(variance + call.args.get("eps", call.args.get("epsilon", 1e-5)))
    weight, bias = call.numbers("weight"), call.numbers("bias")
    if weight is not None:
        gain = gain * weight
    offset = -mean * gain if bias is None else bias - mean * gain
    rest = (1,) * (len(call.shape) - 2)
    return [_affine(call, value, gain.reshape(-1, *rest), offset.reshape(-1, *rest))]


@rule("add")
def _add(call: Call) -> TracedValue:
    return _sum(call, float(call.args.get("alpha", 1)))


@rule("sub")
def _sub(call: Call) -> TracedValue:
    return _sum(call, -float(call.args.get("alpha", 1)))


@rule("rsub")
def _rsub(call: Call) -> TracedValue:
    value, other = call.value(), call.numbers("other")
    assert other is not None
    return _affine(call, value, np.full(1, -float(call.args.get("alpha", 1))), other)


@rule("neg")
def _neg(call: Call) -> TracedValue:
    return _affine(call, call.value(), np.full(1, -1.0), np.zeros(1))


@rule("mul", "div", "true_divide")
def _mul(call: Call) -> TracedValue:
    divides = not call.args["__name__"].startswith("mul")
    if isinstance(call.args["self"], TracedValue) and isinstance(call.args["other"], TracedValue):
        raise Lost("it multiplies values of two layers, but the chip only adds them")
    if divides and (call.args.get("rounding_mode") or not isinstance(call.args["self"], TracedValue)):
        raise Lost("it divides by values, or rounds")
    value = call.args["self"] if isinstance(call.args["self"], TracedValue) else call.args["other"]
    factor = call.numbers("other" if value is call.args["self"] else "self")
    assert factor is not None
    if divides:
        with np.errstate(divide="ignore"):
            factor = 1.0 / factor
    return _affine(call, value, factor, np.zeros(1))


def _affine(call: Call, value: TracedValue, factor: Values, offset: Values) -> TracedValue:
    """``factor * value + offset``."""
    shape = call.shape_of(value)
    dims: tuple[Dim, ...] = ((),) * (len(call.shape) - len(shape)) + value.dims
    value = with_dims(value, dims)
    if tuple(call.shape) != (1,) * (len(call.shape) - len(shape)) + tuple(shape):
        if (offset != 0).any() or (factor != 1).any():
            raise Lost("a constant spreads values over more axes")
        return _expand_to(value, shape, call.shape)
    factor, offset = numbers_of(value, call.shape, factor), numbers_of(value, call.shape, offset)
    if not offset.any() and factor.size == 1:
        if factor[0] == 1:
            return value
        if value.over is not None:
            scaled = tuple((at, share * float(factor[0])) for at, share in value.over)
            return replace(value, over=scaled)
    if not _is_mean(value) and offset.any():
        raise Lost("an offset after a sum over timesteps has no counterpart", fix="use the mean")
    node = call.make("affine", (value.node,), None, factor=factor, offset=offset)
    return replace(value, node=node)


def _expand_to(value: TracedValue, old: Sequence[int], new: Sequence[int]) -> TracedValue:
    sizes = [1] * (len(new) - len(old)) + list(old)
    return with_dims(value, [
        dim if before == after else (Axis(after),)
        for dim, before, after in zip(value.dims, sizes, new, strict=True)
    ])  # fmt: skip


def _sum(call: Call, factor: float) -> TracedValue:
    first, second = call.args["self"], call.args["other"]
    if not isinstance(second, TracedValue):
        offset = call.numbers("other")
        assert offset is not None
        return _affine(call, first, np.ones(1), factor * offset)
    if not isinstance(first, TracedValue):
        offset = call.numbers("self")
        assert offset is not None
        return _affine(call, second, np.full(1, factor), offset)
    if first.node is second.node and (_times(first) or _times(second)) and _times(first) != _times(second):
        return _over_time(first, second, factor)
    if factor != 1:
        scaled = call.make("affine", (second.node,), None, factor=np.full(1, factor), offset=np.zeros(1))
        second = replace(second, node=scaled)
    _same_layout(first, second)
    if first.over != second.over or (None not in (first.at, second.at) and first.at != second.at):
        raise Lost("it adds values of different timesteps", fix="delays between layers are not read here")
    if len(second.dims) > len(first.dims) or (second.has_time() and not first.has_time()):
        first, second = second, first
    node = call.make("add", (first.node, second.node), None)
    if first.has_time() and second.at is not None:
        raise Lost("it adds one timestep to all of them")
    return TracedValue(node, first.dims, second.at if first.at is None else first.at, first.over)


def _times(value: TracedValue) -> tuple[tuple[int, float], ...]:
    """The timesteps in a sum."""
    return value.over or (() if value.at is None else ((value.at, 1.0),))


def _over_time(first: TracedValue, second: TracedValue, factor: float) -> TracedValue:
    shares = dict(_times(first))
    if not _times(first) or not _times(second):
        raise Lost("it adds one timestep to all of them")
    for at, share in _times(second):
        shares[at] = shares.get(at, 0.0) + factor * share
    return replace(first, at=None, over=tuple(sorted(shares.items())))


def _same_layout(first: TracedValue, second: TracedValue) -> None:
    """Raises Lost unless equal places of both tensors hold equal places of both layers' values."""
    a, b = first.node.features, second.node.features
    if a is None or b is None:
        if a is b and first.node.root is second.node.root:
            return
        known, other = (first, second) if b is None else (second, first)
        features = plain(known.node.features)
        count = 0
        while sum(len(plain(dim)) for dim in known.dims[len(known.dims) - count :]) < len(features):
            count += 1
        other.features(count, [math.prod(x.size for x in dim) for dim in other.dims])
        a, b = first.node.features, second.node.features
    assert a is not None
    assert b is not None
    if [axis.size for axis in plain(a)] != [axis.size for axis in plain(b)]:
        raise Lost("it adds values of layers of different shapes")
    place = {axis: n for axes in (plain(a), plain(b)) for n, axis in enumerate(axes)}
    layouts = [
        [tuple(place.get(axis, -1) for axis in plain(dim)) for dim in value.dims] for value in (first, second)
    ]
    for here, there in zip(*map(reversed, layouts), strict=False):
        if any(n >= 0 for n in (*here, *there)) and here != there:
            raise Lost("it adds values that lie in different orders")


# --- pools and means


@rule("max_pool2d_with_indices", "max_pool2d", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_avg_pool2d",
      "max_pool1d", "avg_pool1d", "mkldnn_max_pool2d", "quantized_max_pool2d", "sum_pool")  # fmt: skip
def _pool(call: Call) -> list[TracedValue]:
    value, name = call.value(), call.args["__name__"]
    shape = call.shape_of(value)
    kind = {"max": "max", "sum": "sum"}.get(name.split("_")[0], "max" if "max" in name else "average")
    if "adaptive" in name:
        if any(before % after for before, after in zip(shape[-2:], call.shape[-2:], strict=True)):
            raise Lost("its windows differ in size", fix="pool to a size that divides the map's")
        size = tuple(a // b for a, b in zip(shape[-2:], call.shape[-2:], strict=True))
        stride, padding = size, (0, 0)
    else:
        size = _pair(call.args["kernel_size"])
        stride = _pair(call.args.get("stride") or size)
        padding = _pair(call.args.get("padding") or 0)
    if _pair(call.args.get("dilation") or 1) != (1, 1):
        raise Lost("its window has holes (dilation)")
    if call.args.get("divisor_override") is not None:
        raise Lost("it divides by another number than the window has values (divisor_override)")
    if kind == "average" and not call.args.get("count_include_pad", True) and any(padding):
        raise Lost("its average leaves padding out (count_include_pad=False)")
    expected = [
        (n + 2 * p - k) // s + 1 for n, p, k, s in zip(shape[-2:], padding, size, stride, strict=True)
    ]
    if expected != list(call.shape[-2:]):
        raise Lost("it pools a part of a window at the edge (ceil_mode)")
    known = value.node.features
    if known is not None and len(known) == 1 and known[0].size > 1 and value.dims[-1] == (known[0],):
        if padding != (0, 0):
            raise Lost("it pools a row of values with padding")
        if kind == "max":
            windows = {"pooling": "max", "size": (1, size[1]), "stride": (1, stride[1]), "padding": (0, 0)}
            node = call.make("pool", (value.node,), (call.shape[-1],), **windows)
            return [_new(replace(value, dims=(*value.dims[:-1], ())), node, 1, (call.shape[-1],))]
        places = np.arange(call.shape[-1])[:, None] * stride[1]
        votes = np.zeros((call.shape[-1], known[0].size))
        np.put_along_axis(votes, places + np.arange(size[1]), 1.0 / size[1] if kind == "average" else 1.0, 1)
        averages = kind == "average" and size[1] == stride[1] and known[0].size % size[1] == 0
        return [_votes(call, value, votes, size[1] if averages else 0)]
    _must_be_map(value, 3, shape)
    about = {"pooling": kind, "size": size, "stride": stride, "padding": padding}
    features = value.node.features
    assert features is not None
    axes = call.shape[-3:] if len(features) == 3 else (call.shape[-3], call.shape[-1])
    node = call.make("pool", (value.node,), axes, **about)
    return [_new(value, node, 3, call.shape)]


def _pair(value: Any) -> tuple[int, int]:
    numbers = [int(value)] if isinstance(value, int) else [int(n) for n in value]
    return (numbers[0], numbers[-1])


def _votes(call: Call, value: TracedValue, votes: Values, size: int) -> TracedValue:
    """Sums and means over groups of a row's values: a layer of fixed weights, and at the end, where they are
    averages of `size` neighbours, a voting layer.
    """
    node = call.make("linear", (value.node,), (len(votes),), weight=votes, bias=None, voting=size)
    return _new(replace(value, dims=(*value.dims[:-1], ())), node, 1, (len(votes),))


@rule("mean", "sum")
def _mean(call: Call) -> TracedValue:
    value, averaging = call.value(), call.args["__name__"] == "mean"
    count = len(value.dims)
    given = call.args.get("dim")
    given = [given] if isinstance(given, int) else given
    dims = sorted({n % count for n in given} if given else range(count))
    known = plain(value.node.features or ())
    reduced = list(itertools.chain(*(plain(value.dims[n]) for n in dims)))
    if any(axis.role == "images" for axis in reduced):
        raise Lost("it adds up different images")
    kept = [() if n in dims else dim for n, dim in enumerate(value.dims)]
    found = with_dims(value, kept)
    inside = [axis for axis in reduced if axis in known]
    parts = [axis for axis in reduced if axis not in known and axis.parent in known]
    outside = [axis for axis in reduced if axis not in inside and axis not in parts]
    if inside:
        found = _whole_map(call, value, found, inside, averaging)
    if parts:
        if len(parts) != 1 or inside:
            raise Lost("it adds up parts of several axes")
        found = _groups(call, value, found, parts[0], averaging)
    for axis in outside:
        if axis.role not in (None, "time"):
            raise Lost("it adds up values along an axis that is not known")
        axis.role = "time"
        if found.at is not None or found.over is not None:
            raise Lost("it adds up one timestep")
        share = 1.0 / axis.size if averaging else 1.0
        found = replace(found, over=tuple((t, share) for t in range(axis.size)))
    if not call.args.get("keepdim"):
        found = with_dims(found, [dim for n, dim in enumerate(found.dims) if n not in dims])
    return found


def _whole_map(
    call: Call, value: TracedValue, found: TracedValue, inside: list[Axis], averaging: bool
) -> TracedValue:
    """The mean or sum over all rows and columns of a map."""
    features = value.node.features
    assert features is not None
    if len(features) not in (2, 3) or inside != plain(features[1:]):
        raise Lost("it adds up channels, or a part of a map", fix="average over rows and columns")
    size = (1, *(axis.size for axis in features[1:]))[-2:]
    kind = "average" if averaging else "sum"
    node = call.make(
        "pool", (value.node,), (features[0].size, *(1,) * (len(features) - 1)), pooling=kind, size=size,
        stride=size, padding=(0, 0),
    )  # fmt: skip
    assert node.axes is not None
    channels = {features[0]: node.axes[0]}
    dims = [tuple(channels.get(axis, axis) for axis in dim) for dim in found.dims]
    return TracedValue(node, tuple(dims), found.at, found.over)


def _groups(call: Call, value: TracedValue, found: TracedValue, part: Axis, averaging: bool) -> TracedValue:
    """Votes: the mean or sum over one half of an axis that was split."""
    whole = part.parent
    features = value.node.features
    if features is None or whole is None or len(features) != 1:
        raise Lost("it adds up parts of a map")
    halves = {axis for dim in value.dims for axis in dim if axis.parent is whole and axis is not part}
    other = next(iter(halves), part)
    if len(halves) != 1 or other.size * part.size != whole.size:
        raise Lost("it adds up parts of an axis that was split several times")
    share = 1.0 / part.size if averaging else 1.0
    votes = np.zeros((other.size, whole.size))
    index = np.arange(whole.size)
    votes[index % other.size if part.part == 0 else index // part.size, index] = share
    size = part.size if averaging and part.part == 1 else 0
    node = call.make("linear", (value.node,), (other.size,), weight=votes, bias=None, voting=size)
    assert node.axes is not None
    places = {other: node.axes[0]}
    dims = [tuple(places.get(axis, axis) for axis in dim) for dim in found.dims]
    return TracedValue(node, tuple(dims), found.at, found.over)
