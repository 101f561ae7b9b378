"""What each image of an experiment did, kept with its comparison."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.rule import ExitRule
from imcsim.results.outcomes import MOST_OUTCOMES, ImageOutcomes
from imcsim.studies.decider import Choice, right_after
from imcsim.studies.experiment import Experiment


def image_outcomes(experiment: Experiment, choice: Choice) -> ImageOutcomes | None:
    """The outcomes of the reported images, and the registers of `choice`.

    None where there are too many of them (see `MOST_OUTCOMES`), and for an exit rule whose registers do not
    hold rounded multiples of the threshold.
    """
    rule, costs = experiment.rule, experiment.images.dynamic
    linear = type(rule).word is ExitRule.word and type(rule).threshold is ExitRule.threshold
    if costs.energy_pj.size > MOST_OUTCOMES or not linear:
        return None
    words = experiment.required(experiment.images)[:, :-1]
    return ImageOutcomes(
        images=len(costs.energy_pj),
        timesteps=experiment.timesteps,
        scale=rule.scale(experiment.chip.network.classes, experiment.chip.program.numerics.checker),
        registers=tuple(choice.registers.tolist()),
        words=tuple(map(tuple, words.T.tolist())),
        right=tuple(_digits(one) for one in right_after(experiment.images, experiment.inputs).T),
        energy_pj=tuple(map(tuple, costs.energy_pj.T.tolist())),
        latency_ns=tuple(_once(one) for one in costs.latency_ns.T),
    )


def _digits(right: NDArray[np.bool_]) -> str:
    return bytes(np.where(right, ord("1"), ord("0")).astype(np.uint8)).decode()


def _once(figures: NDArray[np.float64]) -> tuple[float, ...]:
    """The figures of all images; one of them where all are the same."""
    return tuple((figures[:1] if (figures == figures[0]).all() else figures).tolist())
