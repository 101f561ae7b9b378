"""What every component of the chip has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]

Scope = Literal["crossbar", "pe", "tile", "chip"]


class Component(BaseModel):
    """Fields are the component's config block; methods are its estimator.

    `charges` gives pJ for one event, `area_um2` and `leakage_uw` are for one instance, and there are `instances`
    of it on the chip.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        """Energy in pJ of each event that this component pays for."""
        raise NotImplementedError

    def area_um2(self, chip: HardwareConfig) -> float:
        """Area of one instance in um2."""
        raise NotImplementedError

    def leakage_uw(self, chip: HardwareConfig) -> float:
        """Static power of one instance in uW."""
        return 0.0

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        """How many instances a chip of this size has."""
        raise NotImplementedError


@dataclass(frozen=True)
class ChipSize:
    """What mapping a network took. Tiles are whole tiles, so crossbars and PEs include unused ones.

    neuron_bits: membrane and stored-current bits that the chip must hold.
    """

    tiles: int
    pes: int
    crossbars: int
    memory_bits: int
