"""The points of an experiment on its validation images: what a front may be chosen by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.outputs import exit_timesteps
from imcsim.results.comparison import CompareResult
from imcsim.simulation.simulate import ExitCosts, Simulation, issued
from imcsim.studies.breakdown import means
from imcsim.studies.decider import right_after
from imcsim.studies.experiment import Experiment
from imcsim.timing import parse


@dataclass(frozen=True)
class Judged:
    """A run of the validation images: accuracy, and means over them."""

    accuracy: float
    energy_pj: float
    latency_ns: float
    edp_mean_of_products: float


@dataclass(frozen=True)
class JudgedRuns:
    """Those of a comparison: static T = 1, ..., T max as in the document, and the dynamic run."""

    static: tuple[Judged, ...]
    dynamic: Judged


def judged_runs(experiment: Experiment, result: CompareResult) -> JudgedRuns | None:
    """What the runs of `result`, which is the experiment's, are on its validation images.

    None where validation images have not been played, or are the reported ones.
    """
    held_out, validation = experiment.held_out, experiment.validation
    if held_out is None or validation is None or validation.sha256 == experiment.inputs.sha256:
        return None
    right = right_after(held_out, validation)

    def run(stay: NDArray[np.int64], ran: ExitCosts) -> Judged:
        rows = np.arange(len(stay))
        found = means(ran.energy_pj[rows, stay - 1], ran.latency_ns[rows, stay - 1])
        return Judged(accuracy=float(right[rows, stay - 1].mean()), **found)

    runs = {issue: _issued(experiment, held_out, issue) for issue in {one.issue for one in result.static}}
    static = tuple(
        run(np.full(len(right), one.timesteps, np.int64), runs[one.issue]) for one in result.static
    )
    dynamic = result.dynamic
    used = dynamic.thresholds or (dynamic.threshold or 0.0,) * (experiment.timesteps - 1)
    words = np.array([experiment.word_of(one) for one in used], np.int64)
    return JudgedRuns(static, run(exit_timesteps(experiment.required(held_out), words), held_out.dynamic))


def _issued(experiment: Experiment, held_out: Simulation, issue: str) -> ExitCosts:
    assert experiment.validation is not None
    return issued(
        held_out, parse(issue), experiment.validation, dynamic=False, workers=experiment.options.workers,
        values=experiment.values,
    )  # fmt: skip
