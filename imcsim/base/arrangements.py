"""How the chips of a package are joined: pure functions of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

Arrangement = Literal["chain", "ring", "mesh", "full"]
"""``chain``: each chip to the next one. ``ring``: and the last to the first. ``mesh``: in a block that is as
square as may be, filled back and forth, so that chips that follow each other are neighbours. ``full``: each
to each.
"""

ARRANGEMENTS: tuple[Arrangement, ...] = get_args(Arrangement)


def chips_passed(arrangement: Arrangement, chips: int, source: int, target: int) -> tuple[int, ...]:
    """The chips on the way from one to another, both included: one link between each two that follow each
    other. Of two ways round a ring it is the shorter one, of two equal ones that in the order of the chips;
    in a mesh it goes along a row, then along a column.
    """
    if arrangement == "full" or source == target:
        return tuple(dict.fromkeys((source, target)))
    if arrangement == "mesh":
        return _over_mesh(chips, source, target)
    step = 1 if target > source else -1
    if arrangement == "ring":
        step = 1 if 2 * ((target - source) % chips) <= chips else -1
    way = [source]
    while way[-1] != target:
        way.append((way[-1] + step) % chips)
    return tuple(way)


def links_between(arrangement: Arrangement, chips: int) -> frozenset[tuple[int, int]]:
    """All links of a package, each as the two chips that it joins, the lower number first. Each is a port on
    both of them.
    """
    pairs = [(a, b) for a in range(chips) for b in range(a + 1, chips)]
    return frozenset(pair for pair in pairs if len(chips_passed(arrangement, chips, *pair)) == 2)


def farthest(arrangement: Arrangement, chips: int, source: int) -> int:
    """Links between a chip and the one that is farthest from it."""
    return max(len(chips_passed(arrangement, chips, source, chip)) - 1 for chip in range(chips))


def places(arrangement: Arrangement, chips: int) -> tuple[tuple[int, int], ...]:
    """Where the chips stand, as columns and rows of a drawing."""
    return _snake(_columns(chips) if arrangement in ("mesh", "full") else chips, chips)


def _columns(chips: int) -> int:
    return next(n for n in range(1, chips + 1) if n * n >= chips)


def _snake(columns: int, chips: int) -> tuple[tuple[int, int], ...]:
    lines = [divmod(k, columns) for k in range(chips)]
    return tuple((x if y % 2 == 0 else columns - 1 - x, y) for y, x in lines)


def _over_mesh(chips: int, source: int, target: int) -> tuple[int, ...]:
    """Along the row, then along the column, or the other way round where the last row has no chip there."""
    at = _snake(_columns(chips), chips)
    number = {place: k for k, place in enumerate(at)}
    (x, y), (to_x, to_y) = at[source], at[target]
    along_x = [(x + k * (1 if to_x > x else -1), y) for k in range(abs(to_x - x) + 1)]
    first: Sequence[tuple[int, int]] = [*along_x, *_column(to_x, y, to_y)]
    if any(place not in number for place in first):
        up = [(x, y), *_column(x, y, to_y)]
        first = [*up, *((place[0], to_y) for place in along_x[1:])]
    way = tuple(number[place] for place in first)
    assert all(abs(at[a][0] - at[b][0]) + abs(at[a][1] - at[b][1]) == 1 for a, b in pairwise(way))
    return way


def _column(x: int, y: int, to_y: int) -> list[tuple[int, int]]:
    step = 1 if to_y > y else -1
    return [(x, y + k * step) for k in range(1, abs(to_y - y) + 1)]
