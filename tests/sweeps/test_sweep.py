"""Sweeps: every point is exactly what `imcsim compare` says, values are computed once, rows tell all."""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sweep_files import alone, as_a_point, base, write_files, write_spec

import imcsim
import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.functional.run import Activity
from imcsim.results.model import to_json
from imcsim.simulation.values import ActivityRequest, Computed
from imcsim.studies.loading import Loader
from imcsim.sweeps import Store, Summary, load_spec, make_plan, open_store, sweep


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


def run(folder: Path, spec: dict[str, Any], out: Path, **how: Any) -> tuple[Store, Summary]:
    summary = Summary()
    how = {"workers": 1, **how}
    return sweep(load_spec(write_spec(folder, spec)), out, summary=summary, **how), summary


def check_equal(store: Store, folder: Path, spec: dict[str, Any]) -> None:
    """Every point of a store against the same comparison alone."""
    points = list(load_spec(write_spec(folder, spec)).points())
    rows = list(store.points())
    assert [row["point"] for row in rows] == list(range(len(points)))
    results: dict[int, list[dict[str, Any]]] = {}
    for row in store.rows():
        results.setdefault(row["point"], []).append(row)
    for point, row in zip(points, rows, strict=True):
        assert row["status"] == "done", row["error"]
        result = alone(point)
        expected = hashlib.sha256(to_json(result).encode()).hexdigest()
        assert row["result_sha256"] == expected, point
        assert row["config_sha256"] == result.meta.hardware.sha256
        assert row["area_um2"] == result.meta.hardware.area_um2
        assert (row["seed"], row["version"]) == (result.meta.seed, imcsim.__version__)
        *static, dynamic = results[point.index]
        for one, expected in zip(static, result.static, strict=True):
            for key in ("timesteps", "accuracy", "energy_pj", "latency_ns", "edp_mean_of_products"):
                assert one[key] == getattr(expected, key)
        for key in ("mean_timesteps", "threshold", "accuracy", "energy_pj", "latency_p99_ns", "rule"):
            assert dynamic[key] == getattr(result.dynamic, key)
        assert dynamic["components"] == {c.name: c.energy_pj for c in result.components}
        assert dynamic["layers"] == {la.name: la.energy_pj for la in result.layers}
        assert tuple(dynamic["exit_fraction"]) == result.dynamic.exit_fraction
        assert static[-1]["components"] == {c.name: c.static_energy_pj for c in result.components}
        for run, expected in ((static[-1], result.static_efficiency), (dynamic, result.efficiency)):
            assert run["tops_per_w"] == expected.native.tops_per_w
            for key in ("energy_pj_per_synaptic_operation", "inferences_per_j", "power_density_mw_per_mm2"):
                assert run[key] == getattr(expected, key)
        assert all(one["tops_per_w"] is None for one in static[:-1])
        assert row["programming_energy_pj"] == result.programming.energy_pj


GRIDS: dict[str, dict[str, Any]] = {
    "values and time": {
        "axes": {"adc.bits": [4, 6], "noc.flit_bits": [16, 64], "timesteps": [2, 3]},
    },
    "who leaves": {
        "axes": {
            "threshold": [None, 0.0, 0.4], "rule": ["entropy", "margin"], "accumulation": ["mean", "sum"],
        },
    },
    "policies": {"axes": {"issue": ["wait", "speculate", "interleave:2"], "lif.lanes": [1, 4]}},
    "time depends on values": {
        "axes": {
            "activity.skip_zero_reads": [False, True], "activity.spike_coding": ["bitmap", "aer"],
            "timesteps": [1, 3],
        },
    },
    "counted toggles": {
        "axes": {"activity.toggling": ["given", "counted"], "activity.spike_coding": ["bitmap", "aer"]},
        "timesteps": 2,
    },
    "spikes": {"encoding": "rate", "axes": {"timesteps": [1, 3], "seed": [0, 1], "threshold": [0.2, None]}},
    "checker": {"axes": {"checker.exp_entries": [64, 256], "adc.percentile": [99.0, 100.0]}},
    "ideal scales": {
        "set": {"adc.full_scale": "ideal"}, "axes": {"threshold": [0.1, 0.3], "images": [10, 20]},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_points_equal_single_comparisons(name: str, files: Path, tmp_path: Path) -> None:
    spec = base(**GRIDS[name])
    if name == "spikes":
        write_spiking(files)
        spec = base(**GRIDS[name], model="spiking")
    store, _ = run(files, spec, tmp_path / "out")
    with store:
        check_equal(store, files, spec)


def write_spiking(folder: Path) -> None:
    """The network with one bit a pixel."""
    import yaml

    text = (folder / "net" / "network.yaml").read_text()
    (folder / "spiking").mkdir(exist_ok=True)
    about = yaml.safe_load(text)
    about["input"]["bits"] = 1
    about["input"]["scale"] = 1.0
    (folder / "spiking" / "network.yaml").write_text(yaml.safe_dump(about))
    (folder / "spiking" / "weights.npz").write_bytes((folder / "net" / "weights.npz").read_bytes())


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Images and timesteps of every functional run that is really computed."""
    found: list[tuple[int, int]] = []
    real = Computed.activity

    def counting(self: Computed, request: ActivityRequest) -> Activity:
        found.append((len(request.inputs.images[request.at]), request.timesteps))
        return real(self, request)

    monkeypatch.setattr(Computed, "activity", counting)
    return found


@pytest.mark.parametrize(
    ("axes", "runs"),
    [
        ({"noc.flit_bits": [16, 32, 64], "threshold": [0.1, 0.2], "issue": ["wait", "speculate"]}, 2),
        ({"timesteps": [1, 2, 3], "threshold": [None, 0.2]}, 2),  # images and validation images
        ({"adc.bits": [4, 5], "timesteps": [1, 3], "threshold": [0.1]}, 4),
        ({"adc.preset": ["default"], "checker.log_entries": [256, 512], "threshold": [0.1]}, 2),
        ({"activity.spike_coding": ["bitmap", "aer"], "activity.toggling": ["given", "counted"],
          "threshold": [0.1]}, 4),  # 40 images whose values are kept are two parts
    ],
)  # fmt: skip
def test_values_are_computed_once(
    axes: dict[str, Any], runs: int, files: Path, tmp_path: Path, played: list[tuple[int, int]]
) -> None:
    if "adc.preset" in axes:
        axes = {**axes, "adc.preset": list(imcsim.hardware.load("dtsnn_32nm").config.adc.presets)}
    spec = base(axes=axes, set={"adc.percentile": 97.0 + len(axes) / 100})
    store, summary = run(files, spec, tmp_path / "out")
    with store:
        assert store.counts() == {"done": summary.points, "failed": 0}
    longest = max(axes.get("timesteps", [3]))
    assert sum(images for images, _ in played) == 40 * (runs if "activity.toggling" not in axes else 2)
    assert len(played) == runs
    assert {timesteps for _, timesteps in played} == {longest}
    planned = make_plan(load_spec(write_spec(files, spec)).points()).functional_runs
    assert planned == (runs if "activity.toggling" not in axes else 2)


def test_the_table_says_what_does_not_hold(files: Path, tmp_path: Path) -> None:
    """Warnings of each point stand in its row, as in its result."""
    spec = base(axes={"technology.node_nm": [32.0, 22.0], "threshold": [0.2]})
    store, _ = run(files, spec, tmp_path / "out")
    with store:
        rows = {row["technology.node_nm"]: row for row in store.table()}
    assert "technology.node_nm" not in (rows[32.0]["warnings"] or "")
    assert "offchip_link.bit_energy_pj is given and does not follow" in rows[22.0]["warnings"]
    head = (tmp_path / "out" / "table.csv").read_text().splitlines()[0].split(",")
    assert head[-2:] == ["warnings", "error"]


def test_the_terminal_says_what_does_not_hold_once(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = base(axes={"technology.node_nm": [32.0, 22.0], "threshold": [0.2, 0.3]}, images=8)
    out = tmp_path / "out"
    assert main(["sweep", str(write_spec(files, spec)), "--out", str(out), "--workers", "1"]) == 0
    told = capsys.readouterr()
    said = " ".join(told.err.split())
    assert said.count("warning: 2 of 4 points: offchip_link.bit_energy_pj is given and does not follow") == 1
    assert "warning: accuracy on 8 images is uncertain" in said
    lines = [line for line in (told.out + told.err).splitlines() if str(out) not in line]
    assert max(map(len, lines)) <= 80
    assert {str(out / name) for name in ("sweep.sqlite", "table.csv")} <= set(told.out.split())


def test_of_many_warnings_the_first_are_printed(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = base(axes={"chip": list(range(12))}, hardware="dtsnn_32nm_nonideal", threshold=0.2, images=8)
    command = ["sweep", str(write_spec(files, spec)), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert main(command) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("number 9 of seed 0; others differ") == 1
    assert "number 10 of seed 0" not in said
    assert "warning: 2 other warnings: see the column warnings of" in said


def test_failed_points_are_rows(files: Path, tmp_path: Path) -> None:
    (files / "damaged.npz").write_bytes(b"no images")
    spec = base(
        axes={
            "adc.bits": [5, 99],
            "mesh.columns": [0, 1],
            "issue": ["wait", "pipeline"],
            "threshold": [0.2],
        },
        zip=[{"inputs": ["test.npz", "damaged.npz"], "model": ["net", "net"]}],
    )
    store, summary = run(files, spec, tmp_path / "out")
    with store:
        table = list(store.table())
        assert summary.points == 16
        assert summary.failed == 15
        for row in table:
            good = row["adc.bits"] == 5 and row["mesh.columns"] == 0 and row["issue"] == "wait"
            good = good and row["inputs"] == "test.npz"
            assert (row["status"] == "done") == good
            assert bool(row["error"]) != good
            assert (row["dynamic_energy_pj"] is not None) == good
        by_cause = {(r["adc.bits"], r["mesh.columns"], r["issue"], r["inputs"]): r["error"] for r in table}
    assert "adc.bits" in by_cause[99, 0, "wait", "test.npz"]
    assert "mesh" in by_cause[5, 1, "wait", "test.npz"]
    assert "pipeline" in by_cause[5, 0, "pipeline", "test.npz"]
    assert "damaged.npz" in by_cause[5, 0, "wait", "damaged.npz"]


def test_any_number_of_workers_gives_the_same_table(files: Path, tmp_path: Path) -> None:
    spec = base(axes={"adc.bits": [4, 5, 99], "noc.flit_bits": [16, 64], "threshold": [None, 0.3]})
    tables = []
    for workers in (1, 2):
        store, summary = run(files, spec, tmp_path / str(workers), workers=workers)
        store.close()
        assert summary.computed == 2 * 3  # two ADCs: scales, images, validation images
        tables.append((tmp_path / str(workers) / "table.csv").read_bytes())
    assert tables[0] == tables[1]


def test_a_script_without_a_guard_may_use_workers(files: Path, tmp_path: Path) -> None:
    spec = write_spec(files, base(timesteps=2, axes={"adc.bits": [4, 5]}))
    (tmp_path / "script.py").write_text(
        "import imcsim\n"
        "print('begins')\n"
        f"with imcsim.sweep({str(spec)!r}, workers=2) as store:\n"
        "    print([row['status'] for row in store.points()])\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("begins\n['done', 'done']\n", 0), done.stderr


@pytest.mark.usefixtures("rough_figures")
def test_set_on_the_command_line_goes_over_the_spec(files: Path, tmp_path: Path) -> None:
    path = write_spec(files, base(timesteps=2, axes={"adc.bits": [4]}, set={"lif.lanes": 2}))
    out = tmp_path / "out"
    how = ["sweep", str(path), "--out", str(out), "--workers", "1", "--quiet"]
    assert main([*how, "--set", "lif.lanes=4", "--set", "noc.flit_bits=16"]) == 0
    with open_store(out) as store:
        (row,) = store.points()
        assert (row["config"]["lif"]["lanes"], row["config"]["noc"]["flit_bits"]) == (4, 16)
        assert store.spec["set"] == {"lif.lanes": 4, "noc.flit_bits": 16}
    assert main(how) == 2  # that is another sweep
    assert main([*how, "--set", "adc.bits=5"]) == 2  # an axis


def test_store_is_plain_sqlite_and_csv(files: Path, tmp_path: Path) -> None:
    spec = base(axes={"threshold": [0.2, 0.4]}, seed=7)
    store, _ = run(files, spec, tmp_path)
    store.close()
    with sqlite3.connect(tmp_path / "sweep.sqlite") as connection:
        rows = connection.execute(
            "SELECT json_extract(axes, '$.threshold'), json_extract(config, '$.adc.bits'), seed, version, "
            "config_sha256, dynamic_energy_pj, static_energy_pj FROM sweep ORDER BY point"
        ).fetchall()
    connection.close()
    chip = imcsim.hardware.load("dtsnn_32nm")
    assert [row[:5] for row in rows] == [
        (threshold, chip.config.adc.bits, 7, imcsim.__version__, chip.sha256) for threshold in (0.2, 0.4)
    ]
    with (tmp_path / "table.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    for one, row in zip(table, rows, strict=True):
        assert float(one["dynamic_energy_pj"]) == row[5]
        assert float(one["static_energy_pj"]) == row[6]
    with open_store(tmp_path) as again:
        assert again.spec == spec
        frame = again.to_frame()
        assert list(frame["threshold"]) == [0.2, 0.4]
        assert list(frame["dynamic_energy_pj"]) == [row[5] for row in rows]


def test_nothing_is_run_twice_and_other_sweeps_are_refused(files: Path, tmp_path: Path) -> None:
    spec = base(axes={"threshold": [0.2, 0.4]})
    run(files, spec, tmp_path)[0].close()
    before = (tmp_path / "table.csv").read_bytes()
    store, summary = run(files, spec, tmp_path)
    store.close()
    assert (summary.points, summary.earlier, summary.computed) == (2, 2, 0)
    assert (tmp_path / "table.csv").read_bytes() == before
    with pytest.raises(ImcsimError, match="another spec"):
        run(files, base(axes={"threshold": [0.2, 0.5]}), tmp_path)
    assert (tmp_path / "table.csv").read_bytes() == before


def test_changed_files_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path)
    spec = base(axes={"threshold": [0.2, 0.4]})
    run(tmp_path, spec, tmp_path / "out")[0].close()
    write_files(tmp_path, seed=6)
    with pytest.raises(ImcsimError, match=r"(net|held|test)\S* has changed"):
        run(tmp_path, spec, tmp_path / "out")


def test_a_second_sweep_in_the_folder_is_refused(files: Path, tmp_path: Path) -> None:
    refused = []

    def second(stage: str, done: int, total: int) -> None:
        with pytest.raises(ImcsimError, match="running") as caught:
            run(files, base(axes={"threshold": [0.2]}), tmp_path)
        refused.append(caught)

    run(files, base(axes={"threshold": [0.2]}), tmp_path, progress=second)[0].close()
    assert refused


def test_damaged_kept_values_are_computed_anew(files: Path, tmp_path: Path) -> None:
    axes = {"activity.spike_coding": ["bitmap", "aer"], "threshold": [0.2]}
    run(files, base(axes=axes), tmp_path)[0].close()
    before = (tmp_path / "table.csv").read_bytes()
    for path in (tmp_path / "activity").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    (tmp_path / "sweep.sqlite").unlink()
    from imcsim.sweeps import tasks as work

    work._PROCESS = work._Process()
    run(files, base(axes=axes), tmp_path)[0].close()
    assert (tmp_path / "table.csv").read_bytes() == before


def test_failed_points_can_be_tried_again(files: Path, tmp_path: Path) -> None:
    write_files(tmp_path)
    whole = (tmp_path / "test.npz").read_bytes()
    (tmp_path / "late.npz").write_bytes(whole[:100])
    spec = base(zip=[{"inputs": ["test.npz", "late.npz"]}], threshold=0.2)
    store, summary = run(tmp_path, spec, tmp_path / "out")
    store.close()
    assert summary.failed == 1
    store, summary = run(tmp_path, spec, tmp_path / "out", retry_failed=True)
    store.close()
    assert (summary.earlier, summary.failed) == (1, 1)


@pytest.mark.usefixtures("rough_figures")
def test_command(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(files, base(axes={"adc.bits": [4, 99], "threshold": [0.1, 0.2]}))
    assert main(["sweep", str(path), "--dry-run"]) == 0
    assert "4 points need 2 functional runs and 1 ADC calibration" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert main(["sweep", str(path), "--out", str(tmp_path / "out"), "--workers", "1"]) == 1
    captured = capsys.readouterr()
    assert "4 points: 4 run now, 0 before; 2 failed" in captured.out
    assert "adc.bits" in captured.err
    assert main(["sweep", str(path)]) == 2
    assert main(["sweep", str(path), "--out", "x", "--workers", "2", "--scheduler", "y"]) == 2
    assert main(["sweep", str(files / "none.yaml"), "--out", str(tmp_path / "o")]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_python_interface(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    about: dict[str, Any] = {"model": "net", "inputs": "test.npz", "validation": "held.npz"}
    result = imcsim.compare(**about, overrides={"adc.bits": 4}, timesteps=2)
    shelf = Loader()
    with imcsim.sweep(base(timesteps=2, axes={"adc.bits": [4]}), workers=1) as store:
        row = next(store.points())
        assert row["result_sha256"] == hashlib.sha256(to_json(as_a_point(result)).encode()).hexdigest()
        check_equal(store, files, base(timesteps=2, axes={"adc.bits": [4]}))
    frame = result.to_frame()
    assert list(frame["policy"]) == ["static", "static", "dynamic"]
    assert list(frame["energy_pj"]) == [p.energy_pj for p in result.static] + [result.dynamic.energy_pj]
    assert list(frame["issue"]) == [p.issue for p in result.static] + ["wait"]
    one = imcsim.run(**about, policy="static", timesteps=2, overrides={"adc.bits": 4})
    assert one.outcome.energy_pj == pytest.approx(result.opponents[0].static[-1].energy_pj)
    assert one.to_frame()["energy_pj"][0] == one.outcome.energy_pj
    several = imcsim.stream(**about, threshold=0.3)
    assert several.to_frame()["makespan_ns"][0] == several.makespan_ns
    from imcsim.studies.settings import RunSettings

    setting = RunSettings(model="net", inputs="test.npz", validation="held.npz")
    loaded = imcsim.compare(
        shelf.network(setting), imcsim.hardware.load("dtsnn_32nm", {"adc.bits": 4}), shelf.inputs(setting),
        shelf.validation(setting), timesteps=2,
    )  # fmt: skip
    assert json.loads(to_json(loaded)) == json.loads(to_json(result))
    few = imcsim.compare(**about, images=7, threshold=0.2)
    again = imcsim.compare(**{**about, "inputs": shelf.inputs(setting)}, images=7, threshold=0.2)
    assert to_json(few) == to_json(again)
    with pytest.raises(TypeError, match="treshold"):
        imcsim.compare(**about, treshold=0.2)  # type: ignore[call-arg]
    with pytest.raises(ImcsimError, match="overrides"):
        imcsim.compare(**about, hardware=imcsim.hardware.load("dtsnn_32nm"), overrides={"adc.bits": 4})


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 3}, {"threshold": "a"}, {"threshold": float("nan")}, {"timesteps": 0},
        {"timesteps": 1.5}, {"rule": "x"}, {"seed": -1}, {"workers": 0}, {"workers": True}, {"images": "3"},
        {"encoding": "q"}, {"overrides": [1]}, {"model": 5}, {"hardware": None}, {"inputs": 3},
        {"validation": 3}, {"accumulation": "x"}, {"fidelity": object()},
    ],
)  # fmt: skip
def test_functions_refuse_what_commands_refuse(wrong: dict[str, Any]) -> None:
    with pytest.raises(ImcsimError) as caught:
        imcsim.compare(**{"images": 2, "threshold": 0.3, **wrong})
    assert next(iter(wrong)) in str(caught.value)


@pytest.mark.parametrize("spec", [5, None, ["axes"]])
def test_what_is_no_spec_is_refused(spec: Any) -> None:
    with pytest.raises(ImcsimError, match="spec"):
        imcsim.sweep(spec, workers=1)


def test_frames_without_pandas_say_what_to_install(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    store, _ = run(files, base(threshold=0.2), tmp_path)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with store, pytest.raises(ImcsimError, match=r"imcsim\[frames\]"):
        store.to_frame()
