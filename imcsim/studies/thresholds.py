"""Thresholds of the exit rule, chosen on validation images: one for all timesteps, or one for each.

Images are known by three arrays. needed: int64 ``[N, T]``, the smallest register word with which an image
leaves after each timestep. right: bool ``[N, T]``, whether its answer is right then. cost: float64
``[N, T]``, what it has cost by then. Register t of T - 1 lets an image go after timestep t; all leave after
T. A choice may lose no accuracy: at least `goal` images must be right (None: as many as after T timesteps).

T - 1 numbers fit the images they are chosen on more closely than one number does: with few images they fit
their chance, too, and the accuracy on other images may fall below that of static T. So both kinds of choice
are reported beside the accuracy on images that chose nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Registers = NDArray[np.int64]
_Ranks = NDArray[np.int64]

GRID = {1: 1 << 16, 2: 512, 3: 96}
"""How many values are tried of each register when 1, 2 or 3 are changed together."""
PAIRS_GRID = 96
"""The same, where there are so many registers that pairs take turns."""
MAX_ROUNDS = 24
MANY = 32
"""Of more registers those pairs take turns that are a power of two apart, one distance in each round."""


def one_for_all(
    needed: NDArray[np.int64], right: NDArray[np.bool_], largest: int, *, goal: int | None = None
) -> int:
    """The largest word up to `largest` that loses no accuracy as the register of every timestep.

    Cost never grows with the word, so this is the cheapest. Words at which an image might leave are tried;
    where no word will do, 0: all images stay.

    Args:
        needed: int64 ``[N, T]``, the least word with which each image leaves after each timestep.
        right: bool ``[N, T]``, whether its answer is right then.
        largest: The largest word of a register.
        goal: How many images must be right. None: as many as after T timesteps.
    """
    missing = 0 if goal is None else goal - int(right[:, -1].sum())
    early = needed[:, :-1]
    candidates = np.unique(early)
    candidates = candidates[candidates <= largest]
    # An image has left after t with every word from the smallest of its first t on. So where that word is
    # passed, the answer after t + 1 gives way to the one after t.
    passed = np.minimum.accumulate(early, axis=1).ravel()
    gained = (right[:, :-1].astype(np.int64) - right[:, 1:]).ravel()
    order = np.argsort(passed)
    more = np.concatenate([[0], np.cumsum(gained[order])])
    fair = more[np.searchsorted(passed[order], candidates, side="right")] >= missing
    return int(candidates[fair][-1]) if fair.any() else 0


def one_for_each(
    needed: NDArray[np.int64],
    right: NDArray[np.bool_],
    cost: NDArray[np.float64],
    largest: int,
    *,
    goal: int | None = None,
) -> Registers:
    """Words up to `largest`, int64 ``[T - 1]``, with the least mean cost that lose no accuracy.

    Never worse than `one_for_all`, whose word stands T - 1 times where nothing better is met. A grid of
    values of up to three registers is judged exactly at a time, first over their whole range, then closer and
    closer to the best so far, until nothing changes; more than three take turns in pairs. So the choice is
    exact where the grid holds all values, as with up to 3 registers and 95 images; else it is the best that
    was met. Of more than `MANY` registers the pairs are those that lie a power of two apart. Of words with
    the same exits the smallest are taken. No chance is involved.

    Args:
        needed: int64 ``[N, T]``, the least word with which each image leaves after each timestep.
        right: bool ``[N, T]``, whether its answer is right then.
        cost: float64 ``[N, T]``, what it has cost by then.
        largest: The largest word of a register.
        goal: How many images must be right. None: as many as after T timesteps.
    """
    count = needed.shape[1] - 1
    common = np.full(count, one_for_all(needed, right, largest, goal=goal), np.int64)
    if count == 0:
        return common
    search = _RegisterSearch(needed, right, cost, largest, int(right[:, -1].sum()) if goal is None else goal)
    start = search.positions(common)
    best = search.descend(start)
    if search.cost_of(best) >= search.cost_of(start):
        return common
    return search.words(search.smallest(best))


class _RegisterSearch:
    """The registers as positions among the words at which someone leaves, 0 being the word 0."""

    def __init__(
        self,
        needed: NDArray[np.int64],
        right: NDArray[np.bool_],
        cost: NDArray[np.float64],
        largest: int,
        goal: int,
    ) -> None:
        self._right, self._cost = right.astype(np.float64), cost
        self._images, timesteps = needed.shape
        self._count = timesteps - 1
        self._rows = np.arange(self._images)
        self._goal = goal
        self._words = [
            np.concatenate([[0], np.unique(column[column <= largest])]) for column in needed[:, :-1].T
        ]
        # With a position at or above its rank an image leaves; words above `largest` have no position.
        self._ranks: list[_Ranks] = [
            np.searchsorted(words, column)
            for words, column in zip(self._words, needed[:, :-1].T, strict=True)
        ]
        self._table = np.stack(self._ranks, axis=1)

    def positions(self, registers: Registers) -> tuple[int, ...]:
        """Those of the largest words not above `registers`, with which the same images leave."""
        return tuple(
            int(np.searchsorted(words, word, side="right")) - 1
            for words, word in zip(self._words, registers, strict=True)
        )

    def words(self, positions: Sequence[int]) -> Registers:
        return np.array([w[p] for w, p in zip(self._words, positions, strict=True)], np.int64)

    def exits(self, positions: Sequence[int], but: Sequence[int] = ()) -> NDArray[np.int64]:
        """After which timestep, from 0, each image leaves; registers in `but` let nobody go."""
        leaves = np.ones((self._images, self._count + 1), np.bool_)
        np.less_equal(self._table, np.asarray(positions, np.int64), out=leaves[:, :-1])
        leaves[:, list(but)] = False
        left: NDArray[np.int64] = leaves.argmax(axis=1)
        return left

    def cost_of(self, positions: Sequence[int]) -> float:
        """Mean cost of the images; no cost is as high as lost accuracy."""
        left = self.exits(positions)
        if self._right[self._rows, left].sum() < self._goal:
            return np.inf
        return float(self._cost[self._rows, left].mean())

    def smallest(self, positions: Sequence[int]) -> list[int]:
        """The smallest positions with the same exits."""
        left = self.exits(positions)
        return [int(self._ranks[k][left == k].max(initial=0)) for k in range(self._count)]

    def descend(self, start: Sequence[int]) -> tuple[int, ...]:
        """Better and better positions from `start`, until no block of registers can be improved."""
        best, cost = tuple(start), self.cost_of(start)
        every = self._blocks()
        idle = 0
        for turn in range(MAX_ROUNDS):
            before = cost
            for block in every[turn % len(every)]:
                tried = list(self._tried(best, block, everywhere=turn < len(every)))
                found = self._best_of(best, block, tried)
                if (lower := self.cost_of(found)) < cost:
                    best, cost = found, lower
            idle = idle + 1 if turn >= len(every) and cost == before else 0
            if idle == len(every):
                break
        return best

    def _blocks(self) -> list[list[tuple[int, ...]]]:
        """For each round, which then begin anew, the registers that are changed together."""
        if self._count <= MANY:
            return [list(combinations(range(self._count), self._count if self._count <= max(GRID) else 2))]
        distances = [1 << power for power in range((self._count - 1).bit_length())]
        return [[(k, k + apart) for k in range(self._count - apart)] for apart in distances]

    def _tried(
        self, positions: Sequence[int], block: Sequence[int], *, everywhere: bool
    ) -> Iterator[NDArray[np.int64]]:
        """The positions of each register in `block` that are tried, in order: all of them if they are few,
        else evenly spread, or at distances from the present one that grow by equal ratios.
        """
        count = GRID[len(block)] if self._count <= max(GRID) else PAIRS_GRID
        for k in block:
            end, here = len(self._words[k]) - 1, positions[k]
            if end < count:
                yield np.arange(end + 1)
                continue
            if everywhere:
                spread = np.linspace(0, end, count - 1)
            else:
                away = np.geomspace(1, end, count // 2 - 1)
                spread = np.concatenate([here - away, here + away])
            yield np.unique(np.clip(np.rint(np.append(spread, here)).astype(np.int64), 0, end))

    def _best_of(
        self, positions: Sequence[int], block: Sequence[int], tried: Sequence[NDArray[np.int64]]
    ) -> tuple[int, ...]:
        """The cheapest of all combinations of `tried` that lose no accuracy; other registers stay.

        With the registers a, b, c of the block an image leaves at a if its rank there is not above; else at
        b, if not above there; and so on, else where the others let it go. So the sums over the images are
        those of the others, and for every register of the block a sum over the images that it would let go
        but those before it would not: a histogram over the ranks, added up along each axis.
        """
        others = self.exits(positions, but=block)
        shape = tuple(len(values) for values in tried)
        right = np.full(shape, self._right[self._rows, others].sum())
        cost = np.full(shape, self._cost[self._rows, others].sum())
        steps = [
            np.where(others > k, np.searchsorted(values, self._ranks[k]), len(values))
            for k, values in zip(block, tried, strict=True)
        ]
        for m, k in enumerate(block):
            able = steps[m] < shape[m]
            cells = (*(n + 1 for n in shape[:m]), shape[m])
            at = np.ravel_multi_index([step[able] for step in steps[: m + 1]], cells)
            for total, gain in ((right, self._right), (cost, self._cost)):
                change = (gain[self._rows, k] - gain[self._rows, others])[able]
                sums = np.bincount(at, change, minlength=int(np.prod(cells))).reshape(cells)
                sums = sums.cumsum(axis=m)
                for axis in range(m):  # those that the register before would have kept
                    sums = np.flip(np.flip(sums, axis).cumsum(axis=axis), axis)
                    sums = sums[(slice(None),) * axis + (slice(1, None),)]
                total += sums.reshape(*sums.shape, *(1,) * (len(shape) - m - 1))
        cost[right < self._goal] = np.inf
        found = list(positions)
        for k, values, p in zip(block, tried, np.unravel_index(int(cost.argmin()), shape), strict=True):
            found[k] = int(values[p])
        return tuple(found)
