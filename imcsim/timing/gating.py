"""For how long each tile of a chip that gates idle tiles is powered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64]


def powered_cycles(rows: Table) -> tuple[Table, Table]:
    """Cycles in which a tile has a row under way, charged to the job whose row began first.

    rows: int64 ``[rows, 4]``: tile, begin, end and job of each row, in any order. Returns jobs, one for each
    row that kept its tile powered longer than rows before it did, and for how many cycles.
    """
    tile, began, ended, job = rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))].T
    # All tiles in one line, each behind all that happens on the one before.
    line = tile * (int(ended.max(initial=0)) + 1)
    covered = np.concatenate([[0], np.maximum.accumulate(line + ended)[:-1]]) if len(rows) else line
    cycles = ended - np.maximum(began, covered - line)
    powers = cycles > 0
    return job[powers], cycles[powers]
