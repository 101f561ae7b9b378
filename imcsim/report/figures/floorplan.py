"""The floorplan drawn: tiles on the mesh, coloured by layer, filled as far as their crossbars are in use."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from imcsim.base.arrangements import places
from imcsim.mapping import Floorplan, LayerRow, TileRow
from imcsim.report.figures.drawing import COLUMN, GREY, PAGE, STACK, draw, figure, legend
from imcsim.report.terminal.floorplan import ranges
from imcsim.report.units import percent

_SIDE = 0.9
"""Side of a tile; tiles are 1 apart."""

_CELL_IN = 0.75
"""A tile's side on paper, at most."""

_NUMBERED_IN, _LEGIBLE_IN = 0.18, 0.34
"""The smallest tiles that have room for their number, and also for the share of their cells."""

_SMALLEST_PT = 5.0
_MOST_IN_COLUMN = 6
"""Columns of tiles up to which the drawing is a column wide, with its legend below."""

_LEGEND_IN = (1.55, 0.15)
"""Width and height of a row of the legend."""

_MOST_HIGH_IN = 9.0
_LONGEST = 16
"""Letters of the tiles of a layer in the legend."""

_EMPTY, _CORNER, _LINK = "#F0F0F0", "#333333", "#C2410C"
_FREE: dict[str, Any] = {"facecolor": "none", "edgecolor": GREY, "linestyle": ":", "linewidth": 0.6}
_APART = 1.5
"""Between chips of a package, in sides of a tile."""

_NUMBERS, _SHARES, _FILL = "number: tile", "%: cells in use", "fill: crossbars in use"
"""What the words and colours of a tile mean."""


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
    chips = _chips(plan)
    columns = max(x + chip.columns for (x, _), chip in chips.items())
    rows = max(y + chip.rows for (_, y), chip in chips.items())
    named = _named_marks(plan, chips)
    wide = columns > _MOST_IN_COLUMN
    margin = _APART - 0.6 if len(chips) > 1 else 0.0
    edge = 0.05 * (margin > 0)  # lines of frames are not cut in half
    across, down = columns + 0.6 + margin + edge, rows + 0.2 + margin + edge
    cell, height, legend_columns = _sizes(across, down, len(named), wide)
    made, (axes,) = figure(height, wide=wide)
    axes.set_aspect("equal", anchor="W")
    axes.set_axis_off()
    axes.set_xlim(-1.0 - margin, columns - 0.4 + edge)
    axes.set_ylim(rows - 0.4 + edge, -0.6 - margin)
    said = (*([_NUMBERS] if cell >= _NUMBERED_IN else []), *([_SHARES] if cell >= _LEGIBLE_IN else []), _FILL)
    lines = [*wrap(title, 110 if wide else 56), "; ".join(said)]
    axes.set_title("\n".join(lines), loc="left", fontsize=7)
    for at, chip in chips.items():
        _chip(axes, chip, at, cell)
    if len(chips) > 1:
        _links(axes, plan, {chip.index: (at, chip) for at, chip in chips.items()})
    legend(
        made, named, loc="outside right upper" if wide else "outside lower left", ncols=legend_columns,
        fontsize=6.5,
    )  # fmt: skip
    return made


def _sizes(across: float, down: float, named: int, wide: bool) -> tuple[float, float, int]:
    """Of a drawing so many tiles wide and high: a tile's side and the height of the figure in inches, and
    columns of the legend.
    """
    width, row = _LEGEND_IN
    if not wide:
        cell = min(_CELL_IN, (COLUMN - 0.1) / across)
        return cell, down * cell + 0.55 + row * -(-named // 2), 2
    for legend_columns in (1, 2):
        room = min((PAGE - 0.1 - width * legend_columns) / across, _MOST_HIGH_IN / down)
        cell = min(_CELL_IN, room)
        height = max(down * cell + 0.55, 1.6)
        if legend_columns * int((height - 0.2) / row) >= named:
            break
    return cell, max(height, 0.2 + row * -(-named // legend_columns)), legend_columns


def _named_marks(plan: Floorplan, chips: dict[tuple[float, float], _Chip]) -> list[Patch | Line2D]:
    """What the legend names: layers, and all else that is drawn."""
    named: list[Patch | Line2D] = [
        Patch(facecolor=colour(k), edgecolor=GREY, linewidth=0.5, label=_named(layer))
        for k, layer in enumerate(plan.layers)
    ]
    named.append(Patch(facecolor=_EMPTY, edgecolor=GREY, linewidth=0.5, label="unused crossbars"))
    if any(chip.columns * chip.rows > len(chip.tiles) for chip in chips.values()):
        named.append(Patch(label="place without a tile", **_FREE))
    corner = "global buffer, checker" + (", port" if len(chips) > 1 else "")
    named.append(Patch(facecolor=_CORNER, label=corner))
    if len(chips) > 1:
        named.append(Line2D([], [], color=_LINK, linewidth=1.2, label="link between chips"))
    return named


@dataclass(frozen=True)
class _Chip:
    """A chip of the drawing: its tiles, and the columns and rows that they take; a large mesh that is hardly
    used is cut off behind the last tile.
    """

    index: int
    tiles: tuple[TileRow, ...]
    columns: int
    rows: int


def _chips(plan: Floorplan) -> dict[tuple[float, float], _Chip]:
    """All chips, by where the first column and row of each is drawn."""
    found = []
    for chip in plan.chips:
        tiles = tuple(tile for tile in plan.tiles if tile.chip == chip.index)
        columns, rows = (max(tile.position[k] for tile in tiles) + 1 for k in (0, 1))
        found.append(_Chip(chip.index, tiles, columns, rows))
    across, down = (max(getattr(chip, side) for chip in found) + _APART for side in ("columns", "rows"))
    at = places(plan.arrangement, len(found))
    return {(x * across, y * down): chip for (x, y), chip in zip(at, found, strict=True)}


def _chip(axes: Axes, chip: _Chip, at: tuple[float, float], cell: float) -> None:
    """A chip, with its global buffer to the left of the first tile."""
    left, top = at
    taken = {tile.position for tile in chip.tiles}
    for x in range(chip.columns):
        for y in range(chip.rows):
            if (x, y) not in taken:
                _box(axes, left + x, top + y, **_FREE)
    axes.add_patch(Rectangle((left - 0.9, top - 0.2), 0.35, 0.4, facecolor=_CORNER))
    axes.plot([left - 0.55, left - _SIDE / 2], [top, top], color=_CORNER, linewidth=1.2)
    for tile in chip.tiles:
        _tile(axes, tile, at, cell)


def _links(axes: Axes, plan: Floorplan, drawn: dict[int, tuple[tuple[float, float], _Chip]]) -> None:
    """Frames and numbers of the chips of a package, and links from port to port."""
    for (x, y), chip in drawn.values():
        frame = Rectangle((x - 1.0, y - 0.6), chip.columns + 0.6, chip.rows + 0.2)
        frame.set(facecolor="none", edgecolor="#555555", linewidth=0.8)
        axes.add_patch(frame)
        right = x + chip.columns - 0.4
        axes.text(right, y - 0.64, f"chip {chip.index}", ha="right", va="bottom", fontsize=6.0)
    for row in plan.chips:
        for other in row.joined_to:
            if row.index < other:
                xs, ys = zip(*_way_of_link(drawn[row.index][0], drawn[other][0]), strict=True)
                axes.plot(xs, ys, color=_LINK, linewidth=1.2)


def _way_of_link(one: tuple[float, float], other: tuple[float, float]) -> list[tuple[float, float]]:
    """From port to port: above chips beside each other, left of those below each other, else straight."""
    ports = [(x - 0.72, y) for x, y in (one, other)]
    if one[1] == other[1]:
        lane = one[1] - 1.0 - 0.02 * abs(other[0] - one[0])  # links that pass chips keep above the others
        return [ports[0], (ports[0][0], lane), (ports[1][0], lane), ports[1]]
    if one[0] == other[0]:
        lane = one[0] - 1.12 - 0.02 * abs(other[1] - one[1])
        return [ports[0], (lane, ports[0][1]), (lane, ports[1][1]), ports[1]]
    return ports


def _named(layer: LayerRow) -> str:
    """The layer with its tiles, by the numbers that the timeline and the trace give them."""
    tiles = ranges(layer.tiles)
    return f"{layer.name}: {tiles if len(tiles) <= _LONGEST else f'{layer.tiles[0]}..{layer.tiles[-1]}'}"


def _tile(axes: Axes, tile: TileRow, at: tuple[float, float], cell: float) -> None:
    """A tile of a chip that is drawn from `at` on, filled from below with what each of its layers uses."""
    x, y = tile.position[0] + at[0], tile.position[1] + at[1]
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
    if cell >= _NUMBERED_IN:
        axes.text(
            x, y - (0.12 if room else 0), str(tile.index), ha="center", va="center",
            fontsize=min(8.0, max(_SMALLEST_PT, 72 * cell * 0.3)), fontweight="bold", path_effects=halo,
        )  # fmt: skip
    if room:
        share = percent(tile.cell_utilisation, 0)
        axes.text(
            x, y + 0.25, f"{share} %", ha="center", va="center",
            fontsize=min(6.0, max(_SMALLEST_PT, 72 * cell * 0.16)), path_effects=halo,
        )  # fmt: skip


def _box(axes: Axes, x: float, y: float, **look: Any) -> None:
    axes.add_patch(Rectangle((x - _SIDE / 2, y - _SIDE / 2), _SIDE, _SIDE, **look))
