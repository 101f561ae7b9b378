"""The only facts of the hardware that change values: how the functional side sees a chip."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from imcsim.base.choices import Encoding, FullScale, InputDrive, RowOrder
from imcsim.base.tile_types import NO_TYPES, OWN, Assignment
from imcsim.exits.numerics import CheckerNumerics
from imcsim.functional.nonideal import DrawnChip


@dataclass(frozen=True)
class Numerics:
    """`rows` is the height of a crossbar, of which `parallel_rows` are driven at once (None: all).
    `adc_bits` None is an ideal converter (no rounding, no clipping).

    `full_scale` ``ideal`` covers the largest sum a read can give; ``calibrated`` covers the `percentile` of
    the sums that calibration images produce, for each layer and slice. The ADC's step is a power of two in
    cell levels.

    `membrane_bits` is the signed width of a membrane potential and of a synaptic current, `fraction_bits` the
    most fraction bits that they have. Leaks are words of `leak_fraction_bits` fraction bits: up to 15 (with
    48-bit membranes), or 43 to 48 (with 56-bit ones, and products are rounded, not cut).

    `input_drive` says whether the bits of an input are read and converted one by one, or together.

    `rescale_bits` are those of the multipliers that bring sums to steps of an activation.
    `diagonal_columns` are the columns of a crossbar where grouped layers stand along diagonals; None where
    they are dense.

    `nonideal` is the chip's own draw of errors, None for cells, wires and converters without any.

    `types` are the numerics of tiles of other types, by name; `assignment` says which layers stand on them.
    """

    rows: int
    row_order: RowOrder
    encoding: Encoding
    cell_bits: int
    adc_bits: int | None
    full_scale: FullScale
    percentile: float
    membrane_bits: int
    checker: CheckerNumerics = field(default_factory=CheckerNumerics)
    leak_fraction_bits: int = 15
    fraction_bits: int = 20
    nonideal: DrawnChip | None = None
    input_drive: InputDrive = "bits"
    parallel_rows: int | None = None
    rescale_bits: int = 16
    diagonal_columns: int | None = None
    types: tuple[tuple[str, Numerics], ...] = ()
    assignment: Assignment = NO_TYPES

    @property
    def calibrates(self) -> bool:
        """Whether calibration images set the steps of any ADC."""
        every = (self, *(one for _, one in self.types))
        return any(one.adc_bits is not None and one.full_scale == "calibrated" for one in every)

    def of_type(self, tile_type: str) -> Numerics:
        """Those of a type of tile."""
        return self if tile_type == OWN else dict(self.types)[tile_type]

    def ideal(self) -> Numerics:
        """The same crossbars without errors and with an ideal converter, and membranes and leaks as wide as
        64-bit words allow: leaks are right to 2e-15, thresholds usually to 2e-9 of a weight step.
        """
        return replace(
            self,
            adc_bits=None,
            full_scale="ideal",
            percentile=100.0,
            membrane_bits=56,
            leak_fraction_bits=48,
            fraction_bits=28,
            rescale_bits=32,
            nonideal=None,
            types=tuple((name, one.ideal()) for name, one in self.types),
        )
