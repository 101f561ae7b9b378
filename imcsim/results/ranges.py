"""How far the figures of a comparison may be off: what each alternative of the chip's file would move.

Alternatives are played one at a time. An interval combines them as if the groups were independent: from the
figure as used, each group counts with its largest move down and its largest move up, and the moves of all
groups are added as a root of the sum of squares. What a group says that excludes itself (one ADC or another)
is therefore counted once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from imcsim.results.figures import Reduction
from imcsim.results.model import Amount, DocumentPart, derived

StaticIssue = Literal["wait", "pipeline"]
"""How a static run issues its timesteps: one by one as the dynamic run does, or without waiting."""
AlternativeKind = Literal["prices", "structure"]

ABSOLUTE = ("static_energy_pj", "static_latency_ns", "dynamic_energy_pj", "dynamic_latency_ns", "area_um2")
RELATIVE = ("energy", "latency", "edp_mean_of_products", "edp_product_of_means")


class RangeFigures(DocumentPart):
    """The figures of which ranges are given. Static is T max under the issue policy with the least EDP."""

    static_issue: StaticIssue
    static_energy_pj: Amount
    static_latency_ns: Amount
    dynamic_energy_pj: Amount
    dynamic_latency_ns: Amount
    area_um2: Amount
    reduction: Reduction


class AlternativeFigures(RangeFigures):
    """The comparison with one alternative of the chip's file, all else as it is."""

    kind: AlternativeKind
    """prices: what sources disagree about. structure: what another design would have."""
    group: str
    """Alternatives of a group exclude each other."""
    name: str
    used: bool
    """Whether this is how the chip is."""


class Interval(DocumentPart):
    """One figure and its range over alternatives of one kind."""

    figure: str
    """A figure of `RangeFigures`; those of its reduction as ``reduction.energy``."""
    kind: AlternativeKind
    value: float
    low: float
    """Root of the sum of squares of each group's largest move down, below `value`."""
    high: float
    """The same upwards."""
    lowest: float
    """With the one alternative that gives the least."""
    highest: float
    lowest_by: str | None
    """That alternative, as ``adc: isaac_sar``; None where none moves the figure so."""
    highest_by: str | None


class Ranges(DocumentPart):
    """What the alternatives of the chip's file would move."""

    used: RangeFigures
    alternatives: tuple[AlternativeFigures, ...]
    intervals: tuple[Interval, ...] = derived(
        lambda ranges: tuple(_intervals(ranges.used, ranges.alternatives)),
        "does not follow from the alternatives",
    )
    """Energy, latency and area over prices; the reduction over prices and over structure."""
    left_out: tuple[str, ...] = ()
    """Alternatives that this chip or network could not take, and why."""

    def interval(self, figure: str, kind: AlternativeKind = "prices") -> Interval:
        """The interval of a figure. Raises KeyError for one that has none."""
        for one in self.intervals:
            if (one.figure, one.kind) == (figure, kind):
                return one
        raise KeyError((figure, kind))


def value_of(figures: RangeFigures, figure: str) -> float:
    """A figure by the name that intervals give it."""
    part: DocumentPart = figures
    *parts, last = figure.split(".")
    for name in parts:
        part = getattr(part, name)
    return float(getattr(part, last))


def moves(
    used: RangeFigures, alternatives: Sequence[AlternativeFigures], figure: str, kind: AlternativeKind
) -> dict[str, tuple[tuple[float, str | None], tuple[float, str | None]]]:
    """For each group the least and the greatest value of a figure, each with the alternative that gives it,
    None where it is the value as used.
    """
    here = value_of(used, figure)
    found: dict[str, tuple[tuple[float, str | None], tuple[float, str | None]]] = {}
    for one in alternatives:
        if one.kind == kind:
            low, high = found.get(one.group, ((here, None), (here, None)))
            value = value_of(one, figure)
            found[one.group] = (
                (value, one.name) if value < low[0] else low,
                (value, one.name) if value > high[0] else high,
            )
    return found


def _intervals(used: RangeFigures, alternatives: Sequence[AlternativeFigures]) -> Iterator[Interval]:
    wanted: list[tuple[AlternativeKind, str]] = [("prices", figure) for figure in ABSOLUTE]
    kinds: tuple[AlternativeKind, ...] = ("prices", "structure")
    wanted += [(kind, f"reduction.{figure}") for kind in kinds for figure in RELATIVE]
    for kind, figure in wanted:
        here = value_of(used, figure)
        groups = moves(used, alternatives, figure, kind)
        down = [(low, f"{group}: {name}") for group, ((low, name), _) in groups.items() if name]
        up = [(high, f"{group}: {name}") for group, (_, (high, name)) in groups.items() if name]
        lowest = min(down, default=(here, None), key=lambda end: end[0])
        highest = max(up, default=(here, None), key=lambda end: end[0])
        low = here - math.hypot(*(here - value for value, _ in down))
        high = here + math.hypot(*(value - here for value, _ in up))
        # An amount is not below nothing, and no more than all can be saved.
        yield Interval(
            figure=figure,
            kind=kind,
            value=here,
            low=low if figure.startswith("reduction") else max(0.0, low),
            high=min(1.0, high) if figure.startswith("reduction") else high,
            lowest=lowest[0],
            highest=highest[0],
            lowest_by=lowest[1],
            highest_by=highest[1],
        )
