"""H-tree inside a tile, mesh routers and links between tiles, and the link off the chip.

A wire's energy is ``bits x toggle rate x length x energy of a toggled bit and mm``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from imcsim.hardware.component import ChipSize, Component, Count, NonNegative, Positive
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

ToggleRate = Annotated[float, Field(ge=0, le=1)]


class WireHtree(Component):
    """Wires of `length_mm` from the tile buffer to a PE."""

    kind: Literal["wire"]
    length_mm: Positive
    toggle_rate: ToggleRate
    tree_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        toggled = chip.technology.wire_energy_pj_per_mm * self.toggle_rate
        return {Event.HTREE_BITS: toggled * self.length_mm}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.tree_area_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles


class GivenHtree(Component):
    """A given energy for each PE cycle."""

    kind: Literal["given"]
    cycle_energy_pj: NonNegative
    tree_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.PE_CYCLES: self.cycle_energy_pj}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.tree_area_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles


Htree = Annotated[WireHtree | GivenHtree, Field(discriminator="kind")]


class Noc(Component):
    """2-D mesh, XY routing; a router a tile. A flit passes a router and the link behind it in `hop_cycles`."""

    flit_bits: Count
    hop_cycles: Count
    router_energy_pj: NonNegative
    """One flit through one router."""
    link_length_mm: NonNegative
    toggle_rate: ToggleRate
    router_area_um2: NonNegative
    router_leakage_uw: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        wire = chip.technology.wire_energy_pj_per_mm * self.toggle_rate * self.link_length_mm
        return {Event.FLIT_HOPS: self.router_energy_pj + self.flit_bits * wire}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.router_area_um2

    def leakage_uw(self, chip: HardwareConfig) -> float:
        return self.router_leakage_uw

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles


class OffchipLink(Component):
    """Brings the image onto the chip, `bits_per_cycle` at a time."""

    bit_energy_pj: NonNegative
    bits_per_cycle: Count
    link_area_um2: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.IMAGE_BITS: self.bit_energy_pj}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.link_area_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return 1
