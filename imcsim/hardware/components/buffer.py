"""What the global, tile and PE buffers have in common.

``sram``: the node's SRAM, by capacity; each bit moved costs its share of a word. ``macro``: a memory whose
figures are given, such as ISAAC's eDRAM. ``given``: a fixed energy a PE cycle, as SpikeSim charges its
buffers. Each delivers or takes `width_bits` a cycle.
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
    """`capacity_bytes` bounds what waits in it."""

    capacity_bytes: Annotated[int, Field(ge=64)]
    width_bits: Count

    def access_cycles(self, bits: int) -> int:
        """Cycles to move `bits` bits in or out."""
        return -(-bits // self.width_bits)


class SramBuffer(Buffer):
    """Made of the node's SRAM; `events` are its reads and writes, in bits."""

    events: ClassVar[tuple[Event, ...]]
    kind: Literal["sram"]

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        word = chip.sram.word_energy_pj(self.capacity_bytes, self.width_bits, chip)
        return dict.fromkeys(self.events, word / self.width_bits)

    def _area_um2(self, chip: HardwareConfig) -> float:
        return chip.sram.area_um2(self.capacity_bytes * 8, chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.sram.leakage_uw(self.capacity_bytes * 8)


class MacroBuffer(Buffer):
    """A memory of given figures; `bit_energy_pj` for a read as for a write."""

    events: ClassVar[tuple[Event, ...]]
    kind: Literal["macro"]
    bit_energy_pj: NonNegative
    buffer_area_um2: NonNegative
    buffer_leakage_uw: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return dict.fromkeys(self.events, self.bit_energy_pj)

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.buffer_area_um2

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return self.buffer_leakage_uw


class GivenBuffer(Buffer):
    """A given energy for each `event`."""

    event: ClassVar[Event]
    kind: Literal["given"]
    access_energy_pj: NonNegative
    buffer_area_um2: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {self.event: self.access_energy_pj}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.buffer_area_um2
