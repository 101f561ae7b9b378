"""Plain statements of what the compiled kernels do, and of what a crossbar layer does, for comparison.

Everything here is written from the description of the hardware: whole windows, rows and bit planes as numpy
arrays, Python integers where words could overflow. None of it is fast.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.network.rows import RowLayout

Int = NDArray[np.int64]


@dataclass
class Reads:
    """What a layer's reads gave: sums ``[n, Ho, Wo, Cout]``, counts ``[n]``, and the sums of all columns."""

    sums: Int
    active_rows: Int
    active_levels: NDArray[Any]
    active_reads: Int
    columns: list[Int]
    """One ``[slices, Cout]`` for each read with a row active."""


def row_of_input(layout: RowLayout) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Kernel position and channel of an input to its row and block, segment by segment."""
    places: dict[tuple[int, int, int], tuple[int, int]] = {}
    for i in range(len(layout.row)):
        for k, channel in enumerate(range(layout.first[i], layout.last[i])):
            key = (int(layout.ky[i]), int(layout.kx[i]), channel)
            assert key not in places, "an input has one row"
            places[key] = (int(layout.row[i]) + k, int(layout.block[i]))
    return places


def adc(total: int, shift: int, largest: int) -> int:
    """Nearest multiple of ``2**shift``, halves upwards, at most `largest` of them."""
    step = 2**shift
    return min((2 * total + step) // (2 * step), largest) * step if shift else min(total, largest)


def real_adc(total: float, shift: int, largest: int) -> int:
    """The same for sums that are no whole numbers; there are no codes below 0."""
    step = 2**shift
    return min(max(math.floor(total / step + 0.5), 0), largest) * step


Convert = Callable[[NDArray[Any], int, int, int, int, NDArray[np.bool_]], Int]
"""Codes of the sums ``[slices, Cout]`` of a block, for an image, an output position, an input bit, and rows
that are driven.
"""


def crossbar_reads(
    inputs: NDArray[np.uint8],
    planes: int,
    layout: RowLayout,
    levels: NDArray[Any],
    factor: Int,
    offset: int,
    adc_shift: Int,
    adc_max: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
    convert: Convert | None = None,
) -> Reads:
    """Every read, one at a time: levels ``[rows, slices * Cout]``, inputs ``[n, H, W, Cin]``.

    Levels are integers, or real. `convert` takes the place of an ADC without errors.
    """
    images, height, width, channels = inputs.shape
    down, right = layout.dilation
    kernel = ((layout.kernel[0] - 1) * down + 1, (layout.kernel[1] - 1) * right + 1)
    out = tuple(
        (size + 2 * pad - k) // step + 1
        for size, pad, k, step in zip((height, width), padding, kernel, stride, strict=True)
    )
    whole = np.issubdtype(levels.dtype, np.integer)
    cells = levels.astype(np.int64 if whole else np.float64).reshape(len(levels), len(factor), -1)
    padded = np.zeros((images, height + 2 * padding[0], width + 2 * padding[1], channels), np.int64)
    padded[:, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = inputs
    places = row_of_input(layout)
    blocks = np.zeros(len(levels), np.int64)
    for row, block in places.values():
        blocks[row] = block
    sums = np.zeros((images, *out, cells.shape[2]), np.int64)
    rows, reads = (np.zeros(images, np.int64) for _ in range(2))
    level_sum = np.zeros(images, cells.dtype)  # of real cells, a real number
    columns = []
    for n, oy, ox, plane in product(range(images), range(out[0]), range(out[1]), range(planes)):
        driven = np.zeros(len(levels), bool)
        for (ky, kx, channel), (row, _) in places.items():
            value = int(padded[n, oy * stride[0] + ky * down, ox * stride[1] + kx * right, channel])
            driven[row] = value >> plane & 1
        for block in range(layout.blocks):
            active = driven & (blocks == block)
            if not active.any():
                continue
            column = cells[active].sum(axis=0)
            columns.append(column)
            reads[n] += 1
            codes = None if convert is None else convert(column, block, n, oy * out[1] + ox, plane, active)
            for s, k in product(range(len(factor)), range(cells.shape[2])):
                if codes is not None:
                    code = int(codes[s, k]) * 2 ** int(adc_shift[s])
                else:
                    code = (adc if whole else real_adc)(column[s, k].item(), int(adc_shift[s]), adc_max)
                sums[n, oy, ox, k] += 2**plane * int(factor[s]) * code
        rows[n] += driven.sum()
        level_sum[n] += cells[driven].sum()
        sums[n, oy, ox] += 2**plane * offset * int(driven.sum())
    return Reads(sums, rows, level_sum, reads, columns)


def active_blocks(
    inputs: NDArray[np.uint8],
    planes: int,
    layout: RowLayout,
    stride: tuple[int, int],
    padding: tuple[int, int],
    out_size: tuple[int, int],
) -> NDArray[np.bool_]:
    """Which blocks have a row to drive, ``[n, positions, planes, blocks]``."""
    images, height, width, channels = inputs.shape
    padded = np.zeros((images, height + 2 * padding[0], width + 2 * padding[1], channels), np.uint8)
    padded[:, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = inputs
    active = np.zeros((images, *out_size, planes, layout.blocks), bool)
    places = row_of_input(layout)
    down, right = layout.dilation
    for oy, ox in product(range(out_size[0]), range(out_size[1])):
        for (ky, kx, channel), (_, block) in places.items():
            pixel = padded[:, oy * stride[0] + ky * down, ox * stride[1] + kx * right, channel]
            for plane in range(planes):
                active[:, oy, ox, plane, block] |= (pixel >> plane & 1).astype(bool)
    return active.reshape(images, -1, planes, layout.blocks)


def bus_toggles(inputs: NDArray[np.uint8]) -> Int:
    """Bits that differ between a pixel and the one before it in its row, ``[n, H]``; first come zeros."""
    before = np.pad(inputs, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
    return np.unpackbits(inputs ^ before, axis=3).sum(axis=(2, 3), dtype=np.int64)


def sums_beyond(reads: Reads, slices: int, channels: int, bounds: Int) -> tuple[int, list[list[int]]]:
    """Column sums of one slice, and how many of them exceed each bound, slice by slice."""
    beyond = [
        [sum(int((column[s] > bound).sum()) for column in reads.columns) for bound in bounds]
        for s in range(slices)
    ]
    return len(reads.columns) * channels, beyond


def convolution(
    inputs: NDArray[np.integer[Any]],
    weight: NDArray[np.integer[Any]],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Int:
    """``[n, H, W, Cin]`` and ``[Cout, Cin, kH, kW]`` to ``[n, Ho, Wo, Cout]``, exactly."""
    padded = np.pad(inputs.astype(np.int64), ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    extent = tuple((k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=(1, 2))
    windows = windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return np.asarray(np.einsum("nhwcyx,ocyx->nhwo", windows, weight.astype(np.int64)))


def decayed(value: int, decay: int, bits: int) -> int:
    """The product with a decay of `bits` fraction bits: cut with a chip's words, else the nearest integer."""
    half = 0 if bits <= 15 else 2 ** (bits - 1)
    return (value * decay + half) // 2**bits


def lif(
    current: NDArray[Any],
    left: Int,
    right: Int,
    bias: Int,
    threshold: Int,
    above: bool,
    leak: Int,
    synapse: Int,
    decay_bits: int,
    reset: str,
    late: bool,
    limit: int,
    timesteps: int,
    floor: Sequence[int] = (),
    initial: Sequence[int] = (),
    drift: Sequence[int] = (),
    most: int = 1,
    refractory: int = 0,
) -> NDArray[np.uint8]:
    """Spikes ``[n, T, P, C]`` of the neurons, each one by itself, in Python's unbounded integers."""
    images, given, positions, channels = current.shape
    spikes = np.zeros((images, timesteps, positions, channels), np.uint8)
    for n, p, c in product(range(images), range(positions), range(channels)):
        u = int(initial[c]) if len(initial) else 0
        i = spike = rests = 0
        fires_at = int(threshold[c])
        for t in range(timesteps):
            value = aligned(current[n, 0 if given == 1 else t, p, c], left[c], right[c]) + int(bias[c])
            if len(synapse):
                i = saturated(decayed(i, int(synapse[c]), decay_bits) + value, limit)
                value = i
            if rests:
                rests -= 1
                continue
            u = decayed(u, int(leak[c]), decay_bits) + value + (int(drift[c]) if len(drift) else 0)
            if late and spike:
                u = {"hard": 0, "soft": u - fires_at, "none": u}[reset]
            u = saturated(u, limit)
            u = max(u, int(floor[c])) if len(floor) else u
            spike = int(u > fires_at if above else u >= fires_at)
            if spike and most > 1:
                spike = min(u // fires_at, most)
            spikes[n, t, p, c] = spike
            if spike and not late:
                u = {"hard": 0, "soft": u - spike * fires_at, "none": u}[reset]
            rests = refractory if spike else 0
    return spikes


def integrate(
    current: NDArray[Any],
    left: Int,
    right: Int,
    bias: Int,
    leak: Int,
    synapse: Int,
    decay_bits: int,
    limit: int,
    timesteps: int,
) -> Int:
    """Membranes ``[n, T, P, C]`` of neurons that never fire: those whose threshold is out of reach."""
    images, given, positions, channels = current.shape
    out = np.zeros((images, timesteps, positions, channels), np.int64)
    for n, p, c in product(range(images), range(positions), range(channels)):
        u = i = 0
        for t in range(timesteps):
            value = aligned(current[n, 0 if given == 1 else t, p, c], left[c], right[c]) + int(bias[c])
            if len(synapse):
                i = saturated(decayed(i, int(synapse[c]), decay_bits) + value, limit)
                value = i
            u = saturated(decayed(u, int(leak[c]), decay_bits) + value, limit)
            out[n, t, p, c] = u
    return out


def aligned(value: Any, left: Any, right: Any) -> int:
    """Times ``2**left``, over ``2**right``, halves upwards."""
    product, fall = int(value) * 2 ** int(left), int(right)
    return (2 * product + 2**fall) // 2 ** (fall + 1) if fall else product


def saturated(value: int, limit: int) -> int:
    """A word of the state memory."""
    return max(-limit - 1, min(limit, value))


def pool(
    inputs: NDArray[np.uint8],
    size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    sums: bool,
) -> NDArray[np.uint8]:
    """Sums or maxima of whole windows of the map with zeros around it; ``[n, H, W, C]``."""
    framed = np.pad(inputs.astype(np.int64), ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(framed, size, axis=(1, 2))
    windows = windows[:, :: stride[0], :: stride[1]]
    return (windows.sum(axis=(-2, -1)) if sums else windows.max(axis=(-2, -1))).astype(np.uint8)


def exchanged(
    between: NDArray[np.float64],
    distance: NDArray[np.float64],
    moved: NDArray[np.float64],
    draw: random.Random,
    steps: int,
    start: float,
    cool: float,
) -> list[int]:
    """Threshold accepting: which site each tile is best at. ``moved[a, b]``: cost of tile a where b is."""
    sites = len(between)
    at = np.arange(sites)
    cost = lowest = 0.0
    best = at.copy()
    for step in range(steps):
        a = draw.randrange(sites)
        own = moved.diagonal()
        change = moved[a] - own[a] + moved[:, a] - own + 2 * between[a] * distance[at[a]][at]
        change[a] = np.inf
        threshold = start * (1 - step / (cool * steps))
        if threshold > 0:
            accepted = np.flatnonzero(change < threshold)
            if len(accepted) == 0:
                continue
            b = int(accepted[draw.randrange(len(accepted))])
        else:
            b = int(change.argmin())
            if change[b] >= 0:
                continue
        cost += float(change[b])
        moved[:, [a, b]] = moved[:, [b, a]]
        at[[a, b]] = at[[b, a]]
        moved += np.outer(between[:, a] - between[:, b], distance[at[a]][at] - distance[at[b]][at])
        if cost < lowest:
            lowest, best = cost, at.copy()
    return [int(site) for site in best]
