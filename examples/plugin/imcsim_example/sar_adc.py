"""Estimator ``sar_adc``: energy and time of a successive-approximation converter, by its bits.

Energy of a conversion: ``step_energy_pj x 2^bits`` (Walden's figure of merit, "Analog-to-digital converter
survey and analysis", IEEE JSAC 17(4), 1999), brought to the chip's node as imcsim's own estimates are. Time:
a comparison for each bit. The numbers stand in sar_adc.yaml.
"""

from __future__ import annotations

import math
from pathlib import Path

import yaml

from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.estimators import nodes
from imcsim.plugins import EstimatedFigures, Estimator

_NUMBERS = yaml.safe_load((Path(__file__).parent / "sar_adc.yaml").read_text(encoding="utf-8"))


class SarAdc(Estimator):
    """Energy and conversion time of the block ``adc``; area and leakage stay as the chip has them."""

    blocks = ("adc",)

    def figures(self, chip: HardwareConfig, block: str) -> EstimatedFigures:
        number = {key: about["value"] for key, about in _NUMBERS.items()}
        bits = chip.adc.bits if chip.adc.bits is not None else number["ideal_bits"]
        scaled = nodes.energy_ratio(number["node_nm"], chip.technology.node_nm)
        time_ns = bits * number["comparison_ns"]
        return EstimatedFigures(
            source="Walden 1999: energy of a step x 2^bits; a comparison for each bit",
            energy_pj={"conversions": number["step_energy_pj"] * 2**bits * scaled},
            times={"conversion_cycles": max(1, math.ceil(time_ns / chip.technology.clock_ns))},
        )
