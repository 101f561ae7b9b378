"""Which windows hold each pixel of a map, and where its rows lie in them: what `pixel_kernels` reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.network.rows import RowLayout

TOGETHER = 3
"""Reads that are played together."""

MOST_IDLE = 1.25
"""Reads that are played, over those that count: with more, it is faster window by window."""

LARGEST_SUM = (1 << 16) - 1
"""Of the codes of a window."""

Pair = tuple[int, int]
_Places = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PixelReads:
    """The reads of a layer whose blocks have one pixel each.

    lists int32 ``[lists, 2]``: the edges of the channels between which a list of rows lies in each pixel.
    begins int32 ``[pixels + 1]`` says where a pixel has its `windows`, and in `places` the row that channel 0
    of the map's first pixel would drive there: a multiple of TOGETHER, filled up with a window after the last
    one. kernel: places of the kernel. longest: the channels of each list.
    """

    lists: _Places
    begins: _Places
    places: _Places
    windows: _Places
    kernel: int
    longest: NDArray[np.int64]

    def groups(self, largest: int, bound: int) -> _Places | None:
        """The first list of each group whose codes add up to less than 2**16, and the end; None where those
        of one do not. largest: what a row adds to a code at most; no code is above `bound`.
        """
        groups, total = [0], 0
        for k, rows in enumerate(self.longest.tolist()):
            more = self.kernel * min(rows * largest, bound)
            if more > LARGEST_SUM:
                return None
            if total + more > LARGEST_SUM:
                groups.append(k)
                total = 0
            total += more
        return np.array([*groups, len(self.lists)], np.int32)


def pixel_reads(
    wiring: _Places,
    layout: RowLayout,
    edges: _Places,
    size: Pair,
    stride: Pair,
    padding: Pair,
    out_size: Pair,
) -> PixelReads | None:
    """The reads of a layer, pixel by pixel; `wiring` and `edges` as for `read_kernels`. None where a block
    has rows of several pixels, or few windows hold a pixel.
    """
    if len(wiring) != layout.blocks or (wiring[:, 1] != wiring[:, 3]).any():
        return None
    kinds, of = np.unique(wiring[:, [2, 4]], axis=0, return_inverse=True)
    ordered = wiring[np.argsort(of.ravel(), kind="stable")]
    if len(wiring) % len(kinds) or (np.bincount(of.ravel()) != len(wiring) // len(kinds)).any():
        return None
    by_list = ordered.reshape(len(kinds), -1, wiring.shape[1])
    down, right, row = by_list[0, :, 0], by_list[0, :, 1], by_list[0, :, 5]
    if (by_list[:, :, [0, 1, 5]] != by_list[0][:, [0, 1, 5]]).any():
        return None
    (y, tall), (x, wide) = (
        _windows(at, *along)
        for at, along in zip((down, right), zip(size, stride, padding, out_size, strict=True), strict=True)
    )
    inside = (tall[:, :, None] & wide[:, None, :]).reshape(len(row), -1).T
    window = (y[:, :, None] * out_size[1] + x[:, None, :]).reshape(len(row), -1).T
    place = row - layout.channels * np.arange(len(inside))[:, None]
    used = inside.sum(axis=1)
    played = -(-used // TOGETHER) * TOGETHER
    if played.sum() > MOST_IDLE * used.sum():
        return None
    begins = np.concatenate([[0], np.cumsum(played)])
    places, windows = np.repeat(place[:, 0], played), np.full(begins[-1], out_size[0] * out_size[1])
    at = (begins[:-1, None] + np.cumsum(inside, axis=1) - 1)[inside]
    places[at], windows[at] = place[inside], window[inside]
    return PixelReads(
        kinds.astype(np.int32),
        begins.astype(np.int32),
        places.astype(np.int32),
        windows.astype(np.int32),
        len(row),
        (edges[kinds[:, 1]] - edges[kinds[:, 0]]).astype(np.int64),
    )


def _windows(
    at: _Places, size: int, stride: int, padding: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which of `count` windows has each place along one axis as its place `at`, and whether there is one."""
    window, beside = np.divmod(np.arange(size) + padding - at[:, None].astype(np.int64), stride)
    return window, (beside == 0) & (window >= 0) & (window < count)
