"""Ways to choose the thresholds of the paper's rule, beside each other.

By the count or by a bound on the loss, one threshold or one for each timestep, with temperatures or without.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

from imcsim.base.choices import Temperatures, Thresholds
from imcsim.reproduction.decisions import Costs, Split, figures, right_of, simulated, static_figures
from imcsim.results.figures import Reduction
from imcsim.results.reproduction.ways import ChosenBy
from imcsim.studies.experiment import Experiment

BOUNDS = (None, 0.005, 0.01)
"""Losses of accuracy that are ruled out; None: the count."""


def choosing_ways(bench: Experiment) -> tuple[ChosenBy, ...]:
    """Each way on validation and on test images; the first is that of the other tables."""
    found = []
    for bound, kind, temperatures in itertools.product(BOUNDS, get_args(Thresholds), get_args(Temperatures)):
        options = replace(bench.options, thresholds=kind, temperatures=temperatures, max_loss=bound)
        asked = replace(bench, options=options)
        choice = asked.choose()
        sides = {}
        for split in get_args(Split):
            simulation, _ = simulated(bench, split)
            right = right_of(bench, split)
            stay = asked.exits(simulation, choice)
            sides[split] = figures(right, stay, Costs.of(simulation.dynamic), right[:, -1])
        static = Costs.of(bench.images.static)
        full = static_figures(right_of(bench, "test"), static, bench.timesteps)
        found.append(
            ChosenBy(
                thresholds=kind,
                temperatures=temperatures,
                max_loss=bound,
                threshold=choice.thresholds[:1] if kind == "one" else choice.thresholds,
                validation=sides["validation"],
                test=sides["test"],
                reduction=Reduction.between(full, sides["test"]),
            )
        )
    return tuple(found)
