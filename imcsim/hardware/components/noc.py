"""The network on chip: routers and the links between them, of a topology (see `imcsim.mapping.topologies`).

A flit costs its router and ``flit bits x toggle rate x link length x energy of a toggled bit and mm``; with
``activity.toggling: counted`` the wires cost what really toggles on them.
A link that spans several tiles costs as many times the wire.
Estimates: ISAAC's router, linear in the flit's bits. The chip's figures of area and leakage are those of a
mesh's router, which has five ports; another topology's has them in proportion to its ports, since buffers,
which go with them, are most of a router. The energy of a flit is the same in all: ISAAC's is of eight ports,
so those with fewer are charged too much rather than too little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.base.choices import NocTopology
from imcsim.hardware.component import ESTIMATE, ChipSize, Component, Count, Figure
from imcsim.hardware.components.htree import ToggleRate
from imcsim.hardware.estimators import wires
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


PORTS: Mapping[NocTopology, int] = {"mesh": 5, "ring": 3, "tree": 5, "concentrated_mesh": 8}
"""Of the routers of each topology."""


class Noc(Component):
    """Routers and links. A flit passes a router and its link in `hop_cycles`; a link that spans several tiles
    takes the further cycles of its wire.
    """

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
    topology: NocTopology = "mesh"
    """How tiles are joined."""

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

    def link_cycles(self, pitches: int, chip: HardwareConfig) -> int:
        """Clock cycles of a flit through a router and over a link that spans so many tiles."""
        if pitches <= 1:
            return self.hop_cycles
        delay = wires.delay_ns_per_mm(chip.technology.node_nm).value
        side = delay * self.figure("link_length_mm", chip) / chip.technology.clock_ns
        further = [max(1, math.ceil(sides * side - 1e-9)) for sides in (1, pitches)]
        return self.hop_cycles + further[1] - further[0]

    @property
    def _port_share(self) -> float:
        """Ports of a router over those of a mesh's, for which the chip's figures are."""
        return PORTS[self.topology] / PORTS["mesh"]

    def _area_um2(self, chip: HardwareConfig) -> float:
        # Not by `figure`: the length of a link depends on the area of a tile, and so on this.
        if self.router_area_um2 == ESTIMATE:
            return wires.router(self.flit_bits, chip.technology.node_nm).area_um2 * self._port_share
        return float(self.router_area_um2) * self._port_share

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        # An estimate follows the area, and so the ports.
        share = 1.0 if self.router_leakage_uw == ESTIMATE else self._port_share
        return self.figure("router_leakage_uw", chip) * share

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.tiles if size.routers is None else size.routers
