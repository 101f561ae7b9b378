"""Which points stand out: the fronts, the base of the sensitivities, and points worth a breakdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from imcsim.report.site.study import JudgedFigures, PointFigures, Study, StudyAxis, StudyPoint, text

Cost = Callable[[PointFigures | JudgedFigures], float]
COSTS: dict[str, Cost] = {
    "energy": lambda one: one.energy_pj,
    "latency": lambda one: one.latency_ns,
    "edp": lambda one: one.edp_pj_ns,
    "area": lambda one: one.area_um2,
}
CLOSE = 0.01
"""A point is nearly as accurate as the best if it is at most this much (one percentage point) below."""


def non_dominated(outcomes: Sequence[PointFigures], cost: Cost) -> list[PointFigures]:
    """Those that none beats: no other costs less and is as accurate, or costs as much and is more accurate.

    They are judged on validation images where all have been run on them. By cost; equal ones stay together.
    """
    judged = all(one.judged is not None for one in outcomes)
    found: list[tuple[float, float, PointFigures]] = []
    for one in outcomes:
        seen = one.judged if judged and one.judged is not None else one
        found.append((cost(seen), seen.accuracy, one))
    front: list[tuple[float, float, PointFigures]] = []
    for row in sorted(found, key=lambda row: (row[0], -row[1], row[2].point, row[2].timesteps)):
        if not front or row[1] > front[-1][1] or row[:2] == front[-1][:2]:
            front.append(row)
    return [one for *_, one in front]


def front_source(study: Study) -> str:
    """On which images the fronts of a sweep were chosen."""
    if study.judged:
        return "Fronts are chosen on validation images; the figures are those of the reported images."
    many = any(one.accuracy_worst is not None for one in study.outcomes("dynamic"))
    why = "points on many chips are" if many else "not all points are"
    return (
        "Fronts are chosen on the images that they show, which flatters them: "
        f"{why}{' not' if many else ''} run on validation images."
    )


def opponent(study: Study) -> str:
    """What a dynamic run is set against: how the static runs are issued."""
    issues = {one.issue for point in study.points for one in point.static}
    if issues <= {None}:  # many chips
        return (
            "Static runs wait where the dynamic runs wait, and are pipelined where these run ahead; the "
            "opponent of a dynamic run is static T max of its point."
        )
    return (
        "Static runs of each T are issued by wait or pipeline, whichever has the least EDP; the opponent of "
        "a dynamic run is static T max of its point."
    )


def base_point(study: Study, index: int | None = None) -> StudyPoint:
    """The point from which each axis is changed alone: `index`, else the one that is most like the spec's own
    values. Where an axis does not have the spec's own value, its first counts.
    """
    if index is not None:
        return study.get(index)
    wanted: dict[StudyAxis, tuple[str, ...]] = {}
    for axis in study.axes:
        own = tuple(text(study.base_values.get(key, "")) for key in axis.keys)
        rows = [tuple(map(text, row)) for row in axis.values]
        wanted[axis] = own if own in rows else rows[0]
    return max(
        study.done,
        key=lambda p: (sum(tuple(map(text, a.of(p))) == row for a, row in wanted.items()), -p.index),
    )


def chosen(study: Study, base: StudyPoint, given: Iterable[int] = ()) -> list[tuple[StudyPoint, str]]:
    """Points for breakdowns, with what each stands for: those `given`, else the base and the extremes."""
    given = list(dict.fromkeys(given))
    if given:
        return [(study.get(index), "") for index in given]
    done = study.done
    if len(done) == 1:
        return [(done[0], "")]
    best = max(point.shown().accuracy for point in done)
    near = [point for point in done if point.shown().accuracy >= best - CLOSE]
    picks = [
        (base, "base"),
        (min(near, key=lambda p: (p.shown().edp_pj_ns, p.index)), "lowest EDP near best accuracy"),
        *((_least(done, cost), f"lowest {_NAMES.get(name, name)}") for name, cost in COSTS.items()),
        (max(done, key=lambda p: (p.shown().accuracy, -p.shown().edp_pj_ns, -p.index)), "highest accuracy"),
    ]
    found: dict[int, tuple[StudyPoint, list[str]]] = {}
    for point, why in picks:
        found.setdefault(point.index, (point, []))[1].append(why)
    return [(point, _joined(why)) for point, why in found.values()]


_NAMES = {"edp": "EDP"}


def _joined(reasons: Sequence[str]) -> str:
    """Reasons in few words: "lowest energy, latency"."""
    lowest = [r.removeprefix("lowest ") for r in reasons if r.startswith("lowest ") and "near" not in r]
    others = [r for r in reasons if not r.startswith("lowest ") or "near" in r]
    return ", ".join([*others, *([f"lowest {', '.join(lowest)}"] if lowest else [])])


def _least(points: Sequence[StudyPoint], cost: Cost) -> StudyPoint:
    return min(points, key=lambda p: (cost(p.shown()), -p.shown().accuracy, p.index))


def along(
    study: Study, base: StudyPoint, axis: StudyAxis
) -> list[tuple[tuple[object, ...], StudyPoint | None]]:
    """The axis' values in order, each with the point that has it and all else as the base has it."""
    return [(row, study.beside(base, [(axis, row)])) for row in axis.ordered()]


def varied(study: Study) -> list[StudyAxis]:
    """Axes with two values or more."""
    return [axis for axis in study.axes if len(axis.values) > 1]


def swing(study: Study, base: StudyPoint, axis: StudyAxis) -> float:
    """How far the EDP goes along an axis, over that of the base."""
    found = [p.shown().edp_pj_ns for _, p in along(study, base, axis) if p is not None and p.ended]
    return (max(found) - min(found)) / (base.shown().edp_pj_ns or 1.0) if found else 0.0
