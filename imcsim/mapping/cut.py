"""Layers to crossbars: rows into blocks, channels into columns of crossbars, copies of the slowest layers."""

from __future__ import annotations

from dataclasses import replace

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.placement import LayerPlacement
from imcsim.mapping.stages import Stage, StageGraph
from imcsim.network.cells import slice_count
from imcsim.network.rows import layout


def cut(graph: StageGraph, hardware: HardwareConfig) -> tuple[LayerPlacement, ...]:
    """Cut every layer, with as many copies as ``mapping.replication`` grants it.

    Raises ImcsimError for a weight or a kernel that the crossbars or PEs cannot hold.
    """
    return _balanced([_cut(stage, hardware) for stage in graph.stages], hardware)


def _cut(stage: Stage, hardware: HardwareConfig) -> LayerPlacement:
    cells = hardware.cells
    slices = slice_count(stage.weight_bits, cells.cell_bits, cells.encoding)
    if slices > cells.columns:
        raise ImcsimError(
            f"one weight takes {slices} cells, but a crossbar has {cells.columns} columns",
            key="cells.columns",
            fix=f"set it to at least {slices}, or enlarge cells.cell_bits",
        )
    per_column = cells.columns // slices
    rows = layout(
        stage.kernel, stage.in_channels, cells.rows, cells.row_order, stage.dilation, cells.rows_at_once
    )
    unit = stage.kernel[0] * stage.kernel[1] if cells.row_order == "kernel_position" else 1
    if unit > 1 and unit > hardware.tile.crossbars_per_pe:
        raise ImcsimError(
            f"layer {stage.name} needs {unit} crossbars in a PE, one for each kernel position, but a PE has "
            f"{hardware.tile.crossbars_per_pe}",
            key="tile.crossbars_per_pe",
            fix=f"set it to at least {unit}, or cells.row_order to im2col and tile.adcs to crossbar",
        )
    columns = -(-stage.out_channels // per_column)
    return LayerPlacement(stage, rows, slices, rows.crossbars, columns, per_column, unit, 1)


def _balanced(layers: list[LayerPlacement], hardware: HardwareConfig) -> tuple[LayerPlacement, ...]:
    """More copies of whichever layer is the slowest, as long as the budget pays for it.

    Copies of a layer work on different positions of an output row, so a layer has at most as many as a row
    has positions. When the slowest layer cannot be made faster, copies of others would not raise the
    throughput.
    """
    left = hardware.mapping.extra_crossbars if hardware.mapping.replication == "balanced" else 0
    while True:
        slowest = max(range(len(layers)), key=lambda k: layers[k].reads_in_turn)
        layer = layers[slowest]
        waves = layer.waves_per_row
        if waves == 1:
            return tuple(layers)
        # The next number of copies that saves a wave; fewer would cost crossbars and gain nothing.
        wanted = -(-layer.stage.out_width // (waves - 1))
        cost = (wanted - layer.copies) * layer.crossbars_per_copy
        if cost > left:
            return tuple(layers)
        layers[slowest] = replace(layer, copies=wanted)
        left -= cost
