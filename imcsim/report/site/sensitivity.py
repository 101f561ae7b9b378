"""What each axis does, all else at the base; and what two axes do together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imcsim.report.figures.drawing import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MOST_VECTORS,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    VERMILION,
    figure,
    legend,
    letter,
    logarithmic,
)
from imcsim.report.figures.scales import Scale, scales
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.site.choosing import along, swing, varied
from imcsim.report.site.study import PointFigures, Study, StudyAxis, StudyPoint, short, text
from imcsim.report.units import Unit

MOST_AXES = 12
ACCURACY = Scale("accuracy", Unit("%", 0.01))
MEASURES: dict[str, Callable[[PointFigures], float]] = {
    "accuracy": lambda one: one.accuracy,
    "energy": lambda one: one.energy_pj,
    "latency": lambda one: one.latency_ns,
    "edp": lambda one: one.edp_pj_ns,
    "area": lambda one: one.area_um2,
}
_LOOKS: dict[str, dict[str, Any]] = {
    "static, T max": {
        "color": VERMILION, "marker": "s", "markersize": 6, "linewidth": 2.4, "markerfacecolor": PAPER,
        "label": "static, T max",
    },
    "dynamic": {"color": BLUE, "marker": "o", "label": "dynamic"},
    "area": {"color": INK, "marker": "D", "label": "area of the chip"},
}  # fmt: skip
"""Of the curves; that of static runs shows behind that of dynamic ones where both are the same."""
_COLUMNS = ("policy", "timesteps", "mean_timesteps", "accuracy", "accuracy_low", "accuracy_high",
            "energy_pj", "latency_ns", "edp_pj_ns", "area_um2")  # fmt: skip


def sensitivities(study: Study, base: StudyPoint) -> list[Exhibit]:
    """The summary, and a figure for each axis, those that change the EDP most first."""
    axes = sorted(varied(study), key=lambda axis: -swing(study, base, axis))
    alone = [axis for axis in axes if _compared(study, base, axis)]
    found = [_summary(study, base, alone)] if len(alone) > 1 else []
    for axis in axes[:MOST_AXES]:
        found.append(_one(study, base, axis) if axis in alone else _all(study, base, axis))
    return found


def _compared(study: Study, base: StudyPoint, axis: StudyAxis) -> bool:
    """Whether two points or more differ in this axis alone."""
    return sum(p is not None and p.ended for _, p in along(study, base, axis)) > 1


def at_base(study: Study, base: StudyPoint, but: Sequence[StudyAxis]) -> str:
    """The values of the base, without those of some axes."""
    rest = [axis for axis in study.axes if axis not in but]
    said = ", ".join(f"{axis.name} = {axis.label(axis.of(base))}" for axis in rest[:8])
    return said + (f" and {len(rest) - 8} more" if len(rest) > 8 else "")


def _cells(point: StudyPoint) -> list[list[Any]]:
    runs = [run for run in (point.static[-1] if point.static else None, point.dynamic) if run]
    return [[getattr(run, name) for name in _COLUMNS] for run in runs]


def _one(study: Study, base: StudyPoint, axis: StudyAxis) -> Exhibit:
    steps = along(study, base, axis)
    rows = [
        [*map(text, row), point.index, *cells]
        for row, point in steps
        if point is not None
        for cells in (_cells(point) if point.ended else [["failed", *[None] * (len(_COLUMNS) - 1)]])
    ]
    rest = at_base(study, base, [axis])
    lost = [axis.label(row) for row, point in steps if point is not None and not point.ended]
    failed = f" Failed: {', '.join(lost[:8])}{' and more' if len(lost) > 8 else ''}." if lost else ""
    return Exhibit(
        f"sensitivity_{axis.file_name}",
        f"What {axis.name} does",
        f"{f'With {rest}. ' if rest else ''}The dotted line marks the base, point {base.index}. "
        f"Means per image; the band and the bars are 95 % intervals of the accuracy.{failed}",
        lambda: _draw(base, axis, steps),
        (*axis.keys, "point", *_COLUMNS),
        rows,
    )


def _draw(base: StudyPoint, axis: StudyAxis, steps: list[tuple[Any, StudyPoint | None]]) -> Figure:
    there = [(k, row, point) for k, (row, point) in enumerate(steps) if point is not None]
    runs = {
        "static, T max": [(k, row, p.static[-1]) for k, row, p in there if p.static],
        "dynamic": [(k, row, p.dynamic) for k, row, p in there if p.dynamic],
    }
    scale = {"accuracy": ACCURACY, **scales([run for found in runs.values() for _, _, run in found])}
    made, panels = figure(3.7, 2, 3, wide=True)

    def x(k: int, row: Any) -> float:
        return float(row[0]) if axis.numeric else k

    for panel, (name, measure) in zip(panels, MEASURES.items(), strict=False):
        for label, found in runs.items():
            if name == "area" and label != "dynamic" and runs["dynamic"]:
                continue
            xs = [x(k, row) for k, row, _ in found]
            panel.plot(
                xs, [scale[name](measure(run)) for _, _, run in found],
                **_LOOKS["area" if name == "area" else label],
            )  # fmt: skip
            if name == "accuracy":
                low = [100 * run.accuracy_low for _, _, run in found]
                high = [100 * run.accuracy_high for _, _, run in found]
                named = f"{label}: 95 % interval"
                if label == "dynamic":  # bars before a band: of two bands neither would keep its colour
                    panel.vlines(xs, low, high, color=BLUE, linewidth=0.8, label=named)
                else:
                    panel.fill_between(xs, low, high, color=VERMILION, alpha=0.16, linewidth=0, label=named)
        lost = [x(k, row) for k, row, point in there if not point.ended]
        if axis.numeric:  # a value far out that failed would leave no room for those that ran
            inside = [x(k, row) for k, row, point in there if point.ended]
            lost = [value for value in lost if min(inside) < value < max(inside)]
        if lost:
            panel.plot(
                lost, [0.04] * len(lost), transform=panel.get_xaxis_transform(), color=INK, marker="x",
                linestyle="none", label="failed",
            )  # fmt: skip
        for k, row, point in there:
            if point is base:
                panel.axvline(x(k, row), color=MUTED, linestyle=":", linewidth=1, zorder=0, label="base")
        panel.set_ylabel(scale[name].brief)
        panel.grid(axis="y")
        _abscissa(panel, axis, [row for row, p in steps if not axis.numeric or (p and p.ended)])
        panel.margins(y=0.1)
        panel.yaxis.set_major_locator(MaxNLocator(5))
        if panel.get_ylim()[1] - panel.get_ylim()[0] < 1e-3 * abs(panel.get_ylim()[1]):
            middle = sum(panel.get_ylim()) / 2  # a value that does not change is a flat line, not noise
            panel.set_ylim(middle * 0.9, middle * 1.1)
    letter(panels[: len(MEASURES)])
    curves = {one.get_label(): one for panel in panels for one in panel.get_legend_handles_labels()[0]}
    panels[-1].axis("off")
    panels[-1].legend(handles=list(curves.values()), loc="center")
    made.supxlabel(axis.name, fontsize=8)
    return made


def _abscissa(panel: Axes, axis: StudyAxis, rows: Sequence[Any]) -> None:
    if not axis.numeric:
        panel.set_xticks(range(len(rows)), [axis.label(row, 14) for row in rows])
        long = sum(len(axis.label(row, 14)) for row in rows) > 22
        panel.tick_params(axis="x", labelrotation=35 if long else 0)
        if long:
            for label in panel.get_xticklabels():
                label.set_horizontalalignment("right")
                label.set_rotation_mode("anchor")
        panel.set_xlim(-0.4, len(rows) - 0.6)
        return
    values = [float(row[0]) for row in rows]
    if min(values) > 0 and max(values) >= 8 * min(values):
        logarithmic(panel.xaxis)
    if len(values) <= 7:
        panel.set_xticks(values, [f"{value:g}" for value in values], minor=False)
        panel.tick_params(axis="x", which="minor", bottom=False)


def _summary(study: Study, base: StudyPoint, axes: Sequence[StudyAxis]) -> Exhibit:
    names = ("energy", "latency", "edp", "area", "accuracy")
    changes: list[tuple[StudyAxis, dict[str, tuple[float, float]]]] = []
    rows = []
    for axis in axes[:MOST_AXES]:
        spans = {}
        for name in names:
            measure = MEASURES[name]
            start = measure(base.shown())
            found = [
                (100 * (measure(p.shown()) - start) / (1 if name == "accuracy" else start or 1), p.index)
                for _, p in along(study, base, axis)
                if p is not None and p.ended
            ]
            low, high = min(found), max(found)
            spans[name] = (low[0], high[0])
            rows.append([axis.name, name, "points" if name == "accuracy" else "percent", *low, *high])
        changes.append((axis, spans))
    return Exhibit(
        "sensitivity",
        "Sensitivity of each axis",
        f"How far the figures go when one axis alone takes all its values, from point {base.index}: "
        f"{at_base(study, base, [])}. "
        + ("Dynamic runs." if base.dynamic else "Static runs of T max.")
        + " The accuracy changes in percentage points, all else in percent.",
        lambda: _draw_summary(changes),
        ("axis", "figure", "unit", "lowest_change", "at_point", "highest_change", "at_point"),
        rows,
    )


def _draw_summary(changes: Sequence[tuple[StudyAxis, dict[str, tuple[float, float]]]]) -> Figure:
    made, (left, right) = figure(0.95 + 0.5 * len(changes), 1, 2, wide=True, width_ratios=(2.2, 1))
    looks = {"energy": (BLUE, "o"), "latency": (ORANGE, "s"), "edp": (GREEN, "D"), "area": (PURPLE, "^")}
    for place, (_, spans) in enumerate(changes):
        for k, (name, (colour, mark)) in enumerate(looks.items()):
            y = place + (k - 1.5) * 0.18
            label = {"edp": "EDP"}.get(name, name) if place == 0 else None
            left.plot(spans[name], [y, y], color=colour, marker=mark, markersize=3.5, label=label)
        right.plot(
            spans["accuracy"], [place, place], color=INK, marker="v", markersize=3.5,
            label="accuracy" if place == 0 else None,
        )  # fmt: skip
    for panel, title in ((left, "change against the base (%)"), (right, "accuracy (points)")):
        panel.axvline(
            0, color=MUTED, linestyle=":", linewidth=1, zorder=0, label="base" if panel is left else None
        )
        panel.set_xlabel(title)
        panel.grid(axis="x")
        panel.set_ylim(len(changes) - 0.5, -0.5)
        panel.set_yticks([])
        for line in range(1, len(changes)):
            panel.axhline(line - 0.5, color=GRID, linewidth=0.7, zorder=0)
        low, high = panel.get_xlim()
        if high - low < 1e-6:
            panel.set_xlim(-1, 1)
    left.set_yticks(range(len(changes)), [short([axis.name], 30) for axis, _ in changes])
    letter((left, right))
    legend(made, ncols=6)
    return made


def _all(study: Study, base: StudyPoint, axis: StudyAxis) -> Exhibit:
    """Where points do not share their other values (a search): all of them."""
    points = study.done
    rows = [[*map(text, axis.of(point)), point.index, *cells] for point in points for cells in _cells(point)]
    return Exhibit(
        f"sensitivity_{axis.file_name}",
        f"All points by {axis.name}",
        f"Every point that ran; the other axes vary too, because no point that ran differs from the base, "
        f"point {base.index}, in this axis alone.",
        lambda: _draw_all(axis, points),
        (*axis.keys, "point", *_COLUMNS),
        rows,
    )


def _draw_all(axis: StudyAxis, points: Sequence[StudyPoint]) -> Figure:
    runs = [point.shown() for point in points]
    order = {tuple(map(text, row)): k for k, row in enumerate(axis.ordered())}
    xs = [float(axis.of(p)[0]) if axis.numeric else order[tuple(map(text, axis.of(p)))] for p in points]
    scale = {"accuracy": ACCURACY, **scales(runs)}
    made, panels = figure(3.7, 2, 3, wide=True)
    for panel, (name, measure) in zip(panels, MEASURES.items(), strict=False):
        panel.plot(
            xs, [scale[name](measure(run)) for run in runs], linestyle="none", marker="o", color=BLUE,
            markersize=3, alpha=0.5, markeredgewidth=0, rasterized=len(xs) > MOST_VECTORS,
        )  # fmt: skip
        panel.set_ylabel(scale[name].brief)
        panel.grid(axis="y")
        panel.margins(y=0.1)
        _abscissa(panel, axis, axis.ordered())
    letter(panels[: len(MEASURES)])
    panels[-1].axis("off")
    made.supxlabel(axis.name, fontsize=8)
    return made


def pairs(study: Study, base: StudyPoint, most: int = 6) -> list[tuple[StudyAxis, StudyAxis]]:
    """The pairs of axes for heat maps: of those that change the EDP most, with points beside the base."""
    axes = sorted(varied(study), key=lambda axis: -swing(study, base, axis))
    found = [
        pair
        for pair in itertools.combinations(axes, 2)
        if math.prod(len(a.values) for a in pair) <= 10_000
        and all(_compared(study, base, axis) for axis in pair)
    ]
    # By the lesser of the two: a map with an axis that does nothing says nothing.
    return sorted(found, key=lambda pair: -min(swing(study, base, a) for a in pair))[:most]
