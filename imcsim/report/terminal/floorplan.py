"""A floorplan as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imcsim.base.plurals import counted
from imcsim.mapping import Floorplan, LayerRow, TileRow
from imcsim.report.terminal.grid import plain, table
from imcsim.report.units import AREA, fitting, percent

MOST_STEPS = 16
"""Steps of copies that are printed."""

MOST_TILES = 40
"""Tiles that are printed one by one; of more, there is a summary."""


def floorplan_report(plan: Floorplan, network: str, hardware: str) -> Group:
    """Layers, tiles and totals, in the width of the terminal."""
    tiles = _tiles_of(plan)
    for number, group in enumerate(plan.groups, 1):
        names = ", ".join(layer.name for layer in group.layers)
        heading = f"Group {number} of {len(plan.groups)}, loaded in turn: {names}"
        tiles = [*(tiles if number > 1 else []), plain(heading), *_tiles_of(group)]
    return Group(
        _layers(plan, f"{network} on {hardware}"),
        Text(
            f"cut: row blocks x column crossbars of one copy, {plan.layers[0].slices} cells to a weight.\n"
            "waves: one after the other in a timestep, x input bits; * limits the throughput.\n"
            "cells: those that hold weights, among the layer's crossbars or in the whole tile.\n"
        ),
        *_steps(plan),
        *tiles,
        *_chips(plan),
        plain(_totals(plan)),
    )


def _tiles_of(plan: Floorplan) -> list[RenderableType]:
    return [_tiles(plan)] if len(plan.tiles) <= MOST_TILES else _summary(plan)


def ranges(numbers: Sequence[int]) -> str:
    """Ascending `numbers` in short: ``0, 3-5``."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and runs[-1][-1] == n - 1:
            runs[-1] = [runs[-1][0], n]
        else:
            runs.append([n])
    return ", ".join("-".join(map(str, run)) for run in runs)


def _layers(plan: Floorplan, title: str) -> Table:
    columns = ["", "layer", "matrix", "cut", "copies", "cross-\nbars", "PEs", "tiles", "waves", "cells\n%"]
    grid = table(f"Floorplan of {title}", columns, [], left=2)
    for column in grid.columns[2:]:
        column.no_wrap = True  # a long name is what may fold
    slowest = max(layer.reads_in_turn for layer in plan.layers)
    for index, layer in enumerate(plan.layers):
        grid.add_row(
            str(index),
            plain(f"{layer.name} ({layer.tile_type})" if layer.tile_type else layer.name),
            f"{layer.matrix_rows:,} x {layer.matrix_columns:,}",
            f"{layer.blocks} x {layer.column_crossbars}",
            str(layer.copies),
            f"{layer.crossbars:,}",
            f"{layer.pes:,}",
            ranges(layer.tiles),
            _waves(layer, layer.reads_in_turn == slowest),
            percent(layer.cell_utilisation),
        )
    return grid


def _waves(layer: LayerRow, limits: bool) -> Text:
    each = "".join(f" x {times}" for times in (layer.input_bits, layer.turns) if times > 1)
    return Text(f"{layer.waves:,}{each}{'*' if limits else ' '}", style="bold" if limits else "")


def _steps(plan: Floorplan) -> list[RenderableType]:
    """What copies have gained, step by step; of many steps the first and the last ones."""
    if not plan.grants:
        return []
    before, after = plan.grants[0].before, plan.grants[-1].after
    shown = plan.grants
    if len(shown) > MOST_STEPS:
        shown = (*shown[: MOST_STEPS // 2], *shown[-MOST_STEPS // 2 :])
    rows = [
        (
            ", ".join(f"{name} {n}" for name, n in zip(step.layers, step.copies, strict=True)),
            str(step.crossbars),
            step.bound_by,
            percent(step.after / before),
            f"{100 * step.gain_per_crossbar:.2g}",
        )
        for step in shown
    ]
    columns = [
        "layer and its copies",
        "cross-\nbars",
        "busiest\nbefore",
        "objective\n% of first",
        "gain per\ncrossbar %",
    ]
    left_out = len(plan.grants) - len(shown)
    title = "Copies granted" + (f" (the {left_out} steps in the middle left out)" if left_out else "")
    return [
        table(title, columns, rows, left=1),
        plain(
            f"Objective: {percent(after / before)} % of what it is without copies. "
            f"Busiest layer: {plan.busiest[0]} without copies, {plan.busiest[1]} with them.\n"
        ),
    ]


def _tiles(plan: Floorplan) -> Table:
    rows = [
        (
            str(tile.index),
            _place(tile, plan),
            ", ".join(plan.layers[k].name for k, _ in tile.layers),
            f"{tile.crossbars_used:,} of {tile.crossbars:,}",
            percent(tile.cell_utilisation),
        )
        for tile in plan.tiles
    ]
    place = "x, y" if len(plan.chips) == 1 else "chip: x, y"
    return table("Tiles", ["tile", place, "layers", "crossbars", "cells\n%"], rows, left=3)


def _place(tile: TileRow, plan: Floorplan) -> str:
    on = f"{tile.chip}: " if len(plan.chips) > 1 else ""
    return f"{on}{tile.position[0]}, {tile.position[1]}"


def _chips(plan: Floorplan) -> list[RenderableType]:
    """The chips of a package."""
    if len(plan.chips) == 1:
        return []
    rows = [
        (
            str(chip.index),
            f"{chip.mesh[0]} x {chip.mesh[1]}",
            f"{chip.tiles:,}",
            ", ".join(chip.layers),
            ranges(chip.joined_to),
        )
        for chip in plan.chips
    ]
    columns = ["chip", "mesh", "tiles", "layers", "links to\nchips"]
    return [table(f"Chips, joined in a {plan.arrangement} arrangement", columns, rows, left=4)]


def _summary(plan: Floorplan) -> list[RenderableType]:
    """What the table of tiles would show, for many of them."""
    full = sum(tile.crossbars_used == tile.crossbars for tile in plan.tiles)
    emptiest = sorted(plan.tiles, key=lambda tile: (tile.crossbars_used, tile.index))[:3]
    shared = sum(len(tile.layers) > 1 for tile in plan.tiles)
    return [
        plain(
            f"Tiles: {full} with every crossbar in use, {len(plan.tiles) - full} with some free; "
            f"{shared} shared by layers. Emptiest: "
            + ", ".join(
                f"{_where(tile, plan)} {tile.crossbars_used} of {tile.crossbars}" for tile in emptiest
            )
        ),
        Text(),
    ]


def _where(tile: TileRow, plan: Floorplan) -> str:
    return f"{tile.index} ({', '.join(plan.layers[k].name for k, _ in tile.layers)})"


def _totals(plan: Floorplan) -> str:
    area = fitting(AREA, [plan.area_um2])
    joined = {"mesh": "a mesh of", "concentrated_mesh": "a concentrated mesh of"}.get(
        plan.topology, f"a {plan.topology} over"
    )
    columns, rows = plan.chips[0].mesh
    on, between = f"{joined} {columns} x {rows}", ""
    if len(plan.chips) > 1:
        on = f"{counted(len(plan.chips), 'chip')}"
        between = f", and {plan.package_flits:,} flits over links between chips"
    return (
        f"Total: {counted(len(plan.tiles), 'tile')} on {on}; "
        f"{plan.crossbars_used:,} of {plan.crossbars:,} crossbars and "
        f"{plan.pes_used:,} of {plan.pes:,} PEs used; "
        f"{percent(plan.cell_utilisation)} % of the cells; "
        f"{area(plan.area_um2)} {area.name}; {plan.flit_hops:,} flit hops in the first timestep{between}."
    )
