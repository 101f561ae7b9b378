"""Class accumulator: scales the classifier's sums to one unit and adds them up over timesteps; one on the
chip.

Estimates: a multiplier and an adder of ``lif.partial_sum_bits`` (Aladdin).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Count, Figure
from imcsim.hardware.estimators import logic
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Accumulator(Component):
    """Classes one after the other, `class_cycles` each."""

    block = "accumulator"
    scope = "chip"
    multiply_energy_pj: Figure
    add_energy_pj: Figure
    class_cycles: Count
    logic_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        bits, node = chip.lif.partial_sum_bits, chip.technology.node_nm
        multiplier, adder = logic.multiplier(bits, bits, node), logic.adder(bits, node)
        return {
            "multiply_energy_pj": multiplier.energy,
            "add_energy_pj": adder.energy,
            "logic_area_um2": (multiplier + adder).area,
        }

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {
            Event.ACCUMULATOR_MULTIPLIES: self.figure("multiply_energy_pj", chip),
            Event.ACCUMULATOR_ADDS: self.figure("add_energy_pj", chip),
        }

    def events(self, classes: int) -> dict[Event, int]:
        """One timestep: scale, add the bias, add to the running sum."""
        return {Event.ACCUMULATOR_MULTIPLIES: classes, Event.ACCUMULATOR_ADDS: 2 * classes}

    def cycles(self, classes: int) -> int:
        """Clock cycles of one timestep's classes."""
        return classes * self.class_cycles

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("logic_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.chips
