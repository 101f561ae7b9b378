"""The mapping floor: layers to crossbars, PEs, tiles and mesh positions."""

from imcsim.mapping.floorplan import Floorplan, LayerRow, TileRow, floorplan
from imcsim.mapping.place import place
from imcsim.mapping.placement import LayerPlacement, Part, Placement
from imcsim.mapping.stages import IMAGE, Edge, Stage, StageGraph, stage_graph
from imcsim.mapping.traffic import Flow, traffic, weighted_hops

__all__ = [
    "IMAGE",
    "Edge",
    "Floorplan",
    "Flow",
    "LayerPlacement",
    "LayerRow",
    "Part",
    "Placement",
    "Stage",
    "StageGraph",
    "TileRow",
    "floorplan",
    "place",
    "stage_graph",
    "traffic",
    "weighted_hops",
]
