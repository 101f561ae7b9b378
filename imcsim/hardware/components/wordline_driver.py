"""Wordline driver: a one-bit DAC a row, powered for the read pulse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, NonNegative
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class WordlineDriver(Component):
    """`power_uw` and `row_area_um2` are for one row."""

    power_uw: NonNegative
    row_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        """Power times the read pulse; uW ns is 1e-3 pJ."""
        return {Event.ACTIVE_WORDLINES: self.power_uw * chip.cells.read_pulse_ns * 1e-3}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.row_area_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars * chip.cells.rows
