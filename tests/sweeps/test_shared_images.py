"""One comparison whose images a real Dask cluster plays: the same bytes, also when a worker is killed."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clusters import killing_one_at_work, two_workers
from networks import forward, random_images, random_network

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.functional.run import ideal_converters
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.model import to_json
from imcsim.simulation.chip import program_chip
from imcsim.simulation.values import COMPUTED, ActivityRequest, Values
from imcsim.studies.comparison import compare
from imcsim.studies.settings import CompareOptions
from imcsim.sweeps import shared_images
from imcsim.sweeps.shared_images import ImagesTask, SharedValues, play_images, shared_values
from imcsim.sweeps.tasks import WorkerFault

CHIPS: dict[str, dict[str, Any]] = {
    "counted": {
        "activity.toggling": "counted",
        "nonideal.read_noise.sigma": 0.02,
        "encoder.mode": "recompute",
    },
    "skipping": {"activity.skip_zero_reads": True},
}


@cache
def network() -> Network:
    return random_network(np.random.default_rng(11), depth=2, classes=5, timesteps=3, channels=8)


@cache
def images(seed: int = 1, count: int = 12) -> Inputs:
    shown = random_images(np.random.default_rng(seed), network().input_shape, count)
    labels = forward(network(), shown, 3)[network().nodes[-1].name].sum(0).argmax(1)
    return Inputs(shown, labels.astype(np.int64), "images", "unknown", f"{seed}" * 64, 5)


def compared(values: Values, chip: str, progress: Any = None) -> str:
    hardware = imcsim.hardware.load("dtsnn_32nm", {**CHIPS[chip], "alternatives.shared": False})
    about = network(), hardware, images(), images(2, 10), CompareOptions(workers=1), progress
    return to_json(compare(*about, values=values))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_workers() as made:
        yield made


@pytest.mark.parametrize("chip", CHIPS)
def test_a_cluster_gives_the_same_bytes(cluster: Any, chip: str) -> None:
    with shared_values(cluster.scheduler_address) as values:
        assert compared(values, chip) == compared(COMPUTED, chip)


def test_python_takes_a_scheduler(cluster: Any) -> None:
    told: list[str] = []
    about: dict[str, Any] = {
        "model": network(), "inputs": images(), "validation": images(2, 10), "workers": 1,
        "overrides": {"alternatives.shared": False},
    }  # fmt: skip
    shared = imcsim.compare(
        **about, scheduler=cluster.scheduler_address, progress=lambda stage, *_: told.append(stage)
    )
    assert to_json(shared) == to_json(imcsim.compare(**about))
    assert {"images", "validation images"} <= set(told)


def test_it_survives_the_loss_of_a_worker(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_images, "MOST_IMAGES", 1)
    killed: list[int] = []
    with killing_one_at_work(cluster, killed) as kill, shared_values(cluster.scheduler_address) as values:
        assert compared(values, "counted", kill) == compared(COMPUTED, "counted")
    assert killed


class Hands:
    """A cluster of two workers of which each dies at the first `deaths` tasks."""

    slots = 2

    def __init__(self, deaths: int) -> None:
        self._deaths = deaths
        self._ended: list[Any] = []

    def held(self, content: bytes, name: str) -> bytes:
        return content

    def submit(self, task: Any, do: Any, *more: Any) -> None:
        self._deaths -= 1
        self._ended.append((task, None if self._deaths >= 0 else do(task, *more)))

    def take(self) -> list[Any]:
        return [self._ended.pop()]  # the last one first


def request(**more: Any) -> ActivityRequest:
    program, converters = program_chip(
        network(), imcsim.hardware.load("dtsnn_32nm").config, images(), workers=1
    )
    return ActivityRequest(program, converters, images(), 3, workers=1, **more)


def test_tasks_at_which_workers_died_are_done_again_until_there_were_too_many() -> None:
    told: list[tuple[str, int, int]] = []
    about = request(at=slice(1, 9), record=frozenset({"input", "lif1"}), progress=lambda *a: told.append(a))
    found = SharedValues(Hands(deaths=2)).activity(about)  # type: ignore[arg-type]
    whole = COMPUTED.activity(about)
    assert np.array_equal(found.outputs, whole.outputs)
    assert np.array_equal(found.active_levels, whole.active_levels)
    assert all(np.array_equal(found.recorded[name], whole.recorded[name]) for name in whole.recorded)
    assert told[-1] == ("images", 8, 8)
    with pytest.raises(ImcsimError, match="died 3 times at images"):
        SharedValues(Hands(deaths=99)).activity(about)  # type: ignore[arg-type]


def test_what_is_sent_holds_nothing_that_follows_from_it() -> None:
    program = request().program
    packed = pickle.dumps(program)
    COMPUTED.activity(request())
    COMPUTED.activity(ActivityRequest(program, ideal_converters(program), images(), 3, workers=1))
    assert pickle.dumps(program) == packed


def test_a_worker_with_other_sources_does_nothing() -> None:
    nothing, shown = frozenset[str](), images()
    task = ImagesTask("0.0.9", "0" * 64, "x", 0, shown.images, shown.numbers, 3, nothing, nothing)
    with pytest.raises(WorkerFault, match=r"the comparison 0\.0\.9: install the same"):
        play_images(task, b"never unpacked")
    with pytest.raises(WorkerFault, match=r"other sources .* than the comparison \(0000"):
        play_images(replace(task, version=imcsim.__version__), b"never unpacked")


def test_a_cluster_that_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ["compare", "--images", "2", "--threshold", "0.3", "--scheduler"]
    assert main([*command, "nonsense://x"]) == 2
    assert capsys.readouterr().err.startswith("error: scheduler: ")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main([*command, "tcp://127.0.0.1:1"]) == 2
    assert "pip install 'imcsim[cluster]'" in capsys.readouterr().err
    assert main([*command, "tcp://127.0.0.1:1", "--chips", "2"]) == 2
    assert "a sweep over chip" in capsys.readouterr().err
    with pytest.raises(ImcsimError, match=r"pip install 'imcsim\[cluster\]'"):
        imcsim.compare(images=2, threshold=0.3, scheduler="tcp://127.0.0.1:1")
