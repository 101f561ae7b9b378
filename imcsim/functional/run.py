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

from imcsim.functional import kernels, membrane_kernels
from imcsim.functional.numerics import Numerics
from imcsim.functional.program import (
    FLAT_INPUT,
    IDEAL_ADC_MAX,
    CrossbarLayer,
    FlattenLayer,
    IntegratorLayer,
    NeuronLayer,
    PoolLayer,
    Program,
)
from imcsim.network.graph import INPUT

CHUNK_IMAGES = 16
"""Images that go through a layer together: its cells stay in cache; progress and Ctrl-C come in between."""

Progress = Callable[[str, int, int], None]

_RESETS = {"hard": membrane_kernels.HARD, "soft": membrane_kernels.SOFT, "none": membrane_kernels.NONE}


@dataclass(frozen=True, eq=False)
class Activity:
    """What the inputs did. Counts are int64 ``[images, timesteps, layers]``.

    active_rows: wordlines driven, over all windows and input bits, once for each block that is read.
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

    @property
    def images(self) -> int:
        return int(self.outputs.shape[0])

    @property
    def timesteps(self) -> int:
        return int(self.outputs.shape[1])


@dataclass(frozen=True, eq=False)
class Converters:
    """ADC steps: `shift` int64 ``[slices]`` for each crossbar layer, and the largest code."""

    shift: dict[str, NDArray[np.int64]]
    largest_code: int


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
    return math.ceil(int(layer.layout.block_rows.max()) * level)


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

    `images` are uint8 ``[N, C, H, W]``, or ``[N, T', C, H, W]`` with a frame a timestep: these begin again
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
    """Images as they are; of those with a frame a timestep as many frames as are needed, from the first again
    where there are fewer.
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
    )


_Places = NDArray[np.int32]


def segments(layer: CrossbarLayer) -> tuple[_Places, _Places, _Places, _Places, _Places, _Places]:
    """What the kernels ask about rows: places in the window (with dilation), channels, rows and blocks."""
    at = layer.layout
    return at.down, at.right, at.first, at.last, at.row, at.block


def bordered(layer: CrossbarLayer, source: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Values ``[n, T, H, W, C]`` as a layer reads them, ``[n * T, H, W, C]``, and the zeros around them.

    Where the image's border is not zero it is put around the image, and no padding is left.
    """
    inputs = _flat(source)
    if not layer.border or layer.padding == (0, 0):
        return np.ascontiguousarray(inputs), layer.padding
    (down, right), (images, height, width, channels) = layer.padding, inputs.shape
    framed = np.empty((images, height + 2 * down, width + 2 * right, channels), np.uint8)
    framed[:] = np.array(layer.border, np.uint8)
    framed[:, down : down + height, right : right + width] = inputs
    return framed, (0, 0)


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
    """Play images uint8 ``[N, C, H, W]``, or ``[N, T, C, H, W]`` with a frame a timestep, for `timesteps`
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
    )
    pieces: dict[int, dict[str, NDArray[Any]]] = {}
    flips: dict[int, dict[str, NDArray[np.int64]]] = {}
    threads = workers or os.cpu_count() or 1
    chunk = max(min(CHUNK_IMAGES, -(-total // threads)), 1)  # few images: some for every thread
    kept = frozenset(record) | frozenset(toggles) | {program.output}

    def play(start: int) -> int:
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
        jobs = [pool.submit(play, start) for start in starts]
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
) -> dict[str, NDArray[Any]]:
    """Run one chunk of images through every step; returns at least the `kept` values,
    ``[n, T or 1, H, W, C]``.
    """
    frames = images[:, :timesteps] if images.ndim == 5 else images[:, None]
    values: dict[str, NDArray[Any]] = {INPUT: np.ascontiguousarray(frames.transpose(0, 1, 3, 4, 2))}
    count = len(images)
    crossbar_index = neuron_index = 0
    needed = _last_readers(program)
    # The same image at every timestep is read with other noise each time.
    chip = program.numerics.nonideal
    again = chip is not None and chip.noisy and not chip.encoder_kept
    for place, step in enumerate(program.steps):
        source = values.get(step.source)
        if isinstance(step, CrossbarLayer):
            assert source is not None
            if again and source.shape[1] < timesteps:
                source = np.repeat(source, timesteps, axis=1)
            out, counts = _crossbar(step, source, converters, numbers)
            values[step.name] = out
            for k, target in enumerate((activity.active_rows, activity.active_levels, activity.active_reads)):
                target[at, :, crossbar_index] = counts[:, :, k]
            crossbar_index += 1
        elif isinstance(step, NeuronLayer):
            current = _current(step, values)
            shape = (count, timesteps, *current.shape[2:])
            spikes = np.empty(shape, np.uint8)
            counts = np.empty((count, timesteps), np.int64)
            membrane_kernels.lif(
                current.reshape(*current.shape[:2], -1, shape[-1]), step.left, step.right, step.bias,
                step.threshold, step.above, step.leak, step.synapse, step.decay_bits, _RESETS[step.reset],
                step.late, step.limit, spikes.reshape(count, timesteps, -1, shape[-1]), counts,
            )  # fmt: skip
            values[step.name] = spikes
            activity.spikes[at, :, neuron_index] = counts
            neuron_index += 1
        elif isinstance(step, IntegratorLayer):
            current = _current(step, values)
            membranes = np.empty((count, timesteps, *current.shape[2:]), np.int64)
            membrane_kernels.integrate(
                current.reshape(*current.shape[:2], -1, current.shape[-1]), step.left, step.right, step.bias,
                step.leak, step.synapse, step.decay_bits, step.limit,
                membranes.reshape(count, timesteps, -1, current.shape[-1]),
            )  # fmt: skip
            values[step.name] = membranes
            neuron_index += 1
        elif isinstance(step, PoolLayer):
            assert source is not None
            out = np.empty((*source.shape[:2], *step.out_shape), np.uint8)
            kernels.pool(_flat(source), step.size, step.stride, step.padding, step.sums, _flat(out))
            values[step.name] = out
        else:
            assert isinstance(step, FlattenLayer)
            assert source is not None
            # Flatten runs over channels first, as in the frameworks that train.
            values[step.name] = np.ascontiguousarray(source.transpose(0, 1, 4, 2, 3)).reshape(
                *source.shape[:2], 1, 1, -1
            )
        for name in [name for name in values if needed.get(name, -1) <= place and name not in kept]:
            del values[name]
    sums = values[program.output].reshape(count, -1, program.classes).astype(np.int64)
    activity.outputs[at] = (
        (sums * program.out_multiplier + (1 << program.out_right >> 1)) >> program.out_right
    ) + program.out_bias
    return values


def _last_readers(program: Program) -> dict[str, int]:
    """The place of the last step that reads each value."""
    last: dict[str, int] = {}
    for place, step in enumerate(program.steps):
        last[step.source] = place
        if isinstance(step, NeuronLayer | IntegratorLayer):
            last |= {branch.source: place for branch in step.branches}
    return last


def _toggles(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bits that change between neighbouring pixels of each row, ``[n, T or 1, H]``."""
    toggles = np.empty(values.shape[:3], np.int64)
    kernels.bus_toggles(_flat(values), _flat(toggles))
    return toggles


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """Images and timesteps as one axis."""
    return values.reshape(-1, *values.shape[2:])


def _crossbar(
    layer: CrossbarLayer, source: NDArray[np.uint8], converters: Converters, numbers: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    inputs, padding = bordered(layer, source)
    out = np.empty((len(inputs), *layer.out_shape), layer.accumulator)
    images, timesteps = source.shape[:2]
    counts = layer.crossbars.read(
        inputs, layer.planes, converters.shift[layer.name], converters.largest_code, layer.stride, padding,
        out, (np.repeat(numbers, timesteps), np.tile(np.arange(timesteps), images)),
    )  # fmt: skip
    return out.reshape(*source.shape[:2], *layer.out_shape), counts.reshape(*source.shape[:2], 3)


def _current(step: NeuronLayer | IntegratorLayer, values: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The neuron's current: a layer's sums, or aligned branches of a residual addition."""
    if not step.branches:
        return values[step.source]
    total: Any = 0
    for branch in step.branches:
        aligned = values[branch.source].astype(np.int64) * branch.multiplier + (
            (np.int64(1) << branch.right) >> 1
        )
        total = total + (aligned >> branch.right)
    return np.ascontiguousarray(total)
