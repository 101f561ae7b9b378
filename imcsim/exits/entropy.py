"""Exit rule ``entropy``: the normalised entropy of the softmax is below the threshold (DT-SNN).

``H = (ln E - (sum e_k z_k) / E) / ln K`` (Li et al., DAC 2023, the equation for H, rewritten with the terms
of `exits.softmax`). The chip compares ``E ln E - sum e_k z_k`` with ``E`` times the threshold register.

A check takes two passes over K classes. The first finds the largest output. The second subtracts it, looks up
the exponential, and adds it and its product with the difference. Then come one logarithm, two products
(``E ln E`` and ``E`` times the register) and the comparison. A running mean costs K more products, with 1/t.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.rule import FINAL_STEPS, CheckWork, Units, final
from imcsim.exits.softmax import SoftmaxRule, Tables, exponentials


class Entropy(SoftmaxRule):
    """Scores are ``ln E - (sum e_k z_k) / E``, which is ln K for equal classes."""

    title = "entropy"
    units = Units(comparators=1, adders=2, multipliers=1, exp_table=True, log_table=True)

    def fraction(
        self, accumulated: NDArray[np.int64], table: Tables
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        soft = exponentials(accumulated, table)
        numerator = soft.total * _log(soft.total, table) - (soft.e * soft.z).sum(axis=2)
        return np.maximum(numerator, 0), soft.total

    def scale(self, classes: int, checker: CheckerNumerics) -> float:
        return float(np.log(classes)) * float(1 << checker.fraction_bits)

    def work(self, classes: int, mean: bool) -> CheckWork:
        return CheckWork(
            compares=classes + 1,
            adds=3 * classes + 1,
            multiplies=classes + 2 + (classes if mean else 0),
            exp_lookups=classes,
            log_lookups=1,
        )

    def cycles(self, classes: int, class_cycles: int, final_cycles: int) -> int:
        return 2 * classes * class_cycles + final(FINAL_STEPS, final_cycles)


def _log(total: NDArray[np.int64], table: Tables) -> NDArray[np.int64]:
    """ln(total / one) in 2**-fraction_bits, from the position of the leading bit and one table access."""
    numerics = table.numerics
    exponent = np.frexp(total.astype(np.float64))[1] - 1
    mantissa_index = ((total - (np.int64(1) << exponent)) * numerics.log_entries) >> exponent
    ln2 = round(np.log(2.0) * (1 << numerics.fraction_bits))
    ln_one = round(np.log(float(table.one)) * (1 << numerics.fraction_bits))
    result: NDArray[np.int64] = exponent * ln2 + table.log[mantissa_index] - ln_one
    return result
