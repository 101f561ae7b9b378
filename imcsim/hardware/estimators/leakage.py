"""Static power of logic by its area, from three sources that lie three decades apart.

``low``: NeuroSim V1.4's low-standby-power gates. ``middle``: Aladdin's adder of 1 ns at 40 nm, brought to
other nodes by the ratio of the high figures. ``high``: NeuroSim's high-performance gates; below 22 nm, which
they do not reach, by the trend of the low ones (derived). A chip clocked at 1 GHz is made of transistors
faster than the low ones and its memories of slower ones than the high ones, so the middle is the default and
both others are its range. The figures stand in ``hardware/figures/leakage.yaml``.
"""

from __future__ import annotations

from typing import Literal

from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.figures import by_node, figures

Level = Literal["low", "middle", "high"]


def logic_leakage_uw_per_um2(level: Level, node_nm: float, kelvin: int) -> Estimate:
    """Static power of logic per area.

    Args:
        level: which source.
        node_nm: technology node.
        kelvin: 300, 330 or 360; ``middle`` has one temperature, which its source does not state.
    """
    table = figures("leakage")
    if level == "middle":
        entry = table["middle"]
        value = entry["value"] * _high(node_nm) / _high(entry["node_nm"])
        return Estimate(value * 1e-3, f"Aladdin, adder at 40 nm; to {node_nm:g} nm by NeuroSim V1.4", "power")
    density = _low(node_nm) if level == "low" else _high(node_nm)
    rule = f"NeuroSim V1.4, {'low standby power' if level == 'low' else 'high performance'}, {kelvin} K"
    return Estimate(density * table[level]["over_300_k"][kelvin] * 1e-3, f"{rule}, {node_nm:g} nm", "power")


def _low(node_nm: float) -> float:
    return nodes.loglog(by_node(figures("leakage")["low"]), node_nm)


def _high(node_nm: float) -> float:
    table = by_node(figures("leakage")["high"])
    smallest = min(table)
    if node_nm >= smallest:
        return nodes.loglog(table, node_nm)
    return table[smallest] * _low(node_nm) / _low(smallest)
