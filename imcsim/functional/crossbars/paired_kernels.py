"""Crossbar reads of pairs of cells of which one is 0, compiled: as `read_kernels.crossbar_reads`.

Differential cells hold a weight in one column and 0 in the other. So a pair is one number here, the cell of
the first column less that of the second one: half as many are read. A sum over numbers above 0 is that of the
first column; the sum over all numbers is as much less as the second column has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import numbers
from imcsim.functional.crossbars.read_kernels import Scratch, add_up, bare, inlined, window
from imcsim.functional.crossbars.short_simd import sums_of_signed_rows
from imcsim.functional.crossbars.simd import add, full, load, shifted, smaller, store, zeros
from imcsim.functional.kernels import jit

WHOLE = 64
"""Pairs whose sums are in registers together; rows are filled up to it. With twice as many, processors whose
vectors have 32 bytes run out of registers.
"""


@inlined
def _read(
    pairs: NDArray[Any],
    length: int,
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    reads: int,
    half: NDArray[Any],
    shift: NDArray[Any],
    top: int,
    codes: NDArray[Any],
    at: int,
    apart: int,
) -> None:
    """Play the listed reads on WHOLE pairs from `at` on; `codes` receives the sums of their codes."""
    largest = full(codes, top, WHOLE)
    first, second = zeros(codes, WHOLE), zeros(codes, WHOLE)
    begin = 0
    for r in range(reads):
        end = ends[r]
        one, other = sums_of_signed_rows(pairs, length, rows, begin, end, at, WHOLE)
        one = shifted(add(one, load(half, at, WHOLE)), load(shift, at, WHOLE))
        other = shifted(add(other, load(half, at + apart, WHOLE)), load(shift, at + apart, WHOLE))
        first, second = add(first, smaller(one, largest)), add(second, smaller(other, largest))
        begin = end
    store(codes, at, first)
    store(codes, at + apart, second)


@jit
def paired_reads(
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
    channels: int,
    wiring: NDArray[np.int32],
    begins: NDArray[np.int32],
    groups: NDArray[np.int32],
    pairs: NDArray[Any],
    length: int,
    apart: int,
    scratch: Scratch,
    half: NDArray[Any],
    shift: NDArray[Any],
    top: int,
    weight: NDArray[Any],
    offset: NDArray[Any],
    stride: tuple[int, int],
    padding: tuple[int, int],
    out: NDArray[Any],
    out_shape: tuple[int, int, int],
    counts: NDArray[np.int64],
) -> None:
    """Play every crossbar read of one layer; arguments as for `crossbar_reads`, but that rows are `length`
    pairs, and that the second column of each lies `apart` from the first one; half and shift ``[apart +
    length]``. No sum of a column overflows the pairs' words.
    """
    images, planes, pixels, edges = shape
    start, event, wires, begin = numbers(starts), numbers(events), numbers(wiring), numbers(begins)
    rows, ends, exact, codes = bare(scratch)
    levels, halves, shifts, worth = numbers(pairs), numbers(half), numbers(shift), numbers(weight)
    sums, total = numbers(out), numbers(counts)
    out_height, out_width, out_channels = out_shape
    slices = weight.shape[0] // planes
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
                            0, rows, ends, exact,
                        )  # fmt: skip
                        if active == 0:
                            continue
                        # From the last ones on: what fills up the first columns lies where second ones begin.
                        for at in range(length - WHOLE, -1, -WHOLE):
                            _read(levels, length, rows, ends, reads, halves, shifts, top, codes, at, apart)
                        driven = ends[reads - 1]
                        place = ((n * out_height + oy) * out_width + ox) * out_channels
                        more = offset[plane] * driven
                        add_up(codes, 0, worth, plane, slices, more, sums, place, out_channels)
                        total[2 * n] += driven
                        total[2 * n + 1] += active
