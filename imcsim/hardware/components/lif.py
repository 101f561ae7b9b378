"""LIF unit: leak, integrate, compare, reset, in fixed point, `lanes` neurons a cycle in each tile.

A synaptic current is one more word to leak and add to: such a neuron counts as two updates, and takes two
turns of its lane. A neuron that may fire up to n times per timestep divides its membrane by its threshold,
bit by bit (restoring division): one more update and turn for each bit of n beyond the first. A floor is the
lower end at which a membrane saturates. An integrator is updated like a neuron and never fires.

The membrane memory is a component of its own (state_memory). Estimates: two adders (integrate, leak) and a
comparator of `membrane_bits` a lane (Aladdin).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from imcsim.hardware.component import ChipSize, Component, Count, Figure, NonNegative
from imcsim.hardware.estimators import logic
from imcsim.hardware.estimators.estimate import Cost, Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _Lif(Component):
    block = "lif"
    scope = "tile"
    lanes: Count
    membrane_bits: Annotated[int, Field(ge=8, le=48)]
    partial_sum_bits: Annotated[int, Field(ge=8, le=48)]
    """Width of a digital sum on its way to the neuron."""
    lane_area_um2: Figure

    @property
    def parameters_of_neurons(self) -> bool:
        """Whether neurons may have thresholds and leaks of their own."""
        return False

    def _logic(self, chip: HardwareConfig) -> Cost:
        node = chip.technology.node_nm
        adder = logic.adder(self.membrane_bits, node)
        return adder + adder + logic.comparator(self.membrane_bits, node)

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        return {"lane_area_um2": self._logic(chip).area}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("lane_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def stands(self, size: ChipSize) -> bool:
        return not size.activates

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.ports * self.lanes if self.stands(size) else 0


class UpdateLif(_Lif):
    """Energy for each neuron update (logic; the membrane memory is charged by itself)."""

    kind: Literal["update"]
    update_energy_pj: Figure
    parameters: Literal["channel", "neuron"] = "channel"
    """Whose thresholds, leaks and synapses the chip may keep: channels', or each neuron's own as well, in
    state memory.
    """

    @property
    def parameters_of_neurons(self) -> bool:
        return self.parameters == "neuron"

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        return {**super().estimates(chip), "update_energy_pj": self._logic(chip).energy}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.LIF_UPDATES: self.figure("update_energy_pj", chip)}


class GivenLif(_Lif):
    """A given energy for each PE cycle, membrane memory included, as SpikeSim charges it."""

    kind: Literal["given"]
    cycle_energy_pj: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.PE_CYCLES: self.cycle_energy_pj}


Lif = Annotated[UpdateLif | GivenLif, Field(discriminator="kind")]
