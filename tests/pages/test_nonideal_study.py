"""The study of chips with errors: what it runs, what it keeps, and that its page says what its file says."""

from __future__ import annotations

import csv
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.studies.chips import compare_chips
from imcsim.studies.settings import CompareOptions

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
MODULES = ("nonideal_study", "nonideal_figures", "common")


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    others = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("nonideal_study")
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(others)


@pytest.fixture
def figures(study: Any) -> Any:
    return sys.modules["nonideal_figures"]


def some_row(study: Any, point: Any, policy: str, timesteps: int = 4, **cells: Any) -> dict[str, str]:
    about = {"figure": point.figure, "series": point.series, "x": point.x, "policy": policy}
    numbers = {"timesteps": timesteps, "chips": 3, "images": 200, "validation_images": 300}
    filled = {f"{name}_{end}": 1.0 for name in study.FIGURES for end in study.SUMMARY}
    moved = dict.fromkeys(study.MOVED, 0)
    row: dict[str, str] = study.written({**about, **numbers, **filled, **moved, **cells})
    return row


def some_rows(study: Any, point: Any, **cells: Any) -> list[dict[str, str]]:
    """All rows of one point."""
    rows = [some_row(study, point, "static", t, **cells) for t in (1, 2, 3, 4)]
    return rows + [some_row(study, point, policy, **cells) for policy in ("dynamic", "dynamic_once")]


# --- what is run


def test_every_point_is_a_chip_that_there_can_be(study: Any) -> None:
    for name, plan in study.STUDIES.items():
        points = plan(study.FINE_TUNED)
        assert len({point.place for point in points}) == len(points)
        for point in points:
            assert point.figure == name
            errors = imcsim.hardware.load(point.hardware, dict(point.overrides)).config.nonideal
            # Alone: nothing but what the axis shows, and finite on/off ratios.
            assert name != "sigma" or not (
                errors.wires.wordline_ohm or errors.drift.drifts or errors.stuck.on_rate
            )
            wires = errors.wires.wordline_ohm
            assert name != "crossbar" or (wires and not any(errors.variation.sigmas(16)))


def test_one_chip_is_enough_where_nothing_is_left_to_chance(study: Any) -> None:
    def chance(**keys: Any) -> bool:
        overrides = {f"nonideal.{key.replace('__', '.')}": value for key, value in keys.items()}
        return bool(study.chance(imcsim.hardware.load("dtsnn_32nm", overrides).config.nonideal))

    assert not chance()
    assert not chance(wires__wordline_ohm=3.0, on_off__finite=True)
    assert not chance(drift__exponent=0.05, drift__time_s=100)
    assert not chance(drift__exponent_sigma=0.05, drift__time_s=1)
    assert chance(drift__exponent_sigma=0.05, drift__time_s=100)
    assert chance(variation__sigma=[0.0] * 15 + [0.1])
    for key in ("stuck__on_rate", "stuck__off_rate", "read_noise__sigma"):
        assert chance(**{key: 0.1})
    for key in ("offset_lsb", "gain_sigma", "noise_lsb"):
        assert chance(**{f"converter__{key}": 0.1})


def test_rows_are_figures_over_the_chips(study: Any) -> None:
    point = next(p for p in study.drift(study.FINE_TUNED) if p.place == ("drift", "PCM", "1e+06"))
    rows = study.Bench(2, 6, 8, workers=2).rows(point)
    assert [(row["policy"], row["timesteps"]) for row in rows] == [
        *(("static", str(t)) for t in (1, 2, 3, 4)), ("dynamic", "4"), ("dynamic_once", "4"),
    ]  # fmt: skip
    again = compare_chips(
        imcsim.network.load(point.network),
        imcsim.hardware.load(point.hardware, dict(point.overrides)),
        imcsim.inputs.load("cifar10_test", 6),
        imcsim.inputs.load("cifar10_validation", 8),
        CompareOptions(workers=1),
        2,
    )
    for row, of in zip(rows, [*range(4), "dynamic", "dynamic_once"], strict=True):
        runs = [one.static[of] if isinstance(of, int) else getattr(one, of) for one in again.instances]
        whole = [one.static[-1] for one in again.instances]
        for name, values in (
            ("accuracy", [run.accuracy for run in runs]),
            ("energy_pj", [run.energy_pj for run in runs]),
            ("edp_pj_ns", [run.edp_mean_of_products for run in runs]),
            (
                "edp_reduction",
                [
                    1 - a.edp_mean_of_products / b.edp_mean_of_products
                    for a, b in zip(runs, whole, strict=True)
                ],
            ),
        ):
            assert float(row[f"{name}_mean"]) == pytest.approx(np.mean(values), rel=1e-5, abs=1e-9)
            assert float(row[f"{name}_std"]) == pytest.approx(np.std(values, ddof=1), rel=1e-4, abs=1e-9)
            worst = min if name in ("accuracy", "edp_reduction") else max
            assert float(row[f"{name}_worst"]) == pytest.approx(worst(values), rel=1e-5, abs=1e-9)
    for row in rows[-2:]:
        assert sum(int(row[way]) for way in ("earlier", "later", "same")) == 2 * 6


def test_points_of_the_same_settings_are_not_run_again(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def counted(*about: Any) -> Any:
        ran.append(about[-1])
        raise ImcsimError("run")

    point = study.drift(study.FINE_TUNED)[0]  # one second after programming: nothing has drifted
    bench = study.Bench(5, 2, 4, workers=1)
    kept = bench.rows(point)
    monkeypatch.setattr(study, "compare_chips", counted)
    assert bench.rows(point, kept) == kept
    assert study.Bench(7, 2, 4, workers=1).rows(point, kept) == kept, "one chip is all chips"
    others = (study.Bench(5, 3, 4), study.Bench(5, 2, 3), study.Bench(5, 2, 4, seed=1))
    for other in others:
        with pytest.raises(ImcsimError, match="run"):
            other.rows(point, kept)
    later = study.drift(study.FINE_TUNED)[1]
    with pytest.raises(ImcsimError, match="run"):
        bench.rows(later, kept)
    assert ran == [1, 1, 1, 5]


# --- the file


def test_new_rows_take_the_place_of_old_ones(study: Any, tmp_path: Path) -> None:
    first, second, *_ = study.sigma(study.FINE_TUNED)
    wires = study.crossbar(study.FINE_TUNED)[-1]
    gone = study.Point("sigma", "of an older study", "0.1")
    rows = [row for p in (wires, second, gone) for row in some_rows(study, p, accuracy_mean=0.25)]
    new = [row for p in (second, first) for row in some_rows(study, p, accuracy_mean=0.75)]
    whole = study.merged(rows, new)
    assert list(dict.fromkeys(map(study.place, whole))) == [first.place, second.place, wires.place]
    assert {row["accuracy_mean"] for row in whole if row["figure"] == "sigma"} == {"0.75"}
    study.write(whole, tmp_path / "study.csv")
    assert study.read(tmp_path / "study.csv") == whole
    with (tmp_path / "study.csv").open() as file:
        assert len({len(line) for line in csv.reader(file)}) == 1


# --- tables and figures


def test_the_page_says_what_the_file_says(study: Any, figures: Any) -> None:
    page = (ROOT / "docs" / study.PAGE).read_text(encoding="utf-8")
    rows = study.read()
    assert {row["figure"] for row in rows} == set(study.STUDIES)
    assert figures.with_tables(page, rows) == page
    for name in study.STUDIES:
        assert f"(figures/nonideal_{name}.png)" in page
        assert (ROOT / "docs" / "figures" / f"nonideal_{name}.png").exists()


def test_a_table_shows_spread_worst_and_who_moved(study: Any, figures: Any) -> None:
    point = next(p for p in study.sigma(study.FINE_TUNED) if p.x == "0.05")
    rows = some_rows(
        study, point, accuracy_ideal=0.75, accuracy_mean=0.5, accuracy_std=0.02, accuracy_worst=0.4,
        mean_timesteps_mean=1.5, edp_reduction_mean=0.61, earlier=60, earlier_wrong=30, later=6,
    )  # fmt: skip
    *_, line, _, note = figures.table(rows).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    known = "50.0 ± 2.0 (40.0)"
    dynamic = [known, "1.50", "61"]
    assert cells == ["offset: 5", "75.0", known, known, *dynamic, *dynamic, "10 (5)", "1 (0)"]
    assert "200 test images and 3 chips" in note


def test_figures_show_means_and_the_ideal_chip(study: Any, figures: Any) -> None:
    points = study.crossbar(study.FINE_TUNED)
    rows = [
        row
        for point in points
        for row in some_rows(study, point, accuracy_mean=int(point.x) / 512, accuracy_ideal=0.75)
    ]
    first, *_ = figures.lines(rows).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in first.get_lines()}
    assert drawn["dynamic, threshold of each chip"] == [6.25, 12.5, 25, 50]
    assert drawn["dynamic, ideal chip"] == [75] * 4
    assert drawn["static T = 3"] == [6.25, 12.5, 25, 50]
    assert figures._range(rows[0] | {"mean_timesteps_mean": "1.2", "mean_timesteps_std": "0.5"},
        "mean_timesteps", 1.0, (1.0, 4.0)) == (1.0, 1.2, 1.7)  # fmt: skip
    made = figures.draw_figures(rows)
    assert sorted(made) == ["nonideal_crossbar.png"]


def test_remedies_are_dots(study: Any, figures: Any) -> None:
    points = [p for p in study.remedies(study.FINE_TUNED) if p.series != "fine-tuned"]
    rows = [row for point in points for row in some_rows(study, point)]
    drawn = figures.dots(rows)
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == [point.x for point in points]


# --- the script


def test_a_quick_run_writes_nothing() -> None:
    before = study_file()
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "nonideal_study.py"), "--quick", "--only", "drift"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "drift / PCM, neurons anew / 3.15e+08: 2 chips" in done.stdout
    assert study_file() == before


def study_file() -> bytes:
    path = BENCHMARKS / "nonideal_study.csv"
    return path.read_bytes() if path.exists() else b""
