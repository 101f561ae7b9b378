"""What loading weights again takes, as results name it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imcsim.hardware.events import Event
from imcsim.hardware.ledger import Stay
from imcsim.hardware.programming import cell_writing
from imcsim.results.reload import GroupLoad, ReloadCost
from imcsim.simulation.chip import Chip
from imcsim.simulation.reloading import Load, load_of
from imcsim.simulation.simulate import ExitCosts

_LOADING = (Event.WEIGHT_BITS, Event.CELL_WRITES)


def reload_cost(chip: Chip, stay: Stay, ran: ExitCosts) -> ReloadCost | None:
    """That of images that exit after `stay` timesteps; None on a chip that holds its network."""
    config, loads, clock_ns = chip.config, chip.placement.loads, chip.config.technology.clock_ns
    if not loads:
        return None
    each = config.reload.block_of(chip.timing.timesteps)
    first, later = ([load_of(load, config, again=again) for load in loads] for again in (False, True))
    blocks = float((-(-stay // each)).mean())
    rows, totals = np.arange(len(stay)), ran.ledger.totals(stay)
    energy = sum(
        int(charge.paid(totals[charge.event]).sum()) * charge.energy_pj
        for charge in chip.prices()
        if charge.event in _LOADING
    )
    time_ns = clock_ns * (
        sum(load.cycles for load in first) + (blocks - 1) * sum(load.cycles for load in later)
    )
    writing = cell_writing(config)
    return ReloadCost(
        tiles=chip.size.tiles,
        timesteps_per_load=each,
        groups=tuple(
            GroupLoad(
                layers=tuple(layer.stage.name for layer in group.layers),
                weight_bits=load.total(Event.WEIGHT_BITS),
                cells=load.total(Event.CELL_WRITES),
                time_ns=load.cycles * clock_ns,
            )
            for group, load in zip(loads, first, strict=True)
        ),
        blocks=blocks,
        energy_pj=energy / len(stay),
        time_ns=time_ns,
        energy_share=energy / float(ran.energy_pj[rows, stay - 1].sum()),
        time_share=time_ns / float(ran.latency_ns[rows, stay - 1].mean()),
        method=writing.method,
        endurance_writes=writing.endurance_writes,
        writes=_most_writes(chip, later, blocks),
    )


def _most_writes(chip: Chip, later: Sequence[Load], blocks: float) -> float:
    """Writes per image of the cell that is written most: the first one of a tile, which every group that has
    something there writes, as parts fill tiles from their first crossbar on.
    """
    writes = [0.0] * chip.placement.tiles
    for group, load in zip(chip.placement.loads, later, strict=True):
        again = {part.tile for part in group.parts if load.counts[part.stage]}
        for tile in {part.tile for part in group.parts}:
            writes[tile] += blocks if tile in again else 1
    return max(writes)
