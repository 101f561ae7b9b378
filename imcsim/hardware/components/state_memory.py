"""State memory: membrane potentials, synaptic currents and stored encoder currents, in banks of SRAM, as
large as the network needs.

It keeps its contents from one timestep to the next, so it is never gated with the tiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Count
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class StateMemory(Component):
    """Banks of `bank_bytes`; a bit costs what a bit of such a macro costs."""

    block = "state_memory"
    scope = "chip"
    bank_bytes: Count

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        if chip.lif.kind == "given":
            return {}
        energy = chip.sram.bit_energy_pj(self.bank_bytes, chip)
        return dict.fromkeys(
            (
                Event.MEMBRANE_READ_BITS,
                Event.MEMBRANE_WRITE_BITS,
                Event.CURRENT_READ_BITS,
                Event.CURRENT_WRITE_BITS,
            ),
            energy,
        )

    def _area_um2(self, chip: HardwareConfig) -> float:
        return chip.sram.area_um2(self.bank_bytes * 8, chip)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.sram.leakage_uw(self.bank_bytes * 8)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return -(-size.memory_bits // (self.bank_bytes * 8))
