"""An experiment under another issue policy is the experiment made with it from the start."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import pytest
from networks import forward, random_images, random_network

import imcsim.hardware
import imcsim.simulation.values
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.studies.comparison import run, run_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions
from imcsim.studies.streaming import StreamOptions, stream, stream_of

CLASSES = 4


@cache
def network() -> Network:
    return random_network(np.random.default_rng(3), depth=2, classes=CLASSES, timesteps=3)


@cache
def images(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    drawn = random_images(rng, network().input_shape, 16)
    labels = forward(network(), drawn, 3)[network().nodes[-1].name].sum(0).argmax(1)
    return Inputs(drawn, labels.astype(np.int64), f"images{seed}", "unknown", f"{seed:064x}", CLASSES)


def _hardware(aer: bool) -> Hardware:
    changed: dict[str, Any] = {"activity.spike_coding": "aer", "activity.skip_zero_reads": True}
    return imcsim.hardware.load("dtsnn_32nm", changed if aer else {})


def _options(issue: str) -> CompareOptions:
    return CompareOptions(threshold=0.7, workers=1, issue=issue)


@cache
def _bench(aer: bool) -> Experiment:
    return Experiment.make(network(), _hardware(aer), images(1), images(2), _options("interleave:3"), None)


@pytest.mark.parametrize("aer", [False, True])
@pytest.mark.parametrize(
    ("policy", "issue"),
    [("static", "pipeline"), ("dynamic", "speculate"), ("dynamic", "interleave:2"), ("dynamic", "wait")],
)
def test_another_policy_changes_time_as_a_new_experiment_would(
    aer: bool, policy: Literal["static", "dynamic"], issue: str
) -> None:
    other = _bench(aer).with_issue(issue)
    about = network(), _hardware(aer), images(1), images(2), _options(issue)
    assert run_of(other, policy=policy) == run(*about, policy=policy)
    assert stream_of(other, policy=policy) == stream(*about, policy=policy)


def test_images_are_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = _bench(False)
    monkeypatch.setattr(
        imcsim.simulation.values, "run_program", lambda *a, **k: pytest.fail("ran the images")
    )
    other = bench.with_issue("speculate")
    assert other.images.activity is bench.images.activity
    assert other.with_issue("interleave:3").meta() == bench.meta()


def test_membranes_go_with_the_images_on_the_chip() -> None:
    one, two, four = (_bench(False).with_issue(i) for i in ("wait", "interleave:2", "interleave:4"))
    bits = [b.chip.size.memory_bits for b in (one, two, four)]
    assert bits == [bits[0], 2 * bits[0], 4 * bits[0]]
    areas = [b.meta().hardware.area_um2 for b in (one, two, four)]
    # Banks that the lanes need anyway hold the state of more than one image.
    assert areas[0] <= areas[1] <= areas[2]
    many = _bench(False).with_issue("interleave:64")
    assert many.meta().hardware.area_um2 > areas[0]


def test_what_does_not_go_together_is_refused() -> None:
    pipelined = _bench(False).with_issue("pipeline")
    for refused in (lambda: run_of(pipelined), lambda: stream_of(pipelined)):
        with pytest.raises(ImcsimError, match="no early exit"):
            refused()
    with pytest.raises(ImcsimError, match="a closed loop has no rate"):
        stream_of(_bench(False), StreamOptions("closed", 5.0))
    for rate in (None, 0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ImcsimError, match="images per second above 0"):
            stream_of(_bench(False), StreamOptions("periodic", rate))
    with pytest.raises(ImcsimError, match="is not an issue policy"):
        _bench(False).with_issue("luck")
