"""Digital units that cost a fixed energy for each operation: shift-and-add, adder tree, pooling, residual adder.

Each leaks as logic of its area (``technology.logic_leakage_uw_per_um2``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from imcsim.hardware.component import ChipSize, Component, Count, NonNegative
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _Unit(Component):
    event: ClassVar[Event]
    operation_energy_pj: NonNegative
    unit_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {self.event: self.operation_energy_pj}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.unit_area_um2

    def leakage_uw(self, chip: HardwareConfig) -> float:
        return self.unit_area_um2 * chip.technology.logic_leakage_uw_per_um2


class ShiftAdd(_Unit):
    """Adds an ADC code at the weight of its slice and input bit; one behind each ADC."""

    event: ClassVar[Event] = Event.SHIFT_ADDS

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return chip.adc_count(size)


class AdderTree(_Unit):
    """Adds the partial sums of row blocks; `adders` of them in each PE, `level_cycles` for each level of the tree."""

    event: ClassVar[Event] = Event.PARTIAL_SUM_ADDS
    adders: Count
    level_cycles: Count

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.pes * self.adders


class Pooling(_Unit):
    """Takes the maximum or the sum of spikes; `lanes` inputs a cycle in each tile."""

    event: ClassVar[Event] = Event.POOL_OPERATIONS
    lanes: Count

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles * self.lanes


class ResidualAdder(_Unit):
    """Adds a shortcut's current before the neuron; one a LIF lane."""

    event: ClassVar[Event] = Event.RESIDUAL_ADDS

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles * chip.lif.lanes
