"""Crossbar reads of small cells and short codes, compiled: as `read_kernels.crossbar_reads`, but in bytes.

Adding up rows waits for cells to come from the cache. So two cells of up to four bits share a byte, as
`pack` lays them: of each WIDE columns (or of the NARROW ones that are left over) the second half lies in the
high halves of the bytes that hold the first one. Sums of up to `piece` rows fit a byte.

A code is a byte, too, where the ADC has up to 8 bits and its step is one level or two: ``min(s, top)``, or
``min((s + 1) >> 1, top)``. A sum s of more rows is held as two bytes with ``one + other = min(s, 2 * 255)``:
what `one` has no room for goes to `other`. Its code is their sum, capped at 255, or their mean, rounded up:
processors compute both without longer words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import numbers
from imcsim.functional.crossbars.read_kernels import NARROW, WIDE, Scratch, add_up, bare, inlined, window
from imcsim.functional.crossbars.short_simd import (
    capped_sum,
    interleaved,
    less,
    mean,
    odd_ones,
    pairs,
    sum_of_packed_rows,
)
from imcsim.functional.crossbars.simd import add, full, smaller, store, zeros
from imcsim.functional.kernels import jit

LARGEST_LEVEL = 15


def pack(cells: NDArray[np.uint8], packed: NDArray[np.uint8]) -> None:
    """Lay cells ``[rows, columns]`` of up to `LARGEST_LEVEL` into packed ``[rows, columns // 2]``."""
    columns = cells.shape[1]
    for at in range(0, columns, WIDE):
        middle, end = (at + min(at + WIDE, columns)) // 2, min(at + WIDE, columns)
        packed[:, at // 2 : end // 2] = cells[:, at:middle] | cells[:, middle:end] << 4


def _reads_of(width: int) -> Callable[..., None]:
    """What plays reads on `width` columns."""

    @inlined
    def read(
        cells: NDArray[np.uint8],
        length: int,
        piece: int,
        rows: NDArray[np.int32],
        ends: NDArray[np.int32],
        exact: NDArray[np.bool_],
        reads: int,
        halved: bool,
        top: int,
        codes: NDArray[np.uint16],
        at: int,
    ) -> None:
        """Play the listed reads on the columns from `at` on; `codes` receives the sum of their codes."""
        largest = full(cells, top, width)
        # Two neighbouring codes are one word. Words add up to the first ones and 256 times the second ones.
        words = pairs(zeros(cells, width), codes)
        second = pairs(zeros(cells, width), codes)
        begin, place = 0, at // 2
        for r in range(reads):
            end = ends[r]
            if exact[r]:
                for first in range(begin, end, piece):
                    last = min(first + piece, end)
                    part = pairs(sum_of_packed_rows(cells, length, rows, first, last, place, width), codes)
                    words, second = add(words, part), add(second, odd_ones(part))
            else:
                first = begin + piece
                one = sum_of_packed_rows(cells, length, rows, begin, min(first, end), place, width)
                last = min(first + piece, end)
                other = sum_of_packed_rows(cells, length, rows, first, last, place, width)
                first += piece
                while first < end:
                    last = min(first + piece, end)
                    more = sum_of_packed_rows(cells, length, rows, first, last, place, width)
                    fuller = capped_sum(one, more)
                    other = capped_sum(other, less(more, less(fuller, one)))
                    one = fuller
                    first += piece
                code = mean(one, other) if halved else capped_sum(one, other)
                both = pairs(smaller(code, largest), codes)
                words, second = add(words, both), add(second, odd_ones(both))
            begin = end
        store(codes, at, interleaved(words, second))

    return read


_read_wide, _read_narrow = _reads_of(WIDE), _reads_of(NARROW)


@jit
def packed_reads(
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
    channels: int,
    wiring: NDArray[np.int32],
    begins: NDArray[np.int32],
    groups: NDArray[np.int32],
    cells: NDArray[np.uint8],
    columns: int,
    piece: int,
    scratch: Scratch,
    lossless: int,
    halved: bool,
    top: int,
    weight: NDArray[Any],
    offset: NDArray[Any],
    stride: tuple[int, int],
    padding: tuple[int, int],
    out: NDArray[Any],
    out_shape: tuple[int, int, int],
    counts: NDArray[np.int64],
) -> None:
    """Play every crossbar read of one layer; arguments as for `crossbar_reads`, but that cells are those of
    `pack`, and that the ADC turns a sum into ``min(sum, top)`` or, with `halved`, ``min((sum + 1) >> 1,
    top)``, for a top of up to 255; of up to `lossless` rows it is the sum, whatever the top. The codes of a
    group add up to less than 2**16.
    """
    images, planes, pixels, edges = shape
    start, event, wires, begin = numbers(starts), numbers(events), numbers(wiring), numbers(begins)
    rows, ends, exact, codes = bare(scratch)
    levels, worth, sums, total = numbers(cells), numbers(weight), numbers(out), numbers(counts)
    out_height, out_width, out_channels = out_shape
    length, slices = columns // 2, weight.shape[0] // planes
    for g in range(groups.shape[0] - 1):
        blocks = (groups[g], groups[g + 1])
        for n in range(images):
            for plane in range(planes):
                first = (n * planes + plane) * pixels * edges
                for oy in range(out_height):
                    for ox in range(out_width):
                        corner = (oy * stride[0] - padding[0], ox * stride[1] - padding[1])
                        active, reads = window(
                            start, first, edges, event, size, channels, corner, wires, begin, blocks,
                            lossless, rows, ends, exact,
                        )  # fmt: skip
                        if active == 0:
                            continue
                        at = 0
                        while at + WIDE <= columns:
                            _read_wide(
                                levels, length, piece, rows, ends, exact, reads, halved, top, codes, at
                            )  # fmt: skip
                            at += WIDE
                        if at < columns:
                            _read_narrow(
                                levels, length, piece, rows, ends, exact, reads, halved, top, codes, at
                            )  # fmt: skip
                        driven = ends[reads - 1]
                        place = ((n * out_height + oy) * out_width + ox) * out_channels
                        more = offset[plane] * driven
                        add_up(codes, 0, worth, plane, slices, more, sums, place, out_channels)
                        total[2 * n] += driven
                        total[2 * n + 1] += active
