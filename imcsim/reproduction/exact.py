"""The fixed-point checker against an exact one: how many verdicts differ, by the size of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import Accumulation
from imcsim.exits.entropy import Entropy
from imcsim.exits.numerics import CheckerNumerics
from imcsim.exits.outputs import ClassOutputs, exit_timesteps, predictions
from imcsim.results.reproduction.document import CheckerAgreement, CheckerSize
from imcsim.results.reproduction.figures import Varied

ENTRIES = (8, 16, 32, 64, 128, 256, 512, 1024)
TABLE_BITS = (4, 6, 8, 10, 12, 14, 16)
FRACTION_BITS = (1, 2, 3, 4, 6, 8, 10, 12)


def exact_entropy(
    outputs: NDArray[np.int64], fraction_bits: int, accumulation: Accumulation
) -> NDArray[np.float64]:
    """The normalised entropy of the softmax of accumulated class outputs, float64 ``[N, T]``.

    outputs: int64 ``[N, T, K]`` of each timestep alone, in 2**-fraction_bits; the mean is divided exactly.
    """
    f = np.cumsum(outputs, axis=1) / float(1 << fraction_bits)
    if accumulation == "mean":
        f /= np.arange(1, outputs.shape[1] + 1)[None, :, None]
    z = f - f.max(axis=2, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=2)
    entropy: NDArray[np.float64] = (np.log(total) - (e * z).sum(axis=2) / total) / np.log(outputs.shape[2])
    return entropy


@dataclass(frozen=True, eq=False)
class Verdicts:
    """leaves: bool ``[N, T - 1]``, whether an image that is still there may go; stay and answer: ``[N]``."""

    leaves: NDArray[np.bool_]
    stay: NDArray[np.int64]
    answer: NDArray[np.int64]


def checker_agreement(
    outputs: NDArray[np.int64],
    labels: NDArray[np.int64],
    threshold: float,
    numerics: CheckerNumerics,
    accumulation: Accumulation = "mean",
) -> CheckerAgreement:
    """Every size of the checker against the exact one, by the rule of entropy below `threshold`.

    outputs: int64 ``[N, T, K]`` of each timestep alone, in the chip's 2**-fraction_bits. With fewer fraction
    bits they are rounded to them; more cannot be had.
    """
    exact = _exact(outputs, threshold, numerics, accumulation)
    sizes = []
    for varied, size in _series(numerics):
        ours = _fixed(outputs, threshold, numerics.fraction_bits, size, accumulation)
        sizes.append(
            CheckerSize(
                exp_entries=size.exp_entries,
                log_entries=size.log_entries,
                table_bits=size.table_bits,
                fraction_bits=size.fraction_bits,
                table_bytes=-(-(size.exp_entries + size.log_entries) * size.table_bits // 8),
                used=size == numerics,
                varied=varied,
                decisions_differ=int((ours.leaves != exact.leaves).sum()),
                exits_differ=int((ours.stay != exact.stay).sum()),
                predictions_differ=int((ours.answer != exact.answer).sum()),
                accuracy=float(np.mean(ours.answer == labels)),
                mean_timesteps=float(ours.stay.mean()),
            )
        )
    return CheckerAgreement(
        images=len(outputs),
        decisions=exact.leaves.size,
        threshold=threshold,
        exact_accuracy=float(np.mean(exact.answer == labels)),
        exact_mean_timesteps=float(exact.stay.mean()),
        sizes=tuple(sizes),
    )


def _series(own: CheckerNumerics) -> Iterator[tuple[Varied, CheckerNumerics]]:
    """Both tables, each size alone, the chip's own in each series; from small to large."""
    both = [replace(own, exp_entries=n, log_entries=n) for n in ENTRIES]
    for size in sorted({*both, own}, key=lambda s: s.exp_entries + s.log_entries):
        yield "tables", size
    for n in sorted({*ENTRIES, own.exp_entries}):
        yield "exp_entries", replace(own, exp_entries=n)
    for n in sorted({*ENTRIES, own.log_entries}):
        yield "log_entries", replace(own, log_entries=n)
    for n in sorted({*TABLE_BITS, own.table_bits}):
        yield "table_bits", replace(own, table_bits=n)
    for n in sorted({*FRACTION_BITS, own.fraction_bits}):
        if n <= own.fraction_bits:
            yield "fraction_bits", replace(own, fraction_bits=n)


def _exact(
    outputs: NDArray[np.int64], threshold: float, numerics: CheckerNumerics, accumulation: Accumulation
) -> Verdicts:
    leaves = exact_entropy(outputs, numerics.fraction_bits, accumulation) < threshold
    leaves[:, -1] = True
    return _verdicts(leaves, np.argmax(leaves, axis=1) + 1, outputs)


def _fixed(
    outputs: NDArray[np.int64],
    threshold: float,
    held_bits: int,
    size: CheckerNumerics,
    accumulation: Accumulation,
) -> Verdicts:
    """The verdicts of a checker of this size. `held_bits`: the fraction bits of `outputs`."""
    cut = held_bits - size.fraction_bits
    seen = (outputs + (1 << cut >> 1)) >> cut
    needed = Entropy().required(ClassOutputs.of(seen, accumulation), size)
    word = Entropy().word(threshold, outputs.shape[2], size)
    return _verdicts(needed <= word, exit_timesteps(needed, word), seen)


def _verdicts(leaves: NDArray[np.bool_], stay: NDArray[np.int64], outputs: NDArray[np.int64]) -> Verdicts:
    return Verdicts(leaves[:, :-1], stay, predictions(outputs)[np.arange(len(stay)), stay - 1])
