"""Networks that are larger than the chip: groups of layers that stand on its tiles one after the other.

The network is cut once into groups of layers that follow each other; each takes as many layers as its tiles
hold, so that there are as few groups as can be. A group is a graph of its own: rows of layers that were
loaded before come from the global buffer, as an image does, and rows that later groups read go there.
Rows are stored as they are delivered, behind pools; two readers of the same rows share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.cut import cut
from imcsim.mapping.pack import pack, tiles_of
from imcsim.mapping.placement import LayerPlacement, Part, Placement
from imcsim.mapping.size import shared_size
from imcsim.mapping.stages import BUFFER, IMAGE, Edge, StageGraph


def groups(graph: StageGraph, hardware: HardwareConfig, tiles: int) -> list[range]:
    """The layers of each group that `tiles` tiles hold, one copy of each layer.

    Raises ImcsimError where a layer alone does not fit, and where the network goes back in time or over the
    cut in a way that groups cannot.
    """
    found: list[range] = []
    begin = 0
    for end in range(1, len(graph.stages) + 1):
        if _tiles(graph, range(begin, end), hardware) <= tiles:
            continue
        if end - 1 > begin:
            found.append(range(begin, end - 1))
            begin = end - 1
        needed = _tiles(graph, range(begin, end), hardware)
        if needed > tiles:
            raise ImcsimError(
                f"layer {graph.stages[begin].name} alone needs {counted(needed, 'tile')}, the chip has "
                f"{tiles}",
                key="reload.tiles",
                fix=f"set it to at least {_largest(graph, hardware)}",
            )
    found.append(range(begin, len(graph.stages)))
    if len(found) > 1:
        _require_forward(graph, hardware, found[0])
    return found


def _tiles(graph: StageGraph, stages: range, hardware: HardwareConfig) -> int:
    part = part_of(graph, stages)
    return tiles_of(pack(cut(part, _without_budget(hardware, part)), hardware))


def _largest(graph: StageGraph, hardware: HardwareConfig) -> int:
    """Tiles of the layer that needs most."""
    return max(_tiles(graph, range(k, k + 1), hardware) for k in range(len(graph.stages)))


def _without_budget(hardware: HardwareConfig, part: StageGraph) -> HardwareConfig:
    """The chip with no copies but those by hand."""
    return hardware.with_mapping(replication=_by_hand(hardware, part) or "none")


def _by_hand(hardware: HardwareConfig, part: StageGraph) -> dict[str, int] | None:
    """Copies by hand of the layers of a group; None where they are not given by hand."""
    given = hardware.mapping.replication
    if not isinstance(given, dict):
        return None
    return {stage.name: given[stage.name] for stage in part.stages if stage.name in given}


def _require_forward(graph: StageGraph, hardware: HardwareConfig, first: range) -> None:
    for edge in graph.edges:
        if edge.delay:
            raise ImcsimError(
                f"layer {graph.stages[edge.target].name} reads spikes of earlier timesteps, and the network "
                "does not fit the chip as a whole",
                key="reload.tiles",
                fix="enlarge it until it holds the network",
            )
    late = [stage.name for stage in graph.stages if stage.reads_image and stage.index not in first]
    if late and hardware.encoder.mode == "keep":
        raise ImcsimError(
            f"currents of layer {late[0]} cannot be kept: it reads the image in a later group than the first",
            key="encoder.mode",
            fix="set it to recompute",
        )


def part_of(graph: StageGraph, stages: range) -> StageGraph:
    """The graph of a group of stages: what comes from stages outside comes from the global buffer."""
    inside, stored = [], dict[object, Edge]()
    for edge in graph.edges:
        at = edge.target - stages.start
        if edge.target in stages:
            if edge.source in stages:
                inside.append(replace(edge, source=edge.source - stages.start, target=at))
            else:
                inside.append(_fetched(edge, at))
        elif edge.source in stages:
            leaves = replace(edge, source=edge.source - stages.start, target=BUFFER, role="input")
            stored.setdefault(leaves, leaves)
    return StageGraph(
        stages=tuple(replace(graph.stages[k], index=k - stages.start) for k in stages),
        edges=tuple(inside),
        image_bits=graph.image_bits if any(graph.stages[k].reads_image for k in stages) else 0,
        classes=graph.classes,
        votes=graph.votes,
        timesteps=graph.timesteps,
        stored=tuple(stored.values()),
    )


def _fetched(edge: Edge, target: int) -> Edge:
    """An edge as the global buffer sends it: pooled already, if it is."""
    return replace(
        edge, source=IMAGE, target=target, pool_size=1, pool_stride=1, pool_padding=0, pool_area=1,
        channel_stride=1,
    )  # fmt: skip


@dataclass(frozen=True)
class StoredRows:
    """Rows that wait for a group: `bits` per timestep, of group `made`, read by the groups `read`."""

    bits: int
    made: int
    read: frozenset[int]


def stored_rows(placement: Placement) -> tuple[StoredRows, ...]:
    """All rows that wait between the groups of a placement."""
    group_of = [group for group, load in enumerate(placement.loads) for _ in load.layers]
    found: dict[Edge, set[int]] = {}
    for edge in placement.graph.edges:
        if edge.source >= 0 and group_of[edge.source] != group_of[edge.target]:
            rows = replace(edge, target=BUFFER, role="input")
            found.setdefault(rows, set()).add(group_of[edge.target])
    return tuple(
        StoredRows(rows.height * rows.row_bits, group_of[rows.source], frozenset(read))
        for rows, read in found.items()
    )


def for_group(hardware: HardwareConfig, part: StageGraph, tiles: int) -> HardwareConfig:
    """The chip as a group is placed on it: copies take what tiles it leaves free, at most."""
    mapping = hardware.mapping
    free = tiles - tiles_of(pack(cut(part, _without_budget(hardware, part)), hardware))
    extra = free if mapping.extra_tiles is None else min(free, mapping.extra_tiles)
    changed: dict[str, object] = {"extra_tiles": extra}
    if isinstance(mapping.replication, dict):
        changed["replication"] = _by_hand(hardware, part) or "none"
    return encoding(hardware, part).with_mapping(**changed)


def encoding(hardware: HardwareConfig, part: StageGraph) -> HardwareConfig:
    """The chip as a group is played on it: the encoder's currents are kept by the layers that read the image
    alone, and other groups get new rows at every timestep.
    """
    if any(stage.reads_image for stage in part.stages) or hardware.encoder.mode == "recompute":
        return hardware
    recomputes = hardware.encoder.model_copy(update={"mode": "recompute"})
    return hardware.model_copy(update={"encoder": recomputes})


def together(graph: StageGraph, loads: Sequence[Placement], hardware: HardwareConfig) -> Placement:
    """All groups as one placement, layer after layer; parts of several groups stand in the same tile.

    A single group stays where it is.
    """
    first, layers, parts = loads[0], list[LayerPlacement](), list[Part]()
    for load in loads:
        before, of = len(layers), len(parts)
        layers += [replace(one, stage=graph.stages[before + k]) for k, one in enumerate(load.layers)]
        parts += [
            replace(part, index=part.index + of, head=part.head + of, stage=part.stage + before)
            for part in load.parts
        ]
    return replace(
        first,
        graph=graph,
        layers=tuple(layers),
        parts=tuple(parts),
        pes_used=max(load.pes_used for load in loads),
        size=shared_size(loads, hardware),
        grants=tuple(grant for load in loads for grant in load.grants),
        loads=tuple(loads) if len(loads) > 1 else (),
    )
