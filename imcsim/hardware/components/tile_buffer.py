"""Tile buffer: holds the input rows of a tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.buffer import Buffer, GivenBuffer, MacroBuffer, SramBuffer
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _InTile(Buffer):
    """SpikeSim's tile buffer is charged for each PE cycle."""

    block = "tile_buffer"
    scope = "tile"
    moved_bits = (Event.TILE_BUFFER_READ_BITS, Event.TILE_BUFFER_WRITE_BITS)
    held = Event.PE_CYCLES

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles


class SramTileBuffer(_InTile, SramBuffer):
    """Made of the node's SRAM."""


class MacroTileBuffer(_InTile, MacroBuffer):
    """A memory of given figures."""


class GivenTileBuffer(_InTile, GivenBuffer):
    """A given energy per event."""


TileBuffer = Annotated[SramTileBuffer | MacroTileBuffer | GivenTileBuffer, Field(discriminator="kind")]
