"""A comparison as a paper prints it: one table as CSV and for LaTeX, with a caption that says what was run.

The table has a row for each static run and one for the dynamic run, with the same columns. LaTeX needs
``booktabs`` and ``siunitx``.
"""

from __future__ import annotations

from imcsim.report.files import csv_text, latex_text
from imcsim.report.sampling import shown_timesteps
from imcsim.report.terminal.tables import static_name, static_points, threshold_line
from imcsim.report.units import ENERGY, TIME, Unit, fitting, number, percent, product
from imcsim.results.comparison import CompareResult, Dynamic, StaticPoint

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
        f"Static and dynamic timesteps of {meta.network.name} ({meta.network.weights:,} weights) on "
        f"{chip.name}{f' with {changed}' if changed else ''} ({chip.tiles:,} tiles, {chip.crossbars:,} "
        f"crossbars, {number(chip.area_um2 / 1e6)} mm2, clock {chip.clock_ns:g} ns, encoder {chip.encoder}), "
        f"means over {meta.images:,} images of {meta.inputs.name} ({meta.inputs.split}).",
        f"Accuracies have 95 % intervals (Wilson). {threshold_line(result.dynamic)}",
        f"The dynamic run is issued by {meta.policy}. Against static {static_name(last)}, of the static runs "
        f"of T = {last.timesteps} the one with the least EDP, it saves {percent(less.energy)} % of the "
        f"energy, {percent(less.latency)} % of the latency and {percent(less.edp_mean_of_products)} % of the "
        f"EDP (mean of products; {percent(less.edp_product_of_means)} % of the product of means).",
        f"imcsim {meta.version}, seed {meta.seed}, chip {chip.sha256[:12]}.",
    ]
    if chip.accounting is not None:
        parts.insert(1, f"Energy is charged by the hypothesis {chip.accounting}.")
    return " ".join(parts)


def table_tex(result: CompareResult) -> str:
    r"""A ``table`` environment with the caption, rules of booktabs and number columns of siunitx."""
    few = shown_timesteps(result.meta.timesteps)
    static = [point for point in static_points(result) if point.timesteps in few]
    rows: list[StaticPoint | Dynamic] = [*static, result.dynamic]
    energy = fitting(ENERGY, (row.energy_pj for row in rows))
    time = fitting(TIME, (row.latency_ns for row in rows))
    heads = [
        "Run", r"{$\overline{T}$}", r"{Accuracy}", "", f"{{Energy ({_unit(energy)})}}",
        f"{{Latency ({_unit(time)})}}", f"{{EDP ({_unit(energy)} {_unit(time)})}}",
    ]  # fmt: skip
    edp = product(energy, time)

    def cells(name: str, row: StaticPoint | Dynamic) -> str:
        interval = f"[{percent(row.accuracy_low)}, {percent(row.accuracy_high)}]"
        return " & ".join(
            [
                latex_text(name),
                f"{_timesteps(row):.3f}",
                percent(row.accuracy, 2),
                f"{{{interval}}}",
                _plain(energy, row.energy_pj),
                _plain(time, row.latency_ns),
                _plain(edp, row.edp_mean_of_products),
            ]
        )

    numbers = (
        [f"{_timesteps(row):.3f}" for row in rows],
        [percent(row.accuracy, 2) for row in rows],
        [_plain(energy, row.energy_pj) for row in rows],
        [_plain(time, row.latency_ns) for row in rows],
        [_plain(edp, row.edp_mean_of_products) for row in rows],
    )
    wide = [f"S[table-format={_format(values)}]" for values in numbers]
    columns = " ".join(["l", *wide[:2], "@{ } l", *wide[2:]])
    body = [cells("static " + static_name(point), point) + r" \\" for point in static]
    lines = [
        r"% \usepackage{booktabs, siunitx}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{latex_text(caption(result))}}}",
        r"  \label{tab:timesteps}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {' & '.join(heads)} \\\\",
        r"      & & {(\%)} & {[95\,\%]} & & & {(mean of products)} \\",
        r"    \midrule",
        *(f"    {line}" for line in body),
        r"    \midrule",
        f"    {cells(f'dynamic, {result.meta.policy}', result.dynamic)} \\\\",
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


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
