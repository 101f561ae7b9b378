"""Crossbars to tiles: which part of which layer stands in which tile.

The unit is a block of rows for one column of crossbars: one crossbar (``im2col``), or one PE with a crossbar
for each kernel position (``kernel_position``). Units of an output column stay together in a tile where they
fit, so that their partial sums meet without the mesh; a column taller than a tile is spread over several, and
the first of them (the head) adds up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.placement import LayerPlacement, Part


def pack(layers: Sequence[LayerPlacement], hardware: HardwareConfig) -> tuple[Part, ...]:
    """Fill tiles one after the other; every tile up to the last one holds something.

    A layer starts in a tile of its own or, with ``mapping.share_tiles``, in what the layer before it has left
    free; then a copy that would fit into one tile may be cut between two columns. A PE always belongs to one
    layer: its unused crossbars are lost. A tile holds layers of its own type, and of its own chip, only,
    so what may be left free is in the last tile of that type on that chip.
    """
    packer = _Packer(hardware)
    for layer in layers:
        packer.add(layer)
    return tuple(packer.parts)


def tiles_after(layers: Sequence[LayerPlacement], hardware: HardwareConfig) -> list[int]:
    """Tiles that the first layers take, for each number of them from one on."""
    packer, found = _Packer(hardware), []
    for layer in layers:
        packer.add(layer)
        found.append(packer.opened)
    return found


def tiles_between(layers: Sequence[LayerPlacement], hardware: HardwareConfig) -> NDArray[np.int64]:
    """Tiles of a chip that holds layers ``begin`` to ``end`` (without it), int64 ``[begin, end]``."""
    count = len(layers)
    found = np.zeros((count + 1, count + 1), np.int64)
    for begin in range(count):
        found[begin, begin + 1 :] = tiles_after(layers[begin:], hardware)
    return found


def fewest_chips(tiles: NDArray[np.int64], limit: int) -> int:
    """Chips that hold all layers if each takes as many as it has room for, which is fewest."""
    chips, begin, count = 0, 0, len(tiles) - 1
    while begin < count:
        begin = max(end for end in range(begin + 1, count + 1) if tiles[begin, end] <= limit)
        chips += 1
    return chips


def tiles_of(parts: Sequence[Part]) -> int:
    """Tiles that some parts take."""
    return max(part.tile for part in parts) + 1


def tiles_by_type(parts: Sequence[Part], layers: Sequence[LayerPlacement]) -> dict[str, int]:
    """How many tiles of each type some parts take."""
    types = {part.tile: layers[part.stage].tile_type for part in parts}
    return dict(Counter(types.values()))


def pes_used(
    parts: Sequence[Part], layers: Sequence[LayerPlacement], hardware: HardwareConfig
) -> dict[tuple[int, int], int]:
    """PEs that hold something, by (tile, layer)."""
    units: Counter[tuple[int, int]] = Counter()
    for part in parts:
        units[part.tile, part.stage] += part.units
    each = {k: _pe_units(hardware.of_type(layer.tile_type)) for k, layer in enumerate(layers)}
    return {key: -(-number // each[key[1]]) for key, number in units.items()}


def size_of_tile(hardware: HardwareConfig) -> int:
    """Units that a tile holds."""
    return hardware.tile.pes_per_tile * _pe_units(hardware)


def _pe_units(hardware: HardwareConfig) -> int:
    return hardware.tile.crossbars_per_pe if hardware.cells.row_order == "im2col" else 1


@dataclass
class _Packer:
    """The tile being filled, and its free units."""

    hardware: HardwareConfig
    tile_units: int = 0
    pe_units: int = 0
    tile: int = -1
    free: int = 0
    opened: int = 0
    parts: list[Part] = field(default_factory=list)
    open_tiles: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    """The last tile of each chip and type, and its free units."""

    @property
    def share(self) -> bool:
        return self.hardware.mapping.share_tiles

    def add(self, layer: LayerPlacement) -> None:
        """Fill tiles with a layer's copies."""
        chip, kind = self.hardware.of_type(layer.tile_type), (layer.chip, layer.tile_type)
        self.tile_units, self.pe_units = size_of_tile(chip), _pe_units(chip)
        self.tile, self.free = self.open_tiles.get(kind, (-1, 0))
        self._add(layer)
        self.open_tiles[kind] = self.tile, self.free

    def _add(self, layer: LayerPlacement) -> None:
        # What is left of the last PE stays with the layer before.
        self.free = self.free - self.free % self.pe_units if self.share else 0
        per_copy = layer.blocks * layer.columns
        copy = 0
        while copy < layer.copies:
            fitting = min(layer.copies - copy, self.free // per_copy)
            if fitting:
                self._put(layer, (copy, copy + fitting), (0, layer.columns), (0, layer.blocks))
                copy += fitting
            elif per_copy <= self.tile_units and not (self.share and layer.blocks <= self.free):
                self._open()
            else:
                self._spread(layer, copy)
                copy += 1

    def _spread(self, layer: LayerPlacement, copy: int) -> None:
        """One copy over several tiles, whole columns where they fit into a tile."""
        column = 0
        while column < layer.columns:
            if layer.blocks <= self.tile_units:
                if layer.blocks > self.free:
                    self._open()
                count = min(layer.columns - column, self.free // layer.blocks)
                self._put(layer, (copy, copy + 1), (column, column + count), (0, layer.blocks))
                column += count
                continue
            head, block = len(self.parts), 0
            while block < layer.blocks:
                if self.free == 0:
                    self._open()
                count = min(self.free, layer.blocks - block)
                self._put(layer, (copy, copy + 1), (column, column + 1), (block, block + count), head)
                block += count
            column += 1

    def _open(self) -> None:
        self.tile, self.opened = self.opened, self.opened + 1
        self.free = self.tile_units

    def _put(
        self,
        layer: LayerPlacement,
        copies: tuple[int, int],
        columns: tuple[int, int],
        blocks: tuple[int, int],
        head: int | None = None,
    ) -> None:
        index = len(self.parts)
        head = index if head is None else head
        channels = layer.channels_of(columns)
        part = Part(index, layer.stage.index, self.tile, copies, columns, blocks, channels, head)
        self.parts.append(part)
        self.free -= part.units
