"""A layer's cells behind the wires of its crossbars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import RowOrder
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal.ir_drop import seen
from imcsim.functional.nonideal.programming import Cells
from imcsim.network.rows import RowLayout

Indices = NDArray[np.integer[Any]]


def crossbar_rows(layout: RowLayout, order: RowOrder) -> list[Indices]:
    """The rows of each crossbar, from the far end to the sensed one.

    With ``kernel_position`` each position of the kernel has a crossbar of its own, whose bitlines meet at the
    ADC. A crossbar that is read in turns holds the rows of them all, one turn's after the other's.
    """
    ends = [*layout.row, layout.rows]
    crossbar = layout.crossbar[layout.block]
    place = crossbar if order == "im2col" else np.stack([crossbar, layout.ky, layout.kx])
    _, mine = np.unique(place, axis=-1, return_inverse=True)
    segments = [np.arange(first, last) for first, last in pairwise(ends)]
    return [np.concatenate([segments[i] for i in np.flatnonzero(mine == k)]) for k in range(mine.max() + 1)]


def through_wires(
    cells: Cells, rows: Sequence[Indices], chip: DrawnChip, density: float = 1.0, at_once: int | None = None
) -> tuple[Cells, Cells]:
    """Cells as their columns see them, and as the drivers of their rows do (for energy).

    rows: as `crossbar_rows` gives. density: share of the rows of a turn that are active in a read;
    `at_once` rows are in a turn (None: all), so of the rows of a crossbar with n turns it is one nth.
    Columns stand from the driver on as their places say, the reference column behind the last one.
    Rows and columns that the layer leaves empty lie at the far ends and carry no current. Without resistance
    the cells come back as they are.
    """
    if chip.wires.ideal:
        return cells, cells
    at, count = cells.columns, cells.conductance.shape[1]
    levels = cells.conductance
    if cells.reference is not None:
        levels = np.concatenate([levels, cells.reference], axis=1)
    pieces: dict[tuple[int, int], list[Any]] = {}
    for crossbar in range(at.crossbars):
        mine = np.flatnonzero(at.crossbar == crossbar)
        across = mine[np.argsort(at.place[mine])]
        if cells.reference is not None:
            across = np.append(across, count + crossbar)
        for down in rows:
            pieces.setdefault((len(down), len(across)), []).append(np.ix_(down, across))
    column, driver = np.empty_like(levels), np.empty_like(levels)
    for (height, _), places in pieces.items():
        turns = -(-height // (at_once or height))
        crossbars = np.stack([levels[place] for place in places])
        found = seen(crossbars * chip.level_siemens, chip.wires, density / turns)
        for index, place in enumerate(places):
            column[place] = found.column[index] / chip.level_siemens
            driver[place] = found.driver[index] / chip.level_siemens
    return _like(cells, column, count), _like(cells, driver, count)


def _like(cells: Cells, levels: NDArray[np.float64], count: int) -> Cells:
    reference = None if cells.reference is None else levels[:, count:]
    return replace(cells, conductance=levels[:, :count], reference=reference)
