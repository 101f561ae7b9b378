"""Buffers and membrane memory.

``sram``: energy for each byte from a table over capacity (log-log interpolation between CACTI points, held at the ends),
area and leakage by the bit. ``given``: a fixed energy for each PE cycle, as SpikeSim charges its buffers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from imcsim.hardware.component import ChipSize, Component, Count, NonNegative, Positive
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Sram(Component):
    """The SRAM macro of the node. `read_energy_pj_per_byte` is a table of ``[capacity in bytes, pJ a byte]``.

    A write costs what a read costs (CACTI's two figures differ by less than the spread between its options).
    """

    read_energy_pj_per_byte: Annotated[list[list[float]], Field(min_length=1)]
    bit_area_um2: Positive
    leakage_uw_per_byte: NonNegative

    @field_validator("read_energy_pj_per_byte")
    @classmethod
    def _rising(cls, table: list[list[float]]) -> list[list[float]]:
        if any(len(row) != 2 or not all(math.isfinite(x) and x > 0 for x in row) for row in table):
            raise ValueError("every row must be [bytes, pJ a byte], both above 0")
        if [row[0] for row in table] != sorted({row[0] for row in table}):
            raise ValueError("capacities must rise from row to row")
        return table

    def bit_energy_pj(self, capacity_bytes: float) -> float:
        """pJ to read or write one bit of a macro of this capacity."""
        table = self.read_energy_pj_per_byte
        if capacity_bytes <= table[0][0]:
            return table[0][1] / 8
        for (c0, e0), (c1, e1) in zip(table, table[1:], strict=False):
            if capacity_bytes <= c1:
                share = math.log(capacity_bytes / c0) / math.log(c1 / c0)
                return math.exp(math.log(e0) + share * math.log(e1 / e0)) / 8
        return table[-1][1] / 8


class _SramBuffer(Component):
    events: ClassVar[tuple[Event, ...]]
    kind: Literal["sram"]
    capacity_bytes: Annotated[int, Field(ge=64)]

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return dict.fromkeys(self.events, chip.sram.bit_energy_pj(self.capacity_bytes))

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.capacity_bytes * 8 * chip.sram.bit_area_um2

    def leakage_uw(self, chip: HardwareConfig) -> float:
        return self.capacity_bytes * chip.sram.leakage_uw_per_byte


class _GivenBuffer(Component):
    event: ClassVar[Event] = Event.PE_CYCLES
    kind: Literal["given"]
    capacity_bytes: Annotated[int, Field(ge=64)]
    access_energy_pj: NonNegative
    buffer_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {self.event: self.access_energy_pj}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.buffer_area_um2


class _OfChip:
    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return 1


class _OfTile:
    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles


class _OfPe:
    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.pes


class SramGlobalBuffer(_OfChip, _SramBuffer):
    """Holds the image."""

    events = (Event.GLOBAL_BUFFER_READ_BITS, Event.GLOBAL_BUFFER_WRITE_BITS)


class GivenGlobalBuffer(_OfChip, _GivenBuffer):
    """SpikeSim's memory fetch, charged for each PE cycle."""


class SramTileBuffer(_OfTile, _SramBuffer):
    """Holds the input rows of a tile."""

    events = (Event.TILE_BUFFER_READ_BITS, Event.TILE_BUFFER_WRITE_BITS)


class GivenTileBuffer(_OfTile, _GivenBuffer):
    """SpikeSim's tile buffer, charged for each PE cycle."""


class SramPeBuffer(_OfPe, _SramBuffer):
    """Holds the window of a PE, so that a step to the next position fetches only the new columns."""

    events = (Event.PE_BUFFER_READ_BITS, Event.PE_BUFFER_WRITE_BITS)


class GivenPeBuffer(_OfPe, _GivenBuffer):
    """SpikeSim's temporary buffer, charged for each column-mux setting."""

    event = Event.PE_PHASES


GlobalBuffer = Annotated[SramGlobalBuffer | GivenGlobalBuffer, Field(discriminator="kind")]
TileBuffer = Annotated[SramTileBuffer | GivenTileBuffer, Field(discriminator="kind")]
PeBuffer = Annotated[SramPeBuffer | GivenPeBuffer, Field(discriminator="kind")]


class StateMemory(Component):
    """Membrane potentials and stored encoder currents, in banks of `bank_bytes`; as large as the network needs."""

    bank_bytes: Count

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        if chip.lif.kind == "given":
            return {}
        energy = chip.sram.bit_energy_pj(self.bank_bytes)
        return dict.fromkeys(
            (Event.MEMBRANE_READ_BITS, Event.MEMBRANE_WRITE_BITS, Event.CURRENT_READ_BITS, Event.CURRENT_WRITE_BITS),
            energy,
        )

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.bank_bytes * 8 * chip.sram.bit_area_um2

    def leakage_uw(self, chip: HardwareConfig) -> float:
        return self.bank_bytes * chip.sram.leakage_uw_per_byte

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return -(-size.memory_bits // (self.bank_bytes * 8))
