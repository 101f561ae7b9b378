"""What the hardware does with numbers, compiled.

Kernels take and return raw arrays and import nothing of ours. Maps are ``[..., H, W, C]`` with
channels last, as a tile receives them. Each kernel has a plain numpy statement of the same thing in
``tests/naive.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile without the interpreter lock, and keep the machine code between runs."""
    return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


@jit
def crossbar_reads(
    inputs: NDArray[np.uint8],
    planes: int,
    ky: NDArray[np.int32],
    kx: NDArray[np.int32],
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    row: NDArray[np.int32],
    block: NDArray[np.int32],
    levels: NDArray[Any],
    level_sum: NDArray[np.int64],
    factor: NDArray[np.int64],
    offset: int,
    adc_shift: NDArray[np.int64],
    adc_max: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
    sums: NDArray[Any],
    out: NDArray[Any],
    counts: NDArray[np.int64],
) -> None:
    """Play every crossbar read of one layer.

    inputs uint8 ``[n, H, W, Cin]`` are driven bit by bit (`planes` bits, least significant first). levels
    ``[rows, slices * Cout]`` are the programmed cells, `sums` scratch of one row of them. The ADC turns the
    sum of a block's active rows into ``min((sum + half) >> shift, adc_max)``. out ``[n, Ho, Wo, Cout]``
    receives the digital sums. counts ``[n, 3]`` receives active rows, the sum of the levels of their cells,
    and reads with a row active.
    """
    images, height, width, channels = inputs.shape
    out_height, out_width, out_channels = out.shape[1], out.shape[2], out.shape[3]
    slices = factor.shape[0]
    columns = slices * out_channels
    segments = row.shape[0]
    events = np.empty((height * width, channels), np.int32)
    event_count = np.empty(height * width, np.int32)
    for n in range(images):
        out[n, :, :, :] = 0
        active_rows, active_levels, active_reads = 0, 0, 0
        for plane in range(planes):
            for y in range(height):
                for x in range(width):
                    k = 0
                    pixel = y * width + x
                    for c in range(channels):
                        events[pixel, k] = c
                        k += int(inputs[n, y, x, c] >> plane) & 1
                    event_count[pixel] = k
            for oy in range(out_height):
                for ox in range(out_width):
                    target = out[n, oy, ox]
                    window_rows = 0
                    pending = 0
                    current = -1
                    for s in range(segments):
                        if block[s] != current:
                            if pending > 0:
                                _convert(sums, factor, adc_shift, adc_max, plane, target)
                                active_reads += 1
                                pending = 0
                            current = block[s]
                        iy = oy * stride[0] - padding[0] + ky[s]
                        ix = ox * stride[1] - padding[1] + kx[s]
                        if iy < 0 or iy >= height or ix < 0 or ix >= width:
                            continue
                        pixel = iy * width + ix
                        base = row[s] - first[s]
                        for e in range(event_count[pixel]):
                            c = events[pixel, e]
                            if c < first[s]:
                                continue
                            if c >= last[s]:
                                break
                            wordline = levels[base + c]
                            if pending == 0:
                                for j in range(columns):
                                    sums[j] = wordline[j]
                            else:
                                for j in range(columns):
                                    sums[j] += wordline[j]
                            active_levels += level_sum[base + c]
                            pending += 1
                            window_rows += 1
                    if pending > 0:
                        _convert(sums, factor, adc_shift, adc_max, plane, target)
                        active_reads += 1
                    if offset != 0 and window_rows > 0:
                        correction = (offset * window_rows) << plane
                        for j in range(out_channels):
                            target[j] += correction
                    active_rows += window_rows
        counts[n, 0] = active_rows
        counts[n, 1] = active_levels
        counts[n, 2] = active_reads


@jit
def _convert(
    sums: NDArray[Any],
    factor: NDArray[np.int64],
    adc_shift: NDArray[np.int64],
    adc_max: int,
    plane: int,
    target: NDArray[Any],
) -> None:
    """Convert one read's column sums and add them, shifted to their weight, to the digital sums."""
    out_channels = target.shape[0]
    for s in range(factor.shape[0]):
        shift = np.int32(adc_shift[s])
        half = np.int32((1 << shift) >> 1)
        top = np.int32(adc_max)
        weight = factor[s] << plane
        part = sums[s * out_channels : (s + 1) * out_channels]
        for j in range(out_channels):
            code = min((np.int32(part[j]) + half) >> shift, top)
            target[j] += weight * (code << shift)


@jit
def column_sum_histogram(
    inputs: NDArray[np.uint8],
    planes: int,
    ky: NDArray[np.int32],
    kx: NDArray[np.int32],
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    row: NDArray[np.int32],
    block: NDArray[np.int32],
    levels: NDArray[Any],
    slices: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
    out_size: tuple[int, int],
    histogram: NDArray[np.int64],
) -> None:
    """Add to histogram ``[slices, largest sum + 1]`` every column sum of every read that has a row active."""
    images, height, width, _ = inputs.shape
    columns = levels.shape[1]
    out_channels = columns // slices
    sums = np.zeros(columns, np.int64)
    segments = row.shape[0]
    for n in range(images):
        for plane in range(planes):
            for oy in range(out_size[0]):
                for ox in range(out_size[1]):
                    s = 0
                    while s < segments:
                        current = block[s]
                        active = False
                        sums[:] = 0
                        while s < segments and block[s] == current:
                            iy = oy * stride[0] - padding[0] + ky[s]
                            ix = ox * stride[1] - padding[1] + kx[s]
                            if 0 <= iy < height and 0 <= ix < width:
                                for c in range(first[s], last[s]):
                                    if (inputs[n, iy, ix, c] >> plane) & 1:
                                        active = True
                                        for j in range(columns):
                                            sums[j] += levels[row[s] - first[s] + c, j]
                            s += 1
                        if active:
                            for j in range(columns):
                                histogram[j // out_channels, sums[j]] += 1


@jit
def pool(
    inputs: NDArray[np.uint8],
    size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    sums: bool,
    out: NDArray[np.uint8],
) -> None:
    """Sum (an average is divided later, by the scale) or maximum over windows, padded with zeros;
    ``[n, H, W, C]``.
    """
    images, out_height, out_width, channels = out.shape
    height, width = inputs.shape[1], inputs.shape[2]
    for n in range(images):
        for y in range(out_height):
            top = y * stride[0] - padding[0]
            for x in range(out_width):
                left = x * stride[1] - padding[1]
                target = out[n, y, x]
                target[:] = 0
                for iy in range(max(top, 0), min(top + size[0], height)):
                    for ix in range(max(left, 0), min(left + size[1], width)):
                        source = inputs[n, iy, ix]
                        for c in range(channels):
                            if sums:
                                target[c] += source[c]
                            else:
                                target[c] = max(target[c], source[c])


@jit
def active_blocks(
    inputs: NDArray[np.uint8],
    planes: int,
    ky: NDArray[np.int32],
    kx: NDArray[np.int32],
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    block: NDArray[np.int32],
    stride: tuple[int, int],
    padding: tuple[int, int],
    out_size: tuple[int, int],
    active: NDArray[np.bool_],
) -> None:
    """Set active ``[n, positions, planes, blocks]`` where a block drives a row; see `crossbar_reads`."""
    images, height, width, _ = inputs.shape
    for n in range(images):
        active[n] = False
        for oy in range(out_size[0]):
            for ox in range(out_size[1]):
                position = oy * out_size[1] + ox
                for s in range(block.shape[0]):
                    iy = oy * stride[0] - padding[0] + ky[s]
                    ix = ox * stride[1] - padding[1] + kx[s]
                    if iy < 0 or iy >= height or ix < 0 or ix >= width:
                        continue
                    bits = 0
                    for c in range(first[s], last[s]):
                        bits |= inputs[n, iy, ix, c]
                    for plane in range(planes):
                        if (bits >> plane) & 1:
                            active[n, position, plane, block[s]] = True


@jit
def bus_toggles(inputs: NDArray[np.uint8], toggles: NDArray[np.int64]) -> None:
    """Bits that change between neighbouring pixel words of each row, ``[n, H]``; a row starts from zeros."""
    images, height, width, channels = inputs.shape
    for n in range(images):
        for y in range(height):
            total = 0
            for x in range(width):
                for c in range(channels):
                    changed = inputs[n, y, x, c]
                    if x > 0:
                        changed ^= inputs[n, y, x - 1, c]
                    while changed:
                        total += changed & 1
                        changed >>= 1
            toggles[n, y] = total
