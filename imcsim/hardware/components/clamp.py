"""Clamp: holds each column at a virtual ground while it is read.

Estimate of its energy: bias current times supply times the time of a read (estimators.periphery); where
rows are driven in pulses, times their clock cycles as well. Estimate of its area: by the node alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Figure, NonNegative
from imcsim.hardware.estimators import periphery
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Clamp(Component):
    """One for each column; `bias_ua` flows only while it reads."""

    block = "clamp"
    scope = "crossbar"
    bias_ua: NonNegative
    read_energy_pj: Figure
    column_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        pulse, node = chip.cells.pulse_ns(chip), chip.technology.node_nm
        return {
            "read_energy_pj": periphery.clamp_energy_pj(self.bias_ua, pulse, node),
            "column_area_um2": periphery.clamp_area_um2(node),
        }

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        if chip.cells.kind == "capacitive":
            return {Event.CONVERSIONS: 0.0}  # charge needs none
        read = self.figure("read_energy_pj", chip)
        if chip.cells.input_drive != "pulses":
            return {Event.CONVERSIONS: read}
        step = read * chip.technology.clock_ns / chip.cells.pulse_ns(chip)
        return {Event.CONVERSIONS: read, Event.COLUMN_STEPS: step}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return 0.0 if chip.cells.kind == "capacitive" else self.figure("column_area_um2", chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars * chip.cells.columns
