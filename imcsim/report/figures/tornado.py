"""Which alternative moves which figure, and how far: tornado charts, the largest move on top."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

from imcsim.report.figures.drawing import BLUE, GREY, INK, VERMILION, figure, legend, letter
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
    made, axes = figure(
        0.25 + 0.55 * len(shown) + 0.17 * sum(counts), len(shown), 1, wide=True, height_ratios=counts
    )
    for axis, (title, name, kind, unit) in zip(axes, shown, strict=True):
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
        axis.set_xlim(min(ends), max(ends))
        # Names stand outside the bars, where there are no values.
        axis.set_xticks([t for t in MaxNLocator(4).tick_values(min(ends), max(ends))
                         if min(ends) <= t <= max(ends)])  # fmt: skip
        axis.set_xlabel(f"{title} ({pretty(unit)}), as used {number(here, 3)}")
    if len(shown) > 1:
        letter(axes)
    handles: list[Patch | Line2D] = [Patch(color=BLUE, label="least"), Patch(color=VERMILION, label="most"),
            Line2D([], [], color=GREY, linewidth=0.8, label="as used")]  # fmt: skip
    legend(made, handles, ncols=3)
    made.draw_without_rendering()
    for axis in axes:
        _make_room(axis)
    return made


def _make_room(axis: Axes) -> None:
    """Widen the axis until the names beside its bars lie inside."""
    width = axis.get_window_extent().width
    low, high = axis.get_xlim()
    left, right = low, high
    beside = axis.figure.dpi / 12
    names = [(name.xy[0], name.get_horizontalalignment(), name.get_window_extent().width + beside)
             for name in axis.texts if isinstance(name, Annotation) and name.xycoords == "data"]  # fmt: skip
    longest = [max((size for _, its, size in names if its == side), default=0) for side in ("left", "right")]
    fits = min(1.0, 0.7 * width / max(sum(longest), 1))  # something is left for the bars
    for _ in range(30):  # what one side takes the other one lacks: the room converges
        each = fits * (right - left) / width
        left = min([low, *(at - size * each for at, side, size in names if side == "right")])
        right = max([high, *(at + size * each for at, side, size in names if side == "left")])
    axis.set_xlim(left - 0.01 * (right - left), right + 0.01 * (right - left))
