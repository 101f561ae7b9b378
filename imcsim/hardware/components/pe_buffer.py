"""PE buffer: holds the window of a PE, so that a step to the next position fetches only the new columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.buffer import Buffer, GivenBuffer, MacroBuffer, SramBuffer
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _PeBuffer(Buffer):
    block = "pe_buffer"
    scope = "pe"

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.pes


class SramPeBuffer(_PeBuffer, SramBuffer):
    """Charged by the bit."""

    events = (Event.PE_BUFFER_READ_BITS, Event.PE_BUFFER_WRITE_BITS)


class MacroPeBuffer(_PeBuffer, MacroBuffer):
    """Charged by the bit."""

    events = (Event.PE_BUFFER_READ_BITS, Event.PE_BUFFER_WRITE_BITS)


class GivenPeBuffer(_PeBuffer, GivenBuffer):
    """SpikeSim's temporary buffer, charged for each column-mux setting."""

    event = Event.PE_PHASES


PeBuffer = Annotated[SramPeBuffer | MacroPeBuffer | GivenPeBuffer, Field(discriminator="kind")]
