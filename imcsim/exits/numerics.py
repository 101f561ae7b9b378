"""The word widths of the exit checker."""

from __future__ import annotations

from dataclasses import dataclass


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
