"""A network onto a chip: layers to crossbars, PEs, tiles and mesh positions."""

from __future__ import annotations

from dataclasses import replace

from imcsim.base.errors import ImcsimError
from imcsim.hardware.component import ChipSize
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.cut import cut
from imcsim.mapping.fit import mesh_for
from imcsim.mapping.pack import pack, pes_used
from imcsim.mapping.placement import LayerPlacement, Part, Placement
from imcsim.mapping.positions import annealed, path, rows
from imcsim.mapping.stages import StageGraph, stage_graph
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
    layers = cut(graph, hardware)
    parts = pack(layers, hardware)
    tiles = parts[-1].tile + 1
    heads = [part for part in parts if part.head == part.index]
    mesh = mesh_for(tiles, graph, hardware)
    along = rows if hardware.mapping.placement == "rows" else path
    placement = Placement(
        graph=graph,
        layers=layers,
        parts=parts,
        tiles=tiles,
        mesh=mesh,
        positions=along(tiles, mesh),
        pes_used=sum(pes_used(parts, hardware).values()),
        size=ChipSize(
            tiles=tiles,
            pes=tiles * hardware.tile.pes_per_tile,
            crossbars=tiles * hardware.crossbars_per_tile,
            state_bits=tuple(bits for p in heads if (bits := _state_bits(layers[p.stage], p, hardware))),
            parts=len(parts),
            output_row_bits=sum(_output_row_bits(layers[p.stage], p, hardware) for p in heads),
            channels=sum(p.channels for p in heads if layers[p.stage].stage.neurons),
            activates=any(stage.activates for stage in graph.stages),
            parameter_bits=tuple(
                bits for p in heads for bits in _parameter_bits(layers[p.stage], p, hardware)
            ),
            delay_bits=tuple(bits for p in parts if (bits := _delay_bits(graph, layers[p.stage], p))),
        ),
    )
    if hardware.mapping.placement == "annealed":
        return replace(placement, positions=annealed(placement, hardware))
    return placement


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
    return row * hardware.tile.output_rows
