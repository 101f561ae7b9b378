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

from imcsim.base.compiled import after, numbers
from imcsim.functional.crossbars.erring_simd import clipped, floats, normals, root, unpaired
from imcsim.functional.crossbars.read_kernels import COPIED, add_up, inlined, run, window
from imcsim.functional.crossbars.simd import add, full, load, store, sum_of_rows, times
from imcsim.functional.kernels import LINE, jit
from imcsim.functional.nonideal.read_noise import GOLDEN_64, MIX_64

_GOLDEN_64, _ONE = np.uint64(GOLDEN_64), np.uint64(1)
_MIX_64 = np.uint64(MIX_64[0]), np.uint64(MIX_64[1])
_SHIFT_64 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)

WHOLE = 64
"""Columns that are converted together."""

WINDOWS = 64
"""Windows whose rows are listed together."""

SPARE = 16
"""Numbers after the codes of a window: without them those of all windows want the same lines of a cache."""


@jit
def erring_reads(
    starts: NDArray[np.int32],
    events: NDArray[np.int32],
    shape: tuple[int, int, int, int],
    size: tuple[int, int],
    channels: int,
    wiring: NDArray[np.int32],
    begins: NDArray[np.int32],
    rows_in_all: int,
    apart: int,
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    table: NDArray[Any],
    squared: bool,
    spread: NDArray[np.float32],
    own: np.float32,
    noisy: bool,
    weyl: NDArray[np.uint32],
    codes: NDArray[np.int32],
    moments: NDArray[np.uint64],
    top: np.float32,
    weight: NDArray[Any],
    offset: NDArray[Any],
    stride: tuple[int, int],
    padding: tuple[int, int],
    out: NDArray[Any],
    out_shape: tuple[int, int, int],
    counts: NDArray[np.int64],
) -> None:
    """Play every crossbar read of one layer; arguments as for `crossbar_reads`, and:

    The sum s of column j in block b becomes ``min(max(floor(s scale + half + noise), 0), top)`` with entry
    ``b apart + j`` of scale and half. With `noisy`, noise is a standard normal number times ``sqrt(q spread +
    own)``; q is the sum of squares over the driven rows. table: the first LINE numbers of all rows, then the
    next ones; they are cells or, if it is `squared`, WHOLE cells, each behind its square, an unsigned word.
    weyl: the number of each column times ``GOLDEN_32``, for the lines that are used. codes: room for those of
    WINDOWS windows, each with SPARE numbers after it. moments ``[n, planes]``: keys of
    `read_noise.moment_key`.
    """
    images, planes, pixels, edges = shape
    start, event, wires, begun = numbers(starts), numbers(events), numbers(wiring), numbers(begins)
    worth, sums, total = numbers(weight), numbers(out), numbers(counts)
    out_height, out_width, out_channels = out_shape
    positions, slices = out_height * out_width, weight.shape[0] // planes
    blocks = begins.shape[0] - 1
    each = WHOLE if squared else LINE
    lines, row = weyl.shape[0] // each, codes.shape[0] // WINDOWS
    rows = np.empty(min(WINDOWS, positions) * rows_in_all + COPIED, np.int32)
    spans, reads = np.empty(4 * WINDOWS * blocks, np.int64), np.empty(blocks + 1, np.int32)
    end, exact = np.empty(1, np.int32), np.empty(1, np.bool_)
    driven = np.empty(WINDOWS, np.int64)
    keys = np.empty(WINDOWS * blocks + 1, np.uint64)  # and one that is drawn for nothing
    listed, span, first_of, key = numbers(rows), numbers(spans), numbers(reads), numbers(keys)
    cells, scales, halves, found = numbers(table), numbers(scale), numbers(half), numbers(codes)
    spreads, numbered = numbers(spread), numbers(weyl)
    for n in range(images):
        for plane in range(planes):
            first = (n * planes + plane) * pixels * edges
            for begin in range(0, positions, WINDOWS):
                windows = min(WINDOWS, positions - begin)
                about = begin, windows, out_width, blocks
                active = _list(
                    start, first, edges, event, size, channels, stride, padding, wires, begun, about,
                    moments[n, plane], row, listed, span, first_of, end, exact, driven, key,
                )  # fmt: skip
                if active == 0:
                    continue
                codes[: windows * row] = 0
                for k in range(lines):
                    at, to = k * rows_in_all * LINE, k * each
                    for block in range(blocks):
                        source = event if _has_one_run(begun, block) else listed
                        adc, some = block * apart + to, (first_of[block], first_of[block + 1])
                        if not noisy:
                            _convert(cells, at, source, span, some, adc, scales, halves, top, found, to)
                        elif squared:
                            _convert_noisy(
                                cells, at, source, span, some, adc, scales, halves, spreads, own, key,
                                numbered, top, found, to,
                            )  # fmt: skip
                        else:
                            _convert_noisy_converter(
                                cells, at, source, span, some, adc, scales, halves, own, key, numbered, top,
                                found, to,
                            )  # fmt: skip
                place = (n * positions + begin) * out_channels
                for k in range(windows):
                    if driven[k]:
                        more = offset[plane] * driven[k]
                        add_up(found, k * row, worth, plane, slices, more, sums, place, out_channels)
                        total[2 * n] += driven[k]
                    place += out_channels
                total[2 * n + 1] += active


@inlined
def _has_one_run(begins: NDArray[np.int32], block: int) -> bool:
    """Whether the rows of a block's reads stand side by side in `events`, so that no list has to be made."""
    return bool(begins[block + 1] - begins[block] == 1)


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
    about: tuple[int, int, int, int],
    moment: np.uint64,
    row: int,
    rows: NDArray[np.int32],
    spans: NDArray[np.int64],
    reads: NDArray[np.int32],
    end: NDArray[np.int32],
    exact: NDArray[np.bool_],
    driven: NDArray[np.int64],
    keys: NDArray[np.uint64],
) -> int:
    """List the rows that some windows drive, block by block; returns the reads with a row active.

    spans receives, of each of those, where its window has its codes, `row` for each; where its rows begin and
    end; and what is to be added to their places in a line of the table. Rows are in `events` themselves where
    a block has one run, else they come to `rows`. reads receives the first read of each block, and the end;
    keys `read_noise.read_key` of each read; driven the rows of each window. about: the first window, how many
    there are, how many stand side by side, and how many blocks there are.
    """
    begin, windows, wide, blocks = about
    count, read = 0, 0
    driven[:windows] = 0
    for block in range(blocks):
        reads[block] = read
        position, one_run = begin, _has_one_run(begins, block)
        down, right = begin // wide, begin % wide
        for k in range(windows):
            corner = (down * stride[0] - padding[0], right * stride[1] - padding[1])
            if one_run:
                s = 6 * begins[block]
                event, length, base = run(starts, first, edges, size, channels, corner, wiring, s)
            else:
                one, _ = window(
                    starts, first, edges, events, size, channels, corner, wiring, begins, (block, block + 1),
                    0, after(rows, count), end, exact,
                )  # fmt: skip
                event, length, base = count, end[0] if one else 0, 0
                count += length
            if length > 0:
                key = moment + (np.uint64(position * blocks + block) + _ONE) * _GOLDEN_64
                key = (key ^ (key >> _SHIFT_64[0])) * _MIX_64[0]
                key = (key ^ (key >> _SHIFT_64[1])) * _MIX_64[1]
                keys[read] = key ^ (key >> _SHIFT_64[2])
                at = 4 * read
                spans[at], spans[at + 1] = k * row, event
                spans[at + 2], spans[at + 3] = event + length, base * LINE
                driven[k] += length
                read += 1
            position += 1
            right += 1
            if right == wide:
                down, right = down + 1, 0
    reads[blocks] = read
    return read


@inlined
def _span(spans: NDArray[np.int64], read: int) -> tuple[int, int, int, int]:
    """What `_list` says of a read."""
    at = 4 * read
    return spans[at], spans[at + 1], spans[at + 2], spans[at + 3]


@inlined
def _drawn(keys: NDArray[np.uint64], read: int, weyl: Any) -> Any:
    key = keys[read]
    return normals(weyl, np.uint32(key), np.uint32(key >> _SHIFT_64[3]))


@inlined
def _convert(
    table: NDArray[Any],
    at: int,
    rows: NDArray[np.int32],
    spans: NDArray[np.int64],
    reads: tuple[Any, Any],
    adc: int,
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    top: np.float32,
    codes: NDArray[np.int32],
    to: int,
) -> None:
    """Play some reads, on LINE numbers of the rows; their codes are added to those of their windows, from
    `to` on.
    """
    for read in range(reads[0], reads[1]):
        place, begin, end, base = _span(spans, read)
        sums = floats(sum_of_rows(table, LINE, rows, begin, end, at + base, LINE))
        found = add(times(sums, load(scale, adc, LINE)), load(half, adc, LINE))
        store(codes, to + place, add(load(codes, to + place, LINE), clipped(found, top)))


@inlined
def _convert_noisy_converter(
    table: NDArray[Any],
    at: int,
    rows: NDArray[np.int32],
    spans: NDArray[np.int64],
    reads: tuple[Any, Any],
    adc: int,
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    own: np.float32,
    keys: NDArray[np.uint64],
    weyl: NDArray[np.uint32],
    top: np.float32,
    codes: NDArray[np.int32],
    to: int,
) -> None:
    sigma, numbers = full(scale, np.sqrt(own), LINE), load(weyl, to, LINE)
    drawn = _drawn(keys, reads[0], numbers)
    for read in range(reads[0], reads[1]):
        place, begin, end, base = _span(spans, read)
        sums = floats(sum_of_rows(table, LINE, rows, begin, end, at + base, LINE))
        following = _drawn(keys, read + 1, numbers)
        found = add(times(sums, load(scale, adc, LINE)), load(half, adc, LINE))
        code = clipped(add(found, times(sigma, drawn)), top)
        store(codes, to + place, add(load(codes, to + place, LINE), code))
        drawn = following


@inlined
def _convert_noisy(
    table: NDArray[Any],
    at: int,
    rows: NDArray[np.int32],
    spans: NDArray[np.int64],
    reads: tuple[Any, Any],
    adc: int,
    scale: NDArray[np.float32],
    half: NDArray[np.float32],
    spread: NDArray[np.float32],
    own: np.float32,
    keys: NDArray[np.uint64],
    weyl: NDArray[np.uint32],
    top: np.float32,
    codes: NDArray[np.int32],
    to: int,
) -> None:
    least, numbers = full(scale, own, WHOLE), load(weyl, to, WHOLE)
    drawn = _drawn(keys, reads[0], numbers)
    for read in range(reads[0], reads[1]):
        place, begin, end, base = _span(spans, read)
        squares, sums = unpaired(sum_of_rows(table, LINE, rows, begin, end, at + base, LINE))
        # The next read's draws, beside this one's conversion: each of the two waits for its own results.
        following = _drawn(keys, read + 1, numbers)
        variances = add(times(floats(squares), load(spread, adc, WHOLE)), least)
        noise = times(root(variances), drawn)
        found = add(times(floats(sums), load(scale, adc, WHOLE)), load(half, adc, WHOLE))
        store(codes, to + place, add(load(codes, to + place, WHOLE), clipped(add(found, noise), top)))
        drawn = following
