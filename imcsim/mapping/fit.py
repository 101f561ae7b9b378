"""Whether the tiles fit onto the mesh, and what would help where they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.hardware.components.package import MOST_CHIPS
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.cut import cut
from imcsim.mapping.pack import fewest_chips, pack, tiles_between, tiles_of
from imcsim.mapping.stages import StageGraph

MAX_SIDE = 1024
"""Columns or rows that a mesh may have."""

MAX_TILE_PES = 1024
"""The largest tile that is tried for advice."""


def mesh_for(tiles: int, graph: StageGraph, hardware: HardwareConfig) -> tuple[int, int]:
    """Columns and rows of the mesh: those of the config, or the smallest near square that holds `tiles`.

    Raises ImcsimError where a mesh of given size is too small, naming the settings that would make the
    network fit.
    """
    columns, rows = hardware.mesh.columns, hardware.mesh.rows
    if columns == 0:
        columns = next(n for n in range(1, tiles + 1) if n * n >= tiles)
        return columns, -(-tiles // columns)
    if columns * rows >= tiles:
        return columns, rows
    raise ImcsimError(
        f"the network needs {counted(tiles, 'tile')}, the mesh has {columns} x {rows} = {columns * rows}: "
        f"{tiles - columns * rows} short",
        key="mesh.columns",
        fix="; ".join(_advice(tiles, graph, hardware)),
    )


def _advice(tiles: int, graph: StageGraph, hardware: HardwareConfig) -> list[str]:
    """Settings that make the network fit, each tried out; those that help without sufficing come last."""
    room = hardware.mesh.columns * hardware.mesh.rows

    def tiles_with(block: str, **values: Any) -> int:
        section = getattr(hardware, block).model_copy(update=values)
        changed = hardware.model_copy(update={block: section})
        return tiles_of(pack(cut(graph, changed), changed))

    enough = _some(larger_mesh(tiles, hardware.mesh.columns, hardware.mesh.rows))
    pes = _enough_pes(lambda n: tiles_with("tile", pes_per_tile=n) <= room, hardware.tile.pes_per_tile)
    if pes:
        enough.append(f"tile.pes_per_tile {pes} would do")
    enough += _more_chips(graph, hardware)
    some: list[str] = []
    saving: dict[str, dict[str, Any]] = {}
    if not hardware.mapping.share_tiles:
        saving["mapping.share_tiles true"] = {"share_tiles": True}
    if hardware.mapping.replication != "none":
        saving["mapping.replication none"] = {"replication": "none"}
    for name, values in saving.items():
        saved = tiles - tiles_with("mapping", **values)
        if tiles - saved <= room:
            enough.append(f"{name} saves {counted(saved, 'tile')}, which is enough")
        elif saved > 0:
            some.append(f"{name} saves {counted(saved, 'tile')}, not enough")
    if len(some) == 2:
        saved = tiles - tiles_with("mapping", share_tiles=True, replication="none")
        some.append(
            f"both together save {counted(saved, 'tile')}, which is "
            f"{'' if tiles - saved <= room else 'not '}enough"
        )
    return enough + some


def larger_mesh(tiles: int, columns: int, rows: int) -> str:
    """The mesh grown along its shorter side until it holds `tiles`; empty where that is too large."""
    while columns * rows < tiles:
        if columns <= rows:
            columns += 1
        else:
            rows += 1
    return f"mesh.columns {columns} with mesh.rows {rows} would do" if max(columns, rows) <= MAX_SIDE else ""


def _some(advice: str) -> list[str]:
    return [advice] if advice else []


def _more_chips(graph: StageGraph, hardware: HardwareConfig) -> list[str]:
    """Chips of this size that would hold all layers together."""
    if hardware.reload.present:
        return []  # which is for a single chip
    room = hardware.mesh.columns * hardware.mesh.rows
    between = tiles_between(cut(graph, hardware), hardware)
    if max(between[k, k + 1] for k in range(len(between) - 1)) > room:
        return []  # a layer stands on one chip
    chips = fewest_chips(between, room)
    return [f"package.chips {chips} would do"] if chips <= MOST_CHIPS else []


def _enough_pes(fits: Callable[[int], bool], pes: int) -> int | None:
    """A number of PEs per tile, above `pes`, that fits where one less does not."""
    low, high = pes, 2 * pes
    while not fits(high):
        low, high = high, 2 * high
        if high > MAX_TILE_PES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
