"""The SRAM of the node, which buffers, state memory and look-up tables are made of.

Energy, area and leakage follow from size, width, ports and node by one model, CACTI 7's low-standby-power
SRAM (estimators.memory). A chip's file may give a table of read energies by capacity instead, with straight
lines between the logarithms of its rows, held at its ends, a word of w bits at w / 8 bytes and a write at
what a read costs; and an area per bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from imcsim.hardware.component import ESTIMATE, Block, Figure
from imcsim.hardware.estimators import memory
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.memory import SramMacro

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

Table = Annotated[list[list[float]], Field(min_length=1)]

SHOWN = (2048 * 8, 64)
"""Bits, and bits of a word, of the memory whose figures stand for the model where one is shown."""


class Sram(Block):
    """`read_energy_pj_per_byte` is a table of ``[capacity in bytes, pJ a byte]``, or the model."""

    read_energy_pj_per_byte: Table | Literal["estimate"]
    bit_area_um2: Figure
    leakage_uw_per_byte: Figure

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
        """Shown for a memory of 2 KB in words of 64 bits; others have figures of their own."""
        bits, width = SHOWN
        shown = SramMacro(bits, width, chip.technology.node_nm, model=chip.technology.memory)
        node, kelvin = chip.technology.node_nm, chip.technology.kelvin
        return {
            "read_energy_pj_per_byte": Estimate(shown.read_pj * 8 / width, shown.rule, "energy"),
            "bit_area_um2": Estimate(shown.area_um2 / bits, shown.rule),
            "leakage_uw_per_byte": memory.sram_leakage_uw_per_byte(node, kelvin),
        }

    def read_pj(self, bits: int, width_bits: int, chip: HardwareConfig, *, two_ports: bool = False) -> float:
        """Energy to read one word of `width_bits` from a memory of `bits`, pJ."""
        if self.read_energy_pj_per_byte == ESTIMATE:
            return self._macro(bits, width_bits, chip, two_ports).read_pj * chip.technology.energy_ratio
        return self._from_table(bits / 8, width_bits)

    def write_pj(self, bits: int, width_bits: int, chip: HardwareConfig, *, two_ports: bool = False) -> float:
        """Energy to write one word of `width_bits` to a memory of `bits`, pJ."""
        if self.read_energy_pj_per_byte == ESTIMATE:
            return self._macro(bits, width_bits, chip, two_ports).write_pj * chip.technology.energy_ratio
        return self._from_table(bits / 8, width_bits)

    def area_um2(self, bits: int, width_bits: int, chip: HardwareConfig, *, two_ports: bool = False) -> float:
        """Area of a memory of `bits` in words of `width_bits`."""
        if self.bit_area_um2 == ESTIMATE:
            return self._macro(bits, width_bits, chip, two_ports).area_um2 if bits else 0.0
        return bits * float(self.bit_area_um2)

    def leakage_uw(self, bits: int, chip: HardwareConfig, *, two_ports: bool = False) -> float:
        """Static power of `bits` bits."""
        per_byte = self.figure("leakage_uw_per_byte", chip)
        estimated = self.leakage_uw_per_byte == ESTIMATE
        return bits / 8 * per_byte * (memory.two_port_leakage() if two_ports and estimated else 1.0)

    def _macro(self, bits: int, width_bits: int, chip: HardwareConfig, two_ports: bool) -> SramMacro:
        return SramMacro(bits, width_bits, chip.technology.node_nm, two_ports, chip.technology.memory)

    def _from_table(self, capacity_bytes: float, width_bits: int) -> float:
        table = self.read_energy_pj_per_byte
        assert not isinstance(table, str)
        per_byte = table[-1][1]
        if capacity_bytes <= table[0][0]:
            per_byte = table[0][1]
        for (c0, e0), (c1, e1) in pairwise(table):
            if c0 < capacity_bytes <= c1:
                share = math.log(capacity_bytes / c0) / math.log(c1 / c0)
                per_byte = math.exp(math.log(e0) + share * math.log(e1 / e0))
        return width_bits / 8 * per_byte
