"""A run with early exit plays the timesteps that its images need, and says what a whole run says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images, random_network

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.functional.activity import Activity
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.model import to_json
from imcsim.simulation.values import ActivityRequest, Computed
from imcsim.studies.comparison import run, run_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions

NOISY = {
    "nonideal.variation.sigma": 0.1,
    "nonideal.read_noise.sigma": 0.02,
    "encoder.mode": "recompute",
}
CHIPS: dict[str, dict[str, Any]] = {
    "default": {},
    "noisy": NOISY,
    "counted": {"activity.toggling": "counted"},
    "gated": {"clock.gating": "idle_tiles"},
    "skipping": {"activity.skip_zero_reads": True},
}


@cache
def network() -> Network:
    return random_network(np.random.default_rng(11), depth=2, classes=5, timesteps=5, channels=8)


@cache
def images(seed: int = 1, count: int = 20) -> Inputs:
    shown = random_images(np.random.default_rng(seed), network().input_shape, count)
    labels = forward(network(), shown, 5)[network().nodes[-1].name].sum(0).argmax(1)
    return Inputs(shown, labels.astype(np.int64), "images", "unknown", f"{seed}" * 64, 5)


class Watched(Computed):
    """Values of which it is kept how many timesteps were played for whoever was to go early."""

    def __init__(self) -> None:
        self.played: list[tuple[int, int]] = []

    def activity(self, request: ActivityRequest) -> Activity:
        found = super().activity(request)
        if request.lasting is not None:
            self.played.append((int(found.outputs.any(axis=2).sum()), found.outputs[..., 0].size))
        return found


@pytest.mark.parametrize("issue", ["wait", "speculate", "interleave:2"])
@pytest.mark.parametrize("chip", CHIPS)
def test_it_says_what_a_whole_run_says(chip: str, issue: str) -> None:
    hardware = imcsim.hardware.load("dtsnn_32nm", CHIPS[chip])
    about = network(), hardware, images(), images(2, 8)
    options = CompareOptions(threshold=(0.6, 0.5, 0.55, 0.5), issue=issue, workers=1)
    whole = run_of(Experiment.make(*about, options, None))
    assert 1 < whole.outcome.mean_timesteps < 4
    for workers in (1, 2):
        watched = Watched()
        one = run(*about, replace(options, workers=workers), values=watched)
        assert to_json(one) == to_json(whole)
        if chip == "skipping" and issue == "speculate":
            assert not watched.played  # each image begins other work ahead
            continue
        played, every = (sum(counts) for counts in zip(*watched.played, strict=True))
        needed = round(len(images().labels) * whole.outcome.mean_timesteps)
        assert needed <= played < every
        assert (played == needed) == (issue != "speculate")


def test_a_threshold_is_chosen_first() -> None:
    about = network(), imcsim.hardware.load("dtsnn_32nm"), images(), images(2)
    options = CompareOptions(workers=1, temperatures="each", thresholds="each", max_loss=0.2)
    watched = Watched()
    one = run(*about, options, values=watched)
    assert to_json(one) == to_json(run_of(Experiment.make(*about, options, None)))
    ((played, every),) = watched.played  # not of the validation images
    assert played < every


def test_without_images_to_choose_on_nothing_is_played() -> None:
    with pytest.raises(ImcsimError, match="no validation images"):
        run(network(), imcsim.hardware.load("dtsnn_32nm"), images(), None, CompareOptions(workers=1))
