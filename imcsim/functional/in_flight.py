"""How many images, and how many of their timesteps, are played together: as many as memory has room for.

Values do not depend on it: an image does not know the others, and neurons keep their state from one block of
timesteps to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from imcsim.base.memory import budget_bytes
from imcsim.functional.program.layers import (
    ActivationLayer,
    CrossbarLayer,
    DelayLayer,
    FlattenLayer,
    IntegratorLayer,
    Neurons,
    PoolLayer,
    Program,
    SumLayer,
)
from imcsim.functional.steps import constant_values, last_readers, states_of
from imcsim.network.graph import INPUT

CHUNK_IMAGES = 16
"""Images that go through a layer together, at most: its cells stay in cache; progress and Ctrl-C come in
between.
"""

GOING_CHUNKS = 4
"""So many times as many where images go as soon as they are not needed any more."""

CHUNK_BYTES = 1 << 27
"""Memory that values of one thread take, at most: with more, nothing is faster."""

GOOD_BLOCK = 16
"""Timesteps of an image that are worth more than further images beside it."""

_WORD = 8


@dataclass(frozen=True)
class InFlight:
    """So many images, and so many of their timesteps, at a time."""

    images: int
    timesteps: int


@dataclass(frozen=True)
class Sizes:
    """Bytes that playing one image takes at its peak: values that are the same at every timestep, values of
    each timestep, and what neurons keep between blocks of timesteps.
    """

    constant: int
    each_timestep: int
    state: int


def in_flight(
    program: Program,
    shape: tuple[int, ...],
    timed: bool,
    images: int,
    timesteps: int,
    threads: int,
    block: int | None = None,
) -> InFlight:
    """What each of some threads plays at a time, of `images` images of a shape ``(C, H, W)``; at most `block`
    timesteps.
    """
    sizes, goes = sizes_of(program, shape, timed), block is not None and block < timesteps
    together = min(timesteps, block or timesteps, program.feedback or timesteps)
    each = sizes.constant + (sizes.state if together < timesteps else 0)
    timesteps = together
    room = min(budget_bytes() // threads, CHUNK_BYTES)
    several = CHUNK_IMAGES * (GOING_CHUNKS if goes else 1)
    chunk = max(min(several, -(-images // threads)), 1)  # few images: some for every thread

    def longest(count: int) -> int:
        """Timesteps that there is room for."""
        whole = count * (each + timesteps * sizes.each_timestep)
        if whole <= room:
            return timesteps
        left = room - count * (sizes.constant + sizes.state)
        return min(max(left // (count * max(sizes.each_timestep, 1)), 0), timesteps)

    good = min(timesteps, GOOD_BLOCK)
    while chunk > 1 and longest(chunk) < good:
        chunk -= 1
    return InFlight(chunk, max(longest(chunk), 1))


def sizes_of(program: Program, shape: tuple[int, ...], timed: bool) -> Sizes:
    """What one image of a shape ``(C, H, W)`` takes (see `Sizes`)."""
    constant, needed = constant_values(program, timed), last_readers(program)
    held = {INPUT: math.prod(shape)}
    counts = {INPUT: math.prod(shape)}
    state, most = 0, 0
    # Constant values are let go when the first block is played, or kept until the last: counted as kept.
    for place, step in enumerate(program.steps):
        added = step.branches if isinstance(step, Neurons) else ()
        if isinstance(step, DelayLayer):
            number = math.prod(step.shape)
            counts[step.name], held[step.name] = number, number
            state += step.timesteps * number
            continue
        before, work = counts[added[0].source if added else step.source], 0
        if isinstance(step, CrossbarLayer):
            number, width = math.prod(step.out_shape), step.accumulator.itemsize
            work = before  # with a border around it
        elif isinstance(step, PoolLayer):
            number, width = math.prod(step.out_shape), _WORD if step.currents else 1
        elif isinstance(step, SumLayer):
            number, width = before, 1
        elif isinstance(step, FlattenLayer):
            number, width = before, held[step.source] // max(before, 1)
        else:
            number, width = before, _WORD if isinstance(step, IntegratorLayer) else 1
            if added or step.pooled.windows.size:
                work = 3 * _WORD * number
            state += 0 if isinstance(step, ActivationLayer) else states_of(step) * _WORD * number
        counts[step.name], held[step.name] = number, number * width
        now = sum(size for name, size in held.items() if name not in constant)
        most = max(most, now + work)
        for name in [n for n in held if needed.get(n, -1) <= place and n not in constant]:
            if name != program.output:
                del held[name]
    return Sizes(sum(size for name, size in held.items() if name in constant), most, state)


KEPT_SHARE = 8
"""Values that are kept for all timesteps of some images may take this part of the memory, as others are made
of them."""


def kept_at_a_time(
    program: Program, shape: tuple[int, ...], timed: bool, names: Iterable[str], timesteps: int, most: int
) -> int:
    """So many images of a shape ``(C, H, W)`` of which the values of the nodes `names` are kept together: as
    many as there is room for, from 1 to `most`.
    """
    constant, counts = constant_values(program, timed), {INPUT: math.prod(shape)}
    for step in program.steps:
        if isinstance(step, DelayLayer):
            counts[step.name] = math.prod(step.shape)
        elif isinstance(step, CrossbarLayer | PoolLayer):
            counts[step.name] = math.prod(step.out_shape)
        else:
            branches = step.branches if isinstance(step, Neurons) else ()
            counts[step.name] = counts[branches[0].source if branches else step.source]
    each = sum(counts.get(n, counts[INPUT]) * (1 if n in constant else timesteps) for n in names)
    return max(1, min(most, budget_bytes() // (KEPT_SHARE * max(each, 1))))
