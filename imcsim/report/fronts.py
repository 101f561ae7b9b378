"""The front of a sweep or a search as a paper prints it: figures, a table as CSV and for LaTeX, a caption.

The files stand beside the store: ``front_table.csv``, ``table.tex``, ``caption.txt``, ``figures/pareto_edp``
and ``figures/pareto_energy``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from imcsim.base.plurals import counted
from imcsim.base.progress import Progress
from imcsim.report.figures.drawing import FORMATS, draw_one
from imcsim.report.files import csv_text, write_contents
from imcsim.report.paper import PaperFigures, latex_table
from imcsim.report.site.choosing import COSTS, front_source, non_dominated, opponent, varied
from imcsim.report.site.pareto import Sets, front_of_search, pareto
from imcsim.report.site.read import read
from imcsim.report.site.study import THRESHOLDS, PointFigures, Study, StudyAxis, StudyPoint, text
from imcsim.report.units import percent, thresholds
from imcsim.results.statistics import few_images_sentence
from imcsim.searches.searching import FRONT

FIGURES = ("pareto_edp", "pareto_energy")
MOST_ROWS = 12
"""Runs of each kind that ``table.tex`` has, evenly spread over the front; the CSV table has all."""
MOST_AXES = 4
"""Axes that ``table.tex`` has as columns."""

MOST_WARNINGS = 3
"""Of figures that do not hold, in the caption."""

_COLUMNS = (
    "run", "issue", "on_front", "mean_timesteps", "threshold", "accuracy", "accuracy_low", "accuracy_high",
    "energy_pj", "latency_ns", "edp_mean_of_products", "edp_product_of_means", "area_um2",
    "validation_accuracy", "validation_energy_pj", "validation_latency_ns",
    "validation_edp_mean_of_products",
)  # fmt: skip


@dataclass(frozen=True)
class FrontRow:
    """A run of the front with its point; equal static runs of several points are one, of all of them."""

    points: Sequence[StudyPoint]
    run: PointFigures
    fronts: tuple[str, ...]
    """The costs on whose front it is; of a search the objectives, all together."""

    @property
    def point(self) -> StudyPoint:
        """The first that has it."""
        return self.points[0]

    @property
    def name(self) -> str:
        return "dynamic" if self.run.policy == "dynamic" else f"static T={self.run.timesteps}"

    @property
    def full_name(self) -> str:
        """With the issue policy, where it is known. A single timestep waits for nothing."""
        issued = self.run.issue if self.run.timesteps > 1 else None
        return f"{self.name}, {issued}" if issued else self.name

    def depends(self, key: str) -> bool:
        """Whether the run is that of one value of this axis."""
        if self.run.policy == "static" and key in THRESHOLDS:
            return False
        return len({text(point.values.get(key)) for point in self.points}) == 1

    @property
    def saved(self) -> float | None:
        """EDP that a dynamic run saves, as a share of that of its opponent, static T max of the point."""
        if self.run.policy == "static" or not self.point.static:
            return None
        whole = self.point.static[-1].edp_pj_ns
        return 1 - self.run.edp_pj_ns / whole if whole else None

    @property
    def accuracy(self) -> float:
        return self.run.accuracy

    @property
    def accuracy_low(self) -> float:
        return self.run.accuracy_low

    @property
    def accuracy_high(self) -> float:
        return self.run.accuracy_high

    @property
    def energy_pj(self) -> float:
        return self.run.energy_pj

    @property
    def latency_ns(self) -> float:
        return self.run.latency_ns

    @property
    def edp_mean_of_products(self) -> float:
        return self.run.edp_pj_ns


def write_front_files(folder: str | Path, progress: Progress | None = None) -> list[Path]:
    """Write the front of the sweep or search in `folder` beside its store; returns the files written.

    Nothing is written where no point has figures. Raises ImcsimError where it cannot be read or written.
    """
    folder = Path(folder)
    study = read(folder)
    shown = read(folder / FRONT) if study.kind == "search" and study.front else study
    if not shown.done or (study.kind == "search" and not study.front):
        return []
    static, dynamic = _rows(study, shown)
    tabled = [[row for row in rows if row.fronts != ("energy",)] for rows in (static, dynamic)]
    said = front_caption(study, shown, tabled[1])
    contents = {
        "front_table.csv": _csv(study, [*static, *dynamic]).encode(),
        "table.tex": _latex(study, tabled, said).encode(),
        "caption.txt": f"{said}\n".encode(),
    }
    drawings = _drawings(study, shown, static, dynamic)
    for done, (name, draw) in enumerate(drawings.items(), 1):
        files, _ = draw_one(draw, FORMATS, name)
        contents |= {f"figures/{name}.{kind}": data for kind, data in files.items()}
        if progress is not None:
            progress("figures", done, len(drawings))
    return write_contents(folder, contents)


def _drawings(
    study: Study, shown: Study, static: Sequence[FrontRow], dynamic: Sequence[FrontRow]
) -> dict[str, Callable[[], Figure]]:
    """What draws each figure, by its name."""
    if study.kind != "search":
        return {one.name: one.draw for one in pareto(study) if one.name in FIGURES}
    sets: Sets = {"static": [row.run for row in static], "dynamic": [row.run for row in dynamic]}
    return {name: partial(front_of_search, shown, sets, name.removeprefix("pareto_")) for name in FIGURES}


def _rows(study: Study, shown: Study) -> tuple[list[FrontRow], list[FrontRow]]:
    """Static and dynamic runs of the fronts: of a sweep those that none of their kind beats in EDP, or in
    energy, and accuracy; of a search its points, with static T max beside each.
    """
    points = {point.index: point for point in shown.points}
    static = [FrontRow(having, one, ("objectives",)) for one, having in shown.static_runs]
    dynamic = [FrontRow([points[one.point]], one, ("objectives",)) for one in shown.outcomes("dynamic")]
    if study.kind == "search":
        return [row for row in static if row.run.timesteps == row.point.static[-1].timesteps], dynamic
    return _on_fronts(static), _on_fronts(dynamic)


def _on_fronts(rows: Sequence[FrontRow]) -> list[FrontRow]:
    """Those that are on a front, by EDP."""
    runs = [row.run for row in rows]
    best = {cost: {id(one) for one in non_dominated(runs, COSTS[cost])} for cost in ("edp", "energy")}
    found = [replace(row, fronts=tuple(c for c, on in best.items() if id(row.run) in on)) for row in rows]
    return sorted((row for row in found if row.fronts), key=lambda row: row.run.edp_pj_ns)


def _csv(study: Study, rows: Sequence[FrontRow]) -> str:
    keys = [key for axis in study.axes for key in axis.keys]
    cells: list[list[Any]] = []
    for row in rows:
        run, judged = row.run, row.run.judged
        threshold = run.threshold
        cells.append(
            [
                row.point.index,
                *(_plain(row.point.values.get(key)) if row.depends(key) else None for key in keys),
                row.name, run.issue, " ".join(row.fronts),
                run.mean_timesteps, _plain(threshold), run.accuracy, run.accuracy_low, run.accuracy_high,
                run.energy_pj, run.latency_ns, run.edp_pj_ns, run.energy_pj * run.latency_ns, run.area_um2,
                *((None,) * 4 if judged is None else
                  (judged.accuracy, judged.energy_pj, judged.latency_ns, judged.edp_pj_ns)),
            ]
        )  # fmt: skip
    names = [f"run_{name}" if name in keys else name for name in _COLUMNS]
    return csv_text(["point", *keys, *names], cells)


def _plain(value: Any) -> Any:
    """A value of a cell; several of them with spaces between."""
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else value


def _latex(study: Study, tabled: Sequence[Sequence[FrontRow]], said: str) -> str:
    axes = varied(study)[:MOST_AXES]
    groups = [_spread(rows) for rows in tabled if rows]
    figures = PaperFigures.of([row for rows in groups for row in rows])
    body = [
        [
            [str(row.point.index), *(_of_axis(row, axis) for axis in axes), row.full_name,
             *figures.cells(row, row.run.mean_timesteps)]
            for row in rows
        ]
        for rows in groups
    ]  # fmt: skip
    names = ["Point", *(axis.name for axis in axes), "Run"]
    return latex_table(names, figures, body, said, "tab:front")


def _of_axis(row: FrontRow, axis: StudyAxis) -> str:
    """The values of an axis for a label; for a threshold that was chosen, the one that was used."""
    values: list[Any] = []
    for key in axis.keys:
        value = row.point.values.get(key)
        if not row.depends(key):
            own = {text(point.values.get(key)) for point in row.points}
            some = 1 < len(own) < len({text(every[axis.keys.index(key)]) for every in axis.values})
            value = ", ".join(sorted(own)) if some else "any"
        elif key == "threshold" and value is None and row.run.threshold is not None:
            value = thresholds(row.run.threshold)
        values.append(value)
    return axis.label(values, 18)


def _spread(rows: Sequence[FrontRow]) -> list[FrontRow]:
    if len(rows) <= MOST_ROWS:
        return list(rows)
    return [rows[round(k * (len(rows) - 1) / (MOST_ROWS - 1))] for k in range(MOST_ROWS)]


def _savings(dynamic: Sequence[FrontRow]) -> str:
    """How much of the EDP the dynamic runs save against their opponents."""
    saved = [one for row in dynamic if (one := row.saved) is not None]
    if not saved:
        return ""
    low, high = percent(min(saved)), percent(max(saved))
    much = f"{low} %" if low == high else f"{low} to {high} %"
    return f" Of the EDP of these (mean of products) the dynamic runs shown save {much}."


def _extent(axis: StudyAxis) -> str:
    """How many values an axis has; of numbers from where to where."""
    values = [row[0] for row in axis.ordered()]
    ends = f" from {values[0]:g} to {values[-1]:g}" if axis.numeric else ""
    return f"{counted(len(values), 'value')}{ends}"


def front_caption(study: Study, shown: Study, dynamic: Sequence[FrontRow]) -> str:
    """What was run on what, how the front was chosen, against whom, and what the intervals are."""
    facts = dict(shown.facts)
    axes = ", ".join(f"{axis.name} ({_extent(axis)})" for axis in varied(study))
    named = f" {study.name}" if study.name else ""
    if study.kind == "search":
        front = (
            f"the {counted(len(study.front), 'point')} that no other beats in all objectives, judged on "
            "validation images; figures are those of the reported images"
        )
    else:
        front = (
            "the runs that no other of their kind beats in EDP (mean of products) and accuracy; "
            "pareto_energy shows those in energy and accuracy, front_table.csv has both. "
            + front_source(study).rstrip(".")
        )
    images = facts.get("Images", "")
    chip = facts.get("Hardware", "")
    if "Changed" in facts:
        chip += f" with {facts['Changed']}"
    if "Chips" in facts:
        chip += f" ({facts['Chips']} programmed chips each)"
    parts = [
        f"Front of the {study.kind}{named}: {counted(len(study.done), 'point')}"
        + (f" over {axes}" if axes else "")
        + f" of {facts.get('Network', '')} on {chip}, means over "
        f"{images} {'image' if images == '1' else 'images'} of {facts.get('Inputs', '')}, "
        f"T max {facts.get('T max', '')}{', ' + facts['Settings'] if 'Settings' in facts else ''}.",
        f"Shown are {front}.",
        opponent(study) + _savings(dynamic),
        "Accuracies have 95 % intervals "
        + ("(of the mean over chips)." if "Chips" in facts else "(Wilson)."),
    ]
    if few := few_images_sentence(shown.images):
        parts.append(few)
    parts += [f"{one[0].upper()}{one[1:]}." for one in study.warnings[:MOST_WARNINGS]]
    if len(study.warnings) > MOST_WARNINGS:
        parts.append(f"Further {counted(len(study.warnings) - MOST_WARNINGS, 'warning')}: see table.csv.")
    parts.append(f"imcsim {facts.get('imcsim', '')}, seed {facts.get('Seed', '')}, {facts.get('Spec', '')}.")
    return " ".join(parts)
