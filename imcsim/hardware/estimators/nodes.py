"""Scaling between technology nodes, after Stillmaker and Baas, "Scaling equations for the accurate prediction
of CMOS device performance from 180 nm to 7 nm", Integration 58 (2017).

Area: the paper's table of area factors, of which the row that compares with 7 nm is kept (mark 2nd: as
released in UCLA NanoCAD's nodeScale). Energy: ``a V^2 + b V + c`` with the paper's coefficients for each node
(2nd, same release), high-performance variant below 65 nm, at the node's nominal supply (est: predictive
technology models). A node between two of the table is interpolated in the logarithms. One number a node makes
the rule transitive: a to b to c is a to c.
"""

from __future__ import annotations

import math

from imcsim.base.errors import ImcsimError

RULE = "Stillmaker and Baas 2017"

_AREA = {
    180: 320.0, 130: 110.0, 90: 48.0, 65: 25.0, 45: 17.0, 32: 7.8, 20: 3.6, 16: 3.2, 14: 2.9, 10: 1.7, 7: 1.0,
}  # fmt: skip
"""Area of the same circuit, 7 nm = 1."""

_ENERGY = {
    180: (0.0, 24.64, -17.98),
    130: (7.171, -6.709, 2.904),
    90: (4.762, -4.781, 2.092),
    65: (3.755, -4.398, 1.975),
    45: (1.018, -0.3107, 0.1539),
    32: (0.8367, -0.4341, 0.1701),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    14: (0.2363, -0.09675, 0.02239),
    10: (0.2068, -0.09311, 0.02375),
    7: (0.1776, -0.09097, 0.02447),
}
"""Coefficients a, b, c of energy over supply voltage."""

_SUPPLY_V = {
    180: 1.8, 130: 1.3, 90: 1.2, 65: 1.1, 45: 1.0, 32: 0.9, 20: 0.9, 16: 0.85, 14: 0.8, 10: 0.75, 7: 0.7,
}  # fmt: skip
"""Nominal supply of high-performance logic."""


def area_ratio(from_nm: float, to_nm: float) -> float:
    """What to multiply an area with. Raises ImcsimError outside 7 to 180 nm."""
    return _between(_AREA, to_nm) / _between(_AREA, from_nm)


def energy_ratio(from_nm: float, to_nm: float) -> float:
    """What to multiply a switching energy with, both at nominal supply. Raises ImcsimError outside 7 to 180
    nm.
    """
    return _between(_RELATIVE_ENERGY, to_nm) / _between(_RELATIVE_ENERGY, from_nm)


def scaling(from_nm: float, to_nm: float) -> str:
    """How a rule says that figures went from one node to another; "" where they did not."""
    return "" if from_nm == to_nm else f"; {from_nm:g} nm to {to_nm:g} nm by {RULE}"


def loglog(points: dict[float, float], x: float) -> float:
    """Straight line in the logarithms through the neighbours of `x`; the outermost two beyond the ends."""
    if x in points:
        return points[x]
    xs = sorted(points)
    upper = next((k for k, known in enumerate(xs) if known >= x), len(xs) - 1)
    upper = max(upper, 1)
    x0, x1 = xs[upper - 1], xs[upper]
    share = math.log(x / x0) / math.log(x1 / x0)
    return math.exp((1 - share) * math.log(points[x0]) + share * math.log(points[x1]))


def _at_supply(node: int) -> float:
    a, b, c = _ENERGY[node]
    volt = _SUPPLY_V[node]
    return a * volt**2 + b * volt + c


_RELATIVE_ENERGY = {node: _at_supply(node) for node in _ENERGY}


def _between(table: dict[int, float], node_nm: float) -> float:
    if not min(table) <= node_nm <= max(table):
        raise ImcsimError(
            f"no scaling rule reaches {node_nm:g} nm",
            key="technology.node_nm",
            fix=f"use {min(table)} to {max(table)} nm, or give the figures instead of `estimate`",
        )
    return loglog({float(node): value for node, value in table.items()}, node_nm)
