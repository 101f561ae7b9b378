"""Sweeps over chips with errors: every key is an axis, a point has one chip or many, values are shared."""

from __future__ import annotations

import csv
import hashlib
import sqlite3
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugin_files import NOISY, written
from pydantic import BaseModel
from sweep_files import alone, base, loaded, write_files, write_spec

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import NonIdeal
from imcsim.functional.run import Activity
from imcsim.results.chips.document import ChipsResult
from imcsim.results.model import to_json
from imcsim.results.model import to_json as chips_to_json
from imcsim.simulation.values import ActivityRequest, Computed
from imcsim.studies.chips import compare_chips
from imcsim.sweeps import Store, Summary, SweepPoint, load_spec, make_plan, open_store, sweep


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


def many(point: SweepPoint) -> ChipsResult:
    assert point.setting.chips is not None
    return compare_chips(*loaded(point), chips=point.setting.chips)


def read(folder: Path, spec: dict[str, Any]) -> list[SweepPoint]:
    return list(load_spec(write_spec(folder, spec)).points())


def run(folder: Path, spec: dict[str, Any], out: Path, **how: Any) -> tuple[Store, Summary]:
    summary = Summary()
    how = {"workers": 1, **how}
    return sweep(load_spec(write_spec(folder, spec)), out, summary=summary, **how), summary


def check_single(store: Store, points: list[SweepPoint]) -> list[str]:
    """Every point against the same comparison alone; returns the hashes of the documents."""
    hashes = []
    for point, row in zip(points, store.points(), strict=True):
        assert row["status"] == "done", row["error"]
        assert row["chips"] is None
        expected = hashlib.sha256(to_json(alone(point)).encode()).hexdigest()
        assert row["result_sha256"] == expected, point.values
        hashes.append(expected)
    return hashes


# --- every key is an axis

SMALL: dict[str, Any] = {"images": 20, "timesteps": 2, "threshold": 0.2}
LEVELS = 2 ** imcsim.hardware.load("dtsnn_32nm").config.cells.cell_bits

KEYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "variation.kind": (["normal", "lognormal"], {"variation.sigma": 0.3}),
    "variation.sigma": ([0, 0.3, [0.0] * (LEVELS - 1) + [0.3]], {}),
    "on_off.finite": ([False, True], {"on_off.reference_column": False}),
    "on_off.reference_column": ([True, False], {"on_off.finite": True, "variation.sigma": 0.1}),
    "stuck.on_rate": ({"linspace": [0, 0.2, 2]}, {}),
    "stuck.off_rate": ([0, 0.2], {"stuck.on_rate": 0.1}),
    "drift.exponent": ([0, 0.1], {"drift.time_s": 1e4}),
    "drift.exponent_sigma": ([0, 0.1], {"drift.exponent": 0.1, "drift.time_s": 1e4}),
    "drift.time_s": ({"log": [1, 1e8, 3]}, {"drift.exponent": 0.05}),
    "drift.reference_time_s": ([1, 100], {"drift.exponent": 0.1, "drift.time_s": 1e4}),
    "read_noise.sigma": ([0, 0.5], {}),
    "wires.wordline_ohm": ([0, 20.0], {}),
    "wires.bitline_ohm": ([0, 20.0], {"wires.wordline_ohm": 5.0}),
    "wires.driver_ohm": ([0, 2000.0], {}),
    "wires.sense_ohm": ([0, 2000.0], {}),
    "wires.inactive": (["grounded", "gated"], {"wires.bitline_ohm": 20.0}),
    "converter.offset_lsb": ([0, 2.0], {}),
    "converter.gain_sigma": ({"range": [0, 0.3, 0.3]}, {}),
    "converter.noise_lsb": ([0, 2.0], {}),
    "converter.calibrated_on": (["ideal", "chip"], {"drift.exponent": 0.2, "drift.time_s": 1e4}),
    "neurons.calibrated_on": (["ideal", "chip"], {"drift.exponent": 0.2, "drift.time_s": 1e4}),
    "cell_errors.model": (["", "noisy"], {"stuck.on_rate": 0.01}),
    "cell_errors.parameters": ([{"sigma": 0.1}, {"sigma": 0.3}], {"cell_errors.model": "noisy"}),
    "cell_errors.time_s": ([1, 1e4], {"cell_errors.model": "noisy"}),
}
"""Keys of the section: values that differ, with what makes them matter."""


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def whole(about: dict[str, Any]) -> dict[str, Any]:
    return {f"nonideal.{key}": value for key, value in about.items()}


def test_every_key_is_tried() -> None:
    assert set(KEYS) == set(leaves(NonIdeal))


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_an_axis(key: str, files: Path, tmp_path: Path) -> None:
    """Points are what the same comparisons say alone, and no two of them share values."""
    values, others = KEYS[key]
    spec = base(**SMALL, axes=whole({key: values}), set=whole(others))
    if key.startswith("cell_errors"):
        spec["plugins"] = [str(written(tmp_path, NOISY, "noisy.py"))]
    points = read(files, spec)
    store, summary = run(files, spec, tmp_path)
    with store:
        hashes = check_single(store, points)
    assert 2 * len(set(hashes)) == 2 * len(points) == make_plan(points).functional_runs
    # Each point has runs of its own, of both sets of images, and ADC scales where they differ.
    assert summary.computed == 2 * len(points) + make_plan(points).scales


def test_keys_change_together_under_constraints(files: Path) -> None:
    spec = base(
        axes=whole({"variation.sigma": {"log": [0.01, 0.3, 4]}, "on_off.finite": [True, False]}),
        zip=[whole({"stuck.on_rate": [0, 0.02], "stuck.off_rate": [0, 0.1]})],
        constraints=[
            "nonideal.on_off.finite or nonideal.variation.sigma < 0.05",
            "nonideal.stuck.on_rate + nonideal.read_noise.sigma < 0.02 or nonideal.on_off.finite",
            "nonideal.wires.inactive == 'grounded'",
        ],
    )
    found = [tuple(point.values.values()) for point in read(files, spec)]
    assert len(found) == 4 * 2 + 2
    assert {row[1:] for row in found} == {(True, 0, 0), (True, 0.02, 0.1), (False, 0, 0)}


@pytest.mark.parametrize(
    ("axes", "word"),
    [
        ({"variation.sigma": [[0.1, 0.2]]}, "sigma"),  # not one a level
        ({"stuck.on_rate": [1.5]}, "on_rate"),
        ({"variation.kind": ["uniform"]}, "kind"),
        ({"drift.time_s": [0.5]}, "reference_time_s"),
    ],
)
def test_bad_values_are_rows(axes: dict[str, Any], word: str, files: Path, tmp_path: Path) -> None:
    spec = base(**SMALL, axes=whole(axes), chips=2)
    with run(files, spec, tmp_path)[0] as store:
        (row,) = store.points()
        assert row["status"] == "failed"
        assert word in row["error"]


def test_unknown_keys_are_refused(files: Path) -> None:
    with pytest.raises(ImcsimError, match="sigmas"):
        read(files, base(axes={"nonideal.variation.sigmas": [0.1]}))


# --- values that are the same are computed once

SHARED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "prices and links": (
        {"noc.flit_bits": [16, 32], "noc.router_energy_pj": [1.0, 2.0]},
        whole({"variation.sigma": 0.1, "neurons.calibrated_on": "chip"}),
    ),
    "no variation": (whole({"variation.kind": ["normal", "lognormal"]}), whole({"stuck.on_rate": 0.1})),
    "no exponent": (whole({"drift.time_s": [1, 10]}), whole({"stuck.on_rate": 0.1})),
    "no time": (whole({"drift.exponent": [0, 0.1]}), whole({"read_noise.sigma": 0.1})),
    "no off current": (whole({"on_off.reference_column": [True, False]}), whole({"variation.sigma": 0.1})),
    "no wires": (whole({"wires.inactive": ["grounded", "gated"]}), whole({"variation.sigma": 0.1})),
    "nothing is drawn": ({"chip": [0, 1, 2]}, whole({"wires.bitline_ohm": 5.0})),
    "no errors": ({"chip": [0, 5], "seed": [0, 1]}, {}),
    "ADCs are alike": ({"column_mux.columns_per_adc": [4, 8]}, whole({"variation.sigma": 0.1})),
    "no wires, no reference": ({"cells.columns": [32, 64]}, whole({"variation.sigma": 0.1})),
    "no noise": ({"encoder.mode": ["keep", "recompute"]}, whole({"variation.sigma": 0.1})),
}


@pytest.mark.parametrize("why", SHARED)
def test_what_changes_no_value_shares_values(why: str, files: Path, tmp_path: Path) -> None:
    axes, others = SHARED[why]
    spec = base(**SMALL, axes=axes, set=others)
    points = read(files, spec)
    assert make_plan(points).functional_runs == 2
    store, summary = run(files, spec, tmp_path)
    with store:
        check_single(store, points)
    assert summary.computed == 3  # images, validation images and ADC scales


def test_noise_of_an_encoder_that_reads_again(files: Path, tmp_path: Path) -> None:
    spec = base(
        **SMALL,
        axes={"encoder.mode": ["keep", "recompute"], "column_mux.columns_per_adc": [4, 8]},
        set=whole({"read_noise.sigma": 0.5, "converter.offset_lsb": 1.0}),
    )
    points = read(files, spec)
    assert make_plan(points).functional_runs == 2 * 4
    with run(files, spec, tmp_path)[0] as store:
        check_single(store, points)


def test_neurons_are_calibrated_between_scales_and_images(files: Path) -> None:
    spec = base(
        chip=[0, 1], set=whole({"stuck.on_rate": 0.1, "neurons.calibrated_on": "chip", "wires.sense_ohm": 1}),
    )  # fmt: skip
    plan = make_plan(read(files, spec))
    roles = [run.role for run in plan.runs.values()]
    # Active rows of the ideal program once; neurons, images and validation images of each chip.
    assert sorted(roles) == ["chip"] * 3 + ["images"] * 2 + ["scales"] + ["validation"] * 2
    for run in plan.runs.values():
        before = None if run.after is None else plan.runs[run.after].role
        assert before == (None if run.role == "scales" else "scales" if before == "scales" else "chip")
    needs = [set(plan.needs[k].runs) for k in (0, 1)]
    assert len(needs[0] & needs[1]) == 2
    assert len(needs[0]) == len(needs[1]) == 5


@pytest.mark.parametrize(
    ("calibrated", "workers"), [("ideal", 2), ("chip", 1), pytest.param("chip", 2, marks=pytest.mark.slow)]
)
def test_scales_that_many_chips_share_are_set_once(
    calibrated: str, workers: int, files: Path, tmp_path: Path
) -> None:
    spec = base(
        **SMALL, chip={"range": [3, 6, 1]},
        set=whole({"variation.sigma": 0.2, "converter.calibrated_on": calibrated, "wires.bitline_ohm": 2.0}),
    )  # fmt: skip
    plan = make_plan(read(files, spec))
    assert plan.functional_runs == 2 * 4
    assert plan.scales == (1 if calibrated == "ideal" else 4)
    store, summary = run(files, spec, tmp_path, workers=workers)
    with store:
        assert store.counts() == {"done": 4, "failed": 0}
    assert summary.computed == plan.functional_runs + plan.scales


# --- one chip a point


def test_each_chip_is_a_point(files: Path, tmp_path: Path) -> None:
    spec = base(chip=[0, 7, 2**31 - 1], set=whole({"variation.sigma": 0.2}), axes={"threshold": [None, 0.1]})
    points = read(files, spec)
    assert [p.setting.options.chip for p in points] == [0, 0, 7, 7, 2**31 - 1, 2**31 - 1]
    store, summary = run(files, spec, tmp_path)
    with store:
        assert len(set(check_single(store, points))) == 6
        assert [row["setting"]["chip"] for row in store.points()] == [p.values["chip"] for p in points]
    assert summary.computed == 3 * 2 + 1  # images and validation images of each, scales of all


@pytest.mark.parametrize("bad", [{"chip": [-1]}, {"chip": [2**31]}, {"chips": [0]}, {"chips": 10_001},
                                 {"chips": ["x"]}, {"chip": None}, {"chips": [2.5]}])  # fmt: skip
def test_numbers_of_chips_that_cannot_be(bad: dict[str, Any], files: Path) -> None:
    with pytest.raises(ImcsimError) as caught:
        read(files, base(**bad))
    assert "chip" in str(caught.value)


# --- many chips a point


def check_many(store: Store, points: list[SweepPoint]) -> None:
    """Every point on many chips against `compare_chips`, figure by figure."""
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in store.rows():
        rows.setdefault(row["point"], []).append(row)
    for point, about in zip(points, store.points(), strict=True):
        assert about["status"] == "done", about["error"]
        result = many(point)
        assert about["result_sha256"] == hashlib.sha256(chips_to_json(result).encode()).hexdigest()
        assert about["chips"] == result.chips == point.setting.chips
        assert sum(about["areas_um2"].values()) == pytest.approx(about["area_um2"])
        steps = result.meta.timesteps
        static = {t: [one.static[t - 1] for one in result.instances] for t in range(1, steps + 1)}
        ways: list[tuple[str, int, list[Any]]] = [("static", t, runs) for t, runs in static.items()]
        ways.append(("dynamic", steps, [one.dynamic for one in result.instances]))
        if result.dynamic_once is not None:
            ways.append(("dynamic_once", steps, [one.dynamic_once for one in result.instances]))
        assert [(row["policy"], row["timesteps"]) for row in rows[point.index]] == [way[:2] for way in ways]
        for row, (policy, _, runs) in zip(rows[point.index], ways, strict=True):
            check_row(row, policy, runs)
        if result.dynamic_once is not None:
            assert rows[point.index][-1]["threshold"] == result.ideal.dynamic.threshold


def check_row(row: dict[str, Any], policy: str, runs: list[Any]) -> None:
    """Means, standard deviations and worst ones by their definitions."""
    for key, std, worst in (
        ("accuracy", "accuracy_std", "accuracy_worst"),
        ("mean_timesteps", "mean_timesteps_std", "mean_timesteps_worst"),
        ("energy_pj", "energy_std_pj", "energy_worst_pj"),
        ("latency_ns", "latency_std_ns", "latency_worst_ns"),
        ("edp_mean_of_products", "edp_mean_of_products_std", "edp_mean_of_products_worst"),
    ):
        if policy == "static" and key == "mean_timesteps":
            assert (row[key], row[std], row[worst]) == (row["timesteps"], None, None)
            continue
        each = [getattr(run, key) for run in runs]
        assert row[key] == pytest.approx(statistics.fmean(each), rel=1e-12)
        assert row[worst] == (min(each) if key == "accuracy" else max(each))
        if len(each) == 1:
            assert row[std] is None
        else:
            assert row[std] == pytest.approx(statistics.stdev(each), rel=1e-9, abs=1e-9 * max(each))
    if len(runs) == 1:
        assert row["accuracy_low"] is row["accuracy_high"] is None
    else:
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
    assert row["edp_product_of_means"] == pytest.approx(
        statistics.fmean(run.edp_product_of_means for run in runs)
    )
    if policy != "static":
        assert sum(row["exit_fraction"]) == pytest.approx(1)


MANY: dict[str, dict[str, Any]] = {
    "sigma": {"axes": whole({"variation.sigma": [0, 0.1, 0.3]}), "chips": 3},
    "how many": {"axes": {"chips": [1, 2, 3], "chip": [0, 1]}, "set": whole({"variation.sigma": 0.2})},
    "given": {"threshold": [0.2, [0.3, 0.1]], "chips": 2, "set": whole({"stuck.off_rate": 0.1})},
    "each": {"thresholds": "each", "chips": 2, "set": whole({"variation.sigma": 0.1})},
    "calibrated": {
        "chips": 2, "timesteps": 2,
        "set": whole({"wires.bitline_ohm": 2.0, "stuck.on_rate": 0.01, "neurons.calibrated_on": "chip",
                      "read_noise.sigma": 0.1, "converter.calibrated_on": "chip"}),
    },
    "time depends on values": {
        "chips": 2, "timesteps": 2,
        "set": {"activity.skip_zero_reads": True, "nonideal.variation.sigma": 0.2},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MANY)
def test_many_chips_equal_compare_chips(name: str, files: Path, tmp_path: Path) -> None:
    spec = base(**MANY[name])
    points = read(files, spec)
    store, summary = run(files, spec, tmp_path)
    with store:
        check_many(store, points)
    plan = make_plan(points)
    if name != "time depends on values":
        assert summary.computed == plan.functional_runs + plan.scales


def test_chips_of_all_points_are_computed_once(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = []
    real = Computed.activity

    def counting(self: Computed, request: ActivityRequest) -> Activity:
        errors = request.program.numerics.nonideal
        played.append((request.inputs.sha256, None if errors is None else errors.chip))
        return real(self, request)

    monkeypatch.setattr(Computed, "activity", counting)
    spec = base(
        axes={"chips": [None, 2, 4], "chip": [0, 2], "noc.flit_bits": [16, 32], "timesteps": [2, 3]},
        set=whole({"variation.sigma": 0.2}),
    )
    planned = make_plan(read(files, spec))
    store, summary = run(files, spec, tmp_path)
    with store:
        assert store.counts() == {"done": 24, "failed": 0}
    # Chips 0 to 5 and the ideal one, each with images and validation images.
    assert len(played) == len(set(played)) == planned.functional_runs == 14
    assert {chip for _, chip in played} == {None, 0, 1, 2, 3, 4, 5}
    assert summary.computed == 14 + planned.scales == 15


def test_a_chip_without_errors_is_the_ideal_one(files: Path, tmp_path: Path) -> None:
    spec = base(axes={"chips": [None, 3], **whole({"variation.sigma": [0, 0.0001]})})
    with run(files, spec, tmp_path)[0] as store:
        table = list(store.table())
    one, _, plain, _ = table
    # One chip is held against the better of two static runs, many against the one of their own issue policy.
    waiting, pipelined = alone(read(files, spec)[0]).opponents
    assert (waiting.issue, pipelined.issue) == ("wait", "pipeline")
    best = min((waiting, pipelined), key=lambda opponent: opponent.static[-1].edp_mean_of_products)
    for key in ("accuracy", "energy_pj", "latency_ns", "edp_mean_of_products"):
        assert plain[f"dynamic_{key}"] == one[f"dynamic_{key}"]
        assert plain[f"static_{key}"] == getattr(waiting.static[-1], key)
        assert one[f"static_{key}"] == getattr(best.static[-1], key)
        assert plain[f"dynamic_once_{key}"] == one[f"dynamic_{key}"]
    assert plain["dynamic_accuracy_std"] == 0
    assert plain["dynamic_accuracy_worst"] == one["dynamic_accuracy"]
    assert (one["chips"], plain["chips"]) == (None, 3)
    assert one["dynamic_accuracy_std"] is one["dynamic_once_accuracy"] is None
    assert make_plan(read(files, spec)).functional_runs == 2 * (1 + 3)


def test_a_stopped_point_loses_no_chip(files: Path, tmp_path: Path) -> None:
    spec = base(chips=4, set=whole({"variation.sigma": 0.2}))
    whole_store, summary = run(files, spec, tmp_path / "whole")
    whole_store.close()
    assert summary.computed == 2 * 5 + 1

    class Enough(Exception):
        pass

    made: list[int] = []
    real = Computed.activity

    def stopping(self: Computed, *about: Any, **how: Any) -> Any:
        if len(made) == 5:
            raise Enough
        made.append(1)
        return real(self, *about, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Computed, "activity", stopping)
        with pytest.raises(Enough):
            run(files, spec, tmp_path / "stopped")
    with open_store(tmp_path / "stopped") as store:
        assert not list(store.points())
    store, summary = run(files, spec, tmp_path / "stopped")
    store.close()
    assert summary.computed == 2 * 5 - 5
    tables = [(tmp_path / name / "table.csv").read_bytes() for name in ("whole", "stopped")]
    assert tables[0] == tables[1]


def test_workers_do_not_change_the_table(files: Path, tmp_path: Path) -> None:
    spec = base(chips=3, axes=whole({"variation.sigma": [0, 0.2]}), timesteps=2)
    tables = []
    for workers in (1, 2):
        store, summary = run(files, spec, tmp_path / str(workers), workers=workers)
        store.close()
        assert summary.computed == 2 * 4 + 1
        tables.append((tmp_path / str(workers) / "table.csv").read_bytes())
    assert tables[0] == tables[1]


def test_chips_beyond_the_last_fail(files: Path, tmp_path: Path) -> None:
    spec = base(chips=2, chip=2**31 - 1, set=whole({"variation.sigma": 0.2}))
    with run(files, spec, tmp_path)[0] as store:
        (row,) = store.points()
    assert row["status"] == "failed"
    assert "chip" in row["error"]


# --- the store


def test_frame_and_csv_have_the_spread(files: Path, tmp_path: Path) -> None:
    spec = base(axes={"chips": [None, 2]}, timesteps=2, set=whole({"variation.sigma": 0.2}))
    with run(files, spec, tmp_path)[0] as store:
        table = list(store.table())
        frame = store.to_frame()
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(frame.columns) == list(rows[0]) == list(table[0])
    for name in ("accuracy_std", "energy_worst_pj", "mean_timesteps_std", "edp_mean_of_products_worst"):
        for policy in ("dynamic", "dynamic_once"):
            assert rows[0][f"{policy}_{name}"] == ""
            assert float(rows[1][f"{policy}_{name}"]) == table[1][f"{policy}_{name}"]
    assert [row["run_chips"] for row in table] == [None, 2]  # `chips` is the axis
    assert "static_accuracy_std" in table[0]
    assert "static_mean_timesteps_std" not in table[0]


def test_without_many_chips_the_table_is_as_it_was(files: Path, tmp_path: Path) -> None:
    with run(files, base(**SMALL, chip=[0, 1]), tmp_path)[0] as store:
        (row, _) = store.table()
    assert not [name for name in row if "std" in name or "worst" in name or "once" in name]
    assert "chips" not in row


def test_stores_of_before_open_and_go_on(files: Path, tmp_path: Path) -> None:
    """A store that knows nothing of many chips."""
    spec = base(**SMALL, axes={"adc.bits": [4, 5]})
    run(files, spec, tmp_path)[0].close()
    before = (tmp_path / "table.csv").read_bytes()
    connection = sqlite3.connect(tmp_path / "sweep.sqlite")
    with connection:
        connection.execute("DELETE FROM results WHERE point = 1")
        connection.execute("DELETE FROM points WHERE point = 1")
        later = [
            row[1] for row in connection.execute("PRAGMA table_info(results)")
            if row[1].split("_")[-1] in ("std", "worst") or "_std_" in row[1] or "_worst_" in row[1]
        ]  # fmt: skip
        assert len(later) == 10
        view = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'sweep'").fetchone()[0]
        connection.execute("DROP VIEW sweep")
        for name in later:
            connection.execute(f"ALTER TABLE results DROP COLUMN {name}")
        connection.execute("ALTER TABLE points DROP COLUMN chips")
        listed, rest = view.split(" FROM points p ")
        head, *columns = listed.split("SELECT ")[1].split(", ")
        kept = [head, *(c for c in columns if c[:2] != "o." and c.split(" ")[0][2:] not in (*later, "chips"))]
        rest = rest[: rest.index(" LEFT JOIN results o")]
        connection.execute(f"CREATE VIEW sweep AS SELECT {', '.join(kept)} FROM points p {rest}")
    connection.close()
    with open_store(tmp_path) as old:
        assert len(list(old.table())) == 1
        assert len(old.to_frame()) == 1
    store, summary = run(files, spec, tmp_path)
    store.close()
    assert (summary.points, summary.earlier) == (2, 1)
    assert (tmp_path / "table.csv").read_bytes() == before


def test_the_page_says_that_figures_are_means(files: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from imcsim.report.site.read import read as read_study
    from imcsim.report.site.read import with_parts
    from imcsim.report.site.tables import points_table

    spec = base(chips=[1, 2], timesteps=2, set=whole({"variation.sigma": 0.2}))
    with run(files, spec, tmp_path)[0] as store:
        rows = {row["point"]: row for row in store.rows("dynamic")}
    study = read_study(tmp_path)
    assert dict(study.facts)["Chips"] == "1, 2"
    assert "means over 1 or 2 programmed chips" in study.warnings[0]
    assert "(2 of 2 points)" in study.warnings[0]
    table = points_table(study)
    shown = [dict(zip((c.key for c in table.columns), cells, strict=True)) for cells in table.rows]
    assert shown[0]["accuracy_std"] == ""
    assert float(shown[1]["accuracy_worst"]) == pytest.approx(100 * rows[1]["accuracy_worst"], abs=0.01)
    for point in study.points:
        assert point.dynamic is not None
        assert point.dynamic.accuracy == rows[point.index]["accuracy"]
        assert point.dynamic.threshold == rows[point.index]["threshold"]
        assert point.dynamic.accuracy_low <= point.dynamic.accuracy <= point.dynamic.accuracy_high
        assert len(point.static) == 2
    parts = with_parts(study, tmp_path, [0, 1])
    assert parts[1].exits == tuple(rows[1]["exit_fraction"])
    assert parts[1].areas
    assert not parts[1].dynamic


# --- searches


def test_a_search_over_errors_reads_means_over_chips(files: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="searches need the extra `search`")
    import jsonschema

    from imcsim.searches import load_search, search
    from imcsim.searches.json_schema import json_schema

    spec = base(
        axes=whole(
            {
                "variation.sigma": {"between": [0.0, 0.3]},
                "drift.time_s": {"log_between": [1.0, 1e6]},
                "variation.kind": ["normal", "lognormal"],
            }
        ),
        set=whole({"drift.exponent": 0.02}),
        chips=2, timesteps=2, objectives=["edp", "accuracy"], trials=4, batch=2, sampler="random",
        constraints=["accuracy >= 0", "nonideal.variation.sigma <= 0.25"],
    )  # fmt: skip
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(spec)
    with search(load_search(spec_file(files, spec)), tmp_path, workers=1) as store:
        assert store.counts() == {"done": 4, "failed": 0}
        table = {row["point"]: row for row in store.table()}
        front = store.front()
    assert front
    for row in front:
        judged = table[row["point"]]
        assert judged["chips"] == 2
        assert row["validation_edp_mean_of_products"] == judged["dynamic_edp_mean_of_products"]
        assert 0 <= row["nonideal.variation.sigma"] <= 0.25
        assert row["test_accuracy_worst"] <= row["test_accuracy"]
        assert row["test_energy_std_pj"] > 0
    assert (tmp_path / "front.csv").is_file()


def spec_file(folder: Path, spec: dict[str, Any]) -> Path:
    return write_spec(folder, spec, "search.yaml")


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"chips": [1, 2]}, "same chips"),
        ({"chip": [1, 2]}, "same chips"),
        ({"chips": 2, "objectives": ["latency_p99"]}, "latency_p99"),
        ({"chips": 2, "objectives": ["edp"], "constraints": ["latency_p99_ns < 5"]}, "latency_p99"),
    ],
)
def test_what_a_search_cannot_ask_of_many_chips(more: dict[str, Any], word: str, files: Path) -> None:
    from imcsim.searches import load_search

    spec = base(axes={"adc.bits": [4, 5]}, **({"objectives": ["edp"]} | more))
    with pytest.raises(ImcsimError, match=word):
        load_search(spec_file(files, spec))


def test_the_schema_of_sweeps_knows_chips(files: Path) -> None:
    import jsonschema

    from imcsim.sweeps.json_schema import json_schema

    schema = jsonschema.Draft202012Validator(json_schema())
    for sound in ({"chips": 20}, {"chips": [None, 5]}, {"chip": {"range": [0, 19, 1]}}, {"chip": 3}):
        assert schema.is_valid(base(**sound)), sound
        read(files, base(**sound))
    for bad in ({"chips": 0}, {"chips": "5"}, {"chip": -1}, {"chip": None}):
        assert not schema.is_valid(base(**bad)), bad
