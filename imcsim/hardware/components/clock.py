"""Clock tree, and the gating of idle tiles.

``gating: none``: while the chip works on an image all its tiles are clocked and leak. ``idle_tiles``: clock
and power of a tile are cut in every cycle in which it has nothing to do; what belongs to the chip as a whole,
the membrane memory included, stays powered. Estimate: the wires of an H-tree over the tile to clusters of
`cluster_bits` register bits, whose own clock is part of a register's energy, both edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from imcsim.hardware.component import ChipSize, Component, Count, Figure
from imcsim.hardware.estimators import wires
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Clock(Component):
    """`tile_cycle_energy_pj` is for one tile in one cycle in which it is powered."""

    block = "clock"
    scope = "tile"
    tile_cycle_energy_pj: Figure
    cluster_bits: Count
    gating: Literal["none", "idle_tiles"]

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        area = chip.tile_area_um2(without=self.block)
        wire = chip.technology.wire_pj_per_mm(chip)
        clusters = max(1, -(-chip.registers.instances(chip, chip.one_tile) // self.cluster_bits))
        return {"tile_cycle_energy_pj": wires.clock_cycle_pj(area, clusters, wire)}

    def standing_energy_pj(self, chip: HardwareConfig) -> float:
        return super().standing_energy_pj(chip) + self.figure("tile_cycle_energy_pj", chip)

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return 0.0

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles
