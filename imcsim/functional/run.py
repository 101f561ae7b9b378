"""Play images through a program: values and activity, no time and no energy."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
from numpy.typing import NDArray

from imcsim.base.progress import Progress
from imcsim.functional.activity import Activity as Activity
from imcsim.functional.activity import concatenate as concatenate
from imcsim.functional.blocks import BlockPlayer, Lasting
from imcsim.functional.in_flight import CHUNK_IMAGES as CHUNK_IMAGES
from imcsim.functional.in_flight import in_flight
from imcsim.functional.program.numerics import Numerics
from imcsim.functional.program.program import (
    FLAT_INPUT,
    IDEAL_ADC_MAX,
    CrossbarLayer,
    Program,
)
from imcsim.functional.steps import Converters as Converters
from imcsim.functional.steps import bordered as bordered
from imcsim.network.graph import INPUT

MOST_LOOKS = 64
"""How often it is asked whether an image is needed for longer, at most."""


def ideal_converters(program: Program) -> Converters:
    """Converters that cover the largest possible sum, at the program's ADC bits or exactly."""
    if program.numerics.adc_bits is None:
        return exact(program)
    return with_steps(
        program, {layer.name: _ideal_steps(layer, program) for layer in program.crossbar_layers}
    )


def with_steps(program: Program, shift: dict[str, NDArray[np.int64]]) -> Converters:
    """The program's converters with these steps."""
    own = largest_code(program.numerics)
    codes = {
        layer.name: largest_code(program.numerics.of_type(layer.tile_type))
        for layer in program.crossbar_layers
    }
    return Converters(shift, own, {name: code for name, code in codes.items() if code != own})


def _ideal_steps(layer: CrossbarLayer, program: Program) -> NDArray[np.int64]:
    """Steps that cover the largest sum that a read of the layer can give."""
    own = program.numerics.of_type(layer.tile_type)
    steps = step_shift(full_scale(layer, own), largest_code(own))
    return np.full(len(layer.crossbars.factor), steps, np.int64)


def largest_code(numerics: Numerics) -> int:
    """Of the ADCs; so large that it plays no part where they are ideal."""
    return IDEAL_ADC_MAX if numerics.adc_bits is None else (1 << numerics.adc_bits) - 1


def full_scale(layer: CrossbarLayer, numerics: Numerics) -> int:
    """The largest sum that a read can give, in levels, of cells that are as they should be."""
    level, chip = float((1 << numerics.cell_bits) - 1), numerics.nonideal
    if chip is not None and not chip.referenced:
        level += chip.off_level  # the current of cells at level 0 comes on top
    rows, own = int(layer.layout.block_rows.max()), layer.crossbars.rows_of_a_sum
    # Rows of other groups meet no weights in a column, only cells at level 0.
    most = rows * level - (rows - own) * ((1 << numerics.cell_bits) - 1)
    return math.ceil(most) * layer.crossbars.pulses(layer.planes)


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
    if not program.numerics.calibrates:
        return ideal_converters(program)
    names = {layer.source for layer in program.crossbar_layers}
    timed = images.ndim == 5
    images = begun_again(images, timesteps)
    recorded = run(program, images, timesteps, exact(program), workers=workers, record=names).recorded

    def steps(layer: CrossbarLayer) -> NDArray[np.int64]:
        own = program.numerics.of_type(layer.tile_type)
        if own.full_scale == "ideal":
            return _ideal_steps(layer, program)
        largest = largest_code(own)
        most = step_shift(full_scale(layer, own), largest)
        scales = np.array([largest << k for k in range(most + 1)], np.int64)
        # An image that is the same at every timestep: more of it would not change a percentile.
        constant = not timed and layer.source in (INPUT, FLAT_INPUT)
        inputs = recorded[layer.source][:, : 1 if constant else None]
        driven, padding = bordered(layer, inputs)
        sums, beyond = layer.crossbars.sums_beyond(
            driven, layer.planes, scales, layer.stride, padding, layer.out_shape[:2]
        )
        covered = sums - beyond >= np.ceil(sums * own.percentile / 100.0)
        # Cells that conduct more than they should may exceed all scales: then the largest one is taken.
        return np.array([(*row.tolist(), True).index(True) for row in covered], np.int64).clip(0, most)

    with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
        shifts = list(pool.map(steps, program.crossbar_layers))
    names_in_order = (layer.name for layer in program.crossbar_layers)
    return with_steps(program, dict(zip(names_in_order, shifts, strict=True)))


def begun_again(images: NDArray[np.uint8], timesteps: int) -> NDArray[np.uint8]:
    """Images as they are; of those with a frame per timestep as many frames as are needed, from the first
    again where there are fewer.
    """
    return images if images.ndim == 4 else images[:, np.arange(timesteps) % images.shape[1]]


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
    lasting: Lasting | None = None,
) -> Activity:
    """Play images uint8 ``[N, C, H, W]``, or ``[N, T, C, H, W]`` with a frame per timestep, for `timesteps`
    timesteps; there are at least as many frames.

    `record` names nodes whose values are kept (``[N, T, H, W, C]``; ``input`` included); memory grows with
    them. `toggles` names nodes whose toggled bits are counted. numbers ``[N]`` of the images (from 0 on where
    not given) tell their noise from that of others. Neither `workers` nor how much memory there is changes
    the result: see `in_flight`. With `lasting` images go as soon as they are not needed any more; in the
    timesteps that are left outputs are 0, and so are counts and values that change from one to the next.
    """
    numbers = np.arange(len(images)) if numbers is None else numbers
    total, threads = len(images), workers or os.cpu_count() or 1
    timed = images.ndim == 5
    block = timesteps if lasting is None else -(-timesteps // MOST_LOOKS)
    at_a_time = in_flight(program, images.shape[-3:], timed, total, timesteps, threads, block)
    played = BlockPlayer(
        program, converters, (total, timesteps), timed, at_a_time.timesteps, record, toggles, lasting
    )

    def chunk_from(start: int) -> int:
        at = slice(start, min(start + at_a_time.images, total))
        played.play(images, at, numbers[at])
        return at.stop - start

    done = 0
    with ThreadPoolExecutor(max_workers=threads) as pool:
        jobs = [pool.submit(chunk_from, start) for start in range(0, total, at_a_time.images)]
        try:
            for job in as_completed(jobs):
                done += job.result()
                if progress is not None:
                    progress(stage, done, total)
        except BaseException:
            played.stopped = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return played.activity()
