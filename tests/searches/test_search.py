"""Searches: the front that they find, going on after any death, and what they say of mistakes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_files import base, write_files, write_spec

from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import cli, main
from imcsim.searches import load_search, search
from imcsim.searches.goals import OBJECTIVES, front
from imcsim.searches.json_schema import json_schema
from imcsim.searches.proposals import Proposals, Verdict
from imcsim.searches.ranges import is_ordered, read_range
from imcsim.studies.loading import Loader
from imcsim.sweeps import Summary, load_spec, open_store, sweep
from imcsim.sweeps.axes import BadAxis
from imcsim.sweeps.constraints import parse_constraint
from imcsim.sweeps.spec import SweepAxis

pytest.importorskip("optuna", reason="searches need the extra `search`")

AXES: dict[str, Any] = {
    "adc.bits": [4, 5, 6, 8],
    "noc.flit_bits": [16, 32, 64],
    "threshold": {"linspace": [0.0, 0.5, 6]},
}
FEWER: dict[str, Any] = {**AXES, "adc.bits": [4, 6], "noc.flit_bits": [16, 64]}
QUICK = {"set": {"mapping.placement": "rows"}}
"""Tiles are placed at once."""

GOALS = ["energy", "latency", "area", "accuracy"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


def spec(**more: Any) -> dict[str, Any]:
    return base(axes=AXES, objectives=GOALS, **QUICK, **more)


def at(folder: Path, given: dict[str, Any], name: str = "search.yaml") -> Path:
    return write_spec(folder, given, name)


@pytest.fixture(scope="module")
def exhaustive(files: Path) -> list[dict[str, Any]]:
    """Every combination on the validation images, by `imcsim sweep`."""
    plan = base(axes=AXES, **QUICK) | {"inputs": "held.npz"}
    with sweep(load_spec(at(files, plan, "all.yaml")), files / "all", workers=1) as store:
        return list(store.table())


def costs(row: dict[str, Any], prefix: str = "dynamic_") -> tuple[float, ...]:
    """What a search makes small, of a row."""
    energy, latency, accuracy = (row[f"{prefix}{n}"] for n in ("energy_pj", "latency_ns", "accuracy"))
    return energy, latency, row["area_um2"], -accuracy


def best(rows: list[dict[str, Any]]) -> set[tuple[float, ...]]:
    """The front by its definition, pair by pair."""
    all_ = [costs(row) for row in rows]
    return {
        a for a in all_ if not any(b != a and all(y <= x for x, y in zip(a, b, strict=True)) for b in all_)
    }


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("axes", [FEWER, pytest.param(AXES, marks=pytest.mark.slow)], ids=["fewer", "all"])
def test_all_trials_find_the_front_of_the_exhaustive_sweep(
    axes: dict[str, Any], files: Path, exhaustive: list[dict[str, Any]], tmp_path: Path
) -> None:
    plan = at(files, base(axes=axes, objectives=GOALS, **QUICK))
    summary = Summary()
    with search(load_search(plan), tmp_path / "whole", trials=500, workers=1, summary=summary) as store:
        found = {costs(row, "validation_") for row in store.front()}
        tried = {tuple(row["axes"].values()) for row in store.outcomes()}
    assert len(exhaustive) == 72
    kept = [row for row in exhaustive if all(row[key] in axes[key] for key in ("adc.bits", "noc.flit_bits"))]
    assert summary.points == len(kept) == (24 if axes is FEWER else 72)
    assert len(tried) == len(kept)  # nothing twice
    assert found == best(kept)


@pytest.mark.parametrize("seeds", [6, pytest.param(12, marks=pytest.mark.slow)])
def test_what_was_learned_helps(seeds: int, files: Path, exhaustive: list[dict[str, Any]]) -> None:
    """Half of the points, several seeds: samplers that learn find more of the true front than chance."""
    known = {tuple(row[key] for key in AXES): costs(row) for row in exhaustive}
    wanted = best(exhaustive)

    def share_found(sampler: str, seed: int) -> float:
        plan = load_search(at(files, spec(sampler=sampler, seed=seed, population=12), "learn.yaml"))
        proposals, found = Proposals(plan, Loader()), set()
        for _ in range(6):
            for point in proposals.ask(6):
                cost = known[tuple(point.values[key] for key in AXES)]
                found.add(cost)
                proposals.tell(point.index, Verdict((*cost[:3], -cost[3])))
        return len(found & wanted) / len(wanted)

    by_chance, evolved, modelled = (
        np.mean([share_found(sampler, seed) for seed in range(seeds)])
        for sampler in ("random", "nsga2", "tpe")
    )
    assert evolved > by_chance + 0.1
    assert modelled > by_chance + 0.1


def test_the_front_is_judged_on_validation_images_and_reported_on_the_others(files: Path) -> None:
    given = spec(trials=8, constraints=["accuracy >= 0.3", "adc.bits > 4 or noc.flit_bits < 64"])
    with search(load_search(at(files, given, "few.yaml")), files / "few", workers=1) as store:
        rows, points = store.front(), list(store.points())
    assert {row["inputs"].split(".")[0] for row in points} == {"held"}
    assert all(row["adc.bits"] > 4 or row["noc.flit_bits"] < 64 for row in (p["axes"] for p in points))
    assert rows
    assert all(row["validation_accuracy"] >= 0.3 for row in rows)
    row = rows[0]
    out = files / "one.json"
    command = [
        "compare", "--model", "net", "--inputs", "test.npz", "--validation", "held.npz", "--json", str(out),
        "--threshold", str(row["threshold"]), "--quiet",
        "--set", "mapping.placement=rows", "--set", f"adc.bits={row['adc.bits']}",
        "--set", f"noc.flit_bits={row['noc.flit_bits']}",
    ]  # fmt: skip
    here = Path.cwd()
    os.chdir(files)
    try:
        assert main(command) == 0
    finally:
        os.chdir(here)
    dynamic = json.loads(out.read_text())["dynamic"]
    for name in ("accuracy", "energy_pj", "latency_ns", "edp_mean_of_products"):
        assert row[f"test_{name}"] == dynamic[name]
    table = read(files / "few" / "front.csv")
    assert [float(one["test_energy_pj"]) for one in table] == [one["test_energy_pj"] for one in rows]
    with open_store(files / "few" / "front") as shown:
        assert shown.finished() == {one["point"] for one in rows}
        assert {point["inputs"].split(".")[0] for point in shown.points()} == {"test"}


DIES = """
import os, signal, sys
from imcsim.sweeps.store import Store

add, count = Store.add, iter(range(1, 100))

def add_then_die(store, record):
    add(store, record)
    if next(count) == 7:
        os.killpg(0, signal.SIGKILL)

Store.add = add_then_die
from imcsim.commands.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""A search that is killed with all its workers after so many trials, on however busy a machine."""


@pytest.mark.parametrize(("workers", "trials"), [(1, 12), pytest.param(2, 20, marks=pytest.mark.slow)])
def test_no_number_of_workers_and_no_stop_changes_a_byte(
    workers: int, trials: int, files: Path, tmp_path: Path
) -> None:
    """Two workers are killed; then one goes on, or two."""
    path = at(files, spec(trials=trials, batch=4, population=6), "same.yaml")
    one, killed = tmp_path / "one", tmp_path / "killed"
    with search(load_search(path), one, workers=1):
        pass
    command = [
        sys.executable,
        "-c",
        DIES,
        "search",
        str(path),
        "--out",
        str(killed),
        "--workers",
        "2",
    ]
    done = subprocess.run(command, start_new_session=True, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL
    before = rows_of(killed)
    assert 0 < len(before) < trials
    # fewer trials than the search may have had, then the rest
    with search(load_search(path), killed, trials=8, workers=1):
        pass
    summary = Summary()
    with search(load_search(path), killed, workers=workers, summary=summary):
        pass
    assert summary.earlier >= max(8, len(before))
    for name in ("table.csv", "front.csv", "front/table.csv"):
        assert (killed / name).read_bytes() == (one / name).read_bytes()
    with open_store(killed) as store:
        kept = {row["point"]: row["seconds"] for row in store.points()}
    assert {point: kept[point] for point in before} == before  # nothing was run twice


def rows_of(folder: Path) -> dict[int, float]:
    try:
        with open_store(folder) as store:
            return {row["point"]: row["seconds"] for row in store.points()}
    except ImcsimError:
        return {}


def test_points_that_fail_are_rows_and_not_the_end(files: Path) -> None:
    given = spec(trials=12) | {
        "axes": {"adc.bits": [5, 6], "cells.rows": [64, 3, 128], "threshold": [0.1, 0.3]}
    }
    summary = Summary()
    with search(
        load_search(at(files, given, "bad.yaml")), files / "bad", workers=1, summary=summary
    ) as store:
        failed = [row["axes"]["cells.rows"] for row in store.outcomes() if row["status"] == "failed"]
        assert all(row["cells.rows"] != 3 for row in store.front())
        assert store.front()
    assert summary.points == 12
    assert failed == [3] * 4
    assert summary.failed == 4


def test_when_no_point_meets_the_constraints_the_command_says_so(files: Path) -> None:
    path = at(files, spec(trials=3, constraints=["energy < 1"]), "none.yaml")
    result = CliRunner().invoke(cli, ["search", str(path), "--out", str(files / "none"), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert "no point that meets the constraints was found" in result.output
    assert read(files / "none" / "front.csv") == []


def test_ranges_zips_and_words_are_searched_over(files: Path) -> None:
    axes = {
        "threshold": {"between": [0, 1]},
        "noc.flit_bits": {"between": [8, 64]},
        "lif.lanes": {"log_between": [1, 16]},
        "issue": ["wait", "speculate"],
    }
    given = base(
        axes=axes, objectives=["edp", "accuracy"], trials=6, sampler="tpe",
        zip=[{"cells.rows": [64, 128], "cells.columns": [64, 128]}],
    )  # fmt: skip
    with search(load_search(at(files, given, "wide.yaml")), files / "wide", workers=1) as store:
        rows = [row["axes"] for row in store.outcomes()]
        assert store.counts() == {"done": 6, "failed": 0}
    for row in rows:
        assert row["cells.rows"] == row["cells.columns"]
        assert isinstance(row["noc.flit_bits"], int)
        assert 8 <= row["noc.flit_bits"] <= 64
        assert isinstance(row["threshold"], float)
        assert float(f"{row['threshold']:.6g}") == row["threshold"]
    assert len({row["threshold"] for row in rows}) == 6


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no objectives": ({"objectives": None}, "objectives"),
    "empty": ({"objectives": []}, "objectives"),
    "unknown objective": ({"objectives": ["enrgy"]}, "did you mean 'energy'?"),
    "twice": ({"objectives": ["energy", "energy"]}, "stands twice"),
    "sampler": ({"sampler": "bayes"}, "nsga2"),
    "no axes": ({"axes": {}}, "nothing to search over"),
    "images": ({"axes": {"inputs": ["test.npz", "held.npz"]}}, "same images"),
    "unknown key": ({"axes": {"adc.bitz": {"between": [3, 8]}}}, "adc.bits"),
    "upside down": ({"axes": {"adc.bits": {"between": [8, 3]}}}, "holds nothing"),
    "three numbers": ({"axes": {"adc.bits": {"between": [1, 2, 3]}}}, "two numbers"),
    "log of zero": ({"axes": {"threshold": {"log_between": [0, 1]}}}, "above 0"),
    "share": ({"axes": {"threshold": {"between": [0, 2]}}}, "threshold"),
    "mixed": ({"constraints": ["accuracy > adc.percentile"]}, "a constraint of their own"),
    "no expression": ({"constraints": ["accuracy >"]}, "no expression"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_spec_is_said_with_its_line(files: Path, case: str) -> None:
    change, text = WRONG[case]
    given = {key: value for key, value in (spec() | change).items() if value is not None}
    path = at(files, given, "wrong.yaml")
    with pytest.raises(ImcsimError, match=r"wrong\.yaml:") as error:
        load_search(path)
    assert text in str(error.value)


def test_a_search_needs_validation_images(files: Path) -> None:
    given = spec()
    del given["validation"]
    with pytest.raises(ImcsimError, match="validation images"):
        search(load_search(at(files, given, "blind.yaml")), files / "blind", workers=1)
    assert not (files / "blind").exists()


def test_a_folder_of_another_spec_is_refused(files: Path) -> None:
    given = spec(trials=2)
    with search(load_search(at(files, given, "a.yaml")), files / "taken", workers=1):
        pass
    for other in (given | {"sampler": "random"}, given | {"objectives": ["energy"]}, given | {"seed": 3}):
        with pytest.raises(ImcsimError, match="another spec"):
            search(load_search(at(files, other, "b.yaml")), files / "taken", workers=1)
    with pytest.raises(ImcsimError, match="another spec"):
        sweep(load_spec(at(files, base(axes=AXES), "c.yaml")), files / "taken", workers=1)


def test_without_optuna_the_command_names_the_extra(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    path = at(files, spec(), "missing.yaml")
    assert main(["search", str(path), "--out", str(files / "missing")]) == 2
    assert "imcsim[search]" in capsys.readouterr().err


@pytest.mark.usefixtures("rough_figures")
def test_the_command_says_what_does_not_hold_of_its_front(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = at(files, spec(trials=3) | {"set": {"technology.node_nm": 22.0}}, "warned.yaml")
    assert main(["search", str(path), "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    told = capsys.readouterr()
    with open_store(tmp_path / "out" / "front") as reported:
        points = sum(1 for _ in reported.points())
    said = " ".join(told.err.split())
    how_many = f"{points} of {points} point{'s' if points > 1 else ''}"
    assert said.count(f"warning: {how_many}: offchip_link.bit_energy_pj is given") == 1
    lines = [line for line in told.err.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 80
    assert {str(tmp_path / "out" / name) for name in ("front.csv", "front")} <= set(
        told.out.replace(",", "").split()
    )
    assert not (files / "missing").exists()


def test_figures_of_a_front_show_its_points_on_the_reported_images(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imcsim.report import fronts

    drawn: dict[str, Any] = {}

    def keep(draw: Any, formats: Any, name: str) -> Any:
        drawn[name] = draw()
        return {}, None

    folder = files / "drawn"
    with search(load_search(at(files, spec(trials=8), "drawn.yaml")), folder, workers=1):
        pass
    monkeypatch.setattr(fronts, "draw_one", keep)
    fronts.write_front_files(folder)
    with (folder / "front_table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["on_front"] for row in rows} == {"objectives"}
    for name in ("pareto_edp", "pareto_energy"):
        for run, label in (("dynamic", "dynamic: front"), ("static", "static, T max")):
            (line,) = [one for one in drawn[name].axes[0].get_lines() if one.get_label() == label]
            shown = sorted(100 * float(row["accuracy"]) for row in rows if row["run"].startswith(run))
            assert sorted(line.get_ydata()) == pytest.approx(shown)
            assert line.get_linestyle() == "None"


def test_the_study_opens_in_optuna(files: Path) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    with search(load_search(at(files, spec(trials=5), "study.yaml")), files / "study", workers=1):
        pass
    storage = JournalStorage(JournalFileBackend(str(files / "study" / "study.journal")))
    study = optuna.load_study(study_name=None, storage=storage)
    assert len(study.trials) >= 5
    assert [str(d.name) for d in study.directions] == ["MINIMIZE"] * 3 + ["MAXIMIZE"]


def test_the_study_holds_the_values_of_the_keys(files: Path) -> None:
    """Numbers, texts, keys that change together, thresholds of several timesteps, and ranges."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    axes = {
        "adc.bits": [5, 6],
        "issue": ["wait", "speculate"],
        "threshold": [None, 0.3, [0.3, 0.2]],
        "noc.flit_bits": {"between": [16, 64]},
    }
    zipped = [{"cells.rows": [32, 64], "cells.columns": [64, 32]}]
    asked = base(axes=axes, zip=zipped, objectives=["energy", "accuracy"], trials=8, **QUICK)
    folder = files / "values"
    with search(load_search(at(files, asked, "values.yaml")), folder, workers=1) as store:
        tried = {row["point"]: row for row in store.outcomes()}
    study = optuna.load_study(
        study_name=None, storage=JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    )
    assert study.metric_names == ["energy_pj", "accuracy"]
    seen = set()
    for trial in study.trials:
        row = tried[trial.user_attrs["point"]]
        seen.add(row["point"])
        assert trial.params == {**row["axes"], "threshold": _journalled(row["axes"]["threshold"])}
        assert trial.values == [row["energy_pj"], row["accuracy"]]
        assert "fixed_params" not in trial.system_attrs
    assert seen == set(tried)
    assert study.trials[0].distributions["adc.bits"].choices == (5, 6)


def _journalled(threshold: Any) -> Any:
    """Optuna keeps no lists: where one stands among the values, all of them are texts."""
    return json.dumps(threshold)


def test_the_study_opens_in_optuna_s_dashboard(files: Path) -> None:
    """Its server answers with the trials, and with how far each is from meeting the constraints; nothing is
    sent over a network."""
    dashboard = pytest.importorskip("optuna_dashboard")
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    asked_for = spec(trials=5, constraints=["energy < 1"])  # pJ: no chip takes so little
    with search(load_search(at(files, asked_for, "shown.yaml")), files / "shown", workers=1) as store:
        tried = {row["point"]: row for row in store.outcomes()}
    journal = JournalFileBackend(str(files / "shown" / "study.journal"))
    server = dashboard.wsgi(JournalStorage(journal))

    def asked(path: str) -> Any:
        request = {
            "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "none",
            "SERVER_PORT": "80", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
        }  # fmt: skip
        status: list[str] = []
        body = b"".join(server(request, lambda text, headers, error=None: status.append(text)))
        assert status[-1].startswith("200"), body
        return json.loads(body)

    (study,) = asked("/api/studies")["study_summaries"]
    assert study["directions"] == ["minimize"] * 3 + ["maximize"]
    trials = asked(f"/api/studies/{study['study_id']}")["trials"]
    done = [trial for trial in trials if trial["state"] == "Complete"]
    assert len(trials) == len(tried)
    energies = sorted(row["energy_pj"] for row in tried.values() if row["status"] == "done")
    assert sorted(trial["values"][0] for trial in done) == pytest.approx(energies)
    assert all(len(trial["constraints"]) == 1 and trial["constraints"][0] > 0 for trial in done)


@pytest.mark.parametrize("case", ["as it is", *WRONG])
def test_the_schema_knows_what_a_spec_may_say(case: str) -> None:
    """What only reading can know (keys of the chip, which number is larger, expressions) passes."""
    judged_later = {
        "unknown key",
        "upside down",
        "mixed",
        "no expression",
        "no axes",
        "images",
        "log of zero",
    }
    change, _ = WRONG.get(case, ({}, ""))
    given = {key: value for key, value in (spec() | change).items() if value is not None}
    if case == "as it is":
        ranges = {"threshold": {"between": [0, 0.5]}, "lif.lanes": {"log_between": [1, 64]}}
        given |= {"axes": AXES | ranges, "rule": ["entropy", "margin"], "trials": 9, "sampler": "tpe"}
    sound = jsonschema.Draft202012Validator(json_schema()).is_valid(given)
    assert sound == (case in {"as it is", *judged_later} or case == "share")


# --- the parts


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 2), max_size=20))
def test_a_front_is_what_nothing_beats(rows: list[tuple[int, int]]) -> None:
    goals = [OBJECTIVES["energy"], OBJECTIVES["accuracy"]]
    kept = front(rows, goals)
    for k, (energy, accuracy) in enumerate(rows):
        beaten = any(e <= energy and a >= accuracy and (e, a) != (energy, accuracy) for e, a in rows)
        assert (k in kept) == (not beaten)


@pytest.mark.parametrize(
    ("text", "away"),
    [
        ("accuracy >= 0.8", 0.5),
        ("accuracy <= 0.8", 0.0),
        ("accuracy < 0.2", 0.5),
        ("accuracy > 0.2 and accuracy > 0.8", 1.0),
        ("accuracy == 3", 1.0),
        ("accuracy > 0.4", 1e-12),
    ],
)
def test_how_far_a_constraint_is_from_true(text: str, away: float) -> None:
    assert parse_constraint(text).violation({"accuracy": 0.4}) == pytest.approx(away)


def test_only_numbers_in_order_are_neighbours() -> None:
    assert is_ordered(SweepAxis(("a",), ((1,), (2,), (5,))))
    assert is_ordered(SweepAxis(("a", "b"), ((1, 9.0), (2, 3.0))))
    assert not is_ordered(SweepAxis(("a",), ((1,), (5,), (2,))))
    assert not is_ordered(SweepAxis(("a",), ((None,), (5,))))
    assert not is_ordered(SweepAxis(("a",), ((False,), (True,))))


@given(st.floats(0.001, 1), st.floats(1.5, 1000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_some_values_of_a_range_lie_in_it_and_hold_its_ends(low: float, high: float, log: bool) -> None:
    within = read_range({"log_between" if log else "between": [low, high]}, real=False)
    values = within.some()
    assert values[0] == low
    assert values[-1] == high
    assert values == sorted(set(values))
    with pytest.raises(BadAxis):
        read_range({"between": [high, low]}, real=False)
