"""What of a chip's errors its values depend on, so that chips that differ in nothing else share them."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

from pydantic import BaseModel

from imcsim.base.nonideal import ConverterErrors, Drift, Variation, Wires
from imcsim.functional.nonideal import DrawnChip


def telling(errors: DrawnChip) -> DrawnChip:
    """`errors` with everything at its default that no value depends on.

    The kind of a variation of 0, say, the time of a chip that does not drift, or seed and number of a chip of
    which nothing is drawn. Where ADC scales were set does not count: the scales themselves are known.
    """
    variation, stuck, drift, converter = errors.variation, errors.stuck, errors.drift, errors.converter
    drawn = bool(
        variation.varies
        or stuck.on_rate
        or stuck.off_rate
        or (drift.drifts and drift.exponent_sigma)
        or converter.differ
        or errors.noisy
        or errors.cell_errors is not None
    )
    wired = not errors.wires.ideal
    return replace(
        errors,
        seed=errors.seed if drawn else 0,
        chip=errors.chip if drawn else 0,
        # Columns of one crossbar share wires, a reference column and ADCs.
        columns=errors.columns if wired or errors.referenced or converter.differ else 0,
        columns_per_adc=errors.columns_per_adc if converter.differ else 0,
        level_siemens=errors.level_siemens if wired else 0.0,
        reference_column=errors.reference_column or not errors.off_level,
        variation=Variation(kind=variation.kind, sigma=errors.sigmas) if variation.varies else Variation(),
        drift=drift if drift.drifts else Drift(),
        wires=errors.wires if wired else Wires(),
        converter=converter.model_copy(update={"calibrated_on": "ideal"})
        if converter.err
        else ConverterErrors(),
        encoder_kept=errors.encoder_kept and errors.noisy,
    )


def as_plain_data(errors: DrawnChip) -> dict[str, Any]:
    """The chip as numbers, words and mappings, which a hash is taken of."""
    values = {about.name: getattr(errors, about.name) for about in fields(errors)}
    plugged = values.pop("cell_errors")
    plain = {
        key: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for key, value in values.items()
    }
    # Values of chips without a plug-in's model keep the names that they had.
    return plain if plugged is None else {**plain, "cell_errors": asdict(plugged)}
