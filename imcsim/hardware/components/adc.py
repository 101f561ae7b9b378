"""ADC: energy, area and rate of one conversion, from a named preset.

Published 4-bit and 8-bit ADCs at one node differ by more than ten times, so a config lists several with their
sources and names the one in use; reports price all of them. A preset's figures are given, or say ``estimate``
and follow its `model` over bits, rate and node (estimators.adc has the rules).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from imcsim.base.choices import FullScale
from imcsim.hardware.component import ESTIMATE, Block, ChipSize, Component, Count, Figure
from imcsim.hardware.estimators import adc
from imcsim.hardware.estimators.estimate import Cost, Estimate
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class AdcPreset(Block):
    """One converter: a successive-approximation (``sar``) or ``flash`` one.

    `model` says which rule computes the figures that say ``estimate``; ``given`` computes none.
    """

    kind: Literal["sar", "flash"]
    model: Literal["given", "survey_fit", "neurosim", "isaac"]
    conversion_energy_pj: Figure
    converter_area_um2: Figure

    @model_validator(mode="after")
    def _has_a_model(self) -> AdcPreset:
        if self.model == "given" and ESTIMATE in (self.conversion_energy_pj, self.converter_area_um2):
            raise ValueError("model given needs both figures as numbers; other models may say estimate")
        if self.model == "isaac" and self.kind != "sar":
            raise ValueError("model isaac is a sar converter")
        return self

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        cost = self._cost(chip)
        return {} if cost is None else {"conversion_energy_pj": cost.energy, "converter_area_um2": cost.area}

    def _cost(self, chip: HardwareConfig) -> Cost | None:
        bits, node = chip.adc.bits, chip.technology.node_nm
        rate_hz = 1e9 / (chip.technology.clock_ns * chip.adc.conversion_cycles)
        match self.model:
            case "survey_fit":
                return adc.survey_fit(bits, rate_hz, node)
            case "neurosim":
                return adc.neurosim(self.kind, bits, rate_hz, node)
            case "isaac":
                return adc.isaac(bits, node)
            case _:
                return None


class Adc(Component):
    """`bits` sets rounding and clipping; `full_scale` and `percentile` set the step (see
    functional.numerics).
    """

    block = "adc"
    scope = "crossbar"
    bits: Annotated[int, Field(ge=1, le=14)]
    full_scale: FullScale
    percentile: Annotated[float, Field(gt=50, le=100)]
    conversion_cycles: Count
    preset: str
    presets: Annotated[dict[str, AdcPreset], Field(min_length=1)]

    @model_validator(mode="after")
    def _preset_exists(self) -> Adc:
        odd = [name for name in self.presets if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)]
        if odd:
            raise ValueError(f"the preset name {odd[0]!a:.70} may have only letters, digits, - and _")
        if self.preset not in self.presets:
            raise ValueError(f"preset {self.preset!r} is not one of {', '.join(sorted(self.presets))}")
        return self

    @property
    def used(self) -> AdcPreset:
        """The preset in use."""
        return self.presets[self.preset]

    def conversion_energy_pj(self, chip: HardwareConfig) -> float:
        """Energy of one conversion with the preset in use."""
        return self.charges(chip)[Event.CONVERSIONS]

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        return {
            f"presets.{name}.{key}": estimate
            for name, preset in self.presets.items()
            for key, estimate in preset.estimates(chip).items()
        }

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.CONVERSIONS: self.used.figure("conversion_energy_pj", chip)}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.used.figure("converter_area_um2", chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return chip.adc_count(size)
