"""`imcsim stream`, and issue policies and fidelities on the command line, from end to end."""

from __future__ import annotations

import csv
import json
from functools import cache
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
from imcsim.results.stream import StreamResult

CLASSES, IMAGES = 4, 24
Captured = pytest.CaptureFixture[str]


@cache
def network() -> Network:
    return random_network(np.random.default_rng(8), depth=2, classes=CLASSES, timesteps=3)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network (``net``), inputs and validation inputs."""
    folder = tmp_path_factory.mktemp("stored")
    net = network()
    imcsim.network.save(net, folder / "net")
    for seed, name in enumerate(("inputs", "validation")):
        rng = np.random.default_rng(seed)
        images = random_images(rng, net.input_shape, IMAGES)
        labels = forward(net, images, 3)[net.nodes[-1].name].sum(0).argmax(1)
        split: Any = {"inputs": "test", "validation": "validation"}[name]
        imcsim.inputs.save(folder / f"{name}.npz", images, labels, split=split, classes=CLASSES)
    return folder


def _arguments(command: str, stored: Path, *more: str) -> list[str]:
    files = ["--model", str(stored / "net"), "--inputs", str(stored / "inputs.npz")]
    if "static" not in more:
        files += ["--validation", str(stored / "validation.npz")]
    return [command, *files, "--workers", "1", *more]


def _document(capsys: Captured, arguments: list[str]) -> Any:
    assert main([*arguments, "--json", "-", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


def _stream(capsys: Captured, stored: Path, *more: str) -> StreamResult:
    return StreamResult.model_validate(_document(capsys, _arguments("stream", stored, *more)))


@pytest.mark.usefixtures("rough_figures")
def test_a_stream_writes_everything(stored: Path, tmp_path: Path, capsys: Captured) -> None:
    target, folder = tmp_path / "result.json", tmp_path / "out"
    options = ["--issue", "interleave:2", "--json", str(target), "--out", str(folder)]
    assert main(_arguments("stream", stored, *options)) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    for text in ("A stream of images: dynamic, interleave:2", "throughput", "Exits", "Utilisation"):
        assert text in shown.out
    result = StreamResult.model_validate_json(target.read_text())
    assert (folder / "result.json").read_text() == target.read_text()
    assert (result.meta.policy, result.meta.images) == ("interleave:2", IMAGES)
    assert result.policy.threshold_source == "validation"
    with (folder / "tiles.csv").open() as file:
        assert len(list(csv.DictReader(file))) == result.meta.hardware.tiles
    assert (folder / "figures" / "utilisation.svg").is_file()


def test_under_wait_a_stream_is_one_run_after_the_other(stored: Path, capsys: Captured) -> None:
    streamed = _stream(capsys, stored)
    alone = RunResult.model_validate(_document(capsys, _arguments("run", stored))).outcome
    assert streamed.exit_fraction == alone.exit_fraction
    assert streamed.accuracy == alone.accuracy
    assert streamed.makespan_ns == pytest.approx(IMAGES * alone.latency_ns)
    assert streamed.latency_p99_ns == alone.latency_p99_ns
    assert streamed.energy_pj == pytest.approx(alone.energy_pj)
    assert streamed.cancelled_energy_pj == 0


def test_images_that_seldom_come_do_not_wait(stored: Path, capsys: Captured) -> None:
    alone = RunResult.model_validate(_document(capsys, _arguments("run", stored))).outcome
    slow = 1e9 / (2 * alone.latency_p99_ns)
    periodic = _stream(capsys, stored, "--arrivals", "periodic", "--rate", repr(slow))
    assert (periodic.arrivals.kind, periodic.arrivals.images_per_s) == ("periodic", slow)
    assert periodic.latency_percentiles_ns[-1] <= alone.latency_p99_ns
    assert periodic.latency_ns == pytest.approx(alone.latency_ns)
    assert periodic.throughput_images_per_s == pytest.approx(slow, rel=1.5 / IMAGES)
    # The chip leaks while it waits for images.
    assert periodic.leakage_energy_pj > 1.5 * _stream(capsys, stored).leakage_energy_pj


def test_poisson_arrivals_follow_the_seed(stored: Path, capsys: Captured) -> None:
    options = ("--arrivals", "poisson", "--rate", "2e5", "--threshold", "0.5")
    one, again, other = (_stream(capsys, stored, *options, "--seed", s) for s in ("1", "1", "2"))
    assert one == again
    assert one.makespan_ns != other.makespan_ns


@pytest.mark.parametrize("issue", ["wait", "speculate", "interleave:3"])
def test_fidelities_agree(stored: Path, capsys: Captured, issue: str) -> None:
    burst, reference = (
        _document(capsys, _arguments("stream", stored, "--images", "4", "--issue", issue, "--fidelity", f))
        for f in ("burst", "reference")
    )
    assert (burst["meta"].pop("fidelity"), reference["meta"].pop("fidelity")) == ("burst", "reference")
    assert burst == reference


def test_pipeline_is_for_static_runs(stored: Path, capsys: Captured) -> None:
    waits = _stream(capsys, stored, "--policy", "static")
    pipelined = _stream(capsys, stored, "--policy", "static", "--issue", "pipeline")
    assert pipelined.throughput_images_per_s > waits.throughput_images_per_s
    for command in ("stream", "run", "compare"):
        assert main(_arguments(command, stored, "--issue", "pipeline", "--threshold", "0.1")) == 2
        shown = capsys.readouterr()
        assert shown.err.startswith("error: issue: a pipeline has no early exit (use speculate")
        assert len(shown.err.splitlines()) == 1


def test_compare_and_run_take_an_issue_policy(stored: Path, capsys: Captured) -> None:
    command = _arguments("compare", stored, "--threshold", "0.6", "--issue", "speculate")
    compared = CompareResult.model_validate(_document(capsys, command))
    assert compared.meta.policy == "speculate"
    assert compared.dynamic.exit_fraction[0] + compared.dynamic.exit_fraction[1] > 0
    assert compared.dynamic.cancelled_energy_pj > 0
    command[0] = "run"
    ran = RunResult.model_validate(_document(capsys, command))
    assert ran.outcome.cancelled_energy_pj == compared.dynamic.cancelled_energy_pj
    assert ran.outcome.energy_pj == compared.dynamic.energy_pj
    assert main(command) == 0
    assert "of which cancelled work" in capsys.readouterr().out
    command[0] = "compare"
    assert main(command) == 0
    assert "an exit cancelled" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--issue luck", "is not an issue policy"),
        ("--issue interleave", "is not an issue policy"),
        ("--issue interleave:0", "is not an issue policy"),
        ("--issue interleave:65", "is not an issue policy"),
        ("--fidelity exact", "exact"),
        ("--rate 5", "--rate belongs to --arrivals periodic or poisson"),
        ("--arrivals poisson", "needs --rate"),
        ("--arrivals periodic --rate 0", "0"),
        ("--arrivals periodic --rate -1", "-1"),
        ("--arrivals periodic --rate nan", "finite"),
        ("--arrivals periodic --rate inf", "finite"),
        ("--arrivals bursty", "bursty"),
        ("--policy static --threshold 0.1", "--threshold belongs to --policy dynamic"),
    ],
)
def test_wrong_usage(capsys: Captured, monkeypatch: pytest.MonkeyPatch, options: str, message: str) -> None:
    monkeypatch.setattr(imcsim.network, "load", lambda name: pytest.fail("loaded"))
    assert main(["stream", *options.split()]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert message in shown.err.splitlines()[-1]
    assert shown.out == ""


def test_progress_of_a_long_stream(stored: Path) -> None:
    from imcsim.studies.settings import CompareOptions
    from imcsim.studies.streaming import stream

    seen: list[tuple[str, int, int]] = []
    inputs = imcsim.inputs.load(str(stored / "inputs.npz"))
    stream(
        network(),
        imcsim.hardware.load("dtsnn_32nm"),
        inputs,
        None,
        CompareOptions(threshold=0.5, workers=1),
        progress=lambda stage, done, total: seen.append((stage, done, total)),
    )
    assert [s for s in seen if s[0] == "stream"] == [("stream", k, IMAGES) for k in range(1, IMAGES + 1)]


def test_copies_of_the_chip(stored: Path, capsys: Captured) -> None:
    one = _stream(capsys, stored)
    two = _stream(capsys, stored, "--copies", "2", "--set", "package.chips=2")
    assert (one.copies, two.copies, two.meta.hardware.chips) == (None, 2, 2)
    assert two.exit_fraction == one.exit_fraction
    assert two.throughput_images_per_s > 1.5 * one.throughput_images_per_s
    assert main(_arguments("stream", stored, "--copies", "2", "--quiet")) == 0
    assert "2 copies of the chip" in capsys.readouterr().out
    assert main(_arguments("stream", stored, "--copies", "0")) == 2
    assert "--copies" in capsys.readouterr().err
