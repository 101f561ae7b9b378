"""Weights and pools over forms: which of them become one layer, and what their padding means."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imcsim.base.plurals import counted
from imcsim.importers.folding.form import (
    Currents,
    Form,
    PooledCurrents,
    Shape,
    Spikes,
    Term,
    Unfit,
    composed,
    finite,
    of,
    per_channel,
    total,
    window_shape,
)
from imcsim.importers.folding.nodes import Nodes
from imcsim.importers.folding.spike_sums import SpikeSums
from imcsim.importers.importing import layers as file

Values = NDArray[np.float64]


class LinearFolding:
    """Applies weights and pools to forms. `border` is the pixel around the image, once a layer pads it.

    bits and pixel: the width of a pixel's code, and what a code of 1 is worth.
    """

    def __init__(self, nodes: Nodes, bits: int, pixel: float) -> None:
        self.nodes, self.bits, self.pixel = nodes, bits, pixel
        self.border: Values | None = None
        self.sums = SpikeSums(nodes)

    def weights(self, layer: file.Weights, form: Form) -> Form:
        form = self.sums.of(layer.name, self.without_pools(form))
        weight = np.asarray(layer.weight, np.float64)
        if weight.ndim == 3:
            weight = weight[:, :, None, :]
        finite(weight=weight, bias=layer.bias, scale=layer.scale)
        if weight.ndim not in (2, 4) or 0 in weight.shape:
            raise Unfit(
                f"its weights are {list(weight.shape)}, neither a convolution's nor a matrix",
                "give [out, in] or [out, in, rows, columns]",
            )
        if weight.ndim == 2:
            return self._linear(layer, form, weight)
        if form.row:
            raise Unfit("a convolution reads a row of values, not a map", "is the input's shape right?")
        outer, inner = weight.shape[:2]
        if layer.groups < 1 or outer % layer.groups or form.shape[0] != inner * layer.groups:
            raise Unfit(
                f"its weights take {counted(inner * layer.groups, 'channel')}, but it reads {form.shape[0]}",
                "is the input's shape right?",
            )
        kernel = (int(weight.shape[2]), int(weight.shape[3]))
        shape = window_shape(form.shape, outer, kernel, layer.stride, layer.padding, layer.dilation)
        scale = np.ones(outer) if layer.scale is None else np.asarray(layer.scale, np.float64)
        whole = Currents(
            layer.name, self.nodes.image, shape, weight, scale, layer.stride, layer.padding, layer.dilation,
            layer.groups, layer.scale is not None, weight_bits=layer.weight_bits,
        )  # fmt: skip
        self._several(layer, form)
        terms = []
        for term in form.terms:
            factor = per_channel(term.factor, "the scale of what it reads")
            terms.append(self._over(whole, term.base, factor))
        offset = per_channel(form.offset, "the offset of what it reads")
        if layer.padding != (0, 0):
            self._pad(form, offset)
        # What a constant input gives: a padded one is the image's, whose border is that constant too.
        by_output = np.repeat(offset.reshape(layer.groups, inner), outer // layer.groups, axis=0)
        constant = scale * np.einsum("oiyx,oi->o", weight, by_output)
        bias = constant if layer.bias is None else constant + layer.bias
        return Form(tuple(terms), bias.reshape(-1, 1, 1), shape)

    def _linear(self, layer: file.Weights, form: Form, weight: Values) -> Form:
        reads_image = any(term.base is self.nodes.image for term in form.terms)
        if not form.row and form.shape[1:] != (1, 1) and not reads_image:
            shown = " x ".join(map(str, form.shape))
            raise Unfit(f"a fully connected layer reads a {shown} map", "put a flatten layer between them")
        outer, inner = weight.shape
        if inner != math.prod(form.shape):
            raise Unfit(
                f"its weights take {counted(inner, 'value')}, but it reads {math.prod(form.shape)}",
                "is the input's shape right?",
            )
        scale = np.ones(outer) if layer.scale is None else np.asarray(layer.scale, np.float64)
        whole = Currents(
            layer.name, self.nodes.image, (outer, 1, 1), weight, scale,
            integer=layer.scale is not None, flat=form.flat, weight_bits=layer.weight_bits,
        )  # fmt: skip
        self._several(layer, form)
        terms = []
        for term in form.terms:
            each = np.broadcast_to(term.factor, form.shape)
            if isinstance(term.base, Currents):
                terms.append(self._over(whole, term.base, per_channel(each, "the scale of what it reads")))
            elif own := self._one_to_one(layer, term.base, weight):
                terms.append(Term(own, (each.reshape(-1) * scale * np.diagonal(weight)).reshape(-1, 1, 1)))
            else:
                terms.append(self._over(whole, term.base, each.reshape(-1)))
        bias = scale * (weight @ np.broadcast_to(form.offset, form.shape).reshape(-1))
        if layer.bias is not None:
            bias = bias + layer.bias
        return Form(tuple(terms), bias.reshape(-1, 1, 1), (outer, 1, 1))

    def _one_to_one(
        self, layer: file.Weights, base: Spikes | PooledCurrents, weight: Values
    ) -> Spikes | None:
        """`base`, where each neuron reads no other's spikes of earlier timesteps than its own."""
        if not (isinstance(base, Spikes) and base.late and base.row and weight.shape[0] == weight.shape[1]):
            return None
        if np.count_nonzero(weight - np.diag(np.diagonal(weight))):
            return None
        self.nodes.notes.append(f"{layer.name} is one-to-one feedback: a weight per neuron, not a matrix")
        return base

    def _several(self, layer: file.Weights, form: Form) -> None:
        if len(form.terms) > 1:
            self.nodes.notes.append(
                f"{layer.name} reads a sum of {len(form.terms)} layers: its weights are stored once for each"
            )

    def _over(self, whole: Currents, base: Spikes | Currents | PooledCurrents, factor: Values) -> Term:
        """`whole` over ``factor * base``; factor: one number for each input channel, or value."""
        assert not isinstance(base, PooledCurrents)
        ones = np.ones((whole.shape[0], 1, 1))
        if isinstance(base, Currents):
            merged = composed(whole, base, factor)
            self.nodes.notes.append(
                f"{base.layer} and {whole.layer} have no neurons between them: they were made into one layer"
            )
            return Term(merged, ones)
        whole = replace(whole, source=base)
        if (factor == factor[0]).all():
            return Term(whole, ones * factor[0])
        if whole.integer:
            self.nodes.notes.append(
                f"{whole.layer}: its inputs are scaled channel by channel, so its integers are quantised anew"
            )
        if whole.row:
            weight = whole.weight * factor
        else:
            inner = whole.weight.shape[1]
            by_group = np.repeat(
                factor.reshape(whole.groups, inner), len(whole.weight) // whole.groups, axis=0
            )
            weight = whole.weight * by_group[:, :, None, None]
        return Term(replace(whole, weight=weight, integer=False), ones)

    def _pad(self, form: Form, offset: Values) -> None:
        """Zeros around ``factor * x + offset`` are an x that gives zero: only the image has such pixels."""
        over_image = any(term.base is self.nodes.image for term in form.terms)
        if not over_image:
            if offset.any():
                raise Unfit(
                    "it pads values that were shifted (by a batch norm or an offset) with no neurons between",
                    "the zeros of its padding would not be shifted: normalise after the weights",
                )
            return
        if len(form.terms) > 1 and offset.any():
            raise Unfit("it pads the sum of the shifted image and other values", "add after the weights")
        factor = per_channel(form.terms[0].factor, "the scale of the image")
        border = np.zeros(len(offset))
        shifted = offset != 0
        if (factor[shifted] == 0).any():
            raise Unfit("it pads an image that was scaled by 0", "remove the scale")
        border[shifted] = -offset[shifted] / (factor[shifted] * self.pixel)
        if (border < -0.5).any() or (border >= 2**self.bits - 0.5).any():
            raise Unfit(
                "the padding of the normalised image has no pixel that stands for 0",
                f"does the mean lie in the range of pixels, 0 to {(2**self.bits - 1) * self.pixel:g}?",
            )
        if self.border is not None and not np.allclose(self.border, border, rtol=0, atol=1e-9):
            raise Unfit(
                "it pads the image with another value than the layers before it do", "pad with one value"
            )
        self.border = border

    def pool(self, layer: file.ReadPool, form: Form) -> Form:
        if form.row:
            return self._pool_of_row(layer, form)
        form = self.sums.of(layer.name, self.without_pools(form))
        shape = window_shape(form.shape, form.shape[0], layer.size, layer.stride, layer.padding)
        for term in form.terms:
            per_channel(term.factor, "the scale of what it reads")
        offset = per_channel(form.offset, "the offset of what it reads")
        if len(form.terms) == 1 and isinstance(form.terms[0].base, Currents):
            # Which way it goes depends on what reads it: neurons, or other weights.
            return of(PooledCurrents(layer, form, shape))
        if layer.kind == "max":
            if len(form.terms) > 1:
                raise Unfit("it takes the maximum of a sum", "put the pool before the addition")
            self._maximum(form.terms[0].base, per_channel(form.terms[0].factor, "the scale of what it reads"))
        elif layer.padding != (0, 0) and offset.any():
            raise Unfit("it pads values that were shifted by an offset", "normalise after the pool")
        return self._linear_pool(layer, form, shape)

    def _pool_of_row(self, layer: file.ReadPool, form: Form) -> Form:
        """A pool of neighbouring values of a row: averages and sums become part of the weights behind them,
        a maximum of spikes is a node.
        """
        (tall, wide), step, (above, left) = layer.size, layer.stride[1], layer.padding
        if tall != 1 or above:
            raise Unfit(
                "it pools a row of values, not a map",
                "pool before flattening; a list of layers has averages of neighbours in a row: kind: voting, "
                "and windows (1, n)",
            )
        form, values = self.without_pools(form), math.prod(form.shape)
        pooled = window_shape((1, 1, values), 1, (1, wide), (1, step), (0, left))[2]
        if layer.kind != "max":
            at = np.arange(pooled)[:, None] * step - left + np.arange(wide)
            matrix = (at[:, :, None] == np.arange(values)).sum(axis=1).astype(np.float64)
            matrix /= wide if layer.kind == "average" else 1
            return self.weights(file.Weights(layer.name, layer.inputs, matrix), form)
        form = self.sums.of(layer.name, form)
        term = form.terms[0]
        if len(form.terms) > 1 or not isinstance(term.base, Spikes) or term.base is self.nodes.image:
            raise Unfit(
                "it takes the maximum of a row of other values than spikes",
                "put neurons before the pool",
            )
        if not term.base.row or term.base.late:
            raise Unfit(
                "it takes the maximum of neighbouring values of a flattened map, or of delayed ones",
                "pool before flattening, or before the delay",
            )
        factor = per_channel(term.factor, "the scale of what it reads")
        if (factor < 0).any() or (factor != factor[0]).any() or form.offset.any():
            raise Unfit("it takes the maximum of spikes that were scaled or shifted", "pool before scaling")
        if step < wide or left:
            raise Unfit(
                "its windows of neighbouring values overlap or are padded",
                "the chip pools windows side by side: use a stride of the window or more, and no padding",
            )
        spikes = self.nodes.pool(layer, term.base, (pooled, 1, 1))
        return of(spikes).affine(factor[:1].reshape(1, 1, 1), np.zeros((pooled, 1, 1)))

    def without_pools(self, form: Form) -> Form:
        """`form` for readers that are no neurons: an average or sum of currents is a larger kernel."""
        if not any(isinstance(term.base, PooledCurrents) for term in form.terms):
            return form
        forms = []
        for term in form.terms:
            if isinstance(term.base, PooledCurrents):
                forms.append(
                    self._as_weights(term.base).affine(term.factor, np.zeros((len(term.factor), 1, 1)))
                )
            else:
                forms.append(Form((term,), np.zeros_like(form.offset), form.shape, form.flat))
        whole = total([replace(one, flat=form.flat) for one in forms])
        return replace(whole, offset=whole.offset + form.offset)

    def _as_weights(self, pooled: PooledCurrents) -> Form:
        layer, form = pooled.pool, pooled.form
        if layer.kind == "max":
            raise Unfit(
                f"it reads the maxima of currents ({layer.name}) with no neurons between",
                "put neurons behind the pool",
            )
        if layer.padding != (0, 0) and form.offset.any():
            raise Unfit(
                f"{layer.name} pads values that were shifted by an offset, with no neurons behind it",
                "normalise after the pool",
            )
        return self._linear_pool(layer, form, pooled.shape)

    def _linear_pool(self, layer: file.ReadPool, form: Form, shape: Shape) -> Form:
        """Pools of values as nodes; average and sum of the image or of currents as weights."""
        count, channels = math.prod(layer.size), form.shape[0]
        offset = per_channel(form.offset, "the offset of what it reads")
        grow = float(count) if layer.kind == "sum" else 1.0
        terms = []
        for term in form.terms:
            base, factor = term.base, per_channel(term.factor, "the scale of what it reads")
            assert not isinstance(base, PooledCurrents)
            if isinstance(base, Spikes) and base is not self.nodes.image:
                pooled: Spikes | Currents = self.nodes.pool(layer, base, shape)
            else:
                window = Currents(
                    layer.name, self.nodes.image, shape, np.ones((channels, 1, *layer.size)),
                    np.full(channels, 1.0 if layer.kind == "sum" else 1.0 / count),
                    layer.stride, layer.padding, groups=channels,
                )  # fmt: skip
                if isinstance(base, Currents):
                    pooled = composed(window, base, factor)
                    factor = np.ones(channels)
                    self.nodes.notes.append(
                        f"{layer.name} pools the currents of {base.layer}: they were made into one layer"
                    )
                else:
                    pooled = window
            terms.append(Term(pooled, factor.reshape(-1, 1, 1)))
        return Form(tuple(terms), offset.reshape(-1, 1, 1) * grow, shape)

    def _maximum(self, base: Spikes | Currents | PooledCurrents, factor: Values) -> None:
        if base is self.nodes.image:
            raise Unfit("it takes the maximum over the image: the chip pools spikes", "pool the data before")
        if (factor < 0).any():
            raise Unfit("it takes the maximum of spikes with a negative factor", "pool before scaling")
