"""Exit rule ``margin``: the largest class output leads the second largest by enough.

The rule looks at the outputs as they are. It needs no softmax, so no table, and no product either: where it
decides on running means, the register of timestep t holds t times the lead (and times the temperature of t),
so that sums are compared.

A threshold of 0 to 1 means what it means to a softmax of the two leading classes: ``1 - (p_1 - p_2)`` of
these two is ``2 / (exp(lead) + 1)``, so a threshold of h asks for a lead above ``ln(2 / h - 1)``. The
register holds the lead that is asked for, in the words of the class outputs, up to the checker's
``exp_range``; there and above no image exits early.

A check takes one pass over K classes, in which two comparators hold each class against the best and the
second best so far. Then come one subtraction and the comparison with the register. Operations and units are
derived from this, with the adders and comparators of `entropy`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.outputs import ClassOutputs
from imcsim.exits.rule import CheckWork, ExitRule, Units, final


class Margin(ExitRule):
    """Scores are how much the lead falls short of the largest one that the register holds."""

    title = "margin"
    units = Units(comparators=2, adders=1)

    def scores(self, outputs: ClassOutputs, checker: CheckerNumerics) -> NDArray[np.int64]:
        best = np.partition(outputs.sums, -2, axis=2)[..., -2:]
        lead = best[..., 1] - best[..., 0]
        if outputs.mean:
            # lead > t x register holds where the lead over t, rounded up, is above the register.
            lead = np.ceil(lead / outputs.divisors).astype(np.int64)
        short: NDArray[np.int64] = np.maximum(_most(checker) - lead, 0)
        return short

    def scale(self, classes: int, checker: CheckerNumerics) -> float:
        return float(_most(checker))

    def word(self, threshold: float, classes: int, checker: CheckerNumerics) -> int:
        if threshold <= 0:
            return 0
        lead = math.log1p(2 * (1 - threshold) / threshold) if threshold > 1e-300 else math.inf
        if lead > checker.exp_range:
            return 0
        # A word counts down from the largest lead, so that a larger one lets more images go.
        return max(_most(checker) - round(lead * (1 << checker.fraction_bits)), 0)

    def threshold(self, word: int, classes: int, checker: CheckerNumerics) -> float:
        if word <= 0:
            return 0.0
        lead = max(_most(checker) - word, 0) / (1 << checker.fraction_bits)
        return 2 / (math.exp(lead) + 1)

    def work(self, classes: int, mean: bool) -> CheckWork:
        return CheckWork(compares=2 * classes + 1, adds=1)

    def cycles(self, classes: int, class_cycles: int, final_cycles: int) -> int:
        return classes * class_cycles + final(2, final_cycles)


def _most(checker: CheckerNumerics) -> int:
    """The largest lead that the register holds, in ``2**-fraction_bits``."""
    return round(checker.exp_range * (1 << checker.fraction_bits))
