"""The crossbars of a layer as they are to be: its weights as cells, in the order of their rows."""

from __future__ import annotations

import numpy as np

from imcsim.functional.crossbars.crossbars import Crossbars
from imcsim.functional.crossbars.grouped import GroupedCrossbars
from imcsim.functional.program.numerics import Numerics
from imcsim.network.cells import slice_count, to_cells
from imcsim.network.graph import Conv2d, IntArray, Linear
from imcsim.network.rows import RowLayout, dense, group_sets, row_layout, set_layouts


def designed_crossbars(
    node: Conv2d | Linear, bits: int, pulses: int, numerics: Numerics
) -> Crossbars | GroupedCrossbars:
    """The crossbars of a layer with weights of `bits` bits, whose inputs drive a row for `pulses` pulses at
    most (0: bit by bit).

    Raises ImcsimError for zeros between groups that weights of one bit cannot hold.
    """
    if numerics.diagonal_columns is not None and isinstance(node, Conv2d) and node.groups > 1:
        return _diagonal(node, bits, pulses, numerics, numerics.diagonal_columns)
    at = row_layout(node, numerics.rows, numerics.row_order, numerics.parallel_rows)
    return _crossbars(at, dense(node), bits, pulses, numerics)


def _crossbars(at: RowLayout, weight: IntArray, bits: int, pulses: int, numerics: Numerics) -> Crossbars:
    cells = to_cells(at.order(weight), bits, numerics.cell_bits, numerics.encoding)
    slices, out_channels, rows = cells.levels.shape
    levels = np.ascontiguousarray(cells.levels.reshape(slices * out_channels, rows).T)
    return Crossbars(at, levels, cells.factor, cells.offset, most_pulses=pulses)


def _diagonal(node: Conv2d, bits: int, pulses: int, numerics: Numerics, columns: int) -> GroupedCrossbars:
    """The groups of a convolution along diagonals, with cells at level 0 between them."""
    outer, inner, *size = node.weight.shape
    kernel, outer = (size[0], size[1]), outer // node.groups
    slices = slice_count(bits, numerics.cell_bits, numerics.encoding)
    filling = inner * (kernel[0] * kernel[1] if numerics.row_order == "im2col" else 1)
    sets = group_sets(node.groups, filling, outer * slices, (numerics.rows, columns // slices * slices))
    layouts = set_layouts(
        kernel, inner, sets, numerics.rows, numerics.row_order, node.dilation, numerics.parallel_rows
    )
    made: list[Crossbars] = []
    offset = 0
    for k, at in enumerate(layouts):
        groups = len(sets.groups_of(k))
        first = sets.groups_of(k).start * outer
        weight = node.weight[first : first + groups * outer]
        own = np.kron(np.eye(groups, dtype=np.bool_), np.ones((outer, inner), np.bool_))
        # Between groups any weight will do: its cells are not programmed.
        full = np.where(own[:, :, None, None], np.tile(weight, (1, groups, 1, 1)), 1)
        one = _crossbars(at, full, bits, pulses, numerics)
        real = np.broadcast_to(own[:, :, None, None], (*own.shape, *kernel))
        levels = one.levels * np.tile(at.order(real.astype(np.int8)), (slices, 1)).T
        made.append(Crossbars(at, levels, one.factor, 0, most_pulses=pulses))
        offset = one.offset
    return GroupedCrossbars(tuple(made), sets, offset)
