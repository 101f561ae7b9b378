"""For how long each layer needs each of its resources in a timestep, from placement and config alone.

Nothing here has been played: these are the cycles that the work itself takes, without any waiting. The
largest of them is the least time in which a layer can do a timestep, and names what bounds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from imcsim.hardware.config import HardwareConfig
from imcsim.mapping import Placement
from imcsim.mapping.topologies import Link
from imcsim.timing.figures import PartFigures, part_figures
from imcsim.timing.link_times import held_cycles
from imcsim.timing.wiring import PartWiring, way, wire

Resource = Literal["bus", "buffer", "crossbar", "adc", "neurons", "mesh", "package"]
RESOURCES: tuple[Resource, ...] = ("bus", "buffer", "crossbar", "adc", "neurons", "mesh")
"""``bus``: a tile's bus to its PEs, and that to its output register. ``buffer``: reads of the tile buffer, or
of the memory of delayed spikes. ``crossbar``: driving and sensing of one crossbar. ``adc``: the conversions
behind it. ``neurons``: LIF lanes, and behind a pool of currents all that stands there. ``mesh``: a link
of a chip, for the packets that the layer sends. A package of several chips has ``package`` as well: a link
between them.
"""

Cycles = Mapping[Resource, int]


@dataclass(frozen=True)
class Occupancy:
    """Cycles of a timestep in which each resource of a layer works: of the tile, crossbar or link where they
    are most.

    computed: of a timestep in which its crossbars are read, every read included. stored: of one for which
    currents are kept. flit_hops: of all packets of these two, rows travelling whole.
    """

    computed: Cycles
    stored: Cycles
    flit_hops: tuple[int, int]


def occupancies(placement: Placement, config: HardwareConfig) -> tuple[Occupancy, ...]:
    """The occupancy of each layer. Raises ImcsimError as `wire` does."""
    figures, wiring = part_figures(placement, config), wire(placement, config)
    layers = []
    for layer in placement.layers:
        mine = [one for one in figures if one.part.stage == layer.stage.index]
        kinds = []
        for stored in (False, True):
            # A stored encoder's other parts do nothing.
            working = [one for one in mine if one.is_head or not stored]
            links = _links(placement, config, working, wiring.parts)
            cycles = [_part_cycles(one, stored=stored) for one in working]
            most = {name: max(part[name] for part in cycles) for name in RESOURCES}
            most["mesh"] = max((n for link, n in links.items() if not link.between_chips), default=0)
            if len(placement.chips) > 1:
                most["package"] = max((n for link, n in links.items() if link.between_chips), default=0)
            kinds.append((most, sum(link.routers * cycles for link, cycles in links.items())))
        (computed, flits), (stored_cycles, stored_flits) = kinds
        layers.append(Occupancy(computed, stored_cycles, (flits, stored_flits)))
    return tuple(layers)


def _part_cycles(one: PartFigures, *, stored: bool) -> dict[Resource, int]:
    """All that a part does in a timestep, but for the mesh."""
    config, waves = one.config, one.waves
    rows, reads = one.layer.bands, 0 if stored else len(waves) * one.reads_of_position * max(one.turns)
    fetched = [] if stored else [wave.fetch_bits for wave in waves]
    behind = sum(one.behind_pool_cycles(one.layer.rows_behind_pool(y)) for y in range(rows))
    out = sum(wave.write_cycles for wave in waves)
    return {
        "bus": rows * max(sum(-(-bits // config.tile.bus_bits) for bits in fetched), out),
        "buffer": rows * sum(one.buffer_cycles(bits) for bits in fetched),
        "crossbar": rows * reads * one.sense_cycles,
        "adc": rows * reads * config.convert_cycles,
        "neurons": rows * sum(wave.lif_cycles for wave in waves if one.fires)
        + (behind if one.fires_behind_pool else 0),
        "mesh": 0,
    }


def _links(
    placement: Placement,
    config: HardwareConfig,
    parts: Iterable[PartFigures],
    wiring: tuple[PartWiring, ...],
) -> Counter[Link]:
    """Cycles for which each link carries what these parts send in a timestep."""
    links: Counter[Link] = Counter()
    for one in parts:
        for output in wiring[one.part.index].outputs:
            flits = 1 + -(-one.packet_bits(output.edge) // config.noc.flit_bits)
            for stream in output.streams:
                for link in way(placement, stream):
                    links[link] += output.height * held_cycles(link, flits, config)
    return links
