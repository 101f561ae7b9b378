"""LIF unit: leak, integrate, compare, reset, in fixed point, `lanes` neurons a cycle in each tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from imcsim.hardware.component import ChipSize, Component, Count, NonNegative
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _Lif(Component):
    lanes: Count
    membrane_bits: Annotated[int, Field(ge=8, le=48)]
    partial_sum_bits: Annotated[int, Field(ge=8, le=48)]
    """Width of a digital sum on its way to the neuron."""
    lane_area_um2: NonNegative

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.lane_area_um2

    def leakage_uw(self, chip: HardwareConfig) -> float:
        return self.lane_area_um2 * chip.technology.logic_leakage_uw_per_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles * self.lanes


class UpdateLif(_Lif):
    """Energy for each neuron update (logic; the membrane memory is charged by itself)."""

    kind: Literal["update"]
    update_energy_pj: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.LIF_UPDATES: self.update_energy_pj}


class GivenLif(_Lif):
    """A given energy for each PE cycle, membrane memory included, as SpikeSim charges it."""

    kind: Literal["given"]
    cycle_energy_pj: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.PE_CYCLES: self.cycle_energy_pj}


Lif = Annotated[UpdateLif | GivenLif, Field(discriminator="kind")]
