"""Many programmed chips as a paper prints them: one table as CSV and for LaTeX, and a caption.

The table has a row for each static run and each rule of early exit, with the columns of a comparison on one
chip (see `paper`). Figures are means over the chips, accuracies have the interval of that mean, and standard
deviations over the chips stand beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from imcsim.base.plurals import counted
from imcsim.report.files import csv_text
from imcsim.report.paper import COLUMNS, PaperFigures, accounting_sentence, closing, latex_table, ran_on
from imcsim.report.sampling import shown_timesteps
from imcsim.report.terminal.chips import (
    NAMES,
    issue_lines,
    names,
    opponent_name,
    threshold_lines,
    which_chips,
)
from imcsim.report.units import percent, product
from imcsim.results.chips.document import ChipsResult
from imcsim.results.chips.spread import Spread
from imcsim.results.chips.summary import DynamicSpread, StaticSpread

_STDS = tuple(name for name in COLUMNS[2:] if name not in ("accuracy_low", "accuracy_high"))
"""Figures that have a standard deviation over the chips."""


@dataclass(frozen=True)
class ChipsRow:
    """A way to run the chips."""

    name: str
    issue: str
    timesteps: int
    over: StaticSpread | DynamicSpread

    @property
    def mean_timesteps(self) -> float:
        over = self.over
        return over.mean_timesteps.mean if isinstance(over, DynamicSpread) else float(self.timesteps)

    def std(self, figure: str) -> float | None:
        """Standard deviation over the chips; None for a single one. Static runs take the same T on all."""
        spread: Spread | None = getattr(self.over, figure, None)
        if spread is None:
            return None if self.over.accuracy.std is None else 0.0
        return spread.std

    @property
    def accuracy(self) -> float:
        return self.over.accuracy.mean

    @property
    def accuracy_low(self) -> float | None:
        return self.over.accuracy.mean_low

    @property
    def accuracy_high(self) -> float | None:
        return self.over.accuracy.mean_high

    @property
    def energy_pj(self) -> float:
        return self.over.energy_pj.mean

    @property
    def latency_ns(self) -> float:
        return self.over.latency_ns.mean

    @property
    def edp_mean_of_products(self) -> float:
        return self.over.edp_mean_of_products.mean

    @property
    def edp_product_of_means(self) -> float:
        return self.over.edp_product_of_means.mean


@dataclass(frozen=True)
class ChipsFigures:
    """The columns of `PaperFigures` with standard deviations behind them."""

    plain: PaperFigures

    @property
    def heads(self) -> tuple[list[str], list[str]]:
        names, units = self.plain.heads
        for at in (6, 5, 4, 3, 1):
            names.insert(at, "")
            units.insert(at, "")
        return names, units

    def cells(self, row: ChipsRow) -> list[str]:
        """A row's figures; behind each its standard deviation, with as many decimals."""
        energy, time = self.plain.energy, self.plain.time
        low, high = row.accuracy_low, row.accuracy_high
        interval = "{}" if low is None or high is None else f"{{[{percent(low)}, {percent(high)}]}}"
        varies = row.std("mean_timesteps") if isinstance(row.over, DynamicSpread) else None
        cells = [f"{row.mean_timesteps:.3f}", _spread(varies, 1, 3)]
        cells += [percent(row.accuracy, 2), interval, _spread(row.std("accuracy"), 0.01, 2)]
        for unit, figure in ((energy, "energy_pj"), (time, "latency_ns"),
                             (product(energy, time), "edp_mean_of_products")):  # fmt: skip
            mean = unit(getattr(row, figure)).replace(",", "")
            decimals = len(mean.partition(".")[2])
            cells += [mean, _spread(row.std(figure), unit.per_base, decimals)]
        return cells


def _spread(std: float | None, unit: float, decimals: int) -> str:
    return "{}" if std is None else rf"{{$\pm$ {std / unit:.{decimals}f}}}"


def chips_files(result: ChipsResult) -> dict[str, str]:
    """``table.csv`` (base units, every digit), ``table.tex`` (the timesteps that tables show) and
    ``caption.txt``.
    """
    cells = [
        [row.name, row.issue, *(getattr(row, c) for c in COLUMNS[2:]), *(row.std(c) for c in _STDS)]
        for row in _rows(result)
    ]
    return {
        "table.csv": csv_text([*COLUMNS, *(f"{name}_std" for name in _STDS)], cells),
        "table.tex": _table_tex(result),
        "caption.txt": f"{chips_caption(result)}\n",
    }


def _rows(result: ChipsResult) -> list[ChipsRow]:
    last, issue = result.meta.timesteps, result.static_issue
    called = names(result)
    return [
        *(
            ChipsRow(f"T={one.timesteps}" + (f", {issue}" if one.timesteps > 1 else ""), issue,
                     one.timesteps, one)
            for one in result.static
        ),
        *(ChipsRow(called[name], result.meta.policy, last, over) for name, over in result.policies()),
    ]  # fmt: skip


def _table_tex(result: ChipsResult) -> str:
    few = shown_timesteps(result.meta.timesteps)
    rows = _rows(result)
    static = [row for row in rows if isinstance(row.over, StaticSpread) and row.timesteps in few]
    dynamic = [row for row in rows if isinstance(row.over, DynamicSpread)]
    figures = ChipsFigures(PaperFigures.of([*static, *dynamic]))
    groups = [
        [
            [f"static T={row.timesteps}", row.issue if row.timesteps > 1 else "", *figures.cells(row)]
            for row in static
        ],
        [[row.name, row.issue, *figures.cells(row)] for row in dynamic],
    ]
    return latex_table(["Run", "Issue"], figures, groups, chips_caption(result), "tab:chips")


def chips_caption(result: ChipsResult) -> str:
    """What was run on which chips, against whom, and what the intervals are: plain text for below a table."""
    meta = result.meta
    parts = [
        f"Static and dynamic timesteps of {ran_on(meta)}: {which_chips(result)} of seed {meta.seed}, "
        f"all with the same {counted(meta.images, 'image')} of {meta.inputs.name} ({meta.inputs.split}).",
        *accounting_sentence(meta),
    ]
    if result.chips > 1:
        parts.append(
            "Figures are means over the chips. Accuracies have 95 % intervals of that mean (Student's t over "
            "chips, which says nothing of other images); behind ± stands the standard deviation over chips."
        )
    else:
        parts.append("Figures are those of this one chip, without intervals: others differ.")
    parts += [*threshold_lines(result), *issue_lines(result)]
    if meta.timesteps > 1:
        saved = [_saved(result, policy) for policy, _ in result.policies()]
        runs = "runs save:" if len(saved) > 1 else "run saves"
        parts.append(
            f"Against {opponent_name(result)} on the same chip the dynamic {runs} {'; '.join(saved)}."
        )
    return " ".join([*parts, *closing(meta, result.warnings)])


def _saved(result: ChipsResult, policy: str) -> str:
    """What early exit saves of each chip's static T max, as means over the chips."""

    def less(figure: str) -> str:
        pairs = [(getattr(one.static[-1], figure), getattr(getattr(one, policy), figure))
                 for one in result.instances]  # fmt: skip
        return percent(math.fsum(1 - run / whole if whole else 0.0 for whole, run in pairs) / len(pairs))

    edp = dict(result.policies())[policy].edp_reduction
    interval = ""
    if edp.mean_low is not None and edp.mean_high is not None:
        interval = f", [{percent(edp.mean_low)}, {percent(edp.mean_high)}] %"
    which = "" if result.dynamic_once is None else f"{NAMES[policy]}: "
    return (
        f"{which}{less('energy_pj')} % of the energy, {less('latency_ns')} % of the "
        f"latency and {percent(edp.mean)} % of the EDP (mean of products{interval})"
    )
