"""Crossbar reads of small cells and short codes, compiled: as `packed_kernels`, but pixel by pixel.

In most convolutions a block has the channels of one pixel, or some of them. The windows that hold a pixel
then read the same list of rows, each in the block of another place of the kernel: so TOGETHER such reads are
played together, straight from the events, and their codes are added to those of three windows. A loop over
rows ends where a processor does not expect it, once for three reads instead of once or twice for each; and no
window lists its rows. Cells lie so that NARROW columns of all rows stay in the first cache, or nearly so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import numbers
from imcsim.functional.crossbars.by_pixel import TOGETHER
from imcsim.functional.crossbars.read_kernels import NARROW, inlined
from imcsim.functional.crossbars.short_simd import (
    capped_sum,
    interleaved,
    less,
    mean,
    odd_ones,
    pairs,
    sums_of_packed_rows,
)
from imcsim.functional.crossbars.simd import add, full, load, smaller, store, zeros
from imcsim.functional.kernels import jit

BYTES = NARROW // 2
"""Of NARROW columns of a row."""


def pack(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cells ``[rows, columns]``, two in a byte, as ``[columns // NARROW, rows, BYTES]``."""
    by_part = cells.reshape(len(cells), -1, 2, BYTES)
    packed = by_part[:, :, 0] | by_part[:, :, 1] << np.uint8(4)
    return packed.transpose(1, 0, 2)


@inlined
def _with_more(one: Any, other: Any, more: Any) -> Any:
    """A sum that two bytes hold, with `more` rows (see `packed_kernels`)."""
    fuller = capped_sum(one, more)
    return fuller, capped_sum(other, less(more, less(fuller, one)))


@inlined
def _code(one: Any, other: Any, halved: bool, largest: Any) -> Any:
    return smaller(mean(one, other) if halved else capped_sum(one, other), largest)


@inlined
def _add_code(codes: NDArray[np.uint16], window: Any, code: Any) -> None:
    """Add a read's codes to those of a window: two neighbours as one word, then the second ones of them."""
    both, at = pairs(code, codes), window * NARROW
    store(codes, at, add(load(codes, at, BYTES), both))
    store(codes, at + BYTES, add(load(codes, at + BYTES, BYTES), odd_ones(both)))


@jit
def pixel_reads(
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
    shape: tuple[int, int, int, int],
    lists: NDArray[np.int32],
    begins: NDArray[np.int32],
    places: NDArray[np.int32],
    windows: NDArray[np.int32],
    groups: NDArray[np.int32],
    together: int,
    cells: NDArray[np.uint8],
    columns: int,
    piece: int,
    lossless: int,
    halved: bool,
    top: int,
    weight: NDArray[Any],
    offset: NDArray[Any],
    codes: NDArray[np.uint16],
    driven: NDArray[Any],
    out: NDArray[Any],
    channels: int,
    counts: NDArray[np.int64],
) -> None:
    """Play every crossbar read of one layer; arguments as for `packed_reads`, but that arrays are flat, with
    the `shape` of starts and the channels of out beside them, and for the following.

    lists, begins, places, windows: see `by_pixel`. groups: the first list of each group whose codes add up to
    less than 2**16, and the end. cells: as of `pack`; NARROW columns play `together` maps before the next.
    codes ``[windows + 2, NARROW]`` and driven ``[n, planes, windows + 1]`` are zeros at first; driven has the
    type of out.
    """
    images, planes, pixels, edges = shape
    width = driven.shape[0] // (images * planes)
    count, slices = width - 1, weight.shape[0] // planes
    start, listed, begin_of = numbers(starts), numbers(lists), numbers(begins)
    place, window, rows = numbers(places), numbers(windows), numbers(driven)
    worth, worth_of_row, total, target = numbers(weight), numbers(offset), numbers(counts), numbers(out)
    sums, summed = (count + 1) * NARROW, numbers(codes)
    largest, none, no_codes = full(cells, top, NARROW), zeros(cells, NARROW), zeros(codes, NARROW)
    for m in range(images * planes):
        all_rows, all_reads = 0, 0
        for pixel in range(pixels):
            here, more, read, inside = (m * pixels + pixel) * edges, 0, 0, 0
            for i in range(0, lists.shape[0], 2):
                listed_rows = start[here + listed[i + 1]] - start[here + listed[i]]
                more += listed_rows
                read += 1 if listed_rows > 0 else 0
            for k in range(begin_of[pixel], begin_of[pixel + 1]):
                rows[m * width + window[k]] += more * worth_of_row[m % planes]
                inside += 1 if window[k] < count else 0
            all_rows += more * inside
            all_reads += read * inside
        total[2 * (m // planes)] += all_rows
        total[2 * (m // planes) + 1] += all_reads
    length = 2 * cells.shape[0] // columns
    for first_map in range(0, images * planes, together):
        last_map = first_map + together
        if last_map > images * planes:
            last_map = images * planes
        for column in range(0, columns, NARROW):
            cells_of = column // 2 * length
            for m in range(first_map, last_map):
                for g in range(groups.shape[0] - 1):
                    for i in range(2 * groups[g], 2 * groups[g + 1], 2):
                        for pixel in range(pixels):
                            here = (m * pixels + pixel) * edges
                            first, last = start[here + listed[i]], start[here + listed[i + 1]]
                            if first == last:
                                continue
                            for k in range(begin_of[pixel], begin_of[pixel + 1], TOGETHER):
                                x, y = cells_of + place[k] * BYTES, cells_of + place[k + 1] * BYTES
                                z, end = cells_of + place[k + 2] * BYTES, first
                                while end < last:
                                    begin, end = end, end + piece
                                    end = last if end > last else end
                                    a, b, c = sums_of_packed_rows(
                                        cells, BYTES, events, begin, end, x, y, z, NARROW
                                    )
                                    if last - first > lossless:
                                        d, e, f = none, none, none
                                        while end < last:
                                            begin, end = end, end + piece
                                            end = last if end > last else end
                                            p, q, r = sums_of_packed_rows(
                                                cells, BYTES, events, begin, end, x, y, z, NARROW
                                            )
                                            a, d = _with_more(a, d, p)
                                            b, e = _with_more(b, e, q)
                                            c, f = _with_more(c, f, r)
                                        a = _code(a, d, halved, largest)
                                        b = _code(b, e, halved, largest)
                                        c = _code(c, f, halved, largest)
                                    _add_code(codes, window[k], a)
                                    _add_code(codes, window[k + 1], b)
                                    _add_code(codes, window[k + 2], c)
                    for w in range(count):
                        at = w * NARROW
                        words, second = load(codes, at, BYTES), load(codes, at + BYTES, BYTES)
                        store(codes, sums, interleaved(words, second))
                        store(codes, at, no_codes)
                        for s in range(column // channels, slices):
                            begin, end = s * channels, (s + 1) * channels
                            to = (m // planes * count + w - s) * channels
                            if begin < column:
                                begin = column
                            if end > column + NARROW:
                                end = column + NARROW
                            each = rows[m * width + w] if s == 0 and g == 0 else offset.dtype.type(0)
                            one = worth[m % planes * slices + s]
                            for j in range(begin, end):
                                target[to + j] += one * summed[sums + j - column] + each
