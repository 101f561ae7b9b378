"""What digital units have in common that cost a fixed energy an operation and leak as logic of their area."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from imcsim.hardware.component import Component, Figure
from imcsim.hardware.estimators.estimate import Cost, Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class LogicUnit(Component):
    """Energy of one operation and area of one unit; leakage by ``technology.logic_leakage_uw_per_um2``."""

    event: ClassVar[Event]
    operation_energy_pj: Figure
    unit_area_um2: Figure

    def _logic(self, chip: HardwareConfig) -> Cost:
        raise NotImplementedError

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        logic = self._logic(chip)
        return {"operation_energy_pj": logic.energy, "unit_area_um2": logic.area}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {self.event: self.figure("operation_energy_pj", chip)}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("unit_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)
