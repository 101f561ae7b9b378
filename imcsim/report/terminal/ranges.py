"""How far the figures of a comparison may be off, in words."""

from __future__ import annotations

from imcsim.report.units import AREA, ENERGY, TIME, Unit, fitting, number, percent
from imcsim.results.ranges import ABSOLUTE, Interval, Ranges

NAMES = {
    "energy": "energy saved",
    "latency": "latency saved",
    "edp_mean_of_products": "EDP saved",
    "edp_product_of_means": "EDP of means saved",
}
METHOD = (
    "In brackets each group's largest move, added as a root of the sum of squares; then the alternative that "
    "alone gives the least and the most. Saved is what dynamic timesteps save of static ones, over prices or "
    "over the structure of the chip."
)


COLUMNS = ("figure", "value and range", "least with", "most with")


def range_rows(ranges: Ranges, timesteps: int) -> list[tuple[str, ...]]:
    """The cells of `COLUMNS` for every interval that an alternative moves; `timesteps` is T max."""
    return [
        (name_of(one, timesteps), ranged(one), one.lowest_by or "-", one.highest_by or "-")
        for one in ranges.intervals
        if one.lowest_by or one.highest_by
    ]


def range_sections(ranges: Ranges, timesteps: int) -> list[tuple[str, list[tuple[str, ...]]]]:
    """The rows of `range_rows`, what is saved below a heading that says over which alternatives."""
    sections: dict[str, list[tuple[str, ...]]] = {}
    for name, *cells in range_rows(ranges, timesteps):
        figure, _, kind = name.partition(" saved, ")
        heading = f"saved: {kind}" if kind else ""
        sections.setdefault(heading, []).append((f"  {figure}" if kind else figure, *cells))
    return list(sections.items())


def name_of(one: Interval, timesteps: int) -> str:
    """What a reader calls the figure of an interval."""
    if one.figure in ABSOLUTE:
        policy, _, rest = one.figure.rpartition("_")[0].partition("_")
        whose = f"static T={timesteps}" if policy == "static" else policy
        return f"{whose} {rest}".strip()
    return f"{NAMES[one.figure.removeprefix('reduction.')]}, {one.kind}"


def ranged(one: Interval) -> str:
    """A figure and its range, as ``2.41 uJ (1.92 to 9.63)``."""
    if one.figure not in ABSOLUTE:
        return f"{percent(one.value)} % ({percent(one.low)} to {percent(one.high)})"
    unit = _unit(one)
    value, low, high = (number(figure / unit.per_base, 3) for figure in (one.value, one.low, one.high))
    return f"{value} {unit.name} ({low} to {high})"


def _unit(one: Interval) -> Unit:
    units = ENERGY if one.figure.endswith("_pj") else TIME if one.figure.endswith("_ns") else AREA
    return fitting(units, [one.value])
