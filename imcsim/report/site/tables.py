"""The tables of the page: cells as text, one unit per column, raw values in the CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imcsim.base.plurals import counted
from imcsim.report.figures.scales import Scale, scales
from imcsim.report.page.tables import Column, Table
from imcsim.report.site.choosing import COSTS, non_dominated
from imcsim.report.site.study import PointFigures, Study, StudyPoint, short
from imcsim.report.units import number, percent, pretty, thresholds

MOST_ROWS = 20_000
"""Rows that a page holds; of more points it shows the fronts and the first."""


def points_table(study: Study, chosen: Sequence[tuple[StudyPoint, str]] | None = None) -> Table:
    """A row per point, all or those chosen: axes, the dynamic run, static T max, and fronts that it is on."""
    runs = [one for point in study.points for one in (*point.static[-1:], point.dynamic) if one]
    scale = scales(runs)
    dynamic = any(point.dynamic for point in study.points)
    many = any(run.accuracy_worst is not None for run in runs)
    fronts = _fronts(study)
    units = {name: pretty(scale[name].unit) for name in scale}
    columns = [
        Column("point", "point"),
        *(Column(key, key, "", _numeric(study, key)) for axis in study.axes for key in axis.keys),
        *(_group("", "dynamic", units, many) if dynamic else []),
        *(_group("static_", "static", units, many) if any(p.static for p in study.points) else []),
        Column("area", "area", units["area"]),
        Column("front", "on front of", "", False),
    ]
    status = bool(study.failed) and chosen is None
    if status:
        columns.insert(1 + sum(len(axis.keys) for axis in study.axes), Column("status", "status", "", False))
    kept = study.points if chosen is None else tuple(point for point, _ in chosen)
    why = {} if chosen is None else {point.index: reason for point, reason in chosen}
    if any(why.values()):
        columns.insert(1, Column("chosen", "chosen for", "", False))
    if len(kept) > MOST_ROWS:
        best = [point for point in kept if point.index in fronts]
        others = [point for point in kept if point.index not in fronts]
        kept = tuple(sorted([*best, *others[: MOST_ROWS - len(best)]], key=lambda point: point.index))
    rows = []
    for point in kept:
        cells = [str(point.index), *([why[point.index]] if any(why.values()) else [])]
        cells += [_value(point.values.get(key)) for axis in study.axes for key in axis.keys]
        cells += ["done" if point.ended else "failed"] if status else []
        if dynamic:
            cells += _figures(point.dynamic, scale, many, dynamic=True)
        if any(p.static for p in study.points):
            cells += _figures(point.static[-1] if point.static else None, scale, many)
        cells += [_shown(point.shown().area_um2, scale["area"]) if point.ended else ""]
        cells += [", ".join(fronts.get(point.index, ()))]
        rows.append(cells)
    left = 0 if chosen is not None else len(study.points) - len(kept)
    return Table("points" if chosen is None else "chosen", columns, rows, _left_out(left))


def _left_out(points: int) -> str:
    return (
        f"{counted(points, 'more point is', 'more points are')} not on this page; the store and table.csv "
        "have them."
        if points > 0
        else ""
    )


def _numeric(study: Study, key: str) -> bool:
    values = [point.values.get(key) for point in study.points]
    return all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values)


def _group(prefix: str, title: str, units: Mapping[str, str], many: bool) -> list[Column]:
    spread = [
        Column(f"{prefix}accuracy_std", "std over chips", "%"),
        Column(f"{prefix}accuracy_worst", "worst chip", "%"),
    ]
    own = [Column("mean_timesteps", "mean T"), Column("used_threshold", "threshold used")]
    return [
        *(own if not prefix else [Column("t_max", "T max")]),
        Column(f"{prefix}accuracy", f"{title} accuracy", "%"),
        *(spread if many else []),
        Column(f"{prefix}energy", f"{title} energy", units["energy"]),
        Column(f"{prefix}latency", f"{title} latency", units["latency"]),
        *([Column("p99", "p99 latency", units["latency"])] if not prefix else []),
        Column(f"{prefix}edp", f"{title} EDP", units["edp"]),
    ]


def _figures(
    run: PointFigures | None, scale: Mapping[str, Scale], many: bool, *, dynamic: bool = False
) -> list[str]:
    if run is None:
        return [""] * ((7 if dynamic else 5) + (2 if many else 0))
    spread = ["" if one is None else percent(one, 2) for one in (run.accuracy_std, run.accuracy_worst)]
    p99 = run.latency_p99_ns
    first = [number(run.mean_timesteps, 3), thresholds(run.threshold)]
    return [
        *(first if dynamic else [str(run.timesteps)]),
        percent(run.accuracy, 2),
        *(spread if many else []),
        _shown(run.energy_pj, scale["energy"]),
        _shown(run.latency_ns, scale["latency"]),
        *(["" if p99 is None else _shown(p99, scale["latency"])] if dynamic else []),
        _shown(run.edp_pj_ns, scale["edp"]),
    ]


def _shown(value: float, scale: Scale) -> str:
    return number(scale(value))


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else short([value], 40)


def _fronts(study: Study) -> dict[int, list[str]]:
    """The costs on whose front each point's dynamic run stands (where there is none, static T max)."""
    if len(study.done) < 2:
        return {}
    runs = [point.shown() for point in study.done]
    found: dict[int, list[str]] = {}
    for name, cost in COSTS.items():
        for one in non_dominated(runs, cost):
            found.setdefault(one.point, []).append({"edp": "EDP"}.get(name, name))
    return found


def failures_table(study: Study) -> Table | None:
    """A row a failed point: its axes and its error."""
    if not study.failed:
        return None
    keys = [key for axis in study.axes for key in axis.keys]
    columns = [
        Column("point", "point"),
        *(Column(key, key, "", _numeric(study, key)) for key in keys),
        Column("error", "error", "", False),
    ]
    failed = study.failed
    rows = [
        [str(p.index), *(_value(p.values.get(key)) for key in keys), p.error or ""]
        for p in failed[:MOST_ROWS]
    ]
    return Table("failures", columns, rows, _left_out(len(failed) - MOST_ROWS))


_FRONT_TITLES = {
    "accuracy": ("accuracy", "%"), "mean_timesteps": ("mean T", ""), "threshold": ("threshold", ""),
    "thresholds": ("thresholds", ""),
    "energy_pj": ("energy", "energy"), "latency_ns": ("latency", "latency"),
    "edp_mean_of_products": ("EDP", "edp"), "area_um2": ("area", "area"),
}  # fmt: skip


def front_table(study: Study) -> Table | None:
    """The front of a search: what it was judged by on validation images, and the figures on reported ones."""
    if not study.front:
        return None
    keys = [key for axis in study.axes for key in axis.keys]
    first = study.front[0]
    scale = scales([point.shown() for point in study.done])
    columns = [Column("point", "point"), *(Column(key, key, "", _numeric(study, key)) for key in keys)]
    names: list[tuple[str, str]] = []
    for prefix, said in (("validation_", "judged"), ("test_", "reported"), ("", "")):
        for name, (title, unit) in _FRONT_TITLES.items():
            column = f"{prefix}{name}"
            if column not in first or column in keys or (prefix == "" and name != "area_um2"):
                continue
            names.append((column, name))
            shown = pretty(scale[unit].unit) if unit in scale else unit
            columns.append(Column(column, f"{said} {title}".strip(), shown))
    if any(row.get("error") for row in study.front):
        columns.append(Column("error", "error", "", False))
    rows = []
    for row in study.front:
        cells = [str(row["point"]), *(_value(row.get(key)) for key in keys)]
        for column, name in names:
            value, unit = row[column], _FRONT_TITLES[name][1]
            if value is None:
                cells.append("")
            elif unit == "%":
                cells.append(percent(value, 2))
            elif name == "thresholds":
                cells.append(thresholds([float(one) for one in value.split()]))
            else:
                cells.append(_shown(value, scale[unit]) if unit in scale else f"{value:.4g}")
        if columns[-1].key == "error":
            cells.append(row.get("error") or "")
        rows.append(cells)
    return Table("front", columns, rows)
