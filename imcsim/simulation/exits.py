"""One image as it was played for every exit timestep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.events import Event
from imcsim.timing import EVENTS

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Exits:
    """One image for every exit timestep: what the longest run counts, ``[T, events, layers]``, and what other
    exits count beside its beginning, int64 ``[changes, 5]``: exit, timestep, event, layer, how many more.
    """

    departure: list[int]
    check: list[int]
    longest: Counts
    changes: Counts
    busy_cycles: Counts
    layer_cycles: Counts
    """Int64 ``[T, layers]``, as in `Schedule`."""


def layer_cycles(begun: Counts, ended: Counts) -> Counts:
    """Cycles from the first row that a layer began of a timestep until its last one was done, int64 ``[jobs,
    layers]``, of `Timeline`'s `begun` and `ended`; 0 where it began none.
    """
    cycles: Counts = np.where(begun >= 0, ended - begun, 0)
    return cycles


def powered(counts: Counts, verdict: Counts, since: int = 0) -> Counts:
    """The counts, with the cycles between verdicts, the first of which came after `since`, as powered."""
    counts = counts.copy()
    powered = np.diff(verdict, prepend=since)
    counts[: len(verdict), EVENTS.index(Event.POWERED_CYCLES), -1] = powered
    return counts
