"""Verification and validation as tables: for a terminal, and in Markdown for docs/validation.md.

``python -m imcsim.report.terminal.validation docs/validation.md`` renews the tables of the page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from textwrap import wrap

from rich.console import Group, RenderableType
from rich.text import Text

from imcsim.report.terminal.grid import table
from imcsim.validate import (
    FITTED,
    Accounting,
    AssumptionOutcome,
    Fit,
    JudgedRows,
    SiliconRow,
    Validation,
    ValidationRow,
    validate,
    verify,
)
from imcsim.validate.silicon import medians
from imcsim.validate.silicon.measured import KINDS

TITLES: Mapping[str, str] = {
    "dtsnn": "DT-SNN's VGG-16 on dtsnn_32nm",
    "spikesim": "SpikeSim's VGG9 on spikesim_65nm",
    "by_hand": "Worked by hand",
    "isaac": "ISAAC's tile",
    "growth": "How DT-SNN's VGG-16 grows with T",
}
SHOWS: Mapping[str, str] = {
    "verification": "Verification: these figures follow from what was put in; they show that the simulator "
    "computes what its constants and formulas say.",
    "validation": "Validation: these published figures were not put in; they show how far off ours are.",
}
SILICON = "Chips as known before they were measured"
ASSUMPTIONS = "Assumptions about DT-SNN's chip, one at a time"
FIT = "Fitted to the shares"
ACCOUNTINGS = "What if DT-SNN charges its digital peripherals once per inference"

ROW_COLUMNS = ("figure", "expected", "got", "unit", "deviation", "allowed", "mark", "verdict")
OUTCOME_COLUMNS = (
    "assumption", "mark", "intercept", "D(8) / D(1)", "periph. %", "crossbar + ADC %", "rest %", "E(4) uJ"
)  # fmt: skip
FIT_COLUMNS = ("key", "may be", "fitted")
ACCOUNTING_COLUMNS = ("energy", "what it is", "E(8) / E(1)", "intercept", "EDP(4) / EDP(1)", "D(8) / D(1)")
SILICON_COLUMNS = (
    "setting", "figure", "predicted", "measured", "unit", "error", "factor", "other ADC", "carried by"
)  # fmt: skip
SUMMARY_COLUMNS = ("chip", "figures", "median factor", "largest", "within 2")
WORDS = frozenset(
    {
        "setting",
        "chip",
        "carried by",
        "figure",
        "unit",
        "mark",
        "verdict",
        "source",
        "assumption",
        "key",
        "energy",
        "what it is",
    }
)

Cells = list[list[str]]


def validation_report(result: JudgedRows) -> Group:
    """What kind of figures they are, all tables, and the verdict."""
    shown: list[RenderableType] = [Text(SHOWS[result.kind]), Text()]
    if isinstance(result, Validation):
        for title, columns, cells, left in silicon_tables(result.silicon):
            whole = table(title, columns, cells) if left == 1 else _by_setting(title, columns, cells)
            shown += [whole, Text()]
    for _, title, rows in parts(result):
        shown += [table(title, ROW_COLUMNS, row_cells(rows)), Text()]
    if isinstance(result, Validation):
        shown += [_side_by_side(ACCOUNTINGS, accounting_cells(result.accountings)), Text()]
        shown += [table(ASSUMPTIONS, OUTCOME_COLUMNS, outcome_cells(result.outcomes), left=2), Text()]
        shown += [table(FIT, FIT_COLUMNS, fit_cells(result.fit)), Text()]
    shown += [Text(line) for line in _verdicts(result)]
    return Group(*shown)


def _by_setting(title: str, columns: Sequence[str], cells: Cells) -> RenderableType:
    """Figures below the settings that they are of, the first column."""
    grid = table(title, ["", *columns[2:]], [])
    for setting, rows in groupby(cells, key=itemgetter(0)):
        grid.add_row(setting)
        for _, figure, *others in rows:
            grid.add_row(f"  {figure}", *others)
    return grid


def _side_by_side(title: str, counted: Cells) -> RenderableType:
    """A column for each way to count, since their names are long."""
    heads = [wrap(name, 14) + ([f"({mark})"] if mark else []) for name, mark, *_ in counted]
    figures = [values for _, _, *values in counted]
    rows = [[name, *(one[at] for one in figures)] for at, name in enumerate(ACCOUNTING_COLUMNS[2:])]
    return table(title, ["", *("\n".join(lines) for lines in heads)], rows)


def _verdicts(result: JudgedRows) -> Iterator[str]:
    """What the tables come to."""
    judged = [row for row in result.rows if row.passed is not None]
    outside = [row.name for row in judged if not row.passed]
    if judged:
        verdict = f"{len(judged) - len(outside)} of {len(judged)} judged figures are within what is allowed"
        yield verdict + (f"; outside: {', '.join(outside)}" if outside else "")
    if isinstance(result, Validation) and result.silicon:
        _, _, middle, most, near = summary_cells(result.silicon)[-1]
        yield (
            f"{near} figures of measured chips are predicted within a factor of 2; "
            f"the median factor is {middle}, the largest {most}"
        )


def validation_markdown(result: JudgedRows) -> str:
    """The tables as they stand in docs/validation.md."""
    blocks = []
    if isinstance(result, Validation):
        for title, columns, lines, _ in silicon_tables(result.silicon):
            blocks += [f"### {title}", markdown(columns, lines)]
    for _, title, rows in parts(result):
        blocks += [f"### {title}", rows_markdown(rows)]
    if isinstance(result, Validation):
        counted = accounting_cells(result.accountings)
        blocks += [f"### {ACCOUNTINGS}", markdown(ACCOUNTING_COLUMNS, counted)]
        blocks += [f"### {ASSUMPTIONS}", markdown(OUTCOME_COLUMNS, outcome_cells(result.outcomes))]
        blocks += [f"### {FIT}", markdown(FIT_COLUMNS, fit_cells(result.fit))]
    return "\n\n".join(blocks) + "\n"


def silicon_tables(rows: Sequence[SiliconRow]) -> Iterator[tuple[str, Sequence[str], Cells, int]]:
    """Title, columns, cells and columns of words of the tables of measured chips."""
    if not rows:
        return
    yield SILICON, SUMMARY_COLUMNS, summary_cells(rows), 1
    for title in dict.fromkeys(row.title for row in rows):
        mine = [row for row in rows if row.title == title]
        yield title, SILICON_COLUMNS, silicon_cells(mine), 2


def summary_cells(rows: Sequence[SiliconRow]) -> Cells:
    """For each chip, and for all: figures, median and largest of their factors, how many are within 2."""
    cells = []
    for title, (count, middle, most) in medians(rows).items():
        near = sum(row.factor <= 2 for row in rows if title in ("", row.title))
        cells.append([title or "all", str(count), f"{middle:.2f}", f"{most:.2f}", f"{near} of {count}"])
    return cells


def silicon_cells(rows: Iterable[SiliconRow]) -> Cells:
    """Cells of the figures of a measured chip."""
    cells = []
    for row in rows:
        kind, _, group = row.figure.partition(".")
        name = f"{KINDS[kind].name}, {group}" if group else KINDS[kind].name
        bound = row.carried_by if kind == "tops" else f"{row.carried_by} {100 * row.share:.0f} %"
        figures = [_short(row.predicted), _short(row.measured), row.unit]
        apart = [f"{100 * row.error:+.0f} %", f"{row.factor:.2f}", _short(row.other)]
        cells.append([row.setting, name, *figures, *apart, bound])
    return cells


def _short(value: float) -> str:
    """Three significant digits, never as a power of ten."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def parts(result: JudgedRows) -> Iterator[tuple[str, str, list[ValidationRow]]]:
    """Name, title and rows of every part that has some."""
    for part, title in TITLES.items():
        rows = [row for row in result.rows if row.part == part]
        if rows:
            yield part, title, rows


def rows_markdown(rows: Sequence[ValidationRow]) -> str:
    """The table of some rows."""
    return markdown((*ROW_COLUMNS, "source"), row_cells(rows, sources=True))


def renewed(page: str, tables: str) -> str:
    """`page` with each of `tables` (as `validation_markdown` gives them) in the place of the one under its
    heading.

    Raises ValueError where the page has no such heading.
    """
    for block in tables.strip().split("### ")[1:]:
        heading, table_text = block.strip().split("\n\n")
        before, found, after = page.partition(f"### {heading}\n\n")
        if not found:
            raise ValueError(f"the page has no heading {heading!r}")
        _, _, rest = after.partition("\n\n")
        page = f"{before}{found}{table_text}\n\n{rest}" if rest else f"{before}{found}{table_text}\n"
    return page


def validation_files(result: JudgedRows) -> dict[str, bytes]:
    """Contents of the files that ``--out`` writes, by name: ``validation.json``, ``verification.md``, ..."""
    return {
        f"{result.kind}.json": validation_json(result).encode(),
        f"{result.kind}.md": f"{SHOWS[result.kind]}\n\n{validation_markdown(result)}".encode(),
    }


def validation_json(result: JudgedRows) -> str:
    """The rows, and what else there is, as a JSON document."""
    return json.dumps(result.document(), indent=2, allow_nan=False) + "\n"


def row_cells(rows: Iterable[ValidationRow], *, sources: bool = False) -> Cells:
    """Cells of some rows; with `sources`, and notes, in one more column."""
    cells = []
    for row in rows:
        about = [f"{row.source}; {row.note}" if row.note else row.source] if sources else []
        verdict = {None: "shown", True: "ok", False: "OUTSIDE"}[row.passed]
        allowed = "" if row.allowed is None else _spread(row, row.allowed, sign="")
        figures = [_figure(row.expected), _figure(row.got), row.unit, _spread(row, row.deviation), allowed]
        cells.append([row.name, *figures, row.mark, verdict, *about])
    return cells


def outcome_cells(outcomes: Iterable[AssumptionOutcome]) -> Cells:
    return [
        [
            outcome.name,
            outcome.mark,
            f"{outcome.intercept:.3f}",
            f"{outcome.latency_ratio:.2f}",
            *(f"{share:.1f}" for share in outcome.shares),
            f"{outcome.energy_pj * 1e-6:.2f}",
        ]
        for outcome in outcomes
    ]


def accounting_cells(accountings: Iterable[Accounting]) -> Cells:
    """Cells of ways to count the energy; a hypothesis says that it is one."""
    return [
        [
            one.name,
            "hypothesis" if one.hypothesis else "",
            f"{one.energy_ratio:.2f}",
            f"{one.intercept:.3f}",
            f"{one.edp_ratio:.2f}",
            f"{one.latency_ratio:.2f}",
        ]
        for one in accountings
    ]


def fit_cells(fit: Fit) -> Cells:
    """The fitted keys, and the shares that they lead to."""
    cells = [
        [key, ", ".join(f"{v:g}" for v in FITTED[key]), f"{value:g}"] for key, value in fit.values.items()
    ]
    return [*cells, ["shares, %", "45 / 25 / 30 (paper)", " / ".join(f"{s:.1f}" for s in fit.shares)]]


def markdown(columns: Sequence[str], cells: Cells) -> str:
    """A Markdown table; columns of words are aligned left, those of numbers right."""
    lines = [columns, ["---" if name in WORDS else "---:" for name in columns], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _figure(value: float) -> str:
    """Six significant digits; whole numbers in full."""
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _spread(row: ValidationRow, value: float, sign: str = "+") -> str:
    """A deviation, in per cent or in the row's own points, to two decimals."""
    text = f"{value if row.points else 100 * value:{sign}.2f}".rstrip("0").rstrip(".")
    unit = "points" if row.points else "%"
    return f"{'0' if float(text) == 0 else text} {unit}"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    text = place.read_text(encoding="utf-8")
    for kind in (verify(), validate()):
        text = renewed(text, validation_markdown(kind))
    place.write_text(text, encoding="utf-8")
