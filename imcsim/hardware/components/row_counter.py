"""Row counter: counts the driven rows of a read, which ``offset`` encoding takes off its sums;
with inputs in pulses it adds their values up.

Estimates: a tree of full adders, one for each row but one of those that are driven at once; its work goes
with the rows that are driven (estimators.periphery).
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


class RowCounter(Component):
    """One for each crossbar whose encoding counts rows; `count_energy_pj` is for a read
    that drives as many rows as it can."""

    block = "row_counter"
    scope = "crossbar"
    count_energy_pj: Figure
    counter_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        cost = periphery.row_counter(chip.cells.rows_at_once, chip.technology.node_nm)
        return {"count_energy_pj": cost.energy, "counter_area_um2": cost.area}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        if chip.cells.encoding != "offset":
            return {}
        row = self.figure("count_energy_pj", chip) / chip.cells.rows_at_once
        if chip.cells.input_drive != "bits":  # a full adder for each bit of a value
            return {Event.INPUT_REGISTER_BITS: row}
        return {Event.ACTIVE_WORDLINES: row}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("counter_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars if chip.cells.encoding == "offset" else 0
