"""Accuracy against what it costs: all points, and those that none beats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from imcsim.report.figures.drawing import (
    BLUE,
    HALO,
    INK,
    MOST_VECTORS,
    VERMILION,
    figure,
    legend,
    logarithmic,
)
from imcsim.report.figures.scales import scales
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.site.choosing import COSTS, non_dominated, opponent
from imcsim.report.site.study import PointFigures, Policy, Study

_LOOKS: dict[Policy, tuple[str, str, str, float]] = {
    "static": (VERMILION, "s", "--", 1.6),
    "dynamic": (BLUE, "o", "-", 1.0),
}
"""Colour, marker, line, and how much wider it is than others: static runs show behind dynamic ones."""
_COLUMNS = ("point", "policy", "timesteps", "mean_timesteps", "threshold", "accuracy", "accuracy_low",
            "accuracy_high", "energy_pj", "latency_ns", "edp_pj_ns", "area_um2")  # fmt: skip
MOST_BARS = 20
"""Points of a front up to which each has its interval as a bar; more have a band."""
Sets = dict[Policy, list[PointFigures]]
_TITLES = {"energy": "energy", "latency": "latency", "edp": "energy-delay product", "area": "area"}


def pareto(study: Study) -> list[Exhibit]:
    """A figure for each cost: energy, latency, EDP, area."""
    names = [name for name in COSTS if name != "area" or len(study.done) > 1]
    sets: Sets = {policy: study.outcomes(policy) for policy in ("static", "dynamic")}
    best = {name: {p: non_dominated(all_, COSTS[name]) for p, all_ in sets.items()} for name in names}
    columns, rows = _data(study, sets, best)
    return [_exhibit(study, name, sets, best[name], columns, rows) for name in names]


def front_of_search(shown: Study, sets: Sets, name: str) -> Figure:
    """The points of a search's front against a cost, on the reported images, with static T max beside."""
    return _draw(shown, name, sets, sets, joined=False)


def _data(study: Study, sets: Sets, best: dict[str, Sets]) -> tuple[list[str], list[list[Any]]]:
    """A row a run of a point, equal static runs too; for each cost whether none of its policy beats it, and
    none of either.
    """
    everything = [one for found in sets.values() for one in found]
    marks: list[tuple[str, set[PointFigures]]] = []
    for name, found in best.items():
        marks.append((f"on_{name}_front", {one for runs in found.values() for one in runs}))
        both = non_dominated(everything, COSTS[name])
        marks.append((f"on_{name}_front_of_both", set(both)))
    runs = [(point.index, one) for one, having in study.static_runs for point in having]
    runs.sort(key=lambda run: (run[0], run[1].timesteps))
    runs += [(one.point, one) for one in sets["dynamic"]]
    rows = [
        [
            point,
            *(_cell(getattr(one, name)) for name in _COLUMNS[1:]),
            *(int(one in which) for _, which in marks),
        ]
        for point, one in runs
    ]
    return [*_COLUMNS, *(title for title, _ in marks)], rows


def _cell(value: Any) -> Any:
    """A value of the table; thresholds of several timesteps are one."""
    return " ".join(map(repr, value)) if isinstance(value, tuple) else value


def _exhibit(
    study: Study, name: str, sets: Sets, best: Sets, columns: list[str], rows: list[list[Any]]
) -> Exhibit:
    found = ", ".join(f"{len(best[p])} of {len(s)} {p} runs" for p, s in sets.items() if s)
    where = " on the validation images that the search judges by" if study.kind == "search" else ""
    others = "thresholds" if study.curve else "points"
    return Exhibit(
        f"pareto_{name}",
        f"Accuracy against {_TITLES[name]}",
        f"Static runs of every T and dynamic runs of all {others}{where}. The lines join the runs that no "
        f"other of their kind beats ({found}): as accurate for less, or more accurate for as much"
        f"{_CHOSEN_APART if study.judged else ''}. Bars and bands are 95 % intervals of the accuracy. "
        + f"{opponent(study)} "
        + ("Labels are numbers of points." if len(study.points) > 1 else "Labels are T."),
        lambda: _draw(study, name, sets, best, joined=True),
        columns,
        rows,
        "pareto",
    )  # fmt: skip


_CHOSEN_APART = ", on the validation images; shown are the reported ones"


def _draw(study: Study, name: str, sets: Sets, best: Sets, *, joined: bool) -> Figure:
    """`joined`: the front is one of this cost and accuracy, and its runs are joined by a line."""
    cost = COSTS[name]
    everything = [one for found in sets.values() for one in found]
    scale = scales(everything)[name]
    made, (axes,) = figure(3.2)
    barred = {policy: not joined or _has_bars(found, cost) for policy, found in best.items()}
    for order, (policy, found) in enumerate(sets.items(), 2):
        if not found:
            continue
        colour, marker, line, wider = _LOOKS[policy]
        many = len(found) > MOST_VECTORS
        axes.plot(
            [scale(cost(one)) for one in found], [100 * one.accuracy for one in found], linestyle="none",
            marker=marker, color=colour, markersize=(1.5 if many else 2.5) * wider,
            markerfacecolor="none" if policy == "static" else colour,
            alpha=0.35 if len(found) > 20 else 0.6, rasterized=many, zorder=order,
            markeredgewidth=0.7 if policy == "static" else 0,
            label=f"{policy}: others" if len(best[policy]) < len(found) else None,
        )  # fmt: skip
        front = sorted(best[policy], key=cost)
        x = [scale(cost(one)) for one in front]
        y = [100 * one.accuracy for one in front]
        # Chosen on other images, points of a front may beat each other here: no stair joins them.
        steps = "default" if study.judged else "steps-post"
        low, high = ([100 * getattr(one, f"accuracy_{end}") for one in front] for end in ("low", "high"))
        if not barred[policy]:
            axes.fill_between(
                x,
                low,
                high,
                color=colour,
                alpha=0.15,
                linewidth=0,
                zorder=1,
                label=f"{policy}: 95 % interval",
            )
        else:
            away = [[max(0.0, a - b) for a, b in zip(y, low, strict=True)],
                    [max(0.0, b - a) for a, b in zip(y, high, strict=True)]]  # fmt: skip
            axes.errorbar(
                x,
                y,
                yerr=away,
                fmt="none",
                ecolor=colour,
                elinewidth=0.7 * wider,
                capsize=1.5,
                alpha=0.6,
                zorder=order,
                label=f"{policy}: 95 % interval",
            )
        axes.plot(
            x, y, linestyle=line if joined else "none", drawstyle=steps, marker=marker, color=colour,
            markersize=(4.5 if len(x) <= 15 else 3) * wider, linewidth=1.3 * wider,
            markeredgecolor=INK, markeredgewidth=0.5, zorder=order + 2,
            label=f"{policy}: front" if joined or policy == "dynamic" else "static, T max",
        )  # fmt: skip
    alone = len(study.points) == 1
    if alone:
        few = [one for one in sets["static"] if one.timesteps in (1, 2, 4, 8, 16) or one.timesteps <= 6]
        labels = [(one, f"T={one.timesteps}", VERMILION) for one in few]
        if study.points[0].dynamic:
            used = study.points[0].dynamic
            axes.plot(
                [scale(cost(used))], [100 * used.accuracy], linestyle="none", marker="*", color=BLUE,
                markersize=14, markeredgecolor=INK, markeredgewidth=0.5, zorder=3.5,
                label=f"threshold{'s' if isinstance(used.threshold, tuple) else ''} used",
            )  # fmt: skip
    else:
        labels = [(one, str(one.point), BLUE) for one in _apart(best["dynamic"])]
    values = [cost(one) for one in everything]
    if min(values) > 0 and max(values) > 12 * min(values):
        logarithmic(axes.xaxis)
    axes.margins(0.07)
    axes.autoscale_view()
    bottom, top = axes.get_ylim()
    room = 0.05 * (top - bottom)  # for a label beyond the lowest interval, and the highest
    axes.set_ylim(bottom - room, top + room)

    def seen(one: PointFigures, accuracy: float) -> tuple[float, float]:
        """A place in the panel, 0 to 1 each way."""
        place = axes.transData.transform((scale(cost(one)), 100 * accuracy))
        across, up = axes.transAxes.inverted().transform(place)
        return float(across), float(up)

    taken: list[tuple[float, float]] = []
    if len(everything) <= 2 * MOST_BARS:  # among more there would be room for no label
        taken += [seen(one, one.accuracy) for one in everything]
    for policy, found in best.items():
        on_line = [seen(one, one.accuracy) for one in sorted(found, key=cost)]
        taken += _along(on_line, bool(study.judged)) if joined else on_line
        for one in found if barred[policy] else ():
            taken += _along([seen(one, one.accuracy_low), seen(one, one.accuracy_high)], True)
    on_front = {id(one) for found in best.values() for one in found}
    for one, label, colour in labels:
        # Beyond its interval, where it has one: the lines run through the points.
        has_bar = id(one) in on_front and barred[one.policy]
        for side in (-1, 1, -2, 2):
            end = one.accuracy_low if side < 0 else one.accuracy_high
            across, up = seen(one, end if has_bar else one.accuracy)
            up += 0.052 * side
            if not 0 < up < 1 or any(
                abs(across - a) < 0.02 * len(label) and abs(up - b) < 0.05 for a, b in taken
            ):
                continue
            taken.append((across, up))
            axes.annotate(
                label, (across, up), xycoords="axes fraction", fontsize=6.5, color=colour, path_effects=HALO,
                zorder=9, ha="center", va="center",
            )  # fmt: skip
            break  # where there is no room the table has the number
    axes.set_xlabel(scale.title)
    axes.set_ylabel("accuracy (%)")
    axes.grid()
    handles = axes.get_legend_handles_labels()[0]
    place = {"s": 0, "t": 1, "d": 2}  # static runs, the threshold used, dynamic runs
    legend(made, sorted(handles, key=lambda one: place[str(one.get_label())[0]]))
    return made


def _has_bars(front: list[PointFigures], cost: Callable[[PointFigures], float]) -> bool:
    """Whether intervals are bars, not a band: there are few, or all lie in few places."""
    return len({(cost(one), one.accuracy) for one in front}) <= MOST_BARS


def _along(places: list[tuple[float, float]], straight: bool) -> Iterator[tuple[float, float]]:
    """Places close to each other on the line that joins some: straight, or right first and then up."""
    yield from places
    for (x, y), (right, up) in pairwise(places):
        for share in (k / 24 for k in range(25)):
            yield x + share * (right - x), y + share * (up - y) if straight else y
            yield right, y + share * (up - y)


def _apart(front: list[PointFigures], most: int = 8) -> list[PointFigures]:
    """At most `most` of a front, evenly spread, with both ends; one of those that coincide."""
    distinct = list({(one.accuracy, one.energy_pj): one for one in reversed(front)}.values())[::-1]
    if len(distinct) <= most:
        return distinct
    steps = [round(k * (len(distinct) - 1) / (most - 1)) for k in range(most)]
    return [distinct[k] for k in steps]
