"""What travels between tiles in a timestep, and how far.

Rows go as packets: a part sends its share of a row (its channels, at the positions of its copies) to every
part that reads it; parts that are no heads send partial sums to their head; the parts of the last layer send
their outputs to the checker. Spikes travel as bitmaps. Counted is the first timestep, in which the image is
sent even where the encoder's currents are kept.
"""

from __future__ import annotations

from typing import NamedTuple

from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.placement import Part, Placement
from imcsim.mapping.stages import IMAGE


class Flow(NamedTuple):
    """What one part sends to another in a timestep; None is the corner with global buffer and checker."""

    source: int | None
    target: int | None
    bits: int
    flits: int
    """Flits of all its packets: a head flit each, and as many as the payload needs."""


def traffic(placement: Placement, config: HardwareConfig) -> list[Flow]:
    """Every flow of rows, partial sums, image and class outputs, those within a tile included."""
    flows: list[Flow] = []

    def send(source: Part | None, target: Part | None, packets: int, bits: int) -> None:
        flits = packets * (1 + -(-bits // config.noc.flit_bits))
        here, there = (None if part is None else part.tile for part in (source, target))
        flows.append(Flow(here, there, packets * bits, flits))

    heads = [p for p in placement.parts if p.head == p.index]
    for edge in placement.graph.edges:
        for target in placement.parts_of(edge.target):
            if edge.role == "side" and target.head != target.index:
                continue
            if edge.source == IMAGE:
                send(None, target, edge.height, edge.row_bits)
                continue
            layer = placement.layers[edge.source]
            for source in heads:
                if source.stage == edge.source and (not edge.stays or source is target):
                    send(source, target, edge.height, layer.share_of(source, edge, edge.row_bits))
    for part in placement.parts:
        layer = placement.layers[part.stage]
        stage = layer.stage
        outputs = stage.out_width * layer.row_copies * stage.out_channels
        if part.head != part.index:
            sums = outputs * config.lif.partial_sum_bits
            send(part, placement.parts[part.head], layer.bands, layer.share_of(part, None, sums))
        elif stage.is_output:
            pool = stage.pool
            values = outputs if pool is None else pool.width * stage.out_channels
            row = values * (stage.spike_bits if stage.spikes else config.lif.partial_sum_bits)
            send(part, None, layer.bands if pool is None else pool.height, layer.share_of(part, None, row))
    return flows


def weighted_hops(placement: Placement, config: HardwareConfig) -> int:
    """Sum over the packets of a timestep of flits x routers that they pass.

    What stays within a tile passes none and counts nothing.
    """
    return sum(
        flow.flits * sum(link.routers for link in placement.route(flow.source, flow.target))
        for flow in traffic(placement, config)
        if flow.source != flow.target
    )
