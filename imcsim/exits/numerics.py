"""The word widths of the exit checker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckerNumerics:
    """Word widths of the exit checker."""

    fraction_bits: int = 12
    """Fractional bits of class outputs."""
    table_bits: int = 16
    """Bits of a word of the tables."""
    exp_entries: int = 1024
    """Words of the exp table."""
    exp_range: float = 16.0
    """The exp table covers differences from 0 down to ``-exp_range``."""
    log_entries: int = 512
    """Words of the log table, over one octave."""
