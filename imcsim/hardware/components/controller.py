"""Controller of a tile: sequences reads, sums and neurons in every powered cycle.

Estimates: a state machine of registers and logic (estimators.periphery).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Figure
from imcsim.hardware.estimators import periphery
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Controller(Component):
    """`tile_cycle_energy_pj` is for one tile in one cycle in which it is powered."""

    block = "controller"
    scope = "tile"
    tile_cycle_energy_pj: Figure
    logic_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        cost = periphery.controller(chip.technology.node_nm)
        return {"tile_cycle_energy_pj": cost.energy, "logic_area_um2": cost.area}

    def standing_energy_pj(self, chip: HardwareConfig) -> float:
        return super().standing_energy_pj(chip) + self.figure("tile_cycle_energy_pj", chip)

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("logic_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles
