"""Exit rule ``max_softmax``: one less the largest softmax is below the threshold.

The largest term of the softmax is ``exp(0) / E``, so the score is ``(E - e_max) / E``: no logarithm, and the
chip compares ``E - e_max`` with ``E`` times the threshold register.

A check takes two passes over K classes. The first finds the largest output. The second subtracts it, looks up
the exponential and adds it. Then come one subtraction and one product, which work at the same time, and the
comparison. A running mean costs K products, with 1/t. Operations and units are derived from `entropy`, with
what the rule does not need left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.rule import CheckWork, Units, final
from imcsim.exits.softmax import SoftmaxRule, Tables, exponentials


class MaxSoftmax(SoftmaxRule):
    """Scores are ``1 - p_max``, from 0 to ``1 - 1/K``."""

    title = "max-softmax"
    units = Units(comparators=1, adders=2, multipliers=1, exp_table=True)

    def fraction(
        self, accumulated: NDArray[np.int64], table: Tables
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        soft = exponentials(accumulated, table)
        return (soft.total - table.one) << table.numerics.fraction_bits, soft.total

    def scale(self, classes: int, checker: CheckerNumerics) -> float:
        return float(1 << checker.fraction_bits)

    def work(self, classes: int, mean: bool) -> CheckWork:
        return CheckWork(
            compares=classes + 1,
            adds=2 * classes + 1,
            multiplies=1 + (classes if mean else 0),
            exp_lookups=classes,
        )

    def cycles(self, classes: int, class_cycles: int, final_cycles: int) -> int:
        return 2 * classes * class_cycles + final(2, final_cycles)
