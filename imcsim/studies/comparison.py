"""Static against dynamic timesteps, and one policy alone, as result documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from imcsim.base.garbage import not_collected
from imcsim.base.progress import Progress
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.comparison import CompareResult, Dynamic, Opponent, ScalingPoint
from imcsim.results.ranges import StaticIssue
from imcsim.results.run import Outcome, RunResult
from imcsim.simulation.values import COMPUTED, Values
from imcsim.studies.against import OtherNetwork, against_of, other_experiment
from imcsim.studies.breakdown import Breakdown
from imcsim.studies.efficiency import WorkDone, peak
from imcsim.studies.experiment import Experiment, refuse_dynamic_pipeline
from imcsim.studies.other_chips import OtherChips
from imcsim.studies.other_runs import Repeated
from imcsim.studies.outcomes import image_outcomes
from imcsim.studies.programming import programming
from imcsim.studies.ranges import ranges
from imcsim.studies.reload import reload_cost
from imcsim.studies.settings import CompareOptions

OPPONENTS: tuple[StaticIssue, ...] = ("wait", "pipeline")
"""The issue policies that a static run may have."""

_PIPELINED = "use speculate: its static runs are pipelined"


def compare(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    options: CompareOptions | None = None,
    progress: Progress | None = None,
    other: OtherNetwork | None = None,
    values: Values = COMPUTED,
) -> CompareResult:
    """Run static T = 1 .. T max and dynamic timesteps on the same images and chip.

    Each static T runs under both issue policies that a chip may have for it, ``wait`` and ``pipeline``; the
    one with less EDP is what early exit is held against.

    Without ``options.threshold`` the threshold is the cheapest with which the accuracy on `validation` is not
    below that of static T max; so are those of the timesteps with ``options.thresholds = "each"``, which has
    more freedom to fit chance (see `thresholds`). With ``options.max_loss`` a bound decides in place of the
    count (see `registers`). `validation` also calibrates the ADCs; without it the first
    inputs do. An `other` network stands beside, on the same images. `values` may be kept ones of `network`.
    Raises ImcsimError when something does not fit, or when a threshold is to be chosen and `validation` is
    None.
    """
    options = options or CompareOptions()
    refuse_dynamic_pipeline(options, fix=_PIPELINED)
    against = None if other is None else other_experiment(other, inputs, validation, options, progress)
    with OtherChips(OPPONENTS, options) as chips:
        experiment = Experiment.make(
            network, hardware, inputs, validation, options, progress, values=values, begun=chips.begin
        )
        with not_collected():
            return compare_of(experiment, chips=chips, other=against)


def compare_of(
    experiment: Experiment,
    opponents: Sequence[StaticIssue] = OPPONENTS,
    *,
    chips: OtherChips | None = None,
    other: Experiment | None = None,
) -> CompareResult:
    """Static against dynamic timesteps, of an experiment. Raises ImcsimError as `compare` does.

    `opponents` are the issue policies of the static runs. A comparison that stands alone is repeated on
    other `chips` as well and keeps the outcomes of its images, which a sweep does not do at each of its
    points. The images of `other` are the same in another network.
    """
    refuse_dynamic_pipeline(experiment.options, fix=_PIPELINED)
    statics = {issue: experiment.static_runs(issue) for issue in opponents}
    costs = Breakdown(experiment, statics)
    choice = experiment.choose()
    stay = experiment.exits(experiment.images, choice)
    ran = experiment.images.dynamic
    dynamic = costs.measured(stay, ran)
    every = tuple(
        Opponent(
            issue=issue, static=tuple(costs.static(t, issue) for t in range(1, experiment.timesteps + 1))
        )
        for issue in opponents
    )
    points = every[0].static
    work = WorkDone.of(experiment.chip, stay, ran)
    full = np.full_like(stay, experiment.timesteps)
    repeated = None if chips is None else Repeated(experiment, stay, statics, chips.of(experiment.chip))
    against = None
    if other is not None:
        theirs = Breakdown(other, {issue: other.static_runs(issue) for issue in opponents})
        against = against_of(costs, stay, theirs)
    found = CompareResult(
        meta=experiment.meta(),
        opponents=every,
        dynamic=Dynamic(**experiment.exit_rule(choice), **dynamic),
        components=costs.components(stay, ran, with_static=True),
        layers=work.layer_costs(),
        checker=costs.checker(full, experiment.images.static),
        efficiency=work.efficiency(),
        programming=programming(experiment.chip, work.energy_pj, work.latency_ns),
        static_efficiency=WorkDone.of(experiment.chip, full, costs.best).efficiency(),
        peak=peak(experiment.chip),
        layer_efficiency=work.layer_efficiency(),
        curve=costs.curve(choice),
        scaling=tuple(
            ScalingPoint(
                timesteps=p.timesteps,
                # A chip that is priced at nothing has nothing to scale.
                energy_ratio=p.energy_pj / points[0].energy_pj if points[0].energy_pj else 0.0,
                latency_ratio=p.latency_ns / points[0].latency_ns,
            )
            for p in points
        ),
        sensitivity=() if repeated is None else costs.sensitivity(repeated),
        ranges=None if repeated is None else ranges(repeated),
        against=against,
        reload=reload_cost(experiment.chip, stay, ran),
        static_reload=reload_cost(experiment.chip, full, costs.best),
        warnings=experiment.warnings(),
    )
    return found if repeated is None else found.with_outcomes(image_outcomes(experiment, choice))


def run(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    options: CompareOptions | None = None,
    progress: Progress | None = None,
    *,
    policy: Literal["static", "dynamic"] = "dynamic",
    values: Values = COMPUTED,
) -> RunResult:
    """Run one policy alone. See `compare` for the arguments and errors."""
    options = options or CompareOptions()
    if policy == "dynamic":
        refuse_dynamic_pipeline(options)
    experiment = Experiment.make(
        network, hardware, inputs, validation, options, progress, dynamic=policy == "dynamic", values=values,
        until_exit=policy == "dynamic",
    )  # fmt: skip
    return run_of(experiment, policy=policy)


def run_of(experiment: Experiment, *, policy: Literal["static", "dynamic"] = "dynamic") -> RunResult:
    """What the images of an experiment cost under one policy. Raises ImcsimError for a dynamic pipeline."""
    if policy == "dynamic":
        refuse_dynamic_pipeline(experiment.options)
    costs = Breakdown(experiment, {})
    stay, about = experiment.decide(policy)
    ran = experiment.images.static if policy == "static" else experiment.images.dynamic
    work = WorkDone.of(experiment.chip, stay, ran)
    return RunResult(
        meta=experiment.meta(),
        policy=about,
        outcome=Outcome(
            **costs.measured(stay, ran),
            components=costs.components(stay, ran, with_static=False),
            layers=work.layer_costs(),
            checker=costs.checker(stay, ran),
            efficiency=work.efficiency(),
            programming=programming(experiment.chip, work.energy_pj, work.latency_ns),
            peak=peak(experiment.chip),
            layer_efficiency=work.layer_efficiency(),
            reload=reload_cost(experiment.chip, stay, ran),
        ),
        warnings=experiment.warnings(),
    )
