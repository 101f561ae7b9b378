"""Which combination costs least at no loss of accuracy on images that had no part in the choice.

The more combinations are tried, the likelier the one that wins owes it to the chance of the images that judge
it. So all of the choice, combination and registers, is made five times, each time without a fifth of the
images, which is then judged with what was chosen: each image is judged by a choice that it had no part in.
Choices are tried from the safest to the cheapest: of the images they are made on, 4, 3, 2, 1, 0 in a thousand
more must be right than under static T max. The first that is not held ends the trial (as in
`imcsim.studies.registers`), and the last that was held is made anew on all images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imcsim.base.progress import Progress
from imcsim.reproduction.decisions import Registers, paired, registers
from imcsim.studies.registers import FOLDS, Judges, folds, goal_of

SPARES = (0.004, 0.003, 0.002, 0.001, 0.0)
"""Shares of the images that must be right beyond those under static T max."""
SHORTLIST = 8
"""So many combinations, the cheapest without a spare, are asked for one."""


Chosen = tuple[float, int, Registers]
"""Mean cost of a choice, the number of its combination, and its registers."""


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
        """The images that are not in the fold."""
        return _Chooser([way.of(~fold) for way in self.ways], self.reference[~fold])

    @cached_property
    def shortlist(self) -> list[Chosen]:
        """The cheapest combinations without a spare, the best first."""
        return self._cheapest(0.0, range(len(self.ways)))[:SHORTLIST]

    def best(self, spare: float) -> Chosen | None:
        """The cheapest choice of the shortlist; None where none has so many right."""
        found = self._cheapest(spare, [one[1] for one in self.shortlist]) if spare else self.shortlist
        return found[0] if found else None

    def _cheapest(self, spare: float, among: Iterable[int]) -> list[Chosen]:
        goal = goal_of(self.reference, spare)
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
    for k, chooser in enumerate(choosers, 1):
        _ = chooser.shortlist  # found here, where progress is told of it
        if progress is not None:
            progress(stage, k, len(choosers))
    held = None
    for spare in SPARES:
        answers = reference.copy()  # where no combination reaches the goal, images stay
        for k, chooser in enumerate(others):
            best = chooser.best(spare)
            if best is not None:
                answers[fold == k] = ways[best[1]].of(fold == k).answers(best[2])
        if not paired(answers, reference).no_loss:
            break
        held = spare
    best = None if held is None else everyone.best(held)
    return None if held is None or best is None else HeldChoice(best[1], best[2], held)
