"""A network onto a chip: layers to crossbars, PEs, tiles and mesh positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.cut import cut_with_grants
from imcsim.mapping.fit import mesh_for
from imcsim.mapping.pack import pack, pes_used
from imcsim.mapping.partition import on_chips
from imcsim.mapping.placement import LayerPlacement, Part, PlacedChip, Placement
from imcsim.mapping.positions import annealed
from imcsim.mapping.reload import for_group, groups, part_of, together
from imcsim.mapping.size import size_of, with_routers
from imcsim.mapping.stages import StageGraph, stage_graph
from imcsim.mapping.topologies import Position, topology_named
from imcsim.network.graph import Network

__all__ = ["LayerPlacement", "Part", "Placement", "place"]


def place(network: Network, hardware: HardwareConfig) -> Placement:
    """Map `network` onto the chip. Raises ImcsimError when it does not fit, saying what would help."""
    graph = stage_graph(network, hardware.lif.partial_sum_bits)
    for stage in graph.stages:
        if stage.neuron_words and not hardware.lif.parameters_of_neurons:
            raise ImcsimError(
                f"neurons of layer {stage.name} have thresholds or leaks of their own, and this chip "
                "keeps them for channels",
                key="lif.parameters",
                fix="set it to neuron, for lif.kind update: a word of memory for each",
            )
    if hardware.reload.tiles == "network":
        return _placed(graph, hardware)
    return _in_groups(graph, hardware, hardware.reload.tiles)


def _placed(
    graph: StageGraph, hardware: HardwareConfig, tiles: int | None = None, *, fixed: bool = False
) -> Placement:
    """Place a graph on as many tiles as it needs, or on a chip of so many `tiles`; with `fixed` on the same
    sites as every other graph.
    """
    layers, granted = cut_with_grants(graph, hardware)
    layers = on_chips(layers, graph, hardware)
    parts = pack(layers, hardware)
    if tiles is None:
        chips = _chips(graph, layers, parts, hardware)
    else:
        chips = (_chip(0, tuple(range(tiles)), graph, hardware),)
    placement = Placement(
        graph=graph,
        layers=layers,
        parts=parts,
        tiles=sum(len(chip.tiles) for chip in chips),
        positions=_positions(chips, hardware),
        chips=chips,
        arrangement=hardware.package.arrangement,
        pes_used=sum(pes_used(parts, layers, hardware).values()),
        size=replace(size_of(graph, layers, parts, hardware), chips=len(chips)),
        grants=granted,
    )
    if hardware.mapping.placement == "annealed":
        placement = replace(placement, positions=annealed(placement, hardware, fixed=fixed))
    if hardware.noc.topology == "mesh":
        return placement
    routers = [chip.topology.routers([placement.positions[tile] for tile in chip.tiles]) for chip in chips]
    return replace(placement, size=with_routers(placement.size, sum(routers)))


def _chips(
    graph: StageGraph, layers: Sequence[LayerPlacement], parts: Sequence[Part], hardware: HardwareConfig
) -> tuple[PlacedChip, ...]:
    """The tiles of each chip, and how they are joined."""
    found = []
    for number in range(hardware.package.chips):
        tiles = tuple(dict.fromkeys(part.tile for part in parts if layers[part.stage].chip == number))
        found.append(_chip(number, tiles, graph, hardware))
    return tuple(found)


def _chip(number: int, tiles: tuple[int, ...], graph: StageGraph, hardware: HardwareConfig) -> PlacedChip:
    mesh = mesh_for(len(tiles), graph, hardware)
    return PlacedChip(number, tiles, topology_named(hardware.noc.topology, mesh, len(tiles)))


def _positions(chips: Sequence[PlacedChip], hardware: HardwareConfig) -> tuple[Position, ...]:
    """Where tiles stand, each chip filled along its path or row by row."""
    found: dict[int, Position] = {}
    for chip in chips:
        in_rows = hardware.mapping.placement == "rows"
        sites = chip.topology.row_by_row() if in_rows else chip.topology.sites()
        found |= dict(zip(chip.tiles, sites, strict=False))
    return tuple(found[tile] for tile in range(len(found)))


def _in_groups(graph: StageGraph, hardware: HardwareConfig, tiles: int) -> Placement:
    """Place a network on a chip of so many tiles, group after group where it does not hold all layers."""
    cut_with_grants(graph, hardware)  # refuses copies of layers that there are not
    parts = [part_of(graph, stages) for stages in groups(graph, hardware, tiles)]
    several = len(parts) > 1
    loads = [_placed(part, for_group(hardware, part, tiles), tiles, fixed=several) for part in parts]
    return together(graph, [_numbered(load) if several else load for load in loads], hardware)


def _numbered(load: Placement) -> Placement:
    """A group with the same numbers of tiles as all others, which are those in the order of their sites."""
    positions = tuple(sorted(load.positions))
    number = {position: k for k, position in enumerate(positions)}
    parts = tuple(replace(part, tile=number[load.positions[part.tile]]) for part in load.parts)
    return replace(load, parts=parts, positions=positions)
