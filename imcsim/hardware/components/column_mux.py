"""Column multiplexer: leads one of several bitlines to their shared ADC, sample-and-hold included where there
is one.

Estimates: NeuroSim's multiplexer, by node, columns and the resistance that the column asks for
(estimators.array).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Count, Figure
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class ColumnMux(Component):
    """`columns_per_adc` bitlines share one ADC, so a read takes as many conversions one after the other."""

    block = "column_mux"
    scope = "crossbar"
    columns_per_adc: Count
    switch_energy_pj: Figure
    mux_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        mux = chip.cells.array(chip).multiplexer(self.columns_per_adc)
        return {"switch_energy_pj": mux.energy, "mux_area_um2": mux.area}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.CONVERSIONS: self.figure("switch_energy_pj", chip)}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("mux_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return chip.adc_count(size)
