"""H-tree inside a tile, from the tile buffer to the PEs and back.

``wire``: ``toggle rate x length x energy of a toggled bit and mm`` for each bit; with ``activity.toggling:
counted`` the input bits that really toggle, at no rate. ``bus``: a given energy a
bit. ``given``: a given energy for each PE cycle, as SpikeSim charges it. Area estimate: ISAAC's bus by
``tile.bus_bits``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from imcsim.hardware.component import ESTIMATE, ChipSize, Component, Figure, NonNegative, Positive
from imcsim.hardware.estimators import wires
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

ToggleRate = Annotated[float, Field(ge=0, le=1)]


class _Htree(Component):
    block = "htree"
    scope = "tile"
    tree_area_um2: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        return {"tree_area_um2": wires.bus_area_um2(chip.tile.bus_bits, chip.technology.node_nm)}

    def _area_um2(self, chip: HardwareConfig) -> float:
        # Not by `figure`: the length of the tree depends on the area of a tile, and so on this.
        if self.tree_area_um2 == ESTIMATE:
            return wires.bus_area_um2(chip.tile.bus_bits, chip.technology.node_nm).value
        return float(self.tree_area_um2)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.technology.logic_leakage_uw(self.area_um2(chip), chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles


class WireHtree(_Htree):
    """Wires of `length_mm` from the tile buffer to a PE."""

    kind: Literal["wire"]
    length_mm: Positive | Literal["estimate"]
    toggle_rate: ToggleRate
    sum_toggle_rate: ToggleRate
    """Of partial sums, on their way back."""

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        return {**super().estimates(chip), "length_mm": wires.half_side_mm(chip.tile_area_um2())}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        wire = chip.technology.wire_pj_per_mm(chip) * self.figure("length_mm", chip)
        if chip.activity.toggling == "counted":
            return {Event.HTREE_TOGGLES: wire, Event.HTREE_SUM_BITS: wire * self.sum_toggle_rate}
        return {
            Event.HTREE_BITS: wire * self.toggle_rate,
            Event.HTREE_SUM_BITS: wire * self.sum_toggle_rate,
        }


class BusHtree(_Htree):
    """A given energy for each bit."""

    kind: Literal["bus"]
    bit_energy_pj: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return dict.fromkeys((Event.HTREE_BITS, Event.HTREE_SUM_BITS), self.bit_energy_pj)


class GivenHtree(_Htree):
    """A given energy for each PE cycle."""

    kind: Literal["given"]
    cycle_energy_pj: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.PE_CYCLES: self.cycle_energy_pj}


Htree = Annotated[WireHtree | BusHtree | GivenHtree, Field(discriminator="kind")]
