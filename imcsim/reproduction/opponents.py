"""The cheapest static network of equal accuracy: what a dynamic one has to be held against.

Early exit that saves much against static T max may save nothing against a static network of fewer timesteps
that is as accurate, above all one that was trained for so many. Opponents are the networks of both losses at
T = 1 .. T max, and networks that were trained for T = 1 or T = 2 at that T, each under both issue policies
that a static run may have. An opponent is of equal accuracy where its difference to the dynamic run on the
validation images counts as no loss (`Paired.no_loss`): the interval reaches 0 or lies above it, and rules
out that the opponent is worse by more than a point. Of those the cheapest is taken; test images only say how
the two do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.reproduction.decisions import Costs, Split, paired, right_of
from imcsim.results.figures import Reduction
from imcsim.results.ranges import StaticIssue
from imcsim.results.reproduction.figures import Figures, Loss
from imcsim.results.reproduction.ways import EqualStatic
from imcsim.studies.breakdown import means
from imcsim.studies.experiment import Experiment, accuracy

ISSUES: tuple[StaticIssue, ...] = ("wait", "pipeline")
"""Issue policies of static runs: as in the paper, and the cheaper one."""


@dataclass(frozen=True, eq=False)
class Rival:
    """A network that always runs `timesteps` timesteps; `right` and `costs` are those of its images."""

    network: str
    trained: str
    timesteps: int
    issue: StaticIssue
    right: Mapping[Split, NDArray[np.bool_]]
    costs: Costs

    @property
    def edp(self) -> float:
        """Mean of energy x latency over the test images, which needs no labels; pJ ns."""
        return float(self.costs.products.mean())


def opponents(benches: Mapping[Loss, Experiment], statics: Mapping[int, Experiment]) -> list[Rival]:
    """All static runs on one chip. `statics`: networks that were trained for so many timesteps alone."""
    found: list[Rival] = []
    for loss, bench in benches.items():
        found += _runs(bench, f"{loss} loss", range(1, bench.timesteps + 1))
    for timesteps, bench in statics.items():
        found += _runs(bench, f"for T = {timesteps}", [timesteps])
    return found


def _runs(bench: Experiment, trained: str, every: Sequence[int]) -> Iterator[Rival]:
    right: dict[Split, NDArray[np.bool_]] = {
        "validation": right_of(bench, "validation"), "test": right_of(bench, "test")
    }  # fmt: skip
    for issue in ISSUES:
        costs = bench.static_runs(issue)
        for t in every:
            yield Rival(
                bench.chip.network.name,
                trained,
                t,
                issue,
                {split: answers[:, t - 1] for split, answers in right.items()},
                Costs(costs.energy_pj[:, t - 1], costs.latency_ns[:, t - 1]),
            )


def equals(
    every: Sequence[Rival], answers: Mapping[Split, NDArray[np.bool_]], test: Figures
) -> tuple[EqualStatic, ...]:
    """Under each issue policy the cheapest of `every` that is as accurate as a dynamic run, if any is.

    answers: whether the dynamic run is right, by image; test: its figures of the test images.
    """
    found = []
    for issue in ISSUES:
        for one in sorted((one for one in every if one.issue == issue), key=lambda one: one.edp):
            held_out = paired(one.right["validation"], answers["validation"])
            if held_out.no_loss:
                found.append(
                    EqualStatic(
                        network=one.network,
                        trained=one.trained,
                        timesteps=one.timesteps,
                        issue=issue,
                        **accuracy(one.right["test"]),
                        **(mean := means(one.costs.energy_pj, one.costs.latency_ns)),
                        validation=held_out,
                        test=paired(answers["test"], one.right["test"]),
                        reduction=Reduction.between(mean, test),
                    )
                )
                break
    return tuple(found)
