"""What travels between tiles in a timestep, and how far.

Rows go as packets: a part sends its share of a row (its channels, at the positions of its copies) to every
part that reads it; parts that are no heads send partial sums to their head; the parts of the last layer send
their outputs to the checker. Spikes travel as bitmaps. Counted is the first timestep, in which the image is
sent even where the encoder's currents are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.placement import LayerPlacement, Part, Placement
from imcsim.mapping.stages import IMAGE, Edge, StageGraph


class Flow(NamedTuple):
    """What one tile sends to another in a timestep; None is the global buffer of the first chip, or the
    checker.
    """

    source: int | None
    target: int | None
    bits: int
    flits: int
    """Flits of all its packets: a head flit each, and as many as the payload needs."""


def traffic(placement: Placement, config: HardwareConfig) -> list[Flow]:
    """Every flow of rows, partial sums, image and class outputs, those within a tile included."""
    flows = []
    sent = _sent(placement.graph, placement.layers, placement.parts, config)
    for source, target, packets, bits in sent:
        here, there = (None if part is None else part.tile for part in (source, target))
        flows.append(Flow(here, there, packets * bits, _flits(packets, bits, config)))
    return flows


def flits_of_layers(
    graph: StageGraph, layers: Sequence[LayerPlacement], parts: Sequence[Part], config: HardwareConfig
) -> NDArray[np.int64]:
    """Flits that layers send each other in a timestep, int64 ``[1 + layers, 1 + layers]``, from the row's to
    the column's; the first row is the image. What goes to the checker is left out: it stands where the last
    layer does.
    """
    found = np.zeros((len(layers) + 1, len(layers) + 1), np.int64)
    for source, target, packets, bits in _sent(graph, layers, parts, config):
        if target is not None:
            here = 0 if source is None else source.stage + 1
            found[here, target.stage + 1] += _flits(packets, bits, config)
    return found


def _flits(packets: int, bits: int, config: HardwareConfig) -> int:
    return packets * (1 + -(-bits // config.noc.flit_bits))


def _sent(
    graph: StageGraph, layers: Sequence[LayerPlacement], parts: Sequence[Part], config: HardwareConfig
) -> Iterator[tuple[Part | None, Part | None, int, int]]:
    """Sender, receiver, packets in a timestep, and bits of each."""
    of_stage: defaultdict[int, list[Part]] = defaultdict(list)
    for part in parts:
        of_stage[part.stage].append(part)
    for edge in graph.edges:
        sent = [] if edge.source == IMAGE else _shares(layers[edge.source], edge, of_stage[edge.source])
        for target in of_stage[edge.target]:
            if edge.role == "side" and target.head != target.index:
                continue
            if edge.source == IMAGE:
                yield None, target, edge.height, edge.row_bits
                continue
            for source, bits in sent:
                if not edge.stays or source is target:
                    yield source, target, edge.height, bits
    for edge in graph.stored:
        for source, bits in _shares(layers[edge.source], edge, of_stage[edge.source]):
            yield source, None, edge.height, bits
    for part in parts:
        layer = layers[part.stage]
        stage = layer.stage
        outputs = stage.out_width * layer.row_copies * stage.out_channels
        if part.head != part.index:
            sums = outputs * config.lif.partial_sum_bits
            yield part, parts[part.head], layer.bands, layer.share_of(part, None, sums)
        elif stage.is_output:
            pool = stage.pool
            values = outputs if pool is None else pool.width * stage.out_channels
            row = values * (stage.spike_bits if stage.spikes else config.lif.partial_sum_bits)
            yield part, None, layer.bands if pool is None else pool.height, layer.share_of(part, None, row)


def _shares(layer: LayerPlacement, edge: Edge, parts: Sequence[Part]) -> list[tuple[Part, int]]:
    """The heads among the parts of a layer, and the bits of a row of an edge that each of them sends."""
    heads = [part for part in parts if part.head == part.index]
    return [(part, layer.share_of(part, edge, edge.row_bits)) for part in heads]


def package_flits(placement: Placement, config: HardwareConfig) -> int:
    """Sum over the packets of a timestep of flits x links between chips that they pass."""
    return sum(
        flow.flits * sum(link.between_chips for link in placement.route(flow.source, flow.target))
        for flow in traffic(placement, config)
    )


def weighted_hops(placement: Placement, config: HardwareConfig) -> int:
    """Sum over the packets of a timestep of flits x routers that they pass.

    What stays within a tile passes none and counts nothing.
    """
    return sum(
        flow.flits * sum(link.routers for link in placement.route(flow.source, flow.target))
        for flow in traffic(placement, config)
        if flow.source != flow.target
    )
