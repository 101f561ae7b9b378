"""Tables, figures and files made from results."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from sample_results import compare_result, run_result, stream_result

from imcsim.base.errors import ImcsimError
from imcsim.report import documents, files, units
from imcsim.report.figures import comparison as figures
from imcsim.report.figures import stream as stream_figures
from imcsim.report.paper import caption
from imcsim.report.terminal import grid, stream, tables
from imcsim.results.model import to_json
from imcsim.results.run import RunResult
from imcsim.results.statistics import few_images, few_images_sentence
from imcsim.results.stream import StreamResult

COMPARED = compare_result(images=200)
RAN = run_result(images=200)
STATIC = run_result(kind="static", images=200)
STREAMED = stream_result()


def _text(report: Any, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, markup=False, highlight=False).print(report)
    return stream.getvalue()


# Units


@given(st.floats(1e-5, 1e14))
def test_numbers_keep_four_digits(value: float) -> None:
    text = units.number(value)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5.1e-4)


@given(st.lists(st.floats(1e-3, 1e15), min_size=1))
def test_one_unit_fits_all(values: list[float]) -> None:
    unit = units.fitting(units.ENERGY, values)
    scaled = max(values) / unit.per_base
    assert scaled < 1000 or unit is units.ENERGY[-1]
    assert scaled >= 1 or unit is units.ENERGY[0]


def test_product_of_units() -> None:
    edp = units.product(units.ENERGY[2], units.TIME[1])
    assert edp.name == "uJ us"
    assert edp(2e6 * 3e3) == "6.000"


def test_small_percentages_do_not_vanish() -> None:
    assert units.percent(0.5) == "50.0"
    assert units.percent(2e-5, 2) == "0.0020"
    assert units.percent(0.0) == "0.0"
    assert units.change(0.6) == "-60.0 %"
    assert units.change(-0.031) == "+3.1 %"
    assert {units.change(one) for one in (0.0, 1e-9, -1e-9)} == {"0.0 %"}
    assert units.change(0.1) == "-10.0 %"


# Tables


@pytest.mark.parametrize(
    "report",
    [
        tables.compare_report(COMPARED),
        tables.compare_report(compare_result(images=50, timesteps=16)),
        tables.compare_report(compare_result(images=50, timesteps=1)),
        tables.run_report(RAN),
        tables.run_report(STATIC),
        stream.stream_report(STREAMED),
        stream.stream_report(stream_result(kind="static", timesteps=16)),
    ],
)
def test_reports_fit_80_columns_without_cutting(report: Any) -> None:
    text = _text(report, 80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    # Nothing is folded: a wider console shows the same words line by line.
    wide = _text(report, 160)
    title = "Energy by component" if "Energy by component" in text else "Utilisation of the tiles"
    assert text[text.index(title) :].split()[:40] == wide[wide.index(title) :].split()[:40]


def test_the_table_of_layers_fits_80_columns() -> None:
    """In one piece, with numbers as wide as those of the default network."""
    wide = {"rows": 2048, "columns": 2048, "kind": "linear", "crossbars": 1024, "copies": 32, "tiles": 128}
    layers = [layer.model_copy(update=wide) for layer in COMPARED.layers]
    text = _text(tables.layers_table(layers, "dynamic"), 80)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert text.count(layers[0].name) == 1


def test_a_table_too_wide_goes_on_in_another_beside_its_labels_again() -> None:
    columns = ["name", *(f"{'figure':>9} {k}" for k in range(12))]
    rows = [[name, *(f"{k}.{at:08}" for k in range(12))] for at, name in enumerate(("first", "second"))]
    text = _text(grid.table("Many figures", columns, rows), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("Many figures") == 1
    assert text.count("first") == text.count("second") == 3
    found = re.findall(r"\d+\.\d{8}", text)
    assert sorted(found) == sorted(cell for row in rows for cell in row[1:])  # all there, none of them folded
    for line in text.splitlines():
        cells = re.findall(r"\d+\.(\d{8})", line)
        assert not cells or set(cells) == {"00000000" if "first" in line else "00000001"}


def test_a_listing_puts_long_remarks_below() -> None:
    rows = [["adc.bits", "8 bit", "short"], ["cells.rows", "64", "so long a remark " * 8]]
    lines = _text(grid.Listing("Chip", rows), 80).splitlines()
    assert lines[2].split() == ["adc.bits", "8", "bit", "short"]
    assert lines[3].split() == ["cells.rows", "64"]
    assert lines[4].startswith("    so long a remark")
    assert max(map(len, lines)) <= 80


def _row(text: str, label: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.strip().startswith(label))
    return re.findall(r"[-+]?[\d.,]+", line.strip().removeprefix(label))


def test_comparison_shows_static_and_dynamic_in_one_unit() -> None:
    text = _text(tables.compare_report(COMPARED))
    every = [point for one in COMPARED.opponents for point in one.static]
    assert {(point.timesteps, point.issue) for point in every} >= {(4, "wait"), (4, "pipeline")}
    for point in every:
        row = _row(text, tables.static_name(point))
        assert float(row[1]) == pytest.approx(100 * point.accuracy)
        assert float(row[4]) == pytest.approx(point.energy_pj / 1e6, rel=1e-3)
        assert float(row[5]) == pytest.approx(point.latency_ns / 1e3, rel=1e-3)
        assert float(row[6]) == pytest.approx(point.edp_mean_of_products / 1e9, rel=1e-3)
    row = _row(text, "dynamic, wait")
    assert float(row[0]) == pytest.approx(COMPARED.dynamic.mean_timesteps)
    assert float(row[6]) == pytest.approx(COMPARED.dynamic.edp_mean_of_products / 1e9, rel=1e-3)
    assert float(row[7]) == pytest.approx(COMPARED.dynamic.edp_product_of_means / 1e9, rel=1e-3)
    for less in COMPARED.reductions:
        assert [float(cell) for cell in _row(text, f"vs T=4, {less.issue}")[2:]] == [
            round(-100 * r, 1)
            for r in (less.energy, less.latency, less.edp_mean_of_products, less.edp_product_of_means)
        ]
    assert f"{COMPARED.static[-1].issue} has the least EDP" in text


def test_other_converters_are_in_the_unit_of_the_other_tables() -> None:
    """One that takes a thousand times as much too."""
    used = COMPARED.sensitivity[0]
    dear = used.model_copy(update={"name": "dear", "used": False, "static_energy_pj": 5e9})
    text = _text(tables.compare_report(COMPARED.model_copy(update={"sensitivity": (used, dear)})))
    assert "5,000" in text.partition("other published ADCs")[2]
    assert " mJ" not in text


def test_report_says_where_the_threshold_comes_from() -> None:
    chosen = _text(tables.compare_report(COMPARED))
    assert "threshold 0.25, chosen on 1,000 validation images" in chosen
    given_one = _text(tables.compare_report(compare_result(images=50, given=True)))
    assert "given by the user" in given_one
    assert "validation images" not in given_one
    assert "Exit rule margin on the sum of the outputs" in _text(tables.run_report(RAN))
    assert "Exit rule" not in _text(tables.run_report(STATIC))


def test_report_shows_components_layers_exits_checker_and_warnings() -> None:
    text = _text(tables.compare_report(COMPARED))
    for component in COMPARED.components:
        assert component.name in text
    for layer in COMPARED.layers:
        assert _row(text, layer.name)
    for t, share in enumerate(COMPARED.dynamic.exit_fraction, 1):
        assert re.search(rf"^\s*{t}\s+{100 * share:.1f}\s", text, re.MULTILINE)
    assert f"{units.percent(COMPARED.checker.energy_share_of_one_timestep, 2)} % of one timestep" in text
    assert f"warning: {COMPARED.warnings[0]}" in text
    assert "Exit checker:" not in _text(tables.run_report(STATIC))


@pytest.mark.parametrize("images", [200, 1000])
def test_reports_and_captions_say_that_few_images_are_uncertain(images: int) -> None:
    few = few_images(images)
    assert (few is None) == (images == 1000)
    compared = compare_result(images=images)
    reports = (
        tables.compare_report(compared),
        tables.run_report(run_result(images=images)),
        stream.stream_report(stream_result(images=images)),
    )
    for report in reports:
        said = " ".join(_text(report).split())
        assert ("is uncertain" in said) == (images == 200)
        assert few is None or f"warning: {few}" in said
        assert max(map(len, _text(report, 80).splitlines())) <= 80
    assert ("is uncertain" in caption(compared)) == (images == 200)
    assert few_images_sentence(images) in caption(compared)


def test_a_stream_shows_throughput_latency_and_where_the_energy_went() -> None:
    text = _text(stream.stream_report(STREAMED))
    assert "Images come at random (Poisson)" in text
    assert "A stream of images: dynamic, speculate" in text
    assert float(_row(text, "throughput")[0].replace(",", "")) == pytest.approx(
        STREAMED.throughput_images_per_s, rel=1e-3
    )
    interval_ns = STREAMED.makespan_ns / STREAMED.meta.images
    assert float(_row(text, "time between")[0]) == pytest.approx(interval_ns / 1e3, rel=1e-3)
    for name in ("p50", "p95", "p99"):
        expected = getattr(STREAMED, f"latency_{name}_ns") / 1e3
        assert float(_row(text, f"latency, {name}")[0]) == pytest.approx(expected, rel=1e-3)
    energy = float(_row(text, "energy ")[0])
    assert energy == pytest.approx(STREAMED.energy_pj / 1e6, rel=1e-3)
    parts = [_row(text, name) for name in ("work that counted", "cancelled work", "leakage")]
    assert sum(float(part[0]) for part in parts) == pytest.approx(energy, rel=1e-3)
    assert sum(float(part[-1]) for part in parts) == pytest.approx(100, abs=0.2)
    edp = _row(text, "EDP of interval (time between departures)")[0]
    assert float(edp) == pytest.approx(STREAMED.edp_of_interval / 1e9, rel=1e-3)
    assert "Exit rule margin" in text
    closed = _text(stream.stream_report(stream_result(kind="static")))
    assert "closed loop" in closed
    assert "Exit rule" not in closed


def test_neighbouring_tiles_of_the_same_layers_are_one_line() -> None:
    runs = [(numbers, len(run)) for numbers, run in stream.runs_of_tiles(STREAMED.tiles)]
    assert runs == [("0", 1), ("1-2", 2), ("3", 1), ("4-56", 53)]
    text = _text(stream.stream_report(STREAMED))
    row = re.search(r"^\s*1-2\s+conv2\s+([\d.]+)\s+([\d.]+)", text, re.MULTILINE)
    assert row is not None
    assert [float(cell) for cell in row.groups()] == pytest.approx([37.5, 45.0])


def test_cancelled_work_is_shown_where_there_is_some() -> None:
    assert "cancel" not in _text(tables.compare_report(COMPARED))
    assert "cancelled" not in _text(tables.run_report(RAN))
    wasted = {"cancelled_energy_pj": 0.125 * RAN.outcome.energy_pj}
    ran = RAN.model_copy(update={"outcome": RAN.outcome.model_copy(update=wasted)})
    row = _row(_text(tables.run_report(ran)), "of which cancelled work")
    assert float(row[0]) == pytest.approx(0.125 * RAN.outcome.energy_pj / 1e6, rel=1e-3)
    wasted = {"cancelled_energy_pj": 0.125 * COMPARED.dynamic.energy_pj}
    compared = COMPARED.model_copy(update={"dynamic": COMPARED.dynamic.model_copy(update=wasted)})
    text = _text(tables.compare_report(compared))
    assert "(12.5 %) went into work that an exit cancelled" in " ".join(text.split())


def test_names_are_neither_markup_nor_terminal_codes() -> None:
    layers = (COMPARED.layers[0].model_copy(update={"name": "[red]a[/]\x1b[31m"}), *COMPARED.layers[1:])
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system="truecolor")
    console.print(tables.compare_report(COMPARED.model_copy(update={"layers": layers})))
    plain = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())
    assert "[red]a[/]?[31m" in plain


def test_a_file_gets_80_columns_and_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    console = tables.console(stream)
    console.print(tables.compare_report(COMPARED))
    assert console.width == 80
    assert "\x1b" not in stream.getvalue()


# Figures


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    """In all formats, where pyplot cannot be imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.pyplot", None)
        return figures.render(COMPARED)


def test_figures_are_there_in_all_formats(drawn: dict[str, bytes]) -> None:
    names = ("accuracy_edp", "energy_breakdown", "exits", "layer_heat", "layer_time", "scaling")
    assert sorted(drawn) == sorted(f"{name}.{kind}" for name in names for kind in ("pdf", "png", "svg"))
    for name, data in drawn.items():
        if name.endswith(".png"):
            assert data.startswith(b"\x89PNG")
        elif name.endswith(".pdf"):
            assert data.startswith(b"%PDF")
        else:
            ET.fromstring(data)
            assert b"<dc:date>" not in data


@pytest.mark.usefixtures("rough_figures")
def test_a_run_has_its_own_figures() -> None:
    names = ("energy_breakdown", "exits", "layer_heat", "layer_time")
    assert sorted(figures.render(RAN)) == [
        f"{name}.{kind}" for name in names for kind in ("pdf", "png", "svg")
    ]


def test_fonts_are_in_the_pdf(drawn: dict[str, bytes]) -> None:
    """A journal refuses fonts that a file only names; type 3 ones too."""
    for name, content in drawn.items():
        if name.endswith(".pdf"):
            assert content.startswith(b"%PDF")
            assert b"/FontFile2" in content, name
            assert b"/Type3" not in content, name


def test_files_are_a_column_or_a_page_wide(drawn: dict[str, bytes]) -> None:
    """To the pixel and the point, in every format: nothing is cut to what is drawn."""
    widths = dict[str, set[float]]()
    for name, content in drawn.items():
        if name.endswith(".png"):
            width = Image.open(io.BytesIO(content)).width / 300
        else:
            box = re.search(rb'MediaBox \[ 0 0 ([\d.]+) |viewBox="0 0 ([\d.]+) ', content)
            assert box is not None
            width = float(box[1] or box[2]) / 72
        widths.setdefault(name.partition(".")[0], set()).add(width)
    assert {name: width for name, width in widths.items() if width not in ({3.5}, {7.0})} == {}


@pytest.mark.slow
def test_all_formats_of_a_stream_are_the_same_bytes_each_time() -> None:
    assert stream_figures.render_stream(STREAMED) == stream_figures.render_stream(STREAMED)


@pytest.mark.usefixtures("rough_figures")
def test_figures_of_a_stream() -> None:
    drawn = stream_figures.render_stream(STREAMED)
    names = ("latency", "layer_heat", "layer_time", "utilisation")
    assert sorted(drawn) == [f"{name}.{kind}" for name in names for kind in ("pdf", "png", "svg")]
    assert stream_figures.render_stream(STREAMED) == drawn
    bars = [bar for group in stream_figures.utilisation(STREAMED).axes[0].containers for bar in group]
    assert [bar.get_height() for bar in bars] == pytest.approx([100 * t.utilisation for t in STREAMED.tiles])
    step = stream_figures.latency_distribution(STREAMED).axes[0].lines[0]
    assert np.asarray(step.get_xdata())[50] == pytest.approx(STREAMED.latency_p50_ns / 1e3)
    many = tuple(t.model_copy(update={"layers": (f"conv${t.tile}_",)}) for t in STREAMED.tiles)
    assert len(stream_figures.render_stream(STREAMED.model_copy(update={"tiles": many}))) == 12


def test_figure_bytes_depend_on_the_result_alone(drawn: dict[str, bytes]) -> None:
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "svg.hashsalt": None}):
        again = figures.render(COMPARED)
        assert matplotlib.rcParams["font.size"] == 20
    assert again == drawn


def test_figures_never_touch_pyplot(drawn: dict[str, bytes]) -> None:
    """Neither when they are drawn, see `drawn`, nor when their module is imported."""
    code = "import sys, imcsim.report.figures.comparison; sys.exit('matplotlib.pyplot' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def _labels(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_breakdown_stacks_to_the_totals_and_folds_the_rest() -> None:
    bars = {"static": [c.static_energy_pj or 0.0 for c in COMPARED.components]}
    bars["dynamic"] = [c.energy_pj for c in COMPARED.components]
    figure = figures.energy_breakdown(COMPARED.components, bars)
    axes = figure.axes[0]
    for index, total in enumerate((COMPARED.static[-1].energy_pj, COMPARED.dynamic.energy_pj)):
        assert sum(group[index].get_height() for group in axes.containers) == pytest.approx(total / 1e6)
    assert _labels(figure)[0] == "4 others"
    few = COMPARED.components[:8]
    assert sorted(_labels(figures.energy_breakdown(few, {"x": [c.energy_pj for c in few]}))) == sorted(
        c.name for c in few
    )


def test_accuracy_figure_marks_what_the_result_says() -> None:
    axes = figures.accuracy_edp(COMPARED).axes[0]
    star = next(line for line in axes.lines if line.get_marker() == "*")
    assert np.asarray(star.get_xdata()).tolist() == pytest.approx(
        [COMPARED.dynamic.edp_mean_of_products / 1e9]
    )
    assert np.asarray(star.get_ydata()).tolist() == pytest.approx([100 * COMPARED.dynamic.accuracy])
    assert sorted(text.get_text() for text in axes.texts) == ["T=1", "T=2", "T=3", "T=4"]
    assert axes.get_xscale() == "linear"
    wide = figures.accuracy_edp(compare_result(images=50, timesteps=16)).axes[0]
    assert wide.get_xscale() == "log"
    for timesteps in (2, 3, 5, 6, 8):  # the name of T = 1 lies right of the axis
        axes = figures.accuracy_edp(compare_result(timesteps=timesteps)).axes[0]
        first = next(text for text in axes.texts if text.get_text() == "T=1")
        axes.figure.draw_without_rendering()
        assert first.get_window_extent().x0 > axes.bbox.x0


def test_scaling_figure_holds_the_line_of_dt_snn() -> None:
    lines = figures.scaling(COMPARED.scaling, paper=True).axes[0].lines
    dashed = next(line for line in lines if line.get_linestyle() == "--")
    x, y = np.asarray(dashed.get_xdata()).tolist(), np.asarray(dashed.get_ydata())
    assert y[0] == pytest.approx(1.0)
    assert y[x.index(8)] == pytest.approx(4.9, abs=0.005)
    mine = figures.scaling(COMPARED.scaling).axes[0].lines  # nobody asked for it
    assert not [line for line in mine if line.get_linestyle() == "--"]


@pytest.mark.parametrize("how", ["roughly", pytest.param("in all formats", marks=pytest.mark.slow)])
@pytest.mark.parametrize("timesteps", [1, 16])
def test_extreme_results_can_be_drawn(timesteps: int, how: str, request: pytest.FixtureRequest) -> None:
    if how == "roughly":
        request.getfixturevalue("rough_figures")
    result = compare_result(images=3, timesteps=timesteps, threshold=0.0)
    components = [c.model_copy(update={"name": "$x_{"}) for c in result.components]
    result = result.model_copy(update={"curve": (), "scaling": (), "components": tuple(components)})
    drawn = figures.render(result)
    assert "scaling.png" not in drawn
    assert len(drawn) == 15


# Files


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".imcsim")]


@pytest.mark.usefixtures("rough_figures")
def test_folder_holds_everything(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    written = documents.write_folder(COMPARED, folder)
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    assert (folder / "result.json").read_text() == to_json(COMPARED)
    static = _rows(folder / "static.csv")
    assert [float(row["energy_pj"]) for row in static] == [point.energy_pj for point in COMPARED.static]
    (dynamic,) = _rows(folder / "dynamic.csv")
    assert dynamic["threshold_source"] == "validation"
    assert dynamic["validation_images"] == "1000"
    assert [float(dynamic[f"exit_fraction_t{t}"]) for t in (1, 2, 3, 4)] == list(
        COMPARED.dynamic.exit_fraction
    )
    actions = _rows(folder / "actions.csv")
    assert sum(float(row["energy_pj"]) for row in actions) == pytest.approx(COMPARED.dynamic.energy_pj)
    assert [row["spike_rate"] for row in _rows(folder / "layers.csv")][-1] == ""
    assert len(_rows(folder / "curve.csv")) == len(COMPARED.curve)
    assert len(_rows(folder / "scaling.csv")) == len(COMPARED.scaling)
    assert "actions" not in _rows(folder / "components.csv")[0]
    static, dynamic = _rows(folder / "efficiency.csv")
    assert (static["policy"], dynamic["policy"]) == ("static", "dynamic")
    assert float(dynamic["native_tops_per_w"]) == COMPARED.efficiency.native.tops_per_w
    (peak,) = _rows(folder / "peak.csv")
    assert float(peak["eight_bit_tops"]) == COMPARED.peak.eight_bit.tops
    parts = _rows(folder / "layer_components.csv")
    assert sum(float(row["energy_pj"]) for row in parts) == pytest.approx(COMPARED.dynamic.energy_pj)
    conv, fc, static = _rows(folder / "layer_efficiency.csv")
    assert [row["name"] for row in (conv, fc, static)] == ["conv1", "fc", "static"]
    assert (conv["bound_by"], fc["bound_by"], static["bound_by"]) == ("adc", "crossbar", "")
    assert float(conv["busy_adc_ns"]) == pytest.approx(0.8 * float(conv["latency_ns"]))
    assert (fc["busy_adc_ns"], static["latency_ns"], float(fc["utilisation"])) == ("", "", pytest.approx(0.8))


@pytest.mark.usefixtures("rough_figures")
def test_folder_of_a_run(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    documents.write_folder(STATIC, tmp_path, progress=lambda *about: told.append(about))
    figures = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert told == [("figures", done, len(figures)) for done in range(1, len(figures) + 1)]
    (outcome,) = _rows(tmp_path / "outcome.csv")
    assert outcome["kind"] == "static"
    assert outcome["threshold"] == ""
    assert float(outcome["energy_pj"]) == STATIC.outcome.energy_pj
    assert RunResult.model_validate_json((tmp_path / "result.json").read_text()) == STATIC


@pytest.mark.usefixtures("rough_figures")
def test_folder_of_a_stream(tmp_path: Path) -> None:
    documents.write_folder(STREAMED, tmp_path)
    assert StreamResult.model_validate_json((tmp_path / "result.json").read_text()) == STREAMED
    (row,) = _rows(tmp_path / "stream.csv")
    assert (row["kind"], row["arrivals"], row["rule"]) == ("dynamic", "poisson", "margin")
    assert float(row["images_per_s"]) == STREAMED.arrivals.images_per_s
    for name in ("throughput_images_per_s", "energy_pj", "cancelled_energy_pj", "edp_of_interval"):
        assert float(row[name]) == getattr(STREAMED, name)
    assert "tiles_t1" not in row
    tiles = _rows(tmp_path / "tiles.csv")
    assert [int(tile["tile"]) for tile in tiles] == list(range(57))
    assert tiles[3]["layers"] == "conv3 fc"
    latency = _rows(tmp_path / "latency.csv")
    assert float(latency[99]["latency_ns"]) == STREAMED.latency_p99_ns
    names = ["latency", "layer_heat", "layer_time", "utilisation"]
    assert sorted(path.stem for path in (tmp_path / "figures").glob("*.svg")) == names
    (efficiency,) = _rows(tmp_path / "efficiency.csv")
    assert float(efficiency["inferences_per_s"]) == pytest.approx(STREAMED.throughput_images_per_s)
    assert [row["name"] for row in _rows(tmp_path / "layers.csv")] == [la.name for la in STREAMED.layers]


def test_other_files_in_the_folder_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "render", lambda result, *, paper, progress: {})
    (tmp_path / "notes.txt").write_text("mine")
    documents.write_folder(RAN, tmp_path)
    documents.write_folder(RAN, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert _leftovers(tmp_path) == []


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_no_half_written_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, call: str
) -> None:
    monkeypatch.setattr(
        figures, "render", lambda result, *, paper, progress: {"exits.png": result.policy.kind.encode()}
    )
    documents.write_folder(RAN, tmp_path / "new")
    documents.write_folder(STATIC, tmp_path / "old")
    old, new = ({p.name: p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in ("old", "new"))
    calls = 0
    owner: Any = os if call == "fsync" else Path
    real = getattr(owner, call)

    def fail_third(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise failure
        return real(*arguments)

    monkeypatch.setattr(owner, call, fail_third)
    expected: type[BaseException] = ImcsimError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        documents.write_folder(RAN, tmp_path / "old")
    assert calls == 3
    if isinstance(failure, OSError):
        assert re.search(
            rf"{re.escape(str(tmp_path))}.*\.(csv|json): cannot be written: No space", str(caught.value)
        )
    assert _leftovers(tmp_path) == []
    after = {p.name: p.read_bytes() for p in (tmp_path / "old").rglob("*.*")}
    # Nothing takes its place before all is written; what has taken it is whole.
    replaced = 0 if call == "fsync" else 2
    assert sum(after[name] != old[name] for name in old) == replaced
    assert all(after[name] in (old[name], new[name]) for name in old)


def test_json_follows_a_link_and_keeps_the_usual_permissions(tmp_path: Path) -> None:
    target, link = tmp_path / "real.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    old = os.umask(0o022)
    try:
        documents.write_result(RAN, link)
    finally:
        os.umask(old)
    assert link.is_symlink()
    assert target.read_text() == to_json(RAN)
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_are_written_to_not_replaced() -> None:
    documents.write_result(RAN, "/dev/null")
    assert not Path("/dev/null").is_file()
    with pytest.raises(ImcsimError, match=r"^/dev/full: cannot be written: No space left"):
        documents.write_result(RAN, "/dev/full")


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    files.check_writable(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        documents.write_result(STATIC, pipe)
        assert read.result() == to_json(STATIC).encode()
    read_end, write_end = os.pipe()
    with ThreadPoolExecutor() as pool, os.fdopen(read_end, "rb") as stream:
        also_read = pool.submit(stream.read)
        documents.write_result(STATIC, f"/dev/fd/{write_end}")
        os.close(write_end)
        assert also_read.result() == to_json(STATIC).encode()


@pytest.mark.usefixtures("rough_figures")
def test_impossible_targets_are_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ImcsimError, match=r"file: is a file, not a folder"):
        files.check_writable(file, folder=True)
    with pytest.raises(ImcsimError, match=r"file: is a file, not a folder"):
        documents.write_folder(RAN, file / "deeper")
    with pytest.raises(ImcsimError, match="is a folder, not a file"):
        files.check_writable(tmp_path)
    with pytest.raises(ImcsimError, match="its folder does not exist"):
        files.check_writable(tmp_path / "missing" / "result.json")
    with pytest.raises(ImcsimError, match="empty"):
        files.check_writable("")
    with pytest.raises(ImcsimError, match="cannot be written"):
        files.check_writable(tmp_path / "a\0b" / "c.json")
    with pytest.raises(ImcsimError, match="File name too long"):
        files.check_writable(tmp_path / ("x" * 300), folder=True)
    assert file.read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody may write to")
def test_a_folder_nobody_may_write_to_is_refused_at_once() -> None:
    for folder in (False, True):
        with pytest.raises(ImcsimError, match=r"^/proc/.*: cannot be written"):
            files.check_writable("/proc/result", folder=folder)


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "new" / "folder", folder=True)
    files.check_writable(tmp_path / "result.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("rough_figures")
def test_folders_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = (documents.write_folder(RAN, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
