"""The crossbars of one layer: their cells and rows as arrays that the kernels read, and their reads.

Methods import `read_kernels`, which imports numba, so that a run begins before that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.crossbars.by_pixel import PixelReads, pixel_reads
from imcsim.network.rows import RowLayout

if TYPE_CHECKING:
    from imcsim.functional.crossbars.read_kernels import Scratch

CACHE_BYTES = 1 << 19
"""Cells that are read for all windows before the next ones: they stay in a core's own cache."""

EVENTS = 1 << 22
"""Most input bits whose events are listed at a time."""

ALIGNMENT_BYTES = 64

Pair = tuple[int, int]
Shape = tuple[int, int, int, int]
Moments = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The number of the image, and the timestep, of each of some inputs."""
Player = Callable[[slice, tuple[Any, ...], tuple[Any, ...]], None]
"""Plays the reads of some inputs, from what they drive, into what they add up to: the first and the last
arguments of all kernels that read.
"""


@dataclass(frozen=True, eq=False)
class Crossbars:
    """Cells of one layer. levels: integers ``[rows, slices * Cout]``, `layout` says what drives the rows.

    factor, int64 ``[slices]``, is what a level of each slice counts; `offset` is added for each active row.
    most_pulses: for how many clock cycles an input drives its row at most in a read that takes all its bits
    (`choices.InputDrive`); 0 where each bit has a read of its own.
    """

    layout: RowLayout
    levels: NDArray[Any]
    factor: NDArray[np.int64]
    offset: int
    most_pulses: int = field(default=0, kw_only=True)

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: not what follows from it, which has a place in this one's memory."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def pulses(self, planes: int) -> int:
        """The largest weight of an input of `planes` bits in the sum of one read."""
        return (1 << planes) - 1 if self.most_pulses else 1

    def reads_of(self, planes: int) -> int:
        """Reads that an input of `planes` bits takes."""
        return 1 if self.most_pulses else planes

    @property
    def rows_of_a_sum(self) -> int:
        """The most rows whose cells a column of one block adds up."""
        return int(self.layout.block_rows.max())

    @property
    def fraction_bits(self) -> int:
        """Of the numbers in `cells`."""
        return 0

    @cached_property
    def largest_level(self) -> int:
        """The largest level of all cells, at least 1."""
        return max(int(self.levels.max(initial=0)), 1)

    @cached_property
    def row_levels(self) -> NDArray[np.int64]:
        """The levels of all cells of each row, summed, int64 ``[rows]``."""
        sums: NDArray[np.int64] = self.levels.sum(axis=1, dtype=np.int64)
        return sums

    @cached_property
    def _driven(self) -> dict[Any, NDArray[np.int64]]:
        """What `_driven_levels` says of all cells, by sizes, stride and padding that were asked for."""
        return {}

    @cached_property
    def _by_pixel(self) -> dict[Any, PixelReads | None]:
        """What `_pixel_reads` returns, likewise."""
        return {}

    @property
    def columns(self) -> int:
        """Columns of a row, filled up to whole vectors."""
        from imcsim.functional.crossbars import read_kernels

        used = int(self.levels.shape[1])
        return -(-used // read_kernels.NARROW) * read_kernels.NARROW

    @cached_property
    def cells(self) -> NDArray[Any]:
        """All rows one after the other, `columns` numbers each, in words as short as the levels allow."""
        word = np.dtype(np.uint8 if self.largest_level < 1 << 8 else np.uint16)
        rows, used = self.levels.shape
        cells = aligned(rows * self.columns, word)
        cells.reshape(rows, self.columns)[:, :used] = self.levels
        return cells

    @cached_property
    def packed(self) -> NDArray[np.uint8]:
        """The same, two in a byte (see `packed_kernels`); levels must allow it."""
        from imcsim.functional.crossbars import packed_kernels

        packed = aligned(len(self.cells) // 2, self.cells.dtype)
        packed_kernels.pack(self.cells.reshape(-1, self.columns), packed.reshape(-1, self.columns // 2))
        return packed

    @cached_property
    def by_column(self) -> NDArray[np.uint8]:
        """The same, some columns of all rows after the other (see `pixel_kernels`)."""
        from imcsim.functional.crossbars import pixel_kernels

        packed = aligned(len(self.cells) // 2, self.cells.dtype)
        packed[:] = pixel_kernels.pack(self.cells.reshape(-1, self.columns)).ravel()
        return packed

    @cached_property
    def word(self) -> np.dtype[Any]:
        """The word in which codes are added up: no sum of one block, rounded, overflows it."""
        largest = int(self.layout.block_rows.max()) * self.largest_level * max(self.most_pulses, 1)
        return np.dtype(np.uint16 if self.cells.itemsize == 1 and 2 * largest < 1 << 16 else np.uint32)

    @cached_property
    def groups(self) -> NDArray[np.int32]:
        """Blocks that are read for all windows together: the first one of each group, and the end."""
        return self._groups(self.columns * self.cells.itemsize)

    @cached_property
    def packed_groups(self) -> NDArray[np.int32]:
        """The same for cells that are `packed`."""
        return self._groups(self.columns // 2)

    def _groups(self, bytes_of_row: int) -> NDArray[np.int32]:
        largest = self.largest_level * max(self.most_pulses, 1)
        most = min(CACHE_BYTES // bytes_of_row, (1 << 8 * self.word.itemsize) // 2 // largest)
        groups, rows = [0], 0
        for block, more in enumerate(self.layout.block_rows):
            if rows and rows + more > most:
                groups.append(block)
                rows = 0
            rows += int(more)
        return np.array([*groups, self.layout.blocks], np.int32)

    @cached_property
    def edges(self) -> NDArray[np.int32]:
        """The channels at which a segment begins or ends, and 0 and the last channel + 1."""
        at = self.layout
        return np.unique(np.concatenate([[0, at.channels], at.first, at.last])).astype(np.int32)

    @cached_property
    def wiring(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """``wiring`` and ``begins`` as the kernels want them (see `read_kernels`)."""
        at = self.layout
        low, high = (np.searchsorted(self.edges, ends) for ends in (at.first, at.last))
        # A segment goes on with the run before it where it begins at the next pixel and wordline.
        on = (np.diff(at.block) == 0) & (np.diff(at.down) == 0) & (np.diff(at.right) == 1)
        on &= (at.last[:-1] == at.channels) & (at.first[1:] == 0)
        on &= np.diff(at.row) == (at.last - at.first)[:-1]
        first, last = ~np.append(False, on), ~np.append(on, False)
        begin = at.down[first], at.right[first], low[first]
        end = at.right[last], high[last]
        wiring = np.stack([*begin, *end, (at.row - at.first)[first]], axis=1)
        begins = np.searchsorted(at.block[first], np.arange(at.blocks + 1))
        return np.ascontiguousarray(wiring, np.int32), begins.astype(np.int32)

    @property
    def piece(self) -> int:
        """Rows whose sums fit the words of the cells."""
        return int(np.iinfo(self.cells.dtype).max) // self.largest_level

    def read(
        self,
        inputs: NDArray[np.uint8],
        planes: int,
        shift: NDArray[np.int64],
        largest_code: int,
        stride: Pair,
        padding: Pair,
        out: NDArray[Any],
        moments: Moments | None = None,
    ) -> NDArray[np.int64]:
        """Drive inputs uint8 ``[n, H, W, C]`` of `planes` bits bit by bit, least significant first, or all
        bits together, in pulses.

        An ADC turns the sum of a column into ``min((sum + half) >> shift, largest_code)`` steps; shift
        ``[slices]``. out ``[n, Ho, Wo, Cout]`` of wide enough words receives the digital sums. Returns counts
        int64 ``[n, 3]``: active rows, the levels of all cells on them, and block reads with a row active;
        with pulses ``[n, 4]``: levels count for each pulse, and the pulses of all active rows come last.
        moments, int64 ``[n]`` each: the number of the image and the timestep, for reads that are noisy.
        """
        from imcsim.functional.crossbars import read_kernels

        size, out_size = (inputs.shape[1], inputs.shape[2]), (out.shape[1], out.shape[2])
        reads = self.reads_of(planes)
        weight = ((self.factor << shift) << np.arange(reads)[:, None]).astype(out.dtype)
        offset = (self.offset << np.arange(reads)).astype(out.dtype)
        play = self._player(shift, largest_code, reads, moments or _first_moments(len(inputs)))
        counts = np.empty((len(inputs), 4 if self.most_pulses else 3), np.int64)
        found, levels = np.zeros((len(inputs), 2), np.int64), np.empty(len(inputs), np.int64)
        out[...] = 0
        wiring, begins = self.wiring
        for at, shape, starts, events in self._events(inputs, planes):
            wires = starts, events, shape, size, self.layout.channels, wiring.ravel(), begins
            sums = weight.ravel(), offset, stride, padding, out[at].reshape(-1), out.shape[1:]
            play(at, wires, (*sums, found[at].reshape(-1)))
        about = size, stride, padding, out_size
        if about not in self._driven:
            self._driven[about] = self._driven_levels(self.row_levels, *about).ravel()
        driven = self._driven[about]
        flat = inputs.reshape(len(inputs), -1)
        if self.most_pulses:
            read_kernels.pulsed_levels(flat, driven, levels)
            once = self._driven_levels(np.ones(self.layout.rows, np.int64), *about)
            read_kernels.active_levels(np.minimum(flat, 1), 1, once.ravel(), counts[:, 0])
            counts[:, 3] = found[:, 0]
        else:
            read_kernels.active_levels(flat, planes, driven, levels)
            counts[:, 0] = found[:, 0]
        counts[:, 1], counts[:, 2] = levels, found[:, 1]
        return counts

    def _player(self, shift: NDArray[np.int64], largest_code: int, reads: int, moments: Moments) -> Player:
        """What plays the reads of some inputs, with these ADCs; `reads` for each position."""
        from imcsim.functional.crossbars import read_kernels

        lossless = self._lossless(shift, largest_code)
        if self._in_bytes(shift, largest_code):
            return self._byte_player(lossless, bool(shift.any()), min(largest_code, (1 << 8) - 1))
        shifts = self._spread(shift + self.fraction_bits)
        adc = lossless, (1 << shifts) >> 1, shifts, min(largest_code, int(np.iinfo(self.word).max))
        kernel: Callable[..., None] = read_kernels.crossbar_reads

        def play(at: slice, wires: tuple[Any, ...], sums: tuple[Any, ...]) -> None:
            scratch = self._scratch(self.columns, self.word)
            kernel(*wires, self.groups, self.cells, self.columns, self.piece, scratch, *adc, *sums)

        return play

    def _byte_player(self, lossless: int, halved: bool, top: int) -> Player:
        """What plays reads in bytes: pixel by pixel, or window by window."""
        from imcsim.functional.crossbars import packed_kernels, pixel_kernels, read_kernels

        by_window: Callable[..., None] = packed_kernels.packed_reads
        largest = self.largest_level * self._listed
        bound = max(top, lossless * self.largest_level)
        adc = lossless, halved, top

        def play(at: slice, wires: tuple[Any, ...], sums: tuple[Any, ...]) -> None:
            (starts, events, shape, size), (weight, offset, stride, padding) = wires[:4], sums[:4]
            out, out_shape, counts = sums[4:]
            reads = self._pixel_reads(size, stride, padding, out_shape[:2])
            groups = None if reads is None else reads.groups(largest, bound)
            if reads is None or groups is None:
                cells = self.packed_groups, self.packed, self.columns, self.piece
                scratch = self._scratch(self.columns, np.dtype(np.uint16))
                by_window(*wires, *cells, scratch, *adc, *sums)
                return
            maps, windows = shape[0] * shape[1], out_shape[0] * out_shape[1]
            together = max(CACHE_BYTES * shape[0] // out.nbytes, 1) * shape[1]
            pixel_kernels.pixel_reads(
                starts, events, shape, reads.lists.ravel(), reads.begins, reads.places, reads.windows, groups,
                together, self.by_column, self.columns, self.piece, *adc, weight, offset,
                np.zeros((windows + 2) * read_kernels.NARROW, np.uint16),
                np.zeros(maps * (windows + 1), out.dtype), out, out_shape[2], counts,
            )  # fmt: skip

        return play

    def _pixel_reads(self, size: Pair, stride: Pair, padding: Pair, out_size: Pair) -> PixelReads | None:
        about = size, stride, padding, out_size
        if about not in self._by_pixel:
            self._by_pixel[about] = pixel_reads(self.wiring[0], self.layout, self.edges, *about)
        return self._by_pixel[about]

    def sums_beyond(
        self,
        inputs: NDArray[np.uint8],
        planes: int,
        bounds: NDArray[np.int64],
        stride: Pair,
        padding: Pair,
        out_size: Pair,
    ) -> tuple[int, NDArray[np.int64]]:
        """How many column sums one slice has in all reads with a row active, and how many of them exceed each
        of the ascending `bounds`, int64 ``[slices, bounds]``. Inputs as for `read`.
        """
        from imcsim.functional.crossbars import read_kernels

        channels = self.levels.shape[1] // len(self.factor)
        size = (inputs.shape[1], inputs.shape[2])
        bounds = bounds << self.fraction_bits
        reads, beyond = 0, np.zeros((len(self.factor), len(bounds)), np.int64)
        wiring, begins = self.wiring
        for _, shape, starts, events in self._events(inputs, planes):
            reads += read_kernels.sums_beyond(
                starts, events, shape, size, self.layout.channels, wiring.ravel(), begins, self.cells,
                self.columns, self.piece, self._scratch(self.columns, self.word),
                int(bounds[0]) // self.largest_level, bounds, stride, padding, out_size, channels,
                beyond.reshape(-1),
            )  # fmt: skip
        return reads * channels, beyond

    def _in_bytes(self, shift: NDArray[np.int64], largest_code: int) -> bool:
        """Whether `packed_kernels` plays the reads: cells are small, and so are codes, or they are the sums
        themselves, as in a calibration.
        """
        from imcsim.functional.crossbars import packed_kernels

        small = self.largest_level <= packed_kernels.LARGEST_LEVEL and self.word.itemsize == 2
        driven = int(self.layout.block_rows.max()) * self._listed
        short = largest_code < 1 << 8 and bool((shift == shift[0]).all()) and int(shift[0]) <= 1
        return small and (short or driven <= self._lossless(shift, largest_code))

    @property
    def _listed(self) -> int:
        """How often a read lists its rows at most: once for each pulse."""
        return max(self.most_pulses, 1)

    def _scratch(self, codes: int, word: np.dtype[Any]) -> Scratch:
        """Room for the rows, ends and kinds of reads that a window lists, and for so many codes."""
        from imcsim.functional.crossbars import read_kernels

        rows, ends = self.layout.rows * self._listed + read_kernels.COPIED, self.layout.blocks + 1
        return (
            np.empty(rows, np.int32),
            np.empty(ends, np.int32),
            np.empty(ends, np.bool_),
            np.empty(codes, word),
        )

    def _lossless(self, shift: NDArray[np.int64], largest_code: int) -> int:
        """Rows whose sums are converted exactly, whatever they are."""
        return 0 if shift.any() else largest_code // self.largest_level

    def _events(
        self, inputs: NDArray[np.uint8], planes: int
    ) -> Iterator[tuple[slice, Shape, NDArray[np.int32], NDArray[np.int32]]]:
        """Events of the inputs (see `read_kernels`), so many at a time as keeps memory small."""
        from imcsim.functional.crossbars import read_kernels

        images, height, width, channels = inputs.shape
        pixels = inputs.reshape(images, height * width, channels)
        pixels.setflags(write=False)  # as the first layer's are: the kernel is compiled once for all
        # A row is listed once for each pulse: then a read sums what its cells conduct over the pulses.
        find = read_kernels.find_pulses if self.most_pulses else read_kernels.find_events
        reads = self.reads_of(planes)
        bits = height * width * channels * (self.pulses(planes) if self.most_pulses else planes)
        some = max(EVENTS // bits, 1)
        for begin in range(0, images, some):
            at = slice(begin, min(begin + some, images))
            shape = at.stop - begin, reads, height * width, len(self.edges)
            starts = np.empty(prod(shape), np.int32)
            events = np.empty(bits * (at.stop - begin) + read_kernels.COPIED, np.int32)
            find(pixels[at].reshape(-1), self.edges, shape, starts, events)
            yield at, shape, starts, events

    def _spread(self, steps: NDArray[np.int64]) -> NDArray[Any]:
        """One number a slice, for each column."""
        each = np.repeat(steps, self.levels.shape[1] // len(steps))
        spread = aligned(self.columns, self.word)
        spread[: len(each)] = each
        return spread

    def _driven_levels(
        self, row_levels: NDArray[np.int64], size: Pair, stride: Pair, padding: Pair, out_size: Pair
    ) -> NDArray[np.int64]:
        """What `row_levels` come to on the rows that each input drives in all windows, ``[pixels, C]``."""
        at, (along_y, along_x) = self.layout, zip(size, stride, padding, out_size, strict=True)
        driven = np.zeros((*size, at.channels), np.int64)
        for down, right, first, last, row in zip(at.down, at.right, at.first, at.last, at.row, strict=True):
            y, x = _places(int(down), *along_y), _places(int(right), *along_x)
            driven[y, x, first:last] += row_levels[row : row + last - first]
        return driven.reshape(-1, at.channels)


def _places(at: int, size: int, stride: int, padding: int, count: int) -> slice:
    """The places of a map, along one axis, that are place `at` of one of `count` windows."""
    first = -(min(at - padding, 0) // stride)
    last = min((size - 1 + padding - at) // stride, count - 1)
    begin = at - padding
    return slice(begin + first * stride, begin + last * stride + 1, stride) if last >= first else slice(0)


def _first_moments(images: int) -> Moments:
    """Images numbered in their order, in their first timestep."""
    return np.arange(images), np.zeros(images, np.int64)


def aligned(length: int, word: np.dtype[Any]) -> NDArray[Any]:
    """Zeros that begin at a line of the cache."""
    spare = np.zeros(length * word.itemsize + ALIGNMENT_BYTES, np.uint8)
    begin = -spare.ctypes.data % ALIGNMENT_BYTES
    return spare[begin : begin + length * word.itemsize].view(word)
