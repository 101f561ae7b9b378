"""The crossbars of one layer whose ADCs err, or whose reads are noisy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.crossbars.crossbars import Moments, Player, aligned
from imcsim.functional.crossbars.programmed import RealCrossbars, block_sums
from imcsim.functional.kernels import LINE
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal.converter import adc_errors
from imcsim.functional.nonideal.read_noise import GOLDEN_32, layer_key, moment_key

MOST = 6
"""Fraction bits of squared levels; there are fewer, or less than none, where their sums need the room."""


@dataclass(frozen=True, eq=False)
class ErringCrossbars(RealCrossbars):
    """Cells of one layer, number `layer`, of one chip.

    table: `LINE` cells of each row, then the next ones of each row. With read noise a line is half as many
    cells, and before each what it adds to the variance of its column's current, for a read noise of 1, in
    ``2**-squares_fraction`` squared levels; unsigned, in words as long as those of the cells.
    """

    chip: DrawnChip
    layer: int
    table: NDArray[Any]
    squares_fraction: int

    @property
    def squares(self) -> NDArray[np.float64]:
        """Squared levels as they are held, ``[rows, slices * Cout]``. There must be read noise."""
        by_line = self.table.view(f"u{self.table.itemsize}").reshape(-1, self.layout.rows, LINE // 2, 2)
        held = by_line[..., 0].swapaxes(0, 1).reshape(self.layout.rows, -1)
        squares: NDArray[np.float64] = held * 2.0**-self.squares_fraction
        return squares[:, : self.levels.shape[1]]

    @cached_property
    def _adcs(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gain and offset, float32 ``[blocks, columns]``, or ``[1, columns]`` where all are the same.

        The blocks of a crossbar, which are read in turns, have the same converters.
        """
        slices, used = len(self.factor), self.levels.shape[1]
        crossbars = self.layout.crossbars if self.chip.converter.differ else 1
        gain, offset = np.zeros((2, crossbars, self.columns), np.float32)
        gain[:, :used], offset[:, :used] = adc_errors(
            crossbars, slices, used // slices, self.chip, self.layer
        )
        return (gain[self.layout.crossbar], offset[self.layout.crossbar]) if crossbars > 1 else (gain, offset)

    def _player(self, shift: NDArray[np.int64], largest_code: int, reads: int, moments: Moments) -> Player:
        from imcsim.functional.crossbars import erring_kernels  # imports numba

        (gain, offset_steps), errors = self._adcs, self.chip.converter
        step = np.ones(self.columns, np.float32)
        each = np.repeat(2.0 ** -shift.astype(np.float64), self.levels.shape[1] // len(shift))
        step[: len(each)] = each
        scale = gain * step
        spread = np.float32(self.chip.read_noise) * scale
        spread = spread * spread * np.float32(2.0**-self.squares_fraction)
        image, timestep = moments
        key = layer_key(self.chip.seed, self.chip.chip, self.layer)
        keys = moment_key(key, image[:, None], timestep[:, None], np.arange(reads)[None, :])
        per_line = LINE // 2 if len(self.table) > len(self.cells_held) else LINE
        weyl = np.arange(-(-self.levels.shape[1] // per_line) * per_line) * np.int64(GOLDEN_32)
        adcs = (
            self.layout.rows, self.columns if len(gain) > 1 else 0,
            _lined_up(scale * np.float32(2.0**-self.fraction_bits)),
            _lined_up(offset_steps + np.float32(0.5)), self.table, per_line < LINE, _lined_up(spread),
            np.float32(errors.noise_lsb) ** 2, self.chip.noisy, _lined_up(weyl.astype(np.uint32)),
        )  # fmt: skip
        top = np.float32(largest_code)
        room = erring_kernels.WINDOWS * (len(weyl) + erring_kernels.SPARE)

        kernel: Callable[..., None] = erring_kernels.erring_reads

        def play(at: slice, wires: tuple[Any, ...], sums: tuple[Any, ...]) -> None:
            kernel(*wires, *adcs, aligned(room, np.dtype(np.int32)), keys[at], top, *sums)

        return play


def _lined_up(numbers: NDArray[Any]) -> NDArray[Any]:
    """A flat copy that begins at a line of the cache."""
    copy = aligned(numbers.size, numbers.dtype)
    copy[:] = numbers.ravel()
    return copy


def erring_crossbars(
    real: RealCrossbars, squares: NDArray[np.float32] | None, chip: DrawnChip, layer: int
) -> ErringCrossbars:
    """`real` with the converters of `chip` and, where it has read noise, its noise: squares float32 ``[rows,
    slices * Cout]`` are `nonideal.programming.Cells.squares`.
    """
    rows, fraction = real.layout.rows, 0
    cells = real.cells_held.reshape(rows, real.columns)
    if squares is not None and chip.read_noise > 0:
        most_rows = int(real.layout.block_rows.max())
        largest = max(float(block_sums(real.layout, squares).max()), 1.0)
        word = np.dtype(f"u{cells.itemsize}")
        fraction = min(int(np.floor(np.log2((np.iinfo(word).max - most_rows) / largest))), MOST)
        held = np.zeros(cells.shape, word)
        held[:, : squares.shape[1]] = np.rint(squares * np.float32(2.0**fraction))
        cells = np.stack((held.view(cells.dtype), cells), axis=2)
    table = aligned(cells.size, cells.dtype)
    table.reshape(-1, rows, LINE)[:] = cells.reshape(rows, -1, LINE).swapaxes(0, 1)
    about = {field.name: getattr(real, field.name) for field in fields(real)}
    return ErringCrossbars(**about, chip=chip, layer=layer, table=table, squares_fraction=fraction)
