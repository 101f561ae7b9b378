"""The front of a sweep for papers: chosen on validation images, with intervals, as table and figures."""

from __future__ import annotations

import csv
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sweep_files import base, write_files, write_spec

import imcsim
from imcsim.commands.cli import main
from imcsim.report.fronts import write_front_files
from imcsim.report.site.choosing import COSTS, non_dominated
from imcsim.report.site.read import read
from imcsim.report.site.study import JudgedFigures, PointFigures
from imcsim.results.statistics import few_images, wilson_interval
from imcsim.sweeps import load_spec, open_store, sweep

SPEC = base(axes={"adc.bits": [3, 6], "issue": ["wait", "speculate"]})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


@pytest.fixture(scope="module")
def swept(files: Path) -> Path:
    sweep(load_spec(write_spec(files, SPEC)), files / "out", workers=1).close()
    write_front_files(files / "out")
    return files / "out"


def rows(swept: Path) -> list[dict[str, str]]:
    with (swept / "front_table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("issue", ["wait", "speculate"])
def test_validation_figures_are_those_of_a_run_on_the_validation_images(
    files: Path, swept: Path, issue: str
) -> None:
    with open_store(swept) as store:
        (point,) = (p["point"] for p in store.points() if p["axes"] == {"adc.bits": 6, "issue": issue})
        kept = [row for row in store.rows() if row["point"] == point]
    threshold = next(row["threshold"] for row in kept if row["policy"] == "dynamic")
    again = imcsim.compare(
        files / "net", overrides={"adc.bits": 6}, inputs=files / "held.npz", validation=files / "held.npz",
        issue=issue, threshold=threshold, workers=1,
    )  # fmt: skip
    for row in kept:
        run: Any = again.dynamic
        if row["policy"] == "static":
            (run,) = (p for o in again.opponents for p in o.static
                      if (p.timesteps, p.issue) == (row["timesteps"], row["issue"]))  # fmt: skip
        for name in ("accuracy", "energy_pj", "latency_ns", "edp_mean_of_products"):
            assert row[f"validation_{name}"] == pytest.approx(getattr(run, name), rel=1e-12), name


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_fronts_are_chosen_on_validation_images(files: Path, threshold: float | None, tmp_path: Path) -> None:
    """Where a threshold is given, too."""
    spec = base(axes={"adc.bits": [6]}, threshold=threshold)
    with sweep(load_spec(write_spec(files, spec, "judged.yaml")), tmp_path, workers=1) as store:
        (first,) = store.table()
    assert first["dynamic_validation_accuracy"] <= 1
    assert first["static_validation_energy_pj"] > 0
    assert read(tmp_path).judged


@pytest.mark.parametrize(
    ("more", "why"),
    [({"validation": "test.npz"}, "not all points are run"), ({"chips": 2}, "points on many chips are not")],
)
def test_fronts_of_images_that_they_show_say_why(
    files: Path, more: dict[str, Any], why: str, tmp_path: Path
) -> None:
    spec = base(axes={"adc.bits": [4, 6]}, hardware="dtsnn_32nm_nonideal") | more
    with sweep(load_spec(write_spec(files, spec, "shown.yaml")), tmp_path, workers=1) as store:
        assert not any("validation_" in name for name in next(store.table()))
    write_front_files(tmp_path)
    caption = (tmp_path / "caption.txt").read_text()
    assert "on the images that they show, which flatters them" in caption
    assert why in caption
    assert ("(2 programmed chips each)" in caption) == ("chips" in more)


def run_of(point: int, energy: float, accuracy: float, seen: tuple[float, float] | None) -> PointFigures:
    judged = None if seen is None else JudgedFigures(seen[1], seen[0], 1.0, seen[0], 1.0)
    return PointFigures(
        point, "dynamic", 3, accuracy, accuracy, accuracy, energy, 1.0, energy, 1.0, 2.0, judged=judged
    )


def test_validation_images_decide_where_all_points_have_been_run_on_them() -> None:
    """Point 1 is best on the reported images by chance; on the validation images point 0 beats it."""
    judged = [run_of(0, 5, 0.8, (5, 0.9)), run_of(1, 4, 0.9, (5, 0.7)), run_of(2, 3, 0.6, (3, 0.6))]
    assert [one.point for one in non_dominated(judged, COSTS["energy"])] == [2, 0]
    half = [*judged[:2], run_of(2, 3, 0.6, None)]
    assert [one.point for one in non_dominated(half, COSTS["energy"])] == [2, 1]


def test_the_front_has_intervals_and_the_figures_of_the_store(swept: Path) -> None:
    with open_store(swept) as store:
        kept = {(r["point"], r["policy"], r["timesteps"]): r for r in store.rows()}
        images = next(iter(store.points()))["images"]
    found = rows(swept)
    assert {row["run"].split()[0] for row in found} == {"static", "dynamic"}
    for row in found:
        timesteps = 3 if row["run"] == "dynamic" else int(row["run"].split("=")[1])
        mine = kept[int(row["point"]), row["run"].split()[0], timesteps]
        for name in ("accuracy", "energy_pj", "latency_ns", "edp_mean_of_products", "edp_product_of_means"):
            assert float(row[name]) == pytest.approx(mine[name], rel=1e-12)
        low, high = wilson_interval(round(mine["accuracy"] * images), images)
        assert (float(row["accuracy_low"]), float(row["accuracy_high"])) == (low, high)
    columns = {"edp": "validation_edp_mean_of_products", "energy": "validation_energy_pj"}
    for kind in ("static", "dynamic"):  # none beats another on the images that chose them
        for cost, column in columns.items():
            mine = [
                (float(row[column]), float(row["validation_accuracy"]))
                for row in found
                if row["run"].startswith(kind) and cost in row["on_front"].split()
            ]
            assert mine
            assert not any(a[0] <= b[0] and a[1] >= b[1] and a != b for a in mine for b in mine)


def test_latex_is_sound(swept: Path) -> None:
    text = (swept / "table.tex").read_text()
    declared = re.search(r"\\begin\{tabular\}\{(.*)\}\n", text)
    assert declared is not None
    count = len(
        re.sub(r"S\[.*?\]|@\{.*?\}", lambda f: "S" if f[0][0] == "S" else "", declared[1]).replace(" ", "")
    )
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    tabled = [row for row in rows(swept) if "edp" in row["on_front"].split()]
    assert len(lines) == 2 + len(tabled)
    assert all(len(re.findall(r"(?<!\\)&", line)) == count - 1 for line in lines)
    assert text.count("{") == text.count("}")
    caption = (swept / "caption.txt").read_text()
    assert "chosen on validation images" in caption
    assert "40 images" in caption
    assert "adc.bits (2 values from 3 to 6), issue (2 values)" in caption


def test_a_static_run_stands_once_whatever_early_exit_does(files: Path, tmp_path: Path) -> None:
    axes = {"adc.bits": [3, 6], "threshold": [None, 0.1, 0.9], "issue": ["wait", "speculate"]}
    sweep(load_spec(write_spec(files, base(axes=axes), "once.yaml")), tmp_path, workers=1).close()
    write_front_files(tmp_path)
    found = [row for row in rows(tmp_path) if row["run"].startswith("static")]
    runs = [(row["adc.bits"], row["run"]) for row in found]
    assert len(set(runs)) == len(runs) > 0
    assert all((row["threshold"], row["issue"]) == ("", "") for row in found)
    study = read(tmp_path)
    assert [having for _, having in study.static_runs] == [
        [p for p in study.points if p.values["adc.bits"] == bits] for bits in (3, 6) for _ in range(3)
    ]
    text = (tmp_path / "table.tex").read_text()
    static = [line.split(" & ") for line in text.splitlines() if "& static" in line]
    assert all(cells[2:4] == ["any", "any"] for cells in static)
    for cells, row in zip(static, found, strict=True):
        timesteps = row["run"].split("=")[1]
        issued = f", {row['run_issue']}" if int(timesteps) > 1 else ""
        assert cells[4] == f"static T={timesteps}{issued}"
    # A threshold that was chosen stands there as a number.
    dynamic = {row["point"]: row for row in rows(tmp_path) if row["run"] == "dynamic"}
    for line in text.splitlines():
        if "& dynamic" in line:
            point, _, threshold, *_ = line.strip().split(" & ")
            assert threshold == f"{float(dynamic[point]['run_threshold']):.4g}"
    caption = (tmp_path / "caption.txt").read_text()
    whole = {p.index: p.static[-1].edp_pj_ns for p in study.points}
    saved = [1 - float(row["edp_mean_of_products"]) / whole[int(row["point"])] for row in dynamic.values()]
    ends = {f"{100 * min(saved):.1f}", f"{100 * max(saved):.1f}"}
    assert f"the dynamic runs shown save {' to '.join(sorted(ends, key=float))} %" in caption
    assert "issued by wait or pipeline, whichever has the least EDP" in caption


def test_the_caption_says_what_all_points_have_in_common(files: Path, tmp_path: Path) -> None:
    spec = base(
        axes={"cells.rows": [64, 128]}, set={"adc.bits": 5}, timesteps=2, issue="speculate", thresholds="each"
    )
    sweep(load_spec(write_spec(files, spec, "common.yaml")), tmp_path, workers=1).close()
    write_front_files(tmp_path)
    caption = (tmp_path / "caption.txt").read_text()
    assert "on dtsnn_32nm with adc.bits = 5, means over" in caption
    assert "T max 2, thresholds each, issue speculate." in caption
    assert {(row["run"], row["issue"]) for row in rows(tmp_path)} >= {("dynamic", "speculate")}


def test_the_caption_says_which_figures_do_not_hold(files: Path, tmp_path: Path) -> None:
    spec = base(axes={"technology.node_nm": [32.0, 22.0], "adc.bits": [5, 6]})
    sweep(load_spec(write_spec(files, spec, "not.yaml")), tmp_path, workers=1).close()
    write_front_files(tmp_path)
    caption = (tmp_path / "caption.txt").read_text()
    assert caption.count(" (2 of 4 points).") == 3
    assert re.search(r"Further \d+ warnings: see table\.csv\.", caption)


def test_no_static_run_has_a_threshold(files: Path, tmp_path: Path) -> None:
    """Not where it is that of one point alone, either."""
    zipped = [{"adc.bits": [3, 6], "threshold": [0.1, 0.9]}]
    sweep(load_spec(write_spec(files, base(zip=zipped), "none.yaml")), tmp_path, workers=1).close()
    write_front_files(tmp_path)
    found = {(row["run"][:6], row["threshold"] != "", row["adc.bits"] != "") for row in rows(tmp_path)}
    assert found == {("static", False, True), ("dynami", True, True)}


def test_static_runs_that_differ_stay_apart(files: Path, tmp_path: Path) -> None:
    """What early exit does not decide: T, and on many chips the issue policy, which all runs have."""
    axes = {"timesteps": [2, 3], "issue": ["wait", "speculate"]}
    noisy = base(axes=axes, chips=2, hardware="dtsnn_32nm_nonideal")
    sweep(load_spec(write_spec(files, noisy, "apart.yaml")), tmp_path, workers=1).close()
    study = read(tmp_path)
    alone = 2  # of each T max the run of T = 1, which nothing waits for
    assert len(study.outcomes("static")) == sum(len(p.static) for p in study.points) - alone
    write_front_files(tmp_path)
    caption = (tmp_path / "caption.txt").read_text()
    assert "pipelined where these run ahead; the opponent of a dynamic run is static T max" in caption
    assert "issued by" not in caption


def test_figures_are_as_wide_as_a_column_with_their_fonts_inside(swept: Path) -> None:
    for name in ("pareto_edp", "pareto_energy"):
        content = (swept / "figures" / f"{name}.pdf").read_bytes()
        assert b"/FontFile2" in content
        assert b"/Type3" not in content
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ", content)
        assert box is not None
        assert float(box[1]) == pytest.approx(3.5 * 72)
        assert (swept / "figures" / f"{name}.svg").exists()
        assert (swept / "figures" / f"{name}.png").exists()


def test_the_queries_of_the_page_answer(swept: Path) -> None:
    """The three questions in docs/sweeps.md, asked as they stand there."""
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert len(queries) == 4
    with closing(sqlite3.connect(swept / "sweep.sqlite")) as store:
        store.row_factory = sqlite3.Row
        _, cheapest, saved, parts = (store.execute(query).fetchall() for query in queries)
    with open_store(swept) as held:
        table = list(held.table())
        kept = {row["point"]: row for row in held.rows("dynamic")}
    best = max(row["dynamic_accuracy"] for row in table)
    near = [row for row in table if row["dynamic_accuracy"] >= best - 0.01]
    assert cheapest[0]["edp_pj_ns"] == min(row["dynamic_edp_mean_of_products"] for row in near)
    assert [row["adc_bits"] for row in saved] == [3, 6]
    mine = [1 - row["dynamic_edp_mean_of_products"] / row["static_edp_mean_of_products"]
            for row in table if row["adc.bits"] == 3]  # fmt: skip
    assert saved[0]["edp_saved"] == pytest.approx(sum(mine) / len(mine))
    assert {row["point"] for row in parts} == set(kept)
    for row in parts:
        assert row["energy_pj"] == kept[row["point"]]["components"][row["component"]]
        assert 0.05 < row["share"] <= 1


@pytest.mark.usefixtures("rough_figures")
def test_few_images_are_said(
    files: Path, swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert few_images(1000) is None
    said = few_images(100)
    assert said is not None
    assert "on one chip its 95 % interval reaches up to 9.8 points to one side" in said
    again = shutil.copytree(swept, tmp_path / "out")  # whose figures are drawn anew
    assert main(["sweep", str(files / "spec.yaml"), "--out", str(again), "--workers", "1"]) == 0
    told = capsys.readouterr()
    assert "accuracy on 40 images is uncertain" in " ".join(told.err.split())
    lines = [line for line in (told.out + told.err).splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 80
