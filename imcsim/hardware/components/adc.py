"""ADC: energy, area and rate of one conversion, from a named preset.

Published 4-bit and 8-bit ADCs at one node differ by more than ten times, so a config lists several with their sources
and names the one in use; reports price all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from imcsim.choices import FullScale
from imcsim.hardware.component import ChipSize, Component, Count, NonNegative
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class AdcPreset(Component):
    """One published converter at the config's bits and node."""

    conversion_energy_pj: NonNegative
    converter_area_um2: NonNegative


class Adc(Component):
    """`bits` sets rounding and clipping; `full_scale` and `percentile` set the step (see functional.numerics)."""

    bits: Annotated[int, Field(ge=1, le=14)]
    full_scale: FullScale
    percentile: Annotated[float, Field(gt=50, le=100)]
    conversion_cycles: Count
    preset: str
    presets: Annotated[dict[str, AdcPreset], Field(min_length=1)]

    @model_validator(mode="after")
    def _preset_exists(self) -> Adc:
        if self.preset not in self.presets:
            raise ValueError(f"preset {self.preset!r} is not one of {', '.join(sorted(self.presets))}")
        return self

    @property
    def used(self) -> AdcPreset:
        """The preset in use."""
        return self.presets[self.preset]

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.CONVERSIONS: self.used.conversion_energy_pj}

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.used.converter_area_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return chip.adc_count(size)
