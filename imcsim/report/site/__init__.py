"""``imcsim report``: a sweep, a search or a comparison as one HTML page, with figures for a paper.

The page is made from what these wrote; nothing is simulated. `write_report` is all that others need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.plurals import counted
from imcsim.report import beside
from imcsim.report.files import write_contents
from imcsim.report.page.page import Section, compose
from imcsim.report.page.tables import Column, Table
from imcsim.report.site.breakdowns import breakdowns
from imcsim.report.site.choosing import base_point, chosen, front_source, varied
from imcsim.report.site.early_exit import exits, static_dynamic
from imcsim.report.site.heat import heat_map
from imcsim.report.site.layers import layer_exhibits, layers_table
from imcsim.report.site.pareto import pareto
from imcsim.report.site.ranges import ranges_table, tornadoes
from imcsim.report.site.read import read, with_parts
from imcsim.report.site.sensitivity import MOST_AXES, pairs, sensitivities
from imcsim.report.site.study import Study, StudyAxis, StudyPoint
from imcsim.report.site.tables import failures_table, front_table, points_table
from imcsim.report.site.thresholds import threshold_slider
from imcsim.results.statistics import few_images_sentence

REPORT = "report"
"""The folder of the page, inside the one that it reports on."""

MOST_CHOSEN = 12

MANY = 2000
"""Points from which the page holds its figures' SVG files compressed."""
_TITLES = {
    "sweep": "Sweep", "search": "Search", "comparison": "Static against dynamic timesteps", "run": "Run",
}  # fmt: skip


def build(
    study: Study, title: str, sections: Sequence[Section], tell: Callable[[str, int, int], None]
) -> dict[str, bytes]:
    """All files by name: ``index.html``, ``figures/*`` and ``data/*``. Same study, same bytes."""
    many = len(study.points) > MANY
    return compose(title, study.facts, study.warnings, sections, tell, many=many)


@dataclass(frozen=True)
class Report:
    """What was written: the page, and how many figures stand in it."""

    page: Path
    figures: int
    points: int
    failed: int


def write_report(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    points: Sequence[int] = (),
    base: int | None = None,
    heat: Sequence[tuple[str, str]] = (),
    title: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Write ``index.html``, ``figures/`` and ``data/`` into `out` (None: the folder ``report`` in `folder`).

    `points` get the breakdowns (none given: the base and those that stand out), `base` is the point from
    which sensitivities start, `heat` names pairs of axes. Same folder, same bytes. Raises ImcsimError where
    the folder holds no results, a point or an axis is not there, or a file cannot be written.
    """
    if len(set(points)) > MOST_CHOSEN:
        raise ImcsimError(f"{len(set(points))} points", key="points", fix=f"choose at most {MOST_CHOSEN}")
    study = read(folder)
    sections = _sections(study, folder, points, base, heat)
    name = title if title is not None else f"{_TITLES[study.kind]} {study.name}".strip()
    if title is None and study.kind in ("comparison", "run"):
        name = f"{_TITLES[study.kind]}: {study.name}"
    contents = build(study, name, sections, progress or (lambda stage, done, total: None))
    place = Path(folder) / REPORT if out is None else Path(out)
    write_contents(place, contents)
    figures = sum(len(section.exhibits) for section in sections)
    return Report(place / "index.html", figures, len(study.points), len(study.failed))


def _sections(
    study: Study,
    folder: str | Path,
    points: Sequence[int],
    base: int | None,
    heat: Sequence[tuple[str, str]],
) -> list[Section]:
    failures = failures_table(study)
    failed = Section("failures", "Failed points", "", table=failures) if failures else None
    if not study.done:
        return [
            Section("points", "Points", "No point has figures: all failed."),
            *([failed] if failed else []),
        ]
    start = base_point(study, base)
    picked = chosen(study, start, points)
    parts = with_parts(study, folder, [point.index for point, _ in picked])
    sections = [
        Section("pareto", "Pareto fronts", _fronts(study), pareto(study)),
        *_front(study),
        *(
            [Section("chosen", "Chosen points", _CHOSEN, table=points_table(study, picked))]
            if len(study.points) > 1
            else []
        ),
        *_beside(study),
        *_thresholds(study),
        Section("static-dynamic", "Static against dynamic", "", static_dynamic(study, picked)),
        Section("exits", "Exits", "", exits(picked, parts)),
        Section("breakdowns", "Breakdowns", "", breakdowns(picked, parts)),
        *_layers(study),
        *_ranges(study),
        *_axes(study, start, heat),
    ]
    if study.kind in ("sweep", "search"):
        sections.append(Section("points", "All points", _POINTS[study.kind], table=points_table(study)))
    else:
        sections.append(Section("points", "Figures", "", table=points_table(study)))
    return [*sections, *([failed] if failed else [])]


_JUDGED = (
    "Every point is judged on validation images, so that nothing is selected on the images that are reported."
)


def _fronts(study: Study) -> str:
    parts = {"search": [_JUDGED], "sweep": [front_source(study)]}.get(study.kind, [])
    few = few_images_sentence(study.images)
    return "\n\n".join([*parts, *([few] if few else [])])


_CHOSEN = (
    "Those that the next figures show. “Near best accuracy” means at most one percentage point below the "
    "most accurate point."
)
_POINTS = {"sweep": "", "search": f"{_JUDGED} These are the figures on them."}


def _layers(study: Study) -> list[Section]:
    if not study.work:
        return []
    return [Section("layers", "Layers", "", layer_exhibits(study.work), table=layers_table(study.work))]


def _beside(study: Study) -> list[Section]:
    against = None if study.compared is None else study.compared.against
    if against is None:
        return []
    columns = [
        Column(f"against_{k}", " ".join(name.split()) or "run", unit, k > 1)
        for k, (name, unit) in enumerate(beside.columns(against))
    ]
    note = " ".join([beside.NOTE, *against.warnings])
    table = Table("against", columns, beside.rows(against), note)
    return [Section("against", beside.title(against), "", table=table)]


def _thresholds(study: Study) -> list[Section]:
    moved = None if study.compared is None else threshold_slider(study.compared)
    return [] if moved is None else [Section("thresholds", "Other thresholds", _MOVED, interactive=moved)]


_MOVED = (
    "What the dynamic run would be at other thresholds, of the reported images one by one. Accuracies have "
    "95 % intervals. These images are for reporting: to choose a threshold, use validation images, as "
    "imcsim compare does."
)


def _ranges(study: Study) -> list[Section]:
    if study.ranges is None or not (exhibits := tornadoes(study.ranges)):
        return []
    return [
        Section(
            "ranges",
            "Ranges",
            _RANGES,
            exhibits,
            table=ranges_table(study.ranges, len(study.points[0].static)),
        )
    ]


_RANGES = (
    "What each alternative of the chip’s file moves, one at a time: what other sources say of a part, and "
    "what another structure of the chip would give. An interval takes the largest move of each group down "
    "and up, and adds them as a root of the sum of squares."
)


def _front(study: Study) -> list[Section]:
    table = front_table(study)
    if table is None:
        return []
    note = (
        "The points that the search found to be beaten by no other, over all of its objectives. “Judged” "
        "figures are those on validation images, “reported” ones those of the same points on the test "
        "images, run once."
    )
    return [Section("front", "Front of the search", note, table=table)]


def _axes(study: Study, start: StudyPoint, heat: Sequence[tuple[str, str]]) -> list[Section]:
    wanted = [(_axis(study, a), _axis(study, b)) for a, b in heat]
    if not varied(study):
        return []
    found = sensitivities(study, start)
    left = len(varied(study)) - MOST_AXES
    note = (
        f"{counted(left, 'more axis changes', 'more axes change')} the EDP less; the table of all points "
        "has them."
        if left > 0
        else ""
    )
    wanted = wanted or pairs(study, start)
    for up, across in wanted:
        if up is across:
            raise ImcsimError(f"{up.name} stands twice", key="heat", fix="name two axes")
    maps = [heat_map(study, start, up, across) for up, across in wanted]
    return [
        Section("sensitivity", "Sensitivities", note, found),
        Section("heat", "Heat maps", "", maps),
    ]


def _axis(study: Study, key: str) -> StudyAxis:
    for axis in study.axes:
        if key in axis.keys:
            return axis
    keys = [one for axis in study.axes for one in axis.keys]
    fix = suggestion(key, keys, f"axes are {', '.join(keys)}" if keys else "there are none: leave it out")
    raise ImcsimError(f"no axis {key}", key="heat", fix=fix)


__all__ = ["REPORT", "Report", "write_report"]
