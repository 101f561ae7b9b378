"""Wordline driver: charges the wordline of a row and with it the gates of its cells.

Estimates: C V^2 of the wordline, and NeuroSim's row switch with its flip-flop, by node, columns and cell
(estimators.array).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Figure
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class WordlineDriver(Component):
    """`row_energy_pj` is for one row that is driven in one read, `row_area_um2` for one row."""

    block = "wordline_driver"
    scope = "crossbar"
    row_energy_pj: Figure
    row_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        driver = chip.cells.array(chip).driver()
        return {"row_energy_pj": driver.energy, "row_area_um2": driver.area}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.ACTIVE_WORDLINES: self.figure("row_energy_pj", chip)}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("row_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars * chip.cells.rows
