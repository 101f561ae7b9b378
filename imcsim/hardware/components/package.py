"""A package of chips: how many share a network, how they are joined, and what their links take and cost.

All chips are alike. Each has one port for packets to others, which stands beside its global buffer, and one
end of a link for each chip that it is joined to. A packet waits whole in a port: it goes on over a link once
its last flit has come, and into the network on chip once it is through the link. A link carries
`bits_per_ns` each way, a head flit and flits that are filled up included, and takes `latency_ns` from the
first bit sent to the first one received. The energy of a bit counts both ends. What an end takes idle counts
as long as the chips are powered.

A verdict goes from the checker to all chips as one flit over each link of a tree, over lines of its own: it
waits for no packets.

Presets and their sources stand in hardware/figures/package.yaml.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from imcsim.base.arrangements import Arrangement, farthest, links_between
from imcsim.hardware.component import ChipSize, Component, NonNegative, Positive
from imcsim.hardware.estimators.figures import of_preset
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

MOST_CHIPS = 64

RATE_UNIT = 1_000_000
"""Bits per so many cycles: rates are whole numbers of them."""


class Package(Component):
    """Chips that share a network; what is left out of the figures of a link is that of its preset."""

    block = "package"
    scope = "chip"
    chips: Annotated[int, Field(ge=1, le=MOST_CHIPS)] = 1
    """Chips over which the layers of a network are spread."""
    arrangement: Arrangement = "chain"
    """Which chips have a link between them."""
    link: Literal["interposer", "organic", "board"] = "interposer"
    """Links over a silicon interposer, over an organic package, or over a board."""
    bit_energy_pj: NonNegative | None = None
    """Of a bit over a link, both ends included."""
    bits_per_ns: Positive | None = None
    """Of a link, each way."""
    latency_ns: NonNegative | None = None
    """From the first bit sent to the first one received."""
    port_area_um2: NonNegative | None = None
    """Of one end of a link."""
    port_power_uw: NonNegative | None = None
    """Of one end of a link that carries nothing."""

    def known(self, key: str) -> float:
        """A figure of a link, given or its preset's."""
        return of_preset("package", self.link, key, getattr(self, key))

    def bits_per_megacycle(self, chip: HardwareConfig) -> int:
        """Bits that a link carries each way in a million cycles: whole, so that all engines round alike."""
        return max(1, round(self.known("bits_per_ns") * chip.technology.clock_ns * RATE_UNIT))

    def transfer_cycles(self, bits: int, chip: HardwareConfig) -> int:
        """Cycles for which so many bits hold a link."""
        return -(-bits * RATE_UNIT // self.bits_per_megacycle(chip))

    def latency_cycles(self, chip: HardwareConfig) -> int:
        """Cycles until the first bit is there."""
        return math.ceil(self.known("latency_ns") / chip.technology.clock_ns - 1e-9)

    def verdict_cycles(self, links: int, chip: HardwareConfig) -> int:
        """Cycles of a verdict over so many links, one after the other."""
        return links * (self.latency_cycles(chip) + self.transfer_cycles(chip.noc.flit_bits, chip))

    def verdict_bits(self, chip: HardwareConfig) -> int:
        """Bits of a verdict on its way to all chips: a flit for each but the checker's own."""
        return (self.chips - 1) * chip.noc.flit_bits

    def farthest(self, source: int) -> int:
        """Links between a chip and the one that is farthest from it."""
        return farthest(self.arrangement, self.chips, source)

    def stands(self, size: ChipSize) -> bool:
        return self.chips > 1

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return 2 * len(links_between(self.arrangement, self.chips))

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.PACKAGE_BITS: self.known("bit_energy_pj")} if self.chips > 1 else {}

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.known("port_area_um2") if self.chips > 1 else 0.0

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return self.known("port_power_uw") if self.chips > 1 else 0.0
