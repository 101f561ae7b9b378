"""A network onto a chip: layers to crossbars, PEs, tiles and mesh positions."""

from __future__ import annotations

from dataclasses import replace

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
    layers = cut(graph, network.weight_bits, hardware)
    parts = pack(layers, hardware)
    tiles = parts[-1].tile + 1
    mesh = mesh_for(tiles, graph, network.weight_bits, hardware)
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
            memory_bits=_state_bits(graph, hardware),
            parts=len(parts),
        ),
    )
    if hardware.mapping.placement == "annealed":
        return replace(placement, positions=annealed(placement, hardware))
    return placement


def _state_bits(graph: StageGraph, hardware: HardwareConfig) -> int:
    """Membrane potentials, synaptic currents and refractory counters of all neurons, and the encoder's
    currents where it keeps them.
    """
    membrane = hardware.lif.membrane_bits
    held = sum(
        s.neuron_positions * s.out_channels * s.state_bits(membrane) for s in graph.stages if s.neurons
    )
    kept = sum(s.positions * s.out_channels for s in graph.stages if s.reads_image)
    if hardware.encoder.mode == "recompute":
        kept = 0
    return held + kept * hardware.lif.partial_sum_bits
