"""One step of a program, played for some images: what it makes of values that are there already."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imcsim.functional import kernels, membrane_kernels
from imcsim.functional.program.layers import (
    ActivationLayer,
    CrossbarLayer,
    DelayLayer,
    FlattenLayer,
    IntegratorLayer,
    NeuronLayer,
    Neurons,
    PoolLayer,
    Program,
    Step,
    SumLayer,
)
from imcsim.network.graph import INPUT

N = TypeVar("N", NeuronLayer, IntegratorLayer)

Values = dict[str, NDArray[Any]]
"""Values of nodes, ``[n, T or 1, H, W, C]``; one timestep where all are the same."""

_RESETS = {"hard": kernels.HARD, "soft": kernels.SOFT, "none": kernels.NONE}


@dataclass(frozen=True, eq=False)
class Converters:
    """ADC steps: `shift` int64 ``[slices]`` for each crossbar layer, and the largest code."""

    shift: dict[str, NDArray[np.int64]]
    largest_code: int
    of_layers: Mapping[str, int] = field(default_factory=dict)
    """Of layers whose ADCs have another one."""

    def code_of(self, layer: str) -> int:
        """The largest code of a layer's ADCs."""
        return self.of_layers.get(layer, self.largest_code)


@dataclass(frozen=True, eq=False)
class TimeBlock:
    """Timesteps of some images that are played together, from the timestep `first` (from 0) on.

    numbers: int64 ``[n]``, the images' numbers, which tell their noise. states: what the neurons of each step
    keep from one block to the next, int64 ``[n, up to STATES, neurons]`` by name; None where there is one
    block only.
    delays: the last timesteps that each delay holds back, uint8 ``[n, k, H, W, C]``. words: see
    `Program.words`; of neurons that are not named, the longest.
    """

    first: int
    timesteps: int
    numbers: NDArray[np.int64]
    states: dict[str, NDArray[np.int64]] | None = None
    delays: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    words: Mapping[str, type[np.int32] | type[np.int64]] = field(default_factory=dict)

    def held_back(self, delay: DelayLayer) -> NDArray[np.uint8]:
        """The last timesteps before this block, of what `delay` reads; nothing before the first one."""
        if delay.name not in self.delays:
            shape = (len(self.numbers), delay.timesteps, *delay.shape)
            self.delays[delay.name] = np.zeros(shape, np.uint8)
        return self.delays[delay.name]

    def end(self, program: Program, values: Values) -> None:
        """Let delays hold back what this block gave."""
        for delay in program.delays:
            both = np.concatenate((self.held_back(delay), values[delay.source]), axis=1)
            self.delays[delay.name] = both[:, -delay.timesteps :]

    def state(self, step: NeuronLayer | IntegratorLayer, neurons: int) -> NDArray[np.int64]:
        """What the neurons of a step have kept; written over when it is played."""
        if self.states is None:
            return np.empty((0, membrane_kernels.STATES, 0), np.int64)
        if step.name not in self.states:
            self.states[step.name] = np.empty((len(self.numbers), states_of(step), neurons), np.int64)
        return self.states[step.name]


def states_of(step: NeuronLayer | IntegratorLayer) -> int:
    """How many numbers a neuron keeps from one timestep to the next (see `membrane_kernels.lif`)."""
    if isinstance(step, NeuronLayer) and (step.late or step.refractory):
        return membrane_kernels.STATES if step.late else membrane_kernels.STATES - 1
    return 2 if len(step.synapse) else 1


def shown(images: NDArray[np.uint8], timesteps: int) -> Values:
    """The values with which a program begins: images ``[n, C, H, W]``, or ``[n, T, C, H, W]`` with a frame a
    timestep.
    """
    frames = images[:, :timesteps] if images.ndim == 5 else images[:, None]
    return {INPUT: np.ascontiguousarray(frames.transpose(0, 1, 3, 4, 2))}


def reads_again(program: Program) -> bool:
    """Whether the same image is read anew at every timestep, with other noise each time."""
    chip = program.numerics.nonideal
    return chip is not None and chip.noisy and not chip.encoder_kept


def play(
    step: Step,
    values: Values,
    block: TimeBlock,
    converters: Converters,
    again: bool,
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """What `step` makes of `values` of a block, and counts: int64 ``[n, T or 1, 3]`` of crossbars (see
    `Activity`), spikes ``[n, T]`` of neurons (of activations those above 0), else None.

    again: see `reads_again`. Blocks of an image are played in their order.
    """
    timesteps, images = block.timesteps, len(block.numbers)
    if isinstance(step, NeuronLayer):
        current, step = _current(step, values)
        spikes = np.empty((images, timesteps, *current.shape[2:]), np.uint8)
        counts, channels = np.empty(spikes.shape[:2], np.int64), spikes.shape[-1]
        more = membrane_kernels.more_of(
            step.synapse, step.late, step.floor, step.initial, step.drift, step.max_spikes, step.refractory
        )
        membrane_kernels.lif(
            current.reshape(*current.shape[:2], -1, channels), step.left, step.right, step.bias,
            step.threshold, step.above, step.leak, step.decay_bits, _RESETS[step.reset], step.limit, more,
            block.state(step, math.prod(spikes.shape[2:])), block.first == 0,
            spikes.reshape(*spikes.shape[:2], -1, channels), counts,
            block.words.get(step.name, np.int64),
        )  # fmt: skip
        return spikes, counts
    if isinstance(step, IntegratorLayer):
        current, step = _current(step, values)
        membranes = np.empty((images, timesteps, *current.shape[2:]), np.int64)
        membrane_kernels.integrate(
            current.reshape(*current.shape[:2], -1, current.shape[-1]), step.left, step.right, step.bias,
            step.leak, step.synapse, step.decay_bits, step.limit,
            block.state(step, math.prod(membranes.shape[2:])), block.first == 0,
            membranes.reshape(*membranes.shape[:2], -1, current.shape[-1]),
        )  # fmt: skip
        return membranes, None
    if isinstance(step, ActivationLayer):
        totals, step = _totals(step, values)
        codes: NDArray[Any] = np.empty(totals.shape, np.uint8)
        above = np.empty((images, totals.shape[1]), np.int64)
        channels = totals.shape[-1]
        kernels.activate(
            flat(totals).reshape(above.size, -1, channels), step.multiplier, step.bias, step.right, step.top,
            flat(codes).reshape(above.size, -1, channels), flat(above),
        )  # fmt: skip
        return codes, above
    if isinstance(step, SumLayer):
        total = np.zeros_like(values[step.source])
        for name in step.sources:
            total += values[name]
        return total, None
    if isinstance(step, DelayLayer):
        out = block.held_back(step)[:, :timesteps]
        if timesteps > step.timesteps:
            out = np.concatenate((out, values[step.source][:, : timesteps - step.timesteps]), axis=1)
        return np.ascontiguousarray(out), None
    source = values[step.source]
    if isinstance(step, CrossbarLayer):
        if again and source.shape[1] < timesteps:
            source = np.repeat(source, timesteps, axis=1)
        return _crossbar(step, source, converters, block)
    if isinstance(step, PoolLayer):
        if step.currents:
            sums = np.empty((*source.shape[:2], *step.out_shape), np.int64)
            kernels.pool_currents(flat(source), step.size, step.stride, step.padding, step.sums, flat(sums))
            return sums, None
        out = np.empty((*source.shape[:2], *step.out_shape), np.uint8)
        if step.row:  # a map of one channel, whose row it is
            row, pooled = (values.reshape(-1, 1, values.shape[4], 1) for values in (source, out))
            kernels.pool(row, step.size, step.stride, step.padding, step.sums, pooled)
            return out, None
        kernels.pool(flat(source), step.size, step.stride, step.padding, step.sums, flat(out))
        return out, None
    assert isinstance(step, FlattenLayer)
    # Flatten runs over channels first, as in the frameworks that train.
    rows = np.ascontiguousarray(source.transpose(0, 1, 4, 2, 3))
    return rows.reshape(*source.shape[:2], 1, 1, -1), None


def constant_values(program: Program, timed: bool) -> frozenset[str]:
    """The values that are the same at every timestep: the image, where it has no frames, and what comes of it
    before the first neurons.
    """
    constant = set[str]() if timed else {INPUT}
    for step in program.steps:
        read_anew = isinstance(step, CrossbarLayer) and reads_again(program)
        if step.source in constant and not read_anew and not isinstance(step, Neurons):
            constant.add(step.name)
    return frozenset(constant)


def sources_of(step: Step) -> frozenset[str]:
    """The values that a step reads."""
    if isinstance(step, SumLayer):
        return frozenset(step.sources)
    branches = step.branches if isinstance(step, Neurons) else ()
    return frozenset({step.source, *(branch.source for branch in branches)})


def read_by(program: Program, which: Callable[[Step], bool]) -> frozenset[str]:
    """The values that some steps read."""
    return frozenset(name for step in program.steps if which(step) for name in sources_of(step))


def last_readers(program: Program) -> dict[str, int]:
    """The place of the last step that reads each value; what delays hold back is kept to the end."""
    last: dict[str, int] = {}
    for place, step in enumerate(program.steps):
        last |= dict.fromkeys(sources_of(step), place)
    return last | {delay.source: len(program.steps) for delay in program.delays}


def bordered(layer: CrossbarLayer, source: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Values ``[n, T, H, W, C]`` as a layer reads them, ``[n * T, H, W, C]``, and the zeros around them.

    Where the image's border is not zero it is put around the image, and no padding is left.
    """
    inputs = flat(source)
    if not layer.border or layer.padding == (0, 0):
        return np.ascontiguousarray(inputs), layer.padding
    (down, right), (images, height, width, channels) = layer.padding, inputs.shape
    framed = np.empty((images, height + 2 * down, width + 2 * right, channels), np.uint8)
    framed[:] = np.array(layer.border, np.uint8)
    framed[:, down : down + height, right : right + width] = inputs
    return framed, (0, 0)


def flat(values: NDArray[Any]) -> NDArray[Any]:
    """Images and timesteps as one axis."""
    return values.reshape(-1, *values.shape[2:])


def _crossbar(
    layer: CrossbarLayer, source: NDArray[np.uint8], converters: Converters, block: TimeBlock
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    inputs, padding = bordered(layer, source)
    out = np.empty((len(inputs), *layer.out_shape), layer.accumulator)
    images, timesteps = source.shape[:2]
    counts = layer.crossbars.read(
        inputs, layer.planes, converters.shift[layer.name], converters.code_of(layer.name), layer.stride,
        padding, out,
        (np.repeat(block.numbers, timesteps), np.tile(block.first + np.arange(timesteps), images)),
    )  # fmt: skip
    return out.reshape(*source.shape[:2], *layer.out_shape), counts.reshape(*source.shape[:2], -1)


def _current(step: N, values: Values) -> tuple[NDArray[Any], N]:
    """The neurons' current, and how they take it: a layer's sums, pooled or not, or aligned branches of a
    residual addition. Where padded windows give each place a bias of its own it is in the current already.
    """
    windows = step.pooled.windows
    if windows.size:
        sums = values[step.source].astype(np.int64)
        aligned = ((sums << step.left) + ((np.int64(1) << step.right) >> 1)) >> step.right
        nothing = np.zeros_like(step.bias)
        alike = replace(step, left=nothing, right=nothing, bias=nothing)
        return np.ascontiguousarray(aligned + step.bias * windows[..., None]), alike
    if not step.branches:
        return values[step.source], step
    total: Any = 0
    for branch in step.branches:
        aligned = values[branch.source].astype(np.int64) * branch.multiplier + (
            (np.int64(1) << branch.right) >> 1
        )
        total = total + (aligned >> branch.right)
    return np.ascontiguousarray(total), step


def _totals(step: ActivationLayer, values: Values) -> tuple[NDArray[Any], ActivationLayer]:
    """What becomes activations, and how: a layer's sums, pooled or not; where branches are added, or padded
    windows give each place a bias of its own, all of that is in the total already.
    """
    windows = step.pooled.windows
    if not step.branches and not windows.size:
        return np.ascontiguousarray(values[step.source]), step
    if step.branches:
        total = sum(values[b.source].astype(np.int64) * b.multiplier for b in step.branches) + step.bias
    else:
        total = values[step.source].astype(np.int64) * step.multiplier + step.bias * windows[..., None]
    nothing = np.zeros_like(step.bias)
    return np.ascontiguousarray(total), replace(step, multiplier=nothing + 1, bias=nothing)
