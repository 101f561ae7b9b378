"""Which row of which crossbar block an input of a layer drives.

``im2col`` unrolls a convolution window position by position (kernel row, kernel column, channel) and cuts the
long column of ``kH kW Cin`` rows into blocks of at most R rows; each block is read and converted by itself.
``kernel_position`` (SpikeSim) gives every kernel position a crossbar of its own for up to R channels; the
currents of the ``kH kW`` crossbars of a channel group are merged before the ADC, so one block holds up to
``kH kW R`` rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import RowOrder
from imcsim.network.graph import Conv2d, Linear


@dataclass(frozen=True, eq=False)
class RowLayout:
    """Rows of one layer in the order in which they are driven.

    Segment i covers the channels ``first[i] .. last[i] - 1`` of the kernel position ``(ky[i], kx[i])``; its
    rows start at ``row[i]`` and belong to block ``block[i]``. Arrays are int32, one entry a segment, blocks
    ascending.
    """

    ky: NDArray[np.int32]
    kx: NDArray[np.int32]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    row: NDArray[np.int32]
    block: NDArray[np.int32]
    kernel: tuple[int, int]
    channels: int
    dilation: tuple[int, int] = (1, 1)

    @property
    def down(self) -> NDArray[np.int32]:
        """Rows from the top of the window to what each segment reads: ``ky`` times the dilation."""
        return self.ky * np.int32(self.dilation[0])

    @property
    def right(self) -> NDArray[np.int32]:
        """Columns from the left of the window to what each segment reads: ``kx`` times the dilation."""
        return self.kx * np.int32(self.dilation[1])

    @property
    def rows(self) -> int:
        """Rows of the whole layer."""
        return self.kernel[0] * self.kernel[1] * self.channels

    @property
    def blocks(self) -> int:
        """Blocks that are converted separately."""
        return int(self.block[-1]) + 1

    @property
    def block_rows(self) -> NDArray[np.int64]:
        """Rows in each block, int64 ``[blocks]``."""
        return np.bincount(self.block, weights=self.last - self.first, minlength=self.blocks).astype(np.int64)

    def order(self, weight: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Weights ``[Cout, Cin, kH, kW]`` as ``[Cout, rows]`` in the order of the rows."""
        pieces = [
            weight[:, self.first[i] : self.last[i], self.ky[i], self.kx[i]] for i in range(len(self.row))
        ]
        return np.concatenate(pieces, axis=1)


def row_layout(layer: Conv2d | Linear, rows: int, order: RowOrder) -> RowLayout:
    """Lay the rows of `layer` over crossbars of `rows` rows."""
    if isinstance(layer, Linear):
        return layout((1, 1), layer.weight.shape[1], rows, order)
    kernel = (layer.weight.shape[2], layer.weight.shape[3])
    return layout(kernel, layer.weight.shape[1] * layer.groups, rows, order, layer.dilation)


def dense(layer: Conv2d | Linear) -> NDArray[np.integer[Any]]:
    """Weights as the crossbars hold them, ``[Cout, Cin, kH, kW]``: zeros where groups do not meet."""
    if isinstance(layer, Linear):
        return layer.weight[:, :, None, None]
    if layer.groups == 1:
        return layer.weight
    outer, inner = layer.weight.shape[0] // layer.groups, layer.weight.shape[1]
    full = np.zeros((len(layer.weight), inner * layer.groups, *layer.weight.shape[2:]), layer.weight.dtype)
    for g in range(layer.groups):
        mine = slice(g * outer, (g + 1) * outer)
        full[mine, g * inner : (g + 1) * inner] = layer.weight[mine]
    return full


def layout(
    kernel: tuple[int, int],
    channels: int,
    rows: int,
    order: RowOrder,
    dilation: tuple[int, int] = (1, 1),
) -> RowLayout:
    """`row_layout` from sizes alone."""
    positions = [(ky, kx) for ky in range(kernel[0]) for kx in range(kernel[1])]
    segments: list[tuple[int, int, int, int, int, int]] = []
    row = 0
    if order == "kernel_position":
        for block, first in enumerate(range(0, channels, rows)):
            last = min(first + rows, channels)
            for ky, kx in positions:
                segments.append((ky, kx, first, last, row, block))
                row += last - first
    else:
        for ky, kx in positions:
            first = 0
            while first < channels:
                last = min(channels, first + rows - row % rows)
                segments.append((ky, kx, first, last, row, row // rows))
                row += last - first
                first = last
    table = np.array(segments, np.int32).T
    return RowLayout(table[0], table[1], table[2], table[3], table[4], table[5], kernel, channels, dilation)
