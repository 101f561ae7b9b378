"""Heat maps: what two axes do together, all else at the base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from imcsim.report.figures.drawing import (
    INK,
    MUTED,
    ON_DARK,
    ON_LIGHT,
    PAPER,
    figure,
    legend,
    letter,
)
from imcsim.report.figures.scales import scales
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.site.sensitivity import ACCURACY, MEASURES, at_base
from imcsim.report.site.study import Study, StudyAxis, StudyPoint, text
from imcsim.report.units import number

MOST_WRITTEN = 64
"""Cells up to which each bears its number."""

MOST_PATCHES = 400

Grid = list[list[StudyPoint | None]]


def heat_map(study: Study, base: StudyPoint, up: StudyAxis, across: StudyAxis) -> Exhibit:
    """Accuracy, energy, latency and EDP of dynamic runs (else static T max) over two axes."""
    rows = up.ordered()
    columns = across.ordered()
    grid: Grid = [[study.beside(base, [(up, r), (across, c)]) for c in columns] for r in rows]
    cells = []
    for line in grid:
        for point in line:
            if point is None:
                continue
            place = [*map(text, up.of(point)), *map(text, across.of(point)), point.index]
            if point.ended:
                run = point.shown()
                place += [run.policy, *(measure(run) for measure in MEASURES.values())]
            else:
                place += ["failed", *[None] * len(MEASURES)]
            cells.append(place)
    rest = at_base(study, base, [up, across])
    return Exhibit(
        f"heat_{up.file_name}_{across.file_name}",
        f"{up.name} and {across.name}",
        ("Dynamic runs. " if base.dynamic else "Static runs of T max. ")
        + (f"With {rest}. " if rest else "")
        + f"Means per image. The frame marks the base, point {base.index}; hatched cells have no figures: "
        "the point failed, or is no part of the sweep.",
        lambda: _draw(base, up, across, grid),
        (*up.keys, *across.keys, "point", "policy", "accuracy", "energy_pj", "latency_ns", "edp_pj_ns",
         "area_um2"),
        cells,
    )  # fmt: skip


def _draw(base: StudyPoint, up: StudyAxis, across: StudyAxis, grid: Grid) -> Figure:
    height, width = len(grid), len(grid[0])
    scale = {
        "accuracy": ACCURACY,
        **scales([p.shown() for line in grid for p in line if p is not None and p.ended]),
    }
    made, panels = figure(min(7.5, 1.3 + 2 * 0.27 * min(max(height, 2.5), 12)), 2, 2, wide=True)
    letter(panels)
    made.get_layout_engine().set(w_pad=0.09)  # type: ignore[union-attr, call-arg]
    shades = colormaps["cividis"]
    for panel, name in zip(panels, ("accuracy", "energy", "latency", "edp"), strict=True):
        measure = MEASURES[name]
        values = np.array(
            [[scale[name](measure(p.shown())) if p is not None and p.ended else np.nan for p in line]
             for line in grid]
        )  # fmt: skip
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if high - low < 1e-9 * max(abs(high), 1e-12):
            low, high = low * 0.95, high * 1.05 or 1.0
        panel.set_facecolor(PAPER)
        missing = [(float(c), float(r)) for r, c in np.argwhere(np.isnan(values))]
        if len(missing) > MOST_PATCHES:  # one patch below all, where single ones would be thousands
            _hatch(panel, -0.5, -0.5, width, height)
        for c, r in missing if len(missing) <= MOST_PATCHES else ():
            _hatch(panel, c - 0.5, r - 0.5, 1, 1)
        edges = np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5
        drawn = panel.pcolormesh(
            *edges, np.ma.masked_invalid(values), cmap=shades, vmin=low, vmax=high,
            rasterized=values.size > 2000,
        )  # fmt: skip
        bar = made.colorbar(drawn, ax=panel, pad=0.02, aspect=14)
        bar.outline.set_linewidth(0.5)
        bar.solids.set_rasterized(True)  # type: ignore[union-attr]
        if values.size <= MOST_WRITTEN:
            for (r, c), value in np.ndenumerate(values):
                if not np.isnan(value):
                    bright = (value - low) / (high - low) > 0.55
                    panel.text(
                        c, r, number(float(value), 3), ha="center", va="center",
                        fontsize=6 if width <= 8 else 5, color=ON_LIGHT if bright else ON_DARK,
                    )  # fmt: skip
        for r, line in enumerate(grid):
            for c, point in enumerate(line):
                if point is base:
                    panel.add_patch(
                        Rectangle(
                            (c - 0.46, r - 0.44), 0.92, 0.88, fill=False, edgecolor=ON_LIGHT, linewidth=1,
                            path_effects=[withStroke(linewidth=2.6, foreground=ON_DARK)],
                        )
                    )  # fmt: skip
        panel.set_title(scale[name].brief)
        _ticks(panel.xaxis, [across.label(row, 12) for row in across.ordered()])
        _ticks(panel.yaxis, [up.label(row, 12) for row in up.ordered()])
        panel.set_xlim(-0.5, width - 0.5)
        panel.set_ylim(-0.5, height - 0.5)
        panel.spines[:].set_visible(False)
        panel.tick_params(length=2)
    named = [Patch(facecolor="none", edgecolor=INK, label=f"base, point {base.index}")]
    if missing:
        named.append(Patch(facecolor="none", edgecolor=MUTED, hatch="////", linewidth=0, label="no figures"))
    legend(made, named, loc="outside upper right")
    made.supxlabel(across.name, fontsize=8)
    made.supylabel(up.name, fontsize=8)
    return made


def _hatch(panel: Axes, x: float, y: float, width: float, height: float) -> None:
    patch = Rectangle((x, y), width, height, facecolor="none", edgecolor=MUTED, hatch="////", linewidth=0)
    panel.add_patch(patch)


def _ticks(axis: Any, labels: Sequence[str]) -> None:
    step = -(-len(labels) // 10)
    axis.set_ticks(range(0, len(labels), step), labels[::step])
    if axis.axis_name == "x" and sum(map(len, labels[::step])) > 45:
        for label in axis.get_ticklabels():
            label.set(rotation=35, horizontalalignment="right", rotation_mode="anchor")
