"""Reference: ladder, buffer and bias generators of the converters, where their source leaves these out.

NeuroSim's converters have none; those that were measured, or quoted as whole powers, have them inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from imcsim.hardware.component import ChipSize, Component
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

Share = Annotated[float, Field(ge=0, le=1)]


class ConverterReference(Component):
    """Shares of the energy and of the area of the converters that it serves."""

    block = "converter_reference"
    scope = "crossbar"
    energy_share: Share
    area_share: Share

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        if self._inside(chip):
            return {Event.CONVERSIONS: 0.0}
        return {Event.CONVERSIONS: self.energy_share * chip.adc.conversion_energy_pj(chip)}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return 0.0 if self._inside(chip) else self.area_share * chip.adc.area_um2(chip)

    def _inside(self, chip: HardwareConfig) -> bool:
        return chip.adc.used.model != "neurosim"

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return chip.adc_count(size)
