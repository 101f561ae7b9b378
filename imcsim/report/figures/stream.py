"""A stream of images drawn: how busy each tile was, and how long images stayed."""

from __future__ import annotations

from matplotlib.figure import Figure

from imcsim.base.progress import Progress
from imcsim.report.figures.drawing import (
    BLUE,
    GREY,
    GRID,
    HALO,
    VERMILION,
    draw,
    figure,
    legend,
    mark_mean,
)
from imcsim.report.figures.layers import layer_figures
from imcsim.report.terminal.stream import label, runs_of_tiles
from imcsim.report.units import TIME, fitting, number
from imcsim.results.stream import StreamResult

_MOST_NAMES = 24
_MOST_IN_COLUMN = 15
"""Tiles whose bars and names a column has room for."""


def render_stream(result: StreamResult, progress: Progress | None = None) -> dict[str, bytes]:
    """All figures of `result`: file name (``utilisation.svg``) to file content."""
    return draw(lambda: stream_figures(result), progress=progress)


def stream_figures(result: StreamResult) -> dict[str, Figure]:
    """All figures of `result` by name."""
    return {
        "utilisation": utilisation(result),
        "latency": latency_distribution(result),
        **layer_figures(result.layer_efficiency),
    }


def utilisation(result: StreamResult) -> Figure:
    """One bar for each tile; tiles that hold the same layers stand between two lines, and share a name."""
    tiles = result.tiles
    wide = len(tiles) > _MOST_IN_COLUMN
    made, (axes,) = figure(wide=wide)
    runs = list(runs_of_tiles(tiles))
    centres = []
    for _, run in runs:
        places = [tile.tile for tile in run]
        axes.bar(places, [100 * tile.utilisation for tile in run], width=0.8, color=BLUE)
        axes.axvline(places[0] - 0.5, color=GRID, linewidth=0.7, zorder=0)
        centres.append((places[0] + places[-1]) / 2)
    if len(runs) <= _MOST_NAMES:
        names = [", ".join(run[0].layers) or "-" for _, run in runs]
        axes.set_xticks(
            centres,
            names,
            rotation=90 if wide else 45,
            ha="right",
            va="center" if wide else "top",
            rotation_mode="anchor",
        )
    axes.set_xlabel("tiles, by layer")
    mean = 100 * sum(tile.utilisation for tile in tiles) / len(tiles)
    axes.axhline(mean, color=VERMILION, linestyle="--", linewidth=1.0, zorder=0, label=f"mean {mean:.1f} %")
    axes.set_xlim(-0.8, len(tiles) - 0.2)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("crossbars in use (% of time)")
    legend(made, loc="outside upper right", title=label(result), title_fontsize=7)
    return made


def latency_distribution(result: StreamResult) -> Figure:
    """Share of the images that have left after a time, with the median, p95 and p99."""
    made, (axes,) = figure()
    times = result.latency_percentiles_ns
    unit = fitting(TIME, times)
    name = unit.name.replace("us", "µs")
    axes.step(
        [t / unit.per_base for t in times], range(len(times)), where="post", color=BLUE,
        label=label(result),
    )  # fmt: skip
    for percentile in (50, 95, 99):
        at = times[percentile] / unit.per_base
        axes.plot([at], [percentile], marker="o", markersize=3.5, color=BLUE)
        axes.annotate(
            f"p{percentile}  {number(at, 3)} {name}",
            (at, percentile),
            xytext=(5, -3) if percentile != 99 else (5, 2),
            textcoords="offset points",
            va="top" if percentile != 99 else "bottom",
            fontsize=7,
            path_effects=HALO,
        )
    mean = result.latency_ns / unit.per_base
    mark_mean(axes, mean, f"mean {number(mean, 3)} {name}", GREY)
    axes.set_xlim(0, times[-1] / unit.per_base * 1.3 or 1.0)
    axes.set_ylim(0, 108)
    axes.set_yticks(range(0, 101, 25))
    axes.set_xlabel(f"time from arrival ({name})")
    axes.set_ylabel("images that have left (%)")
    legend(made)
    return made
