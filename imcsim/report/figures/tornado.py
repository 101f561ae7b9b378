"""Which alternative moves which figure, and how far: tornado charts, the largest move on top."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from imcsim.report.figures.drawing import BLUE, GREY, INK, VERMILION, letter
from imcsim.report.units import AREA, ENERGY, TIME, Unit, fitting, number, pretty
from imcsim.results.ranges import AlternativeKind, Ranges, moves, value_of

MOST_GROUPS = 10
_PERCENT = Unit("%", 0.01)
Panel = tuple[str, str, AlternativeKind, Unit]
"""Title, figure, what it ranges over, and the unit in which it is shown."""


def panels(ranges: Ranges) -> list[Panel]:
    """The charts that say something: those in which an alternative moves the figure."""
    used = ranges.used
    energy = fitting(ENERGY, [used.static_energy_pj, used.dynamic_energy_pj])
    time = fitting(TIME, [used.static_latency_ns, used.dynamic_latency_ns])
    every: list[Panel] = [
        ("dynamic energy", "dynamic_energy_pj", "prices", energy),
        ("dynamic latency", "dynamic_latency_ns", "prices", time),
        ("area", "area_um2", "prices", fitting(AREA, [used.area_um2])),
        ("EDP saved, prices", "reduction.edp_mean_of_products", "prices", _PERCENT),
        ("EDP saved, structure", "reduction.edp_mean_of_products", "structure", _PERCENT),
    ]
    return [one for one in every if _bars(ranges, one[1], one[2])]


def _bars(
    ranges: Ranges, name: str, kind: AlternativeKind
) -> list[tuple[str, tuple[float, str | None], tuple[float, str | None]]]:
    """Group, lowest and highest end, from the widest bar to the narrowest; bars of no width are left out."""
    found = [
        (group, low, high)
        for group, (low, high) in moves(ranges.used, ranges.alternatives, name, kind).items()
        if low[1] or high[1]
    ]
    return sorted(found, key=lambda bar: bar[1][0] - bar[2][0])[:MOST_GROUPS]


def tornado(ranges: Ranges, shown: Sequence[Panel]) -> Figure:
    """One chart for each panel, below each other."""
    counts = [len(_bars(ranges, name, kind)) for _, name, kind, _ in shown]
    made = Figure(figsize=(3.5, 0.25 + 0.6 * len(shown) + 0.22 * sum(counts)), layout="constrained")
    axes = made.subplots(len(shown), 1, squeeze=False, height_ratios=counts)
    for axis, (title, name, kind, unit) in zip(axes.flat, shown, strict=True):
        here = value_of(ranges.used, name) / unit.per_base
        bars = _bars(ranges, name, kind)
        for k, (_, low, high) in enumerate(reversed(bars)):
            for (end, by), colour, side in ((low, BLUE, "right"), (high, VERMILION, "left")):
                if by is None:
                    continue
                value = end / unit.per_base
                axis.barh(k, value - here, left=here, height=0.6, color=colour)
                axis.annotate(
                    f"{by} {number(value, 3)}", (value, k), xytext=(3 if side == "left" else -3, 0),
                    textcoords="offset points", ha=side, va="center", fontsize=6, color=INK,
                )  # fmt: skip
        axis.axvline(here, color=GREY, linewidth=0.8, zorder=0)
        axis.set_yticks(range(len(bars)), [group for group, _, _ in reversed(bars)])
        ends = [end / unit.per_base for _, low, high in bars for end in (low[0], high[0])]
        # Names stand outside the bars: the longest take most of a column's half.
        room = 0.95 * (max(ends) - min(ends))
        named = [any(bar[side][1] for bar in bars) for side in (1, 2)]
        axis.set_xlim(min(ends) - room * (named[0] or 0.05), max(ends) + room * (named[1] or 0.05))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.set_xlabel(f"{title} ({pretty(unit)}), as used {number(here, 3)}")
    if len(shown) > 1:
        letter(axes.flat)
    handles: list[Patch | Line2D] = [Patch(color=BLUE, label="least"), Patch(color=VERMILION, label="most"),
            Line2D([], [], color=GREY, linewidth=0.8, label="as used")]  # fmt: skip
    made.legend(handles=handles, loc="outside upper center", ncols=3)
    return made
