"""Exit checker: one on the chip, classes taken one after the other.

What a check computes is the business of an exit rule (`imcsim.exits`), which counts its operations and cycles
and names the units that it is built of. Here stands what each of these costs on a chip. The energies are for
one operation of any rule. The cycles and the area of the logic in a chip's file are those of ``entropy``:
``final_cycles`` is for a logarithm, two products and the comparison, of which other rules take a part, and
``logic_area_um2`` is for a multiplier, two adders and a comparator; another rule's logic has the area of its
own units in proportion, by the estimates below. Tables that a rule does not read are not there.

A verdict goes to all tiles, over a wire that branches from tile to tile, and is latched in each: one toggled
bit over one link and a register bit for each tile. It takes the cycles of the wire to the farthest tile of
the chip, along the links of the network on chip, from where the global buffer is joined to it. Its energy is
counted by the tile on every topology.

Estimates: a look-up is one word of `table_bits` from the node's SRAM (CACTI); multiplier of `table_bits` x
`table_bits`, adders and comparators of twice as many (Aladdin).

The threshold register is not priced: a word beside tables of thousands of bits. Nor are the T - 1 registers
of a checker with a threshold for each timestep, nor choosing among them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PrivateAttr

from imcsim import exits
from imcsim.exits.entropy import Entropy
from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.rule import ExitRule, Units
from imcsim.hardware.component import ESTIMATE, ChipSize, Component, Count, Figure, Reach
from imcsim.hardware.estimators import logic, wires
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
    """Of ``entropy``, for its logarithm, two products and comparison; other rules take a part of them."""
    verdict_cycles: Annotated[int, Field(ge=0)] | Literal["estimate"]
    """For the verdict on its way to the farthest tile; an estimate follows the mesh."""
    verdict_energy_pj: Figure = "estimate"
    """For one tile that a verdict reaches."""
    lookup_energy_pj: Figure
    multiply_energy_pj: Figure
    add_energy_pj: Figure
    compare_energy_pj: Figure
    logic_area_um2: Figure
    """Of ``entropy``: a multiplier, two adders and a comparator; other rules have their own units."""
    _rule: str = PrivateAttr(default="entropy")

    @property
    def rule(self) -> ExitRule:
        """The exit rule that the checker is built for; ``entropy`` unless a run asks for another."""
        return exits.named(self._rule)

    def built_for(self, rule: str) -> Checker:
        """The checker of the same chip for another exit rule."""
        copy = self.model_copy()
        copy._rule = rule
        return copy

    @property
    def numerics(self) -> CheckerNumerics:
        """Word widths, as exit rules know them."""
        return CheckerNumerics(
            self.fraction_bits, self.table_bits, self.exp_entries, self.exp_range, self.log_entries
        )

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        node, bits = chip.technology.node_nm, self.table_bits
        multiplier, adder = logic.multiplier(bits, bits, node), logic.adder(2 * bits, node)
        comparator = logic.comparator(2 * bits, node)
        stored = max(self.exp_entries, self.log_entries) * bits
        lookup = chip.sram.read_pj(stored, bits, chip)
        link_mm, latch = chip.noc.figure("link_length_mm", chip), logic.register(1, node)
        wire_pj = chip.technology.wire_pj_per_mm(chip) * link_mm
        delay = wires.delay_ns_per_mm(node)
        return {
            "verdict_energy_pj": Estimate(
                wire_pj + latch.energy_pj, f"one toggled bit over a link of {link_mm:.3g} mm; {latch.rule}"
            ),
            # Of one side of a tile: a verdict crosses as many as lie between the checker and the last tile.
            "verdict_cycles": Estimate(
                delay.value * link_mm / chip.technology.clock_ns, f"for each link on its way; {delay.rule}"
            ),
            "lookup_energy_pj": Estimate(
                lookup, f"one word of {bits} bits from {stored / 8:g} B of the sram block"
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
            Event.CHECKER_VERDICT_TILES: self.figure("verdict_energy_pj", chip),
        }

    def cycles(self, classes: int) -> int:
        """Clock cycles of one check, until its verdict leaves the checker."""
        return self.rule.cycles(classes, self.class_cycles, self.final_cycles)

    def way_cycles(self, reach: Reach, chip: HardwareConfig) -> int:
        """Clock cycles until all tiles know a verdict: first those over links to other chips, then on the
        largest of these.
        """
        between = chip.package.verdict_cycles(reach.package_links, chip) if reach.package_links else 0
        if self.verdict_cycles != ESTIMATE:
            return int(self.verdict_cycles) + between
        each = self.estimates(chip)["verdict_cycles"].value
        return math.ceil(reach.verdict_pitches * each - 1e-9) + between

    def events(self, classes: int, mean: bool, tiles: int) -> dict[Event, int]:
        """What one check does on a chip of so many tiles; with `mean` the rule decides on running means.
        Without what it never does.
        """
        work = self.rule.work(classes, mean)
        counts = {
            Event.CHECKER_COMPARES: work.compares,
            Event.CHECKER_ADDS: work.adds,
            Event.CHECKER_EXP_LOOKUPS: work.exp_lookups,
            Event.CHECKER_LOG_LOOKUPS: work.log_lookups,
            Event.CHECKER_MULTIPLIES: work.multiplies,
            Event.CHECKER_VERDICT_TILES: tiles,
        }
        return {event: count for event, count in counts.items() if count}

    def _stored_bits(self) -> int:
        units = self.rule.units
        entries = units.exp_table * self.exp_entries + units.log_table * self.log_entries
        return entries * self.table_bits

    def _logic_um2(self, chip: HardwareConfig) -> float:
        """Area of the rule's units: that of ``entropy`` in the proportion of their estimates, which is the
        same at all nodes.
        """
        share = self._units_um2(self.rule.units) / self._units_um2(Entropy.units)
        return self.figure("logic_area_um2", chip) * share

    def _units_um2(self, units: Units) -> float:
        bits, node = self.table_bits, logic.NODE_NM
        return (
            units.multipliers * logic.multiplier(bits, bits, node).area_um2
            + units.adders * logic.adder(2 * bits, node).area_um2
            + units.comparators * logic.comparator(2 * bits, node).area_um2
        )

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self._logic_um2(chip) + chip.sram.area_um2(self._stored_bits(), self.table_bits, chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        logic_uw = chip.technology.logic_leakage_uw(self._logic_um2(chip), chip)
        return logic_uw + chip.sram.leakage_uw(self._stored_bits(), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.chips
