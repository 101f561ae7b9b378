"""A comparison as a paper prints it: one table as CSV and for LaTeX, with a caption that says what was run.

The table has a row for each static run, one for the dynamic run and one for another network beside them, with
the same columns. LaTeX needs ``booktabs`` and ``siunitx``, and ``graphicx`` for the tables of fronts and of
many chips.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from imcsim.base.plurals import counted
from imcsim.report import beside
from imcsim.report.files import csv_text, latex_text
from imcsim.report.sampling import shown_timesteps
from imcsim.report.terminal.tables import static_name, static_points, threshold_line
from imcsim.report.units import ENERGY, TIME, Unit, fitting, number, percent, product
from imcsim.results.against import SideRun
from imcsim.results.comparison import CompareResult, Dynamic, StaticPoint
from imcsim.results.meta import Meta
from imcsim.results.statistics import few_images_sentence

COLUMNS = (
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
    every: list[tuple[str, str | None, StaticPoint | Dynamic | SideRun]] = [
        *rows,
        ("dynamic", result.meta.policy, result.dynamic),
    ]
    if (other := _other(result)) is not None:
        every.append((other[0], None, other[1]))  # the document does not say which policy was best for it
    cells = [
        [name, issue, _timesteps(point), *(getattr(point, column) for column in COLUMNS[3:])]
        for name, issue, point in every
    ]
    return {
        "table.csv": csv_text(list(COLUMNS), cells),
        "table.tex": table_tex(result),
        "caption.txt": caption(result) + "\n",
    }


def _timesteps(point: StaticPoint | Dynamic | SideRun) -> float:
    return float(point.timesteps) if isinstance(point, StaticPoint) else point.mean_timesteps


def _other(result: CompareResult) -> tuple[str, SideRun] | None:
    """The run of the other network and what tables call it; None where there is none."""
    against = result.against
    return None if against is None else (beside.name_of(against.runs[2], against), against.runs[2])


def caption(result: CompareResult) -> str:
    """What was run on what, against whom, and what the intervals are: plain text for below a table."""
    meta, last, less = result.meta, result.static[-1], result.reduction
    parts = [
        f"Static and dynamic timesteps of {ran_on(meta)}, means over {counted(meta.images, 'image')} of "
        f"{meta.inputs.name} ({meta.inputs.split}).",
        *accounting_sentence(meta),
        f"Accuracies have 95 % intervals (Wilson). {threshold_line(result.dynamic)}",
        f"The dynamic run is issued by {meta.policy}.",
    ]
    if last.timesteps > 1:
        parts.append(
            f"Against static {static_name(last)}, of the static runs of T = {last.timesteps} the one with "
            f"the least EDP, it saves {percent(less.energy)} % of the energy, {percent(less.latency)} % of "
            f"the latency and {percent(less.edp_mean_of_products)} % of the EDP (mean of products; "
            f"{percent(less.edp_product_of_means)} % of the product of means)."
        )
    warnings = list(result.warnings)
    if result.against is not None:
        parts.append(_beside(result))
        warnings += [one for one in result.against.warnings if one not in warnings]
    return " ".join([*parts, *closing(meta, warnings)])


def _beside(result: CompareResult) -> str:
    """Which other network the table has, on which chip, and how its row compares with the others."""
    against, last = result.against, result.static[-1]
    assert against is not None
    energy, time = fitting(ENERGY, [last.energy_pj]), fitting(TIME, [last.latency_ns])
    return (
        f"The row {beside.name_of(against.runs[2], against)} is {ran_on(against.meta)}, on the same images"
        + (", issued by wait or pipeline, whichever has the least EDP" if against.meta.timesteps > 1 else "")
        + f". Its chip has no exit checker, that of the other rows has one: without it static "
        f"{static_name(last)} takes {energy(last.energy_without_checker_pj)} {energy.name} and "
        f"{time(last.latency_without_checker_ns)} {time.name}, and so stands in against.csv."
    )


def ran_on(meta: Meta) -> str:
    """Which network on which chip, in a caption."""
    chip = meta.hardware
    changed = ", ".join(f"{key} = {value}" for key, value in (chip.overrides or {}).items())
    package = "" if chip.chips is None else f"{counted(chip.chips, 'chip')}, "
    return (
        f"{meta.network.name} ({counted(meta.network.weights, 'weight')}) on "
        f"{chip.name}{f' with {changed}' if changed else ''} ({package}{counted(chip.tiles, 'tile')}, "
        f"{counted(chip.crossbars, 'crossbar')}, {number(chip.area_um2 / 1e6)} mm2, "
        f"clock {chip.clock_ns:g} ns, encoder {chip.encoder})"
    )


def accounting_sentence(meta: Meta) -> list[str]:
    """The hypothesis by which energy is charged, if it is."""
    charged = meta.hardware.accounting
    return [] if charged is None else [f"Energy is charged by the hypothesis {charged}."]


def closing(meta: Meta, warnings: Sequence[str]) -> list[str]:
    """Sentences that end a caption: warnings, one of them with the number of a chip that has errors, and what
    made the figures.
    """
    few = few_images_sentence(meta.images)
    return [
        *(f"Warning: {warning.rstrip('.')}." for warning in warnings),
        *([few] if few else []),
        f"imcsim {meta.version}, seed {meta.seed}, chip {meta.hardware.sha256[:12]}.",
    ]


def table_tex(result: CompareResult) -> str:
    r"""A ``table*`` environment with the caption, rules of booktabs and number columns of siunitx."""
    few = shown_timesteps(result.meta.timesteps)
    static = [point for point in static_points(result) if point.timesteps in few]
    other = _other(result)
    figures = PaperFigures.of([*static, result.dynamic, *([] if other is None else [other[1]])])
    body = [
        ["static " + static_name(point), *figures.cells(point, float(point.timesteps))] for point in static
    ]
    dynamic = result.dynamic
    groups = [body, [[f"dynamic, {result.meta.policy}", *figures.cells(dynamic, dynamic.mean_timesteps)]]]
    if other is not None:
        groups.append([[other[0], *figures.cells(other[1], other[1].mean_timesteps)]])
    return latex_table(["Run"], figures, groups, caption(result), "tab:timesteps")


class Headed(Protocol):
    """The columns of a table for a paper, behind those of names."""

    @property
    def heads(self) -> tuple[list[str], list[str]]: ...


class CostedRow(Protocol):
    """What the units of a table depend on."""

    @property
    def energy_pj(self) -> float: ...
    @property
    def latency_ns(self) -> float: ...


class TabledRow(CostedRow, Protocol):
    """What a row of a table for a paper shows."""

    @property
    def accuracy(self) -> float: ...
    @property
    def accuracy_low(self) -> float: ...
    @property
    def accuracy_high(self) -> float: ...
    @property
    def edp_mean_of_products(self) -> float: ...


@dataclass(frozen=True)
class PaperFigures:
    """The units in which a table shows the figures of its rows."""

    energy: Unit
    time: Unit

    @classmethod
    def of(cls, rows: Sequence[CostedRow]) -> PaperFigures:
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
    figures: Headed,
    groups: Sequence[Sequence[Sequence[str]]],
    text: str,
    label: str,
) -> str:
    r"""A ``table*`` environment: groups of rows, a rule between two; columns of names, then of `figures`.

    Their cells are numbers or, in braces, text that belongs to the number before it.

    Seven columns need more than one of a page's two: with the star the table spans both. Where a page has one
    column, ``table*`` is ``table``. With several columns of names it may be wider than the page, and is then
    set as much smaller, which needs ``graphicx``.
    """
    within = len(names) > 1
    upper, lower = zip(*map(_two_lines, names), strict=True)
    first, second = figures.heads
    rows = [row for group in groups for row in group]
    kinds = [_column([row[k] for row in rows]) for k in range(len(names), len(rows[0]))]
    columns = " ".join([*("l" * len(names)), *kinds])
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


def _column(cells: list[str]) -> str:
    """How LaTeX sets a column: text close behind the number before it, or numbers by their points."""
    if any(cell.startswith("{") for cell in cells):
        return "@{ } l"
    whole = max(len(cell.partition(".")[0]) for cell in cells)
    return f"S[table-format={whole}.{max(len(cell.partition('.')[2]) for cell in cells)}]"
