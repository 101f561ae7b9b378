"""Tile buffer: holds the input rows of a tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.buffer import Buffer, GivenBuffer, MacroBuffer, SramBuffer
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _TileBuffer(Buffer):
    block = "tile_buffer"
    scope = "tile"

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles


class SramTileBuffer(_TileBuffer, SramBuffer):
    """Charged by the bit."""

    events = (Event.TILE_BUFFER_READ_BITS, Event.TILE_BUFFER_WRITE_BITS)


class MacroTileBuffer(_TileBuffer, MacroBuffer):
    """Charged by the bit."""

    events = (Event.TILE_BUFFER_READ_BITS, Event.TILE_BUFFER_WRITE_BITS)


class GivenTileBuffer(_TileBuffer, GivenBuffer):
    """SpikeSim's tile buffer, charged for each PE cycle."""

    event = Event.PE_CYCLES


TileBuffer = Annotated[SramTileBuffer | MacroTileBuffer | GivenTileBuffer, Field(discriminator="kind")]
