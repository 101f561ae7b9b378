"""Global buffer: holds the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.buffer import Buffer, GivenBuffer, MacroBuffer, SramBuffer
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _OnChip(Buffer):
    """SpikeSim's memory fetch is charged for each PE cycle."""

    block = "global_buffer"
    scope = "chip"
    moved_bits = (Event.GLOBAL_BUFFER_READ_BITS, Event.GLOBAL_BUFFER_WRITE_BITS)
    held = Event.PE_CYCLES

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.chips


class SramGlobalBuffer(_OnChip, SramBuffer):
    """Made of the node's SRAM."""


class MacroGlobalBuffer(_OnChip, MacroBuffer):
    """A memory of given figures."""


class GivenGlobalBuffer(_OnChip, GivenBuffer):
    """A given energy per event."""


GlobalBuffer = Annotated[
    SramGlobalBuffer | MacroGlobalBuffer | GivenGlobalBuffer, Field(discriminator="kind")
]
