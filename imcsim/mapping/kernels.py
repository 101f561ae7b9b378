"""Tiles that change places, compiled. A plain numpy statement of it stands in ``tests/helpers/naive.py``."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from imcsim.base.compiled import after, compiled, numbers

_Numbers = NDArray[np.float64]


@compiled
def exchange(
    between: _Numbers,
    distance: _Numbers,
    moved: _Numbers,
    words: NDArray[np.uint32],
    steps: int,
    start: float,
    cool: float,
    room: tuple[NDArray[np.int64], _Numbers],
    best: NDArray[np.int64],
) -> None:
    """Which site each tile is best at: best int64 ``[sites]`` receives it.

    Matrices ``[sites, sites]``, flat. between: flits between tiles, both ways. distance: hops between sites.
    moved: cost of tile a if it stood where b is, all others staying; changed in place. words: random, those
    that ``random.Random`` draws from. `start` and `cool`: the threshold, and the share of the steps after
    which it is 0. room: twice as many numbers as there are sites, of each kind.
    """
    sites, flows, hops, cost_at = best.shape[0], numbers(between), numbers(distance), numbers(moved)
    at, change, drawn_from = numbers(room[0]), numbers(room[1]), numbers(words)
    accepted, further = after(at, sites), after(change, sites)
    found = numbers(best)
    for site in range(sites):
        at[site] = found[site] = site
    cost = lowest = 0.0
    word = 0
    for step in range(steps):
        a, word = _below(drawn_from, word, sites)
        of_a, here = a * sites, at[a] * sites
        for other in range(sites):
            # Both counted the link between a and b as if the other stayed.
            change[other] = (
                cost_at[of_a + other] - cost_at[other * sites + other] + cost_at[other * sites + a]
                - cost_at[of_a + a] + 2 * flows[of_a + other] * hops[here + at[other]]
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
            drawn, word = _below(drawn_from, word, count)
            b = accepted[drawn]
        else:
            b = 0
            for other in range(sites):
                b = other if change[other] < change[b] else b
            if change[b] >= 0:
                continue
        cost += change[b]
        for row in range(0, sites * sites, sites):
            cost_at[row + a], cost_at[row + b] = cost_at[row + b], cost_at[row + a]
        at[a], at[b] = at[b], at[a]
        here, there = at[a] * sites, at[b] * sites
        for site in range(sites):
            further[site] = hops[here + at[site]] - hops[there + at[site]]
        for row in range(0, sites * sites, sites):
            flits = flows[row + a] - flows[row + b]
            if flits != 0:
                for site in range(sites):
                    cost_at[row + site] += flits * further[site]
        if cost < lowest:
            lowest = cost
            for site in range(sites):
                found[site] = at[site]


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
