"""Output store: the output rows that a part of a layer may hold before they have left (``tile.output_rows``).

Each bit is written when it is made and read when it leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.register_store import RegisterStore
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class OutputStore(RegisterStore):
    """As many bits as the rows of all parts have."""

    block = "output_store"
    scope = "tile"

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        both = self.figure("bit_read_energy_pj", chip) + self.figure("bit_write_energy_pj", chip)
        return {Event.OUTPUT_REGISTER_BITS: both}

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.output_row_bits
