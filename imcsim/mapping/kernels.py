"""Tiles that change places, compiled. A plain numpy statement of it stands in ``tests/helpers/naive.py``."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import compiled

_Matrix = NDArray[np.float64]


@compiled
def exchange(
    between: _Matrix,
    distance: _Matrix,
    moved: _Matrix,
    words: NDArray[np.uint32],
    steps: int,
    start: float,
    cool: float,
) -> NDArray[np.int64]:
    """Which site each tile is best at, int64 ``[sites]``.

    between ``[sites, sites]``: flits between tiles, both ways. distance ``[sites, sites]``: hops between
    sites. moved ``[sites, sites]``: cost of tile a if it stood where b is, all others staying; changed in
    place. words: random, those that ``random.Random`` draws from. `start` and `cool`: the threshold, and the
    share of the steps after which it is 0.
    """
    sites = between.shape[0]
    # Loops in the place of numpy's functions: each of these takes long to compile.
    at, best, accepted = np.empty(sites, np.int64), np.empty(sites, np.int64), np.empty(sites, np.int64)
    change, further = np.empty(sites, np.float64), np.empty(sites, np.float64)
    for site in range(sites):
        at[site] = best[site] = site
    cost = lowest = 0.0
    word = 0
    for step in range(steps):
        a, word = _below(words, word, sites)
        for other in range(sites):
            # Both counted the link between a and b as if the other stayed.
            change[other] = (
                moved[a, other] - moved[other, other] + moved[other, a] - moved[a, a]
                + 2 * between[a, other] * distance[at[a], at[other]]
            )  # fmt: skip
        change[a] = np.inf
        threshold = start * (1 - step / (cool * steps))
        if threshold > 0:
            count = 0
            for other in range(sites):
                if change[other] < threshold:
                    accepted[count] = other
                    count += 1
            if count == 0:
                continue
            drawn, word = _below(words, word, count)
            b = int(accepted[drawn])
        else:
            b = 0
            for other in range(sites):
                b = other if change[other] < change[b] else b
            if change[b] >= 0:
                continue
        cost += change[b]
        for tile in range(sites):
            moved[tile, a], moved[tile, b] = moved[tile, b], moved[tile, a]
        at[a], at[b] = at[b], at[a]
        for site in range(sites):
            further[site] = distance[at[a], at[site]] - distance[at[b], at[site]]
        for tile in range(sites):
            flits = between[tile, a] - between[tile, b]
            if flits != 0:
                for site in range(sites):
                    moved[tile, site] += flits * further[site]
        if cost < lowest:
            lowest = cost
            for site in range(sites):
                best[site] = at[site]
    return best


@partial(compiled, inner=True)
def _below(words: NDArray[np.uint32], word: int, limit: int) -> tuple[int, int]:
    """A whole number below `limit`, as ``random.Random.randrange`` draws it, and the next word."""
    bits = 0
    while limit >> bits:
        bits += 1
    drawn = limit
    while drawn >= limit:
        drawn = int(np.int64(words[word]) >> (32 - bits))
        word += 1
    return drawn, word
