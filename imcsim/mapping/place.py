"""A network onto a chip: layers to crossbars, PEs, tiles and mesh positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from imcsim.base.errors import ImcsimError
from imcsim.base.tile_types import OWN
from imcsim.hardware.component import ChipSize, TypeSize
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.cut import cut_with_grants
from imcsim.mapping.fit import mesh_for
from imcsim.mapping.pack import pack, pes_used, tiles_by_type, tiles_of
from imcsim.mapping.partition import on_chips
from imcsim.mapping.placement import LayerPlacement, Part, PlacedChip, Placement
from imcsim.mapping.positions import annealed
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
    layers, granted = cut_with_grants(graph, hardware)
    layers = on_chips(layers, graph, hardware)
    parts = pack(layers, hardware)
    chips = _chips(graph, layers, parts, hardware)
    placement = Placement(
        graph=graph,
        layers=layers,
        parts=parts,
        tiles=tiles_of(parts),
        positions=_positions(chips, hardware),
        chips=chips,
        arrangement=hardware.package.arrangement,
        pes_used=sum(pes_used(parts, layers, hardware).values()),
        size=replace(_size(graph, layers, parts, hardware), chips=len(chips)),
        grants=granted,
    )
    if hardware.mapping.placement == "annealed":
        placement = replace(placement, positions=annealed(placement, hardware))
    if hardware.noc.topology == "mesh":
        return placement
    routers = [chip.topology.routers([placement.positions[tile] for tile in chip.tiles]) for chip in chips]
    return replace(placement, size=_with_routers(placement.size, sum(routers)))


def _chips(
    graph: StageGraph, layers: Sequence[LayerPlacement], parts: Sequence[Part], hardware: HardwareConfig
) -> tuple[PlacedChip, ...]:
    """The tiles of each chip, and how they are joined."""
    found = []
    for number in range(hardware.package.chips):
        tiles = tuple(dict.fromkeys(part.tile for part in parts if layers[part.stage].chip == number))
        mesh = mesh_for(len(tiles), graph, hardware)
        found.append(PlacedChip(number, tiles, topology_named(hardware.noc.topology, mesh, len(tiles))))
    return tuple(found)


def _positions(chips: Sequence[PlacedChip], hardware: HardwareConfig) -> tuple[Position, ...]:
    """Where tiles stand, each chip filled along its path or row by row."""
    found: dict[int, Position] = {}
    for chip in chips:
        in_rows = hardware.mapping.placement == "rows"
        sites = chip.topology.row_by_row() if in_rows else chip.topology.sites()
        found |= dict(zip(chip.tiles, sites, strict=False))
    return tuple(found[tile] for tile in range(len(found)))


def _with_routers(size: ChipSize, routers: int) -> ChipSize:
    """A chip with so many routers. Where tiles are of several types they count as the chip's own type's."""
    of_types = tuple(
        replace(one, size=replace(one.size, routers=routers if one.tile_type == OWN else 0))
        for one in size.of_types
    )
    return replace(size, routers=routers, of_types=of_types)


def _size(
    graph: StageGraph, layers: Sequence[LayerPlacement], parts: Sequence[Part], hardware: HardwareConfig
) -> ChipSize:
    """What all parts take, and what tiles of each type do where not all are of the chip's own."""
    tiles = tiles_by_type(parts, layers)
    if set(tiles) == {OWN}:
        return _size_of(graph, layers, parts, tiles, hardware)
    of_types = []
    for kind in dict.fromkeys((OWN, *hardware.tile_types)):
        mine = tuple(k + 1 for k, layer in enumerate(layers) if layer.tile_type == kind)
        if kind == OWN:  # and the input, the output and what is always powered
            mine = (0, *mine, len(layers) + 1, len(layers) + 2)
        if kind != OWN and not mine:
            continue
        held = [part for part in parts if layers[part.stage].tile_type == kind]
        size = _size_of(graph, layers, held, {kind: tiles.get(kind, 0)}, hardware)
        of_types.append(TypeSize(kind, mine, size))
    return replace(_size_of(graph, layers, parts, tiles, hardware), of_types=tuple(of_types))


def _size_of(
    graph: StageGraph,
    layers: Sequence[LayerPlacement],
    parts: Sequence[Part],
    tiles: Mapping[str, int],
    hardware: HardwareConfig,
) -> ChipSize:
    chips = [(hardware.of_type(kind), number) for kind, number in tiles.items()]
    heads = [part for part in parts if part.head == part.index]
    return ChipSize(
        tiles=sum(tiles.values()),
        pes=sum(number * chip.tile.pes_per_tile for chip, number in chips),
        crossbars=sum(number * chip.crossbars_per_tile for chip, number in chips),
        state_bits=tuple(bits for p in heads if (bits := _state_bits(layers[p.stage], p, hardware))),
        parts=len(parts),
        output_row_bits=sum(_output_row_bits(layers[p.stage], p, hardware) for p in heads),
        channels=sum(p.channels for p in heads if layers[p.stage].stage.neurons),
        activates=any(stage.activates for stage in graph.stages),
        parameter_bits=tuple(bits for p in heads for bits in _parameter_bits(layers[p.stage], p, hardware)),
        delay_bits=tuple(bits for p in parts if (bits := _delay_bits(graph, layers[p.stage], p))),
    )


def _state_bits(layer: LayerPlacement, part: Part, hardware: HardwareConfig) -> int:
    """Membrane potentials, synaptic currents and refractory counters of the neurons of `part`, and its
    currents where it keeps the encoder's.
    """
    stage, of_channel = layer.stage, 0
    if stage.neurons:
        of_channel += stage.neuron_positions * stage.state_bits(hardware.lif.membrane_bits)
    if stage.reads_image and hardware.encoder.mode == "keep":
        of_channel += stage.positions * hardware.lif.partial_sum_bits
    return -(-of_channel * part.channels * part.copy_count // layer.copies)


def _parameter_bits(layer: LayerPlacement, part: Part, hardware: HardwareConfig) -> list[int]:
    """Bits of each of the words that the neurons of `part` have for themselves."""
    neurons = -(-layer.stage.neuron_positions * part.channels * part.copy_count // layer.copies)
    return [neurons * hardware.lif.membrane_bits] * layer.stage.neuron_words


def _delay_bits(graph: StageGraph, layer: LayerPlacement, part: Part) -> int:
    """The spikes that `part` keeps for later timesteps: of each timestep of a delay, and of one more."""
    total = 0
    for edge in graph.inputs(layer.stage):
        if edge.role == "input" or part.head == part.index:
            share = part.channels * part.copy_count if edge.stays else edge.channels * layer.copies
            row = -(-edge.row_bits * share // (edge.channels * layer.copies))
            total += (edge.delay + 1) * edge.height * row if edge.delay else 0
    return total


def _output_row_bits(layer: LayerPlacement, part: Part, hardware: HardwareConfig) -> int:
    """The output rows (bands of them) that `part` may hold: spikes of one bit each, or sums."""
    stage = layer.stage
    word = stage.written_bits if stage.spikes else hardware.lif.partial_sum_bits
    band = stage.out_width * layer.row_copies
    row = -(-band * part.copy_count // layer.copies) * part.channels * word
    return row * hardware.of_type(layer.tile_type).tile.output_rows
