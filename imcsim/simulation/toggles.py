"""Bits that really toggle on buses: counted on the maps that travel, times how often these are moved.

A map's toggles are the bits that change between neighbouring pixel words of its rows. The H-tree moves row r
of a layer's input once for every output row whose window holds it, to several PEs; the mesh moves it over
several hops. Both repeat the row's words in their order, so the toggles repeat with the bits: they are scaled
by bits moved over bits of the map, rounded down.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.run import Activity
from imcsim.hardware.events import Event
from imcsim.mapping import IMAGE, Edge, Placement, Stage
from imcsim.simulation.schedule import Schedule

Counts = NDArray[np.int64]


def travelling(placement: Placement) -> frozenset[str]:
    """The nodes whose maps travel."""
    return frozenset(edge.node for edge in placement.graph.edges if edge.node)


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
            toggles = (activity.toggles[edge.node] * uses).sum(axis=2)
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
    return played.fixed[event][:, -1]
