"""Pooling unit: the maximum or the sum of spikes under a window, or of currents before the neurons.

Currents are pooled row by row: a layer's sums are written to the tile's output rows at their full width, and
when the last row of a window is there its windows are pooled and their neurons fire, row after row.

Estimate: a comparator of ``lif.partial_sum_bits`` for each lane (Aladdin).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Count
from imcsim.hardware.components.logic_unit import LogicUnit
from imcsim.hardware.estimators import logic
from imcsim.hardware.estimators.estimate import Cost
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Pooling(LogicUnit):
    """Takes `lanes` inputs a cycle in each tile."""

    block = "pooling"
    scope = "tile"
    event = Event.POOL_OPERATIONS
    lanes: Count

    def _logic(self, chip: HardwareConfig) -> Cost:
        return logic.comparator(chip.lif.partial_sum_bits, chip.technology.node_nm)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.ports * self.lanes
