"""One figure over many chips: mean, its interval, spread, worst and best."""

from __future__ import annotations

import math
from collections.abc import Sequence

from imcsim.results.model import Count, DocumentPart
from imcsim.results.statistics import student_975


class Spread(DocumentPart):
    """One figure over the chips."""

    ideal: float
    """On the ideal chip."""
    mean: float
    """Over the chips."""
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
    """The highest accuracy or reduction; the smallest of anything else."""


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
