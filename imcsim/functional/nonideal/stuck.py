"""Stuck cells: a cell that no longer switches conducts as much as a cell can, or as little.

``l' = L`` with probability `on_rate`, ``l' = 0`` with probability `off_rate`, else ``l' = l``; each cell for
itself. Fault model: Chen et al., "RRAM defect modeling and failure analysis based on march test and a novel
squeeze-search scheme", IEEE Transactions on Computers 64(1), 2015, whose HfO2 test chip had about 10 % of
faulty cells (as Electronics 10(19), 2427, 2021, quotes it).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def with_stuck(
    levels: NDArray[np.integer[Any]],
    uniform: NDArray[np.float64],
    on_rate: float,
    off_rate: float,
    largest_level: int,
) -> NDArray[np.integer[Any]]:
    """Levels as they are, of the shape of `levels`.

    `uniform` has a number in [0, 1) for each cell: the lowest are stuck on, the highest stuck off. A higher
    rate keeps the cells that are stuck already, and adds others.
    """
    stuck = np.where(uniform < on_rate, largest_level, levels)
    return np.where(uniform >= 1 - off_rate, 0, stuck).astype(levels.dtype)
