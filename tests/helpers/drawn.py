"""Every figure that something draws, and the faults that a reader would see in it."""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection, LineCollection, QuadMesh
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.transforms import Bbox

import imcsim
from imcsim.report.figures import drawing
from imcsim.report.figures.drawing import COLUMN, GRID, PAGE, PAPER, Format

SMALLEST_PT = 5.0
_PLAIN = {to_hex(GRID), to_hex(PAPER)}
"""Colours that need no name."""


@dataclass
class Drawn:
    """A figure as it was drawn, and the functions that made it."""

    figure: Figure
    makers: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return ".".join(self.makers[0] if self.makers else ("", ""))


def watch(patch: pytest.MonkeyPatch) -> list[Drawn]:
    """What is drawn from now on: laid out as for a file. Files hold nothing but their first bytes."""
    seen: list[Drawn] = []
    makers: dict[int, tuple[tuple[str, str], ...]] = {}

    class Watched(Figure):
        def __init__(self, **how: Any) -> None:
            super().__init__(**how)
            frame, calls = sys._getframe(2), []
            while frame is not None:
                module = frame.f_globals.get("__name__", "")
                if module.startswith("imcsim.report"):
                    calls.append((module, frame.f_code.co_name))
                frame = frame.f_back
            makers[id(self)] = tuple(calls)

    def keep(figure: Figure, formats: Iterable[Format], *_: Any) -> dict[Format, bytes]:
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
        seen.append(Drawn(figure, makers[id(figure)]))
        files: dict[Format, bytes] = {
            "svg": b'<svg viewBox="0 0 1 1">\n</svg>', "pdf": b"%PDF-", "png": b"\x89PNG",
        }  # fmt: skip
        return {kind: files[kind] for kind in formats}

    patch.setattr(drawing, "Figure", Watched)
    patch.setattr(drawing, "_files", keep)
    return seen


def makers_of_figures() -> set[tuple[str, str]]:
    """Module and name of all functions that make one: those of reports alone do."""
    root = Path(imcsim.__file__).parent
    found = set()
    for path in sorted((root / "report").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
            names = {node.id for node in calls if isinstance(node, ast.Name)}
            if "figure" in names or "Figure" in names:
                found.add((module, function.name))
    return found - {("imcsim.report.figures.drawing", "figure")}


def faults(drawn: Drawn) -> Iterator[str]:
    """What is wrong with a figure."""
    figure = drawn.figure
    if figure.get_figwidth() not in (COLUMN, PAGE):
        yield f"is {figure.get_figwidth():g} inches wide"
    yield from _beyond_the_paper(figure)
    for text in _texts(figure):
        if text.get_fontsize() < SMALLEST_PT:
            yield f"{text.get_text()!r} has letters of {text.get_fontsize():.1f} points"
    yield from _words_on_words(figure)
    for axes in figure.axes:
        yield from _words_on_curves(axes)
        yield from _cut_marks(axes)
    yield from _without_a_name(figure)


def _beyond_the_paper(figure: Figure) -> Iterator[str]:
    shown = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    for side, out in (("left", -shown.x0), ("right", shown.x1 - width), ("bottom", -shown.y0),
                      ("top", shown.y1 - height)):  # fmt: skip
        if out * figure.dpi > 0.5:
            yield f"is cut at the {side}, {out:.3f} inches"


def _legends(figure: Figure) -> list[Legend]:
    inside = [axes.get_legend() for axes in figure.axes]
    return [*figure.legends, *(one for one in inside if one is not None)]


def _ticks(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    spare = 1e-9 * (high - low)
    return [
        tick.label1
        for tick in axis.get_major_ticks()
        if low - spare <= tick.get_loc() <= high + spare and tick.label1.get_visible()
    ]


def _of_axes(axes: Axes) -> list[Text]:
    named = [axes.title, axes._left_title, axes._right_title, *axes.texts]  # type: ignore[attr-defined]
    if axes.axison:
        named += [axes.xaxis.label, axes.yaxis.label, *_ticks(axes.xaxis), *_ticks(axes.yaxis)]
    return [text for text in named if text.get_visible() and text.get_text().strip()]


def _texts(figure: Figure) -> list[Text]:
    every = [*figure.texts, *(text for axes in figure.axes for text in _of_axes(axes))]
    return [*every, *(text for legend in _legends(figure) for text in legend.get_texts())]


def _words_on_words(figure: Figure) -> Iterator[str]:
    shown: list[tuple[str, Bbox]] = []
    for text in (*figure.texts, *(text for axes in figure.axes for text in _of_axes(axes))):
        if text.get_rotation() % 90 == 0:  # the box of other letters is larger than they are
            shown.append((text.get_text(), text.get_window_extent()))
    shown += [("the legend", legend.get_window_extent()) for legend in figure.legends]
    for (one, its), (other, theirs) in itertools.combinations(shown, 2):
        common = Bbox.intersection(its, theirs)
        if common is not None and min(common.width, common.height) > 2:
            yield f"{one!r} lies on {other!r}"


def _words_on_curves(axes: Axes) -> Iterator[str]:
    for text in axes.texts:
        if not text.get_text() or not text.get_visible() or text.get_bbox_patch() is not None:
            continue
        box = text.get_window_extent()
        box = box.padded(-0.15 * box.height)  # letters do not fill their box
        for line in axes.lines:
            behind = line.get_zorder() == 0 or line.get_linestyle() in ("None", "none", "")
            if behind or line.get_alpha() is not None:
                continue
            path = line.get_transform().transform_path(line.get_path())
            if len(path.vertices) > 1 and path.intersects_bbox(box, filled=False):
                yield f"{text.get_text()!r} lies on a curve"
        for bars in axes.collections:
            if isinstance(bars, LineCollection) and any(
                bars.get_transform().transform_path(path).intersects_bbox(box, filled=False)
                for path in bars.get_paths()
            ):
                yield f"{text.get_text()!r} lies on a bar"


def _cut_marks(axes: Axes) -> Iterator[str]:
    """Marks of which the edge of their axes cuts a part away."""
    box = axes.bbox.padded(2)
    for line in axes.lines:
        if line.get_marker() in ("None", "none", "", "_", "|", None) or not line.get_clip_on():
            continue
        size = line.get_markersize() / 2 * axes.figure.dpi / 72
        points = np.column_stack([np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)])
        for x, y in line.get_transform().transform(points[:: line.get_markevery() or 1]):
            if not (box.x0 <= x - size and x + size <= box.x1 and box.y0 <= y - size and y + size <= box.y1):
                yield f"the axes cut a mark of {line.get_label()!r}"
                break


def _without_a_name(figure: Figure) -> Iterator[str]:
    """Colours of curves, bars and bands that no legend has, in figures with more than one."""
    if any(isinstance(one, AxesImage | QuadMesh) for axes in figure.axes for one in axes.get_children()):
        return
    named = {colour for legend in _legends(figure) for one in _handles(legend) for colour in _colours(one)}
    for axes in figure.axes:
        bars = {colour for one in axes.patches for colour in _colours(one)} - _PLAIN
        shown = {colour for one in (*axes.lines, *axes.collections) for colour in _colours(one)} - _PLAIN
        if len(bars) > 1:  # of one colour they are what the axis says
            shown |= bars
        if len(shown) > 1 or figure.legends:
            for colour in sorted(shown - named):
                yield f"no legend names {colour}"


def _handles(legend: Legend) -> list[Any]:
    return [*legend.findobj(Line2D), *legend.findobj(Patch), *legend.findobj(Collection)]


def _colours(artist: Any) -> set[str]:
    found: list[Any] = []
    if isinstance(artist, Line2D):
        if artist.get_linestyle() not in ("None", "none", ""):
            found.append(artist.get_color())
        if artist.get_marker() not in ("None", "none", "", None):
            empty = artist.get_markerfacecolor() == "none" or artist.get_marker() in ("|", "_", "x", "+")
            found.append(artist.get_markeredgecolor() if empty else artist.get_markerfacecolor())
        found = found if len(artist.get_path().vertices) else []
    elif isinstance(artist, LineCollection):
        found = list(artist.get_colors())
    elif isinstance(artist, Collection):
        found = list(artist.get_facecolors())
    elif isinstance(artist, Patch):
        found = [artist.get_facecolor()]
    return {to_hex(colour) for colour in found if to_rgba(colour)[3] > 0}
