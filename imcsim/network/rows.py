"""Which row of which crossbar block an input of a layer drives.

``im2col`` unrolls a convolution window position by position (kernel row, kernel column, channel) and cuts the
long column of ``kH kW Cin`` rows into blocks of at most R rows; each block is read and converted by itself.
``kernel_position`` (SpikeSim) gives every kernel position a crossbar of its own for up to R channels; the
currents of the ``kH kW`` crossbars of a channel group are merged before the ADC, so one block holds up to
``kH kW R`` rows.

Where a crossbar drives at most P of its rows at once, its rows are read in turns of up to P (of each of the
merged crossbars with ``kernel_position``), and each turn is a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import RowOrder
from imcsim.network.graph import Conv2d, Linear


@dataclass(frozen=True, eq=False)
class RowLayout:
    """Rows of one layer in the order in which they are driven.

    Segment i covers the channels ``first[i] .. last[i] - 1`` of the kernel position ``(ky[i], kx[i])``; its
    rows start at ``row[i]`` and belong to block ``block[i]``: the rows that are driven together, and whose
    sums are converted by themselves. Arrays are int32, one entry a segment, blocks ascending; but `crossbar`
    and `turn`, one entry a block: which of the crossbars of a column it stands in (which group of them that
    are merged), and in which turn that is read.
    """

    ky: NDArray[np.int32]
    kx: NDArray[np.int32]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    row: NDArray[np.int32]
    block: NDArray[np.int32]
    crossbar: NDArray[np.int32]
    turn: NDArray[np.int32]
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

    @property
    def crossbars(self) -> int:
        """Crossbars that the rows of a column fill, merged ones counted as one."""
        return int(self.crossbar[-1]) + 1

    @property
    def crossbar_rows(self) -> NDArray[np.int64]:
        """Rows in each of the crossbars, int64 ``[crossbars]``."""
        return np.bincount(self.crossbar, weights=self.block_rows).astype(np.int64)

    @cached_property
    def turns(self) -> NDArray[np.int64]:
        """Turns in which each of the crossbars is read, int64 ``[crossbars]``."""
        return np.bincount(self.crossbar).astype(np.int64)

    def order(self, weight: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Weights ``[Cout, Cin, kH, kW]`` as ``[Cout, rows]`` in the order of the rows."""
        pieces = [
            weight[:, self.first[i] : self.last[i], self.ky[i], self.kx[i]] for i in range(len(self.row))
        ]
        return np.concatenate(pieces, axis=1)


def row_layout(layer: Conv2d | Linear, rows: int, order: RowOrder, parallel: int | None = None) -> RowLayout:
    """Lay the rows of `layer` over crossbars of `rows` rows, of which `parallel` are driven at once."""
    if isinstance(layer, Linear):
        return layout((1, 1), layer.weight.shape[1], rows, order, parallel=parallel)
    kernel = (layer.weight.shape[2], layer.weight.shape[3])
    channels = layer.weight.shape[1] * layer.groups
    return layout(kernel, channels, rows, order, layer.dilation, parallel)


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
    parallel: int | None = None,
) -> RowLayout:
    """`row_layout` from sizes alone; `parallel` None drives all rows at once."""
    at_once = min(rows, parallel or rows)
    positions = [(ky, kx) for ky in range(kernel[0]) for kx in range(kernel[1])]
    segments: list[tuple[int, int, int, int, int, int]] = []
    row = 0
    total = channels if order == "kernel_position" else channels * len(positions)
    # Where each block begins, counted in what fills a crossbar: channels, or rows of the unrolled window.
    begins = [
        at
        for crossbar in range(0, total, rows)
        for at in range(crossbar, min(crossbar + rows, total), at_once)
    ]
    if order == "kernel_position":
        for block, (first, last) in enumerate(pairwise([*begins, total])):
            for ky, kx in positions:
                segments.append((ky, kx, first, last, row, block))
                row += last - first
    else:
        ends, block = [*begins[1:], total], 0
        for ky, kx in positions:
            first = 0
            while first < channels:
                last = min(channels, first + ends[block] - row)
                segments.append((ky, kx, first, last, row, block))
                row += last - first
                first = last
                block += row == ends[block]
    table = np.array(segments, np.int32).T
    at = np.array(begins, np.int32)
    return RowLayout(
        table[0], table[1], table[2], table[3], table[4], table[5], at // rows, at % rows // at_once, kernel,
        channels, dilation,
    )  # fmt: skip
