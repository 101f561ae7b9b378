"""Chips as known before they were measured, held against what was measured."""

from __future__ import annotations

from imcsim.validate.silicon.measured import FigureKind, MeasuredChip, measured_chips
from imcsim.validate.silicon.rows import SiliconRow, medians, silicon_rows

__all__ = ["FigureKind", "MeasuredChip", "SiliconRow", "measured_chips", "medians", "silicon_rows"]
