"""Digital logic: adders, registers, comparators, multipliers.

Shao et al., "Aladdin", ISCA 2014, at 40 nm and 1 ns (code): adder 0.21 pJ and 278 um2, comparator 0.0295 pJ
and 71 um2, multiplier 12.68 pJ and 6350 um2, all at 32 bits; a register bit 0.009 pJ and 5.98 um2. Adders,
comparators and registers grow linearly with their bits, a multiplier with the product of its operands' bits
(array multiplier, derived).
"""

from __future__ import annotations

from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Cost

NODE_NM = 40.0
BITS = 32

_ADDER = (0.21, 278.0)
_COMPARATOR = (0.0295, 71.0)
_MULTIPLIER = (12.68, 6350.0)
_REGISTER_BIT = (0.009, 5.98)


def adder(bits: int, node_nm: float) -> Cost:
    """One addition of two `bits`-bit words."""
    return _scaled(_ADDER, bits / BITS, node_nm, f"adder of {bits} bits, linear in bits")


def comparator(bits: int, node_nm: float) -> Cost:
    """One comparison of two `bits`-bit words."""
    return _scaled(_COMPARATOR, bits / BITS, node_nm, f"comparator of {bits} bits, linear in bits")


def register(bits: int, node_nm: float) -> Cost:
    """One write of a `bits`-bit register."""
    return _scaled(_REGISTER_BIT, bits, node_nm, f"register of {bits} bits, linear in bits")


def multiplier(bits: int, other_bits: int, node_nm: float) -> Cost:
    """One product of a `bits`-bit and an `other_bits`-bit word."""
    share = bits * other_bits / BITS**2
    return _scaled(_MULTIPLIER, share, node_nm, f"multiplier of {bits} x {other_bits} bits, linear in both")


def _scaled(figures: tuple[float, float], share: float, node_nm: float, what: str) -> Cost:
    energy, area = figures
    return Cost(
        energy * share * nodes.energy_ratio(NODE_NM, node_nm),
        area * share * nodes.area_ratio(NODE_NM, node_nm),
        f"Aladdin, ISCA 2014: {what}{nodes.scaling(NODE_NM, node_nm)}",
    )
