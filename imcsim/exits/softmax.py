"""Softmax in fixed point, by table and without a divider: what `entropy` and `max_softmax` have in common.

With ``z_k = f_k - max f``, ``e_k = exp(z_k)`` and ``E = sum e_k`` a softmax is ``e_k / E``. Both rules have
the form ``a / E``, and the chip compares ``a`` with ``E`` times the threshold register: nothing is divided.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.outputs import ClassOutputs
from imcsim.exits.rule import ExitRule


@dataclass(frozen=True, eq=False)
class Tables:
    """The look-up tables of one checker, and its word formats."""

    exp: NDArray[np.int64]
    log: NDArray[np.int64]
    numerics: CheckerNumerics

    @property
    def one(self) -> int:
        """The word that stands for exp(0) = 1."""
        return int(self.exp[0])


@lru_cache(maxsize=64)
def tables(numerics: CheckerNumerics) -> Tables:
    """Fill the exp table over ``-exp_range .. 0`` and the log table over ``1 .. 2``."""
    one = (1 << (numerics.table_bits - 1)) - 1
    z = -np.arange(numerics.exp_entries) * (numerics.exp_range / numerics.exp_entries)
    mantissa = 1 + (np.arange(numerics.log_entries) + 0.5) / numerics.log_entries
    made = Tables(
        exp=np.rint(one * np.exp(z)).astype(np.int64),
        log=np.rint(np.log(mantissa) * (1 << numerics.fraction_bits)).astype(np.int64),
        numerics=numerics,
    )
    made.exp.flags.writeable = made.log.flags.writeable = False
    return made


@dataclass(frozen=True, eq=False)
class Exponentials:
    """z: class outputs less the largest, int64 ``[N, T, K]``. e: their exponentials, words of the exp table.
    total: the sums of these, int64 ``[N, T]``.
    """

    z: NDArray[np.int64]
    e: NDArray[np.int64]
    total: NDArray[np.int64]


def exponentials(accumulated: NDArray[np.int64], table: Tables) -> Exponentials:
    """Look up the exponential of each class output less the largest one; 0 beyond the table."""
    numerics = table.numerics
    z = accumulated - accumulated.max(axis=2, keepdims=True)
    step = numerics.exp_range / numerics.exp_entries * (1 << numerics.fraction_bits)
    index = np.floor(-z / step + 0.5).astype(np.int64)
    e = np.where(index < numerics.exp_entries, table.exp[np.minimum(index, numerics.exp_entries - 1)], 0)
    return Exponentials(z, e, e.sum(axis=2))


class SoftmaxRule(ExitRule):
    """A rule whose score is a quotient ``a / E`` of the softmax's words."""

    @abstractmethod
    def fraction(
        self, accumulated: NDArray[np.int64], table: Tables
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numerator, in ``2**-fraction_bits``, and denominator of the score, int64 ``[N, T]`` each.

        accumulated: int64 ``[N, T, K]`` (see `ClassOutputs`).
        """

    def scores(self, outputs: ClassOutputs, checker: CheckerNumerics) -> NDArray[np.int64]:
        # a < register x E holds where a // E < register, for whole numbers.
        numerator, denominator = self.fraction(outputs.accumulated, tables(checker))
        return numerator // denominator
