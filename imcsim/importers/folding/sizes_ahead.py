"""Sizes of layers that are read before they come: feedback knows them from what else its neurons read."""

from __future__ import annotations

from collections.abc import Sequence

from imcsim.importers.folding.form import Shape, Unfit, window_shape
from imcsim.importers.importing import layers as file

Size = tuple[Shape, bool]
"""``(C, H, W)``, and whether it is a row of values."""


def sizes_ahead(layers: Sequence[file.Layer], image: Shape, row: bool) -> dict[str, Size]:
    """Sizes of the layers that delays read before they come, as far as they can be known.

    image, row: what the first layers read.
    """
    place = {layer.name: n for n, layer in enumerate(layers)}
    wanted = {
        name
        for layer in layers
        if isinstance(layer, file.Delayed)
        for name in layer.inputs
        if place.get(name, -1) > place[layer.name]
    }
    if not wanted:
        return {}
    known: dict[str, Size] = {file.INPUT: (image, row)}
    count = 0
    while len(known) > count:
        count = len(known)
        for layer in layers:
            size = next((known[name] for name in layer.inputs if name in known), None)
            if layer.name in known:
                continue
            try:
                found = _size(layer, size)
            except Unfit:  # said where the layer has its turn
                continue
            if found is not None:
                known[layer.name] = found
    return {name: size for name, size in known.items() if name in wanted}


def _size(layer: file.Layer, read: Size | None) -> Size | None:
    """Size of a layer, given that of one that it reads; None where it must be known and is not."""
    if isinstance(layer, file.Weights) and layer.weight.ndim == 2:
        return (layer.weight.shape[0], 1, 1), True
    if read is None:
        return None
    shape, row = read
    if isinstance(layer, file.Weights):
        height, width = ((1, 1, *layer.weight.shape[2:]))[-2:]
        window = (layer.stride, layer.padding, layer.dilation)
        return window_shape(shape, len(layer.weight), (height, width), *window), False
    if isinstance(layer, file.ReadPool) and row:
        values = window_shape((1, 1, shape[0]), 1, layer.size, layer.stride, layer.padding)[2]
        return (values, 1, 1), True
    if isinstance(layer, file.ReadPool):
        return window_shape(shape, shape[0], layer.size, layer.stride, layer.padding), False
    return shape, row
