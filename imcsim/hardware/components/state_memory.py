"""State memory: membrane potentials, synaptic currents, stored encoder currents and delayed spikes, where
they are used.

Each part of a layer has banks of its own in its tile, as many as hold the state of its neurons and as its LIF
lanes need to take and return a word each per cycle; a bank is read and written in the same cycle through two
ports. A word travels half the side of a tile to its lane. State is kept from one timestep to the next, so it
is never gated with the tiles.

Spikes that a layer reads a timestep or more after they were fired wait in banks of the part that reads them:
room for one map more than the timesteps of the delay, since one is written while another is read.

Where neurons have thresholds, leaks or synapses of their own (``lif.parameters: neuron``), each of these
words stands in banks of its own beside the membranes and is read with them at every update, the first one
included; membranes of several images share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize, Component, Count
from imcsim.hardware.estimators import wires
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

TOGGLED = 0.5
"""Of the bits of membranes that follow each other on a wire: those of unrelated numbers."""


class StateMemory(Component):
    """Banks of `bank_bytes`, which read and write rows of `width_bits`."""

    block = "state_memory"
    scope = "chip"
    bank_bytes: Count
    width_bits: Count

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        bits, width = self.bank_bytes * 8, self.width_bits
        length = wires.half_side_mm(chip.tile_area_um2()).value
        wire = TOGGLED * chip.technology.wire_pj_per_mm(chip) * length
        read = chip.sram.read_pj(bits, width, chip, two_ports=True) / width + wire
        write = chip.sram.write_pj(bits, width, chip, two_ports=True) / width + wire
        delayed = {Event.DELAY_READ_BITS: read, Event.DELAY_WRITE_BITS: write}
        if chip.lif.kind == "given":
            return delayed
        return {
            **delayed,
            Event.MEMBRANE_READ_BITS: read,
            Event.MEMBRANE_WRITE_BITS: write,
            Event.CURRENT_READ_BITS: read,
            Event.CURRENT_WRITE_BITS: write,
        }

    def _area_um2(self, chip: HardwareConfig) -> float:
        return chip.sram.area_um2(self.bank_bytes * 8, self.width_bits, chip, two_ports=True)

    def _leakage_uw(self, chip: HardwareConfig) -> float:
        return chip.sram.leakage_uw(self.bank_bytes * 8, chip, two_ports=True)

    def banks(self, chip: HardwareConfig, bits: int) -> int:
        """Banks of a part whose state is `bits` bits: as many as hold them and as its lanes need."""
        lanes = -(-chip.lif.lanes * chip.lif.membrane_bits // self.width_bits)
        return max(-(-bits // (self.bank_bytes * 8)), lanes) if bits else 0

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        delayed = sum(-(-bits // (self.bank_bytes * 8)) for bits in size.delay_bits)
        held = (*size.state_bits, *size.parameter_bits)
        return sum(self.banks(chip, bits) for bits in held) + delayed
