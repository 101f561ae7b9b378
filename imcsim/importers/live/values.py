"""What is known of a tensor while a module is traced: which layer made it, what its axes are, and when.

A module is run once, all timesteps of it, and each timestep does the same to other numbers. So layers are
kept only once (see `Graph.node`), and a tensor says which of them it holds and at which timestep.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["time", "images"]


@dataclass(eq=False)
class Axis:
    """One direction of a tensor. `role` None: numbers of one image, or not known yet.

    `parent` and `part`: what an axis was split from, as its outer (0) or inner (1) half.
    """

    size: int
    role: Role | None = None
    parent: Axis | None = None
    part: int = 0


Dim = tuple[Axis, ...]
"""The axes that one dimension of a tensor runs over, the slowest first; none where its size is 1."""


class Lost(Exception):
    """Why a tensor has no counterpart, where in the module it came about, and what helps.

    It is kept for tensors that nothing may read (losses, statistics), and raised where something does.
    """

    def __init__(self, reason: str, path: str = "", fix: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.path, self.fix = reason, path, fix


@dataclass(eq=False)
class TracedNode:
    """One layer: `kind` with the numbers in `about`, reading `inputs`.

    `axes` are those of what it puts out for one image; None for a layer that keeps the axes of its first
    input, and for the image while nobody has read it in a way that tells.
    """

    name: str
    kind: str
    inputs: tuple[TracedNode, ...]
    axes: Dim | None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> TracedNode:
        """The node that says what the axes are."""
        return self if self.axes is not None or not self.inputs else self.inputs[0].root

    @property
    def features(self) -> Dim | None:
        return self.root.axes

    def like(self, kind: str, about: dict[str, Any]) -> bool:
        """Whether this node does the same as one of `kind` and `about`."""
        if self.kind != kind or self.about.keys() != about.keys():
            return False
        return all(_equal(self.about[key], value) for key, value in about.items())


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is b or (a is not None and b is not None and np.array_equal(a, b))
    return bool(a == b)


@dataclass(frozen=True, eq=False)
class TracedValue:
    """What a tensor holds: the values of `node`, over the axes in `dims`.

    at: the timestep, None where all are alike or the time is an axis. over: instead of a timestep, the sum of
    several, each ``(timestep, factor)``.
    """

    node: TracedNode
    dims: tuple[Dim, ...]
    at: int | None = None
    over: tuple[tuple[int, float], ...] | None = None

    def has_time(self) -> bool:
        """Is time one of the axes?"""
        return any(axis.role == "time" for axis in itertools.chain(*self.dims))

    def features(self, count: int, shape: Sequence[int]) -> Dim:
        """The axes of one image, where the last `count` dimensions are to be just these, in order.

        Decides it for an image that nobody has read before. `shape` is the tensor's. Raises Lost otherwise.
        """
        last = self.dims[len(self.dims) - count :] if count else ()
        known = self.node.features
        if known is None:
            made = tuple(
                axis
                for dim, size in zip(last, shape[len(shape) - count :], strict=True)
                for axis in (dim or (Axis(size),))
            )
            self.node.root.axes = made
            return made
        if plain(itertools.chain(*last)) != plain(known):
            raise Lost("it reads values in another order than the layer before put them out")
        return known

    def is_map(self, count: int) -> bool:
        """Does each of the last `count` dimensions run over at most one axis?"""
        return all(len(dim) <= 1 for dim in self.dims[len(self.dims) - count :])


def plain(axes: Any) -> list[Axis]:
    """The axes that have more than one entry."""
    return [axis for axis in axes if axis.size > 1]


class Graph:
    """The layers met so far, in order, each once."""

    def __init__(self) -> None:
        self.image = TracedNode("input", "image", (), None)
        self.example: tuple[Dim, ...] = ()
        self.nodes: list[TracedNode] = [self.image]
        self._known: dict[tuple[Any, ...], list[TracedNode]] = {}
        self._names = {"input"}

    def image_is_a_row(self, value: TracedValue) -> None:
        """Decide the axes of the image where all of them were put into the last dimension of `value`."""
        inside = plain(value.dims[-1])
        dims = list(self.example)
        while dims and any(axis not in inside for dim in dims for axis in dim):
            dims.pop(0)
        if len(dims) == len(self.example):  # one image alone: the first dimension is that of images
            dims.pop(0)
        value.node.root.axes = tuple(axis for dim in dims for axis in (dim or (Axis(1),)))

    def node(
        self, kind: str, path: str, inputs: tuple[TracedNode, ...], axes: Sequence[int] | None, **about: Any
    ) -> TracedNode:
        """The layer that does this to `inputs` in the module at `path`: a new one, or the one of before.

        axes: the sizes of its axes, None for those of its first input.
        """
        key = (kind, path, *map(id, inputs))
        for known in self._known.setdefault(key, []):
            if known.like(kind, about):
                return known
        made = TracedNode(
            self.named(path, kind), kind, inputs, None if axes is None else tuple(map(Axis, axes)), about
        )
        self._known[key].append(made)
        self.nodes.append(made)
        return made

    def named(self, path: str, kind: str) -> str:
        """A name that no layer has: that of the module, with the kind where other layers are in it too."""
        wanted = path or kind
        if wanted in self._names and kind != "neurons" and path:
            wanted = f"{path}.{kind}"
        name = next(
            name
            for name in itertools.chain((wanted,), (f"{wanted}.{n}" for n in itertools.count(2)))
            if name not in self._names
        )
        self._names.add(name)
        return name


def reshaped(dims: tuple[Dim, ...], shape: Sequence[int]) -> tuple[Dim, ...]:
    """The axes of a tensor in another shape. Raises Lost where an axis would be cut unevenly."""
    waiting = plain(itertools.chain(*dims))
    found: list[Dim] = []
    for size in shape:
        taken: list[Axis] = []
        missing = size
        while missing > 1:
            axis = waiting.pop(0)
            if missing % axis.size:
                if axis.size % missing:
                    raise Lost(f"it cuts {axis.size} values into rows of {size}")
                outer = Axis(missing, axis.role, axis, 0)
                waiting.insert(0, Axis(axis.size // missing, axis.role, axis, 1))
                axis = outer
            taken.append(axis)
            missing //= axis.size
        found.append(tuple(_joined(taken)))
    return tuple(found)


def _joined(axes: list[Axis]) -> list[Axis]:
    """Halves of one axis that stand together again are that axis."""
    found: list[Axis] = []
    for axis in axes:
        found.append(axis)
        while len(found) > 1 and found[-1].parent is not None and found[-1].part == 1:
            outer, inner = found[-2:]
            if outer.parent is not inner.parent or outer.part != 0:
                break
            assert inner.parent is not None
            found[-2:] = [inner.parent]
    return found


def is_row(value: TracedValue, shape: Sequence[int]) -> bool:
    """Does the last dimension hold all that the value has of one image?"""
    known = value.node.features
    return known is not None and plain(value.dims[-1]) == plain(known) and math.prod(
        axis.size for axis in known
    ) == shape[-1]  # fmt: skip


def with_dims(value: TracedValue, dims: Sequence[Dim]) -> TracedValue:
    """`value` in a tensor of other axes."""
    return replace(value, dims=tuple(dims))


def numbers_of(value: TracedValue, shape: Sequence[int], array: NDArray[np.float64]) -> NDArray[np.float64]:
    """`array`, which is broadcast against a tensor with `shape` that holds `value`, for one image: ``[1]``,
    ``[C]``, or a number for each value.

    Raises Lost where it differs between images or timesteps.
    """
    if array.size == 0 or (array == array.flat[0]).all():
        return array.reshape(-1)[:1]
    while array.ndim and array.shape[0] == 1:
        array = array[0]
    if array.ndim > len(shape):
        raise Lost("a constant has more dimensions than the values it meets")
    count = len(shape)
    while count and plain(value.dims[len(shape) - count]) and any(
        axis.role is not None for axis in value.dims[len(shape) - count]
    ):  # fmt: skip
        count -= 1
    known = value.node.features
    if known is None:
        count = array.ndim
    else:
        while count and not set(plain(value.dims[len(shape) - count])) <= set(plain(known)):
            count -= 1
    while array.ndim > count:
        if (array != array[:1]).any():
            raise Lost("a constant differs between images or timesteps")
        array = array[0]
    axes = value.features(count, shape)
    spread = np.broadcast_to(array, tuple(shape[len(shape) - count :]))
    values = np.ascontiguousarray(spread).reshape([axis.size for axis in axes])
    rows = values.reshape(len(values), -1)
    return np.ascontiguousarray(rows[:, 0]) if (rows == rows[:, :1]).all() else values
