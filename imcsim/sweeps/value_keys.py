"""What of a chip's errors its values depend on, so that chips that differ in nothing else share them."""

from __future__ import annotations

from dataclasses import replace

from imcsim.functional.nonideal import ConverterErrors, Drift, NonIdeal, Variation
from imcsim.functional.nonideal.ir_drop import Circuit


def telling(errors: NonIdeal) -> NonIdeal:
    """`errors` with everything at its default that no value depends on.

    The kind of a variation of 0, say, the time of a chip that does not drift, or seed and number of a chip of
    which nothing is drawn. Where ADC scales were set does not count: the scales themselves are known.
    """
    variation, stuck, drift = errors.variation, errors.stuck, errors.drift
    converter = errors.converter
    varies = any(variation.sigma)
    drifts = drift.time_s != drift.reference_time_s and bool(drift.exponent or drift.exponent_sigma)
    adcs_differ = bool(converter.offset_lsb or converter.gain_sigma)
    drawn = bool(
        varies
        or stuck.on_rate
        or stuck.off_rate
        or (drifts and drift.exponent_sigma)
        or adcs_differ
        or errors.noisy
    )
    wired = not errors.wires.ideal
    return replace(
        errors,
        seed=errors.seed if drawn else 0,
        chip=errors.chip if drawn else 0,
        # Columns of one crossbar share wires, a reference column and ADCs.
        columns=errors.columns if wired or errors.referenced or adcs_differ else 0,
        columns_per_adc=errors.columns_per_adc if adcs_differ else 0,
        level_siemens=errors.level_siemens if wired else 0.0,
        reference_column=errors.reference_column or not errors.off_level,
        variation=variation if varies else Variation(),
        drift=drift if drifts else Drift(),
        wires=errors.wires if wired else Circuit(),
        converter=converter if adcs_differ or converter.noise_lsb else ConverterErrors(),
        calibrated_itself=False,
        encoder_kept=errors.encoder_kept and errors.noisy,
    )
