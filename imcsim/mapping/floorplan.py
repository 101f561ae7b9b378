"""What stands where, and how full it is: the placement as rows of a table, for each layer and each tile."""

from __future__ import annotations

from dataclasses import dataclass, replace

from imcsim.base.arrangements import Arrangement, links_between
from imcsim.base.choices import NocTopology
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.copies import busiest
from imcsim.mapping.pack import pes_used
from imcsim.mapping.placement import Grant, LayerPlacement, Part, Placement
from imcsim.mapping.topologies import Position
from imcsim.mapping.traffic import package_flits, weighted_hops


@dataclass(frozen=True)
class LayerRow:
    """One layer. A cell is used if it holds a slice of a weight, whatever the weight's value."""

    name: str
    matrix_rows: int
    matrix_columns: int
    """Output channels; each takes `slices` columns of cells."""
    slices: int
    blocks: int
    column_crossbars: int
    copies: int
    crossbars: int
    """Crossbars of all copies."""
    pes: int
    tiles: tuple[int, ...]
    waves: int
    """Waves one after the other in a timestep, each with a read for every input bit and turn."""
    input_bits: int
    turns: int
    """Turns in which the rows of a crossbar are driven (``cells.parallel_rows``)."""
    cells_used: int
    cell_utilisation: float
    """Used cells over the cells of its crossbars, 0 to 1."""
    tile_type: str
    """Of the tiles that it stands on; empty for the chip's own."""

    @property
    def reads_in_turn(self) -> int:
        """Reads one after the other in a timestep: the layer with the most limits the throughput."""
        return self.waves * self.input_bits * self.turns


@dataclass(frozen=True)
class TileRow:
    """One tile. `layers` holds, for each layer in it, its number and the crossbars that it uses."""

    index: int
    position: Position
    layers: tuple[tuple[int, int], ...]
    crossbars_used: int
    crossbars: int
    cells_used: int
    cell_utilisation: float
    """Used cells over all cells of the tile, 0 to 1."""
    tile_type: str
    """Empty for the chip's own."""
    chip: int = 0
    """Of the package."""


@dataclass(frozen=True)
class ChipRow:
    """One chip of a package: columns and rows of places for tiles, and what stands on it."""

    index: int
    mesh: tuple[int, int]
    tiles: int
    layers: tuple[str, ...]
    joined_to: tuple[int, ...]
    """Chips to which it has a link."""


@dataclass(frozen=True)
class Floorplan:
    """A network on a chip, ready to be shown. `crossbars` and `pes` of the chip include what no layer uses.

    area_um2: every component, in all tiles that are used. flit_hops: sum of flits x hops in the first
    timestep.
    """

    layers: tuple[LayerRow, ...]
    tiles: tuple[TileRow, ...]
    crossbars_used: int
    crossbars: int
    pes_used: int
    pes: int
    area_um2: float
    flit_hops: int
    cell_utilisation: float
    """Used cells over the cells of all tiles that are used, 0 to 1."""
    busiest: tuple[str, str]
    """The layer that an image keeps busiest, by the model of `mapping.copies`, without and with copies."""
    grants: tuple[Grant, ...]
    """Copies that a policy with an objective has granted, one after the other."""
    topology: NocTopology
    """How the tiles of a chip are joined."""
    chips: tuple[ChipRow, ...]
    arrangement: Arrangement
    """How the chips are joined."""
    package_flits: int
    """Sum of flits x links between chips in the first timestep."""
    groups: tuple[Floorplan, ...] = ()
    """What stands there at a time, where groups of layers take turns on the tiles (see mapping.reload); empty
    where all layers stand there together. Shares of the whole are means over the groups, PEs and crossbars
    those of the group that uses most.
    """


def floorplan(placement: Placement, config: HardwareConfig) -> Floorplan:
    """Count crossbars, PEs and cells of `placement`, by layer and by tile."""
    per_crossbar = [_cells_of_crossbar(config.of_type(one.tile_type)) for one in placement.layers]
    types = [config.of_type(placement.tile_type(k)) for k in range(placement.tiles)]
    built = sum(chip.crossbars_per_tile * _cells_of_crossbar(chip) for chip in types)
    pes = pes_used(placement.parts, placement.layers, config)
    used = [_cells(part, placement.layers[part.stage]) for part in placement.parts]
    cells = sum(used)
    size = placement.size
    single = [replace(layer, copies=1, row_copies=1) for layer in placement.layers]
    layers = []
    for k, layer in enumerate(placement.layers):
        here = sum(used[part.index] for part in placement.parts_of(k))
        layers.append(
            LayerRow(
                name=layer.stage.name,
                matrix_rows=layer.stage.rows,
                matrix_columns=layer.stage.out_channels,
                slices=layer.slices,
                blocks=layer.blocks,
                column_crossbars=layer.columns,
                copies=layer.copies,
                crossbars=layer.crossbars,
                pes=sum(number for (_, stage), number in pes.items() if stage == k),
                tiles=tuple(sorted({part.tile for part in placement.parts_of(k)})),
                waves=layer.waves,
                input_bits=layer.stage.planes,
                turns=layer.turns,
                cells_used=here,
                cell_utilisation=here / (layer.crossbars * per_crossbar[k]),
                tile_type=layer.tile_type,
            )
        )
    groups = tuple(floorplan(load, config) for load in placement.loads)
    return Floorplan(
        layers=tuple(layers),
        tiles=tuple(_tile(k, placement, chip, used) for k, chip in enumerate(types)),
        crossbars_used=max((group.crossbars_used for group in groups), default=placement.crossbars),
        crossbars=size.crossbars,
        pes_used=placement.pes_used,
        pes=size.pes,
        area_um2=config.area_um2(size),
        flit_hops=sum(group.flit_hops for group in groups) or weighted_hops(placement, config),
        cell_utilisation=cells / (built * max(1, len(groups))),
        busiest=(
            busiest(single, placement.graph, config),
            busiest(placement.layers, placement.graph, config),
        ),
        grants=placement.grants,
        topology=config.noc.topology,
        chips=_chips(placement),
        arrangement=placement.arrangement,
        package_flits=package_flits(placement, config),
        groups=groups,
    )


def _chips(placement: Placement) -> tuple[ChipRow, ...]:
    joined = links_between(placement.arrangement, len(placement.chips))
    return tuple(
        ChipRow(
            index=chip.number,
            mesh=chip.mesh,
            tiles=len(chip.tiles),
            layers=tuple(one.stage.name for one in placement.layers if one.chip == chip.number),
            joined_to=tuple(sorted(sum(pair) - chip.number for pair in joined if chip.number in pair)),
        )
        for chip in placement.chips
    )


def _tile(index: int, placement: Placement, config: HardwareConfig, used: list[int]) -> TileRow:
    crossbars: dict[int, int] = {}
    cells = 0
    for part in placement.parts:
        if part.tile == index:
            units = part.units * placement.layers[part.stage].unit_crossbars
            crossbars[part.stage] = crossbars.get(part.stage, 0) + units
            cells += used[part.index]
    total = config.crossbars_per_tile
    return TileRow(
        index=index,
        position=placement.positions[index],
        layers=tuple(crossbars.items()),
        crossbars_used=sum(crossbars.values()),
        crossbars=total,
        cells_used=cells,
        cell_utilisation=cells / (total * _cells_of_crossbar(config)),
        tile_type=placement.tile_type(index),
        chip=placement.chip_of[index],
    )


def _cells_of_crossbar(chip: HardwareConfig) -> int:
    return chip.cells.rows * chip.cells.columns


def _cells(part: Part, layer: LayerPlacement) -> int:
    """Cells that hold slices of a part's weights, or zeros between the groups of a dense matrix."""
    # Along a diagonal a group has its rows alone; the first set is full.
    rows = int(layer.rows.crossbar_rows[part.blocks[0] : part.blocks[1]].sum()) // layer.group_sets.size
    return rows * part.channels * layer.slices * part.copy_count
