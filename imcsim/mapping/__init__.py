"""The mapping floor: layers to crossbars, PEs, tiles and mesh positions."""

from imcsim.mapping.place import LayerPlacement, Part, Placement, place
from imcsim.mapping.stages import IMAGE, Edge, Stage, StageGraph, stage_graph

__all__ = ["IMAGE", "Edge", "LayerPlacement", "Part", "Placement", "Stage", "StageGraph", "place", "stage_graph"]
