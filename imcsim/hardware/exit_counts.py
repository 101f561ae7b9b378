"""Counts of an event for every exit timestep, without a table for each of them.

An image that exits after e timesteps did in them what the longest run did, but for little: a chip that runs
ahead has begun work that it cancels, and the last timesteps may meet less traffic. So the longest run is
kept, and where other exits differ from its beginning: memory grows with T, not with its square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

_NO_CHANGES = np.zeros((0, 5), np.int64)


@dataclass(frozen=True, eq=False)
class ExitCounts:
    """What `table` says, int64 ``[groups, exits, T, layers]``: entry e is for images that exit after e + 1
    timesteps; timesteps from e + 1 on hold work that was begun and cancelled.

    longest: int64 ``[groups or 1, T, layers]``, the last exit's; one where all groups are alike. changes:
    int64 ``[changes, 5]``, sorted by exit: group, exit, timestep, layer, and what an exit has more there than
    the beginning of the longest run.
    """

    groups: int
    longest: Counts
    changes: Counts = field(default_factory=lambda: _NO_CHANGES)

    @classmethod
    def of_table(cls, table: Counts) -> ExitCounts:
        """The same, of whole tables."""
        exits = np.arange(table.shape[1])
        begin = table[:, -1:] * (np.arange(table.shape[2]) <= exits[:, None])[None, :, :, None]
        at = np.nonzero(table - begin)
        changes = np.stack([*at, (table - begin)[at]], axis=1).astype(np.int64)
        return cls(len(table), table[:, -1], changes[np.argsort(changes[:, 1], kind="stable")])

    @classmethod
    def joined(cls, parts: Sequence[ExitCounts]) -> ExitCounts:
        """Those of some groups after each other; kept once where they are all alike."""
        groups, first = sum(part.groups for part in parts), parts[0]
        if all(part.alike and part.same_as(first) for part in parts):
            return cls(groups, first.longest, first.changes)
        longest, changes, before = [], [], 0
        for part in parts:
            longest.append(np.broadcast_to(part.longest, (part.groups, *part.longest.shape[1:])))
            for group in range(part.groups) if part.alike else [None]:
                more = part.changes.copy()
                more[:, 0] += before + (group or 0)
                changes.append(more)
            before += part.groups
        every = np.concatenate(changes)
        return cls(groups, np.concatenate(longest), every[np.argsort(every[:, 1], kind="stable")])

    @property
    def alike(self) -> bool:
        """Whether the groups share one table."""
        return len(self.longest) == 1

    def same_as(self, other: ExitCounts) -> bool:
        """Whether both hold the same, where each is `alike`."""
        return np.array_equal(self.longest, other.longest) and np.array_equal(self.changes, other.changes)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Groups, exits, timesteps, layers."""
        _, timesteps, layers = self.longest.shape
        return self.groups, timesteps, timesteps, layers

    def of(self, exit_index: int) -> Counts:
        """Of images that exit after ``exit_index + 1`` timesteps (-1: T), ``[groups, T, layers]``."""
        exits = self.longest.shape[1]
        exit_index %= exits
        counts = self.longest.copy()
        counts[:, exit_index + 1 :] = 0
        group, _, timestep, layer, more = self._changes_of(exit_index).T
        counts[group, timestep, layer] += more
        return np.broadcast_to(counts, (self.groups, *counts.shape[1:]))

    def totals(self) -> Counts:
        """Over timesteps and layers, for each exit, int64 ``[groups, exits]``; not to be changed."""
        if len(self._totals) == self.groups:
            return self._totals
        return np.broadcast_to(self._totals, (self.groups, self._totals.shape[1]))

    @cached_property
    def _totals(self) -> Counts:
        sums: Counts = self.longest.sum(axis=2).cumsum(axis=1)
        np.add.at(sums, (self.changes[:, 0], self.changes[:, 1]), self.changes[:, 4])
        return sums

    def cancelling(self) -> list[int]:
        """The exits, from 0, that cancel timesteps."""
        found: list[int] = np.unique(self.changes[self.changes[:, 2] > self.changes[:, 1], 1]).tolist()
        return found

    def cancelled_timesteps(self, exit_index: int) -> Counts:
        """Timesteps, from 0, in which something was cancelled, ascending."""
        timesteps = self._changes_of(exit_index)[:, 2]
        return np.unique(timesteps[timesteps > exit_index])

    def _changes_of(self, exit_index: int) -> Counts:
        first, last = np.searchsorted(self.changes[:, 1], [exit_index, exit_index + 1])
        return self.changes[first:last]

    def __getitem__(self, index: Any) -> Any:
        """Entries of `table`; of one exit quickly."""
        if isinstance(index, tuple) and len(index) > 1 and isinstance(index[1], int):
            return self.of(index[1])[(index[0], *index[2:])]
        return np.asarray(self)[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole table, which has T x T entries for each group and layer."""
        table = np.stack([self.of(k) for k in range(self.longest.shape[1])], axis=1)
        return table if dtype is None else table.astype(dtype)
