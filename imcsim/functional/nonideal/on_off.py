"""Finite on/off ratio: cells at level 0 conduct too.

Level l of 0 .. L conducts ``G_off + l (G_on - G_off) / L``. In units of a level that is ``l + r`` with
``r = L G_off / (G_on - G_off) = L / (R_off / R_on - 1)``: a column with n driven rows carries n r too much.

With a reference column, a column of cells at level 0 in each crossbar carries about n r as well; its current
is taken off every column's before the converter, as the dummy columns of DNN+NeuroSim (Peng et al., IEDM
2019) do. Its cells vary, drift and stick like all others; an error of one of them reaches every column of its
crossbar. Without one, what is left in the digital sum for each driven row is ``r sum_s factor_s`` over the
slices of a weight:

- ``differential``: 0, as the plus and minus columns have opposite factors;
- ``offset``: the driven rows are counted anyway, to take the offset off; the nearest whole number to
  ``r sum_s factor_s`` goes with it, and less than half a weight step for each row stays;
- ``twos_complement``: nothing counts the driven rows; all of it stays as an error, so such a chip needs the
  reference column.

In any case the converter must span the larger currents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def off_level(r_on_ohm: float, r_off_ohm: float, largest_level: int) -> float:
    """The conductance of a cell at level 0 in levels. `r_off_ohm` is above `r_on_ohm`."""
    return largest_level / (r_off_ohm / r_on_ohm - 1)


def level_siemens(r_on_ohm: float, r_off_ohm: float, largest_level: int) -> float:
    """The conductance of one level in siemens."""
    return (1 / r_on_ohm - 1 / r_off_ohm) / largest_level


def digital_offset(offset: int, factor: NDArray[np.integer[Any]], off_level: float) -> int:
    """What is added digitally for each driven row of crossbars without a reference column.

    offset: of the weights, 0 where the mapping counts no rows. factor: what a level of each slice counts.
    """
    return offset - round(off_level * int(factor.sum())) if offset else 0
