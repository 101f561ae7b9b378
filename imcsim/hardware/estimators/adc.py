"""Converters by bits, rate and node.

``survey_fit``: the published fit of the Murmann ADC survey (Andrulis et al., arXiv 2404.06553; coefficients
as released in accelergy-adc-plug-in: code). The best Schreier figure of merit falls with the rate and is
bounded by the resolution::

    FOM_dB = min(213.781 - 2.8719 ln f_Hz, 128.307 + 3.22051 bits)
    SNDR_dB = 20 bits log10 2 + 10 log10 1.5
    E_pJ = 1/2 10^((SNDR - FOM) / 10) exp(26.0496 + 1.88004 ln node_nm - 2.82913 ln bits - 1.47020)
    A_um2 = exp(1.346 + 0.993 ln node_nm + 0.181 ln f_Hz + 0.299 ln E_pJ)

It gives 0.92 and 1.71 pJ at 32 nm, 3.50 and 6.49 pJ at 65 nm, for 4 and 8 bits up to 1 GS/s.

``neurosim``: NeuroSim V1.4, run at 32 and 65 nm for 4 and 8 bits (code): SAR 0.100, 0.213 and 0.271, 0.600
pJ; flash 0.047, 1.82 and 0.163, 6.09 pJ; the 4-bit SAR's area 223 and 921 um2. Between and beyond, straight
lines of the logarithm over bits and over the logarithm of the node (derived: a SAR's energy grows by the bit,
a flash converter's doubles with each, and both are near a straight line there). The SAR's area follows the
bits as ISAAC's does; a flash converter's area, which was not recorded, follows the survey fit.

``isaac``: the SAR of Kull et al., ISSCC 2013, in ISAAC (ISCA 2016, 32 nm, 1.2 GS/s, 8 bits: 16 mW and 9600
um2 for 8), other bits after Saberi et al. 2011 (derived); other nodes by Stillmaker and Baas.
"""

from __future__ import annotations

import math
from typing import Literal

from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Cost

Kind = Literal["sar", "flash"]

_NEUROSIM_PJ: dict[Kind, dict[float, tuple[float, float]]] = {
    "sar": {32.0: (0.100, 0.213), 65.0: (0.271, 0.600)},
    "flash": {32.0: (0.047, 1.82), 65.0: (0.163, 6.09)},
}
"""pJ of 4 and of 8 bits, by node."""

_NEUROSIM_SAR4_UM2 = {32.0: 223.0, 65.0: 921.0}

_ISAAC_NM = 32.0
_ISAAC = {
    4: (0.79, 361.0), 5: (0.99, 477.0), 6: (1.20, 627.0), 7: (1.42, 845.0), 8: (1.667, 1200.0),
    9: (1.97, 1828.0), 10: (2.38, 3002.0),
}  # fmt: skip
"""pJ and um2 by bits."""


def survey_fit(bits: int, rate_hz: float, node_nm: float) -> Cost:
    """The best converter that the survey lets expect."""
    merit_db = min(
        213.7806687348118 - 2.8719030399529957 * math.log(rate_hz), 128.3068287398817 + 3.2205115211 * bits
    )
    sndr_db = 20 * bits * math.log10(2) + 10 * math.log10(1.5)
    trend = 26.0496215686518 + 1.8800369206815004 * math.log(node_nm) - 2.8291256050594527 * math.log(bits)
    energy = 0.5 * 10 ** ((sndr_db - merit_db) / 10) * math.exp(trend - 1.4702022133784405)
    return Cost(
        energy,
        survey_area_um2(rate_hz, node_nm, energy),
        f"fit of the Murmann survey (arXiv 2404.06553): {bits} bits, {rate_hz / 1e9:g} GS/s, {node_nm:g} nm",
    )


def survey_area_um2(rate_hz: float, node_nm: float, energy_pj: float) -> float:
    """Area of a converter by the survey fit."""
    return math.exp(
        1.3461916439910742
        + 0.9932794744745022 * math.log(node_nm)
        + 0.18071538424508238 * math.log(rate_hz)
        + 0.29912426192653485 * math.log(energy_pj)
    )


def neurosim(kind: Kind, bits: int, rate_hz: float, node_nm: float) -> Cost:
    """NeuroSim's converter; its energy does not depend on the rate."""
    by_node = {
        node: four * (eight / four) ** ((bits - 4) / 4) for node, (four, eight) in _NEUROSIM_PJ[kind].items()
    }
    energy = nodes.loglog(by_node, node_nm)
    rule = f"NeuroSim V1.4 {kind}: {bits} bits, {node_nm:g} nm"
    if kind == "flash":
        return Cost(
            energy, survey_area_um2(rate_hz, node_nm, energy), f"{rule}; area by the Murmann survey fit"
        )
    area = nodes.loglog(_NEUROSIM_SAR4_UM2, node_nm) * _isaac(bits)[1] / _isaac(4)[1]
    return Cost(energy, area, f"{rule}; area from 4 bits by ISAAC's ratio")


def isaac(bits: int, node_nm: float) -> Cost:
    """ISAAC's SAR; its energy does not depend on the rate."""
    energy, area = _isaac(bits)
    return Cost(
        energy * nodes.energy_ratio(_ISAAC_NM, node_nm),
        area * nodes.area_ratio(_ISAAC_NM, node_nm),
        f"ISAAC, ISCA 2016, Saberi et al. 2011: {bits} bits{nodes.scaling(_ISAAC_NM, node_nm)}",
    )


def _isaac(bits: int) -> tuple[float, float]:
    """From the table; beyond it by the ratio of its last two rows."""
    low, high = min(_ISAAC), max(_ISAAC)
    if low <= bits <= high:
        return _ISAAC[bits]
    end, inner = (low, low + 1) if bits < low else (high, high - 1)
    steps = abs(bits - end)
    energy, area = (
        last * (last / before) ** steps for last, before in zip(_ISAAC[end], _ISAAC[inner], strict=True)
    )
    return energy, area
