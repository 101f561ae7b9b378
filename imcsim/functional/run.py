"""Play images through a program: values and activity, no time and no energy."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional import kernels
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import (
    FLAT_INPUT,
    IDEAL_ADC_MAX,
    CrossbarLayer,
    IntegratorLayer,
    NeuronLayer,
    Program,
)
from imcsim.functional.steps import Converters as Converters
from imcsim.functional.steps import Values, flat, last_readers, play, reads_again, shown
from imcsim.functional.steps import bordered as bordered
from imcsim.network.graph import INPUT

CHUNK_IMAGES = 16
"""Images that go through a layer together: its cells stay in cache; progress and Ctrl-C come in between."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Activity:
    """What the inputs did. Counts are int64 ``[images, timesteps, layers]``.

    active_rows: wordlines driven, over all windows and input bits, once for each block that is read.
    active_pulses: where inputs drive rows for as long as their values say, the clock cycles for which they
    do, as active_rows counts them; None where each bit drives its row once.
    active_levels: the levels of all cells on those rows, summed, in 2**-`choices.LEVEL_FRACTION_BITS` where
    cells have errors. active_reads: block reads with a row active.
    spikes: spikes that left each LIF layer. outputs: class outputs int64 ``[images, timesteps, classes]`` of
    each timestep alone, in 2**-fraction_bits. A layer that reads an image does the same at every timestep,
    unless there are frames.
    """

    layers: tuple[str, ...]
    neuron_layers: tuple[str, ...]
    active_rows: NDArray[np.int64]
    active_levels: NDArray[np.int64]
    active_reads: NDArray[np.int64]
    spikes: NDArray[np.int64]
    outputs: NDArray[np.int64]
    recorded: dict[str, NDArray[Any]]
    toggles: dict[str, NDArray[np.int64]]
    """For each node asked for, int64 ``[images, timesteps, H]``: bits that change between the neighbouring
    pixel words of each row.
    """
    active_pulses: NDArray[np.int64] | None = None

    @property
    def pulses(self) -> NDArray[np.int64]:
        """How long rows are driven, in pulses."""
        return self.active_rows if self.active_pulses is None else self.active_pulses

    @property
    def images(self) -> int:
        return int(self.outputs.shape[0])

    @property
    def timesteps(self) -> int:
        return int(self.outputs.shape[1])


def ideal_converters(program: Program) -> Converters:
    """Converters that cover the largest possible sum, at the program's ADC bits or exactly."""
    if program.numerics.adc_bits is None:
        return exact(program)
    largest = largest_code(program.numerics)
    shift = {}
    for layer in program.crossbar_layers:
        steps = step_shift(full_scale(layer, program.numerics), largest)
        shift[layer.name] = np.full(len(layer.crossbars.factor), steps, np.int64)
    return Converters(shift, largest)


def largest_code(numerics: Numerics) -> int:
    """Of the ADCs; so large that it plays no part where they are ideal."""
    return IDEAL_ADC_MAX if numerics.adc_bits is None else (1 << numerics.adc_bits) - 1


def full_scale(layer: CrossbarLayer, numerics: Numerics) -> int:
    """The largest sum that a read can give, in levels, of cells that are as they should be."""
    level, chip = float((1 << numerics.cell_bits) - 1), numerics.nonideal
    if chip is not None and not chip.referenced:
        level += chip.off_level  # the current of cells at level 0 comes on top
    return math.ceil(int(layer.layout.block_rows.max()) * level) * layer.crossbars.pulses(layer.planes)


def largest_step(layer: CrossbarLayer, numerics: Numerics, largest: int) -> int:
    """The largest step of an ADC of this layer, in levels."""
    return 1 << step_shift(full_scale(layer, numerics), largest)


def exact(program: Program) -> Converters:
    """Converters that neither round nor clip."""
    steps = {layer.name: np.zeros(len(layer.crossbars.factor), np.int64) for layer in program.crossbar_layers}
    return Converters(steps, IDEAL_ADC_MAX)


def step_shift(full_scale: int, largest_code: int) -> int:
    """The smallest power of two step with which `largest_code` steps cover `full_scale`."""
    shift = 0
    while largest_code << shift < full_scale:
        shift += 1
    return shift


def calibrated_converters(
    program: Program, images: NDArray[np.uint8], timesteps: int, workers: int | None = None
) -> Converters:
    """The smallest steps with which ADCs cover the program's percentile of column sums over `images`, with
    exact conversion before.

    `images` are uint8 ``[N, C, H, W]``, or ``[N, T', C, H, W]`` with a frame per timestep: these begin again
    where there are fewer than `timesteps`.
    The scale of a layer is set for each slice, from all reads with a row active.
    """
    if program.numerics.adc_bits is None or program.numerics.full_scale == "ideal":
        return ideal_converters(program)
    names = {layer.source for layer in program.crossbar_layers}
    timed = images.ndim == 5
    images = begun_again(images, timesteps)
    recorded = run(program, images, timesteps, exact(program), workers=workers, record=names).recorded
    largest = largest_code(program.numerics)

    def steps(layer: CrossbarLayer) -> NDArray[np.int64]:
        most = step_shift(full_scale(layer, program.numerics), largest)
        scales = np.array([largest << k for k in range(most + 1)], np.int64)
        # An image that is the same at every timestep: more of it would not change a percentile.
        constant = not timed and layer.source in (INPUT, FLAT_INPUT)
        inputs = recorded[layer.source][:, : 1 if constant else None]
        driven, padding = bordered(layer, inputs)
        sums, beyond = layer.crossbars.sums_beyond(
            driven, layer.planes, scales, layer.stride, padding, layer.out_shape[:2]
        )
        covered = sums - beyond >= np.ceil(sums * program.numerics.percentile / 100.0)
        # Cells that conduct more than they should may exceed all scales: then the largest one is taken.
        return np.array([(*row.tolist(), True).index(True) for row in covered], np.int64).clip(0, most)

    with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
        shifts = list(pool.map(steps, program.crossbar_layers))
    names_in_order = (layer.name for layer in program.crossbar_layers)
    return Converters(dict(zip(names_in_order, shifts, strict=True)), largest)


def begun_again(images: NDArray[np.uint8], timesteps: int) -> NDArray[np.uint8]:
    """Images as they are; of those with a frame per timestep as many frames as are needed, from the first
    again where there are fewer.
    """
    return images if images.ndim == 4 else images[:, np.arange(timesteps) % images.shape[1]]


def concatenate(activities: Sequence[Activity]) -> Activity:
    """One activity of images that were played in several runs; recorded values are left out."""
    first = activities[0]
    return Activity(
        layers=first.layers,
        neuron_layers=first.neuron_layers,
        active_rows=np.concatenate([a.active_rows for a in activities]),
        active_levels=np.concatenate([a.active_levels for a in activities]),
        active_reads=np.concatenate([a.active_reads for a in activities]),
        spikes=np.concatenate([a.spikes for a in activities]),
        outputs=np.concatenate([a.outputs for a in activities]),
        recorded={},
        toggles={
            node: np.concatenate([a.toggles[node] for a in activities]) for node in activities[0].toggles
        },
        active_pulses=None if first.active_pulses is None else np.concatenate([a.pulses for a in activities]),
    )


_Places = NDArray[np.int32]


def segments(layer: CrossbarLayer) -> tuple[_Places, _Places, _Places, _Places, _Places, _Places]:
    """What the kernels ask about rows: places in the window (with dilation), channels, rows and blocks."""
    at = layer.layout
    return at.down, at.right, at.first, at.last, at.row, at.block


def run(
    program: Program,
    images: NDArray[np.uint8],
    timesteps: int,
    converters: Converters,
    *,
    workers: int | None = None,
    record: set[str] | frozenset[str] = frozenset(),
    toggles: set[str] | frozenset[str] = frozenset(),
    progress: Progress | None = None,
    stage: str = "spikes",
    numbers: NDArray[np.int64] | None = None,
) -> Activity:
    """Play images uint8 ``[N, C, H, W]``, or ``[N, T, C, H, W]`` with a frame per timestep, for `timesteps`
    timesteps; there are at least as many frames.

    `record` names nodes whose values are kept (``[N, T, H, W, C]``; ``input`` included); memory grows with
    them. `toggles` names nodes whose toggled bits are counted. numbers ``[N]`` of the images (from 0 on where
    not given) tell their noise from that of others. The result does not depend on `workers`.
    """
    numbers = np.arange(len(images)) if numbers is None else numbers
    layers = program.crossbar_layers
    neurons = program.neuron_layers
    total = len(images)
    activity = Activity(
        layers=tuple(la.name for la in layers),
        neuron_layers=tuple(la.name for la in neurons),
        active_rows=np.zeros((total, timesteps, len(layers)), np.int64),
        active_levels=np.zeros((total, timesteps, len(layers)), np.int64),
        active_reads=np.zeros((total, timesteps, len(layers)), np.int64),
        spikes=np.zeros((total, timesteps, len(neurons)), np.int64),
        outputs=np.zeros((total, timesteps, program.classes), np.int64),
        recorded={},
        toggles={},
        active_pulses=np.zeros((total, timesteps, len(layers)), np.int64) if program.pulsed else None,
    )
    pieces: dict[int, dict[str, NDArray[Any]]] = {}
    flips: dict[int, dict[str, NDArray[np.int64]]] = {}
    threads = workers or os.cpu_count() or 1
    chunk = max(min(CHUNK_IMAGES, -(-total // threads)), 1)  # few images: some for every thread
    kept = frozenset(record) | frozenset(toggles) | {program.output}

    def chunk_from(start: int) -> int:
        stop = min(start + chunk, total)
        at = slice(start, stop)
        values = _chunk(program, images[at], timesteps, converters, activity, at, kept, numbers[at])
        shape = (stop - start, timesteps)
        pieces[start] = {
            name: np.broadcast_to(values[name], shape + values[name].shape[2:]) for name in record
        }
        flips[start] = {
            name: np.broadcast_to(t := _toggles(values[name]), shape + t.shape[2:]) for name in toggles
        }
        return stop - start

    starts = range(0, total, chunk)
    done = 0
    with ThreadPoolExecutor(max_workers=threads) as pool:
        jobs = [pool.submit(chunk_from, start) for start in starts]
        try:
            for job in as_completed(jobs):
                done += job.result()
                if progress is not None:
                    progress(stage, done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for name in record:
        activity.recorded[name] = np.concatenate([pieces[start][name] for start in starts])
    for name in toggles:
        activity.toggles[name] = np.concatenate([flips[start][name] for start in starts])
    return activity


def _chunk(
    program: Program,
    images: NDArray[np.uint8],
    timesteps: int,
    converters: Converters,
    activity: Activity,
    at: slice,
    kept: frozenset[str],
    numbers: NDArray[np.int64],
) -> Values:
    """Run one chunk of images through every step; returns at least the `kept` values,
    ``[n, T or 1, H, W, C]``.
    """
    values = shown(images, timesteps)
    crossbar_index = neuron_index = 0
    needed, again = last_readers(program), reads_again(program)
    for place, step in enumerate(program.steps):
        values[step.name], counts = play(step, values, timesteps, converters, numbers, again)
        if isinstance(step, CrossbarLayer):
            assert counts is not None
            targets = [activity.active_rows, activity.active_levels, activity.active_reads]
            if activity.active_pulses is not None:
                targets.append(activity.active_pulses)
            for k, target in enumerate(targets):
                target[at, :, crossbar_index] = counts[:, :, k]
            crossbar_index += 1
        elif isinstance(step, NeuronLayer):
            assert counts is not None
            activity.spikes[at, :, neuron_index] = counts
            neuron_index += 1
        elif isinstance(step, IntegratorLayer):
            neuron_index += 1
        for name in [name for name in values if needed.get(name, -1) <= place and name not in kept]:
            del values[name]
    sums = values[program.output].reshape(len(images), -1, program.classes).astype(np.int64)
    activity.outputs[at] = (
        (sums * program.out_multiplier + (1 << program.out_right >> 1)) >> program.out_right
    ) + program.out_bias
    return values


def _toggles(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bits that change between neighbouring pixels of each row, ``[n, T or 1, H]``."""
    toggles = np.empty(values.shape[:3], np.int64)
    kernels.bus_toggles(flat(values), flat(toggles))
    return toggles
