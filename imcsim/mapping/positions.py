"""Tiles to positions: exchanged until flits take few hops."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.placement import PlacedChip, Placement
from imcsim.mapping.topologies import Position
from imcsim.mapping.traffic import Flow, traffic

_Matrix = NDArray[np.float64]

_SEED = 0
_MOST_STEPS = 4000
_MOST_WORK = 50_000_000
"""Matrix entries that `annealed` may touch, which bounds it to about 0.2 s for any number of tiles."""

_WORDS = 16
"""Random words for a step, and 1,000 more: each of its two draws takes fewer than two in the mean, and the
chance that a search needs more than all of them is below 10^-100.
"""

_MOST_SITES = 2048
"""Beyond, the matrices would not fit into a small machine's memory, and the few steps left would not pay."""

_START, _COOL = 0.2, 0.9
"""The first threshold, in shares of a tile's mean cost, and when it reaches 0, in shares of the steps."""


def annealed(placement: Placement, config: HardwareConfig, *, fixed: bool = False) -> tuple[Position, ...]:
    """The best positions met while tiles are exchanged, starting from those of `placement`: never worse than
    they.

    Threshold accepting (Dueck and Scheuer, J. Comput. Phys. 90, 1990): a random tile changes places with a
    random other one, or with a free position, if that costs no more flit hops than a threshold that falls to
    zero. Unlike simulated annealing it needs no exponential, so the same network gives the same positions on
    every machine: all costs are whole numbers below 2^53, exact in float64. Meshes with more than 2,048
    candidate positions are left as they are. Tiles stay on their chips of a package; what goes to other
    chips goes to the corner, where the port is. With `fixed`, tiles change places among themselves only.
    """
    flows = tuple(traffic(placement, config))
    positions = list(placement.positions)
    for chip in placement.chips:
        taken = [positions[tile] for tile in chip.tiles]
        sites = taken if fixed else _sites(chip, taken)
        if len(sites) > _MOST_SITES:
            continue
        for tile, site in zip(chip.tiles, _best_sites(chip, flows, tuple(sites)), strict=False):
            positions[tile] = site
    return tuple(positions)


@lru_cache(maxsize=16)
def _best_sites(
    chip: PlacedChip, flows: tuple[Flow, ...], sites: tuple[Position, ...]
) -> tuple[Position, ...]:
    """Where each tile of a chip is best, of the `sites` that it may stand at. The last searches are kept: a
    comparison and a sweep try dozens of chips between whose tiles the same flits travel.
    """
    between, corner = _flits(chip, flows, len(sites))
    order = _exchange(between, corner, chip.topology.distances(sites), chip.topology.reaches(sites))
    return tuple(sites[k] for k in order)


def _sites(chip: PlacedChip, positions: Sequence[Position]) -> list[Position]:
    """Where tiles may stand: where they are, and what is free in the smallest block that would hold them."""
    columns, rows = 1, 1
    while columns * rows < len(positions):
        if columns < chip.mesh[0] and (columns <= rows or rows == chip.mesh[1]):
            columns += 1
        else:
            rows += 1
    taken = set(positions)
    block = [(x, y) for y in range(rows) for x in range(columns)]
    allowed = set(chip.topology.sites())
    return [*positions, *(site for site in block if site in allowed - taken)]


def _flits(chip: PlacedChip, flows: Sequence[Flow], sites: int) -> tuple[_Matrix, _Matrix]:
    """Flits per timestep: between tiles, both ways, ``[sites, sites]``; tile and corner ``[sites]``."""
    between, corner = np.zeros((sites, sites)), np.zeros(sites)
    at = {tile: k for k, tile in enumerate(chip.tiles)}
    for flow in flows:
        here, there = (None if tile is None else at.get(tile) for tile in (flow.source, flow.target))
        if here is None and there is None:
            continue
        if here is None or there is None:
            corner[there if here is None else here] += flow.flits
        elif here != there:
            between[here, there] += flow.flits
            between[there, here] += flow.flits
    return between, corner


def _exchange(between: _Matrix, corner: _Matrix, distance: _Matrix, reach: _Matrix) -> list[int]:
    """Which site each tile is best at. `reach` is the distance of the sites from the corner."""
    from imcsim.mapping.kernels import exchange

    sites = len(corner)
    steps = min(_MOST_STEPS, _MOST_WORK // sites**2)
    moved = between @ distance + np.outer(corner, reach)
    start = _START * float(moved.trace()) / sites
    count = _WORDS * steps + 1000
    words = np.frombuffer(random.Random(_SEED).getrandbits(32 * count).to_bytes(4 * count, "little"), "<u4")
    best, room = np.empty(sites, np.int64), (np.empty(2 * sites, np.int64), np.empty(2 * sites))
    exchange(between.ravel(), distance.ravel(), moved.ravel(), words, steps, start, _COOL, room, best)
    return best.tolist()
