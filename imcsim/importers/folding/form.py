"""Values between neurons, as sums of scaled sources: what folding computes with.

What lies between two layers of neurons is linear. It is kept as ``sum(factor * source) + offset`` and becomes
nodes of the graph only where neurons, or the output, need it: batch norms, gains and scales then sit in the
factors, and go into the weights exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imcsim.base.plurals import counted
from imcsim.importers.importing.layers import ReadPool
from imcsim.network.sizes import MAX_VALUES

Values = NDArray[np.float64]
Shape = tuple[int, int, int]

MAX_WEIGHTS = 1 << 26
"""Weights that two layers may have after they were made into one."""


class Unfit(Exception):
    """Why something cannot be represented, and what to do about it; the caller knows the layer."""

    def __init__(self, reason: str, fix: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.fix = reason, fix


@dataclass(frozen=True, eq=False)
class Spikes:
    """Values that a node holds: the image, spikes, or pooled spikes.

    `row` is true where the node puts out a row of values and not a map. `binary`: spikes or activations as
    they are, which an addition takes without weights, and not the image, sums or averages. `late`: what the
    node gave so many timesteps before.
    """

    node: str
    shape: Shape
    row: bool = False
    binary: bool = True
    late: int = 0


@dataclass(frozen=True, eq=False)
class Currents:
    """``scale * (weight x)`` over the values of one source; no node yet.

    `weight` is ``[Cout, Cin/groups, kH, kW]`` or ``[Cout, Cin]``; `flat` is the name of the flatten layer
    that stands before a fully connected one, if any.
    """

    layer: str
    source: Spikes
    shape: Shape
    weight: Values
    scale: Values
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    integer: bool = False
    flat: str | None = None
    weight_bits: int | None = None

    @property
    def row(self) -> bool:
        return self.weight.ndim == 2


@dataclass(frozen=True, eq=False)
class PooledCurrents:
    """A pool over ``form``, the currents of one layer, for neurons behind it; no node yet."""

    pool: ReadPool
    form: Form
    shape: Shape

    @property
    def layer(self) -> str:
        return self.pool.name

    @property
    def row(self) -> bool:
        return False


@dataclass(frozen=True, eq=False)
class Term:
    """`factor` has the shape of the form, or ``[C, 1, 1]``."""

    base: Spikes | Currents | PooledCurrents
    factor: Values


@dataclass(frozen=True, eq=False)
class Form:
    """``sum(term.factor * term.base) + offset`` of the given shape; rows of N values are ``(N, 1, 1)``.

    `flat` is the name of the flatten layer that was applied, None where there was none.
    """

    terms: tuple[Term, ...]
    offset: Values
    shape: Shape
    flat: str | None = None

    @property
    def row(self) -> bool:
        """Do the layers after this see a row of values?"""
        return self.flat is not None or all(term.base.row for term in self.terms)

    @property
    def single(self) -> bool:
        """One source as it is, neither scaled nor shifted?"""
        return len(self.terms) == 1 and bool(np.all(self.terms[0].factor == 1)) and not self.offset.any()

    def affine(self, factor: Values, offset: Values) -> Form:
        """``factor * self + offset``."""
        terms = tuple(replace(term, factor=term.factor * factor) for term in self.terms)
        return replace(self, terms=terms, offset=self.offset * factor + offset)


def of(
    base: Spikes | Currents | PooledCurrents, offset: Values | None = None, flat: str | None = None
) -> Form:
    """The form that is `base` alone, plus `offset`."""
    channels = base.shape[0]
    nothing = np.zeros((channels, 1, 1)) if offset is None else offset
    return Form((Term(base, np.ones((channels, 1, 1))),), nothing, base.shape, flat)


def total(forms: list[Form]) -> Form:
    """The sum of `forms`; equal sources are counted once. Raises Unfit where shapes differ."""
    first = forms[0]
    for form in forms[1:]:
        if form.shape != first.shape or form.row != first.row:
            shown = " and ".join(" x ".join(map(str, f.shape)) for f in (first, form))
            raise Unfit(f"its inputs have different shapes ({shown})", "add values of one shape")
    terms: dict[object, Term] = {}  # by identity, and spikes that are late by what they are
    for term in (term for form in forms for term in form.terms):
        base = term.base
        key = (base.node, base.late) if isinstance(base, Spikes) and base.late else base
        known = terms.get(key)
        terms[key] = term if known is None else replace(term, factor=known.factor + term.factor)
    offset = np.asarray(sum((form.offset for form in forms[1:]), first.offset))
    flat = next((form.flat for form in forms if form.flat is not None), None)
    return Form(tuple(terms.values()), offset, first.shape, flat)


def delayed(form: Form, timesteps: int, image: Spikes) -> Form:
    """What `form` was `timesteps` timesteps before: later spikes, and weights that read them. Raises Unfit
    where something is added to spikes, which is not there in the first timesteps.
    """
    if timesteps == 0:
        return form
    if form.offset.any():
        raise Unfit(
            "it delays values with a bias or offset, which would not be there in the first timesteps",
            "delay the spikes before the weights, or train without bias",
        )
    return replace(form, terms=tuple(replace(t, base=_later(t.base, timesteps, image)) for t in form.terms))


def _later(
    base: Spikes | Currents | PooledCurrents, timesteps: int, image: Spikes
) -> Spikes | Currents | PooledCurrents:
    if isinstance(base, Spikes):
        if base is image:
            raise Unfit("it delays the image: the chip keeps spikes", "delay the data instead")
        return replace(base, late=base.late + timesteps)
    if isinstance(base, PooledCurrents):
        raise Unfit(f"it delays what {base.layer!r} pools before neurons", "put the delay before the weights")
    source = _later(base.source, timesteps, image)
    assert isinstance(source, Spikes)
    return replace(base, source=source)


def per_channel(values: Values, what: str) -> Values:
    """``[C]`` of ``[C, 1, 1]``, or of ``[C, H, W]`` where maps are constant. Raises Unfit otherwise."""
    first = values[:, :1, :1]
    if (values != first).any():
        raise Unfit(
            f"{what} differs between the neurons of a channel",
            "the chip keeps one number per channel: train with one, or with one for the layer",
        )
    return np.ascontiguousarray(first[:, 0, 0])


def spread(values: object, shape: Shape, row: bool, what: str) -> Values:
    """A layer's numbers (one, one per channel, one per neuron) as an array that multiplies values of `shape`.

    Raises Unfit where their count fits none of these.
    """
    array = np.asarray(values, np.float64)
    channels = shape[0]
    if array.size == 1:
        return np.full((channels, 1, 1), array.reshape(()))
    if row and array.size == math.prod(shape):
        return np.ascontiguousarray(array.reshape(shape))
    if array.size == channels:
        return np.ascontiguousarray(array.reshape(channels, 1, 1))
    if array.size == math.prod(shape):
        return np.ascontiguousarray(array.reshape(shape))
    shown = " x ".join(map(str, shape))
    raise Unfit(
        f"{what} has {counted(array.size, 'number')}, but it reads {shown} values",
        "is the input's shape right?",
    )


def finite(**arrays: Values | None) -> None:
    """Raise Unfit where an array, called what its key says, holds NaN or infinity."""
    for key, values in arrays.items():
        if values is not None and not np.isfinite(values).all():
            raise Unfit(f"its {key} holds NaN or infinity", "was the training run sound?")


def window_shape(
    shape: Shape,
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Shape:
    """Shape after windows of `kernel` went over `shape`. Raises Unfit where none fits."""
    sizes = [
        (size + 2 * pad - (k - 1) * apart - 1) // step + 1
        for size, pad, k, step, apart in zip(shape[1:], padding, kernel, stride, dilation, strict=True)
    ]
    if min(sizes) < 1:
        shown = " x ".join(map(str, shape[1:]))
        raise Unfit(
            f"its {kernel[0]} x {kernel[1]} window does not fit the {shown} map it reads",
            "is the input's shape right?",
        )
    if channels * sizes[0] * sizes[1] > MAX_VALUES:
        raise Unfit(f"it puts out more than {MAX_VALUES} values", "is the input's shape right?")
    return channels, sizes[0], sizes[1]


def composed(outer: Currents, inner: Currents, factor: Values) -> Currents:
    """Two weighted layers without neurons between them as one; `outer` reads ``factor * inner``.

    Exact: a convolution after a convolution is one with a larger kernel, as long as the second adds no
    padding of its own. factor: ``[C]`` of the inner layer's outputs. Raises Unfit where that is not so.
    """
    if outer.row != inner.row:
        if not (outer.row and inner.shape[1:] == (1, 1)):
            raise Unfit(
                f"it reads the map of {inner.layer!r} with no neurons between them",
                "put neurons after the convolution, or average over the whole map",
            )
        outer = replace(outer, weight=outer.weight[:, :, None, None])
    scaled = factor * inner.scale
    if inner.row:
        weight = outer.weight @ (scaled[:, None] * inner.weight)
        return replace(
            inner, layer=outer.layer, shape=outer.shape, weight=weight, scale=outer.scale, integer=False,
            weight_bits=outer.weight_bits,
        )  # fmt: skip
    if outer.padding != (0, 0):
        raise Unfit(
            f"it pads the currents of {inner.layer!r}, with no neurons between them",
            "a padded layer must read spikes: put neurons between the two, or use no padding",
        )
    _affordable(inner.weight.size * inner.groups, inner.layer)
    _affordable(outer.weight.size * outer.groups, outer.layer)
    first = _dense(inner.weight * scaled[:, None, None, None], inner.groups)
    second = _dense(outer.weight, outer.groups)
    step = tuple(s * d for s, d in zip(inner.stride, outer.dilation, strict=True))
    kernel = tuple(
        (k2 - 1) * s + (k1 - 1) * d + 1
        for k2, s, k1, d in zip(second.shape[2:], step, first.shape[2:], inner.dilation, strict=True)
    )
    shape = (len(second), first.shape[1], *kernel)
    _affordable(math.prod(shape), inner.layer)
    weight = np.zeros(shape)
    tall, wide = ((k - 1) * d + 1 for k, d in zip(first.shape[2:], inner.dilation, strict=True))
    for y, x in np.ndindex(*second.shape[2:]):
        part = np.einsum("om,miyx->oiyx", second[:, :, y, x], first, optimize=True)
        top, left = y * step[0], x * step[1]
        weight[:, :, top : top + tall : inner.dilation[0], left : left + wide : inner.dilation[1]] += part
    return replace(
        inner,
        layer=outer.layer,
        shape=outer.shape,
        weight=weight,
        scale=outer.scale,
        stride=(inner.stride[0] * outer.stride[0], inner.stride[1] * outer.stride[1]),
        dilation=(1, 1),
        groups=1,
        integer=False,
        weight_bits=outer.weight_bits,
    )


def _affordable(weights: int, layer: str) -> None:
    if weights > MAX_WEIGHTS:
        raise Unfit(
            f"made into one layer with {layer!r} it would have {weights} weights, more than {MAX_WEIGHTS}",
            "put neurons between the two",
        )


def _dense(weight: Values, groups: int) -> Values:
    """The kernel of a grouped convolution with its zeros."""
    if groups == 1:
        return weight
    outer, inner = weight.shape[0] // groups, weight.shape[1]
    dense = np.zeros((weight.shape[0], inner * groups, *weight.shape[2:]))
    for group in range(groups):
        at = slice(group * outer, (group + 1) * outer)
        dense[at, group * inner : (group + 1) * inner] = weight[at]
    return dense
