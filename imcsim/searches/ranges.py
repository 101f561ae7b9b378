"""What a search may choose for an axis: one of its rows, or any value of a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from imcsim.sweeps.axes import BadAxis
from imcsim.sweeps.spec import SweepAxis

RANGES = ("between", "log_between")
_SHOWN = 33
_DIGITS = 6
_FORM = "give two numbers, the smaller one first: {between: [0.1, 0.5]}"


@dataclass(frozen=True)
class Range:
    """Every value from `low` to `high`; `log`: the same chance for equal ratios."""

    low: float
    high: float
    whole: bool
    log: bool

    def tidy(self, value: float) -> int | float:
        """The value as points and tables have it: whole, or with six digits, and inside."""
        if self.whole:
            return int(value)
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)

    def some(self) -> list[int | float]:
        """A few values over all of it, both ends among them."""
        steps = [k / (_SHOWN - 1) for k in range(1, _SHOWN - 1)]
        if self.log:
            inner = [self.low * (self.high / self.low) ** step for step in steps]
        else:
            inner = [self.low + (self.high - self.low) * step for step in steps]
        return sorted({self.low, *map(self.tidy, inner), self.high})


def is_range(given: Any) -> bool:
    """Whether a spec's entry is meant as a range."""
    return isinstance(given, Mapping) and len(given) == 1 and next(iter(given)) in RANGES


def read_range(given: Mapping[str, Any], *, real: bool) -> Range:
    """``{between: [low, high]}`` or ``{log_between: [low, high]}``; whole numbers where both ends are and
    `real` is not asked for. Raises BadAxis.
    """
    kind, ends = next(iter(given.items()))
    if not (isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends))):
        raise BadAxis(f"{kind} needs two numbers", _FORM)
    low, high = ends
    if not low < high:
        raise BadAxis(f"{kind} from {low} to {high} holds nothing", _FORM)
    log = kind == "log_between"
    if log and low <= 0:
        raise BadAxis("a log range has ends above 0", "use between, or move the ends")
    whole = not real and isinstance(low, int) and isinstance(high, int)
    return Range(low if whole else float(low), high if whole else float(high), whole, log)


def is_ordered(axis: SweepAxis) -> bool:
    """Whether neighbours among the rows are alike: numbers that rise or fall, in every column."""
    for column in zip(*axis.rows, strict=True):
        if not all(map(_is_number, column)):
            return False
        steps = {a < b for a, b in pairwise(column)}
        if len(steps) > 1:
            return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
