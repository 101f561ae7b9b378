"""Results in notebooks and papers: their main table as HTML and LaTeX, their figures as objects."""

from __future__ import annotations

import base64
import html
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.table import Table

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.plurals import counted
from imcsim.report.documents import Result, figures_of, write_folder, write_result
from imcsim.report.files import latex_text
from imcsim.report.units import ENERGY, TIME, change, fitting, percent
from imcsim.results.chips.document import ChipsResult
from imcsim.results.comparison import CompareResult
from imcsim.results.run import Outcome, RunResult
from imcsim.results.stream import StreamResult

MAIN_FIGURE = {
    "CompareResult": "accuracy_edp", "RunResult": "exits", "StreamResult": "utilisation",
    "ChipsResult": "accuracy_timesteps",
}  # fmt: skip


def brief(result: Result) -> str:
    """One line: what was run, and what came out."""
    meta = result.meta
    where = (
        f"{meta.network.name} on {meta.hardware.name}, {counted(meta.images, 'image')} of {meta.inputs.name}"
    )
    if isinstance(result, CompareResult):
        dynamic, last = result.dynamic, result.static[-1]
        edp = change(result.reduction.edp_mean_of_products)
        said = (
            f"dynamic T = {dynamic.mean_timesteps:.2f} of {meta.timesteps}, accuracy "
            f"{percent(dynamic.accuracy)} % (static {percent(last.accuracy)} %), "
            f"{_cost(dynamic.energy_pj, dynamic.latency_ns)}, EDP {edp}"
        )
    elif isinstance(result, ChipsResult):
        said = (
            f"{counted(result.chips, 'chip')}, accuracy {percent(result.dynamic.accuracy.mean)} % in the mean"
        )
    else:
        found: Outcome | StreamResult = result.outcome if isinstance(result, RunResult) else result
        said = (
            f"{result.policy.kind} T = {found.mean_timesteps:.2f}, accuracy {percent(found.accuracy)} %, "
            f"{_cost(found.energy_pj, found.latency_ns)}"
        )
    return f"<{type(result).__name__}: {where}: {said}>"


def _cost(energy_pj: float, latency_ns: float) -> str:
    energy, time = fitting(ENERGY, [energy_pj]), fitting(TIME, [latency_ns])
    return f"{energy(energy_pj)} {energy.name}, {time(latency_ns)} {time.name} per image"


def figures(result: Result) -> tuple[str, ...]:
    """The names of the figures, the main one first."""
    main = MAIN_FIGURE[type(result).__name__]
    return (main, *(name for name in figures_of(result) if name != main))


def plot(result: Result, name: str | None) -> Any:
    """The figure of that name; None is the main one. Raises ImcsimError for a name that there is not."""
    made = figures_of(result)
    wanted = name or MAIN_FIGURE[type(result).__name__]
    if wanted not in made:
        fix = suggestion(wanted, made, "use " + ", ".join(made))
        raise ImcsimError(f"there is no figure {wanted!r:.60}", key="name", fix=fix)
    _show_in_notebooks()
    return made[wanted]


def _show_in_notebooks() -> None:
    """Let IPython, where it runs, draw figures that pyplot does not know."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    if running is not None and hasattr(running, "display_formatter"):
        from IPython.core.pylabtools import select_figure_formats

        select_figure_formats(running, {"png"})  # type: ignore[no-untyped-call]


def write(result: Result, path: Path) -> None:
    """Write the JSON file, or the folder, `path`."""
    if path.suffix == ".json":
        write_result(result, path)
    else:
        write_folder(result, path)


# --- tables


def main_table(result: Result) -> Table:
    """The first table of the report of `result`."""
    if isinstance(result, ChipsResult):
        from imcsim.report.terminal.chips import accuracy_table

        return accuracy_table(result)
    if isinstance(result, StreamResult):
        from imcsim.report.terminal.stream import outcome_table as of_stream

        return of_stream(result)
    from imcsim.report.terminal.tables import comparison_table, outcome_table

    if isinstance(result, CompareResult):
        return comparison_table(result)
    return outcome_table(result.outcome, result.policy.kind)


def latex(result: Result) -> str:
    """The main table as a tabular with the rules of booktabs."""
    table = main_table(result)
    columns = ["l" if column.justify == "left" else "r" for column in table.columns]
    heads = [_latex_cell(_text(column.header)) for column in table.columns]
    rows = _rows(table, _latex_cell)
    lines = [
        rf"\begin{{tabular}}{{{''.join(columns)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
    ]
    for index, (cells, ends) in enumerate(rows):
        lines.append(" & ".join(cells) + r" \\")
        if ends and index + 1 < len(rows):
            lines.append(r"\midrule")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_cell(text: str) -> str:
    lines = latex_text(text).split("\n")
    whole = lines[0] if len(lines) == 1 else r"\shortstack{" + r"\\{}".join(lines) + "}"
    # booktabs rows that begin with [ would be read as the length of the line before
    return f"{{{whole}}}" if whole.startswith("[") else whole


def as_html(result: Result) -> str:
    """The main table, with the main figure below."""
    table = main_table(result)
    align = ["left" if column.justify == "left" else "right" for column in table.columns]

    def row(cells: Iterable[str], tag: str) -> str:
        return "".join(
            f'<{tag} style="text-align:{side}">{cell}</{tag}>'
            for cell, side in zip(cells, align, strict=True)
        )

    heads = row([_html_cell(_text(column.header)) for column in table.columns], "th")
    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells, _ in _rows(table, _html_cell))
    picture = base64.b64encode(_png(result)).decode()
    said = html.escape(brief(result))
    return (
        f"<div><p>{said[4:-4]}</p><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        f'<img alt="{html.escape(MAIN_FIGURE[type(result).__name__])}" style="max-width:640px" '
        f'src="data:image/png;base64,{picture}"></div>'
    )


def _html_cell(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


def _png(result: Result) -> bytes:
    from imcsim.report.figures.drawing import draw

    name = MAIN_FIGURE[type(result).__name__]
    return draw(lambda: {name: figures_of(result)[name]}, ["png"])[f"{name}.png"]


def _text(cell: Any) -> str:
    return str(cell)


def _rows(table: Table, cell: Callable[[str], str]) -> list[tuple[list[str], bool]]:
    """The cells of each row, and whether a part of the table ends with it."""
    columns = [[cell(_text(one)) for one in column.cells] for column in table.columns]
    return [
        (list(cells), row.end_section)
        for cells, row in zip(zip(*columns, strict=True), table.rows, strict=True)
    ]


class NotebookPresenter:
    """What `imcsim.base.presented` shows results with."""

    brief = staticmethod(brief)
    html = staticmethod(as_html)
    latex = staticmethod(latex)
    figures = staticmethod(figures)
    plot = staticmethod(plot)
    write = staticmethod(write)
