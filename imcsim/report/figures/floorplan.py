"""The floorplan drawn: tiles on the mesh, coloured by layer, filled as far as their crossbars are in use."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from imcsim.mapping import Floorplan, LayerRow, TileRow
from imcsim.report.figures.drawing import GREY, STACK, draw
from imcsim.report.terminal.floorplan import ranges
from imcsim.report.units import percent

_SIDE = 0.9
"""Side of a tile; tiles are 1 apart."""

_WIDTH_IN = 5.4
_CELL_IN = (0.22, 0.75)
"""A tile's side on paper, at least and at most."""

_LEGIBLE_IN = 0.34
"""The smallest tile that has room for the share of its cells."""

_LEGEND_ROW_IN = 0.15
_LONGEST = 16
"""Letters of the tiles of a layer in the legend."""

_EMPTY, _CORNER = "#F0F0F0", "#333333"
_CAPTION = "number: tile; %: cells in use; fill: crossbars in use"


def floorplan_figure(plan: Floorplan, title: str) -> dict[str, bytes]:
    """``floorplan.png`` and ``floorplan.svg``, their bytes depending on `plan` and `title` alone."""
    return draw(lambda: {"floorplan": _figure(plan, title)})


def colour(index: int) -> tuple[float, float, float]:
    """The colour of layer `index`: Okabe and Ito's, then lighter, then darker ones, then again."""
    turn, place = divmod(index, len(STACK))
    toward, share = ((0.0, 0.0), (1.0, 0.55), (0.0, 0.4))[turn % 3]
    red, green, blue = (part + (toward - part) * share for part in to_rgb(STACK[place]))
    return red, green, blue


def _figure(plan: Floorplan, title: str) -> Figure:
    # A large mesh that is hardly used is cut off behind the last tile.
    columns = max(tile.position[0] for tile in plan.tiles) + 1
    rows = max(tile.position[1] for tile in plan.tiles) + 1
    cell = min(max(_WIDTH_IN / columns, _CELL_IN[0]), _CELL_IN[1])
    height = max(rows * cell + 0.55, 1.6)
    legend_columns = -(-(len(plan.layers) + 2) // max(1, int((height - 0.2) / _LEGEND_ROW_IN)))
    figure = Figure(figsize=((columns + 1) * cell + 1.5 * legend_columns, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_xlim(-1.0, columns - 0.4)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_title(f"{title}\n{_CAPTION}", loc="left", fontsize=7)
    taken = {tile.position for tile in plan.tiles}
    for x in range(columns):
        for y in range(rows):
            if (x, y) not in taken:
                _box(axes, x, y, facecolor="none", edgecolor=GREY, linestyle=":", linewidth=0.6)
    axes.add_patch(Rectangle((-0.9, -0.2), 0.35, 0.4, facecolor=_CORNER))
    axes.plot([-0.55, -_SIDE / 2], [0, 0], color=_CORNER, linewidth=1.2)
    for tile in plan.tiles:
        _tile(axes, tile, cell)
    handles = [
        Patch(facecolor=colour(k), edgecolor=GREY, linewidth=0.5, label=_named(layer))
        for k, layer in enumerate(plan.layers)
    ]
    handles.append(Patch(facecolor=_EMPTY, edgecolor=GREY, linewidth=0.5, label="unused crossbars"))
    handles.append(Patch(facecolor=_CORNER, label="global buffer, checker"))
    figure.legend(handles=handles, loc="outside right upper", ncols=legend_columns, fontsize=6.5)
    return figure


def _named(layer: LayerRow) -> str:
    """The layer with its tiles, by the numbers that the timeline and the trace give them."""
    tiles = ranges(layer.tiles)
    return f"{layer.name}: {tiles if len(tiles) <= _LONGEST else f'{layer.tiles[0]}..{layer.tiles[-1]}'}"


def _tile(axes: Axes, tile: TileRow, cell: float) -> None:
    """A tile, filled from below with what each of its layers uses."""
    x, y = tile.position
    _box(axes, x, y, facecolor=_EMPTY, edgecolor="none")
    bottom = y + _SIDE / 2
    for layer, crossbars in tile.layers:
        height = _SIDE * crossbars / tile.crossbars
        bottom -= height
        axes.add_patch(
            Rectangle((x - _SIDE / 2, bottom), _SIDE, height, facecolor=colour(layer), edgecolor="none")
        )
    _box(axes, x, y, facecolor="none", edgecolor="#555555", linewidth=0.5)
    halo = [withStroke(linewidth=1.6, foreground="white")]
    room = cell >= _LEGIBLE_IN
    axes.text(
        x, y - (0.12 if room else 0), str(tile.index), ha="center", va="center",
        fontsize=min(8.0, 72 * cell * 0.3), fontweight="bold", path_effects=halo,
    )  # fmt: skip
    if room:
        share = percent(tile.cell_utilisation, 0)
        axes.text(
            x, y + 0.25, f"{share} %", ha="center", va="center", fontsize=min(6.0, 72 * cell * 0.16),
            path_effects=halo,
        )  # fmt: skip


def _box(axes: Axes, x: float, y: float, **look: Any) -> None:
    axes.add_patch(Rectangle((x - _SIDE / 2, y - _SIDE / 2), _SIDE, _SIDE, **look))
