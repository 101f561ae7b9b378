"""Write access: row decoder and level shifters, which stand beside crossbars though a read needs neither.

Level shifters load the wordlines that are driven. Several crossbars may share one set. Estimates: NeuroSim's,
by node and rows (estimators.periphery).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Count, Figure
from imcsim.hardware.estimators import periphery
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class WriteAccess(Component):
    """`line_sets` of lines have level shifters; `shared_by` crossbars have one set of them."""

    block = "write_access"
    scope = "crossbar"
    line_sets: Count
    shared_by: Count
    row_energy_pj: Figure
    access_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        access = periphery.write_access(chip.cells.array(chip), self.line_sets)
        return {"row_energy_pj": access.energy, "access_area_um2": access.area}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.ACTIVE_WORDLINES: self.figure("row_energy_pj", chip)}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("access_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return -(-size.crossbars // self.shared_by)
