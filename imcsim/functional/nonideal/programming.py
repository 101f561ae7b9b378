"""From the levels that a layer's cells were to have to the conductances that they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import LEVEL_FRACTION_BITS
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal.columns import Columns, lay_columns
from imcsim.functional.nonideal.draws import Purpose, generator
from imcsim.functional.nonideal.drift import drifted
from imcsim.functional.nonideal.stuck import with_stuck
from imcsim.functional.nonideal.variation import varied

CELLS_AT_A_TIME = 1 << 15
"""Cells that are worked on together: their arrays stay in the cache. Draws do not depend on it."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one layer on one chip, in levels.

    conductance: float64 ``[rows, slices * Cout]``, of a cell at level 0 too. reference: float64 ``[rows,
    crossbars]``, the cells of the reference columns, None where there are none.
    """

    conductance: NDArray[np.float64]
    reference: NDArray[np.float64] | None
    columns: Columns

    def levels(self) -> NDArray[np.float32]:
        """What a driven cell adds to the current of its column, less the reference's; float32."""
        seen = self.conductance
        if self.reference is not None:
            seen = seen - self.reference[:, self.columns.crossbar]
        narrow: NDArray[np.float32] = seen.astype(np.float32)
        return narrow

    def squares(self) -> NDArray[np.float32]:
        """What a driven cell adds to the variance of its column's current, for a read noise of 1; float32.

        The reference's cells are read for each conversion, and are as noisy.
        """
        squares = self.conductance**2
        if self.reference is not None:
            squares += self.reference[:, self.columns.crossbar] ** 2
        narrow: NDArray[np.float32] = squares.astype(np.float32)
        return narrow

    def row_levels(self) -> NDArray[np.int64]:
        """The conductance of all cells of each row in units of ``2**-12`` levels, int64 ``[rows]``.

        What a cell at level 0 conducts is part of it, and so is the reference's cell.
        """
        total = self.conductance.sum(axis=1)
        if self.reference is not None:
            total += self.reference.sum(axis=1)
        counted: NDArray[np.int64] = np.rint(total * (1 << LEVEL_FRACTION_BITS)).astype(np.int64)
        return counted


def programmed(levels: NDArray[np.integer[Any]], slices: int, chip: DrawnChip, layer: int) -> Cells:
    """Program levels ``[rows, slices * Cout]`` of the crossbar layer number `layer`: stuck cells, a plug-in's
    model, variation, drift.

    Without any of these the conductance is exactly ``level + off_level``. Wires (wired.py) and converters
    (converter.py) come after.
    """
    rows, count = levels.shape
    columns = lay_columns(slices, count // slices, chip.columns, chip.columns_per_adc)
    cells = _conductance(
        levels, chip, layer, Purpose.STUCK, Purpose.PLUGGED, Purpose.VARIATION, Purpose.DRIFT
    )
    reference = None
    if chip.referenced:
        reference = _conductance(
            np.zeros((rows, columns.crossbars), levels.dtype), chip, layer,
            Purpose.REFERENCE_STUCK, Purpose.REFERENCE_PLUGGED, Purpose.REFERENCE_VARIATION,
            Purpose.REFERENCE_DRIFT,
        )  # fmt: skip
    return Cells(cells, reference, columns)


def _conductance(
    levels: NDArray[np.integer[Any]],
    chip: DrawnChip,
    layer: int,
    for_stuck: Purpose,
    for_plugged: Purpose,
    for_variation: Purpose,
    for_drift: Purpose,
) -> NDArray[np.float64]:
    stuck, variation, drift = chip.stuck, chip.variation, chip.drift
    sticks = stuck.on_rate > 0 or stuck.off_rate > 0
    uniform, programming, relaxing = (
        generator(chip.seed, chip.chip, layer, purpose) for purpose in (for_stuck, for_variation, for_drift)
    )
    modelled = None
    if chip.cell_errors is not None:
        if sticks:
            numbers = uniform.random(levels.shape)
            levels = with_stuck(levels, numbers, stuck.on_rate, stuck.off_rate, chip.largest_level)
            sticks = False
        draws = generator(chip.seed, chip.chip, layer, for_plugged)
        modelled = chip.cell_errors.programmed(levels, chip.largest_level, draws)
    found = np.empty(levels.shape, np.float64)
    step = max(CELLS_AT_A_TIME // max(levels.shape[1], 1), 1)
    for first in range(0, len(levels), step):
        some = levels[first : first + step]
        if sticks:
            numbers = uniform.random(some.shape)
            some = with_stuck(some, numbers, stuck.on_rate, stuck.off_rate, chip.largest_level)
        conducting = some if modelled is None else modelled[first : first + step]
        cells = conducting + np.float64(chip.off_level)
        if variation.varies:
            z = programming.standard_normal(some.shape, np.float32)
            cells = varied(cells, some, z, variation.kind, chip.sigmas)
        if drift.drifts:
            z = relaxing.standard_normal(some.shape, np.float32)
            cells = drifted(
                cells, z, drift.exponent, drift.exponent_sigma, drift.time_s, drift.reference_time_s
            )
        found[first : first + step] = cells
    return found
