"""Accuracy against EDP, and when images leave."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imcsim.base.plurals import counted
from imcsim.report.figures.drawing import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    VERMILION,
    figure,
    legend,
    mark_mean,
    name_intervals,
)
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.reproduction.wording import (
    HELD,
    chip_names,
    compared,
    file_name,
    find,
    last_name,
    main_chip,
    minus,
    shown_change,
)
from imcsim.report.units import percent
from imcsim.results.reproduction.document import NetworkPart, Reproduction
from imcsim.results.reproduction.figures import Judged

JOINED: dict[Judged, str] = {"best": "all choices joined", "held": HELD}
COLOURS = (BLUE, ORANGE)
"""Of the chips, the narrow one first."""


def curves(document: Reproduction) -> list[Exhibit]:
    """For each network accuracy against EDP: all thresholds, the one used, static T = 1, 2, ...."""
    return [_curve(document, part) for part in document.networks]


def _curve(document: Reproduction, part: NetworkPart) -> Exhibit:
    chip = main_chip(part)
    result, last = chip.comparison, last_name(chip.comparison.static)
    columns = ("chip", "policy", "timesteps", "threshold", "accuracy", "accuracy_low", "accuracy_high",
               "energy_pj", "latency_ns", "edp_mean_of_products", "edp_percent_of_static")  # fmt: skip
    rows: list[list[Any]] = []
    for one in part.chips:
        whole = one.comparison.static[-1].edp_mean_of_products
        for s in one.comparison.static:
            rows.append([one.width, "static", s.timesteps, None, s.accuracy, s.accuracy_low, s.accuracy_high,
                         s.energy_pj, s.latency_ns, s.edp_mean_of_products,
                         100 * s.edp_mean_of_products / whole])  # fmt: skip
        for c in one.comparison.curve:
            rows.append([one.width, "dynamic", c.mean_timesteps, c.threshold, c.accuracy, None, None,
                         c.energy_pj, c.latency_ns, c.edp_mean_of_products,
                         100 * c.edp_mean_of_products / whole])  # fmt: skip
        d = one.comparison.dynamic
        rows.append([one.width, "threshold used", d.mean_timesteps, d.threshold, d.accuracy, d.accuracy_low,
                     d.accuracy_high, d.energy_pj, d.latency_ns, d.edp_mean_of_products,
                     100 * d.edp_mean_of_products / whole])  # fmt: skip
        for name, way in one.joint.ways[1:]:
            test = way.test
            rows.append([one.width, JOINED[name], test.mean_timesteps, None, test.accuracy,
                         test.accuracy_low, test.accuracy_high, test.energy_pj, test.latency_ns,
                         test.edp_mean_of_products, 100 * test.edp_mean_of_products / whole])  # fmt: skip
    less = shown_change(result.reduction.edp_mean_of_products)
    others = " and ".join(
        f"the {name} one ({shown_change(one.comparison.reduction.edp_mean_of_products)})"
        for name, one in zip(chip_names(part), part.chips, strict=True)
        if one is not chip
    )
    beside = f" The {chip_names(part)[-1]} chip is drawn; {others} differs in EDP alone." if others else ""
    return Exhibit(
        f"curve_{file_name(part.key)}",
        f"{part.title}: EDP {less}, and {compared(chip.against_static, last)}",
        f"{counted(result.meta.images, 'test image')}. EDP is the mean of energy × latency. The line: all "
        "thresholds; "
        "the star: the one that was chosen on validation images; bars and whiskers: 95 % intervals." + beside,
        lambda: _draw_curve(document, part),
        columns,
        rows,
    )


def _draw_curve(document: Reproduction, part: NetworkPart) -> Figure:
    chip = main_chip(part)
    result = chip.comparison
    whole = result.static[-1].edp_mean_of_products or 1.0
    made, (axes,) = figure(3.0)

    def x(edp: float) -> float:
        return 100 * edp / whole

    line = sorted(result.curve, key=lambda point: point.edp_mean_of_products)
    axes.plot(
        [x(p.edp_mean_of_products) for p in line], [100 * p.accuracy for p in line],
        color=BLUE, marker=".", markersize=3, label="dynamic, all thresholds",
    )  # fmt: skip
    static = [(x(p.edp_mean_of_products), p) for p in result.static]
    axes.errorbar(
        [at for at, _ in static], [100 * p.accuracy for _, p in static],
        yerr=[[100 * (p.accuracy - p.accuracy_low) for _, p in static],
              [100 * (p.accuracy_high - p.accuracy) for _, p in static]],
        fmt="s", markersize=4.5, color=VERMILION, markeredgecolor=PAPER, markeredgewidth=0.5, zorder=6,
        elinewidth=0.8, capsize=2, label="static T, 95 % interval",
    )  # fmt: skip
    drawn: list[tuple[float, float, str, str, float, str]] = [
        (result.dynamic.edp_mean_of_products, result.dynamic.accuracy, "*", GREEN, 13, "threshold used")
    ]
    for (key, way), mark in zip(chip.joint.ways[1:], "Dv", strict=False):
        drawn.append((way.test.edp_mean_of_products, way.test.accuracy, mark, ORANGE, 8, JOINED[key]))
    for edp, accuracy, mark, colour, size, name in drawn:
        # What is joined often costs as much as the threshold used, or as T = 1: its marks are outlines.
        look: dict[str, Any] = (
            {"markeredgecolor": INK, "markeredgewidth": 0.6, "zorder": 5}
            if mark == "*"
            else {"markerfacecolor": "none", "markeredgewidth": 1.3, "zorder": 7}
        )
        axes.plot([x(edp)], [100 * accuracy], linestyle="none", marker=mark, markersize=size, color=colour,
                  label=name, **look)  # fmt: skip
    paper = find(document, f"{part.key}.edp")
    if paper is not None:
        axes.axvline(100 - abs(paper.value), color=MUTED, linestyle=":", linewidth=1.2, zorder=0,
                     label=f"paper’s EDP ({minus(f'{-abs(paper.value):g}')} %)")  # fmt: skip
    widest = max([100, *(x(p.edp_mean_of_products) for p in line)])
    axes.set_xlim(0, 1.08 * widest)
    axes.set_xlabel(f"EDP (% of static T = {len(static)})")
    axes.set_ylabel("accuracy (%)")
    axes.margins(y=0.12)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    name_intervals(
        axes,
        [(f"T = {p.timesteps}", at, 100 * p.accuracy_low, 100 * p.accuracy_high) for at, p in static],
        [(x(p.edp_mean_of_products), 100 * p.accuracy) for p in line],
        [(x(edp), 100 * accuracy) for edp, accuracy, *_ in drawn],
    )
    axes.grid()
    legend(made, columnspacing=1.2, handletextpad=0.5)
    return made


def exits(document: Reproduction) -> list[Exhibit]:
    """For each network the share of the images that leave at each timestep."""
    found = []
    for part in document.networks:
        dynamic = part.chips[0].comparison.dynamic
        rows = [[t, share] for t, share in enumerate(dynamic.exit_fraction, 1)]
        paper = find(document, f"{part.key}.mean_timesteps")
        said = f", the paper’s network {paper.value:g}" if paper is not None else ""
        both = " The same on both chips." if len(part.chips) > 1 else ""
        found.append(
            Exhibit(
                f"exits_{file_name(part.key)}",
                f"{part.title}: {percent(dynamic.exit_fraction[0])} % of the images leave after one timestep",
                f"{counted(part.chips[0].comparison.meta.images, 'test image')}; they stay "
                f"{dynamic.mean_timesteps:.2f} timesteps on average{said}.{both}",
                lambda part=part: _draw_exits(document, part),  # type: ignore[misc]
                ("timestep", "share_of_images"),
                rows,
            )
        )
    return found


def _draw_exits(document: Reproduction, part: NetworkPart) -> Figure:
    dynamic = part.chips[0].comparison.dynamic
    made, (axes,) = figure(2.3)
    steps = range(1, len(dynamic.exit_fraction) + 1)
    drawn = axes.bar(steps, [100 * share for share in dynamic.exit_fraction], width=0.7, color=BLUE)
    axes.bar_label(drawn, [percent(s) for s in dynamic.exit_fraction], padding=2, fontsize=7)
    mark_mean(axes, dynamic.mean_timesteps, f"mean here, {dynamic.mean_timesteps:.2f}")
    paper = find(document, f"{part.key}.mean_timesteps")
    if paper is not None:
        mark_mean(axes, paper.value, f"mean in the paper, {paper.value:g}", MUTED, "^")
    axes.set_xticks(list(steps))
    axes.set_ylim(0, 128)
    axes.set_yticks(range(0, 101, 25))
    axes.set_xlabel("leaves after timestep")
    axes.set_ylabel("images (%)")
    legend(made, loc="outside upper right")
    return made
