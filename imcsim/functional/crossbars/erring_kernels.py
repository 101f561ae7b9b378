"""Crossbar reads whose ADCs err, or whose currents are noisy, compiled.

As `read_kernels.crossbar_reads`, but that each sum is converted by itself, in single precision, in the order
of operations that `nonideal.converter.codes` states. Noise is what `nonideal.read_noise` states.

Cells are 16 bits or more, and wait for the second-level cache. So those of a block are read LINE at a time,
for WINDOWS windows, before the next ones: meanwhile they stay in the first-level cache. Sums are converted in
registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.crossbars.erring_simd import clipped, floats, halves, normals, root
from imcsim.functional.crossbars.read_kernels import COPIED, add_up, inlined, window
from imcsim.functional.crossbars.simd import add, full, load, store, sum_of_rows, times
from imcsim.functional.kernels import LINE, jit
from imcsim.functional.nonideal.read_noise import GOLDEN_32, GOLDEN_64, MIX_64

_GOLDEN_64, _ONE = np.uint64(GOLDEN_64), np.uint64(1)
_MIX_64 = np.uint64(MIX_64[0]), np.uint64(MIX_64[1])
_SHIFT_64 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)

WHOLE = 64
"""Columns that are converted together."""

WINDOWS = 64
"""Windows whose rows are listed together."""


@jit
def erring_reads(
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
    size: tuple[int, int],
    channels: int,
    wiring: NDArray[np.int32],
    begins: NDArray[np.int32],
    groups: NDArray[np.int32],
    used: int,
    rows_in_all: int,
    apart: int,
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    table: NDArray[Any],
    squared: bool,
    unsigned: NDArray[Any],
    spread: NDArray[np.float32],
    own: np.float32,
    noisy: bool,
    moments: NDArray[np.uint64],
    top: np.float32,
    weight: NDArray[Any],
    offset: NDArray[Any],
    stride: tuple[int, int],
    padding: tuple[int, int],
    out: NDArray[Any],
    counts: NDArray[np.int64],
) -> None:
    """Play every crossbar read of one layer; arguments as for `crossbar_reads`, and:

    The sum s of column j in block b becomes ``min(max(floor(s scale + half + noise), 0), top)`` with entry
    ``b apart + j`` of scale and half, for the `used` columns. With `noisy`, noise is a standard normal number
    times ``sqrt(q spread + own)``; q is the sum of squares over the driven rows. table: the first LINE
    numbers of all rows, then the next ones; they are cells or, if it is `squared`, WHOLE cells and their
    squares, as unsigned words of the type of `unsigned`. moments ``[n, planes]``: keys of
    `read_noise.moment_key`.
    """
    images, planes, pixels, edges = starts.shape
    flat, wires, sums = starts.reshape(-1), wiring.reshape(-1), out.reshape(-1)
    positions, out_channels = out.shape[1] * out.shape[2], out.shape[3]
    blocks_in_all = begins.shape[0] - 1
    each = WHOLE if squared else LINE
    lines = (used + each - 1) // each
    rows = np.empty(min(WINDOWS, positions) * rows_in_all + COPIED, np.int32)
    ends = np.empty(WINDOWS * blocks_in_all + 1, np.int32)
    exact = np.empty(1, np.bool_)
    driven = np.empty(WINDOWS, np.int64)
    keys = np.empty(WINDOWS * blocks_in_all, np.uint64)
    weyl = (np.arange(lines * each) * np.int64(GOLDEN_32)).astype(np.uint32)
    codes = np.empty(WINDOWS * lines * each, np.int32)
    line = np.empty(lines * each, np.int32)
    for g in range(groups.shape[0] - 1):
        low, high = int(groups[g]), int(groups[g + 1])
        for n in range(images):
            for plane in range(planes):
                first = (n * planes + plane) * pixels * edges
                for begin in range(0, positions, WINDOWS):
                    windows = min(WINDOWS, positions - begin)
                    about = begin, windows, out.shape[2]
                    active = _list(
                        flat, first, edges, events, size, channels, stride, padding, wires, begins, low, high,
                        about, moments[n, plane], rows, ends, exact, driven, keys,
                    )  # fmt: skip
                    if active == 0:
                        continue
                    codes[:] = 0
                    for k in range(lines):
                        at, to = k * rows_in_all * LINE, k * WINDOWS * each
                        for block in range(low, high):
                            adc, read = block * apart + k * each, (block - low) * windows
                            if not noisy:
                                _convert(
                                    table, at, rows, ends, read, windows, adc, scale, half, top, codes, to
                                )  # fmt: skip
                            elif squared:
                                _convert_noisy(
                                    table, at, rows, ends, read, windows, adc, scale, half, unsigned, spread,
                                    own, keys, weyl, k * each, top, codes, to,
                                )  # fmt: skip
                            else:
                                _convert_noisy_converter(
                                    table, at, rows, ends, read, windows, adc, scale, half, own, keys, weyl,
                                    k * each, top, codes, to,
                                )  # fmt: skip
                    place = (n * positions + begin) * out_channels
                    counts[n, 0] += _add_up(
                        codes, each, line, windows, weight, offset, plane, driven, sums, place, out_channels
                    )  # fmt: skip
                    counts[n, 1] += active


@inlined
def _list(
    starts: NDArray[np.int32],
    first: int,
    edges: int,
    events: NDArray[np.int32],
    size: tuple[int, int],
    channels: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
    wiring: NDArray[np.int32],
    begins: NDArray[np.int32],
    low: int,
    high: int,
    about: tuple[int, int, int],
    moment: np.uint64,
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    exact: NDArray[np.bool_],
    driven: NDArray[np.int64],
    keys: NDArray[np.uint64],
) -> int:
    """List the rows that some windows drive in the blocks from `low` up to `high`, block by block; returns
    the reads with a row active.

    ends receives where each read's rows begin, and the end; keys `read_noise.read_key` of each; driven the
    rows of each window. about: the first window, how many there are, and how many stand side by side.
    """
    begin, windows, wide = about
    blocks_in_all = begins.shape[0] - 1
    active, count, read = 0, 0, 0
    driven[:windows] = 0
    for block in range(low, high):
        position = begin
        down, right = begin // wide, begin % wide
        for k in range(windows):
            corner = (down * stride[0] - padding[0], right * stride[1] - padding[1])
            ends[read] = count
            one, _ = window(
                starts, first, edges, events, size, channels, corner, wiring, begins, (block, block + 1), 0,
                rows[count:], ends[read + 1 :], exact,
            )  # fmt: skip
            if one:
                key = moment + (np.uint64(position * blocks_in_all + block) + _ONE) * _GOLDEN_64
                key = (key ^ (key >> _SHIFT_64[0])) * _MIX_64[0]
                key = (key ^ (key >> _SHIFT_64[1])) * _MIX_64[1]
                keys[read] = key ^ (key >> _SHIFT_64[2])
                driven[k] += ends[read + 1]
                count += ends[read + 1]
                active += 1
            read += 1
            position += 1
            right += 1
            if right == wide:
                down, right = down + 1, 0
    ends[read] = count
    return active


@inlined
def _add_up(
    codes: NDArray[np.int32],
    each: int,
    line: NDArray[np.int32],
    windows: int,
    weight: NDArray[Any],
    offset: NDArray[Any],
    plane: int,
    driven: NDArray[np.int64],
    sums: NDArray[Any],
    place: int,
    channels: int,
) -> int:
    """Add the codes of some windows to the digital sums from `place` on; returns the driven rows."""
    total = 0
    for k in range(windows):
        if driven[k]:
            at = k * each
            for first in range(0, line.shape[0], each):
                for more in range(0, each, WHOLE):
                    store(line, first + more, load(codes, at + more, WHOLE))
                at += WINDOWS * each
            begin = place + k * channels
            add_up(line, weight[plane], offset[plane], driven[k], sums[begin : begin + channels])
            total += driven[k]
    return total


@inlined
def _convert(
    table: NDArray[Any],
    at: int,
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    read: int,
    windows: int,
    adc: int,
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    top: np.float32,
    codes: NDArray[np.int32],
    to: int,
) -> None:
    """Play one read of some windows, on LINE numbers of the rows; codes are added up from `to` on."""
    for k in range(windows):
        begin, end = ends[read + k], ends[read + k + 1]
        if begin < end:
            sums = floats(sum_of_rows(table, LINE, rows, begin, end, at, LINE))
            found = add(times(sums, load(scale, adc, LINE)), load(half, adc, LINE))
            place = to + k * LINE
            store(codes, place, add(load(codes, place, LINE), clipped(found, top)))


@inlined
def _convert_noisy_converter(
    table: NDArray[Any],
    at: int,
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    read: int,
    windows: int,
    adc: int,
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    own: np.float32,
    keys: NDArray[np.uint64],
    weyl: NDArray[np.uint32],
    column: int,
    top: np.float32,
    codes: NDArray[np.int32],
    to: int,
) -> None:
    sigma = full(scale, np.sqrt(own), LINE)
    for k in range(windows):
        begin, end = ends[read + k], ends[read + k + 1]
        if begin < end:
            low, high = np.uint32(keys[read + k]), np.uint32(keys[read + k] >> _SHIFT_64[3])
            noise = times(sigma, normals(load(weyl, column, LINE), low, high))
            sums = floats(sum_of_rows(table, LINE, rows, begin, end, at, LINE))
            found = add(times(sums, load(scale, adc, LINE)), load(half, adc, LINE))
            place = to + k * LINE
            store(codes, place, add(load(codes, place, LINE), clipped(add(found, noise), top)))


@inlined
def _convert_noisy(
    table: NDArray[Any],
    at: int,
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    read: int,
    windows: int,
    adc: int,
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    unsigned: NDArray[Any],
    spread: NDArray[np.float32],
    own: np.float32,
    keys: NDArray[np.uint64],
    weyl: NDArray[np.uint32],
    column: int,
    top: np.float32,
    codes: NDArray[np.int32],
    to: int,
) -> None:
    least = full(scale, own, WHOLE)
    for k in range(windows):
        begin, end = ends[read + k], ends[read + k + 1]
        if begin < end:
            # Draws come first: the processor makes them while it still waits for the rows.
            low, high = np.uint32(keys[read + k]), np.uint32(keys[read + k] >> _SHIFT_64[3])
            drawn = normals(load(weyl, column, WHOLE), low, high)
            sums, squares = halves(sum_of_rows(table, LINE, rows, begin, end, at, LINE), unsigned)
            variances = add(times(floats(squares), load(spread, adc, WHOLE)), least)
            noise = times(root(variances), drawn)
            found = add(times(floats(sums), load(scale, adc, WHOLE)), load(half, adc, WHOLE))
            place = to + k * WHOLE
            store(codes, place, add(load(codes, place, WHOLE), clipped(add(found, noise), top)))
