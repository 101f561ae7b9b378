"""Crossbar reads whose ADCs err, or whose currents are noisy, compiled.

As `read_kernels.crossbar_reads`, but that each sum is converted by itself, in single precision, in the order
of operations that `nonideal.converter.codes` states. Noise is what `nonideal.read_noise` states.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.crossbars.erring_simd import clipped, floats, normals, root, times
from imcsim.functional.crossbars.read_kernels import NARROW, WIDE, add_up, inlined, window
from imcsim.functional.crossbars.simd import add, full, load, store, sum_of_rows
from imcsim.functional.kernels import jit
from imcsim.functional.nonideal.read_noise import GOLDEN_32, GOLDEN_64, MIX_64

_GOLDEN_64, _ONE = np.uint64(GOLDEN_64), np.uint64(1)
_MIX_64 = np.uint64(MIX_64[0]), np.uint64(MIX_64[1])
_SHIFT_64 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)

WHOLE = 64
"""Columns that are converted together."""


@jit
def erring_reads(
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
    size: tuple[int, int],
    channels: int,
    wiring: NDArray[np.int32],
    begins: NDArray[np.int32],
    groups: NDArray[np.int32],
    columns: int,
    used: int,
    block_of_row: NDArray[np.int32],
    apart: int,
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    table: NDArray[Any],
    width: int,
    variances: NDArray[Any],
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
    times ``sqrt(q spread + own)``; q is the sum of squares over the driven rows. table: rows of `width`
    numbers: the cells of all columns and then, if there are any, their squares, as unsigned words of the type
    of `variances`. moments ``[n, planes]``: keys of `read_noise.moment_key`.
    """
    images, planes, pixels, edges = starts.shape
    flat, wires = starts.reshape(-1), wiring.reshape(-1)
    out_height, out_width = out.shape[1:3]
    blocks_in_all = np.uint64(begins.shape[0] - 1)
    rows = np.empty(table.shape[0] // width + NARROW, np.int32)
    ends = np.empty(begins.shape[0], np.int32)
    exact = np.empty(begins.shape[0], np.bool_)
    sums = np.empty(width, table.dtype)
    variance = sums.view(variances.dtype)[columns:]
    weyl = (np.arange(columns) * np.int64(GOLDEN_32)).astype(np.uint32)
    codes = np.empty(-(-used // WHOLE) * WHOLE, np.int32)
    out[:] = 0
    counts[:] = 0
    for g in range(groups.shape[0] - 1):
        blocks = (groups[g], groups[g + 1])
        for n in range(images):
            for plane in range(planes):
                first = (n * planes + plane) * pixels * edges
                for oy in range(out_height):
                    for ox in range(out_width):
                        corner = (oy * stride[0] - padding[0], ox * stride[1] - padding[1])
                        active, reads = window(
                            flat, first, edges, events, size, channels, corner, wires, begins, blocks,
                            0, rows, ends, exact,
                        )  # fmt: skip
                        if active == 0:
                            continue
                        codes[:] = 0
                        begin = 0
                        for r in range(reads):
                            end = ends[r]
                            block = block_of_row[rows[begin]]
                            at = block * apart
                            _add_rows(table, width, rows, begin, end, sums)
                            steps, middle = scale[at : at + columns], half[at : at + columns]
                            if noisy:
                                place = np.uint64(oy * out_width + ox) * blocks_in_all + np.uint64(block)
                                key = _key(moments[n, plane], place)
                                if width > columns:
                                    wide = spread[at : at + columns]
                                    _convert_noisy(
                                        sums, steps, middle, variance, wide, own, key, weyl, top, codes
                                    )
                                else:
                                    _convert_noisy_converter(sums, steps, middle, own, key, weyl, top, codes)
                            else:
                                _convert(sums, steps, middle, top, codes)
                            begin = end
                        driven = ends[reads - 1]
                        add_up(codes, weight[plane], offset[plane], driven, out[n, oy, ox])
                        counts[n, 0] += driven
                        counts[n, 1] += active


@inlined
def _add_rows(
    table: NDArray[Any], width: int, rows: NDArray[np.int32], begin: int, end: int, sums: NDArray[Any]
) -> None:
    """Sum rows of the table."""
    at = 0
    while at + WIDE <= width:
        store(sums, at, sum_of_rows(table, width, rows, begin, end, at, WIDE))
        at += WIDE
    if at < width:
        store(sums, at, sum_of_rows(table, width, rows, begin, end, at, NARROW))


@jit
def _key(moment: np.uint64, place: np.uint64) -> np.uint64:
    """`read_noise.read_key`"""
    key = moment + (place + _ONE) * _GOLDEN_64
    key = (key ^ (key >> _SHIFT_64[0])) * _MIX_64[0]
    key = (key ^ (key >> _SHIFT_64[1])) * _MIX_64[1]
    return key ^ (key >> _SHIFT_64[2])


@inlined
def _convert(
    sums: NDArray[Any],
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    top: np.float32,
    codes: NDArray[np.int32],
) -> None:
    """Add the codes of one read to those of others."""
    for j in range(0, codes.shape[0], WHOLE):
        found = add(times(floats(load(sums, j, WHOLE)), load(scale, j, WHOLE)), load(half, j, WHOLE))
        store(codes, j, add(load(codes, j, WHOLE), clipped(found, top)))


@inlined
def _convert_noisy_converter(
    sums: NDArray[Any],
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    own: np.float32,
    key: np.uint64,
    weyl: NDArray[np.uint32],
    top: np.float32,
    codes: NDArray[np.int32],
) -> None:
    low, high = np.uint32(key), np.uint32(key >> _SHIFT_64[3])
    sigma = full(scale, np.sqrt(own), WHOLE)
    for j in range(0, codes.shape[0], WHOLE):
        noise = times(sigma, normals(load(weyl, j, WHOLE), low, high))
        found = add(times(floats(load(sums, j, WHOLE)), load(scale, j, WHOLE)), load(half, j, WHOLE))
        store(codes, j, add(load(codes, j, WHOLE), clipped(add(found, noise), top)))


@inlined
def _convert_noisy(
    sums: NDArray[Any],
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    variance: NDArray[Any],
    spread: NDArray[np.float32],
    own: np.float32,
    key: np.uint64,
    weyl: NDArray[np.uint32],
    top: np.float32,
    codes: NDArray[np.int32],
) -> None:
    low, high = np.uint32(key), np.uint32(key >> _SHIFT_64[3])
    least = full(scale, own, WHOLE)
    for j in range(0, codes.shape[0], WHOLE):
        variances = add(times(floats(load(variance, j, WHOLE)), load(spread, j, WHOLE)), least)
        noise = times(root(variances), normals(load(weyl, j, WHOLE), low, high))
        found = add(times(floats(load(sums, j, WHOLE)), load(scale, j, WHOLE)), load(half, j, WHOLE))
        store(codes, j, add(load(codes, j, WHOLE), clipped(add(found, noise), top)))
