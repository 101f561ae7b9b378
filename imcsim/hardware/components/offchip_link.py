"""The link that brings the image onto the chip, and class outputs back to a DRAM where there is one. Both
figures are given: no rule scales pads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Count, NonNegative
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class OffchipLink(Component):
    """Brings the image onto the chip, `bits_per_cycle` at a time."""

    block = "offchip_link"
    scope = "chip"
    bit_energy_pj: NonNegative
    bits_per_cycle: Count
    link_area_um2: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        moved = [Event.IMAGE_BITS]
        if chip.dram.present:
            moved.append(Event.RESULT_BITS)
        if chip.reload.present:
            moved += [Event.WEIGHT_BITS, Event.STORED_BITS]
        return dict.fromkeys(moved, self.bit_energy_pj)

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.link_area_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.chips
