"""The crossbars of one layer with cells as they really are: any conductance, not only whole levels.

A driven cell adds a multiple of ``2**-fraction_bits`` levels to its column's sum, so that sums are exact,
whatever order they are added up in. There are as many fraction bits as sums of 16 bits leave room for, 5 for
64 rows of 4-bit cells: what is cut off is less than a hundredth of a level, root of the mean square. Where
fewer than `FEWEST` were left, or cells differ from their levels by less than one unit (root of the mean
square), words have 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.functional.crossbars.crossbars import CACHE_BYTES, Crossbars, Moments, Player, aligned
from imcsim.network.rows import RowLayout

FEWEST, MOST = 4, 12
"""Fraction bits of a level: fewer than `FEWEST` show beside a variation of a few percent."""

ROWS_AT_A_TIME = 64


@dataclass(frozen=True, eq=False)
class RealCrossbars(Crossbars):
    """Cells of one layer of one chip. levels are those that the cells were to have.

    cells_held: int16 or int32 ``[rows * columns]``, in ``2**-fraction_held`` levels. row_counts int64
    ``[rows]``: what a driven row adds to the count that energy follows from, in
    ``2**-choices.LEVEL_FRACTION_BITS`` levels. block_sums float64 ``[blocks]``: the largest sum that a column
    can have.
    """

    cells_held: NDArray[Any]
    fraction_held: int
    row_counts: NDArray[np.int64]
    block_sums: NDArray[np.float64]

    @property
    def real_levels(self) -> NDArray[np.float32]:
        """What a driven cell adds to its column's sum, in levels, float32 ``[rows, slices * Cout]``."""
        rows, used = self.levels.shape
        held = self.cells_held.reshape(rows, self.columns)[:, :used]
        levels: NDArray[np.float32] = held.astype(np.float32) * np.float32(2.0**-self.fraction_held)
        return levels

    @property
    def fraction_bits(self) -> int:
        return self.fraction_held

    @cached_property
    def largest_level(self) -> int:
        """The largest number in `cells`, at least 1."""
        return max(int(self.cells_held.max(initial=0)), 1)

    @cached_property
    def row_levels(self) -> NDArray[np.int64]:
        return self.row_counts

    @cached_property
    def cells(self) -> NDArray[Any]:
        return self.cells_held

    @cached_property
    def word(self) -> np.dtype[Any]:
        return self.cells_held.dtype

    @cached_property
    def pairs(self) -> NDArray[Any] | None:
        """Rows as `paired_kernels` reads them, flat; None where a cell and that of the other half of the
        columns both conduct, or one is below 0.
        """
        from imcsim.functional.crossbars import paired_kernels

        rows, apart = self.layout.rows, self.levels.shape[1] // 2
        if len(self.factor) % 2:
            return None
        held = self.cells_held.reshape(rows, self.columns)
        one, other = held[:, :apart], held[:, apart : 2 * apart]
        if held.min(initial=0) < 0 or np.logical_and(one, other).any():
            return None
        length = -(-apart // paired_kernels.WHOLE) * paired_kernels.WHOLE
        pairs = aligned(rows * length, held.dtype)
        np.subtract(one, other, out=pairs.reshape(rows, length)[:, :apart])
        return pairs

    def _player(self, shift: NDArray[np.int64], largest_code: int, reads: int, moments: Moments) -> Player:
        from imcsim.functional.crossbars import paired_kernels

        if self.pairs is None:
            return super()._player(shift, largest_code, reads, moments)
        apart, length = self.levels.shape[1] // 2, len(self.pairs) // self.layout.rows
        shifts = np.zeros(apart + length, self.word)
        shifts[: 2 * apart] = np.repeat(shift + self.fraction_bits, 2 * apart // len(shift))
        top = min(largest_code, int(np.iinfo(self.word).max))
        pairs, adc = (self.pairs, length, apart), ((1 << shifts) >> 1, shifts, top)
        kernel: Callable[..., None] = paired_kernels.paired_reads

        def play(at: slice, wires: tuple[Any, ...], sums: tuple[Any, ...]) -> None:
            kernel(*wires, self.groups, *pairs, self._scratch(apart + length, self.word), *adc, *sums)

        return play

    @cached_property
    def groups(self) -> NDArray[np.int32]:
        bytes_of_row = self.columns * self.cells.itemsize
        most_rows, most_codes = CACHE_BYTES // bytes_of_row, int(np.iinfo(self.word).max)
        # A code is at most the sum in levels, rounded up where a step is larger.
        codes_of = 2 * np.ceil(self.block_sums).astype(np.int64) + 1
        groups, rows, codes = [0], 0, 0
        for block, (more, most) in enumerate(zip(self.layout.block_rows, codes_of, strict=True)):
            if rows and (rows + more > most_rows or codes + most > most_codes):
                groups.append(block)
                rows = codes = 0
            rows, codes = rows + int(more), codes + int(most)
        return np.array([*groups, self.layout.blocks], np.int32)

    @property
    def piece(self) -> int:
        return 1 << 30  # all sums fit

    def _lossless(self, shift: NDArray[np.int64], largest_code: int) -> int:
        return 0  # every sum is rounded


def real_crossbars(
    designed: Crossbars, real: NDArray[np.float32], row_counts: NDArray[np.int64], offset: int, step: int
) -> RealCrossbars:
    """`designed` with cells that add `real` levels to their columns, float32 ``[rows, slices * Cout]``.

    row_counts: see `RealCrossbars`. offset takes the place of the designed one. step: the largest step that
    an ADC may have, in levels. Raises ImcsimError where sums need more than 31 bits.
    """
    layout, (rows, used) = designed.layout, real.shape
    up, down = block_sums(layout, np.maximum(real, 0)), block_sums(layout, np.maximum(-real, 0))
    # Rounding a cell moves it by half a unit at most; half a step is added before it is cut off.
    most_rows = int(layout.block_rows.max())
    levels = max(float(up.max()), float(down.max())) + step / 2

    def bits(word: Any) -> int:
        room = int(np.iinfo(word).max) - most_rows / 2 - 1
        return min(int(np.floor(np.log2(room / max(levels, 2.0**-20)))), MOST) if room > 0 else -1

    word = np.dtype(np.int16 if bits(np.int16) >= FEWEST else np.int32)
    moved = float(np.sqrt(np.square(real - designed.levels).mean(dtype=np.float64)))
    if 0 < moved < 2.0 ** -bits(np.int16):
        word = np.dtype(np.int32)
    fraction = bits(word)
    if fraction < 0:
        raise ImcsimError("sums of real cells need more than 31 bits", fix="use fewer rows or cell bits")
    columns = designed.columns
    held = aligned(rows * columns, word)
    table = held.reshape(rows, columns)
    for first in range(0, rows, ROWS_AT_A_TIME):
        some = slice(first, first + ROWS_AT_A_TIME)
        table[some, :used] = np.rint(real[some] * np.float32(1 << fraction))
    return RealCrossbars(
        layout, designed.levels, designed.factor, offset,
        cells_held=held, fraction_held=fraction, row_counts=row_counts, block_sums=up,
    )  # fmt: skip


def block_sums(layout: RowLayout, levels: NDArray[Any]) -> NDArray[np.float64]:
    """The largest sum of a column in each block with all rows driven, float64 ``[blocks]``."""
    begins = np.cumsum(layout.block_rows) - layout.block_rows
    found: NDArray[np.float64] = np.add.reduceat(levels, begins, axis=0, dtype=np.float64).max(axis=1)
    return found
