"""The contract of models of cell errors, which our own models keep as well."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.plugins import Origin
from imcsim.functional.nonideal.cell_errors import CellErrors, Programming, checked_cells
from imcsim.plugins.contracts.finding import Finding, findings, hold

TIMES_S = (1.0, 3600.0, 1e7)
LARGEST = (1, 3, 15)
OWN = Origin("cell_errors", "own", "imcsim", "", "")


def cell_errors_contract(model: CellErrors, origin: Origin | None) -> list[Finding]:
    """What every model of cell errors keeps; origin: of a plug-in's."""

    def asked(levels: NDArray[Any], largest: int, time_s: float, seed: int = 0) -> NDArray[np.float64]:
        about = Programming(largest, time_s, dict(model.parameters))
        return checked_cells(model, origin or OWN, levels, about, np.random.default_rng(seed))

    def cases() -> list[tuple[NDArray[Any], int, float]]:
        rng = np.random.default_rng(1)
        return [
            (rng.integers(0, largest + 1, (64, 48)).astype(np.int32), largest, time_s)
            for largest in LARGEST
            for time_s in TIMES_S
        ]

    def conducts() -> None:
        """Every cell conducts a finite amount of at least 0, at all times; levels are left as they are."""
        for levels, largest, time_s in cases():
            before = levels.copy()
            asked(levels, largest, time_s)
            hold(np.array_equal(before, levels), "the levels were changed")

    def repeats() -> None:
        """The same draws give the same cells."""
        for levels, largest, time_s in cases():
            first, second = asked(levels, largest, time_s), asked(levels, largest, time_s)
            hold(np.array_equal(first, second), "two chips with the same draws differ")

    def any_shape() -> None:
        """Layers of one row, of one column and of one cell are programmed too."""
        for shape in ((1, 40), (40, 1), (1, 1)):
            asked(np.ones(shape, np.int32), 3, 1.0)

    def keeps_the_order() -> None:
        """On average, cells at the largest level conduct more than cells at level 0."""
        for largest in LARGEST:
            low, high = (asked(np.full((100, 100), level, np.int32), largest, 1.0) for level in (0, largest))
            hold(low.mean() < high.mean(), f"level 0 conducts {low.mean():g}, {largest} {high.mean():g}")

    def has_numbers() -> None:
        """Parameters have names and numbers as defaults."""
        for name, value in model.parameters.items():
            number = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
            hold(isinstance(name, str) and number, f"parameter {name!r:.60} is {value!r:.60}")

    return findings((conducts, repeats, any_shape, keeps_the_order, has_numbers), origin)
