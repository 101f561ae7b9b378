"""Mesh routers and the links between them.

A flit costs its router and ``flit bits x toggle rate x link length x energy of a toggled bit and mm``; with
``activity.toggling: counted`` the wires cost what really toggles on them.
Estimates: ISAAC's router, linear in the flit's bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Count, Figure, NonNegative
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
    link_length_mm: NonNegative
    toggle_rate: ToggleRate
    router_area_um2: Figure
    router_leakage_uw: NonNegative

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        router = wires.router(self.flit_bits, chip.technology.node_nm)
        return {"router_energy_pj": router.energy, "router_area_um2": router.area}

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        wire = chip.technology.wire_pj_per_mm(chip) * self.link_length_mm
        router = self.figure("router_energy_pj", chip)
        if chip.activity.toggling == "counted":
            # Addresses of spikes are not followed bit by bit; they toggle at the given rate.
            spikes = {Event.NOC_TOGGLES: wire} if chip.activity.spike_coding == "bitmap" else {}
            dense = (Event.NOC_CURRENT_BITS,) if spikes else (Event.NOC_CURRENT_BITS, Event.NOC_VALUE_BITS)
            return {Event.FLIT_HOPS: router, **spikes, **dict.fromkeys(dense, wire * self.toggle_rate)}
        return {Event.FLIT_HOPS: router + self.flit_bits * wire * self.toggle_rate}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("router_area_um2", chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return self.router_leakage_uw

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles
