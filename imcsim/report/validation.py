"""``imcsim validate --out``: one page, with measured chips as a figure."""

from __future__ import annotations

from collections.abc import Sequence

from imcsim._version import __version__
from imcsim.base.progress import Progress
from imcsim.report.figures.silicon import predicted_against_measured
from imcsim.report.page.exhibits import Exhibit
from imcsim.report.page.grids import Grid
from imcsim.report.page.page import Section, compose
from imcsim.report.page.tables import Column
from imcsim.report.terminal import validation as tables
from imcsim.validate import JudgedRows, Validation
from imcsim.validate.silicon import SiliconRow

CAPTION = (
    "Figures of measured chips against what imcsim predicts from what was known before they were measured. "
    "The diagonal is a perfect prediction, the band a factor of 2. A grey line leads to the same prediction "
    "with the converter of NeuroSim in the place of the fit of the survey. Names are settings, and the part "
    "that a figure is for; a point whose name finds no room stands in the table."
)


def validation_files(result: JudgedRows, tell: Progress) -> dict[str, bytes]:
    """Contents of the files that ``--out`` writes, by name: the page, its figures and data, the tables."""
    sections = []
    if isinstance(result, Validation) and result.silicon:
        sections.append(_silicon(result.silicon))
    grids = [
        _grid(part, title, tables.ROW_COLUMNS, tables.row_cells(rows))
        for part, title, rows in tables.parts(result)
    ]
    sections.append(Section("figures", "Published figures" if isinstance(result, Validation) else "Figures",
                            grids=grids))  # fmt: skip
    if isinstance(result, Validation):
        counted = [
            _grid("accountings", tables.ACCOUNTINGS, tables.ACCOUNTING_COLUMNS,
                  tables.accounting_cells(result.accountings)),
            _grid("assumptions", tables.ASSUMPTIONS, tables.OUTCOME_COLUMNS,
                  tables.outcome_cells(result.outcomes)),
            _grid("fit", tables.FIT, tables.FIT_COLUMNS, tables.fit_cells(result.fit)),
        ]  # fmt: skip
        sections.append(Section("dtsnn", "What DT-SNN's chip rests on", grids=counted))
    facts = [(kind, said) for kind, _, said in (shown.partition(": ") for shown in tables.SHOWS.values())]
    title = f"{result.kind.capitalize()} of imcsim"
    facts += [("Version", __version__)]
    return tables.validation_files(result) | compose(title, facts, (), sections, tell)


def _silicon(rows: Sequence[SiliconRow]) -> Section:
    columns = ("chip", "setting", "figure", "unit", "predicted", "measured", "error", "factor", "other", "by")
    data = [
        (row.title, row.setting, row.figure, row.unit, row.predicted, row.measured, row.error, row.factor,
         row.other, row.carried_by)
        for row in rows
    ]  # fmt: skip
    exhibit = Exhibit(
        "predicted-against-measured", "Predicted against measured", CAPTION,
        lambda: predicted_against_measured(rows), columns, data,
    )  # fmt: skip
    shown = tables.silicon_tables(rows)
    grids = [_grid(f"chip{k}", title, names, cells) for k, (title, names, cells, _) in enumerate(shown)]
    note = "No figure of a chip enters its prediction. Errors stand as they are."
    return Section("chips", tables.SILICON, note, (exhibit,), grids=grids)


def _grid(name: str, title: str, columns: Sequence[str], cells: tables.Cells) -> Grid:
    heads = [Column(column.replace(" ", "_"), column, "", column not in tables.WORDS) for column in columns]
    return Grid(name, title, heads, cells, columns, cells, wide=True)
