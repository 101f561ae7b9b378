"""A comparison or a run as figures: exits, energy by component, accuracy against EDP, scaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from imcsim.base.progress import Progress
from imcsim.report.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    STACK,
    VERMILION,
    dark,
    draw,
    figure,
    legend,
    logarithmic,
    mark_mean,
    name_intervals,
)
from imcsim.report.figures.layers import layer_figures
from imcsim.report.figures.tornado import panels, tornado
from imcsim.report.sampling import ALL_SHOWN, exit_bins, shown_timesteps
from imcsim.report.units import ENERGY, TIME, fitting, number, percent, pretty, product, thresholds
from imcsim.results.comparison import CompareResult, Dynamic, ScalingPoint, StaticPoint
from imcsim.results.costs import ComponentCost
from imcsim.results.run import RunResult

DTSNN_ENERGY = (0.443, 0.557)
"""E(T) / E(1) = 0.443 + 0.557 T: derived from the 4.9x energy of T = 8 that DT-SNN (DAC 2023) states."""


def render(
    result: CompareResult | RunResult, *, paper: bool = False, progress: Progress | None = None
) -> dict[str, bytes]:
    """All figures of `result`: file name (``exits.svg``) to file content."""
    return draw(lambda: figures(result, paper=paper), progress=progress)


def figures(result: CompareResult | RunResult, *, paper: bool = False) -> dict[str, Figure]:
    """All figures of `result` by name. With `paper`, DT-SNN's line stands beside the growth with T."""
    return _compare(result, paper) if isinstance(result, CompareResult) else _run(result)


def _compare(result: CompareResult, paper: bool) -> dict[str, Figure]:
    t_max = result.meta.timesteps
    bars = {
        f"static\nT = {t_max}": [c.static_energy_pj or 0.0 for c in result.components],
        "dynamic": [c.energy_pj for c in result.components],
    }
    made = {
        "exits": exit_histogram(result.dynamic.exit_fraction, result.dynamic.mean_timesteps),
        "energy_breakdown": energy_breakdown(result.components, bars),
        "accuracy_edp": accuracy_edp(result),
    }
    made |= layer_figures(result.layer_efficiency)
    if len(result.scaling) > 1:  # one point grows with nothing
        made["scaling"] = scaling(result.scaling, paper=paper)
    if result.ranges is not None and (shown := panels(result.ranges)):
        made["tornado"] = tornado(result.ranges, shown)
    return made


def _run(result: RunResult) -> dict[str, Figure]:
    outcome = result.outcome
    bars = {str(result.policy.kind): [c.energy_pj for c in outcome.components]}
    return {
        "exits": exit_histogram(outcome.exit_fraction, outcome.mean_timesteps),
        "energy_breakdown": energy_breakdown(outcome.components, bars),
        **layer_figures(outcome.layer_efficiency),
    }


def accuracy_edp(result: CompareResult) -> Figure:
    """Accuracy against EDP (mean of products): the thresholds, the one used, and static T = 1, 2, ...."""
    made, (axes,) = figure(height=2.9)
    rows: list[StaticPoint | Dynamic] = [*result.static, result.dynamic]
    unit = product(
        fitting(ENERGY, (row.energy_pj for row in rows)), fitting(TIME, (row.latency_ns for row in rows))
    )

    def edp(value: float) -> float:
        return value / unit.per_base

    used = result.dynamic.threshold
    curve = sorted(result.curve, key=lambda point: point.threshold)
    if len(result.static) > 1 and curve:  # of one timestep all thresholds are one point
        axes.plot(
            [edp(point.edp_mean_of_products) for point in curve],
            [100 * point.accuracy for point in curve],
            color=BLUE,
            marker=".",
            markersize=4,
            label="dynamic, " + ("one threshold for all T" if used is None else "over thresholds"),
        )
    few = shown_timesteps(len(result.static))
    static = [result.static[t - 1] for t in few]
    x = [edp(point.edp_mean_of_products) for point in static]
    y = [100 * point.accuracy for point in static]
    low = [100 * (point.accuracy - point.accuracy_low) for point in static]
    high = [100 * (point.accuracy_high - point.accuracy) for point in static]
    axes.errorbar(
        x,
        y,
        yerr=[low, high],
        fmt="s",
        markersize=4.5,
        markeredgecolor="white",
        markeredgewidth=0.5,
        zorder=6,  # in front of the star: early exit may cost just as much
        color=VERMILION,
        ecolor=GREY,
        elinewidth=0.8,
        capsize=2,
        label=f"static, {result.static[-1].issue} (95 % interval)",
    )
    others = [
        point
        for one in result.opponents
        for point, best in zip(one.static, result.static, strict=True)
        if point.edp_mean_of_products > best.edp_mean_of_products and point.timesteps in few
    ]
    if others:
        axes.plot(
            [edp(point.edp_mean_of_products) for point in others],
            [100 * point.accuracy for point in others],
            linestyle="none",
            marker="s",
            markersize=4,
            color="white",
            markeredgecolor=VERMILION,
            markeredgewidth=0.8,
            label="static, " + " and ".join(sorted({point.issue for point in others})),
        )
    # The ends first, then powers of two: where not all have room, those have it.
    order = sorted(range(len(few)), key=lambda k: (few[k] not in (1, few[-1]), few[k] & (few[k] - 1) != 0))
    axes.plot(
        [edp(result.dynamic.edp_mean_of_products)],
        [100 * result.dynamic.accuracy],
        linestyle="none",
        marker="*",
        markersize=13,
        color=GREEN,
        markeredgecolor="black",
        markeredgewidth=0.5,
        zorder=5,
        label=f"threshold{'s' if used is None else ''} used, "
        + thresholds(result.dynamic.thresholds if used is None else used),
    )
    axes.set_xlabel(f"EDP, mean over images ({pretty(unit)})")
    axes.set_ylabel("accuracy (%)")
    widest = max([*x, *(edp(point.edp_mean_of_products) for point in others)])
    if min(x) > 0 and widest > 18 * min(x):  # else the first name would lie on the axis
        logarithmic(axes.xaxis)
    else:
        axes.set_xlim(0, widest * 1.12 or 1.0)
    axes.margins(y=0.1)  # room for the names of static runs
    name_intervals(
        axes,
        [(f"T={few[k]}", x[k], 100 * static[k].accuracy_low, 100 * static[k].accuracy_high) for k in order],
        [(edp(point.edp_mean_of_products), 100 * point.accuracy) for point in curve],
        [
            *((edp(point.edp_mean_of_products), 100 * point.accuracy) for point in others),
            *(
                (px, py)
                for px, one in zip(x, static, strict=True)
                for py in np.linspace(100 * one.accuracy_low, 100 * one.accuracy_high, 50)
            ),
            (edp(result.dynamic.edp_mean_of_products), 100 * result.dynamic.accuracy),
        ],
    )
    axes.grid(color="0.9")
    legend(made, columnspacing=1, handletextpad=0.5)
    return made


def exit_histogram(exit_fraction: Sequence[float], mean_timesteps: float) -> Figure:
    """Share of the images that exit at each timestep, or at some of many timesteps, and the mean."""
    made, (axes,) = figure(height=2.2)
    bins = exit_bins(exit_fraction)
    width = bins[0].last - bins[0].first + 1
    middles = [one.first + (width - 1) / 2 for one in bins]
    shares = [100 * one.share for one in bins]
    bars = axes.bar(middles, shares, width=0.7 if width == 1 else 0.9 * width, color=BLUE)
    size = 7 if len(bins) <= 8 else 5
    # Of many bins those that hold nothing say so by themselves.
    labels = [percent(one.share) if one.share or width == 1 else "" for one in bins]
    axes.bar_label(bars, labels, padding=2, fontsize=size)
    mark_mean(axes, mean_timesteps, f"mean {mean_timesteps:.2f}")
    if width == 1:
        axes.set_xticks([one.first for one in bins])
        axes.set_xlim(min(0.4, len(bins) / 2 - 1.1), max(len(bins) + 0.6, len(bins) / 2 + 2.1))
    else:
        axes.set_xlim(0, len(exit_fraction) + 1)
    axes.set_ylim(0, 122)
    axes.set_yticks(range(0, 101, 20))
    axes.set_xlabel("exit timestep" + (f", {width} in a bar" if width > 1 else ""))
    axes.set_ylabel("images (%)")
    legend(made, loc="outside upper right")
    return made


def energy_breakdown(components: Sequence[ComponentCost], bars: Mapping[str, Sequence[float]]) -> Figure:
    """One stacked bar for each run in `bars` (label to pJ for each of `components`), largest component first.

    What does not fit the palette is summed into one part.
    """
    order = sorted(range(len(components)), key=lambda i: -max(values[i] for values in bars.values()))
    shown, rest = order[: len(STACK)], order[len(STACK) :]
    if len(rest) == 1:  # one more colour than the palette has, but "others" would say less than its name
        shown, rest = order, []
    parts = [(components[i].name, [values[i] for values in bars.values()]) for i in shown]
    if rest:
        parts.append((f"{len(rest)} others", [sum(values[i] for i in rest) for values in bars.values()]))
    totals = [sum(values) for values in bars.values()]
    unit = fitting(ENERGY, totals)
    made, (axes,) = figure(height=2.8)
    bottom = [0.0] * len(bars)
    for (name, values), colour in zip(parts, (*STACK, GREY), strict=False):
        heights = [value / unit.per_base for value in values]
        drawn = axes.bar(
            list(bars),
            heights,
            bottom=bottom,
            width=0.6,
            color=colour,
            edgecolor="white",
            linewidth=0.5,
            label=name,
        )
        labels = [
            f"{100 * value / total:.0f} %" if total and value / max(totals) > 0.05 else ""
            for value, total in zip(values, totals, strict=True)
        ]
        axes.bar_label(
            drawn, labels, label_type="center", fontsize=7, color="white" if dark(colour) else "black"
        )
        bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
    for index, total in enumerate(bottom):
        axes.annotate(
            number(total, 3),
            (index, total),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
        )
    axes.set_xlim(-0.55, len(bars) - 0.45)
    axes.set_ylim(0, max(bottom) * 1.1 or 1.0)
    axes.set_ylabel(f"energy per image ({pretty(unit)})")
    legend(made, axes.get_legend_handles_labels()[0][::-1], loc="outside right center", ncols=1)
    return made


def scaling(points: Sequence[ScalingPoint], *, paper: bool = False) -> Figure:
    """Static energy and latency against T, relative to T = 1; with `paper` beside the line of DT-SNN."""
    made, (axes,) = figure()
    timesteps = [point.timesteps for point in points]
    constant, slope = DTSNN_ENERGY
    every = -(-len(points) // ALL_SHOWN)
    axes.plot(
        timesteps,
        [point.latency_ratio for point in points],
        color=ORANGE,
        marker="s",
        markersize=7,
        markerfacecolor="white",
        linewidth=3,  # energy grows alike, and lies on it
        markevery=every,
        label="latency",
    )
    axes.plot(
        timesteps,
        [point.energy_ratio for point in points],
        color=BLUE,
        marker="o",
        markersize=4,
        markevery=every,
        label="energy",
    )
    if paper:
        constant, slope = DTSNN_ENERGY
        axes.plot(
            timesteps,
            [constant + slope * t for t in timesteps],
            color="black",
            linestyle="--",
            linewidth=1.0,
            label=f"{constant} + {slope} T: energy in DT-SNN\n(DAC 2023, derived)",
        )
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.set_xlabel("timesteps T")
    axes.set_ylabel("relative to T = 1")
    highest = max(max(point.latency_ratio, point.energy_ratio) for point in points)
    axes.set_ylim(0, max(1.05 * highest, axes.get_ylim()[1]))  # room for the marks at the top
    axes.grid(color="0.9")
    legend(made)
    return made
