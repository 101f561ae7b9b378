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
    """Comparisons of two words."""
    adds: int = 0
    """Additions."""
    multiplies: int = 0
    """Multiplications."""
    exp_lookups: int = 0
    """Words read from the exp table."""
    log_lookups: int = 0
    """Words read from the log table."""


@dataclass(frozen=True)
class Units:
    """What a checker is built of: how many units of logic, and which of the two tables."""

    comparators: int = 1
    """Units that compare two words."""
    adders: int = 0
    """Units that add."""
    multipliers: int = 0
    """Units that multiply."""
    exp_table: bool = False
    """Whether it holds the exp table."""
    log_table: bool = False
    """Whether it holds the log table."""


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
        """How unsure the checker is after each timestep, int64 ``[N, T]``, in whole counts of at least 0.

        Args:
            outputs: What the checker has been told of N images after each of T timesteps.
            checker: The widths of the checker's words and tables.
        """

    @abstractmethod
    def scale(self, classes: int, checker: CheckerNumerics) -> float:
        """The counts of the threshold register for a threshold of 1.

        Args:
            classes: How many classes there are.
            checker: The widths of the checker's words and tables.
        """

    def word(self, threshold: float, classes: int, checker: CheckerNumerics) -> int:
        """The threshold register's word for a threshold: 0 for 0, and never less for more.

        Args:
            threshold: The exit threshold, 0 to 1.
            classes: How many classes there are.
            checker: The widths of the checker's words and tables.
        """
        return round(threshold * self.scale(classes, checker))

    def threshold(self, word: int, classes: int, checker: CheckerNumerics) -> float:
        """The threshold in 0 to 1 that a word of the register stands for; the largest word stands for 1.

        Args:
            word: The word, from 0.
            classes: How many classes there are.
            checker: The widths of the checker's words and tables.
        """
        if word >= self.word(1.0, classes, checker):
            return 1.0
        return word / float(self.scale(classes, checker))

    @final_method
    def required(self, outputs: ClassOutputs, checker: CheckerNumerics) -> NDArray[np.int64]:
        """The smallest word with which each image leaves after each timestep, int64 ``[N, T]``.

        Args:
            outputs: What the checker has been told of N images after each of T timesteps.
            checker: The widths of the checker's words and tables.
        """
        return self.scores(outputs, checker) + 1

    # --- cost

    @abstractmethod
    def work(self, classes: int, mean: bool) -> CheckWork:
        """The operations of one check.

        Args:
            classes: How many classes there are.
            mean: Whether it decides on running means of the outputs rather than on their sums.
        """

    @abstractmethod
    def cycles(self, classes: int, class_cycles: int, final_cycles: int) -> int:
        """Clock cycles of one check.

        Args:
            classes: How many classes there are.
            class_cycles: The chip's, for one class in one pass over the classes.
            final_cycles: The chip's, for what ``entropy`` does after its passes: a logarithm, two products
                and the comparison.
        """


FINAL_STEPS = 4
"""What `final_cycles` of a chip is for: a logarithm, two products, a comparison (see `ExitRule.cycles`)."""


def final(steps: int, final_cycles: int) -> int:
    """Cycles of some of the last steps of a check: their part of the chip's cycles, rounded up.

    Args:
        steps: How many of the four steps: a logarithm, two products and the comparison.
        final_cycles: The chip's, for all four.
    """
    return -(-steps * final_cycles // FINAL_STEPS)
