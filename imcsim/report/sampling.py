"""Which of many timesteps tables and figures show, so that a run of a hundred reads like one of ten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ALL_SHOWN = 16
"""Up to so many timesteps, each of them is shown."""

MOST_BINS = 20


def shown_timesteps(last: int) -> tuple[int, ...]:
    """Timesteps that stand for 1 to `last`: all of a few, else 1, 2, 5, 10, 20, 50, ... and the last.

    >>> shown_timesteps(300)
    (1, 2, 5, 10, 20, 50, 100, 200, 300)
    """
    if last <= ALL_SHOWN:
        return tuple(range(1, last + 1))
    round_ones = (k * 10**power for power in range(len(str(last))) for k in (1, 2, 5))
    return (*(t for t in round_ones if t < last), last)


class ExitBin(NamedTuple):
    """Images that exit after `first` to `last` timesteps, as a share of all."""

    first: int
    last: int
    share: float

    @property
    def name(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def exit_bins(exit_fraction: Sequence[float]) -> list[ExitBin]:
    """Shares of the images at T = 1, 2, ... as they are, or of many timesteps in bins of one round width."""
    count, width = len(exit_fraction), 1
    if count > ALL_SHOWN:
        widths = (k * 10**power for power in range(len(str(count))) for k in (1, 2, 5))
        width = next(w for w in widths if w * MOST_BINS >= count)
    return [
        ExitBin(first + 1, min(first + width, count), sum(exit_fraction[first : first + width]))
        for first in range(0, count, width)
    ]
