"""Programming variation: conductances spread around what was to be programmed, and stay as they are.

With z from a standard normal distribution for each cell, and sigma the standard deviation over the mean:

- ``normal``: ``G' = G max(1 + sigma z, 0)``; cutting at 0 raises the mean to ``G (Phi(1 / sigma) + sigma
  phi(1 / sigma))``, by 0.4 % at a sigma of 0.5 and by 8 % at 1;
- ``lognormal``: ``G' = G exp(s z - s^2 / 2)`` with ``s^2 = ln(1 + sigma^2)``, so that the mean is G and the
  standard deviation sigma G.

Sources: a Gaussian with the spread measured for each level: Joshi et al., "Accurate deep neural network
inference using computational phase-change memory", Nature Communications 11, 2020. With ``sigma`` one number
a level it follows measured cells: IBM's aihwkit (released code) has polynomials of the conductance, that of
phase-change memory (0.263 + 1.965 x - 1.173 x^2) uS with x = G / 25 uS, and for RRAM of Wan et al., Nature
608, 2022, 1.1 uS at the largest conductance of 40 uS after a second and 2.7 uS after a day. Log-normal RRAM
cells: "Design framework for ReRAM-based DNN accelerators with accuracy and hardware evaluation", Electronics
11(13), 2107, 2022; its moments: Johnson, Kotz, Balakrishnan, "Continuous univariate distributions", volume 1,
1994.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import Distribution


def varied(
    conductance: NDArray[np.float64],
    levels: NDArray[np.integer[Any]],
    gaussian: NDArray[np.floating[Any]],
    kind: Distribution,
    sigma: Sequence[float],
) -> NDArray[np.float64]:
    """Conductances as programmed. levels say which sigma each cell has; all arrays have the same shape."""
    each = np.asarray(sigma, np.float64)
    spread = each[0] if np.all(each == each[0]) else each[levels]
    factor: NDArray[np.float64]
    if kind == "lognormal":
        squared = np.log1p(spread**2)
        factor = np.exp(np.sqrt(squared) * gaussian - squared / 2)
    else:
        factor = np.maximum(1 + spread * gaussian, 0)
    return conductance * factor
