"""Wordline driver: a one-bit DAC a row, powered for the read pulse. Estimates: ISAAC's DAC, by node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Figure
from imcsim.hardware.estimators import analog
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class WordlineDriver(Component):
    """`power_uw` and `row_area_um2` are for one row."""

    block = "wordline_driver"
    scope = "crossbar"
    power_uw: Figure
    row_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        node = chip.technology.node_nm
        return {"power_uw": analog.driver_power_uw(node), "row_area_um2": analog.driver_area_um2(node)}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        """Power times the read pulse; uW ns is 1e-3 pJ."""
        return {Event.ACTIVE_WORDLINES: self.figure("power_uw", chip) * chip.cells.read_pulse_ns * 1e-3}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("row_area_um2", chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars * chip.cells.rows
