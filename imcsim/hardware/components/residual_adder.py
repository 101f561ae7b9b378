"""Residual adder: adds a shortcut's current before the neuron.

Estimate: an adder of ``lif.partial_sum_bits`` for each LIF lane (Aladdin).
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


class ResidualAdder(LogicUnit):
    """One a LIF lane, in its pace."""

    block = "residual_adder"
    scope = "tile"
    event = Event.RESIDUAL_ADDS

    def _logic(self, chip: HardwareConfig) -> Cost:
        return logic.adder(chip.lif.partial_sum_bits, chip.technology.node_nm)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.ports * chip.lif.lanes
