"""Global buffer: holds the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.buffer import Buffer, GivenBuffer, MacroBuffer, SramBuffer
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _GlobalBuffer(Buffer):
    block = "global_buffer"
    scope = "chip"

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return 1


class SramGlobalBuffer(_GlobalBuffer, SramBuffer):
    """Charged by the bit."""

    events = (Event.GLOBAL_BUFFER_READ_BITS, Event.GLOBAL_BUFFER_WRITE_BITS)


class MacroGlobalBuffer(_GlobalBuffer, MacroBuffer):
    """Charged by the bit."""

    events = (Event.GLOBAL_BUFFER_READ_BITS, Event.GLOBAL_BUFFER_WRITE_BITS)


class GivenGlobalBuffer(_GlobalBuffer, GivenBuffer):
    """SpikeSim's memory fetch, charged for each PE cycle."""

    event = Event.PE_CYCLES


GlobalBuffer = Annotated[
    SramGlobalBuffer | MacroGlobalBuffer | GivenGlobalBuffer, Field(discriminator="kind")
]
