"""The SRAM macro of the node, which buffers, membrane memory and look-up tables are made of.

Energy a byte over capacity: straight lines between the logarithms of the table's rows, held at its ends. A
word of w bits costs w / 8 bytes; a write costs what a read costs (CACTI's two figures differ by less than the
spread between its options). Estimates: CACTI 7's table between 32 and 65 nm, SpikeSim's bit area by the
square of the feature size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from imcsim.hardware.component import Block, Figure, NonNegative
from imcsim.hardware.estimators import memory
from imcsim.hardware.estimators.estimate import Estimate

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

Table = Annotated[list[list[float]], Field(min_length=1)]


class Sram(Block):
    """`read_energy_pj_per_byte` is a table of ``[capacity in bytes, pJ a byte]``."""

    read_energy_pj_per_byte: Table | Literal["estimate"]
    bit_area_um2: Figure
    leakage_uw_per_byte: NonNegative

    @field_validator("read_energy_pj_per_byte")
    @classmethod
    def _rising(
        cls, table: list[list[float]] | Literal["estimate"]
    ) -> list[list[float]] | Literal["estimate"]:
        if isinstance(table, str):
            return table
        if any(len(row) != 2 or not all(math.isfinite(x) and x > 0 for x in row) for row in table):
            raise ValueError("every row must be [bytes, pJ a byte], both above 0")
        if [row[0] for row in table] != sorted({row[0] for row in table}):
            raise ValueError("capacities must rise from row to row")
        return table

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        """The table's estimate is shown by its first row; `energy_table` has all of it."""
        rows, rule = memory.read_energy_table(chip.technology.node_nm)
        return {
            "read_energy_pj_per_byte": Estimate(rows[0][1], f"{rule}; the first of {len(rows)} capacities"),
            "bit_area_um2": memory.sram_bit_area_um2(chip.technology.node_nm),
        }

    def energy_table(self, chip: HardwareConfig) -> list[list[float]]:
        """Rows of capacity in bytes and pJ a byte."""
        if isinstance(self.read_energy_pj_per_byte, str):
            return memory.read_energy_table(chip.technology.node_nm)[0]
        return self.read_energy_pj_per_byte

    def bit_energy_pj(self, capacity_bytes: float, chip: HardwareConfig) -> float:
        """pJ to read or write one bit of a macro of this capacity."""
        table = self.energy_table(chip)
        if capacity_bytes <= table[0][0]:
            return table[0][1] / 8
        for (c0, e0), (c1, e1) in pairwise(table):
            if capacity_bytes <= c1:
                share = math.log(capacity_bytes / c0) / math.log(c1 / c0)
                return math.exp(math.log(e0) + share * math.log(e1 / e0)) / 8
        return table[-1][1] / 8

    def word_energy_pj(self, capacity_bytes: float, width_bits: int, chip: HardwareConfig) -> float:
        """pJ to read or write one word of a macro of this capacity; linear in the word's width."""
        return width_bits * self.bit_energy_pj(capacity_bytes, chip)

    def area_um2(self, bits: int, chip: HardwareConfig) -> float:
        """Area of `bits` bits."""
        return bits * self.figure("bit_area_um2", chip)

    def leakage_uw(self, bits: int) -> float:
        """Static power of `bits` bits."""
        return bits / 8 * self.leakage_uw_per_byte
