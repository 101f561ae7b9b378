"""Input and output registers, counted in bits. Estimate: a register bit (Aladdin)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Count, Figure
from imcsim.hardware.estimators import logic
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

SETS = 2
"""Double buffering: the next window is fetched while this one is read."""


class Registers(Component):
    """Two sets of wordline registers at each crossbar, and `output_bits` of output registers in each tile."""

    block = "registers"
    scope = "tile"
    bit_energy_pj: Figure
    bit_area_um2: Figure
    output_bits: Count

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        bit = logic.register(1, chip.technology.node_nm)
        return {"bit_energy_pj": bit.energy, "bit_area_um2": bit.area}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        energy = self.figure("bit_energy_pj", chip)
        return {Event.INPUT_REGISTER_BITS: energy, Event.OUTPUT_REGISTER_BITS: energy}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("bit_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars * chip.cells.rows * SETS + size.ports * self.output_bits
