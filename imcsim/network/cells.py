"""Signed integer weights as cell levels: what is programmed into the columns of a crossbar.

A weight of b bits becomes several columns of cells with c bits each. Column j holds levels in
``0 .. 2**c - 1`` and counts with `factor[j]`; the weight is ``sum_j factor[j] * level[j] + offset``.

- ``offset``: ``w + 2**(b-1)`` is cut into slices; the offset is taken off digitally, once for each active row
  (ISAAC, ISCA 2016).
- ``differential``: positive and negative magnitude (b - 1 bits) stand in columns of their own.
- ``twos_complement``: the sign bit has a column of its own that counts with ``-2**(b-1)``; the other
  b - 1 bits are cut into slices.

Weights of one bit are -1 and 1: one cell that counts 2, less 1 for each active row, or in ``differential``
columns a cell on either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import Encoding
from imcsim.base.errors import ImcsimError

_Weights = NDArray[Any]

SHORT_BITS = 15
"""Weights of fewer bits, with their offset, fit into 16 bits."""


@dataclass(frozen=True, eq=False)
class CellColumns:
    """Weights as cells. levels: int16 ``[slices, Cout, rows]``; factor: int64 ``[slices]``; offset: int."""

    levels: NDArray[np.int16]
    factor: NDArray[np.int64]
    offset: int
    cell_bits: int


def slice_count(weight_bits: int, cell_bits: int, encoding: Encoding) -> int:
    """Cells that hold one weight."""
    if weight_bits == 1:
        return 2 if encoding == "differential" else 1
    if encoding == "offset":
        return -(-weight_bits // cell_bits)
    magnitude = -(-(weight_bits - 1) // cell_bits)
    return 2 * magnitude if encoding == "differential" else magnitude + 1


def subtracts_offset(weight_bits: int, encoding: Encoding) -> bool:
    """Whether something is taken off for each active row."""
    return encoding == "offset" or (weight_bits == 1 and encoding == "twos_complement")


def to_cells(
    weight: NDArray[np.integer[Any]], weight_bits: int, cell_bits: int, encoding: Encoding
) -> CellColumns:
    """Cut integer weights ``[Cout, rows]`` of `weight_bits` bits into cells of `cell_bits` bits."""
    # A layer has millions of weights: short words take a third of the time.
    w: _Weights = weight.astype(np.int16 if weight_bits < SHORT_BITS else np.int64)
    if weight_bits == 1:
        if encoding == "differential":
            return _columns([np.maximum(w, 0), np.maximum(-w, 0)], [1, -1], 0, cell_bits)
        if not w.all():
            raise ImcsimError(
                "between the groups of a convolution weights are 0, which one bit does not hold",
                key="cells.encoding",
                fix="use differential cells, mapping.grouped_layers diagonal, or weight_bits of 2 or more",
            )
        return _columns([(w + 1) >> 1], [2], -1, cell_bits)
    if encoding == "offset":
        offset = 1 << (weight_bits - 1)
        levels, factors = _slices(w + offset, weight_bits, cell_bits)
        return _columns(levels, factors, -offset, cell_bits)
    if encoding == "differential":
        plus, factors = _slices(np.maximum(w, 0), weight_bits - 1, cell_bits)
        minus, _ = _slices(np.maximum(-w, 0), weight_bits - 1, cell_bits)
        return _columns(plus + minus, factors + [-f for f in factors], 0, cell_bits)
    bits = w & ((1 << weight_bits) - 1)
    levels, factors = _slices(bits & ((1 << (weight_bits - 1)) - 1), weight_bits - 1, cell_bits)
    sign = bits >> (weight_bits - 1)
    return _columns([*levels, sign], [*factors, -(1 << (weight_bits - 1))], 0, cell_bits)


def _slices(value: _Weights, bits: int, cell_bits: int) -> tuple[list[_Weights], list[int]]:
    starts = range(0, bits, cell_bits)
    return [(value >> s) & ((1 << cell_bits) - 1) for s in starts], [1 << s for s in starts]


def _columns(levels: list[_Weights], factors: list[int], offset: int, cell_bits: int) -> CellColumns:
    return CellColumns(
        np.stack(levels).astype(np.int16, copy=False), np.array(factors, np.int64), offset, cell_bits
    )
