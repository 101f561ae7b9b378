"""`imcsim diff`: what is said to differ, against the two sides themselves."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from networks import random_images, random_network
from rough import draw_roughly

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import cli, main
from imcsim.diffs import Change, Diff, diff_chips, diff_results, kind_of, read_result
from imcsim.report.terminal.diff import diff_json

BASE = "dtsnn_32nm"
RUN = ["--images", "12", "--threshold", "0.9", "--quiet", "--workers", "1"]
NETWORK = random_network(np.random.default_rng(1), depth=3, size=6)


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A small network and images, so that runs take no time."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(3)
    imcsim.network.save(NETWORK, folder / "net")
    images = random_images(rng, NETWORK.input_shape, 12)
    imcsim.inputs.save(folder / "images.npz", images, rng.integers(0, NETWORK.classes, 12), split="test")
    RUN.extend(["--model", str(folder / "net"), "--inputs", str(folder / "images.npz")])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a chip, of the same with coarser ADCs and a narrower mesh, and of other commands."""
    folder = tmp_path_factory.mktemp("results")
    changes = ["--set", "adc.bits=6", "--set", "noc.flit_bits=16"]
    with pytest.MonkeyPatch.context() as patch:
        draw_roughly(patch)
        assert main(["compare", *RUN, "--out", str(folder / "a")]) == 0
        assert main(["compare", *RUN, *changes, "--out", str(folder / "b")]) == 0
    assert main(["run", *RUN, "--json", str(folder / "run_a.json")]) == 0
    assert main(["run", *RUN, *changes, "--json", str(folder / "run_b.json")]) == 0
    assert main(["stream", *RUN, "--json", str(folder / "stream_a.json")]) == 0
    assert main(["stream", *RUN, *changes, "--json", str(folder / "stream_b.json")]) == 0
    return folder


def document(found: Diff) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(diff_json(found))
    return data


# --- chips


def test_chips_differ_in_what_was_changed_and_in_what_follows() -> None:
    a, b = imcsim.hardware.load(BASE), imcsim.hardware.load(BASE, {"adc.bits": 5, "noc.hop_cycles": 7})
    found = diff_chips(a, b)
    assert {(v.key, v.a, v.b, v.unit, v.mark_a, v.mark_b) for v in found.values} == {
        ("adc.bits", 8, 5, "bit", "est", "given"),
        ("noc.hop_cycles", a.config.noc.hop_cycles, 7, "cycle", a.provenance["noc.hop_cycles"].mark, "given"),
    }
    energies, areas = ({c.name: c for c in some} for some in (found.energy_pj, found.area_um2))
    # A converter of fewer bits also makes reads shorter, and tiles smaller, which shortens wires, the
    # verdict's too.
    assert set(areas) == {"adc"}
    assert {name.split(".")[0] for name in energies} == {
        "adc", "cells", "checker", "clamp", "htree", "noc", "state_memory"
    }  # fmt: skip
    assert energies["adc.conversions"] == Change(
        "adc.conversions",
        a.config.adc.conversion_energy_pj(a.config),
        b.config.adc.conversion_energy_pj(b.config),
    )
    assert areas["adc"] == Change("adc", a.config.adc.area_um2(a.config), b.config.adc.area_um2(b.config))
    assert {c.name for c in found.leakage_uw} == {"adc"}
    presets = {
        f"adc.presets.{name}.{key}"
        for name in a.config.adc.presets
        for key in ("conversion_energy_pj", "converter_area_um2")
    }
    assert presets <= {e.name for e in found.estimates}
    assert "cells.read_pulse_ns" in {e.name for e in found.estimates}


@pytest.mark.parametrize("name", ["dtsnn_32nm", "isaac_32nm", "spikesim_65nm"])
def test_a_chip_does_not_differ_from_itself(name: str) -> None:
    found = diff_chips(imcsim.hardware.load(name), imcsim.hardware.load(name))
    assert not any((found.values, found.estimates, found.energy_pj, found.area_um2, found.leakage_uw))


def test_turned_round_a_diff_has_its_sides_exchanged() -> None:
    a, b = imcsim.hardware.load("isaac_32nm"), imcsim.hardware.load("spikesim_65nm")
    one, other = diff_chips(a, b), diff_chips(b, a)
    for name in ("estimates", "energy_pj", "area_um2", "leakage_uw"):
        mine = {(c.name, c.a, c.b) for c in getattr(one, name)}
        assert mine == {(c.name, c.b, c.a) for c in getattr(other, name)}
        assert mine
    assert {(v.key, str(v.a), str(v.b)) for v in one.values} == {
        (v.key, str(v.b), str(v.a)) for v in other.values
    }


def test_every_value_that_is_not_listed_is_the_same() -> None:
    a, b = imcsim.hardware.load("isaac_32nm"), imcsim.hardware.load("spikesim_65nm")
    listed = {value.key for value in diff_chips(a, b).values}
    mine, theirs = (chip.config.model_dump(mode="json", by_alias=True) for chip in (a, b))
    for key in set(a.provenance) & set(b.provenance):
        left, right = mine, theirs
        for part in key.split("."):
            left, right = left[part], right[part]
        assert (left != right) == (key in listed), key
    assert {"cells.kind", "name"} <= listed


def test_reference_tables_count_as_values(tmp_path: Path) -> None:
    (tmp_path / "art.yaml").write_text("ART:\n  version: 0.4\n  tables:\n  - {name: adc, area: 4.0}\n")
    (tmp_path / "mine.yaml").write_text(f"extends: {BASE}\nreference_tables: [art.yaml]\n")
    a, b = imcsim.hardware.load(BASE), imcsim.hardware.load(tmp_path / "mine.yaml")
    found = diff_chips(a, b)
    assert [(v.key, v.a, v.b) for v in found.values] == [("reference table.adc.area", None, 4.0)]
    assert [(c.name, c.b) for c in found.area_um2] == [("adc", 4.0)]


def test_quotients_are_there_where_there_is_something_to_divide_by() -> None:
    assert Change("x", 2.0, 3.0).relative == 0.5
    assert Change("x", 2.0, 3.0).change == 1.0
    assert Change("x", 0.0, 3.0).relative is None
    assert Change("x", None, 3.0).change is None
    assert Change("x", 3.0, None).relative is None


# --- results


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ("a", "b", "compare"),
        ("run_a.json", "run_b.json", "run"),
        ("stream_a.json", "stream_b.json", "stream"),
    ],
)
def test_results_are_compared_figure_by_figure(results: Path, a: str, b: str, kind: str) -> None:
    one, other = str(results / a), str(results / b)
    assert kind_of(one) == kind
    found = diff_results(one, other)
    data = document(found)
    assert data["kind"] == data["results"]["kind"] == kind
    assert {v["key"]: (v["a"], v["b"]) for v in data["chip"]["values"]} == {
        "adc.bits": (8, 6), "noc.flit_bits": (32, 16)
    }  # fmt: skip
    mine, theirs = (
        json.loads((Path(n) / "result.json" if Path(n).is_dir() else Path(n)).read_text())
        for n in (one, other)
    )
    whole = {"compare": "dynamic", "run": "outcome"}.get(kind)
    prefix = "dynamic." if kind == "compare" else ""
    for figure in ("energy_pj", "latency_ns", "accuracy", "mean_timesteps"):
        left, right = ((d if whole is None else d[whole])[figure] for d in (mine, theirs))
        (row,) = [f for f in data["results"]["figures"] if f["name"] == prefix + figure]
        assert (row["a"], row["b"], row["change"]) == (left, right, right - left)
        assert row["relative"] == pytest.approx(right / left - 1)
    part = mine if kind != "run" else mine["outcome"]
    figures = {f["name"]: f for f in data["results"]["figures"]}
    assert figures["efficiency.tops_per_w"]["a"] == part["efficiency"]["native"]["tops_per_w"]
    assert figures["programming.energy_pj"]["a"] == part["programming"]["energy_pj"]
    layers = {layer["name"]: layer for layer in data["results"]["layers"]}
    for layer in part["layer_efficiency"]:
        assert layers[layer["name"]]["latency_ns"]["a"] == layer["latency_ns"]
        assert layers[layer["name"]]["edp_pj_ns"]["a"] == layer["edp_pj_ns"]
    if whole is None:
        return
    for name, key in (("components", "energy_pj"), ("layers", "energy_pj")):
        rows = data["results"][name]
        for side in ("a", "b"):
            total = (mine if side == "a" else theirs)[whole]["energy_pj"]
            assert math.fsum(row[key][side] or 0.0 for row in rows) == pytest.approx(total)
            assert math.fsum(row["share"][side] or 0.0 for row in rows) == pytest.approx(1.0)
    actions = {action["name"]: action for action in data["results"]["actions"]}
    assert actions["adc.conversions"]["energy_pj_each"]["relative"] < -0.2
    assert actions["noc.flit_hops"]["count"]["relative"] > 0


def test_a_result_does_not_differ_from_itself(results: Path) -> None:
    found = diff_results(str(results / "a"), str(results / "a" / "result.json"))
    assert found.chip is not None
    assert found.results is not None
    assert not found.chip.values
    assert not found.results.settings
    assert not found.results.actions
    assert all(figure.a == figure.b for figure in found.results.figures)


def test_settings_name_what_was_asked_for(results: Path, tmp_path: Path) -> None:
    other = tmp_path / "static.json"
    without = [*RUN[4:], "--policy", "static", "--images", "11"]
    assert main(["run", *without, "--json", str(other)]) == 0
    found = diff_results(str(results / "run_a.json"), str(other)).results
    assert found is not None
    settings = {value.key: (value.a, value.b) for value in found.settings}
    assert settings["policy"] == ("dynamic", "static")
    assert settings["threshold"] == (0.9, None)
    assert settings["images"] == (12, 11)
    assert "hardware.sha256" not in settings


def test_only_the_chip_of_a_result_s_name_is_looked_at(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = imcsim.hardware.load
    monkeypatch.setattr(
        "imcsim.hardware.load", lambda name, *more: loaded.append(str(name)) or load(name, *more)
    )
    assert diff_results(str(results / "a"), str(results / "b")).chip is not None
    assert set(loaded) == {BASE}


def test_chips_whose_files_are_not_known_are_said_so(results: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"extends: {BASE}\nname: mine\nadc: {{bits: 6}}\n")
    out = tmp_path / "mine.json"
    assert main(["run", *RUN, "--hardware", str(mine), "--json", str(out)]) == 0
    assert diff_results(str(results / "run_a.json"), str(out)).chip is None
    result = CliRunner().invoke(cli, ["diff", str(results / "run_a.json"), str(out)])
    assert "The chips' files are not known here" in result.output


# --- refusals


def test_different_kinds_are_refused(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "network.yaml").write_text("name: x\n")
    (tmp_path / "no.json").write_text("{")
    (tmp_path / "other.json").write_text('{"meta": {}}')
    broken = json.loads((results / "run_a.json").read_text())
    broken["outcome"]["energy_pj"] *= 2
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    a, run, stream = str(results / "a"), str(results / "run_a.json"), str(results / "stream_a.json")
    for arguments, message in (
        ([a, BASE], "is a result of compare, dtsnn_32nm is a chip"),
        ([BASE, run], "dtsnn_32nm is a chip"),
        ([a, run], "is a result of run: they cannot be compared"),
        ([run, stream], "is a result of stream"),
        ([str(tmp_path / "net"), BASE], "this is a network"),
        ([str(tmp_path), BASE], "this is a folder without result.json"),
        ([run, str(tmp_path / "no.json")], "this is no JSON"),
        ([run, str(tmp_path / "other.json")], "no result of compare, run or stream"),
        ([run, str(tmp_path / "broken.json")], "the result is not sound"),
        ([run, str(tmp_path / "missing.json")], "missing.json' (give a chip, a result file, or a folder"),
        ([run, str(results / "run_c.json")], f"(did you mean '{results / 'run_'}"),
        ([a, "nothing"], "there is no chip, file or folder 'nothing' (give a chip"),
        (["nothing", run], "there is no chip, file or folder 'nothing'"),
        ([BASE, "nothing.yaml"], "there is no chip, file or folder 'nothing.yaml'"),
        ([a, "dtsnn_33nm"], "did you mean 'dtsnn_32nm'?"),
        ([a, "vgg7_cifar10"], "'vgg7_cifar10' names a network, neither a chip nor a result (give"),
        (["cifar10_test", BASE], "'cifar10_test' names inputs, neither a chip nor a result"),
        ([BASE], "give B, or what is different"),
        ([run], "give the other result"),
        ([BASE, "dtsnn_33nm"], "did you mean 'dtsnn_32nm'?"),
        ([run, run, "--set", "adc.bits=5"], "--set belongs to chips"),
        ([run, run, "--simulate"], "--simulate belongs to chips"),
        ([BASE, "isaac_32nm", "--images", "5"], "--images belongs to --simulate"),
        ([BASE, "--set", "adc.bitz=5"], "did you mean 'adc.bits'?"),
    ):
        assert main(["diff", *arguments]) == 2, arguments
        said = capsys.readouterr().err
        assert message in said, arguments
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"registers":[', '"registers":[7,', "T max - 1 timesteps have words"),
        ('"timesteps":', '"times":', "the key is missing"),
        ('"schema_version":1', '"schema_version":"one"', "expected"),
    ],
)
def test_damaged_outcomes_are_told_in_our_words(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(results / "a", folder)
    text = (folder / "images.json").read_text().replace(": ", ":")
    assert old in text
    (folder / "images.json").write_text(text.replace(old, new, 1))
    assert main(["diff", str(folder), str(results / "b")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {folder / 'images.json'}:")
    assert said in line
    assert "Value error" not in line
    assert line.endswith("(run the command again)")


def test_reading_something_that_is_no_result_is_refused() -> None:
    with pytest.raises(ImcsimError, match="this is no result"):
        read_result(BASE)


# --- the command


def test_the_command_prints_tables_and_json(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "diff.json"
    shown = CliRunner().invoke(cli, ["diff", BASE, "--set", "adc.bits=5", "--json", str(out)])
    assert shown.exit_code == 0
    for text in ("adc.bits", "given", "adc.conversions", "-49.4 %"):
        assert text in shown.output
    assert json.loads(out.read_text())["b"]["given"] == f"{BASE} --set adc.bits=5"
    both = CliRunner().invoke(cli, ["diff", str(results / "a"), str(results / "b")])
    for text in ("dynamic.energy", "Components", "Layers", "noc.flit_bits", "state_memory"):
        assert text in both.output
    assert max(map(len, both.output.splitlines())) <= 80


def test_settings_reach_the_side_they_are_for() -> None:
    result = CliRunner().invoke(
        cli, ["diff", BASE, BASE, "--set-a", "adc.bits=4", "--set", "adc.bits=6", "--json", "-"]
    )
    data = json.loads(result.stdout)
    assert [(v["key"], v["a"], v["b"]) for v in data["chip"]["values"]] == [("adc.bits", 4, 6)]


def test_simulating_two_chips_gives_what_two_comparisons_give(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "diff.json"
    settings = ["--set", "adc.bits=6", "--set", "noc.flit_bits=16"]
    assert main(["diff", BASE, *settings, "--simulate", *RUN, "--json", str(out)]) == 0
    ours = json.loads(out.read_text())
    theirs = document(diff_results(str(results / "a"), str(results / "b")))
    assert ours["chip"] == theirs["chip"]
    assert ours["results"] == theirs["results"]


def test_files_of_chips_are_compared_too(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        yaml.safe_dump({"extends": BASE, "name": "mine", "cells": {"kind": "driven", "power_uw": 3}})
    )
    result = CliRunner().invoke(cli, ["diff", BASE, str(mine), "--json", "-"])
    data = json.loads(result.stdout)
    values = {v["key"]: (v["a"], v["b"]) for v in data["chip"]["values"]}
    assert values["cells.kind"] == ("conductance", "driven")
    assert values["cells.r_on_ohm"][1] is None
    events = {c["name"]: (c["a"] is None, c["b"] is None) for c in data["chip"]["energy_pj"]}
    assert events["cells.active_wordlines"] == (True, False)
    assert events["cells.active_levels"] == (False, True)
