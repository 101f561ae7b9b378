"""Retention drift: conductances fall as a power of the time since programming.

``G(t) = G(t_0) (t / t_0)^-nu`` with ``nu = exponent + exponent_sigma z`` for each cell, z from a standard
normal distribution. A cell whose nu is below 0 gains conductance, as relaxing cells do.

Source: the power law and its spread over cells: Le Gallo et al., "Collective structural relaxation in
phase-change memory devices", Advanced Electronic Materials 4(9), 2018, and Joshi et al., Nature
Communications 11, 2020. Figures, read in the released code of IBM's aihwkit: phase-change memory has nu of
0.049 to 0.1 and a spread of 0.008 to 0.045, larger for smaller conductances, with t_0 of 20 s. Filamentary
RRAM (CMO/HfOx) drifts far less: by 0.089 uS for each factor e of time whatever the conductance, nu of 0.0018
at 50 uS, and spreads by 0.042 uS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def drifted(
    conductance: NDArray[np.float64],
    gaussian: NDArray[np.floating[Any]],
    exponent: float,
    exponent_sigma: float,
    time_s: float,
    reference_time_s: float,
) -> NDArray[np.float64]:
    """Conductances `time_s` after programming, if `conductance` was there after `reference_time_s`."""
    nu = exponent + exponent_sigma * gaussian.astype(np.float64)
    left: NDArray[np.float64] = conductance * np.exp(-np.log(time_s / reference_time_s) * nu)
    return left
