"""Exit rule ``patience``: an image leaves once its class has stayed the same for long enough.

The checker keeps the class of the last timestep and how many timesteps it has stayed. A threshold of h lets
an image go when that is more than 1 / h timesteps: 0.4 after three, 0.3 after four. Early exit by patience:
Zhou et al., "BERT loses patience", NeurIPS 2020, there over layers instead of timesteps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.plugins import CheckerNumerics, CheckWork, ClassOutputs, ExitRule, Units, final


class Patience(ExitRule):
    """Scores are 1 over the timesteps for which the class has stayed the same."""

    title = "patience"
    units = Units(comparators=1, adders=1)

    def scores(self, outputs: ClassOutputs, checker: CheckerNumerics) -> NDArray[np.int64]:
        # The class with the largest sum also has the largest mean.
        classes = np.argmax(outputs.sums, axis=2)
        stayed = np.ones(classes.shape, np.int64)
        for t in range(1, classes.shape[1]):
            same = classes[:, t] == classes[:, t - 1]
            stayed[:, t] = np.where(same, stayed[:, t - 1] + 1, 1)
        return (1 << checker.fraction_bits) // stayed

    def scale(self, classes: int, checker: CheckerNumerics) -> float:
        return float(1 << checker.fraction_bits)

    def work(self, classes: int, mean: bool) -> CheckWork:
        # Find the largest of K, compare with the last class and with the register; count.
        return CheckWork(compares=classes + 2, adds=1)

    def cycles(self, classes: int, class_cycles: int, final_cycles: int) -> int:
        return classes * class_cycles + final(2, final_cycles)
