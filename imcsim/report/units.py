"""Readable numbers: one unit for all figures that stand together, four significant digits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imcsim.report.sampling import ALL_SHOWN


@dataclass(frozen=True)
class Unit:
    """`per_base` of the base unit (pJ, ns, um2) make one of these."""

    name: str
    per_base: float

    def __call__(self, value: float) -> str:
        """`value`, given in the base unit, written in this one (without its name)."""
        return number(value / self.per_base)


ENERGY = (Unit("pJ", 1), Unit("nJ", 1e3), Unit("uJ", 1e6), Unit("mJ", 1e9), Unit("J", 1e12))
TIME = (Unit("ns", 1), Unit("us", 1e3), Unit("ms", 1e6), Unit("s", 1e9))
AREA = (Unit("um2", 1), Unit("mm2", 1e6))

_TYPESET = {"us": "µs", "uJ": "µJ", "um2": "µm²", "mm2": "mm²"}


def fitting(units: tuple[Unit, ...], values: Iterable[float]) -> Unit:
    """The largest of `units` in which the largest of `values` (in the base unit) is at least one."""
    largest = max((abs(value) for value in values), default=0.0)
    return next((unit for unit in reversed(units) if largest >= unit.per_base), units[0])


def product(a: Unit, b: Unit) -> Unit:
    """The unit of a figure in `a` times a figure in `b`."""
    return Unit(f"{a.name} {b.name}", a.per_base * b.per_base)


def pretty(unit: Unit) -> str:
    """The unit's name with µ and ² (and J times s as such)."""
    return typeset(unit.name)


def typeset(text: str) -> str:
    """What a terminal says, with the units of it as on a page: µ and ²."""
    return re.sub(r"\b(us|uJ|um2|mm2)\b", lambda found: _TYPESET[found[1]], text)


def number(value: float, digits: int = 4) -> str:
    """`value` with `digits` significant digits, never in exponent notation unless it is tiny."""
    if value == 0:
        return "0"
    if abs(value) < 1e-6:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def percent(fraction: float, decimals: int = 1) -> str:
    """A fraction as a percentage; small ones keep two significant digits instead of becoming 0.0."""
    value = 100 * fraction
    if value != 0 and abs(value) < 10**-decimals:
        return number(value, 2)
    return f"{value:.{decimals}f}"


def thresholds(used: float | Sequence[float] | None) -> str:
    """The threshold of all timesteps, or those of the timesteps in order; "" where there is none."""
    if used is None:
        return ""
    if not isinstance(used, Sequence):
        return f"{used:.4g}"
    texts = [f"{one:.4g}" for one in used]
    if len(texts) <= ALL_SHOWN:
        return ", ".join(texts)
    # Documents have all of them.
    return ", ".join([*texts[:3], "...", texts[-1]]) + f" ({len(texts)})"


def criterion(max_loss: float | None) -> str:
    """What had to hold where thresholds were chosen, in a few words."""
    return "count" if max_loss is None else f"bound {percent(max_loss)} points"


def change(reduction: float) -> str:
    """A reduction as the change it means: 0.6 is -60.0 %."""
    text = f"{-100 * reduction:+.1f}"
    return f"{'0.0' if text.endswith(('+0.0', '-0.0')) else text} %"
