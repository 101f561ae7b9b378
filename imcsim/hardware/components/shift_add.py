"""Shift-and-add: adds an ADC code at the weight of its slice and input bit.

Estimate: an adder and a register of ``lif.partial_sum_bits`` (Aladdin).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.logic_unit import LogicUnit
from imcsim.hardware.estimators import logic
from imcsim.hardware.estimators.estimate import Cost
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class ShiftAdd(LogicUnit):
    """One behind each ADC; it keeps the ADC's pace, so it takes no cycles of its own."""

    block = "shift_add"
    scope = "crossbar"
    event = Event.SHIFT_ADDS

    def _logic(self, chip: HardwareConfig) -> Cost:
        bits, node = chip.lif.partial_sum_bits, chip.technology.node_nm
        return logic.adder(bits, node) + logic.register(bits, node)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return chip.adc_count(size)
