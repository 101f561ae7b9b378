"""The mapping floor: layers to crossbars, PEs, tiles and mesh positions."""

from imcsim.mapping.floorplan import ChipRow, Floorplan, LayerRow, TileRow, floorplan
from imcsim.mapping.place import place
from imcsim.mapping.placement import LayerPlacement, Part, PlacedChip, Placement, RowBlocks
from imcsim.mapping.stages import IMAGE, Edge, Stage, StageGraph, stage_graph
from imcsim.mapping.traffic import Flow, traffic, weighted_hops

__all__ = [
    "IMAGE",
    "ChipRow",
    "Edge",
    "Floorplan",
    "Flow",
    "LayerPlacement",
    "LayerRow",
    "Part",
    "PlacedChip",
    "Placement",
    "RowBlocks",
    "Stage",
    "StageGraph",
    "TileRow",
    "floorplan",
    "place",
    "stage_graph",
    "traffic",
    "weighted_hops",
]
