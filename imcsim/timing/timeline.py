"""What the engine returns: when, and how often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.events import Event
from imcsim.mapping import Placement

EVENTS = tuple(Event)
EVENT_INDEX = {event: k for k, event in enumerate(EVENTS)}


INPUT_LAYER = "input"
OUTPUT_LAYER = "output"
STATIC_LAYER = "static"


def layer_names(placement: Placement) -> tuple[str, ...]:
    """Layers of the ledger: the input, the crossbar layers, the output (accumulator and checker), and
    leakage.
    """
    return (INPUT_LAYER, *(layer.stage.name for layer in placement.layers), OUTPUT_LAYER, STATIC_LAYER)


@dataclass(frozen=True, eq=False)
class Timeline:
    """Images on the chip. Times are cycles since the first image was offered.

    Jobs are timesteps in the order of issue; the arrays ``image``, ``timestep`` (from 0), ``issued``,
    ``answer``, ``verdict`` and ``cancelled`` have one int64 entry a job; -1 stands for never. counts: int64
    ``[jobs, events, layers]`` in the order of `EVENTS`; layer 0 is the input, the last but one the output,
    the last one leakage. begun, ended: int64 ``[jobs, layers]``, when a layer began the first row of a job,
    and when the last one that it began was done; -1 where it has no rows, or began none. arrival, departure:
    int64 ``[images]``. busy_cycles: int64 ``[tiles]``, cycles in which a tile's crossbars were driven or
    sensed. link_cycles: link-cycles that carried flits. package_cycles: those of links between chips.
    """

    layers: tuple[str, ...]
    image: NDArray[np.int64]
    timestep: NDArray[np.int64]
    issued: NDArray[np.int64]
    answer: NDArray[np.int64]
    verdict: NDArray[np.int64]
    cancelled: NDArray[np.int64]
    counts: NDArray[np.int64]
    begun: NDArray[np.int64]
    ended: NDArray[np.int64]
    arrival: NDArray[np.int64]
    departure: NDArray[np.int64]
    busy_cycles: NDArray[np.int64]
    link_cycles: int
    package_cycles: int = 0

    @property
    def cycles(self) -> int:
        """Cycles until the last image has exited."""
        return int(self.departure.max())

    def count(self, event: Event) -> NDArray[np.int64]:
        """How often an event happened, int64 ``[jobs, layers]``."""
        return self.counts[:, EVENT_INDEX[event]]


class Spans:
    """From when until when each layer works on a job, while the engine plays."""

    def __init__(self, layers: int) -> None:
        self._layers = layers
        self._jobs: list[NDArray[np.int64]] = []

    def open(self) -> None:
        """A job has been issued."""
        self._jobs.append(np.full((2, self._layers), -1, np.int64))

    def begun(self, job: int, layer: int, now: int) -> None:
        """A layer begins a row."""
        if self._jobs[job][0, layer] < 0:
            self._jobs[job][0, layer] = now

    def ended(self, job: int, layer: int, now: int) -> None:
        """A row is done."""
        self._jobs[job][1, layer] = now

    def array(self) -> NDArray[np.int64]:
        """Begin and end, int64 ``[jobs, 2, layers]``."""
        return np.stack(self._jobs) if self._jobs else np.zeros((0, 2, self._layers), np.int64)


class Counter:
    """Counts events by job and layer while the engine plays."""

    def __init__(self, layers: int) -> None:
        self._layers = layers
        self._jobs: list[NDArray[np.int64]] = []

    def open(self) -> None:
        """A job has been issued."""
        self._jobs.append(np.zeros((len(EVENTS), self._layers), np.int64))

    def add(self, event: Event, job: int, layer: int, number: int) -> None:
        """Count `number` happenings."""
        self._jobs[job][EVENT_INDEX[event], layer] += number

    def array(self) -> NDArray[np.int64]:
        return np.stack(self._jobs) if self._jobs else np.zeros((0, len(EVENTS), self._layers), np.int64)
