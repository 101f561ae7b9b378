"""The values of an axis: a list, or a range, linspace or log range that stands for one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

MAX_VALUES = 100_000

Number = int | float


class BadAxis(ValueError):
    """What is wrong with an axis, in words, and how to mend it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message, self.fix = message, fix


def axis_values(given: Any) -> tuple[Any, ...]:
    """The values that a spec's entry stands for.

    - a list: its entries;
    - ``{range: [first, last, step]}``: first, first + step, ..., up to and including `last`; decimal
      arithmetic, so 0.1 to 0.3 by 0.1 has three values;
    - ``{linspace: [first, last, count]}``: evenly spaced, both ends included;
    - ``{log: [first, last, count]}``: evenly spaced ratios, both ends included.

    Where both ends (and the step) are whole numbers, whole values are whole numbers too. Raises BadAxis.
    """
    if isinstance(given, list):
        if not given:
            raise BadAxis("an axis without values", "list at least one")
        return tuple(given)
    if isinstance(given, Mapping) and len(given) == 1:
        kind, numbers = next(iter(given.items()))
        if kind in _KINDS:
            if not (isinstance(numbers, list) and len(numbers) == 3 and all(map(_is_number, numbers))):
                raise BadAxis(f"{kind} needs three numbers", _FORMS)
            values: tuple[Any, ...] = _KINDS[kind](*numbers)
            return values
    raise BadAxis("this is no axis", _FORMS)


_FORMS = (
    "give a list, {range: [first, last, step]}, {linspace: [first, last, count]} or "
    "{log: [first, last, count]}"
)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _range(first: Number, last: Number, step: Number) -> tuple[Number, ...]:
    start, stop, by = (Decimal(repr(n)) for n in (first, last, step))
    if by == 0 or (stop - start) / by < 0:
        raise BadAxis(f"a range from {first} to {last} has no step of {step}", "turn the step's sign round")
    count = int((stop - start) / by) + 1
    _check_count(count)
    whole = all(isinstance(n, int) for n in (first, last, step))
    return tuple(int(v) if whole else float(v) for v in (start + by * k for k in range(count)))


def _linspace(first: Number, last: Number, count: Number) -> tuple[Number, ...]:
    steps = _check_count(count)
    if steps == 1:
        return (first,)
    return _tidy(first, last, [first + (last - first) * k / (steps - 1) for k in range(steps)])


def _log(first: Number, last: Number, count: Number) -> tuple[Number, ...]:
    steps = _check_count(count)
    if first <= 0 or last <= 0:
        raise BadAxis("a log range has ends above 0", "use range or linspace, or move the ends")
    if steps == 1:
        return (first,)
    ratio = last / first
    return _tidy(first, last, [first * ratio ** (k / (steps - 1)) for k in range(steps)])


def _check_count(count: Number) -> int:
    if int(count) != count or not 1 <= count <= MAX_VALUES:
        raise BadAxis(f"an axis of {count} values", f"use 1 to {MAX_VALUES}")
    return int(count)


def _tidy(first: Number, last: Number, values: list[float]) -> tuple[Number, ...]:
    """Twelve digits, which hides the last bits of the arithmetic; exact ends; whole numbers as such."""
    whole = isinstance(first, int) and isinstance(last, int)

    def tidied(value: float) -> Number:
        rounded = float(f"{value:.12g}")
        return int(rounded) if whole and rounded.is_integer() else rounded

    return (first, *(tidied(v) for v in values[1:-1]), last)


_KINDS = {"range": _range, "linspace": _linspace, "log": _log}
