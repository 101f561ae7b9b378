"""The only facts of the hardware that change values: how the functional side sees a chip."""

from __future__ import annotations

from dataclasses import dataclass, field

from imcsim.choices import Encoding, FullScale, RowOrder


@dataclass(frozen=True)
class CheckerNumerics:
    """Word widths of the exit checker.

    Class outputs carry `fraction_bits` fractional bits. The exp table has `exp_entries` words of `table_bits`
    bits and covers differences from 0 down to ``-exp_range``; the log table has `log_entries` words over one
    octave.
    """

    fraction_bits: int = 12
    table_bits: int = 16
    exp_entries: int = 1024
    exp_range: float = 16.0
    log_entries: int = 512


@dataclass(frozen=True)
class Numerics:
    """`rows` is the height of a crossbar. `adc_bits` None is an ideal converter (no rounding, no clipping).

    `full_scale` ``ideal`` covers the largest sum a read can give; ``calibrated`` covers the `percentile` of
    the sums that calibration images produce, for each layer and slice. The ADC's step is a power of two in
    cell levels. `membrane_bits` is the signed width of a membrane potential (up to 48).
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

    def ideal(self) -> Numerics:
        """The same crossbars with an ideal converter and wide membranes."""
        return Numerics(
            self.rows, self.row_order, self.encoding, self.cell_bits, None, "ideal", 100.0, 48, self.checker
        )
