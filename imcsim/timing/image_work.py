"""What a particular image makes a chip do, where that changes how long it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.mapping import Edge


@dataclass(frozen=True, eq=False)
class ImageWork:
    """One image. `active`: for each stage, bool ``[T, positions, drives, blocks]``, the reads with a row to
    drive (for a chip that skips silent ones); a drive is a turn of an input bit, all turns of one bit before
    those of the next. `events`: for each edge, int64 ``[T, height, channels]``,
    values above 0 in each delivered row (for address-event packets). A stage that reads the image does the
    same at every timestep.
    """

    active: Mapping[int, NDArray[np.bool_]]
    events: Mapping[Edge, NDArray[np.int64]]
