"""Layers to the chips of a package: by hand, or cut where fewest flits cross.

Layers that follow each other stay together, so that a package is a pipeline with shortcuts. Of all ways to
cut them for which no chip has more tiles than it may, dynamic programming finds the one with the fewest flits
over links in a timestep; of equal ones that whose largest chip is smallest, then that with the earliest cuts.
A flit counts once for each boundary of the cut that it crosses, which is what links carry in a chain; in a
``full`` arrangement it counts once. In a ring and in a mesh some take a shorter way than that.

A chip may have as many tiles as its mesh has room for. Where it is as large as needed that is what the most
even cut gives its largest chip, and ``mapping.chip_imbalance`` more.

Flits are counted as the layers would send them from tiles of one chip; where layers share tiles
(``mapping.share_tiles``) a cut may change them a little. The image comes to the first chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.fit import larger_mesh
from imcsim.mapping.pack import fewest_chips, pack, tiles_between
from imcsim.mapping.placement import LayerPlacement, unknown_layer
from imcsim.mapping.stages import StageGraph
from imcsim.mapping.traffic import flits_of_layers

Layers = tuple[LayerPlacement, ...]
Table = NDArray[np.int64]


def on_chips(layers: Layers, graph: StageGraph, hardware: HardwareConfig) -> Layers:
    """The layers, each on a chip of the package.

    Raises ImcsimError where they do not fit, where a chip would hold nothing, or where ``mapping.chips``
    names a layer that there is not.
    """
    chips = hardware.package.chips
    if chips == 1:
        return layers
    if len(layers) < chips:
        raise ImcsimError(
            f"a chip holds whole layers, and the network has {len(layers)} for {counted(chips, 'chip')}",
            key="package.chips",
            fix=f"set it to at most {len(layers)}",
        )
    held = _by_hand(layers, hardware) if hardware.mapping.chips else _cut(layers, graph, hardware)
    placed = tuple(replace(layer, chip=chip) for layer, chip in zip(layers, held, strict=True))
    _check_room(placed, hardware)
    return placed


def _check_room(layers: Layers, hardware: HardwareConfig) -> None:
    """Raise ImcsimError where a chip of given size has more tiles than there is room for."""
    mesh = hardware.mesh
    tiles = {part.tile: layers[part.stage].chip for part in pack(layers, hardware)}
    for chip in range(hardware.package.chips):
        count = list(tiles.values()).count(chip)
        if mesh.columns and count > mesh.columns * mesh.rows:
            raise ImcsimError(
                f"chip {chip} holds {counted(count, 'tile')}, the mesh has {mesh.columns} x {mesh.rows}",
                key="mapping.chips",
                fix="; ".join(
                    ("move layers to another chip", larger_mesh(count, mesh.columns, mesh.rows))
                ).rstrip("; "),
            )


def _by_hand(layers: Layers, hardware: HardwareConfig) -> list[int]:
    given = hardware.mapping.chips
    names = [layer.stage.name for layer in layers]
    for name in given:
        if name not in names:
            raise unknown_layer(name, names, "mapping.chips")
    held: list[int] = []
    for name in names:
        held.append(given.get(name, held[-1] if held else 0))
    empty = sorted(set(range(hardware.package.chips)) - set(held))
    if empty:
        raise ImcsimError(
            f"chip {empty[0]} holds no layer",
            key="mapping.chips",
            fix=f"give it one, or set package.chips to {hardware.package.chips - len(empty)}",
        )
    return held


def _cut(layers: Layers, graph: StageGraph, hardware: HardwareConfig) -> list[int]:
    """The chip of each layer, by the cut with the fewest flits."""
    tiles = tiles_between(layers, hardware)
    limit = _most_tiles(tiles, hardware)
    flits = flits_of_layers(graph, layers, pack(layers, hardware), hardware)
    crossing = _crossing(flits, chain=hardware.package.arrangement != "full")
    count, chips = len(layers), hardware.package.chips
    # Of the first `end` layers on so many chips: flits, tiles of the largest chip, and where chips begin.
    Found = tuple[int, int, tuple[int, ...]]
    best: dict[int, Found] = {end: (0, int(tiles[0, end]), (0,)) for end in range(1, count + 1)}
    best = {end: one for end, one in best.items() if one[1] <= limit}
    for _ in range(1, chips):
        further: dict[int, Found] = {}
        for end in range(1, count + 1):
            ways = [
                (
                    best[begin][0] + int(crossing[begin, end]),
                    max(best[begin][1], int(tiles[begin, end])),
                    (*best[begin][2], begin),
                )
                for begin in range(1, end)
                if begin in best and tiles[begin, end] <= limit
            ]
            if ways:
                further[end] = min(ways)
        best = further
    if count not in best:
        raise _too_small(tiles, limit, layers, hardware)
    begins = best[count][2]
    return [sum(begin <= k for begin in begins) - 1 for k in range(count)]


def _most_tiles(tiles: Table, hardware: HardwareConfig) -> int:
    """Tiles that a chip may have."""
    mesh = hardware.mesh
    if mesh.columns:
        return mesh.columns * mesh.rows
    even = _most_even(tiles, hardware.package.chips)
    return int(even * (1 + hardware.mapping.chip_imbalance) + 1e-9)


def _most_even(tiles: Table, chips: int) -> int:
    """Tiles of the largest chip, cut so that they are fewest."""
    count = len(tiles) - 1
    best = {end: int(tiles[0, end]) for end in range(1, count + 1)}
    for _ in range(1, chips):
        best = {
            end: min(max(best[begin], int(tiles[begin, end])) for begin in range(1, end) if begin in best)
            for end in range(2, count + 1)
            if any(begin in best for begin in range(1, end))
        }
    return best[count]


def _crossing(flits: Table, *, chain: bool) -> Table:
    """Flits that cross where a chip begins with layer ``begin``, of those to all layers from there on
    (`chain`), or to those of its own that end before ``end``, both ways, ``[begin, end]``.

    flits: int64 ``[layers + 1, layers + 1]`` from layer to layer, the image first.
    """
    both = flits + flits.T
    count = len(flits) - 1
    found = np.zeros((count + 1, count + 1), np.int64)
    for begin in range(1, count):
        from_before = both[: begin + 1, begin + 1 :].sum(axis=0)
        found[begin, begin + 1 :] = from_before.sum() if chain else np.cumsum(from_before)
    return found


def _too_small(
    tiles: Table, limit: int, layers: Sequence[LayerPlacement], hardware: HardwareConfig
) -> ImcsimError:
    mesh = hardware.mesh
    room = f"the mesh has {mesh.columns} x {mesh.rows} = {limit}"
    for k, layer in enumerate(layers):
        if tiles[k, k + 1] > limit:
            return ImcsimError(
                f"layer {layer.stage.name} takes {counted(tiles[k, k + 1], 'tile')}, and a layer stands on "
                f"one chip; {room}",
                key="mesh.columns",
                fix=larger_mesh(int(tiles[k, k + 1]), mesh.columns, mesh.rows) or "enlarge the tiles",
            )
    enough = fewest_chips(tiles, limit)
    return ImcsimError(
        f"the network needs {counted(enough, 'chip')} of this size, the package has "
        f"{hardware.package.chips}; {room}",
        key="package.chips",
        fix=f"set it to {enough}, or enlarge the mesh",
    )
