"""What small stores of a tile have in common that are register files, counted in bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import Component, Figure
from imcsim.hardware.estimators import memory
from imcsim.hardware.estimators.estimate import Estimate

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class RegisterStore(Component):
    """Energy to read and to write one bit, and its area. Estimates: NeuroSim's register file, by node."""

    bit_read_energy_pj: Figure
    bit_write_energy_pj: Figure
    bit_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        bit = memory.register_file(chip.technology.node_nm)
        return {"bit_read_energy_pj": bit.read, "bit_write_energy_pj": bit.write, "bit_area_um2": bit.area}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("bit_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)
