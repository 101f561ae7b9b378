"""Memory behind the off-chip link, outside the chip: images come from it, and class outputs go back to it.

Every bit passes the link as well and pays there. An image is on the chip when the DRAM's latency is over and
its bits have come, as fast as the slower of DRAM and link. Class outputs are written once for each image,
behind the verdict, and nobody waits for them. The background power (standby and refresh) counts for as long
as the chip is powered. It takes no area of the chip.

Presets and their sources stand in hardware/figures/dram.yaml.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from imcsim.hardware.component import Extra, NonNegative, Positive
from imcsim.hardware.estimators.figures import of_preset
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Dram(Extra):
    """A kind of memory; what is left out of its figures is that of the `preset`."""

    block = "dram"
    scope = "chip"
    preset: Literal["none", "lpddr4", "lpddr5", "hbm2"] = "none"
    bit_energy_pj: NonNegative | None = None
    """Of a bit read or written, its share of row activation and the memory's I/O included."""
    bits_per_ns: Positive | None = None
    latency_ns: NonNegative | None = None
    """From asking for data to the first of them."""
    background_uw: NonNegative | None = None
    """Power of standby and refresh."""

    @model_validator(mode="after")
    def _has_preset(self) -> Self:
        given = [key for key in ("bit_energy_pj", "bits_per_ns", "latency_ns", "background_uw")
                 if getattr(self, key) is not None]  # fmt: skip
        if given and not self.present:
            raise ValueError(
                f"{given[0]} is given, but there is no DRAM; set preset to lpddr4, lpddr5 or hbm2"
            )
        return self

    @property
    def present(self) -> bool:
        """Whether there is a DRAM at all."""
        return self.preset != "none"

    def known(self, key: str) -> float:
        """A figure of this memory, given or its preset's."""
        return of_preset("dram", self.preset, key, getattr(self, key))

    def transfer_cycles(self, bits: int, chip: HardwareConfig) -> int:
        """Cycles in which the memory gives or takes so many bits, without its latency."""
        if not self.present:
            return 0
        return math.ceil(bits / (self.known("bits_per_ns") * chip.technology.clock_ns))

    def latency_cycles(self, chip: HardwareConfig) -> int:
        """Cycles until the first bits come."""
        return math.ceil(self.known("latency_ns") / chip.technology.clock_ns) if self.present else 0

    def result_bits(self, classes: int, chip: HardwareConfig) -> int:
        """Bits of an image's class outputs that are written back."""
        return classes * chip.lif.partial_sum_bits if self.present else 0

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        if not self.present:
            return {}
        moved = [Event.IMAGE_BITS, Event.RESULT_BITS]
        if chip.reload.present:
            moved += [Event.WEIGHT_BITS, Event.STORED_BITS]
        return dict.fromkeys(moved, self.known("bit_energy_pj"))

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return self.known("background_uw") if self.present else 0.0
