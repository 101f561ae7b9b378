"""What goes into a paper: a table, a caption and figures."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path

import pytest
from latex import check_fits
from matplotlib.backends.backend_agg import FigureCanvasAgg
from sample_results import compare_result

from imcsim.report.documents import csv_tables, figures_of
from imcsim.report.figures.comparison import render
from imcsim.report.files import latex_text
from imcsim.report.paper import PaperFigures, caption, latex_table, paper_files

COMPARED = compare_result(images=20)
FILES = paper_files(COMPARED)


def test_the_table_has_the_same_columns_for_static_and_dynamic() -> None:
    rows = list(csv.DictReader(io.StringIO(FILES["table.csv"])))
    every = {(point.timesteps, point.issue) for one in COMPARED.opponents for point in one.static}
    assert len(rows) == len(every) - (len(COMPARED.opponents) - 1) + 1  # T = 1 has nothing to wait for
    assert all(cell != "" for row in rows for cell in row.values())
    assert float(rows[-1]["energy_pj"]) == COMPARED.dynamic.energy_pj
    assert float(rows[-1]["mean_timesteps"]) == COMPARED.dynamic.mean_timesteps
    (best,) = (row for row in rows if row["run"] == "T=4, pipeline")
    (point,) = (p for o in COMPARED.opponents for p in o.static if (p.timesteps, p.issue) == (4, "pipeline"))
    assert float(best["edp_mean_of_products"]) == point.edp_mean_of_products


def test_latex_is_sound() -> None:
    """Rows have the columns that were declared; braces and environments close; signs are escaped."""
    text = FILES["table.tex"]
    declared = re.search(r"\\begin\{tabular\}\{(.*)\}\n", text)
    assert declared is not None
    columns = re.sub(r"S\[.*?\]|@\{.*?\}", lambda found: "S" if found[0][0] == "S" else "", declared[1])
    count = len(columns.replace(" ", ""))
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 2 + len(FILES["table.csv"].splitlines()) - 1
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == count - 1, row
    assert text.count("{") == text.count("}")
    assert re.findall(r"\\begin\{(\S+?)\}", text) == re.findall(r"\\end\{(\S+?)\}", text)[::-1]
    body = text.split("\\midrule", 1)[1]
    assert not re.search(r"(?<!\\)[%#$_]", body)
    for cell in re.findall(r"& ([\d.]+) ", body):
        float(cell)


def front_of_many_axes() -> str:
    """A table of a front with as many columns of long keys as it may have."""
    keys = [
        "nonideal.converter.calibrated_on",
        "cells.rows, cells.columns",
        "column_mux.columns_per_adc",
        "seed",
    ]
    figures = PaperFigures.of([COMPARED.dynamic])
    row = [
        "1024",
        "ideal",
        "128, 128",
        "16",
        "7",
        "static T=16, pipeline",
        *figures.cells(COMPARED.dynamic, 4),
    ]
    return latex_table(["Point", *keys, "Run"], figures, [[row], [row]], "A front.", "tab:front")


def test_keys_stand_in_two_lines_above_their_columns() -> None:
    lines = [line.split(" & ") for line in front_of_many_axes().splitlines() if "&" in line]
    upper, lower = lines[:2]
    assert upper[:5] == ["    Point", "nonideal.converter.", "cells.rows,", r"column\_mux.", "seed"]
    assert lower[:5] == ["    ", r"calibrated\_on", "cells.columns", r"columns\_per\_adc", ""]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on PATH")
@pytest.mark.parametrize("layout", ["twocolumn", "onecolumn"])
@pytest.mark.parametrize("table", [FILES["table.tex"], front_of_many_axes()], ids=["compared", "front"])
def test_latex_sets_the_table_within_the_page(tmp_path: Path, table: str, layout: str) -> None:
    check_fits(tmp_path, table, layout)


def test_the_caption_states_what_was_run() -> None:
    meta, text = COMPARED.meta, caption(COMPARED)
    for word in (
        meta.hardware.name, meta.network.name, f"{meta.images:,} images", meta.inputs.name, "95 %",
        meta.hardware.sha256[:12], f"static T={meta.timesteps}, {COMPARED.static[-1].issue}",
    ):  # fmt: skip
        assert word in text


def test_the_caption_states_packages_and_what_the_run_warned_of() -> None:
    assert f"Warning: {COMPARED.warnings[0]}." in caption(COMPARED)
    assert "chips, 57 tiles" not in caption(COMPARED)
    packed = COMPARED.meta.hardware.model_copy(update={"chips": 2})
    meta = COMPARED.meta.model_copy(update={"hardware": packed})
    assert "(2 chips, 57 tiles" in caption(COMPARED.model_copy(update={"meta": meta}))


def test_a_single_timestep_has_nothing_to_be_saved() -> None:
    assert "saves" in caption(COMPARED)
    assert "saves" not in caption(compare_result(images=20, timesteps=1))


def test_options_keep_their_two_hyphens_in_latex() -> None:
    assert latex_text("5 ± 1 %, --issue a_b") == r"5 $\pm$ 1 \%, -{}-issue a\_b"


def test_only_comparisons_have_it() -> None:
    assert not {"table.csv", "table.tex"} & set(csv_tables(COMPARED))


@pytest.mark.usefixtures("rough_figures")
def test_the_line_of_the_paper_is_asked_for() -> None:
    usual, without, asked = (
        render(COMPARED, **how)["scaling.svg"] for how in ({}, {"paper": False}, {"paper": True})
    )
    assert b"DAC 2023" not in usual
    assert without == usual
    assert asked != usual


@pytest.mark.parametrize("dpi", [100, 300])
def test_nothing_reaches_out_of_a_figure_and_all_fit_a_column_or_a_page(dpi: int) -> None:
    """Legends and texts lie inside the paper; widths are those of a column or of a page. Letters of few dots
    are wider.
    """
    for name, drawn in figures_of(COMPARED).items():
        drawn.set_dpi(dpi)
        assert drawn.get_figwidth() in (3.5, 7.0), name
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
        paper = drawn.bbox
        legends = [*drawn.legends, *(one.get_legend() for one in drawn.axes if one.get_legend() is not None)]
        for shown in (*legends, *(text for axes in drawn.axes for text in axes.texts if text.get_text())):
            box = shown.get_window_extent(canvas.get_renderer())
            assert box.x0 >= paper.x0 - 1, (name, shown)
            assert box.x1 <= paper.x1 + 1, (name, shown)
