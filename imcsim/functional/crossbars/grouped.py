"""The crossbars of a grouped convolution whose groups stand along diagonals (see `network.rows`).

Each set of groups has crossbars of its own, which read as those of any layer. Cells between the groups of a
crossbar are not programmed: they are at level 0, whatever the encoding. So what an encoding takes off for
each active row counts for a group's own rows only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.crossbars.crossbars import Crossbars, Moments, Pair
from imcsim.network.rows import GroupSets, RowLayout, diagonal


@dataclass(frozen=True, eq=False)
class GroupedCrossbars:
    """Crossbars of sets of groups, with the reads of `Crossbars`. Channels of a group lie side by side.

    offset: added for each active row to the sums of its own group; those of `sets` are added for all rows of
    a crossbar.
    """

    sets: tuple[Crossbars, ...]
    groups: GroupSets
    offset: int

    @cached_property
    def layout(self) -> RowLayout:
        """The rows of all sets, one after the other."""
        return diagonal([one.layout for one in self.sets])

    @property
    def factor(self) -> NDArray[np.int64]:
        return self.sets[0].factor

    @property
    def row_levels(self) -> NDArray[np.int64]:
        """The levels of all cells of each row, summed, int64 ``[rows]``."""
        return np.concatenate([one.row_levels for one in self.sets])

    @cached_property
    def largest_level(self) -> int:
        """The largest level of all cells, at least 1."""
        return max(one.largest_level for one in self.sets)

    @property
    def most_pulses(self) -> int:
        return self.sets[0].most_pulses

    def pulses(self, planes: int) -> int:
        """See `Crossbars.pulses`."""
        return self.sets[0].pulses(planes)

    def reads_of(self, planes: int) -> int:
        """Reads that an input of `planes` bits takes."""
        return self.sets[0].reads_of(planes)

    @cached_property
    def rows_of_a_sum(self) -> int:
        """The most rows of one group that a block drives."""
        most = 0
        for k, one in enumerate(self.sets):
            at, of_group = one.layout, one.layout.channels // len(self.groups.groups_of(k))
            for first in range(0, at.channels, of_group):
                rows = np.clip(at.last, first, first + of_group) - np.clip(at.first, first, first + of_group)
                most = max(most, int(np.bincount(at.block, weights=rows).max()))
        return most

    def with_sets(self, sets: tuple[Crossbars, ...]) -> GroupedCrossbars:
        """The same groups on other crossbars."""
        return replace(self, sets=sets)

    def places(self, k: int, channels: int) -> slice:
        """The channels of set k, of input or output channels that are so many in all."""
        mine, each = self.groups.groups_of(k), channels // self.groups.groups
        return slice(mine.start * each, mine.stop * each)

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
        """See `Crossbars.read`; counts are those of all sets together."""
        counts = np.zeros((len(inputs), 4 if self.most_pulses else 3), np.int64)
        for k, one in enumerate(self.sets):
            mine = np.ascontiguousarray(inputs[..., self.places(k, inputs.shape[3])])
            to = self.places(k, out.shape[3])
            sums = np.empty((*out.shape[:3], to.stop - to.start), out.dtype)
            counts += one.read(mine, planes, shift, largest_code, stride, padding, sums, moments)
            out[..., to] = sums
        if self.offset:
            active = self._active_inputs(inputs, stride, padding, out.shape[1:3])
            out += (self.offset * np.repeat(active, out.shape[3] // active.shape[3], axis=3)).astype(
                out.dtype
            )
        return counts

    def _active_inputs(
        self, inputs: NDArray[np.uint8], stride: Pair, padding: Pair, out_size: tuple[int, ...]
    ) -> NDArray[np.int64]:
        """The inputs of each group under each window, summed, int64 ``[n, Ho, Wo, groups]``: all bits of an
        input together say how often, and with which worth, its row is driven.
        """
        images, height, width, _ = inputs.shape
        of_group = inputs.reshape(images, height, width, self.groups.groups, -1).sum(axis=4, dtype=np.int64)
        (down, right), (tall, wide) = padding, out_size
        framed = np.zeros((images, height + 2 * down, width + 2 * right, self.groups.groups), np.int64)
        framed[:, down : down + height, right : right + width] = of_group
        found = np.zeros((images, tall, wide, self.groups.groups), np.int64)
        at = self.sets[0].layout
        for y, x in set(zip(at.down.tolist(), at.right.tolist(), strict=True)):
            rows = slice(y, y + (tall - 1) * stride[0] + 1, stride[0])
            columns = slice(x, x + (wide - 1) * stride[1] + 1, stride[1])
            found += framed[:, rows, columns]
        return found

    def sums_beyond(
        self,
        inputs: NDArray[np.uint8],
        planes: int,
        bounds: NDArray[np.int64],
        stride: Pair,
        padding: Pair,
        out_size: Pair,
    ) -> tuple[int, NDArray[np.int64]]:
        """See `Crossbars.sums_beyond`; of all sets together."""
        total, beyond = 0, np.zeros((len(self.factor), len(bounds)), np.int64)
        for k, one in enumerate(self.sets):
            mine = np.ascontiguousarray(inputs[..., self.places(k, inputs.shape[3])])
            sums, more = one.sums_beyond(mine, planes, bounds, stride, padding, out_size)
            total += sums
            beyond += more
        return total, beyond
