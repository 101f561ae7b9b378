"""Names of intervals stand where the curve does not run."""

from __future__ import annotations

import matplotlib.style
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from imcsim.report.figures import drawing

X, LOW, HIGH = 40.0, 60.0, 80.0


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("side", [-1, 0, 1])
@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.3])
def test_a_name_does_not_lie_on_the_curve(scale: str, side: int, slope: float) -> None:
    """A curve just below the interval, through it, just above it."""
    middle = {-1: LOW - 1, 0: 70.0, 1: HIGH + 1}[side]
    x = np.linspace(5.0, 100.0, 60)
    curve = np.stack([x, middle + slope * (x - X)], axis=1)
    with matplotlib.style.context(drawing._STYLE):
        made, (axes,) = drawing.figure()
        axes.set_xscale(scale)
        axes.plot(*curve.T)
        axes.errorbar([X], [70.0], yerr=[[70 - LOW], [HIGH - 70]], fmt="s")
        axes.margins(y=0.15)
        drawing.name_intervals(axes, [("T = 2", X, LOW, HIGH)], curve.tolist())
        canvas = FigureCanvasAgg(made)
        canvas.draw()
        (name,) = axes.texts
        box = name.get_window_extent(canvas.get_renderer())
        fine = np.linspace(5.0, 100.0, 2000)
        pixels = axes.transData.transform(np.stack([fine, np.interp(fine, *curve.T)], axis=1))
    across = (pixels[:, 0] > box.x0) & (pixels[:, 0] < box.x1)
    inside = across & (pixels[:, 1] > box.y0) & (pixels[:, 1] < box.y1)
    assert not inside.any()
    assert (name.xy[1] == HIGH) == (side == -1)


def test_a_name_without_a_curve_stands_below() -> None:
    _, (axes,) = drawing.figure()
    axes.errorbar([X], [70.0], yerr=[[10], [10]])
    drawing.name_intervals(axes, [("T = 1", X, LOW, HIGH)], [])
    assert axes.texts[0].xy == (X, LOW)


def test_a_name_that_finds_no_room_stands_above_or_is_left_out() -> None:
    """The first named has its place; of three at nearly one point the last has none."""
    _, (axes,) = drawing.figure()
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    near = [(f"T = {k}", X + k, LOW, HIGH) for k in range(3)]
    drawing.name_intervals(axes, [*near, ("T = 9", 90.0, LOW, HIGH)], [])
    assert [(text.get_text(), text.xy[1]) for text in axes.texts] == [
        ("T = 0", LOW), ("T = 1", HIGH), ("T = 9", LOW),
    ]  # fmt: skip
