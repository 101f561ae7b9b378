"""What recorded values make a chip do: silent reads, address events, toggled bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional import kernels
from imcsim.functional.program.program import Program
from imcsim.functional.run import bordered, segments
from imcsim.mapping import Placement
from imcsim.timing import ImageWork

Recorded = Mapping[str, NDArray[Any]]
"""Values of nodes, uint8 ``[images, T, H, W, C]``."""


def recorded_nodes(program: Program, placement: Placement) -> frozenset[str]:
    """The nodes whose values `image_work` needs."""
    sources = {layer.source for layer in program.crossbar_layers}
    return frozenset(sources | {edge.node for edge in placement.graph.edges if edge.node})


def image_work(program: Program, placement: Placement, recorded: Recorded) -> list[ImageWork]:
    """The work of every recorded image."""
    active = [_active(program, k, recorded) for k in range(len(program.crossbar_layers))]
    events = {
        edge: np.count_nonzero(recorded[edge.node], axis=3).astype(np.int64)
        for edge in placement.graph.edges
        if edge.node and edge.source >= 0
    }
    images = len(next(iter(recorded.values())))
    return [
        ImageWork(
            active={k: reads[n] for k, reads in enumerate(active)},
            events={edge: counts[n] for edge, counts in events.items()},
        )
        for n in range(images)
    ]


def _active(program: Program, index: int, recorded: Recorded) -> NDArray[np.bool_]:
    """Reads with a row to drive, bool ``[images, T, positions, planes, blocks]``."""
    layer = program.crossbar_layers[index]
    values = recorded[layer.source]
    inputs, padding = bordered(layer, values)
    height, width, _ = layer.out_shape
    active = np.empty((len(inputs), height * width, layer.planes, layer.layout.blocks), np.bool_)
    ky, kx, first, last, _, block = segments(layer)
    kernels.active_blocks(
        inputs, layer.planes, ky, kx, first, last, block, layer.stride, padding, (height, width), active
    )
    return active.reshape(*values.shape[:2], *active.shape[1:])
