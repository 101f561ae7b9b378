"""Who leaves when under a rule, how many are right then, and what that costs: from values that are there.

No image is run here. A network's images were run once to T max; rules, accumulations and thresholds only
decide anew who leaves when, issue policies and encoders only need another schedule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import Accumulation, Rule
from imcsim.hardware.ledger import Stay
from imcsim.inputs import Inputs
from imcsim.mapping import Placement
from imcsim.results.reproduction.figures import Figures, Paired
from imcsim.results.statistics import paired_interval
from imcsim.simulation.chip import Chip, with_timing
from imcsim.simulation.simulate import ExitCosts, Simulation, replay
from imcsim.studies.breakdown import means
from imcsim.studies.decider import right_after
from imcsim.studies.experiment import Experiment, accuracy, leaving
from imcsim.studies.registers import Judges
from imcsim.timing import parse

Split = Literal["validation", "test"]
Registers = NDArray[np.int64]
Right = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Costs:
    """energy_pj, latency_ns: float64 ``[images, T]``, of images that leave after 1, 2, .. T timesteps."""

    energy_pj: NDArray[np.float64]
    latency_ns: NDArray[np.float64]

    @classmethod
    def of(cls, run: ExitCosts) -> Costs:
        return cls(run.energy_pj, run.latency_ns)

    @property
    def products(self) -> NDArray[np.float64]:
        """Energy x latency, pJ ns."""
        return self.energy_pj * self.latency_ns


def simulated(bench: Experiment, split: Split) -> tuple[Simulation, Inputs]:
    """The simulation of the test or of the validation images, and these images."""
    if split == "test":
        return bench.images, bench.inputs
    assert bench.held_out is not None
    assert bench.validation is not None
    return bench.held_out, bench.validation


def right_of(bench: Experiment, split: Split) -> Right:
    """Whether each image is classified rightly after each timestep, ``[images, T]``."""
    return right_after(*simulated(bench, split))


def ruled(bench: Experiment, rule: Rule, accumulation: Accumulation) -> Experiment:
    """The same experiment, asked for another rule; its costs stay those of its own rule and accumulation."""
    return replace(bench, options=replace(bench.options, rule=rule, accumulation=accumulation))


def chip_with(
    bench: Experiment,
    issue: str,
    encoder: Literal["keep", "recompute"],
    accumulation: Accumulation,
    rule: Rule,
) -> Chip:
    """The experiment's chip under another issue policy, with another encoder, or with a checker that sums or
    has another rule.
    """
    stated, own = bench.chip.stated, bench.chip.timing
    asked = (issue, encoder, accumulation == "mean", rule)
    if asked == (str(own.issue), stated.encoder.mode, own.mean, own.rule):
        return bench.chip
    changed = stated.model_copy(update={"encoder": stated.encoder.model_copy(update={"mode": encoder})})
    timing = replace(bench.chip.timing, issue=parse(issue), mean=accumulation == "mean", rule=rule)
    return with_timing(replace(bench.chip, stated=changed), timing)


def alike(one: Placement, other: Placement) -> bool:
    """Whether two networks lie on the chip in the same way, so that both have the same schedules."""
    return (one.graph, one.parts, one.positions, one.size) == (
        other.graph,
        other.parts,
        other.positions,
        other.size,
    ) and [layer.copies for layer in one.layers] == [layer.copies for layer in other.layers]


def costs_on(chip: Chip, bench: Experiment, split: Split, workers: int | None = None) -> Costs:
    """What the images of an experiment cost on a chip that does the same with their values."""
    simulation, inputs = simulated(bench, split)
    if chip is bench.chip:
        return Costs.of(simulation.dynamic)
    return Costs.of(replay(simulation, chip, inputs, workers=workers).dynamic)


def registers(judges: Judges, goal: int) -> Registers | None:
    """The registers, int64 ``[T - 1]``, that cost least with at least `goal` of the images right; None where
    no registers do.
    """
    words = judges.registers(goal)
    return words if int(judges.answers(words).sum()) >= goal else None


def figures(right: Right, stay: Stay, costs: Costs, reference: NDArray[np.bool_]) -> Figures:
    """What images did and cost. reference: whether each is right under static T max, ``[images]``."""
    rows = np.arange(len(stay))
    answers = right[rows, stay - 1]
    return Figures(
        images=len(stay),
        **accuracy(answers),
        **leaving(stay, right.shape[1]),
        **means(costs.energy_pj[rows, stay - 1], costs.latency_ns[rows, stay - 1]),
        against_static=paired(answers, reference),
    )


def paired(answers: NDArray[np.bool_], reference: NDArray[np.bool_]) -> Paired:
    """The accuracy of `answers` minus that of `reference`, both right or wrong ``[images]``, with its 95 %
    interval (`paired_interval`).
    """
    images = len(answers)
    gained, lost = int((answers & ~reference).sum()), int((~answers & reference).sum())
    low, high = paired_interval(gained, lost, images)
    return Paired(difference=(gained - lost) / images, low=low, high=high, gained=gained, lost=lost)


def static_figures(right: Right, costs: Costs, timesteps: int) -> Figures:
    """All images for `timesteps` timesteps, against static T max."""
    return figures(right, np.full(len(right), timesteps, np.int64), costs, right[:, -1])
