"""SRAM by capacity and width.

CACTI 7, low standby power (code), pJ a byte of a 64-bit access by capacity, at 32 and 65 nm. An access of w
bits costs w / 8 of that: bitlines and sense amplifiers, which dominate, are as many as the bits (derived).
Between the two nodes straight lines in the logarithms; beyond them, from the nearer one by Stillmaker and
Baas. SRAM bit 0.7391 um2 at 65 nm (SpikeSim's estimator, code), by the square of the feature size (derived:
cells are lithography-bound).
"""

from __future__ import annotations

from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Estimate

_READ_PJ_PER_BYTE = {
    32.0: {512: 0.093, 2048: 0.187, 8192: 0.430, 16384: 0.818, 65536: 1.79},
    65.0: {512: 0.334, 2048: 0.453, 8192: 1.39, 16384: 2.62, 65536: 6.03},
}
_CELLS_NM = 65.0
_SRAM_BIT_UM2 = 0.7391


def read_energy_table(node_nm: float) -> tuple[list[list[float]], str]:
    """Rows of capacity in bytes and pJ a byte, and the rule."""
    nearest = min(max(node_nm, min(_READ_PJ_PER_BYTE)), max(_READ_PJ_PER_BYTE))
    beyond = nodes.energy_ratio(nearest, node_nm) if nearest != node_nm else 1.0
    rows = []
    for capacity in _READ_PJ_PER_BYTE[32.0]:
        by_node = {node: table[capacity] for node, table in _READ_PJ_PER_BYTE.items()}
        rows.append([float(capacity), nodes.loglog(by_node, nearest) * beyond])
    return rows, f"CACTI 7, lstp, 32 and 65 nm, at {nearest:g} nm{nodes.scaling(nearest, node_nm)}"


def sram_bit_area_um2(node_nm: float) -> Estimate:
    """Area of one bit, its share of the periphery included."""
    return Estimate(
        _SRAM_BIT_UM2 * (node_nm / _CELLS_NM) ** 2,
        f"SpikeSim's estimator: 0.7391 um2 at 65 nm, times ({node_nm:g} / 65)^2",
    )
