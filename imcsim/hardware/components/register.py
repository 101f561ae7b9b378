"""Input and output registers of crossbars and tiles, counted in bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, NonNegative
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

SETS = 2
"""Double buffering: the next window is fetched while this one is read."""


class Registers(Component):
    """Two sets of wordline registers at each crossbar, and the output register of each tile's bus."""

    bit_energy_pj: NonNegative
    bit_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {
            Event.INPUT_REGISTER_BITS: self.bit_energy_pj,
            Event.OUTPUT_REGISTER_BITS: self.bit_energy_pj,
        }

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.bit_area_um2

    def leakage_uw(self, chip: HardwareConfig) -> float:
        return self.bit_area_um2 * chip.technology.logic_leakage_uw_per_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars * chip.cells.rows * SETS + size.tiles * chip.tile.bus_bits
