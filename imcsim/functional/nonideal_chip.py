"""A program on a chip with errors: its layers with the cells that the chip has."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.functional.crossbars.crossbars import Crossbars
from imcsim.functional.crossbars.erring import erring_crossbars
from imcsim.functional.crossbars.programmed import RealCrossbars, real_crossbars
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal.on_off import digital_offset
from imcsim.functional.nonideal.programming import Cells, programmed
from imcsim.functional.nonideal.wired import crossbar_rows, through_wires
from imcsim.functional.program.layers import CrossbarLayer, Program, Step
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.run import begun_again, exact, largest_code, largest_step, run

HEADROOM = 4
"""How often the largest digital sum of ideal cells fits the words that neurons were made for: see
`membranes.MAX_BRANCH_BITS`.
"""

_SET_BITS = 16
"""A set of groups is drawn like a layer whose number is so many bits longer."""

MOST_LEVELS = 1e9
"""More than any sum has room for."""


def on_real_chip(
    program: Program, chip: DrawnChip, density: Mapping[str, float], workers: int | None = None
) -> Program:
    """`program`, of ideal cells, as `chip` holds it.

    density: the share of rows that are active in a read, for each crossbar layer (see `densities`); only
    wires ask for it. Layers are numbered, for their draws, in the order of the program. Raises ImcsimError
    where cells conduct so much more than they were to that digital sums would overflow.
    """
    numerics = replace(program.numerics, nonideal=chip)
    number = {layer.name: k for k, layer in enumerate(program.crossbar_layers)}

    def real(step: Step) -> Step:
        if not isinstance(step, CrossbarLayer):
            return step
        return _programmed(step, numerics, chip, number[step.name], density.get(step.name, 1.0))

    with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
        steps = tuple(pool.map(real, program.steps))
    return replace(program, steps=steps, numerics=numerics)


def _programmed(
    layer: CrossbarLayer, numerics: Numerics, chip: DrawnChip, number: int, density: float
) -> CrossbarLayer:
    """A layer with the cells of `chip`; the sets of a grouped one are drawn one by one."""
    designed, step = layer.crossbars, largest_step(layer, numerics, largest_code(numerics))
    if isinstance(designed, Crossbars):
        one, largest, word = _with_cells(layer, designed, step, numerics, chip, number, density)
        return replace(layer, crossbars=one, largest_sum=largest, accumulator=word)
    made = []
    for k, mine in enumerate(designed.sets):
        channels = designed.places(k, layer.out_shape[2])
        part = replace(layer, out_shape=(*layer.out_shape[:2], channels.stop - channels.start))
        made.append(_with_cells(part, mine, step, numerics, chip, number + (k << _SET_BITS), density))
    sets, sums, words = zip(*made, strict=True)
    return replace(
        layer,
        crossbars=designed.with_sets(sets),
        largest_sum=max(sums),
        accumulator=max(words, key=lambda word: word.itemsize),
    )


def _with_cells(
    layer: CrossbarLayer,
    designed: Crossbars,
    step: int,
    numerics: Numerics,
    chip: DrawnChip,
    number: int,
    density: float,
) -> tuple[RealCrossbars, int, np.dtype[Any]]:
    """The crossbars of a layer as `chip` has them, the bound of its sums, and the words that hold these.

    step: the largest one of the layer's ADCs.
    """
    too_much = ImcsimError(
        "cells conduct so much more than they were to that digital sums may overflow",
        key=layer.name,
        fix="use a smaller nonideal.variation.sigma or drift.exponent_sigma, or a larger cells.r_off_ohm",
    )
    with np.errstate(over="ignore", invalid="ignore"):
        cells = programmed(designed.levels, len(designed.factor), chip, number)
    if not _largest_level(cells) < MOST_LEVELS:
        raise too_much
    rows = crossbar_rows(designed.layout, numerics.row_order)
    seen, driven = through_wires(cells, rows, chip, density, numerics.parallel_rows)
    offset = designed.offset
    if chip.off_level > 0 and not chip.referenced:
        offset = digital_offset(offset, designed.factor, chip.off_level)
    try:
        real = real_crossbars(designed, seen.levels(), driven.row_levels(), offset, step)
    except ImcsimError as error:
        raise ImcsimError(error.message, key=layer.name, fix=error.fix) from None
    largest = max(_largest_sum(layer, real), layer.largest_sum)
    if largest > HEADROOM * layer.largest_sum:
        raise too_much
    reach = largest
    if chip.noisy or chip.converter.err:
        squares = seen.squares() if chip.read_noise > 0 else None
        real = erring_crossbars(real, squares, chip, number)
        reach = max(largest, _largest_codes(layer, real, largest_code(numerics) * step))
    accumulator = np.dtype(np.int32 if reach < 1 << 30 else np.int64)
    return real, largest, accumulator


def _largest_level(cells: Cells) -> float:
    """What the cell that conducts most does; not a number where one of them is not."""
    reference = 0.0 if cells.reference is None else cells.reference.max(initial=0)
    return float(np.maximum(cells.conductance.max(initial=0), reference))


def _largest_sum(layer: CrossbarLayer, real: RealCrossbars) -> int:
    """What bounds digital sums: rounding at most doubles what a column carries."""
    channels = layer.out_shape[2]
    columns = np.maximum(real.real_levels, 0).sum(axis=0, dtype=np.float64).reshape(-1, channels)
    each: NDArray[np.float64] = (2 * np.abs(real.factor)[:, None] * columns).sum(axis=0)
    counted = abs(real.offset) * real.layout.rows
    return math.ceil(max(float(each.max(initial=0)), counted)) * ((1 << layer.planes) - 1)


def _largest_codes(layer: CrossbarLayer, real: RealCrossbars, levels: int) -> int:
    """What digital sums can reach where each code is worth `levels` at most: a converter's offset and noise
    add to any sum, and may exceed what cells carry by far.
    """
    codes = real.layout.blocks * int(np.abs(real.factor).sum()) * levels
    return (codes + abs(real.offset) * real.layout.rows) * ((1 << layer.planes) - 1)


def densities(
    program: Program, images: NDArray[np.uint8], timesteps: int, workers: int | None = None
) -> dict[str, float]:
    """The share of its rows that a read of each crossbar layer drives, over all reads of `images` (as for
    `calibrated_converters`), with exact conversion.
    """
    activity = run(program, begun_again(images, timesteps), timesteps, exact(program), workers=workers)
    driven = activity.active_rows.sum(axis=(0, 1))
    shown = activity.images * activity.timesteps
    return {
        layer.name: float(driven[k])
        / (shown * layer.out_shape[0] * layer.out_shape[1] * layer.planes * layer.layout.rows)
        for k, layer in enumerate(program.crossbar_layers)
    }
