"""Which row of which crossbar block an input of a layer drives.

``im2col`` unrolls a convolution window position by position (kernel row, kernel column, channel) and cuts the
long column of ``kH kW Cin`` rows into blocks of at most R rows; each block is read and converted by itself.
``kernel_position`` (SpikeSim) gives every kernel position a crossbar of its own for up to R channels; the
currents of the ``kH kW`` crossbars of a channel group are merged before the ADC, so one block holds up to
``kH kW R`` rows.

Where a crossbar drives at most P of its rows at once, its rows are read in turns of up to P (of each of the
merged crossbars with ``kernel_position``), and each turn is a block.

A grouped convolution is laid out as the dense matrix, or in sets of groups (``diagonal``): the groups of a
set stand along the diagonal of one crossbar, each on rows and columns of its own, so that all of them are
driven in the same read. As many groups share a crossbar as its rows and columns hold; a group that is larger
than a crossbar is a set by itself. Rows of one set never meet columns of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
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
    sets: int = 1
    """Sets of groups, of equally many crossbars each, one after the other: see `diagonal`."""

    def same_as(self, other: RowLayout) -> bool:
        """Whether both are equal, array by array."""
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

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
        """Crossbars that the rows of a column fill, in all sets together; merged ones counted as one."""
        return int(self.crossbar[-1]) + 1

    @property
    def crossbars_of_set(self) -> int:
        """Crossbars that the rows of a column fill."""
        return self.crossbars // self.sets

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


@dataclass(frozen=True)
class GroupSets:
    """Groups of a convolution in sets, one crossbar or more for each: `size` groups in all sets but the last
    one, which may have fewer.
    """

    groups: int
    size: int

    @property
    def sets(self) -> int:
        return -(-self.groups // self.size)

    def groups_of(self, index: int) -> range:
        """The groups of a set."""
        return range(index * self.size, min((index + 1) * self.size, self.groups))


ONE_SET = GroupSets(1, 1)
"""A layer that is no grouped convolution, or is laid out as the dense matrix."""


def group_sets(groups: int, rows: int, columns: int, crossbar: tuple[int, int]) -> GroupSets:
    """As many groups, of `rows` rows and `columns` columns of cells each, to a crossbar of so many (rows,
    columns) as fit along its diagonal, dealt evenly; one where even that needs several crossbars.

    `rows` are those that fill a crossbar: of the unrolled window with ``im2col``, channels with
    ``kernel_position``.
    """
    fitting = max(1, min(crossbar[0] // rows, crossbar[1] // columns))
    return GroupSets(groups, -(-groups // -(-groups // fitting)))


def set_layouts(
    kernel: tuple[int, int],
    channels: int,
    sets: GroupSets,
    rows: int,
    order: RowOrder,
    dilation: tuple[int, int] = (1, 1),
    parallel: int | None = None,
) -> list[RowLayout]:
    """The rows of each set of groups; `channels` of the input belong to a group. See `layout`."""
    return [
        layout(kernel, channels * len(sets.groups_of(k)), rows, order, dilation, parallel)
        for k in range(sets.sets)
    ]


def diagonal(layouts: Sequence[RowLayout]) -> RowLayout:
    """The rows of all sets of groups, given those of each set, one after the other."""

    def behind(sizes: list[int], arrays: list[NDArray[np.int32]]) -> NDArray[np.int32]:
        """Numbers of one set after those of the sets before."""
        before = np.cumsum([0, *sizes[:-1]], dtype=np.int32)
        return np.concatenate([one + more for one, more in zip(arrays, before, strict=True)])

    channels, first = [one.channels for one in layouts], layouts[0]
    return RowLayout(
        ky=np.concatenate([one.ky for one in layouts]),
        kx=np.concatenate([one.kx for one in layouts]),
        first=behind(channels, [one.first for one in layouts]),
        last=behind(channels, [one.last for one in layouts]),
        row=behind([one.rows for one in layouts], [one.row for one in layouts]),
        block=behind([one.blocks for one in layouts], [one.block for one in layouts]),
        crossbar=behind([one.crossbars for one in layouts], [one.crossbar for one in layouts]),
        turn=np.concatenate([one.turn for one in layouts]),
        kernel=first.kernel,
        channels=sum(channels),
        dilation=first.dilation,
        sets=len(layouts),
    )


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
