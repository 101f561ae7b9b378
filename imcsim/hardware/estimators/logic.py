"""Digital logic: adders, registers, comparators, multipliers.

Shao et al., "Aladdin", ISCA 2014, at 40 nm and 1 ns (code), for cycles that are no shorter: adder, comparator
and multiplier of 32 bits, and one bit of a register, in ``hardware/figures/logic.yaml``. Adders, comparators
and registers grow linearly with their bits, a multiplier with the product of its operands' bits (array
multiplier, derived).
"""

from __future__ import annotations

from imcsim.base.plurals import counted
from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Cost, Estimate
from imcsim.hardware.estimators.figures import figures

NODE_NM = 40.0
BITS = 32


def adder(bits: int, node_nm: float) -> Cost:
    """One addition of two `bits`-bit words."""
    return _scaled("adder", bits / BITS, node_nm, f"adder of {counted(bits, 'bit')}, linear in bits")


def comparator(bits: int, node_nm: float) -> Cost:
    """One comparison of two `bits`-bit words."""
    return _scaled(
        "comparator", bits / BITS, node_nm, f"comparator of {counted(bits, 'bit')}, linear in bits"
    )


def register(bits: int, node_nm: float) -> Cost:
    """One write of a `bits`-bit register."""
    return _scaled("register_bit", bits, node_nm, f"register of {counted(bits, 'bit')}, linear in bits")


def multiplier(bits: int, other_bits: int, node_nm: float) -> Cost:
    """One product of a `bits`-bit and an `other_bits`-bit word."""
    share = bits * other_bits / BITS**2
    return _scaled("multiplier", share, node_nm, f"multiplier of {bits} x {other_bits} bits, linear in both")


def clock_ns(node_nm: float) -> Estimate:
    """The shortest cycle in which these operations are done."""
    shortest = float(figures("logic")["clock_ns"]["value"]) * node_nm / NODE_NM
    return Estimate(shortest, f"Aladdin, ISCA 2014: operations of 1 ns at {NODE_NM:g} nm", "delay")


def _scaled(unit: str, share: float, node_nm: float, what: str) -> Cost:
    energy, area = figures("logic")[unit]["value"]
    return Cost(
        energy * share * nodes.energy_ratio(NODE_NM, node_nm),
        area * share * nodes.area_ratio(NODE_NM, node_nm),
        f"Aladdin, ISCA 2014: {what}{nodes.scaling(NODE_NM, node_nm)}",
    )
