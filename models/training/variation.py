"""Cells that vary, for training: weights as a chip whose conductances spread would hold them.

A weight stands in cells (see imcsim.network.cells), and each cell's conductance is off by sigma times itself,
a cell at level 0 included. The errors of a weight's cells add up to one Gaussian, whose standard deviation is
worked out here for each weight; drawn anew for each batch, it makes a network that does not lean on any one
weight (Joshi et al., "Accurate deep neural network inference using computational phase-change memory", Nature
Communications 11, 2020). Gradients pass as if it were not there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ENCODINGS = ("offset", "differential", "twos_complement")


@dataclass(frozen=True)
class CellVariation:
    """Cells of `cell_bits` bits that vary by `sigma` (standard deviation over mean).

    on_off_ratio: how much more a cell conducts at its highest level than at level 0; infinite where that is
    nothing. The current of cells at level 0 is taken off by a reference column, which varies as well.
    """

    sigma: float
    encoding: str = "differential"
    cell_bits: int = 4
    on_off_ratio: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.sigma < float("inf"):
            raise ValueError(f"a variation of {self.sigma}: use 0 or more")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"no encoding {self.encoding!r}: use one of {', '.join(ENCODINGS)}")
        if not 1 <= self.cell_bits <= 8:
            raise ValueError(f"cells of {self.cell_bits} bits: use 1 to 8")
        if not self.on_off_ratio > 1:
            raise ValueError(f"an on/off ratio of {self.on_off_ratio}: use more than 1")

    @property
    def off_level(self) -> float:
        """What a cell at level 0 conducts, in levels: L / (ratio - 1)."""
        return ((1 << self.cell_bits) - 1) / (self.on_off_ratio - 1)

    def deviation(self, weight: Tensor, bits: int) -> Tensor:
        """Standard deviation, in weight steps, of whole weights of `bits` bits, float and of any shape."""
        off = self.off_level

        def cells(value: Tensor, value_bits: int) -> tuple[Tensor, int]:
            """Variance over sigma squared of the slices of `value`, and the sum of their factors."""
            total, factors = torch.zeros_like(value), 0
            for start in range(0, value_bits, self.cell_bits):
                level = torch.floor(value / 2**start) % 2**self.cell_bits
                total, factors = total + 4.0**start * (level + off) ** 2, factors + 2**start
            return total, factors

        if self.encoding == "differential":
            # The reference column, taken off both, drops out; cells of the other sign are at level 0.
            plus, minus = cells(weight.abs(), bits - 1)[0], cells(torch.zeros_like(weight), bits - 1)[0]
            return self.sigma * (plus + minus).sqrt()
        if self.encoding == "offset":
            squares, factors = cells(weight + 2 ** (bits - 1), bits)
        else:
            sign = (weight < 0).to(weight.dtype)
            squares, factors = cells(weight + sign * 2 ** (bits - 1), bits - 1)
            squares = squares + 4.0 ** (bits - 1) * (sign + off) ** 2
            factors -= 2 ** (bits - 1)
        squares = squares + (factors * off) ** 2  # one reference column for all slices
        return self.sigma * squares.sqrt()

    def varied(self, weight: Tensor, scale: Tensor, bits: int) -> Tensor:
        """`weight`, multiples of `scale`, as varying cells hold it; the gradient is that of `weight`."""
        steps = (weight.detach() / scale).round()
        return weight + torch.randn_like(weight) * self.deviation(steps, bits) * scale
