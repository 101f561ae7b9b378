"""The whole way through the command line, on a small network and inputs in files; nothing is replaced."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images, random_network

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.commands.cli import main
from imcsim.network.graph import Network
from imcsim.results.comparison import CompareResult
from imcsim.results.run import RunResult

CLASSES = 4


def network() -> Network:
    return random_network(np.random.default_rng(8), depth=2, classes=CLASSES, timesteps=3, residual=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network (``net``), inputs and validation inputs."""
    folder = tmp_path_factory.mktemp("stored")
    net = network()
    imcsim.network.save(net, folder / "net")
    for seed, name in enumerate(("inputs", "validation")):
        rng = np.random.default_rng(seed)
        images = random_images(rng, net.input_shape, 30)
        labels = forward(net, images, 3)[net.nodes[-1].name].sum(0).argmax(1)
        labels = np.where(rng.random(30) < 0.2, rng.integers(0, CLASSES, 30), labels)
        split: Any = {"inputs": "test", "validation": "validation"}[name]
        imcsim.inputs.save(folder / f"{name}.npz", images, labels, split=split, classes=CLASSES)
    return folder


def arguments(command: str, stored: Path, *more: str, validation: bool = True) -> list[str]:
    chosen = ["--validation", str(stored / "validation.npz")] if validation else []
    files = ["--model", str(stored / "net"), "--inputs", str(stored / "inputs.npz"), *chosen]
    return [command, *files, "--workers", "1", *more]


ALONE = ("--set", "alternatives.shared=false")
"""The chip without alternatives of its values, which take most of a comparison's time."""


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# What comes out


def test_compare_writes_everything(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, folder = tmp_path / "result.json", tmp_path / "out"
    assert main(arguments("compare", stored, "--json", str(target), "--out", str(folder))) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    for title in ("Energy by component", "Layers (energy per image)", "Exit checker"):
        assert title in shown.out
    result = CompareResult.model_validate_json(target.read_text())
    assert (folder / "result.json").read_text() == target.read_text()
    assert result.meta.network.name == "random"
    assert result.meta.network.sha256 == imcsim.network.load(stored / "net").sha256
    assert result.meta.inputs.sha256 == imcsim.inputs.load(stored / "inputs.npz").sha256
    assert result.meta.inputs.split == "test"
    assert result.meta.hardware.name == "dtsnn_32nm"
    assert [point.timesteps for point in result.static] == [1, 2, 3]
    assert result.dynamic.threshold_source == "validation"
    alike = next(one for one in result.opponents if one.issue == "wait")  # as the dynamic run has it
    assert result.dynamic.energy_pj <= alike.static[-1].energy_pj
    assert result.warnings == ()
    with (folder / "static.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["energy_pj"]) for row in rows] == [point.energy_pj for point in result.static]
    assert list((folder / "figures").glob("*.svg"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "result.json"]


def test_the_same_command_gives_the_same_bytes(stored: Path, tmp_path: Path) -> None:
    for name, workers in (("a", "1"), ("b", "2")):
        command = arguments(
            "compare", stored, "--quiet", "--json", str(tmp_path / name), "--workers", workers, *ALONE
        )
        assert main(command) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_options_reach_the_result(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "--timesteps 2 --threshold 0.25 --rule margin --accumulation sum --images 7 --seed 5 --json - --quiet"
    )
    assert main(arguments("compare", stored, *options.split())) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["meta"]["timesteps"], document["meta"]["images"], document["meta"]["seed"]) == (2, 7, 5)
    dynamic = document["dynamic"]
    assert (dynamic["rule"], dynamic["accumulation"], dynamic["threshold"]) == ("margin", "sum", 0.25)
    assert (dynamic["threshold_source"], dynamic["validation"]) == ("given", None)
    assert len(dynamic["exit_fraction"]) == 2


def test_a_given_threshold_still_calibrates_on_validation_images(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warnings = []
    for validation in (True, False):
        command = arguments(
            "compare", stored, "--threshold", "0.2", "--json", "-", "--quiet", *ALONE, validation=validation
        )
        assert main(command) == 0
        warnings.append(json.loads(capsys.readouterr().out)["warnings"])
    assert warnings[0] == []
    assert ["calibrated on the first reported images" in text for text in warnings[1]] == [True]


def test_runs_agree_with_the_comparison(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments("compare", stored, "--json", "-", "--quiet", *ALONE)) == 0
    both = CompareResult.model_validate_json(capsys.readouterr().out)
    assert main(arguments("run", stored, "--json", "-", "--quiet")) == 0
    dynamic = RunResult.model_validate_json(capsys.readouterr().out)
    assert dynamic.outcome.energy_pj == both.dynamic.energy_pj
    assert dynamic.policy.threshold == both.dynamic.threshold
    command = arguments("run", stored, "--policy", "static", "--json", "-", "--quiet", validation=False)
    assert main(command) == 0
    static = RunResult.model_validate_json(capsys.readouterr().out)
    assert static.policy.threshold is None
    # Calibrated on other images, so that values may differ a little; time does not.
    alike = next(one for one in both.opponents if one.issue == "wait")
    assert static.outcome.latency_ns == alike.static[-1].latency_ns


def own_hardware(folder: Path, *changes: tuple[str, str], name: str = "dtsnn_32nm") -> Path:
    """A built-in chip's file with texts replaced."""
    text = imcsim.hardware.load(name).path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "own.yaml"
    path.write_text(text)
    return path


def test_a_chip_of_ones_own(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chip = own_hardware(
        tmp_path,
        ("name: dtsnn_32nm", "name: own"),
        ("\n  mode: {value: keep,", "\n  mode: {value: recompute,"),
    )
    documents = {}
    for hardware in (str(chip), "dtsnn_32nm", "spikesim_65nm"):
        assert (
            main(arguments("compare", stored, "--hardware", hardware, "--json", "-", "--quiet", *ALONE)) == 0
        )
        documents[hardware] = json.loads(capsys.readouterr().out)
    own, built_in = documents[str(chip)], documents["dtsnn_32nm"]
    assert own["meta"]["hardware"]["name"] == "own"
    assert own["meta"]["hardware"]["encoder"] == "recompute"
    mine, theirs = (document["opponents"][0]["static"] for document in (own, built_in))
    assert mine[0]["issue"] == theirs[0]["issue"] == "wait"  # each timestep after the other, encoder and all
    assert mine[0]["latency_ns"] == theirs[0]["latency_ns"]
    assert mine[2]["latency_ns"] > theirs[2]["latency_ns"]
    assert own["static"][0]["latency_ns"] == built_in["static"][0]["latency_ns"]
    assert own["static"][2]["energy_pj"] > built_in["static"][2]["energy_pj"]
    assert own["dynamic"]["accuracy"] == built_in["dynamic"]["accuracy"]
    assert documents["spikesim_65nm"]["meta"]["hardware"]["clock_ns"] == 4.0


# The catalogues, with the real floors behind them


def test_hardware_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hardware", "list"]) == 0
    assert {"dtsnn_32nm", "spikesim_65nm"} <= set(capsys.readouterr().out.split())
    assert main(["hardware", "show", "dtsnn_32nm"]) == 0
    shown = capsys.readouterr().out
    for text in ("cells.r_on_ohm", "20000", "adc.presets.isaac_sar.conversion_energy_pj", "ISAAC"):
        assert text in shown
    assert main(["hardware", "check", "spikesim_65nm"]) == 0
    checked = capsys.readouterr().out
    assert checked.startswith("spikesim_65nm: sound, ")
    assert "without a source" not in checked
    path = own_hardware(
        tmp_path, ("  class_cycles: {value: 1, unit: cycle, mark: est, source: imcsim}\n  final", "  final")
    )
    assert main(["hardware", "check", str(path)]) == 2
    assert "checker.class_cycles" in capsys.readouterr().err


def test_model_and_inputs_commands(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "check", str(stored / "net")]) == 0
    assert capsys.readouterr().out.endswith(f"sound, {len(network().weighted)} layers with weights\n")
    assert main(["model", "show", str(stored / "net")]) == 0
    assert "block2.conv1" in capsys.readouterr().out
    assert main(["inputs", "show", str(stored / "inputs.npz")]) == 0
    shown = capsys.readouterr().out
    assert "2 x 8 x 8" in shown
    assert imcsim.inputs.load(stored / "inputs.npz").sha256 in shown
    for group in ("model", "inputs"):
        assert main([group, "list"]) == 0


# What goes wrong: one line, exit status 2, nothing left behind


def failed(capsys: pytest.CaptureFixture[str], command: list[str], status: int = 2) -> str:
    assert main(command) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize("option", ["--hardware", "--model", "--inputs", "--validation"])
def test_names_that_are_not_there(stored: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    error = failed(capsys, arguments("compare", stored, option, "nowhere_at_all"))
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "nowhere_at_all" in error


def test_targets_that_cannot_be_written(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    for option, target in (
        ("--json", tmp_path),
        ("--json", tmp_path / "no" / "such" / "folder.json"),
        ("--json", tmp_path / "file" / "below.json"),
        ("--out", tmp_path / "file"),
        ("--out", tmp_path / "file" / "below"),
    ):
        failed(capsys, arguments("compare", stored, option, str(target)))
    assert files_in(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def broken_bundle(folder: Path, what: str) -> str:
    """Save a sound bundle, break it, and say which word the complaint must hold."""
    bundle = folder / "net"
    imcsim.network.save(network(), bundle)
    yaml, weights = bundle / "network.yaml", bundle / "weights.npz"
    text = yaml.read_text()
    if what == "a missing weights file":
        weights.unlink()
        return "weights.npz"
    if what == "a truncated weights file":
        weights.write_bytes(weights.read_bytes()[:-200])
        return "weights.npz"
    if what == "a key that is not known":
        yaml.write_text(text.replace("timesteps: 3", "timestep: 3"))
        return "timestep"
    if what == "a node that reads nothing":
        yaml.write_text(text.replace("inputs: [lif1]", "inputs: [lif9]"))
        return "lif9"
    stored = dict(np.load(weights))
    if what == "a scale that is not a number":
        stored["conv1.scale"][1] = np.nan
        np.savez(weights, **stored)
        return "not finite"
    assert what == "weights beyond their bits"
    stored["conv1.weight"] = stored["conv1.weight"] * 0 + 100
    np.savez(weights, **stored)
    return "100"


BREAKS = (
    "a missing weights file",
    "a truncated weights file",
    "a key that is not known",
    "a node that reads nothing",
    "a scale that is not a number",
    "weights beyond their bits",
)


@pytest.mark.parametrize("what", BREAKS)
def test_broken_bundles(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    word = broken_bundle(tmp_path, what)
    target = tmp_path / "result.json"
    command = arguments("compare", stored, "--model", str(tmp_path / "net"), "--json", str(target))
    error = failed(capsys, command)
    assert error.startswith("error: ")
    assert word in error
    assert word in failed(capsys, ["model", "check", str(tmp_path / "net")])
    assert not target.exists()


def test_broken_inputs(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (stored / "inputs.npz").read_bytes()
    path = tmp_path / "inputs.npz"
    for data in (b"", whole[:100], whole[: len(whole) // 2], whole[:-10], b"not a zip file" * 100):
        path.write_bytes(data)
        error = failed(capsys, arguments("compare", stored, "--inputs", str(path)))
        assert str(path) in error
        assert error.count("\n") == 1
    np.savez(path, images=np.zeros((3, 2, 8, 9), np.uint8), labels=np.zeros(3, np.int64))
    assert "the network takes 2 x 8 x 8" in failed(capsys, arguments("run", stored, "--inputs", str(path)))
    assert "40 images were asked for" in failed(capsys, arguments("run", stored, "--images", "40"))


def test_a_chip_that_is_too_small(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chip = own_hardware(
        tmp_path,
        (
            'columns: {value: 0, unit: "1", mark: est, source: imcsim, note: as large as the network needs}',
            "columns: 1",
        ),
        ('rows: {value: 0, unit: "1", mark: est, source: imcsim}', "rows: 1"),
    )
    error = failed(capsys, arguments("compare", stored, "--hardware", str(chip)))
    assert "the mesh has 1 x 1" in error


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("command", ["compare", "run"])
def test_ctrl_c_leaves_nothing_behind(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    command: str, call: int,
) -> None:  # fmt: skip
    import imcsim.studies.experiment

    simulate, calls = imcsim.studies.experiment.simulate, []

    def interrupted(*positional: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return simulate(*positional, **named)

    monkeypatch.setattr(imcsim.studies.experiment, "simulate", interrupted)
    targets = ["--json", str(tmp_path / "result.json"), "--out", str(tmp_path / "out")]
    assert failed(capsys, arguments(command, stored, *targets), status=130).strip() == "interrupted"
    assert len(calls) == call
    assert files_in(tmp_path) == []


def test_ctrl_c_between_two_images_stops_the_workers(
    stored: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from imcsim.functional import membrane_kernels

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(membrane_kernels, "lif", interrupt)
    assert failed(capsys, arguments("compare", stored), status=130).strip() == "interrupted"


def test_ctrl_c_keeps_an_older_result(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import imcsim.studies.experiment

    target = tmp_path / "result.json"
    assert main(arguments("run", stored, "--json", str(target), "--quiet")) == 0
    before = target.read_bytes()

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(imcsim.studies.experiment, "simulate", interrupt)
    failed(capsys, arguments("run", stored, "--json", str(target), "--quiet"), status=130)
    assert target.read_bytes() == before
    assert files_in(tmp_path) == ["result.json"]


def test_a_bundle_with_more_timesteps_than_the_command_allows(
    tmp_path: Path, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imcsim.network.save(replace(network(), timesteps=20), tmp_path / "long")
    command = arguments(
        "compare",
        stored,
        "--model",
        str(tmp_path / "long"),
        "--images",
        "4",
        "--json",
        "-",
        "--quiet",
        *ALONE,
    )
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["meta"]["timesteps"] == 20
