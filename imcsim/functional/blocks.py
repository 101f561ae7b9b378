"""Images go through a program some at a time, each some timesteps at a time: what they did, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional import kernels
from imcsim.functional.activity import Activity
from imcsim.functional.program.layers import ActivationLayer, CrossbarLayer, NeuronLayer, Program
from imcsim.functional.steps import (
    Converters,
    TimeBlock,
    Values,
    constant_values,
    flat,
    last_readers,
    play,
    read_by,
    reads_again,
    shown,
)
from imcsim.network.graph import INPUT

Counts = NDArray[np.int64]

Lasting = Callable[[Counts], Counts]
"""For how many timesteps, of all, images are needed, int64 ``[n]``, as far as the outputs of their first t
timesteps tell, int64 ``[n, t, classes]``: of an image of which these do not tell it, for all."""


class BlockPlayer:
    """What images do in a program, gathered from chunks of images that several threads may play.

    shape: images and timesteps. timed: images have a frame for each timestep. block: timesteps that are
    played at a time. For record and toggles see `run.run`.
    """

    def __init__(
        self,
        program: Program,
        converters: Converters,
        shape: tuple[int, int],
        timed: bool,
        block: int,
        record: Iterable[str],
        toggles: Iterable[str],
        lasting: Lasting | None = None,
    ) -> None:
        self.program, self.converters, self.timesteps, self._block = program, converters, shape[1], block
        self._lasting = lasting
        self.stopped = False
        """Set from outside where nobody waits for the rest any more."""
        self._again, self._needed = reads_again(program), last_readers(program)
        self._constant = constant_values(program, timed)
        self._later = read_by(program, lambda step: step.name not in self._constant)
        """Values that are read after all constant ones have been made, wherever their readers stand."""
        self._recorded = _Tables(shape, self._constant, record)
        self._toggles = _Tables(shape, self._constant, toggles)
        self._crossbars = {step.name: k for k, step in enumerate(program.crossbar_layers)}
        self._neurons = {step.name: k for k, step in enumerate(program.neuron_layers)}
        self._reads: Counts = np.zeros((4 if program.pulsed else 3, *shape, len(self._crossbars)), np.int64)
        self._spikes: Counts = np.zeros((*shape, len(self._neurons)), np.int64)
        self._outputs: Counts = np.zeros((*shape, program.classes), np.int64)

    def activity(self) -> Activity:
        """What all images did."""
        return Activity(
            layers=tuple(self._crossbars),
            neuron_layers=tuple(self._neurons),
            active_rows=self._reads[0],
            active_levels=self._reads[1],
            active_reads=self._reads[2],
            spikes=self._spikes,
            outputs=self._outputs,
            recorded=self._recorded.whole(),
            toggles=self._toggles.whole(),
            active_pulses=self._reads[3] if self.program.pulsed else None,
        )

    def play(self, images: NDArray[np.uint8], at: slice, numbers: Counts) -> None:
        """Play the images at these positions for all timesteps; numbers are those of the images."""
        timed, states, delays = (
            INPUT not in self._constant,
            dict[str, Counts](),
            dict[str, NDArray[np.uint8]](),
        )
        constant: Values = {}
        images = images[at]  # of frames that are made when they are read, those of these images
        chosen = _Chosen(at)
        if not timed:
            constant = shown(images, 1)
            self._through(constant, TimeBlock(0, 1, numbers), at, slice(0, self.timesteps), constant=True)
        for first in range(0, self.timesteps, self._block):
            if self.stopped:
                return
            times = slice(first, min(first + self._block, self.timesteps))
            kept = states if self._block < self.timesteps else None
            block = TimeBlock(first, times.stop - first, numbers, kept, delays, self.program.words)
            values = dict(constant)
            if times.stop == self.timesteps:
                constant = {}  # each value is let go after its last reader
            if timed:
                values = chosen.of(shown(images[:, times], block.timesteps))
            self._through(values, block, chosen.places, times, constant=False)
            program = self.program
            block.end(program, values)
            outputs = program.classes * program.votes
            sums = values[program.output].reshape(len(numbers), -1, outputs).astype(np.int64)
            self._outputs[chosen.places, times] = program.class_outputs(sums)
            if self._lasting is None or times.stop == self.timesteps:
                continue
            longer = self._lasting(self._outputs[chosen.places, : times.stop]) > times.stop
            if not longer.any():
                return
            if not longer.all():
                numbers = numbers[longer]
                chosen = chosen.further(longer)
                states, delays, constant = (_rows(kept, longer) for kept in (states, delays, constant))

    def _through(
        self, values: Values, block: TimeBlock, at: slice | Counts, times: slice, *, constant: bool
    ) -> None:
        """Play the steps whose values are `constant`, or all others. Values that nobody reads any more go."""
        if (INPUT in self._constant) == constant:
            self._gather(INPUT, values[INPUT], at, times)
        for place, step in enumerate(self.program.steps):
            if (step.name in self._constant) != constant:
                continue
            made, counts = play(step, values, block, self.converters, self._again)
            values[step.name] = made
            self._gather(step.name, made, at, times)
            if isinstance(step, CrossbarLayer):
                assert counts is not None
                self._reads[..., self._crossbars[step.name]][:, at, times] = np.moveaxis(counts, 2, 0)
            elif isinstance(step, NeuronLayer | ActivationLayer):
                assert counts is not None
                self._spikes[..., self._neurons[step.name]][at, times] = counts
            done = (name for name in values if self._needed.get(name, -1) <= place)
            for name in [n for n in done if n != self.program.output and not (constant and n in self._later)]:
                del values[name]

    def _gather(self, name: str, values: NDArray[Any], at: slice | Counts, times: slice) -> None:
        """Keep of a node's values what is asked for."""
        if name in self._recorded:
            self._recorded.put(name, at, times, values)
        if name in self._toggles:
            self._toggles.put(name, at, times, _toggled(values))


class _Chosen:
    """The images of a chunk that are needed for longer. places: of them in the run, a slice while all are."""

    def __init__(self, at: slice, rows: Counts | None = None) -> None:
        self._at, self._rows = at, rows
        self.places: slice | Counts = at if rows is None else at.start + rows

    def further(self, longer: NDArray[np.bool_]) -> _Chosen:
        """Those of them that are needed for `longer`."""
        rows = np.arange(self._at.stop - self._at.start) if self._rows is None else self._rows
        return _Chosen(self._at, rows[longer])

    def of(self, values: Values) -> Values:
        """Their rows of what stands for all images of the chunk."""
        return values if self._rows is None else _rows(values, self._rows)


def _rows(values: dict[str, NDArray[Any]], rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {name: array[rows] for name, array in values.items()}


class _Tables:
    """Arrays of all images by the name of their node, ``[N, T, ...]``, filled piece by piece; held once where
    all timesteps are alike.
    """

    def __init__(self, shape: tuple[int, int], constant: frozenset[str], names: Iterable[str]) -> None:
        self._shape, self._constant, self._names = shape, constant, frozenset(names)
        self._tables: dict[str, NDArray[Any]] = {}
        self._lock = Lock()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def put(self, name: str, at: slice | Counts, times: slice, values: NDArray[Any]) -> None:
        images, timesteps = self._shape
        if name in self._constant:
            timesteps, times = 1, slice(None)
        with self._lock:
            if name not in self._tables:
                self._tables[name] = np.zeros((images, timesteps, *values.shape[2:]), values.dtype)
        self._tables[name][at, times] = values

    def whole(self) -> dict[str, NDArray[Any]]:
        return {name: np.broadcast_to(t, self._shape + t.shape[2:]) for name, t in self._tables.items()}


def _toggled(values: NDArray[np.uint8]) -> Counts:
    """Bits that change between neighbouring pixels of each row, ``[n, T or 1, H]``."""
    toggles = np.empty(values.shape[:3], np.int64)
    kernels.bus_toggles(flat(values), flat(toggles))
    return toggles
