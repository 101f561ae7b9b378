"""Which combination costs least at no loss of accuracy on images that had no part in the choice.

The more combinations are tried, the likelier the one that wins owes it to the chance of the images that judge
it. So all of the choice, combination and registers, is made five times, each time without a fifth of the
images, which is then judged with what was chosen: each image is judged by a choice that it had no part in.
Choices are tried from the safest to the cheapest: of the images they are made on, 4, 3, 2, 1, 0 in a thousand
more must be right than under static T max. The first that is not held ends the trial (as in
`imcsim.studies.registers`), and the last that was held is made anew on all images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.reproduction.decisions import Registers, paired, registers
from imcsim.simulation.values import Progress
from imcsim.studies.registers import FOLDS, Judges, folds

SPARES = (0.004, 0.003, 0.002, 0.001, 0.0)
"""Shares of the images that must be right beyond those under static T max."""
SHORTLIST = 8
"""So many combinations, the cheapest without a spare, are asked for one."""


@dataclass(frozen=True, eq=False)
class HeldChoice:
    """The number of the combination, its registers, and the spare with which it was chosen."""

    combination: int
    words: Registers
    spare: float


@dataclass(frozen=True, eq=False)
class _Chooser:
    """Images that choose: `ways` hold them under each combination."""

    ways: Sequence[Judges]
    reference: NDArray[np.bool_]

    def without(self, fold: NDArray[np.bool_]) -> _Chooser:
        return _Chooser([way.of(~fold) for way in self.ways], self.reference[~fold])

    def cheapest(self, spare: float, among: Sequence[int]) -> list[tuple[float, int, Registers]]:
        """Mean cost, number and registers of the combinations that reach the goal, the cheapest first."""
        # Rounding must not ask for one more.
        goal = math.ceil(int(self.reference.sum()) + spare * len(self.reference) - 1e-9)
        found = []
        for number in among:
            way = self.ways[number]
            words = registers(way, goal)
            if words is not None:
                found.append((way.mean_cost(words), number, words))
        return sorted(found, key=lambda one: one[:2])


def held_choice(
    ways: Sequence[Judges],
    reference: NDArray[np.bool_],
    progress: Progress | None = None,
    stage: str = "choices held",
) -> HeldChoice | None:
    """The cheapest choice that is held (`Paired.no_loss`) on images that it was not made on.

    Args:
        ways: The validation images under each combination.
        reference: Whether each image is right under static T max, ``[images]``.
        progress: Is told how many of the choosers have looked at all combinations.
        stage: What it is told that this is.

    Returns:
        None where no choice is held, as with too few images.
    """
    if not paired(reference, reference).no_loss:
        return None  # not even to stay is
    fold = folds(len(reference))
    everyone = _Chooser(ways, reference)
    others = [everyone.without(fold == k) for k in range(FOLDS)]
    choosers = [*others, everyone]
    lists = []
    for k, chooser in enumerate(choosers, 1):
        lists.append([number for _, number, _ in chooser.cheapest(0.0, range(len(ways)))[:SHORTLIST]])
        if progress is not None:
            progress(stage, k, len(choosers))
    held = None
    for spare in SPARES:
        answers = reference.copy()  # where no combination reaches the goal, images stay
        for k, chooser in enumerate(others):
            first = chooser.cheapest(spare, lists[k])[:1]
            for _, number, words in first:
                answers[fold == k] = ways[number].of(fold == k).answers(words)
        if not paired(answers, reference).no_loss:
            break
        held = spare
    if held is None:
        return None
    for _, number, words in everyone.cheapest(held, lists[-1])[:1]:
        return HeldChoice(number, words, held)
    return None
