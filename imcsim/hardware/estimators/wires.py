"""Wires, buses, routers and the clock tree.

Wire: NeuroSim V1.4, 0.100 pJ at 32 nm and 0.145 pJ at 65 nm a toggled bit and mm (code); other nodes on the
straight line through both in the logarithms (derived). Bus and router: ISAAC, ISCA 2016, 32 nm (derived from
its powers): 29.3 um2 a bit of the tile bus; 20.74 pJ for 256 bits through a router of 150,000 um2 that four
tiles share. Clock: an H-tree over a square of side s with 4^k leaves has ``1.5 (2^k - 1) s`` of wire (three
half-sides in the first H, twice as much in each further level), here for any number of leaves with their
square root in place of 2^k; every bit of it toggles twice a cycle (derived; buffers and register inputs are
not in it, so it is a lower bound).
"""

from __future__ import annotations

import math

from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Cost, Estimate

_WIRE_PJ_PER_MM = {32.0: 0.100, 65.0: 0.145}
_ISAAC_NM = 32.0
_BUS_UM2_PER_BIT = 7500 / 256
_ROUTER_PJ_PER_BIT = 20.74 / 256
_ROUTER_UM2 = 150_000 / 4
_ROUTER_FLIT_BITS = 32


def wire_energy_pj_per_mm(node_nm: float) -> Estimate:
    """One toggled bit over one mm."""
    return Estimate(nodes.loglog(_WIRE_PJ_PER_MM, node_nm), f"NeuroSim V1.4, 32 and 65 nm, at {node_nm:g} nm")


def bus_area_um2(bits: int, node_nm: float) -> Estimate:
    """A bus of `bits` out and as many back."""
    return Estimate(
        2 * bits * _BUS_UM2_PER_BIT * nodes.area_ratio(_ISAAC_NM, node_nm),
        f"ISAAC, ISCA 2016: 29.3 um2 a bit, {bits} bits out and back{nodes.scaling(_ISAAC_NM, node_nm)}",
    )


def router(flit_bits: int, node_nm: float) -> Cost:
    """One flit through one tile's share of a router; both linear in the flit's bits."""
    return Cost(
        _ROUTER_PJ_PER_BIT * flit_bits * nodes.energy_ratio(_ISAAC_NM, node_nm),
        _ROUTER_UM2 * flit_bits / _ROUTER_FLIT_BITS * nodes.area_ratio(_ISAAC_NM, node_nm),
        f"ISAAC, ISCA 2016: router, linear in {flit_bits} flit bits{nodes.scaling(_ISAAC_NM, node_nm)}",
    )


def clock_tree_mm(area_um2: float, leaves: int) -> float:
    """Wire of an H-tree over a square of this area."""
    return 1.5 * (math.sqrt(leaves) - 1) * math.sqrt(area_um2) * 1e-3


def clock_cycle_pj(area_um2: float, leaves: int, wire_pj_per_mm: float) -> Estimate:
    """Both edges of one clock cycle over a tile's tree."""
    length = clock_tree_mm(area_um2, leaves)
    return Estimate(
        2 * length * wire_pj_per_mm,
        f"H-tree of {length:.3g} mm over the tile to {leaves} PEs, both edges, wires alone",
    )
