"""Crossbar reads, compiled: the wordlines that inputs drive, the sums of the columns, what ADCs make of them.

As in `imcsim.functional.kernels`, raw arrays go in and out, with channels last; here all are flat, and what
they are made of is said beside them. `Crossbars` prepares them:

- starts ``[n, planes, pixels, edges]``, the `shape`, and events: see `find_events`.
- wiring int32 ``[runs, 6]``: inputs that stand side by side in a row of the map and drive wordlines side by
  side. Rows down from a window's corner; columns right of it and edge at which the run begins; columns right
  and edge at which it ends; and the wordline that channel 0 of its first pixel would drive. begins
  ``[blocks + 1]``: the first run of each block, and the end. groups: the first block of each group, and the
  end; a group is read for all windows before the next one, so that its cells stay in cache.
- cells: rows of `columns` numbers, one slice after the other, filled up to whole vectors. Levels are small:
  the sums of up to `piece` rows fit the cells' own words, and go to wider ones after that. Where they are
  signed, sums have the same words, and codes of sums below 0 are 0.
- lossless: reads of so many rows or fewer are converted to their very sums; neighbours are added up as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import numbers
from imcsim.base.compiled.pipeline import Pipeline
from imcsim.functional.crossbars.simd import (
    add,
    converted,
    full,
    load,
    not_negative,
    ones,
    set_bits,
    shifted,
    smaller,
    store,
    sum_of_rows,
    times,
    zeros,
)
from imcsim.functional.kernels import jit

F = TypeVar("F", bound=Callable[..., Any])

NARROW, WIDE = 128, 256
"""Columns whose sums are in registers together. More at a time read long rows faster; rows are filled up to
NARROW.
"""

TOGETHER = 16
"""Digital sums that are added to together."""

COPIED = 32
"""Events that are copied at once; arrays of events and rows have so much room after the last one."""

Scratch = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_], NDArray[Any]]
"""Room for the rows, ends and kinds of reads that a window lists, and for codes or sums."""

PLACES = np.zeros(8 << 8, np.int32)
"""Of each byte the places of the bits that are set, and zeros for the rest of eight."""
for _byte in range(1 << 8):
    _set = [bit for bit in range(8) if _byte >> bit & 1]
    PLACES[8 * _byte : 8 * _byte + len(_set)] = _set


def inlined(function: F) -> F:
    """Compile into the kernels that call it: passing so many arrays takes longer than a short read.

    Without `_nrt` numba does not count who holds the arrays, which the kernel does: each count waits until
    memory has caught up, several times in each read.
    """
    made = numba.njit(
        nogil=True,
        error_model="numpy",
        forceinline=True,
        _nrt=False,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=Pipeline,
    )(function)
    return cast(F, made)


@jit
def find_events(
    inputs: NDArray[np.uint8],
    edges: NDArray[np.int32],
    shape: tuple[int, int, int, int],
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
) -> None:
    """List which of the inputs uint8 ``[n, pixels, C]`` have a bit set, map by map, for each bit.

    events receives their places in the map, ``pixel * C + channel``; starts int32 ``[n, planes, pixels,
    edges]``, of that shape, where in `events` the channels from each edge on begin; the first edge is 0, the
    last one C.
    """
    images, planes, pixels, count = shape
    source, edge, start, found = numbers(inputs), numbers(edges), numbers(starts), numbers(events)
    channels, bytes_in_all = int(edge[count - 1]), inputs.shape[0]
    k = here = 0
    for n in range(images):
        for plane in range(planes):
            for pixel in range(pixels):
                place = pixel * channels
                begin = n * pixels * channels + place
                for i in range(count - 1):
                    start[here] = k
                    here += 1
                    c, end = edge[i], edge[i + 1]
                    # 64 at a time, also where fewer are asked for: of the last ones of all, one by one.
                    while c < end and begin + c + 64 <= bytes_in_all:
                        bits, stop = set_bits(load(source, begin + c, 64), plane), c + 64
                        if stop > end:
                            bits, stop = bits & ((1 << int(end - c)) - 1), end
                        while c < stop:
                            eight = bits & 255
                            # Eight at once; those after the last bit that is set are written over.
                            store(found, k, add(load(PLACES, 8 * eight, 8), full(PLACES, place + c, 8)))
                            k += ones(eight)
                            bits >>= 8
                            c += 8
                        c = stop
                    while c < end:
                        found[k] = place + c
                        k += 1 if (source[begin + c] >> plane) & 1 else 0
                        c += 1
                start[here] = k
                here += 1


@jit
def find_pulses(
    inputs: NDArray[np.uint8],
    edges: NDArray[np.int32],
    shape: tuple[int, int, int, int],
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
) -> None:
    """As `find_events`, for inputs that drive their rows in pulses: each is listed as often as its value
    says. starts int32 ``[n, 1, pixels, edges]``.
    """
    images, _, pixels, count = shape
    channels = int(edges[count - 1])
    k = here = 0
    for n in range(images):
        for pixel in range(pixels):
            place = pixel * channels
            for i in range(count - 1):
                starts[here] = k
                here += 1
                for c in range(edges[i], edges[i + 1]):
                    for _ in range(inputs[n * pixels * channels + place + c]):
                        events[k] = place + c
                        k += 1
            starts[here] = k
            here += 1


@jit
def pulsed_levels(inputs: NDArray[np.uint8], driven: NDArray[np.int64], total: NDArray[np.int64]) -> None:
    """The sum of `driven`, flat, over all pulses of inputs ``[n, pixels * C]``."""
    for n in range(inputs.shape[0]):
        source = inputs[n]
        levels = 0
        for i in range(driven.shape[0]):
            levels += driven[i] * source[i]
        total[n] = levels


@jit
def active_levels(
    inputs: NDArray[np.uint8], planes: int, driven: NDArray[np.int64], total: NDArray[np.int64]
) -> None:
    """The sum of `driven`, flat, over all set bits of inputs ``[n, pixels * C]``."""
    for n in range(inputs.shape[0]):
        source = inputs[n]
        levels = 0
        for plane in range(planes):
            for i in range(driven.shape[0]):
                levels += driven[i] if (source[i] >> plane) & 1 else 0
        total[n] = levels


@inlined
def bare(scratch: Scratch) -> Scratch:
    """The `numbers` of what is in it."""
    return numbers(scratch[0]), numbers(scratch[1]), numbers(scratch[2]), numbers(scratch[3])


@inlined
def run(
    starts: NDArray[np.int32],
    first: int,
    edges: int,
    size: tuple[int, int],
    channels: int,
    corner: tuple[int, int],
    wiring: NDArray[np.int32],
    s: int,
) -> tuple[int, int, int]:
    """Where a window finds the events of the run at ``wiring[s]``, how many there are (-1 where the run lies
    beside the map), and what makes rows of them. `first`: see `window`.
    """
    y = corner[0] + wiring[s]
    x, end = corner[1] + wiring[s + 1], corner[1] + wiring[s + 3]
    if not (0 <= y < size[0] and x < size[1] and end >= 0):
        return 0, -1, 0
    here = y * size[1]
    low = x * edges + wiring[s + 2] if x >= 0 else 0
    high = end * edges + wiring[s + 4] if end < size[1] else size[1] * edges - 1
    event = starts[first + here * edges + low]
    length = starts[first + here * edges + high] - event
    return event, length, wiring[s + 5] - (here + x) * channels


@inlined
def window(
    starts: NDArray[np.int32],
    first: int,
    edges: int,
    events: NDArray[np.int32],
    size: tuple[int, int],
    channels: int,
    corner: tuple[int, int],
    wiring: NDArray[np.int32],
    begins: NDArray[np.int32],
    blocks: tuple[Any, Any],
    lossless: int,
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    exact: NDArray[np.bool_],
) -> tuple[int, int]:
    """List what one window drives in some blocks, for one input bit; returns active reads and listed ones.

    `rows` receives the rows, `ends` where each read ends there, `exact` whether it is lossless: such reads
    that follow each other are listed as one. `first` is where this bit's map begins in `starts`.
    """
    active, listed, count = 0, 0, 0
    for b in range(blocks[0], blocks[1]):
        begun = count
        for s in range(6 * begins[b], 6 * begins[b + 1], 6):
            event, length, more = run(starts, first, edges, size, channels, corner, wiring, s)
            if length >= 0:
                base = full(rows, more, COPIED)
                store(rows, count, add(load(events, event, COPIED), base))
                for e in range(COPIED, length, COPIED):
                    store(rows, count + e, add(load(events, event + e, COPIED), base))
                count += length
        if count == begun:
            continue
        active += 1
        free = count - begun <= lossless
        if not (free and listed > 0 and exact[listed - 1]):
            exact[listed] = free
            listed += 1
        ends[listed - 1] = count
    return active, listed


def _reads_of(width: int) -> Callable[..., None]:
    """What plays reads on `width` columns."""

    @inlined
    def read(
        cells: NDArray[Any],
        columns: int,
        piece: int,
        rows: NDArray[np.int32],
        ends: NDArray[np.int32],
        exact: NDArray[np.bool_],
        reads: int,
        half: NDArray[Any],
        shift: NDArray[Any],
        top: int,
        codes: NDArray[Any],
        at: int,
    ) -> None:
        """Play the listed reads on the columns from `at` on; `codes` receives the sum of their codes."""
        largest = full(codes, top, width)
        total = zeros(codes, width)
        begin = 0
        for r in range(reads):
            end = ends[r]
            if exact[r]:
                for first in range(begin, end, piece):
                    part = sum_of_rows(cells, columns, rows, first, min(first + piece, end), at, width)
                    total = add(total, converted(part, codes))
            else:
                sums = load(half, at, width)
                for first in range(begin, end, piece):
                    part = sum_of_rows(cells, columns, rows, first, min(first + piece, end), at, width)
                    sums = add(sums, converted(part, codes))
                steps = not_negative(shifted(sums, load(shift, at, width)))
                total = add(total, smaller(steps, largest))
            begin = end
        store(codes, at, total)

    return read


_read_wide, _read_narrow = _reads_of(WIDE), _reads_of(NARROW)


@jit
def crossbar_reads(
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
    channels: int,
    wiring: NDArray[np.int32],
    begins: NDArray[np.int32],
    groups: NDArray[np.int32],
    cells: NDArray[Any],
    columns: int,
    piece: int,
    scratch: Scratch,
    lossless: int,
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
    """Play every crossbar read of one layer.

    The ADC turns the sum of a block's active rows into ``min((sum + half) >> shift, top)``; half and shift
    ``[columns]``. A code counts with the weight ``[planes, slices]`` of its bit and slice, an active row with
    the offset ``[planes]``. To out ``[n, Ho, Wo, Cout]`` come the digital sums, to counts ``[n, 2]`` active
    rows, as often as they are listed, and reads with a row active; both are zeros at first.
    """
    images, planes, pixels, edges = shape
    start, event, wires, begin = numbers(starts), numbers(events), numbers(wiring), numbers(begins)
    rows, ends, exact, codes = bare(scratch)
    levels, halves, shifts, worth = numbers(cells), numbers(half), numbers(shift), numbers(weight)
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
                            lossless, rows, ends, exact,
                        )  # fmt: skip
                        if active == 0:
                            continue
                        at = 0
                        while at + WIDE <= columns:
                            _read_wide(
                                levels, columns, piece, rows, ends, exact, reads, halves, shifts, top, codes,
                                at,
                            )  # fmt: skip
                            at += WIDE
                        if at < columns:
                            _read_narrow(
                                levels, columns, piece, rows, ends, exact, reads, halves, shifts, top, codes,
                                at,
                            )  # fmt: skip
                        driven = ends[reads - 1]
                        place = ((n * out_height + oy) * out_width + ox) * out_channels
                        more = offset[plane] * driven
                        add_up(codes, 0, worth, plane, slices, more, sums, place, out_channels)
                        total[2 * n] += driven
                        total[2 * n + 1] += active


@inlined
def add_up(
    codes: NDArray[Any],
    at: int,
    weight: NDArray[Any],
    plane: int,
    slices: int,
    more: int,
    sums: NDArray[Any],
    place: int,
    channels: int,
) -> None:
    """Add a window's codes from `at` on, of all slices, and `more` to the digital sums from `place` on."""
    whole = channels - channels % TOGETHER
    for c in range(0, whole, TOGETHER):
        total = add(load(sums, place + c, TOGETHER), full(sums, more, TOGETHER))
        for i in range(slices):
            code = converted(load(codes, at + i * channels + c, TOGETHER), sums)
            total = add(total, times(code, full(sums, weight[plane * slices + i], TOGETHER)))
        store(sums, place + c, total)
    for c in range(whole, channels):
        sums[place + c] += more
        for i in range(slices):
            sums[place + c] += weight[plane * slices + i] * codes[at + i * channels + c]


@jit
def sums_beyond(
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
    channels: int,
    wiring: NDArray[np.int32],
    begins: NDArray[np.int32],
    cells: NDArray[Any],
    columns: int,
    piece: int,
    scratch: Scratch,
    within: int,
    bounds: NDArray[np.int64],
    stride: tuple[int, int],
    padding: tuple[int, int],
    out_size: tuple[int, int],
    out_channels: int,
    beyond: NDArray[np.int64],
) -> int:
    """Count the column sums beyond each bound, over all reads; returns the number of reads with a row active.

    The sums of up to `within` rows are within all bounds. beyond ``[slices, bounds]``: zeros at first.
    """
    images, planes, pixels, edges = shape
    start, event, wires, begun = numbers(starts), numbers(events), numbers(wiring), numbers(begins)
    rows, ends, exact, sums = bare(scratch)
    levels, bound, found = numbers(cells), numbers(bounds), numbers(beyond)
    slices = beyond.shape[0] // bounds.shape[0]
    blocks = np.int32(0), np.int32(begins.shape[0] - 1)
    total = 0
    for n in range(images):
        for plane in range(planes):
            first = (n * planes + plane) * pixels * edges
            for oy in range(out_size[0]):
                for ox in range(out_size[1]):
                    corner = (oy * stride[0] - padding[0], ox * stride[1] - padding[1])
                    active, reads = window(
                        start, first, edges, event, size, channels, corner, wires, begun, blocks, within,
                        rows, ends, exact,
                    )  # fmt: skip
                    total += active
                    begin = 0
                    for r in range(reads):
                        if not exact[r]:
                            for at in range(0, columns, NARROW):
                                part = zeros(sums, NARROW)
                                for row in range(begin, ends[r], piece):
                                    last = min(row + piece, ends[r])
                                    more = sum_of_rows(levels, columns, rows, row, last, at, NARROW)
                                    part = add(part, converted(more, sums))
                                store(sums, at, part)
                            for i in range(slices):
                                for k in range(bounds.shape[0]):
                                    more = 0
                                    for j in range(i * out_channels, (i + 1) * out_channels):
                                        more += sums[j] > bound[k]
                                    found[i * bounds.shape[0] + k] += more
                        begin = ends[r]
    return total
