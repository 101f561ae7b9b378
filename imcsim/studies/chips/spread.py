"""One figure over many chips: mean, its interval, spread, worst and best."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from imcsim.results.document import NORMAL_975, Count, Model


class Spread(Model):
    """One figure over the chips."""

    ideal: float
    """On the ideal chip."""
    mean: float
    mean_low: float | None
    """Lower end of the 95 % interval of the mean (Student's t over chips, cut where no figure can lie); None
    for a single chip.
    """
    mean_high: float | None
    """Upper end of the 95 % interval of the mean; None for a single chip."""
    std: float | None
    """Sample standard deviation over chips; None for a single chip."""
    worst: float
    """The lowest accuracy or reduction; the largest of anything else."""
    worst_chip: Count
    """The first chip that has it."""
    best: float


def spread(
    ideal: float,
    values: Sequence[float],
    chips: Sequence[int],
    *,
    within: tuple[float, float] = (-math.inf, math.inf),
    larger_is_better: bool = False,
) -> Spread:
    """`values` of the `chips` with these numbers, beside that of the ideal chip.

    The interval of the mean is that of Student's t, mean +- t(n - 1) s / sqrt(n), cut to lie `within` what
    the figure can be.
    """
    lowest, highest = min(values), max(values)
    count = len(values)
    # Rounding must not push a mean out of the range of its values.
    mean = min(max(math.fsum(values) / count, lowest), highest)
    worst, best = (lowest, highest) if larger_is_better else (highest, lowest)
    std = low = high = None
    if count > 1:
        std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
        half = student_975(count - 1) * std / math.sqrt(count)
        low, high = max(mean - half, within[0]), min(mean + half, within[1])
    return Spread(
        ideal=ideal,
        mean=mean,
        mean_low=low,
        mean_high=high,
        std=std,
        worst=worst,
        worst_chip=chips[list(values).index(worst)],
        best=best,
    )


@functools.cache
def student_975(freedom: int) -> float:
    """The 97.5 % point of Student's t with `freedom` degrees of freedom, to 1e-9 of itself.

    M. Abramowitz and I. A. Stegun, "Handbook of mathematical functions", 1964: the expansion about the normal
    distribution, 26.7.5, and up to 100 degrees, where it is too coarse, the point at which the share within
    +-t, 26.7.3 and 26.7.4, is 95 %.
    """
    z = NORMAL_975
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    expanded = z + math.fsum(term / freedom**k for k, term in enumerate(terms, 1))
    if freedom > 100:
        return expanded
    low, high = z, 2 * expanded
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _share_within(middle, freedom) < 0.95 else (low, middle)
    return (low + high) / 2


def _share_within(t: float, freedom: int) -> float:
    """How much of Student's t lies within +-t: a finite sum in the cosine of ``atan(t / sqrt(freedom))``."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    total, term = 0.0, cosine if odd else 1.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
