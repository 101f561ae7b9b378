"""What mapping a network takes of a chip: tiles, and what parts of layers have of their own in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from imcsim.base.tile_types import OWN
from imcsim.hardware.component import ChipSize, TypeSize
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.pack import tiles_by_type
from imcsim.mapping.placement import LayerPlacement, Part, Placement
from imcsim.mapping.stages import StageGraph


def size_of(
    graph: StageGraph, layers: Sequence[LayerPlacement], parts: Sequence[Part], hardware: HardwareConfig
) -> ChipSize:
    """What all parts take, and what tiles of each type do where not all are of the chip's own."""
    tiles = tiles_by_type(parts, layers)
    if set(tiles) == {OWN}:
        return _of_tiles(graph, layers, parts, tiles, hardware)
    of_types = []
    for kind in dict.fromkeys((OWN, *hardware.tile_types)):
        mine = tuple(k + 1 for k, layer in enumerate(layers) if layer.tile_type == kind)
        if kind == OWN:  # and the input, the output and what is always powered
            mine = (0, *mine, len(layers) + 1, len(layers) + 2)
        if kind != OWN and not mine:
            continue
        held = [part for part in parts if layers[part.stage].tile_type == kind]
        size = _of_tiles(graph, layers, held, {kind: tiles.get(kind, 0)}, hardware)
        of_types.append(TypeSize(kind, mine, size))
    return replace(_of_tiles(graph, layers, parts, tiles, hardware), of_types=tuple(of_types))


def with_routers(size: ChipSize, routers: int) -> ChipSize:
    """A chip with so many routers. Where tiles are of several types they count as the chip's own type's."""
    of_types = tuple(
        replace(one, size=replace(one.size, routers=routers if one.tile_type == OWN else 0))
        for one in size.of_types
    )
    return replace(size, routers=routers, of_types=of_types)


def _of_tiles(
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


def shared_size(loads: Sequence[Placement], hardware: HardwareConfig) -> ChipSize:
    """The chip on which groups stand one after the other.

    A tile has what the group that needs most of it needs: ports, output rows. Thresholds and biases of all
    groups stay there, and so do membranes, unless a load serves all timesteps; then a tile has banks that
    hold those of any group.
    """
    tiles = loads[0].tiles
    ports, rows, banks = [0] * tiles, [0] * tiles, [list[int]() for _ in range(tiles)]
    for load in loads:
        for tile in range(tiles):
            here = [part for part in load.parts if part.tile == tile]
            heads = [(load.layers[part.stage], part) for part in here if part.head == part.index]
            ports[tile] = max(ports[tile], len(here))
            rows[tile] = max(rows[tile], sum(_output_row_bits(*head, hardware) for head in heads))
            banks[tile] = _larger(banks[tile], [_state_bits(*head, hardware) for head in heads])
    kept = tuple(bits for load in loads for bits in load.size.state_bits)
    shared = tuple(bits for held in banks for bits in held if bits)
    size = replace(
        _of_tiles(loads[0].graph, loads[0].layers, (), {OWN: tiles}, hardware),
        state_bits=kept if hardware.reload.keeps_membranes else shared,
        parts=sum(ports),
        output_row_bits=sum(rows),
        channels=sum(load.size.channels for load in loads),
        activates=any(load.size.activates for load in loads),
        parameter_bits=tuple(bits for load in loads for bits in load.size.parameter_bits),
    )
    return replace(size, routers=loads[0].size.routers)


def _larger(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Banks that hold what either of two sets of banks holds."""
    pairs = zip_longest(sorted(one, reverse=True), sorted(other, reverse=True), fillvalue=0)
    return [max(pair) for pair in pairs]


def _state_bits(layer: LayerPlacement, part: Part, hardware: HardwareConfig) -> int:
    """Membrane potentials, synaptic currents and refractory counters of the neurons of `part`, and its
    currents where it keeps the encoder's.
    """
    stage, of_channel = layer.stage, 0
    if stage.neurons:
        of_channel += stage.neuron_positions * stage.state_bits(hardware.lif.membrane_bits)
    if stage.keeps_currents(hardware):
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
