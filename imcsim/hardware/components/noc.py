"""Mesh routers and the links between them.

A flit costs its router and ``flit bits x toggle rate x link length x energy of a toggled bit and mm``; with
``activity.toggling: counted`` the wires cost what really toggles on them.
Estimates: ISAAC's router, linear in the flit's bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ESTIMATE, ChipSize, Component, Count, Figure
from imcsim.hardware.components.htree import ToggleRate
from imcsim.hardware.estimators import wires
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Noc(Component):
    """2-D mesh, XY routing; a router a tile. A flit passes a router and its link in `hop_cycles`."""

    block = "noc"
    scope = "tile"
    flit_bits: Count
    hop_cycles: Count
    router_energy_pj: Figure
    """One flit through one router."""
    link_length_mm: Figure
    toggle_rate: ToggleRate
    sum_toggle_rate: ToggleRate
    """Of partial sums, currents and class outputs."""
    router_area_um2: Figure
    router_leakage_uw: Figure

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        router = wires.router(self.flit_bits, chip.technology.node_nm)
        um2 = self._area_um2(chip)
        rule = f"{um2:.4g} um2 at technology.logic_leakage_uw_per_um2"
        leakage = Estimate(chip.technology.logic_leakage_uw(um2, chip), rule)
        return {
            "router_energy_pj": router.energy,
            "router_area_um2": router.area,
            "router_leakage_uw": leakage,
            "link_length_mm": wires.side_mm(chip.tile_area_um2()),
        }

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        wire = chip.technology.wire_pj_per_mm(chip) * self.figure("link_length_mm", chip)
        router = self.figure("router_energy_pj", chip)
        if chip.activity.toggling == "counted":
            # Addresses of spikes are not followed bit by bit; they toggle at the given rate.
            spikes = {Event.NOC_TOGGLES: wire} if chip.activity.spike_coding == "bitmap" else {}
            values = {} if spikes else {Event.NOC_VALUE_BITS: wire * self.toggle_rate}
            sums = {Event.NOC_CURRENT_BITS: wire * self.sum_toggle_rate}
            return {Event.FLIT_HOPS: router, **spikes, **sums, **values}
        return {
            Event.FLIT_HOPS: router,
            Event.NOC_VALUE_BITS: wire * self.toggle_rate,
            Event.NOC_CURRENT_BITS: wire * self.sum_toggle_rate,
        }

    def _area_um2(self, chip: HardwareConfig) -> float:
        # Not by `figure`: the length of a link depends on the area of a tile, and so on this.
        if self.router_area_um2 == ESTIMATE:
            return wires.router(self.flit_bits, chip.technology.node_nm).area_um2
        return float(self.router_area_um2)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return self.figure("router_leakage_uw", chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles
