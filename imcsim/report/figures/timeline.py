"""The timeline of a few images as a picture: tiles as rows, time across, exits and cancelled work marked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from imcsim.base.errors import ImcsimError
from imcsim.report.figures.drawing import (
    BLUE,
    FORMATS,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    VERMILION,
    draw,
    figure,
    legend,
)
from imcsim.report.units import TIME, Unit, fitting
from imcsim.studies.timelines import Recorded

Bars = list[tuple[float, float]]

_CROSSBARS, _PORT, _CHECK = BLUE, ORANGE, GREEN
_SHADE = "#F0F0F0"
_TIMESTEP: dict[str, Any] = {"facecolor": "#D9D9D9", "edgecolor": GREY, "linewidth": 0.6}
_CANCELLED: dict[str, Any] = {"facecolor": "white", "edgecolor": VERMILION, "linewidth": 0.6, "hatch": "////"}
_MOST_NAMED = 40
"""Tiles that are named one by one."""
_MOST_EXITS = 6
"""Images whose exits are named."""
_HAIR_PT = 0.4
"""Slices narrower than this get an edge of it: what takes few cycles is seen too."""


def check_format(path: str | Path) -> str:
    """The kind of picture that a file name asks for. Raises ImcsimError for any but PNG, SVG and PDF."""
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ImcsimError(
            "this is no picture that can be drawn", file=path, fix=f"end it with .{' or .'.join(FORMATS)}"
        )
    return kind


def timeline_picture(recorded: Recorded, kind: str) -> bytes:
    """The picture as a file of this kind, ``png``, ``svg`` or ``pdf``."""
    return draw(lambda: {"timeline": timeline_figure(recorded)})[f"timeline.{kind}"]


def timeline_figure(recorded: Recorded) -> Figure:
    """Rows from the top: timesteps, the image's way in, tiles, the exit checker."""
    tiles = len(recorded.tiles)
    lanes = _timestep_lanes(recorded)
    rows = len(lanes) + 1 + tiles + 1
    made, (axes,) = figure(min(9.5, 1.3 + 0.24 * rows), wide=True)
    unit = _unit(recorded)
    scale = recorded.clock_ns / unit.per_base
    _shade(axes, recorded, scale)
    _timesteps(axes, recorded, lanes, scale)
    top = len(lanes)
    for cancelled in (False, True):
        spans = _merged(_spans(recorded, ("load", "send"), -1, cancelled))
        _bars(axes, (top + 0.15, top + 0.85), spans, recorded, VERMILION if cancelled else _PORT)
    for tile in range(tiles):
        at = top + 1 + tile
        for kinds, colour, low, high in ((("drive",), _CROSSBARS, 0.06, 0.6), (("send",), _PORT, 0.66, 0.94)):
            for cancelled in (False, True):
                spans = _merged(_spans(recorded, kinds, tile, cancelled))
                _bars(axes, (at + low, at + high), spans, recorded, VERMILION if cancelled else colour)
    checked = _merged(_spans(recorded, ("accumulate", "check"), -1))
    _bars(axes, (rows - 0.85, rows - 0.15), checked, recorded, _CHECK)
    _exits(axes, recorded, scale)
    _labels(axes, recorded, len(lanes), rows, unit)
    _legend(made, recorded)
    return made


def _unit(recorded: Recorded) -> Unit:
    return fitting(TIME, [recorded.last_cycle * recorded.clock_ns])


def _spans(
    recorded: Recorded, kinds: tuple[str, ...], tile: int, cancelled: bool | None = None
) -> Iterable[tuple[int, int]]:
    return (
        (s.began, s.ended)
        for s in recorded.slices
        if s.kind in kinds and s.tile == tile and cancelled in (None, recorded.cancelled(s.job))
    )


def _merged(spans: Iterable[tuple[int, int]]) -> Bars:
    """Spans that touch or overlap as one."""
    found: list[list[int]] = []
    for began, ended in sorted(spans):
        if found and began <= found[-1][1]:
            found[-1][1] = max(found[-1][1], ended)
        else:
            found.append([began, ended])
    return [(began, ended) for began, ended in found]


def _bars(axes: Axes, rows: tuple[float, float], spans: Bars, recorded: Recorded, colour: str) -> None:
    if not spans:
        return
    unit = _unit(recorded)
    scale = recorded.clock_ns / unit.per_base
    bars = [(began * scale, (ended - began) * scale) for began, ended in spans]
    hair = recorded.last_cycle * _HAIR_PT / (0.8 * 72 * PAGE)  # axes are about this part of a page wide
    # The checker's work is short beside an image: an edge keeps it in sight.
    least = 0.8 if colour == _CHECK else 0.0
    edges = [max(least, _HAIR_PT if ended - began < hair else 0.0) for began, ended in spans]
    low, high = rows
    axes.broken_barh(bars, (low, high - low), facecolors=colour, edgecolors=colour, linewidths=edges)


def _timestep_lanes(recorded: Recorded) -> list[list[tuple[int, int, int]]]:
    """Timesteps as (began, ended, job), in as few rows as it takes for them not to overlap."""
    line = recorded.line
    last: dict[int, int] = defaultdict(int)
    for one in recorded.slices:
        last[one.job] = max(last[one.job], one.ended)
    lanes: list[list[tuple[int, int, int]]] = []
    for job, issued in enumerate(line.issued):
        ended = last[job] if recorded.cancelled(job) else int(line.verdict[job])
        lane = next((lane for lane in lanes if lane[-1][1] <= issued), None)
        if lane is None:
            lanes.append(lane := [])
        lane.append((int(issued), ended, job))
    return lanes


def _shade(axes: Axes, recorded: Recorded, scale: float) -> None:
    """Every other timestep grey, from its issue to the next one's."""
    issued = [int(cycle) for cycle in recorded.line.issued]
    if len(issued) == 1:
        return
    ends = [*issued[1:], recorded.line.cycles]
    for job, (began, ended) in enumerate(zip(issued, ends, strict=True)):
        if job % 2 == 0 and ended > began:
            axes.axvspan(began * scale, ended * scale, color=_SHADE, linewidth=0, zorder=0)


def _timesteps(axes: Axes, recorded: Recorded, lanes: list[list[tuple[int, int, int]]], scale: float) -> None:
    width = recorded.last_cycle
    for row, lane in enumerate(lanes):
        for began, ended, job in lane:
            gone = recorded.cancelled(job)
            axes.broken_barh(
                [(began * scale, (ended - began) * scale)],
                (row + 0.1, 0.8),
                **(_CANCELLED if gone else _TIMESTEP),
            )
            name = f"t = {int(recorded.line.timestep[job]) + 1}"
            if len(recorded.images) > 1:
                name = f"image {recorded.images[recorded.line.image[job]].image}, {name}"
            if ended - began < 0.011 * len(name) * width:
                continue
            axes.text(
                (began + ended) / 2 * scale, row + 0.5, name, ha="center", va="center", fontsize=6.5,
                clip_on=True,  # neither hatching nor the line of an exit runs through it
                bbox={"facecolor": (_CANCELLED if gone else _TIMESTEP)["facecolor"], "edgecolor": "none",
                      "pad": 1.5},
            )  # fmt: skip


def _exits(axes: Axes, recorded: Recorded, scale: float) -> None:
    """A line for each exit, named above it: in rows, so that neither names nor the lines to them meet."""
    letter = 0.0105 * recorded.last_cycle * scale
    taken = [-math.inf] * len(recorded.images)  # up to where each row is
    leaving = sorted(
        (int(recorded.line.departure[k]), shown.image) for k, shown in enumerate(recorded.images)
    )
    for cycle, image in leaving:
        at = cycle * scale
        axes.axvline(at, color="black", linewidth=1.1, linestyle=(0, (4, 2)))
        if len(leaving) > _MOST_EXITS:
            continue
        name = f"image {image} leaves"
        row = next(k for k, end in enumerate(taken) if at - letter * len(name) >= end)
        taken[: row + 1] = [at] * (row + 1)
        axes.annotate(
            name, (at, 1), xycoords=("data", "axes fraction"), xytext=(-2, 2 + 9 * row),
            textcoords="offset points", ha="right", va="bottom", fontsize=7,
        )  # fmt: skip
        if row:
            axes.annotate(
                "", (at, 1), xycoords=("data", "axes fraction"), xytext=(0, 9 + 9 * row),
                textcoords="offset points", arrowprops={"arrowstyle": "-", "linewidth": 0.5, "shrinkB": 0},
            )  # fmt: skip


def _labels(axes: Axes, recorded: Recorded, lanes: int, rows: int, unit: Unit) -> None:
    names = ["timesteps", *[""] * (lanes - 1), "image in"]
    step = -(-len(recorded.tiles) // _MOST_NAMED)
    for k, tile in enumerate(recorded.tiles):
        what = ", ".join(tile.layers)
        short = what if len(what) <= 22 else what[:20] + "..."
        names.append(f"tile {k}: {short}" if k % step == 0 else "")
    names.append("exit checker")
    axes.set_yticks([row + 0.5 for row in range(rows)], names, fontsize=6.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(rows, 0)
    axes.set_xlim(0, recorded.last_cycle * recorded.clock_ns / unit.per_base * 1.005)
    axes.set_xlabel(f"time ({unit.name.replace('us', 'µs')})")


def _legend(made: Figure, recorded: Recorded) -> None:
    handles: list[Patch | Line2D] = [
        Patch(label="timestep, until its verdict", **_TIMESTEP),
        Patch(color=_CROSSBARS, label="crossbars driven"),
        Patch(color=_PORT, label="rows moving"),
        Patch(color=_CHECK, label="accumulator and checker"),
        Line2D([], [], color="black", linestyle=(0, (4, 2)), linewidth=1.1, label="exit"),
    ]
    if len(recorded.line.issued) > 1:
        handles.insert(1, Patch(color=_SHADE, label="every other timestep, until the next enters"))
    if any(recorded.cancelled(job) for job in range(len(recorded.line.issued))):
        handles.insert(1, Patch(label="timestep, cancelled", **_CANCELLED))
        handles.insert(-1, Patch(color=VERMILION, label="cancelled work"))
    legend(made, handles, loc="outside lower center", ncols=4, handlelength=1.4, columnspacing=1.2)
