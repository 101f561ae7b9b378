"""Layers to crossbars: rows into blocks, channels into columns of crossbars, and the copies they get."""

from __future__ import annotations

from dataclasses import replace

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.base.tile_types import OWN
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.copies import granted
from imcsim.mapping.placement import Grant, LayerPlacement, unknown_layer
from imcsim.mapping.stages import Stage, StageGraph
from imcsim.network.cells import slice_count
from imcsim.network.rows import ONE_SET, diagonal, group_sets, layout, set_layouts


def cut(graph: StageGraph, hardware: HardwareConfig) -> tuple[LayerPlacement, ...]:
    """Cut every layer, with as many copies as ``mapping.replication`` grants it.

    Raises ImcsimError for a weight or a kernel that the crossbars or PEs cannot hold, and for copies by hand
    that a layer cannot have.
    """
    return cut_with_grants(graph, hardware)[0]


def cut_with_grants(
    graph: StageGraph, hardware: HardwareConfig
) -> tuple[tuple[LayerPlacement, ...], tuple[Grant, ...]]:
    """`cut`, and the copies that a policy with an objective has granted, one after the other."""
    return granted(without_copies(graph, hardware), graph, hardware)


def without_copies(graph: StageGraph, hardware: HardwareConfig) -> tuple[LayerPlacement, ...]:
    """Cut every layer, one copy of each. Raises ImcsimError as `cut` does."""
    types = hardware.assignment.types_of([(stage.name, stage.rows) for stage in graph.stages])
    for name in hardware.mapping.tile_types:
        if name not in types:
            raise unknown_layer(name, types, "mapping.tile_types")
    return tuple(_on_type(stage, hardware, types[stage.name]) for stage in graph.stages)


def _on_type(stage: Stage, hardware: HardwareConfig, tile_type: str) -> LayerPlacement:
    try:
        return replace(_cut(stage, hardware.of_type(tile_type)), tile_type=tile_type)
    except ImcsimError as error:
        if tile_type == OWN:
            raise
        raise ImcsimError(error.message, key=f"tile_types.{tile_type}.{error.key}", fix=error.fix) from None


def _cut(stage: Stage, hardware: HardwareConfig) -> LayerPlacement:
    cells = hardware.cells
    slices = slice_count(stage.weight_bits, cells.cell_bits, cells.encoding)
    if slices > cells.columns:
        raise ImcsimError(
            f"one weight takes {counted(slices, 'cell')}, but a crossbar has "
            f"{counted(cells.columns, 'column')}",
            key="cells.columns",
            fix=f"set it to at least {slices}, or enlarge cells.cell_bits",
        )
    per_column = cells.columns // slices
    if per_column < stage.channels_together:
        raise ImcsimError(
            f"{stage.channels_together} neighbouring outputs of layer {stage.name} are pooled in its tile, "
            f"but a crossbar has columns for {per_column}",
            key="cells.columns",
            fix=f"set it to at least {stage.channels_together * slices}, or pool fewer values",
        )
    per_column -= per_column % stage.channels_together
    about = cells.rows, cells.row_order, stage.dilation, cells.rows_at_once
    if hardware.mapping.grouped_layers == "dense" or stage.groups == 1:
        sets = ONE_SET
        rows = layout(stage.kernel, stage.in_channels, *about)
    else:
        inner, outer = stage.in_channels // stage.groups, stage.out_channels // stage.groups
        filling = inner * (stage.kernel[0] * stage.kernel[1] if cells.row_order == "im2col" else 1)
        sets = group_sets(stage.groups, filling, outer * slices, (cells.rows, per_column * slices))
        rows = diagonal(set_layouts(stage.kernel, inner, sets, *about))
    unit = stage.kernel[0] * stage.kernel[1] if cells.row_order == "kernel_position" else 1
    if unit > 1 and unit > hardware.tile.crossbars_per_pe:
        raise ImcsimError(
            f"layer {stage.name} needs {counted(unit, 'crossbar')} in a PE, one for each kernel position, "
            f"but a PE has {hardware.tile.crossbars_per_pe}",
            key="tile.crossbars_per_pe",
            fix=f"set it to at least {unit}, or cells.row_order to im2col and tile.adcs to crossbar",
        )
    columns = -(-sets.size * (stage.out_channels // sets.groups) // per_column) * sets.sets
    return LayerPlacement(
        stage, rows, slices, rows.crossbars_of_set, columns, per_column, unit, 1, group_sets=sets
    )
