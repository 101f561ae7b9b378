"""Which crossbar, which place in it and which ADC a column of a layer has.

A crossbar of C columns holds ``C // slices`` output channels, the slices of a weight side by side (as in
ISAAC, ISCA 2016). Neighbouring columns share an ADC through a multiplexer, `columns_per_adc` each. Every
block of rows has crossbars, and ADCs, of its own; with ``row_order: kernel_position`` a block's crossbars
share the ADCs of their PE. The reference column of a crossbar stands outside of these columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Columns:
    """For each column of a layer, slice by slice: its crossbar among those of a block, its place there, and
    its ADC there; int64 ``[slices * Cout]``. `crossbars` a block has, and `adcs` a crossbar.
    """

    crossbar: NDArray[np.int64]
    place: NDArray[np.int64]
    adc: NDArray[np.int64]
    crossbars: int
    adcs: int


def lay_columns(slices: int, channels: int, columns: int, columns_per_adc: int) -> Columns:
    """Lay `channels` output channels of `slices` columns over crossbars of `columns`, at least `slices`."""
    per_crossbar = columns // slices
    channel = np.tile(np.arange(channels), slices)
    place = channel % per_crossbar * slices + np.repeat(np.arange(slices), channels)
    return Columns(
        crossbar=channel // per_crossbar,
        place=place,
        adc=place // columns_per_adc,
        crossbars=-(-channels // per_crossbar),
        adcs=-(-columns // columns_per_adc),
    )
