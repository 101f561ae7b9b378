"""Exit checker: one on the chip, classes taken one after the other.

For K classes a check takes two passes. The first finds the largest class output; the second subtracts it,
looks up the exponential, and adds it and its product with the difference. Then one logarithm, two products
and the comparison. Estimates: a look-up is one word of `table_bits` from the node's SRAM (CACTI); multiplier
of `table_bits` x `table_bits`, two adders and a comparator of twice as many (Aladdin).

The threshold register is not priced: a word beside tables of thousands of bits. Nor are the T - 1 registers
of a checker with a threshold for each timestep, nor choosing among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from imcsim.hardware.component import ChipSize, Component, Count, Figure
from imcsim.hardware.estimators import logic
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Checker(Component):
    """Word widths, cycles, energies of the exit checker; the tables' size sets their energy and area."""

    block = "checker"
    scope = "chip"
    fraction_bits: Annotated[int, Field(ge=4, le=16)]
    table_bits: Annotated[int, Field(ge=4, le=24)]
    exp_entries: Annotated[int, Field(ge=16, le=65536)]
    exp_range: Annotated[float, Field(ge=1, le=64)]
    log_entries: Annotated[int, Field(ge=16, le=65536)]
    class_cycles: Count
    """Cycles for one class in one pass."""
    final_cycles: Count
    """Logarithm, products, comparison."""
    lookup_energy_pj: Figure
    multiply_energy_pj: Figure
    add_energy_pj: Figure
    compare_energy_pj: Figure
    logic_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        node, bits = chip.technology.node_nm, self.table_bits
        multiplier, adder = logic.multiplier(bits, bits, node), logic.adder(2 * bits, node)
        comparator = logic.comparator(2 * bits, node)
        capacity = max(self.exp_entries, self.log_entries) * bits / 8
        lookup = chip.sram.word_energy_pj(capacity, bits, chip)
        return {
            "lookup_energy_pj": Estimate(
                lookup, f"one word of {bits} bits from {capacity:g} B of the sram block"
            ),
            "multiply_energy_pj": multiplier.energy,
            "add_energy_pj": adder.energy,
            "compare_energy_pj": comparator.energy,
            "logic_area_um2": (multiplier + adder + adder + comparator).area,
        }

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        lookup = self.figure("lookup_energy_pj", chip)
        return {
            Event.CHECKER_EXP_LOOKUPS: lookup,
            Event.CHECKER_LOG_LOOKUPS: lookup,
            Event.CHECKER_MULTIPLIES: self.figure("multiply_energy_pj", chip),
            Event.CHECKER_ADDS: self.figure("add_energy_pj", chip),
            Event.CHECKER_COMPARES: self.figure("compare_energy_pj", chip),
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

    def _stored_bits(self) -> int:
        return (self.exp_entries + self.log_entries) * self.table_bits

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("logic_area_um2", chip) + chip.sram.area_um2(self._stored_bits(), chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        logic_uw = chip.technology.logic_leakage_uw(self.figure("logic_area_um2", chip))
        return logic_uw + chip.sram.leakage_uw(self._stored_bits())

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return 1
