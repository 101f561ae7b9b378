"""Sample-and-hold: keeps the settled value of each column until its turn at the converter.

Estimates: C V^2 of ``cells.sample_ff``, and the area of a metal capacitor (estimators.periphery).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Figure
from imcsim.hardware.estimators import periphery
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.figures import figures
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class SampleHold(Component):
    """`sample_energy_pj` and `column_area_um2` are for one column."""

    block = "sample_hold"
    scope = "crossbar"
    sample_energy_pj: Figure
    column_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        usual = float(figures("array")["usual_cell"]["value"]["sample_ff"])
        sample_ff = getattr(chip.cells, "sample_ff", usual)
        cost = periphery.sample_and_hold(sample_ff, chip.technology.node_nm)
        return {"sample_energy_pj": cost.energy, "column_area_um2": cost.area}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.CONVERSIONS: self.figure("sample_energy_pj", chip)}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("column_area_um2", chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars * chip.cells.columns
