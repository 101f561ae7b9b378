"""What the engine returns: when, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.events import Event


@dataclass(frozen=True, eq=False)
class Timeline:
    """One image on the chip. Times are cycles since the image was offered.

    verdict_cycles: int64 ``[T]``, when the checker has spoken on timestep t. answer_cycles: int64 ``[T]``, when the class
    outputs of timestep t stood in the accumulator, before the check. counts: for each event that does not depend on
    values, int64 ``[T, layers]``; layer 0 is the input, the last one the output. busy_cycles: int64 ``[tiles]``, cycles in which a
    tile's crossbars were driven or sensed.
    """

    layers: tuple[str, ...]
    verdict_cycles: NDArray[np.int64]
    answer_cycles: NDArray[np.int64]
    counts: Mapping[Event, NDArray[np.int64]]
    busy_cycles: NDArray[np.int64]

    @property
    def timesteps(self) -> int:
        return len(self.verdict_cycles)


class Counter:
    """Counts events by timestep and layer while the engine plays."""

    def __init__(self, timesteps: int, layers: int) -> None:
        self._shape = (timesteps, layers)
        self._counts: dict[Event, list[list[int]]] = {}

    def add(self, event: Event, timestep: int, layer: int, number: int) -> None:
        """Count `number` happenings."""
        table = self._counts.get(event)
        if table is None:
            table = self._counts[event] = [[0] * self._shape[1] for _ in range(self._shape[0])]
        table[timestep][layer] += number

    def arrays(self) -> dict[Event, NDArray[np.int64]]:
        return {event: np.array(table, np.int64) for event, table in self._counts.items()}
