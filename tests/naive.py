"""Plain statements of what the compiled kernels do, and of what a crossbar layer does, for comparison.

Everything here is written from the description of the hardware: whole windows, rows and bit planes as numpy
arrays, Python integers where words could overflow. None of it is fast.
"""

from __future__ import annotations

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
    active_levels: Int
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
) -> Reads:
    """Every read, one at a time: levels ``[rows, slices * Cout]``, inputs ``[n, H, W, Cin]``."""
    images, height, width, channels = inputs.shape
    kernel = layout.kernel
    out = tuple(
        (size + 2 * pad - k) // step + 1
        for size, pad, k, step in zip((height, width), padding, kernel, stride, strict=True)
    )
    cells = levels.astype(np.int64).reshape(len(levels), len(factor), -1)
    padded = np.zeros((images, height + 2 * padding[0], width + 2 * padding[1], channels), np.int64)
    padded[:, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = inputs
    places = row_of_input(layout)
    blocks = np.zeros(len(levels), np.int64)
    for row, block in places.values():
        blocks[row] = block
    sums = np.zeros((images, *out, cells.shape[2]), np.int64)
    rows, level_sum, reads = (np.zeros(images, np.int64) for _ in range(3))
    columns = []
    for n, oy, ox, plane in product(range(images), range(out[0]), range(out[1]), range(planes)):
        driven = np.zeros(len(levels), bool)
        for (ky, kx, channel), (row, _) in places.items():
            value = int(padded[n, oy * stride[0] + ky, ox * stride[1] + kx, channel])
            driven[row] = value >> plane & 1
        for block in range(layout.blocks):
            active = driven & (blocks == block)
            if not active.any():
                continue
            column = cells[active].sum(axis=0)
            columns.append(column)
            reads[n] += 1
            for s, k in product(range(len(factor)), range(cells.shape[2])):
                code = adc(int(column[s, k]), int(adc_shift[s]), adc_max)
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
    for oy, ox in product(range(out_size[0]), range(out_size[1])):
        for (ky, kx, channel), (_, block) in places.items():
            pixel = padded[:, oy * stride[0] + ky, ox * stride[1] + kx, channel]
            for plane in range(planes):
                active[:, oy, ox, plane, block] |= (pixel >> plane & 1).astype(bool)
    return active.reshape(images, -1, planes, layout.blocks)


def bus_toggles(inputs: NDArray[np.uint8]) -> Int:
    """Bits that differ between a pixel and the one before it in its row, ``[n, H]``; first come zeros."""
    before = np.pad(inputs, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
    return np.unpackbits(inputs ^ before, axis=3).sum(axis=(2, 3), dtype=np.int64)


def histogram(reads: Reads, slices: int, bins: int) -> Int:
    """How often each column sum occurred, ``[slices, bins]``."""
    counts = np.zeros((slices, bins), np.int64)
    for column in reads.columns:
        for s in range(slices):
            counts[s] += np.bincount(column[s], minlength=bins)
    return counts


def convolution(
    inputs: NDArray[np.integer[Any]],
    weight: NDArray[np.integer[Any]],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Int:
    """``[n, H, W, Cin]`` and ``[Cout, Cin, kH, kW]`` to ``[n, Ho, Wo, Cout]``, exactly."""
    padded = np.pad(inputs.astype(np.int64), ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(1, 2))
    windows = windows[:, :: stride[0], :: stride[1]]
    return np.asarray(np.einsum("nhwcyx,ocyx->nhwo", windows, weight.astype(np.int64)))


def lif(
    current: NDArray[Any],
    left: Int,
    right: Int,
    bias: Int,
    threshold: Int,
    leak: int,
    hard: bool,
    limit: int,
    timesteps: int,
) -> NDArray[np.uint8]:
    """Spikes ``[n, T, P, C]`` of the neurons, each one by itself, in Python's unbounded integers."""
    images, given, positions, channels = current.shape
    spikes = np.zeros((images, timesteps, positions, channels), np.uint8)
    for n, p, c in product(range(images), range(positions), range(channels)):
        u = 0
        shift, fall = int(left[c]), int(right[c])
        for t in range(timesteps):
            value = int(current[n, 0 if given == 1 else t, p, c]) * 2**shift
            aligned = (2 * value + 2**fall) // 2 ** (fall + 1) if fall else value
            u = u * leak // 2**15 + aligned + int(bias[c])
            u = max(-limit - 1, min(limit, u))
            if u >= int(threshold[c]):
                spikes[n, t, p, c] = 1
                u = 0 if hard else u - int(threshold[c])
    return spikes


def pool(inputs: NDArray[np.uint8], size: int, stride: int, average: bool) -> NDArray[np.uint8]:
    """Sums or maxima of whole windows; ``[n, H, W, C]``."""
    windows = np.lib.stride_tricks.sliding_window_view(inputs.astype(np.int64), (size, size), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return (windows.sum(axis=(-2, -1)) if average else windows.max(axis=(-2, -1))).astype(np.uint8)
