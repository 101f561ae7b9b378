"""Predicted against measured, on logarithmic axes, with a band of a factor of 2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import Bbox

from imcsim.report.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    figure,
    legend,
    letter,
    logarithmic,
)
from imcsim.validate.silicon import SiliconRow

PANELS = (
    ("throughput (TOPS)", ("tops",), 1.0),
    ("efficiency (TOPS/W)", ("tops_per_w",), 1.0),
    ("energy of a part (fJ per operation, pJ per conversion)", ("fj_per_op", "pj"), 1.0),
    ("area (mm\N{SUPERSCRIPT TWO}; of a column x 1000)", ("um2", "um2_per_column"), 1e-6),
)
"""Title, kinds of figures, and the factor of their unit."""
_LOOKS = ((BLUE, "o"), (VERMILION, "s"), (ORANGE, "D"), (GREEN, "^"), (SKY, "P"), (PURPLE, "v"))
_BAND = 2.0
_SHADE = "#e9eef2"
_FONT = 6


def predicted_against_measured(rows: Sequence[SiliconRow]) -> Figure:
    """A panel for each kind of figure. A line leads to the prediction with the other converter."""
    made, axes = figure(6.6, 2, 2, wide=True)
    chips = list(dict.fromkeys(row.title for row in rows))
    looks = dict(zip(chips, (_LOOKS * (1 + len(chips) // len(_LOOKS)))[: len(chips)], strict=True))
    shown = [(axis, title, list(_points(rows, kinds, unit))) for axis, (title, kinds, unit) in
             zip(axes, PANELS, strict=True)]  # fmt: skip
    for axis, title, points in shown:
        if points:
            _panel(axis, title, points, looks)
        else:
            axis.set_axis_off()
    letter(axis for axis, _, points in shown if points)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=chip)
        for chip, (colour, marker) in looks.items()
    ]
    handles.append(Line2D([], [], color=GREY, linewidth=0.8, label="to the other converter"))
    handles.append(Patch(color=_SHADE, label=f"factor of {_BAND:g}"))
    legend(made, handles, ncols=-(-len(handles) // 2))
    FigureCanvasAgg(made)
    made.draw_without_rendering()
    for axis, _, points in shown:
        _label(axis, points)
    return made


def _points(
    rows: Sequence[SiliconRow], kinds: Sequence[str], unit: float
) -> Iterator[tuple[SiliconRow, float, float, float]]:
    """Row, measured, predicted, predicted with the other converter, in the unit of the panel."""
    for row in rows:
        kind = row.figure.split(".")[0]
        if kind in kinds:
            scale = unit * (1000 if kind == "um2_per_column" else 1)
            yield row, row.measured * scale, row.predicted * scale, row.other * scale


def _panel(
    axis: Axes, title: str, points: Sequence[tuple[SiliconRow, float, float, float]],
    looks: dict[str, tuple[str, str]],
) -> None:  # fmt: skip
    values = [value for _, *found in points for value in found]
    ends = np.array([min(values) / 2.5, max(values) * 2.5])
    axis.fill_between(ends, ends / _BAND, ends * _BAND, color=_SHADE, linewidth=0, zorder=0)
    axis.plot(ends, ends, color=GREY, linewidth=0.8, zorder=1)
    for row, x, y, other in points:
        colour, marker = looks[row.title]
        axis.plot([x, x], [y, other], color=GREY, linewidth=0.8, zorder=2)
        axis.plot([x], [y], color=colour, marker=marker, linestyle="", zorder=3)
    for side in (axis.xaxis, axis.yaxis):
        axis.set_xlim(*ends)
        axis.set_ylim(*ends)
        logarithmic(side)
    axis.set_aspect("equal")
    axis.set_xlabel(f"measured {title}")
    axis.set_ylabel("predicted")


def _label(axis: Axes, points: Sequence[tuple[SiliconRow, float, float, float]]) -> None:
    """Name the points whose names find room beside all points, lines and names."""
    if not points:
        return
    renderer = axis.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    places = [axis.transData.transform((x, y)) for _, x, y, _ in points]
    taken = [Bbox.from_bounds(x - 9, y - 9, 18, 18) for x, y in places]
    inside = axis.get_window_extent(renderer)
    ends = [axis.transData.transform((x, other)) for _, x, _, other in points]
    taken += [
        Bbox.from_extents(x - 3, min(y, end), x + 3, max(y, end))
        for (x, y), (_, end) in zip(places, ends, strict=True)
    ]
    low, high = inside.min, inside.max  # the diagonal runs from corner to corner
    taken += [
        Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in np.linspace(low, high, int(inside.width / 8))
    ]
    for (row, x, y, _), (px, py) in sorted(
        zip(points, places, strict=True), key=lambda one: -one[0][0].factor
    ):
        text = axis.annotate(
            _name(row), (x, y), xytext=(0, 0), textcoords="offset points", fontsize=_FONT, color=INK,
            ha="center", va="center",
        )  # fmt: skip
        size = text.get_window_extent(renderer)
        for reach, (across, up) in product((1.0, 1.8, 2.8), _AROUND):
            dx = across * (size.width / 2 + 16 * reach)
            dy = up * (size.height / 2 + 12 * reach)
            box = Bbox.from_bounds(
                px + dx - size.width / 2, py + dy - size.height / 2, size.width, size.height
            )
            free = not any(box.overlaps(other) for other in taken)
            if (
                free
                and inside.x0 < box.x0
                and box.x1 < inside.x1
                and inside.y0 < box.y0
                and box.y1 < inside.y1
            ):
                pixels = axis.figure.dpi / 72
                text.set_position((dx / pixels, dy / pixels))
                taken.append(box)
                break
        else:
            text.remove()


_AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def _name(row: SiliconRow) -> str:
    """The setting, and what the figure is for."""
    group = row.figure.partition(".")[2]
    setting = row.setting.replace(" bits out, ", "/").replace(" in", "").replace(" V, outputs ", " V, ")
    return f"{setting}, {group}" if group and group != "macro" else setting
