"""What the values that images took make a chip do: activity becomes events.

Before time is known: which reads are silent, and how many values above 0 each row has (`image_work`).
Afterwards: driven wordlines and cells, synaptic operations and spikes (`lower`), and bits that really toggle
on buses (`toggled`).

A map's toggles are the bits that change between neighbouring pixel words of its rows. The H-tree moves row r
of a layer's input once for every output row whose window holds it, to several PEs; the mesh moves it over
several hops. Both repeat the row's words in their order, so the toggles repeat with the bits: they are scaled
by bits moved over bits of the map, rounded down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import FULL_INPUT
from imcsim.functional import kernels
from imcsim.functional.program.program import Program
from imcsim.functional.run import Activity, bordered, segments
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import IMAGE, Edge, Placement, Stage
from imcsim.simulation.schedule import Schedule
from imcsim.timing import ImageWork, layer_names

Counts = NDArray[np.int64]

Recorded = Mapping[str, NDArray[Any]]
"""Values of nodes, uint8 ``[images, T, H, W, C]``."""


def recorded_nodes(program: Program, placement: Placement) -> frozenset[str]:
    """The nodes whose values `image_work` needs."""
    sources = {layer.source for layer in program.crossbar_layers}
    return frozenset(sources | {edge.node for edge in placement.graph.edges if edge.node})


def image_work(program: Program, placement: Placement, recorded: Recorded) -> list[ImageWork]:
    """The work of every recorded image."""
    active = [_active(program, k, recorded) for k in range(len(program.crossbar_layers))]
    events = {
        edge: np.count_nonzero(recorded[edge.node], axis=3).astype(np.int64)
        for edge in placement.graph.edges
        if edge.node and edge.source >= 0
    }
    images = len(next(iter(recorded.values())))
    return [
        ImageWork(
            active={k: reads[n] for k, reads in enumerate(active)},
            events={edge: counts[n] for edge, counts in events.items()},
        )
        for n in range(images)
    ]


def _active(program: Program, index: int, recorded: Recorded) -> NDArray[np.bool_]:
    """Reads with a row to drive, bool ``[images, T, positions, drives, crossbars]`` (see `ImageWork`)."""
    layer = program.crossbar_layers[index]
    values = recorded[layer.source]
    inputs, padding = bordered(layer, values)
    height, width, _ = layer.out_shape
    reads = layer.crossbars.reads_of(layer.planes)
    if program.pulsed:
        inputs = np.minimum(inputs, 1)
    active = np.empty((len(inputs), height * width, reads, layer.layout.blocks), np.bool_)
    ky, kx, first, last, _, block = segments(layer)
    kernels.active_blocks(
        inputs, reads, ky, kx, first, last, block, layer.stride, padding, (height, width), active
    )
    at = layer.layout
    turns = int(at.turns.max())
    driven = np.zeros((*active.shape[:3], turns, at.crossbars), np.bool_)
    driven[..., at.turn, at.crossbar] = active
    return driven.reshape(*values.shape[:2], height * width, reads * turns, at.crossbars)


def lower(
    activity: Activity, program: Program, placement: Placement, config: HardwareConfig
) -> dict[Event, NDArray[np.int64]]:
    """The counts that depend on values, int64 ``[images, T, layers]``, for the layers of the ledger.

    A driven row drives a wordline in every column crossbar of its block, and passes the cells of all their
    output channels; where groups stand along diagonals, those of a full set of groups. An encoder whose
    currents are kept is driven in the first timestep only.
    """
    shape = (activity.images, activity.timesteps, len(layer_names(placement)))
    keys = (
        Event.ACTIVE_WORDLINES, Event.ACTIVE_CELLS, Event.ACTIVE_LEVELS, Event.SYNAPTIC_OPERATIONS,
        Event.SPIKES,
    )  # fmt: skip
    counts = {key: np.zeros(shape, np.int64) for key in keys}
    fired = {step.main: k for k, step in enumerate(program.neuron_layers)}
    for k, layer in enumerate(placement.layers):
        rows, pulses = activity.active_rows[:, :, k], activity.pulses[:, :, k]
        levels = activity.active_levels[:, :, k]
        if config.cells.input_drive == "levels":
            levels = levels * FULL_INPUT // ((1 << layer.stage.planes) - 1)
        if layer.stage.keeps_currents(config):
            first = np.arange(activity.timesteps) == 0
            rows, pulses, levels = rows * first, pulses * first, levels * first
        at = (slice(None), slice(None), k + 1)
        counts[Event.ACTIVE_WORDLINES][at] = rows * layer.columns_of_set
        counts[Event.ACTIVE_CELLS][at] = pulses * (layer.slices * layer.channels_of_set)
        counts[Event.ACTIVE_LEVELS][at] = levels
        counts[Event.SYNAPTIC_OPERATIONS][at] = rows * (layer.stage.out_channels // layer.stage.groups)
        if layer.stage.neurons:
            counts[Event.SPIKES][at] = activity.spikes[:, :, fired[layer.stage.name]]
    return counts


def travelling(placement: Placement) -> frozenset[str]:
    """The nodes whose maps travel."""
    return frozenset(
        name for edge in placement.graph.edges if edge.node for name in (edge.node, edge.read_node)
    )


def toggled(activity: Activity, placement: Placement, played: Schedule) -> dict[Event, Counts]:
    """Toggled bits on H-trees and mesh, int64 ``[images, T, layers]``, of whole timesteps.

    `activity` holds the toggles of the nodes of `travelling`.
    """
    shape = (activity.images, activity.timesteps, len(played.layers))
    tree, mesh = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    sent: dict[int, list[Edge]] = {}
    for edge in placement.graph.edges:
        if not edge.node:
            continue
        sent.setdefault(edge.source, []).append(edge)
        if edge.role == "input":
            stage = placement.graph.stages[edge.target]
            uses = row_uses(stage, edge.height)
            moved = _whole(played, Event.HTREE_BITS)[:, :, edge.target + 1]
            toggles = (activity.toggles[edge.read_node] * uses).sum(axis=2)
            tree[:, :, edge.target + 1] = toggles * moved // max(1, int(uses.sum()) * edge.row_bits)
    for source, edges in sent.items():
        layer = 0 if source == IMAGE else source + 1
        toggles = sum((activity.toggles[e.node].sum(axis=2) for e in edges), np.zeros(shape[:2], np.int64))
        bits = sum(e.height * e.row_bits for e in edges)
        mesh[:, :, layer] = toggles * _whole(played, Event.NOC_VALUE_BITS)[:, :, layer] // bits
    return {Event.HTREE_TOGGLES: tree, Event.NOC_TOGGLES: mesh}


def row_uses(stage: Stage, height: int) -> Counts:
    """How many output rows read each input row, int64 ``[height]``."""
    if stage.kind == "linear":
        return np.ones(height, np.int64)
    first = np.arange(stage.out_height) * stage.stride[0] - stage.padding[0]
    below = np.arange(height)[:, None] - first
    inside = (below >= 0) & (below < stage.extent[0]) & (below % stage.dilation[0] == 0)
    uses: Counts = inside.sum(axis=1).astype(np.int64)
    return uses


def _whole(played: Schedule, event: Event) -> Counts:
    """Counts of uncancelled timesteps, int64 ``[groups, T, layers]``."""
    if event not in played.fixed:
        return np.zeros((1, played.timesteps, len(played.layers)), np.int64)
    return played.fixed[event].of(-1)
