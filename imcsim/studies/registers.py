"""Which registers lose no accuracy on validation images, by a count or by a confidence bound.

By the count, as many images must be right as after T max timesteps. Then a handful of images decides: those
that happen to be right only early, or only late, among the few on which the two runs differ.

By the bound, a loss of `max_loss` or more must be ruled out on images that the choice has not seen. Registers
are chosen five times, each time without a fifth of the images, which is then judged with them. So each image
is judged by registers that it had no part in, and the lower end of the 95 % interval of the paired difference
to T max tells whether such a choice will do. Choices are tried in a fixed order, from the safest to the
cheapest: eighths of the words at which the count holds, then words with a tolerance, which may lose up to
`max_loss` of the images they are chosen on. The first that will not do ends the trial: in such an order no
test costs the others any confidence (B. L. Wiens, Pharm. Stat. 2 (2003) 211-215). The last that did is made
anew on all images; where none did, all images stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import Thresholds
from imcsim.exits.outputs import exit_timesteps
from imcsim.results.statistics import paired_interval
from imcsim.studies.thresholds import Registers, one_for_all, one_for_each

FOLDS = 5
SHARES = 8
"""The words of the count are tried in so many equal steps from 0."""
TOLERANCES = 4
"""Tolerances lie ``max_loss / TOLERANCES`` apart."""
SEED = 1
"""Of the draw of the folds."""


@dataclass(frozen=True, eq=False)
class Judges:
    """Images that choose registers: one word for all timesteps, or one for ``each``."""

    needed: NDArray[np.int64]
    """The least register word with which each image leaves after each timestep, ``[N, T]``."""
    right: NDArray[np.bool_]
    """Whether its answer is right then, ``[N, T]``."""
    cost: NDArray[np.float64]
    """What it has cost then, ``[N, T]``."""
    largest: int
    """The largest word of a register."""
    kind: Thresholds
    """One threshold for all timesteps, or one for each."""

    def __len__(self) -> int:
        return len(self.right)

    def of(self, which: NDArray[np.bool_]) -> Judges:
        """Some of the images.

        Args:
            which: Whether each image is one of them, ``[N]``.
        """
        return Judges(self.needed[which], self.right[which], self.cost[which], self.largest, self.kind)

    def answers(self, words: Registers) -> NDArray[np.bool_]:
        """Whether each image is right when it leaves with these registers.

        Args:
            words: Words of the threshold registers: one for all timesteps, or ``[T - 1]``.
        """
        stay = exit_timesteps(self.needed, words)
        found: NDArray[np.bool_] = self.right[np.arange(len(stay)), stay - 1]
        return found

    def mean_cost(self, words: Registers) -> float:
        """What an image costs on average with these registers, in the unit of ``cost``.

        Args:
            words: Words of the threshold registers: one for all timesteps, or ``[T - 1]``.
        """
        stay = exit_timesteps(self.needed, words)
        return float(self.cost[np.arange(len(stay)), stay - 1].mean())

    def registers(self, goal: int | None = None) -> Registers:
        """Words, int64 ``[T - 1]``, of least cost; 0, with which all images stay, where none reach the goal.

        Args:
            goal: How many images must be right. None: as many as after T max.
        """
        needed, right, largest = self.needed, self.right, self.largest
        if self.kind == "each":
            return one_for_each(needed, right, self.cost, largest, goal=goal)
        return np.full(needed.shape[1] - 1, one_for_all(needed, right, largest, goal=goal), np.int64)

    def tolerant(self, tolerance: float) -> Registers:
        """Words of least cost that may lose some of the images.

        Args:
            tolerance: The share of them, 0 to 1.
        """
        return self.registers(goal_of(self.right[:, -1], -tolerance))


def goal_of(right: NDArray[np.bool_], spare: float) -> int:
    """How many images must be right: those that are, and this share of all beyond them (or fewer)."""
    return math.ceil(int(right.sum()) + spare * len(right) - 1e-9)  # rounding must not ask for one more


def registers_within(judges: Judges, max_loss: float) -> Registers:
    """Words of least cost for which a loss of `max_loss` (0.005: half a point) is ruled out.

    Args:
        judges: The validation images that decide.
        max_loss: A share of the images, as 0.005 for half a point.
    """
    fold = folds(len(judges))
    others = [judges.of(fold != k) for k in range(FOLDS)]
    here = [judges.of(fold == k) for k in range(FOLDS)]

    @cache
    def words(tolerance: float) -> tuple[Registers, ...]:
        return tuple(one.tolerant(tolerance) for one in others)

    found = None
    for share, tolerance in path(max_loss):
        gained = lost = 0
        for one, word in zip(here, words(tolerance), strict=True):
            early, late = one.answers(scaled(word, share)), one.right[:, -1]
            gained, lost = gained + int((early & ~late).sum()), lost + int((~early & late).sum())
        if paired_interval(gained, lost, len(judges))[0] < -max_loss:
            break
        found = share, tolerance
    if found is None:
        return np.zeros(judges.right.shape[1] - 1, np.int64)
    return scaled(judges.tolerant(found[1]), found[0])


def folds(images: int) -> NDArray[np.int64]:
    """Which fifth of the images, 0 to `FOLDS` - 1, each belongs to, int64 ``[images]``."""
    drawn: NDArray[np.int64] = np.random.default_rng(SEED).permutation(images) % FOLDS
    return drawn


def path(max_loss: float) -> Iterator[tuple[int, float]]:
    """The choices in the order of their trial: eighths of the words, and the tolerance of the words."""
    yield from ((share, 0.0) for share in range(1, SHARES + 1))
    yield from ((SHARES, max_loss * step / TOLERANCES) for step in range(1, TOLERANCES + 1))


def scaled(words: Registers, share: int) -> Registers:
    """So many eighths of the words."""
    return words * share // SHARES
