"""A comparison as a paper prints it: one table as CSV and for LaTeX, with a caption that says what was run.

The table has a row for each static run and one for the dynamic run, with the same columns. LaTeX needs
``booktabs`` and ``siunitx``, and ``graphicx`` for the tables of fronts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from imcsim.base.plurals import counted
from imcsim.report.files import csv_text, latex_text
from imcsim.report.sampling import shown_timesteps
from imcsim.report.terminal.tables import static_name, static_points, threshold_line
from imcsim.report.units import ENERGY, TIME, Unit, fitting, number, percent, product
from imcsim.results.comparison import CompareResult, Dynamic, StaticPoint
from imcsim.results.statistics import few_images_sentence

_COLUMNS = (
    "run", "issue", "mean_timesteps", "accuracy", "accuracy_low", "accuracy_high", "energy_pj", "latency_ns",
    "edp_mean_of_products", "edp_product_of_means",
)  # fmt: skip
_MICRO = {"u": r"\micro", "n": r"\nano", "p": r"\pico", "m": r"\milli"}
_BASE = {"J": r"\joule", "s": r"\second"}


def paper_files(result: CompareResult) -> dict[str, str]:
    """``table.csv`` (base units, every digit), ``table.tex`` (the timesteps that tables show) and
    ``caption.txt``.
    """
    rows = [(static_name(point), point.issue, point) for point in static_points(result)]
    every: list[tuple[str, str, StaticPoint | Dynamic]] = [
        *rows,
        ("dynamic", result.meta.policy, result.dynamic),
    ]
    cells = [
        [name, issue, _timesteps(point), *(getattr(point, column) for column in _COLUMNS[3:])]
        for name, issue, point in every
    ]
    return {
        "table.csv": csv_text(list(_COLUMNS), cells),
        "table.tex": table_tex(result),
        "caption.txt": caption(result) + "\n",
    }


def _timesteps(point: StaticPoint | Dynamic) -> float:
    return point.mean_timesteps if isinstance(point, Dynamic) else float(point.timesteps)


def caption(result: CompareResult) -> str:
    """What was run on what, against whom, and what the intervals are: plain text for below a table."""
    meta, last, less = result.meta, result.static[-1], result.reduction
    chip = meta.hardware
    changed = ", ".join(f"{key} = {value}" for key, value in (chip.overrides or {}).items())
    parts = [
        f"Static and dynamic timesteps of {meta.network.name} ({counted(meta.network.weights, 'weight')}) on "
        f"{chip.name}{f' with {changed}' if changed else ''} ({counted(chip.tiles, 'tile')}, "
        f"{chip.crossbars:,} "
        f"crossbars, {number(chip.area_um2 / 1e6)} mm2, clock {chip.clock_ns:g} ns, encoder {chip.encoder}), "
        f"means over {counted(meta.images, 'image')} of {meta.inputs.name} ({meta.inputs.split}).",
        f"Accuracies have 95 % intervals (Wilson). {threshold_line(result.dynamic)}",
        f"The dynamic run is issued by {meta.policy}. Against static {static_name(last)}, of the static runs "
        f"of T = {last.timesteps} the one with the least EDP, it saves {percent(less.energy)} % of the "
        f"energy, {percent(less.latency)} % of the latency and {percent(less.edp_mean_of_products)} % of the "
        f"EDP (mean of products; {percent(less.edp_product_of_means)} % of the product of means).",
        f"imcsim {meta.version}, seed {meta.seed}, chip {chip.sha256[:12]}.",
    ]
    if few := few_images_sentence(meta.images):
        parts.insert(-1, few)
    if chip.accounting is not None:
        parts.insert(1, f"Energy is charged by the hypothesis {chip.accounting}.")
    return " ".join(parts)


def table_tex(result: CompareResult) -> str:
    r"""A ``table*`` environment with the caption, rules of booktabs and number columns of siunitx."""
    few = shown_timesteps(result.meta.timesteps)
    static = [point for point in static_points(result) if point.timesteps in few]
    figures = PaperFigures.of([*static, result.dynamic])
    body = [
        ["static " + static_name(point), *figures.cells(point, float(point.timesteps))] for point in static
    ]
    dynamic = result.dynamic
    last = [f"dynamic, {result.meta.policy}", *figures.cells(dynamic, dynamic.mean_timesteps)]
    return latex_table(["Run"], figures, [body, [last]], caption(result), "tab:timesteps")


class TabledRow(Protocol):
    """What a row of a table for a paper shows."""

    @property
    def accuracy(self) -> float: ...
    @property
    def accuracy_low(self) -> float: ...
    @property
    def accuracy_high(self) -> float: ...
    @property
    def energy_pj(self) -> float: ...
    @property
    def latency_ns(self) -> float: ...
    @property
    def edp_mean_of_products(self) -> float: ...


@dataclass(frozen=True)
class PaperFigures:
    """The units in which a table shows the figures of its rows."""

    energy: Unit
    time: Unit

    @classmethod
    def of(cls, rows: Sequence[TabledRow]) -> PaperFigures:
        """Those that fit the rows."""
        return cls(
            fitting(ENERGY, (row.energy_pj for row in rows)), fitting(TIME, (row.latency_ns for row in rows))
        )

    @property
    def heads(self) -> tuple[list[str], list[str]]:
        """The two lines above the columns: names, and units below them."""
        joule, second = _unit(self.energy), _unit(self.time)
        return (
            [r"{$\overline{T}$}", "{Accuracy}", "", "{Energy}", "{Latency}", "{EDP}"],
            ["", r"{(\%)}", r"{[95\,\%]}", f"{{({joule})}}", f"{{({second})}}", f"{{({joule} {second})}}"],
        )  # fmt: skip

    def cells(self, row: TabledRow, timesteps: float) -> list[str]:
        """A row's figures; siunitx sets groups of digits itself."""
        return [
            f"{timesteps:.3f}",
            percent(row.accuracy, 2),
            f"{{[{percent(row.accuracy_low)}, {percent(row.accuracy_high)}]}}",
            _plain(self.energy, row.energy_pj),
            _plain(self.time, row.latency_ns),
            _plain(product(self.energy, self.time), row.edp_mean_of_products),
        ]


def latex_table(
    names: Sequence[str],
    figures: PaperFigures,
    groups: Sequence[Sequence[Sequence[str]]],
    text: str,
    label: str,
) -> str:
    r"""A ``table*`` environment: groups of rows, a rule between two; columns of names, then of `figures`.

    Seven columns need more than one of a page's two: with the star the table spans both. Where a page has one
    column, ``table*`` is ``table``. With several columns of names it may be wider than the page, and is then
    set as much smaller, which needs ``graphicx``.
    """
    within = len(names) > 1
    upper, lower = zip(*map(_two_lines, names), strict=True)
    first, second = figures.heads
    rows = [row for group in groups for row in group]
    numbers = [
        _format([row[k] for row in rows]) for k in range(len(names), len(names) + 6) if k - len(names) != 2
    ]
    wide = [f"S[table-format={one}]" for one in numbers]
    columns = " ".join([*("l" * len(names)), *wide[:2], "@{ } l", *wide[2:]])
    body = [
        [f"    {' & '.join([*map(latex_text, row[: len(names)]), *row[len(names) :]])} \\\\" for row in group]
        for group in groups
    ]
    ruled = body[0] + [line for group in body[1:] for line in (r"    \midrule", *group)]
    lines = [
        rf"% \usepackage{{booktabs, {'graphicx, ' if within else ''}siunitx}}",
        r"\begin{table*}",
        r"  \centering",
        r"  \small",
        rf"  \caption{{{latex_text(text)}}}",
        rf"  \label{{{label}}}",
        r"  \setlength{\tabcolsep}{4pt}",
        *([r"  \resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"] if within else []),
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {' & '.join([*map(latex_text, upper), *first])} \\\\",
        f"    {' & '.join([*map(latex_text, lower), *second])} \\\\",
        r"    \midrule",
        *ruled,
        r"    \bottomrule",
        rf"  \end{{tabular}}{'}' if within else ''}",
        r"\end{table*}",
        "",
    ]
    return "\n".join(lines)


def _two_lines(name: str) -> tuple[str, str]:
    """A key above its column, or several that change together, where its lines are shortest: what it is a key
    of, and the key.
    """
    breaks = [found.end() for found in re.finditer(r"\.|, ", name)]
    cuts = [(name[:k].rstrip(), name[k:]) for k in breaks]
    return min(cuts, key=lambda lines: max(map(len, lines)), default=(name, ""))


def _plain(unit: Unit, value: float) -> str:
    """As in other tables, but without commas: siunitx sets groups itself."""
    return unit(value).replace(",", "")


def _unit(unit: Unit) -> str:
    """``uJ`` for siunitx."""
    return "".join([r"\unit{", _MICRO.get(unit.name[:-1], ""), _BASE[unit.name[-1]], "}"])


def _format(values: list[str]) -> str:
    """Digits before and after the point that the widest of these numbers have."""
    whole = max(len(value.partition(".")[0]) for value in values)
    return f"{whole}.{max(len(value.partition('.')[2]) for value in values)}"
