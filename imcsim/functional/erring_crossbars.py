"""The crossbars of one layer whose ADCs err, or whose reads are noisy."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional import erring_kernels, read_kernels
from imcsim.functional.crossbars import Pair, aligned
from imcsim.functional.nonideal import NonIdeal
from imcsim.functional.nonideal.converter import adc_errors
from imcsim.functional.nonideal.read_noise import layer_key, moment_key
from imcsim.functional.real_crossbars import RealCrossbars, block_sums

MOST, FEWEST = 6, 1
"""Fraction bits of squared levels, and the fewest with which 16-bit words are used."""


@dataclass(frozen=True, eq=False)
class ErringCrossbars(RealCrossbars):
    """Cells of one layer, number `layer`, of one chip.

    squares_held: uint16 or uint32 ``[rows * columns]``, empty without read noise: what a driven cell adds to
    the variance of its column's current, for a read noise of 1, in ``2**-squares_fraction`` squared levels.
    """

    chip: NonIdeal
    layer: int
    squares_held: NDArray[Any]
    squares_fraction: int

    @cached_property
    def _adcs(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gain and offset, float32 ``[blocks, columns]``, or ``[1, columns]`` where all are the same."""
        slices, used = len(self.factor), self.levels.shape[1]
        errors = self.chip.converter
        blocks = self.layout.blocks if errors.offset_lsb or errors.gain_sigma else 1
        gain, offset = np.zeros((2, blocks, self.columns), np.float32)
        gain[:, :used], offset[:, :used] = adc_errors(blocks, slices, used // slices, self.chip, self.layer)
        return gain, offset

    @cached_property
    def _block_of_row(self) -> NDArray[np.int32]:
        return np.repeat(np.arange(self.layout.blocks, dtype=np.int32), self.layout.block_rows)

    def read(
        self,
        inputs: NDArray[np.uint8],
        planes: int,
        shift: NDArray[np.int64],
        largest_code: int,
        stride: Pair,
        padding: Pair,
        out: NDArray[Any],
        moments: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> NDArray[np.int64]:
        """As `Crossbars.read`. moments: number of the image, and timestep, of each of the inputs."""
        size, out_size = (inputs.shape[1], inputs.shape[2]), (out.shape[1], out.shape[2])
        (gain, offset_steps), errors = self._adcs, self.chip.converter
        step = np.ones(self.columns, np.float32)
        each = np.repeat(2.0 ** -shift.astype(np.float64), self.levels.shape[1] // len(shift))
        step[: len(each)] = each
        scale = gain * step
        spread = np.float32(self.chip.read_noise) * scale
        spread = spread * spread * np.float32(2.0**-self.squares_fraction)
        weight = (self.factor << shift) << np.arange(planes)[:, None]
        offset = self.offset << np.arange(planes)
        image, timestep = moments or (np.arange(len(inputs)), np.zeros(len(inputs), np.int64))
        key = layer_key(self.chip.seed, self.chip.chip, self.layer)
        keys = moment_key(key, image[:, None], timestep[:, None], np.arange(planes)[None, :])
        counts = np.empty((len(inputs), 3), np.int64)
        found, levels = np.empty((len(inputs), 2), np.int64), np.empty(len(inputs), np.int64)
        for at, starts, events in self._events(inputs, planes):
            erring_kernels.erring_reads(
                starts, events, size, self.layout.channels, *self.wiring, self.groups, self.cells,
                self.columns, self.levels.shape[1], self._block_of_row, self.columns if len(gain) > 1 else 0,
                (scale * np.float32(2.0**-self.fraction_bits)).ravel(),
                (offset_steps + np.float32(0.5)).ravel(), self.squares_held, spread.ravel(),
                np.float32(errors.noise_lsb) ** 2, self.chip.noisy, keys[at], np.float32(largest_code),
                weight.astype(out.dtype), offset.astype(out.dtype), stride, padding, out[at], found[at],
            )  # fmt: skip
        driven = self._driven_levels(size, stride, padding, out_size).ravel()
        read_kernels.active_levels(inputs.reshape(len(inputs), -1), planes, driven, levels)
        counts[:, 0], counts[:, 1], counts[:, 2] = found[:, 0], levels, found[:, 1]
        return counts


def erring_crossbars(
    real: RealCrossbars, squares: NDArray[np.float32] | None, chip: NonIdeal, layer: int
) -> ErringCrossbars:
    """`real` with the converters of `chip` and, where it has read noise, its noise: squares float32 ``[rows,
    slices * Cout]`` are `nonideal.programming.Cells.squares`.
    """
    held, fraction = np.zeros(0, np.uint16), 0
    if squares is not None and chip.read_noise > 0:
        largest = max(float(block_sums(real.layout, squares).max()), 1.0)
        most_rows = int(real.layout.block_rows.max())

        def bits(word: Any) -> int:
            return min(int(np.floor(np.log2((np.iinfo(word).max - most_rows) / largest))), MOST)

        word = np.dtype(np.uint16 if bits(np.uint16) >= FEWEST else np.uint32)
        fraction = bits(word)
        held = aligned(len(squares) * real.columns, word)
        table = held.reshape(len(squares), real.columns)
        table[:, : squares.shape[1]] = np.rint(squares * np.float32(2.0**fraction))
    about = {field.name: getattr(real, field.name) for field in fields(real)}
    return ErringCrossbars(**about, chip=chip, layer=layer, squares_held=held, squares_fraction=fraction)
