"""Parameter store: a threshold and a bias of ``lif.membrane_bits`` for each output channel of a part; where
neurons are activations a multiplier, a shift, and a bias as wide as their product.

All are read for each update of a neuron, or activation. They are written once for a network, with its weights
(hardware.programming).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.register_store import RegisterStore
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

WORDS = 2
"""A threshold and a bias."""


class ParameterStore(RegisterStore):
    """As many bits as the channels of all parts need."""

    block = "parameter_store"
    scope = "tile"

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        read = self.figure("bit_read_energy_pj", chip)
        activated = {Event.ACTIVATIONS: _activation_bits(chip) * read}
        if chip.lif.kind == "given":
            return activated
        return {Event.LIF_UPDATES: WORDS * chip.lif.membrane_bits * read, **activated}

    def writing_pj(self, chip: HardwareConfig, size: ChipSize) -> float:
        """Energy to write the thresholds and biases of all channels once."""
        return self.figure("bit_write_energy_pj", chip) * self.instances(chip, size)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        bits = _activation_bits(chip) if size.activates else WORDS * chip.lif.membrane_bits
        return size.channels * bits


def _activation_bits(chip: HardwareConfig) -> int:
    """A multiplier, a shift by up to the bits of the product, and a bias as wide as that."""
    product = chip.activation.multiplier_bits + chip.lif.partial_sum_bits
    return chip.activation.multiplier_bits + product.bit_length() + product
