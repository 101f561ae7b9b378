"""Exit checker and class accumulator: one of each on the chip, classes taken one after the other.

For K classes a check takes two passes. The first finds the largest class output; the second subtracts it, looks up the
exponential, and adds it and its product with the difference. Then one logarithm, two products and the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from imcsim.hardware.component import ChipSize, Component, Count, NonNegative, Positive
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Checker(Component):
    """Word widths, cycles, energies of the exit checker; the tables' size sets their energy and area."""

    fraction_bits: Annotated[int, Field(ge=4, le=16)]
    table_bits: Annotated[int, Field(ge=4, le=24)]
    exp_entries: Annotated[int, Field(ge=16, le=65536)]
    exp_range: Positive
    log_entries: Annotated[int, Field(ge=16, le=65536)]
    class_cycles: Count
    """Cycles for one class in one pass."""
    final_cycles: Count
    """Logarithm, products, comparison."""
    lookup_energy_pj: NonNegative
    multiply_energy_pj: NonNegative
    add_energy_pj: NonNegative
    compare_energy_pj: NonNegative
    logic_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {
            Event.CHECKER_EXP_LOOKUPS: self.lookup_energy_pj,
            Event.CHECKER_LOG_LOOKUPS: self.lookup_energy_pj,
            Event.CHECKER_MULTIPLIES: self.multiply_energy_pj,
            Event.CHECKER_ADDS: self.add_energy_pj,
            Event.CHECKER_COMPARES: self.compare_energy_pj,
        }

    def cycles(self, classes: int) -> int:
        """Clock cycles of one check."""
        return 2 * classes * self.class_cycles + self.final_cycles

    def events(self, classes: int, mean: bool) -> dict[Event, int]:
        """What one check does; `mean` multiplies each class output by 1/t first."""
        return {
            Event.CHECKER_COMPARES: classes + 1,
            Event.CHECKER_ADDS: 3 * classes + 1,
            Event.CHECKER_EXP_LOOKUPS: classes,
            Event.CHECKER_LOG_LOOKUPS: 1,
            Event.CHECKER_MULTIPLIES: classes + 2 + (classes if mean else 0),
        }

    def _table_bits(self) -> int:
        return (self.exp_entries + self.log_entries) * self.table_bits

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.logic_area_um2 + self._table_bits() * chip.sram.bit_area_um2

    def leakage_uw(self, chip: HardwareConfig) -> float:
        logic = self.logic_area_um2 * chip.technology.logic_leakage_uw_per_um2
        return logic + self._table_bits() / 8 * chip.sram.leakage_uw_per_byte

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return 1


class Accumulator(Component):
    """Scales the classifier's sums to one unit and adds them up over timesteps."""

    multiply_energy_pj: NonNegative
    add_energy_pj: NonNegative
    class_cycles: Count
    logic_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {
            Event.ACCUMULATOR_MULTIPLIES: self.multiply_energy_pj,
            Event.ACCUMULATOR_ADDS: self.add_energy_pj,
        }

    def events(self, classes: int) -> dict[Event, int]:
        """One timestep: scale, add the bias, add to the running sum."""
        return {Event.ACCUMULATOR_MULTIPLIES: classes, Event.ACCUMULATOR_ADDS: 2 * classes}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.logic_area_um2

    def leakage_uw(self, chip: HardwareConfig) -> float:
        return self.logic_area_um2 * chip.technology.logic_leakage_uw_per_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return 1
