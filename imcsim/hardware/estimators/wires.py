"""Wires, buses, routers and the clock tree.

Wire: a toggled bit over one mm, by node from one of three sources (``hardware/figures/wires.yaml``):
``repeated`` wires of NeuroSim V1.4, ``bare`` ones, 1/2 C V^2 at 0.2 fF/um, without repeaters, and CACTI 7's
global wires (``cacti``). Bus and router, of the same file: ISAAC, ISCA 2016, 32 nm (derived from its
powers), by the bit; a router is shared by four tiles. Clock: an H-tree over a square of side s with 4^k
leaves has ``1.5 (2^k - 1) s`` of wire (three half-sides in the first H, twice as much in each further
level), here for any number of leaves with their square root in place of 2^k; it toggles twice a cycle
(derived; the clock inputs of registers are part of a register's energy).
"""

from __future__ import annotations

import math
from typing import Literal

from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Cost, Estimate
from imcsim.hardware.estimators.figures import by_node, figures

WireKind = Literal["bare", "repeated", "cacti"]


def wire_energy_pj_per_mm(kind: WireKind, node_nm: float) -> Estimate:
    """One toggled bit over one mm."""
    entry = figures("wires")[kind]
    table = by_node(entry)
    at = min(max(node_nm, min(table)), max(table))
    beyond, rule = 1.0, f"{entry['name']}, at {at:g} nm"
    if at != node_nm:
        bare = by_node(figures("wires")["bare"])
        beyond = nodes.loglog(bare, node_nm) / nodes.loglog(bare, at)
        rule += f"; to {node_nm:g} nm as a bare wire"
    return Estimate(nodes.loglog(table, at) * beyond, rule, "energy")


def delay_ns_per_mm(node_nm: float) -> Estimate:
    """Time that a signal takes over one mm of wire with repeaters."""
    entry = figures("wires")["delay_ns_per_mm"]
    return Estimate(nodes.loglog(by_node(entry), node_nm), f"{entry['name']}, at {node_nm:g} nm")


def side_mm(area_um2: float) -> Estimate:
    """From one tile to the next: the side of a square of this area."""
    return Estimate(math.sqrt(area_um2) * 1e-3, f"side of a tile of {area_um2:.4g} um2")


def half_side_mm(area_um2: float) -> Estimate:
    """From the middle of a tile to its PEs, on average: half the side of a square of this area."""
    return Estimate(math.sqrt(area_um2) * 0.5e-3, f"half the side of a tile of {area_um2:.4g} um2")


def bus_area_um2(bits: int, node_nm: float) -> Estimate:
    """A bus of `bits` out and as many back."""
    entry = figures("wires")["bus"]
    at, per_bit = float(entry["node_nm"]), float(entry["value"]) / entry["bits"]
    return Estimate(
        2 * bits * per_bit * nodes.area_ratio(at, node_nm),
        f"ISAAC, ISCA 2016: {per_bit:.1f} um2 a bit, {bits} bits out and back{nodes.scaling(at, node_nm)}",
    )


def router(flit_bits: int, node_nm: float) -> Cost:
    """One flit through one tile's share of a router; both linear in the flit's bits."""
    entry = figures("wires")["router"]
    at, (energy, area) = float(entry["node_nm"]), entry["value"]
    return Cost(
        energy / entry["bits"] * flit_bits * nodes.energy_ratio(at, node_nm),
        area / entry["tiles"] * flit_bits / entry["flit_bits"] * nodes.area_ratio(at, node_nm),
        f"ISAAC, ISCA 2016: router, linear in {flit_bits} flit bits{nodes.scaling(at, node_nm)}",
    )


def clock_tree_mm(area_um2: float, leaves: int) -> float:
    """Wire of an H-tree over a square of this area."""
    return 1.5 * (math.sqrt(leaves) - 1) * math.sqrt(area_um2) * 1e-3


def clock_cycle_pj(area_um2: float, leaves: int, wire_pj_per_mm: float) -> Estimate:
    """Both edges of one clock cycle over a tile's tree."""
    length = clock_tree_mm(area_um2, leaves)
    return Estimate(
        2 * length * wire_pj_per_mm,
        f"H-tree of {length:.3g} mm over the tile to {leaves} clusters of registers, both edges",
    )
