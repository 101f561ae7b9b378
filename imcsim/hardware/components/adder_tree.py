"""Adder tree: adds the partial sums of row blocks.

Estimate: an adder and a register of ``lif.partial_sum_bits`` for each of its `adders` (Aladdin).
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


class AdderTree(LogicUnit):
    """`adders` of them in each PE, `level_cycles` for each level of the tree."""

    block = "adder_tree"
    scope = "pe"
    event = Event.PARTIAL_SUM_ADDS
    adders: Count
    level_cycles: Count

    def _logic(self, chip: HardwareConfig) -> Cost:
        bits, node = chip.lif.partial_sum_bits, chip.technology.node_nm
        return logic.adder(bits, node) + logic.register(bits, node)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.pes * self.adders
