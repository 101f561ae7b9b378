"""The exit checker's arithmetic: softmax and entropy in fixed point, by table, without a divider.

With z_k = f_k - max f, e_k = exp(z_k) and E = sum e_k, the normalised entropy of softmax(f) is
``H = (ln E - (sum e_k z_k) / E) / ln K`` (Li et al., DAC 2023, eq. for H, rewritten). The chip compares
``E ln E - sum e_k z_k`` with ``E`` times a threshold register, so nothing is divided. The other rules have
the same form, an uncertainty ``a / E``: ``1 - p_max`` (max-softmax) and ``1 - (p_1 - p_2)`` (margin).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import Accumulation, Rule
from imcsim.functional.program.numerics import CheckerNumerics

RECIPROCAL_FRACTION_BITS = 16


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


def tables(numerics: CheckerNumerics) -> Tables:
    """Fill the exp table over ``-exp_range .. 0`` and the log table over ``1 .. 2``."""
    one = (1 << (numerics.table_bits - 1)) - 1
    z = -np.arange(numerics.exp_entries) * (numerics.exp_range / numerics.exp_entries)
    mantissa = 1 + (np.arange(numerics.log_entries) + 0.5) / numerics.log_entries
    return Tables(
        exp=np.rint(one * np.exp(z)).astype(np.int64),
        log=np.rint(np.log(mantissa) * (1 << numerics.fraction_bits)).astype(np.int64),
        numerics=numerics,
    )


def accumulate(outputs: NDArray[np.int64], accumulation: Accumulation) -> NDArray[np.int64]:
    """Running sum or mean of class outputs int64 ``[N, T, K]``; the mean multiplies by a stored 1/t."""
    total = np.cumsum(outputs, axis=1)
    if accumulation == "sum":
        return total
    steps = np.arange(1, outputs.shape[1] + 1)
    reciprocal = np.rint((1 << RECIPROCAL_FRACTION_BITS) / steps).astype(np.int64)[None, :, None]
    half = 1 << (RECIPROCAL_FRACTION_BITS - 1)
    mean: NDArray[np.int64] = (total * reciprocal + half) >> RECIPROCAL_FRACTION_BITS
    return mean


def predictions(outputs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class after each timestep, ``[N, T]``: the largest running sum, the lower class on a tie."""
    classes: NDArray[np.int64] = np.argmax(np.cumsum(outputs, axis=1), axis=2)
    return classes


def uncertainty(
    accumulated: NDArray[np.int64], rule: Rule, table: Tables
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numerator, in 2**-fraction_bits, and denominator of the rule's uncertainty, int64 ``[N, T]``."""
    numerics = table.numerics
    z = accumulated - accumulated.max(axis=2, keepdims=True)
    step = numerics.exp_range / numerics.exp_entries * (1 << numerics.fraction_bits)
    index = np.floor(-z / step + 0.5).astype(np.int64)
    e = np.where(index < numerics.exp_entries, table.exp[np.minimum(index, numerics.exp_entries - 1)], 0)
    total = e.sum(axis=2)
    if rule == "entropy":
        return np.maximum(total * _log(total, table) - (e * z).sum(axis=2), 0), total
    best = np.sort(e, axis=2)
    lead = best[..., -1] if rule == "max_softmax" else best[..., -1] - best[..., -2]
    return (total - lead) << numerics.fraction_bits, total


def _log(total: NDArray[np.int64], table: Tables) -> NDArray[np.int64]:
    """ln(total / one) in 2**-fraction_bits, from the position of the leading bit and one table access."""
    numerics = table.numerics
    exponent = np.frexp(total.astype(np.float64))[1] - 1
    mantissa_index = ((total - (np.int64(1) << exponent)) * numerics.log_entries) >> exponent
    ln2 = round(np.log(2.0) * (1 << numerics.fraction_bits))
    ln_one = round(np.log(float(table.one)) * (1 << numerics.fraction_bits))
    result: NDArray[np.int64] = exponent * ln2 + table.log[mantissa_index] - ln_one
    return result


def scale(rule: Rule, classes: int, numerics: CheckerNumerics) -> float:
    """Register counts for a threshold of 1: ``ln K`` for the normalised entropy, 1 for the others."""
    return (np.log(classes) if rule == "entropy" else 1.0) * float(1 << numerics.fraction_bits)


def register(threshold: float, rule: Rule, classes: int, numerics: CheckerNumerics) -> int:
    """The threshold register's word for a threshold in 0 to 1."""
    return round(threshold * scale(rule, classes, numerics))


def required_register(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> NDArray[np.int64]:
    """The smallest register with which an image leaves, that is ``numerator < register * denominator``."""
    return numerator // denominator + 1


def exit_timesteps(
    required: NDArray[np.int64], threshold_registers: int | NDArray[np.int64]
) -> NDArray[np.int64]:
    """The timestep, 1 to T, after which each image leaves; T when the checker never says so.

    required: ``[N, T]``; threshold_registers: one word for all timesteps, or one for each of 1 to T - 1.
    """
    leaves = np.ones(required.shape, np.bool_)
    leaves[:, :-1] = required[:, :-1] <= threshold_registers
    timesteps: NDArray[np.int64] = np.argmax(leaves, axis=1) + 1
    return timesteps
