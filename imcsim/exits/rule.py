"""What an exit rule is: scores in fixed point, and the work, cycles and units of a check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar
from typing import final as final_method

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.outputs import ClassOutputs


@dataclass(frozen=True)
class CheckWork:
    """The operations of one check: what the checker of the hardware pays for, each at its own price."""

    compares: int = 0
    adds: int = 0
    multiplies: int = 0
    exp_lookups: int = 0
    log_lookups: int = 0


@dataclass(frozen=True)
class Units:
    """What a checker is built of: how many units of logic, and which of the two tables."""

    comparators: int = 1
    adders: int = 0
    multipliers: int = 0
    exp_table: bool = False
    log_table: bool = False


class ExitRule(ABC):
    """Decides after each timestep whether an image may leave: it may where its score is below a threshold.

    A score says how unsure the checker is, in counts of the threshold register. The register holds a word
    from 0, with which no image exits early, to ``word(1.0, ...)``; a larger word never lets an image go
    later. A rule is stateless: it sees all timesteps at once, but the score after timestep t must follow from
    the outputs of the timesteps 1 to t alone.
    """

    title: ClassVar[str]
    """What reports call the rule, such as "max-softmax"."""
    units: ClassVar[Units]
    """What the checker is built of; its area and leakage follow from it."""

    # --- arithmetic

    @abstractmethod
    def scores(self, outputs: ClassOutputs, checker: CheckerNumerics) -> NDArray[np.int64]:
        """How unsure the checker is after each timestep, int64 ``[N, T]``, in whole counts of at least 0."""

    @abstractmethod
    def scale(self, classes: int, checker: CheckerNumerics) -> float:
        """The counts of the threshold register for a threshold of 1."""

    def word(self, threshold: float, classes: int, checker: CheckerNumerics) -> int:
        """The threshold register's word for a threshold in 0 to 1: 0 for 0, and never less for more."""
        return round(threshold * self.scale(classes, checker))

    def threshold(self, word: int, classes: int, checker: CheckerNumerics) -> float:
        """The threshold in 0 to 1 that a word of the register stands for; the largest word stands for 1."""
        if word >= self.word(1.0, classes, checker):
            return 1.0
        return word / float(self.scale(classes, checker))

    @final_method
    def required(self, outputs: ClassOutputs, checker: CheckerNumerics) -> NDArray[np.int64]:
        """The smallest word with which each image leaves after each timestep, int64 ``[N, T]``."""
        return self.scores(outputs, checker) + 1

    # --- cost

    @abstractmethod
    def work(self, classes: int, mean: bool) -> CheckWork:
        """The operations of one check of so many classes; with `mean` it decides on running means."""

    @abstractmethod
    def cycles(self, classes: int, class_cycles: int, final_cycles: int) -> int:
        """Clock cycles of one check. class_cycles: the chip's, for one class in one pass over the classes;
        final_cycles: the chip's, for what `entropy` does after its passes: a logarithm, two products and the
        comparison.
        """


FINAL_STEPS = 4
"""What `final_cycles` of a chip is for: a logarithm, two products, a comparison (see `ExitRule.cycles`)."""


def final(steps: int, final_cycles: int) -> int:
    """Cycles of so many of the last steps of a check: their part of the chip's `final_cycles`, rounded up."""
    return -(-steps * final_cycles // FINAL_STEPS)
