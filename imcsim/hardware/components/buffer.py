"""What the global, tile and PE buffers are made of.

Each of these says where it stands: what it is part of, how many there are and which events it pays for. What
it is made of says what these events cost. ``sram`` is the node's SRAM, by capacity and width, with a port to
read and one to write, and each bit moved costs its share of a word; ``macro`` is a memory whose figures are
given, such as ISAAC's eDRAM; ``given`` has a fixed energy per event of a PE, as SpikeSim charges its buffers.
Each buffer delivers or takes `width_bits` per cycle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from imcsim.hardware.component import Component, Count, NonNegative
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Buffer(Component):
    """`capacity_bytes` bounds what waits in it.

    moved_bits: the events of its reads and writes, in bits. held: the event that a buffer of given energy
    per event is charged by.
    """

    moved_bits: ClassVar[tuple[Event, Event]]
    held: ClassVar[Event]
    capacity_bytes: Annotated[int, Field(ge=64)]
    width_bits: Count

    def access_cycles(self, bits: int) -> int:
        """Cycles to move `bits` bits in or out."""
        return -(-bits // self.width_bits)


class SramBuffer(Buffer):
    """Made of the node's SRAM."""

    kind: Literal["sram"]

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        bits, width = self.capacity_bytes * 8, self.width_bits
        reads, writes = self.moved_bits
        return {
            reads: chip.sram.read_pj(bits, width, chip, two_ports=True) / width,
            writes: chip.sram.write_pj(bits, width, chip, two_ports=True) / width,
        }

    def _area_um2(self, chip: HardwareConfig) -> float:
        return chip.sram.area_um2(self.capacity_bytes * 8, self.width_bits, chip, two_ports=True)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.sram.leakage_uw(self.capacity_bytes * 8, chip, two_ports=True)


class MacroBuffer(Buffer):
    """A memory of given figures; `bit_energy_pj` for a read as for a write."""

    kind: Literal["macro"]
    bit_energy_pj: NonNegative
    buffer_area_um2: NonNegative
    buffer_leakage_uw: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return dict.fromkeys(self.moved_bits, self.bit_energy_pj)

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.buffer_area_um2

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return self.buffer_leakage_uw


class GivenBuffer(Buffer):
    """A given energy for each event that it is `held` by."""

    kind: Literal["given"]
    access_energy_pj: NonNegative
    buffer_area_um2: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {self.held: self.access_energy_pj}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.buffer_area_um2
