"""Column multiplexer: leads one of several bitlines to their shared ADC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Count, NonNegative
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class ColumnMux(Component):
    """`columns_per_adc` bitlines share one ADC; `shares` of them stand at a crossbar or at a PE."""

    columns_per_adc: Count
    switch_energy_pj: NonNegative
    mux_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.CONVERSIONS: self.switch_energy_pj}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.mux_area_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return chip.adc_count(size)
