"""Cell errors ``relaxation``: conductances spread by a fixed amount, which grows with the logarithm of time.

``l' = max(l + sigma_levels sqrt(1 + growth ln(time_s)) z, 0)`` with z from a standard normal distribution for
each cell. The form is an example's own; its defaults are round numbers and follow no measured cell.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from imcsim.plugins import CellErrors, Programming


class Relaxation(CellErrors):
    """Gaussian spread in levels, whatever the level."""

    parameters: ClassVar = {"sigma_levels": 0.1, "growth": 0.05}

    def programmed(
        self, levels: NDArray[np.integer[Any]], programming: Programming, draws: np.random.Generator
    ) -> NDArray[np.float64]:
        sigma, growth = programming.parameters["sigma_levels"], programming.parameters["growth"]
        spread = sigma * math.sqrt(1 + growth * max(math.log(programming.time_s), 0.0))
        return np.maximum(levels + spread * draws.standard_normal(levels.shape), 0)
