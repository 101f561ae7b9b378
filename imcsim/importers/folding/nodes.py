"""Makes nodes of the graph from forms: each only once, with a name that a bundle may hold."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from imcsim.importers.folding.form import Currents, Form, PooledCurrents, Shape, Spikes, Unfit, per_channel
from imcsim.importers.importing import layers as file
from imcsim.importers.importing.float_network import FloatNode, FloatWeights
from imcsim.network.graph import INPUT, Add, Delay, Flatten, Pool2d

Values = NDArray[np.float64]

MAX_ROW_IDENTITY = 4096
"""Values of a row that identity weights may copy; they are a square matrix."""

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_.-]")


class Nodes:
    """The nodes made so far, in order, with `names` (layer of the file to node) and `notes`."""

    def __init__(self, image: Shape) -> None:
        self.image = Spikes(INPUT, image, binary=False)
        self.made: list[FloatNode] = []
        self.names: dict[str, str] = {}
        self.notes: list[str] = []
        self._merged: set[str] = set()
        self._taken = {INPUT}
        self._weights: dict[tuple[Currents, bytes, bytes, str], str] = {}
        self._flat: dict[str, str] = {}
        self._late: dict[tuple[str, int, bytes], str] = {}
        self._reserved: dict[str, str] = {}

    # --- names

    def named(self, layer: str, prefix: str) -> str:
        """The name of the node that holds the values of `layer`; `prefix` goes before a bare number."""
        self.names[layer] = name = self._reserved.pop(layer, "") or self.unique(_name(layer, prefix))
        return name

    def reserved(self, layer: str, prefix: str) -> str:
        """The name that the node of `layer` will have, for those that come before it."""
        if layer not in self._reserved:
            self._reserved[layer] = self.unique(_name(layer, prefix))
        return self._reserved[layer]

    def unique(self, wanted: str) -> str:
        """`wanted`, or with a number where it is taken."""
        name, number = wanted[:60], 1
        while name in self._taken:
            number += 1
            name = f"{wanted[:56]}.{number}"
        self._taken.add(name)
        return name

    def finished(self) -> tuple[FloatNode, ...]:
        """All nodes, without the pools that became part of larger ones and that nothing else reads."""
        kept: list[FloatNode] = []
        for node in reversed(self.made):
            if node.name not in self._merged or any(node.name in reader.inputs for reader in kept):
                kept.append(node)
            else:
                self.names = {layer: name for layer, name in self.names.items() if name != node.name}
        return tuple(reversed(kept))

    # --- nodes

    def pool(self, layer: file.ReadPool, base: Spikes, shape: Shape) -> Spikes:
        """A pool over a node's values."""
        if base.late:
            raise Unfit("it pools delayed spikes", "put the delay behind the pool")
        source, size, stride, kind = base.node, layer.size, layer.stride, layer.kind
        inner = next((n for n in self.made if n.name == source), None)
        if isinstance(inner, Pool2d) and _tiles(inner) and kind == inner.kind and layer.padding == (0, 0):
            # Windows of windows that do not overlap are larger windows.
            source = inner.inputs[0]
            size = (size[0] * inner.size[0], size[1] * inner.size[1])
            stride = (stride[0] * inner.stride[0], stride[1] * inner.stride[1])
            self._merged.add(inner.name)
        name = self.named(layer.name, "pool")
        self.made.append(Pool2d(name, (source,), kind, size, stride, layer.padding))
        return Spikes(name, shape, base.row, base.binary and kind == "max")

    def current(self, reader: str, form: Form) -> tuple[str, bool]:
        """The node whose values are `form`, for the layer `reader`, and whether it is a row of values.

        One weighted source is that layer, with factor and offset in its scale and bias. Several meet in an
        `Add`: spikes enter it directly where they all have one positive factor, else through an identity
        layer, which is a 1x1 convolution with weight 1. Spikes of earlier timesteps enter it with any
        factors.
        """
        offset = per_channel(form.offset, "the offset of what it reads")
        if isinstance(form.terms[0].base, PooledCurrents):
            factor = per_channel(form.terms[0].factor, "the scale of what it reads")
            return self._pooled(form.terms[0].base, factor, offset), False
        parts = [(term.base, per_channel(term.factor, "the scale of what it reads")) for term in form.terms]
        weighted = [part for part in parts if isinstance(part[0], Currents)]
        direct: list[tuple[Spikes, Values]] = []
        for base, factor in parts:
            if not isinstance(base, Spikes):
                continue
            uniform = base.binary and factor[0] > 0 and bool((factor == factor[0]).all())
            plain = [other for known, other in direct if not known.late]
            like = not plain or plain[0][0] == factor[0]
            # What is late has a weight of its own for each channel.
            if (base.late and base.binary) or (uniform and like and base is not self.image):
                direct.append((base, factor))
            else:
                weighted.append((self._identity(reader, base), factor))
        if not weighted:
            base, factor = direct.pop()
            weighted.append((self._identity(reader, base), factor))
        names = []
        for base, factor in weighted:
            assert isinstance(base, Currents)
            names.append(self._weighted(base, factor, offset))
            offset = np.zeros_like(offset)
        names += [self._source(base, factor) for base, factor in direct]
        row = all(base.row for base, _ in weighted)
        if len(names) == 1:
            return names[0], row
        if any(base.row != row for base, _ in [*weighted, *direct]):
            raise Unfit("it adds a row of values to a map", "flatten both, or neither")
        scale = next((float(factor[0]) for base, factor in direct if not base.late), 1.0)
        name = self.unique(f"{_name(reader, 'lif')[:58]}.add")
        self.made.append(Add(name, tuple(names), scale))
        return name, row

    def _pooled(self, base: PooledCurrents, factor: Values, offset: Values) -> str:
        """A pool over a layer's currents, for neurons: what scales and shifts its values goes before it."""
        pool, inner = base.pool, base.form.terms[0]
        if pool.kind == "max" and (factor < 0).any():
            raise Unfit(
                f"what comes after {pool.name!r} turns its maximum into a minimum (a negative scale)",
                "normalise before the pool",
            )
        if pool.kind != "max" and pool.padding != (0, 0) and offset.any():
            raise Unfit(
                f"it shifts what {pool.name!r} gives, whose padding has no such offset",
                "normalise before the pool",
            )
        each = offset / math.prod(pool.size) if pool.kind == "sum" else offset
        before = per_channel(base.form.offset, "the offset of what it reads") * factor + each
        assert isinstance(inner.base, Currents)
        scale = per_channel(inner.factor, "the scale of what it reads") * factor
        source = self._weighted(inner.base, scale, before, apart=pool.name)
        name = (
            self.unique(_name(pool.name, "pool"))
            if pool.name in self.names
            else self.named(pool.name, "pool")
        )
        self.made.append(Pool2d(name, (source,), pool.kind, pool.size, pool.stride, pool.padding))
        return name

    def _source(self, base: Spikes, weight: Values | None = None) -> str:
        """The node whose values are `base`; a delay of these, with the weight that each of its spikes has in
        an addition.
        """
        if not base.late:
            return base.node
        uniform = weight is None or bool((weight == weight[0]).all())
        plain: float | Values = 1.0 if weight is None else float(weight[0]) if uniform else weight
        key = (base.node, base.late, np.asarray(plain).tobytes())
        if key not in self._late:
            self._late[key] = self.unique(f"{base.node[:50]}.{base.late}_before")
            self.made.append(Delay(self._late[key], (base.node,), base.late, plain))
        return self._late[key]

    def _identity(self, reader: str, base: Spikes) -> Currents:
        what = "the image" if base is self.image else base.node
        self.notes.append(f"{reader} takes {what} without weights: an identity layer stands between them")
        channels = base.shape[0]
        name = f"{_name(reader, 'lif')[:50]}.identity"
        if not base.row:
            ones = np.ones((channels, 1, 1, 1))
            return Currents(name, base, base.shape, ones, np.ones(channels), groups=channels)
        if channels > MAX_ROW_IDENTITY:
            raise Unfit(
                f"it takes {channels} values without weights, more than {MAX_ROW_IDENTITY}",
                "put neurons before the flatten layer",
            )
        return Currents(name, base, base.shape, np.eye(channels), np.ones(channels))

    def _weighted(self, currents: Currents, factor: Values, bias: Values, apart: str = "") -> str:
        """The node of `currents` with `factor` in its scale; made once for each factor and bias, and `apart`
        for a pool.
        """
        key = (currents, factor.tobytes(), bias.tobytes(), apart)
        if key in self._weights:
            return self._weights[key]
        scale = factor * currents.scale
        # A scale is positive: its sign goes into the weights, and a scale of 0 leaves weights of 0.
        sign = np.sign(scale)
        weight = currents.weight * sign.reshape(-1, *(1,) * (currents.weight.ndim - 1)) + 0.0
        scale = np.where(sign == 0, 1.0, np.abs(scale))
        if not np.isfinite(scale).all() or not np.isfinite(bias).all():
            raise Unfit(
                f"folding gives {currents.layer!r} numbers that are not finite", "are they too large?"
            )
        source = self._source(currents.source)
        if currents.row and not currents.source.row and source != INPUT:
            source = self._flattened(currents, source)
        prefix = "fc" if currents.row else "conv"
        if currents.layer in self.names:
            name = self.unique(_name(currents.layer, prefix))
            if any(known[0] is currents for known in self._weights):
                self.notes.append(
                    f"{currents.layer} is read with several scales: its weights are stored once for each"
                )
        else:
            name = self.named(currents.layer, prefix)
        self.made.append(
            FloatWeights(
                name,
                (source,),
                weight,
                scale,
                bias,
                currents.stride,
                currents.padding,
                currents.dilation,
                currents.groups,
                currents.integer,
                currents.weight_bits,
            )
        )
        self._weights[key] = name
        return name

    def _flattened(self, currents: Currents, source: str) -> str:
        if source not in self._flat:
            if currents.flat is not None and currents.flat not in self.names:
                name = self.named(currents.flat, "flatten")
            else:
                name = self.unique(f"{source[:50]}.flatten")
            self.made.append(Flatten(name, (source,)))
            self._flat[source] = name
        return self._flat[source]


def _tiles(pool: Pool2d) -> bool:
    """Do the pool's windows lie side by side, so that a pool of its sums or averages is a larger one?"""
    return pool.kind != "max" and pool.size == pool.stride and pool.padding == (0, 0)


def _name(layer: str, prefix: str) -> str:
    """`layer` as a name for a node: other characters become ``_``, a number gets `prefix`."""
    plain = _NOT_A_NAME.sub("_", layer)
    if plain.lstrip("_")[:1].isdigit():  # as exporters call the layers of a sequence
        return prefix + plain.lstrip("_")
    return plain if plain[:1].isalpha() or plain[:1] == "_" else prefix + plain
