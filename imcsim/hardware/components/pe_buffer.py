"""PE buffer: holds the window of a PE, so that a step to the next position fetches only the new columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.buffer import Buffer, GivenBuffer, MacroBuffer, SramBuffer
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _InPe(Buffer):
    """SpikeSim's temporary buffer is charged for each column-mux setting."""

    block = "pe_buffer"
    scope = "pe"
    moved_bits = (Event.PE_BUFFER_READ_BITS, Event.PE_BUFFER_WRITE_BITS)
    held = Event.PE_PHASES

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.pes


class SramPeBuffer(_InPe, SramBuffer):
    """Made of the node's SRAM."""


class MacroPeBuffer(_InPe, MacroBuffer):
    """A memory of given figures."""


class GivenPeBuffer(_InPe, GivenBuffer):
    """A given energy per event."""


PeBuffer = Annotated[SramPeBuffer | MacroPeBuffer | GivenPeBuffer, Field(discriminator="kind")]
