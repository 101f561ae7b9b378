"""Weights that are loaded again: what a chip that is smaller than its network has.

Such a chip has `tiles` tiles. The network is cut into groups of layers that follow each other and each fit
there; to go through it, the chip loads one group after the other out of the DRAM. A load serves `timesteps`
timesteps, which follow each other through the group. What goes from one group to another waits in the global
buffer, or in the DRAM. Membranes, thresholds and biases of all layers stay on the chip; where a load serves
all timesteps, tiles need room for those of one group at a time.

The cells pay for their pulses and verifying reads here (hardware.programming), by the cell that is written.
The bits of the weights pay in DRAM, link and mesh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from imcsim.hardware.component import Extra
from imcsim.hardware.events import Event
from imcsim.hardware.programming import cell_writing

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

ALL = "all"
"""Timesteps of a load that serves all of them."""


class Reload(Extra):
    """How a network that is larger than the chip goes through it."""

    block = "reload"
    scope = "chip"
    tiles: Annotated[int, Field(ge=1, le=1 << 20)] | Literal["network"] = "network"
    """Tiles of the chip; ``network``: as many as the network needs, and nothing is loaded again."""
    timesteps: Annotated[int, Field(ge=1, le=1 << 20)] | Literal["all"] = 1
    """Timesteps that a load of a group serves. With 1 timesteps are the outermost loop, with ``all`` groups
    of layers are. An image may exit where a load of the last group ends.
    """
    spikes: Literal["global_buffer", "dram"] = "global_buffer"
    """Where rows between groups wait."""

    @property
    def present(self) -> bool:
        """Whether the chip has a size of its own."""
        return self.tiles != "network"

    def block_of(self, timesteps: int) -> int:
        """Timesteps that a load serves, of an image that takes at most so many."""
        return timesteps if self.timesteps == ALL else min(int(self.timesteps), timesteps)

    @property
    def keeps_membranes(self) -> bool:
        """Whether membranes of all groups are kept, and not of one group at a time."""
        return self.timesteps != ALL

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        if not self.present:
            return {}
        one = cell_writing(chip)
        return {Event.CELL_WRITES: one.pulses * (one.pulse_energy_pj + one.verify_energy_pj)}
