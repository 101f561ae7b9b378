"""Wordline drivers and column multiplexers, scaled from one published figure each.

Driver: ISAAC, ISCA 2016, 32 nm (derived): 4.17 uW during a read pulse and 0.166 um2 a row (4 mW and 170 um2
for 8 x 128 one-bit DACs, busy 100 of every 106.7 ns). Multiplexer: SpikeSim's estimator, 65 nm (code):
0.094245 pJ a switch and 45.9 um2 for eight columns, linear in the columns (derived: one transmission gate
each).
"""

from __future__ import annotations

from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Cost, Estimate

_DRIVER_NM = 32.0
_DRIVER_UW, _DRIVER_UM2 = 4.17, 0.166
_MUX_NM = 65.0
_MUX_PJ, _MUX_UM2, _MUX_COLUMNS = 0.094245, 45.9, 8


def driver_power_uw(node_nm: float) -> Estimate:
    """One row while it is driven; power at an equal pulse goes like energy."""
    rule = f"ISAAC, ISCA 2016: one-bit DAC{nodes.scaling(_DRIVER_NM, node_nm)}"
    return Estimate(_DRIVER_UW * nodes.energy_ratio(_DRIVER_NM, node_nm), rule)


def driver_area_um2(node_nm: float) -> Estimate:
    """One row."""
    rule = f"ISAAC, ISCA 2016: one-bit DAC{nodes.scaling(_DRIVER_NM, node_nm)}"
    return Estimate(_DRIVER_UM2 * nodes.area_ratio(_DRIVER_NM, node_nm), rule)


def multiplexer(columns: int, node_nm: float) -> Cost:
    """One of `columns` bitlines led to their ADC."""
    share = columns / _MUX_COLUMNS
    return Cost(
        _MUX_PJ * share * nodes.energy_ratio(_MUX_NM, node_nm),
        _MUX_UM2 * share * nodes.area_ratio(_MUX_NM, node_nm),
        f"SpikeSim's estimator: multiplexer, linear in {columns} columns{nodes.scaling(_MUX_NM, node_nm)}",
    )
