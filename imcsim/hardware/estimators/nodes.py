"""Scaling between technology nodes, after Stillmaker and Baas, "Scaling equations for the accurate prediction
of CMOS device performance from 180 nm to 7 nm", Integration 58 (2017).

Area: the paper's table of area factors, of which the row that compares with 7 nm is kept (mark 2nd: as
released in UCLA NanoCAD's nodeScale). Energy: ``a V^2 + b V + c`` with the paper's coefficients for each
node (2nd, same release), high-performance variant below 65 nm, at the node's nominal supply (est: predictive
technology models). A node between two of the table is interpolated in the logarithms. One number a node
makes the rule transitive: a to b to c is a to c. The figures stand in ``hardware/figures/nodes.yaml``.
"""

from __future__ import annotations

import math
from functools import cache

from imcsim.base.errors import ImcsimError
from imcsim.hardware.estimators.figures import by_node, figures

RULE = "Stillmaker and Baas 2017"


def area_ratio(from_nm: float, to_nm: float) -> float:
    """What to multiply an area with. Raises ImcsimError outside 7 to 180 nm."""
    return _between(_areas(), to_nm) / _between(_areas(), from_nm)


def energy_ratio(from_nm: float, to_nm: float) -> float:
    """What to multiply a switching energy with, both at nominal supply. Raises ImcsimError outside 7 to 180
    nm.
    """
    return _between(_energies(), to_nm) / _between(_energies(), from_nm)


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


@cache
def _areas() -> dict[float, float]:
    """Area of the same circuit, 7 nm = 1."""
    return by_node(figures("nodes")["area"])


@cache
def _energies() -> dict[float, float]:
    """Switching energy of the same circuit at the nominal supply of each node."""
    volts = by_node(figures("nodes")["supply_v"])
    a, b, c = (by_node(figures("nodes")["energy"], k) for k in range(3))
    return {node: a[node] * volt**2 + b[node] * volt + c[node] for node, volt in volts.items()}


def _between(table: dict[float, float], node_nm: float) -> float:
    if not min(table) <= node_nm <= max(table):
        raise ImcsimError(
            f"no scaling rule reaches {node_nm:g} nm",
            key="technology.node_nm",
            fix=f"use {min(table):g} to {max(table):g} nm, or give the figures instead of `estimate`",
        )
    return loglog(table, node_nm)
