"""Activation unit: brings digital sums to steps of a clipped ReLU, `lanes` values a cycle in each tile.

A chip that is built for a network of activations (an ANN) has it in the place of LIF units and membranes. A
sum is multiplied by its channel's multiplier of `multiplier_bits` bits, the channel's bias is added, the
product is shifted right and rounded, and clipped to 0 and the top code: the integer arithmetic in which
quantised networks are usually run (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018). Multiplier, shift and bias come from the parameter store.

Estimate of a lane: a multiplier of ``lif.partial_sum_bits`` by `multiplier_bits`, an adder (bias and
rounding) and a comparator (clip) as wide as the product (Aladdin).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from imcsim.hardware.component import ESTIMATE, ChipSize, Count, Figure
from imcsim.hardware.components.logic_unit import LogicUnit
from imcsim.hardware.estimators import logic
from imcsim.hardware.estimators.estimate import Cost
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class Activation(LogicUnit):
    """As many lanes as LIF units would have, unless the chip says so."""

    block = "activation"
    scope = "tile"
    event = Event.ACTIVATIONS
    lanes: Count | Literal["lif"] = "lif"
    """Values per cycle and tile; ``lif``: as many as neurons (``lif.lanes``)."""
    multiplier_bits: Annotated[int, Field(ge=4, le=24)] = 16
    """Bits of a channel's multiplier."""
    operation_energy_pj: Figure = ESTIMATE
    unit_area_um2: Figure = ESTIMATE

    def at_once(self, chip: HardwareConfig) -> int:
        """Values that a tile takes per cycle."""
        return chip.lif.lanes if self.lanes == "lif" else self.lanes

    def _logic(self, chip: HardwareConfig) -> Cost:
        node, sums = chip.technology.node_nm, chip.lif.partial_sum_bits
        wide = sums + self.multiplier_bits
        product = logic.multiplier(sums, self.multiplier_bits, node)
        return product + logic.adder(wide, node) + logic.comparator(wide, node)

    def stands(self, size: ChipSize) -> bool:
        return size.activates

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.ports * self.at_once(chip) if self.stands(size) else 0
