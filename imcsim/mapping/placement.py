"""What mapping yields: layers as they are cut, parts of them in tiles, tiles on the mesh."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from imcsim.base.arrangements import Arrangement, chips_passed, farthest
from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.tile_types import OWN
from imcsim.hardware.component import ChipSize, Reach
from imcsim.mapping.stages import Edge, Stage, StageGraph
from imcsim.mapping.topologies import Link, Position, Topology, chip_link
from imcsim.network.rows import ONE_SET, GroupSets, RowLayout


@dataclass(frozen=True)
class Part:
    """What one tile holds of one layer: copies x column crossbars x row blocks (half-open ranges)."""

    index: int
    stage: int
    tile: int
    copies: tuple[int, int]
    columns: tuple[int, int]
    blocks: tuple[int, int]
    channels: int
    """Output channels of its columns."""
    head: int
    """Index of the part that adds up this part's sums; its own where nothing is spread."""

    @property
    def copy_count(self) -> int:
        return self.copies[1] - self.copies[0]

    @property
    def units(self) -> int:
        """Blocks of rows for one column of crossbars that it holds."""
        return self.copy_count * (self.columns[1] - self.columns[0]) * (self.blocks[1] - self.blocks[0])


@dataclass(frozen=True)
class RowBlocks:
    """The row blocks of a part, of all sets of groups that it holds something of."""

    numbers: range
    """As `LayerPlacement.row_block` numbers them."""
    columns: tuple[range, ...]
    """The columns of crossbars in which each of them stands."""
    alike: tuple[range, ...]
    """They (counted from 0) as runs of those that stand in as many columns and channels."""
    rows: tuple[int, ...]
    turns: tuple[int, ...]
    """In which each of them is read, more than one where not all rows are driven at once."""


@dataclass(frozen=True)
class LayerPlacement:
    """How one layer is cut: `blocks` x `columns` column crossbars, `unit_crossbars` each; `copies` of it.

    A row block is a crossbar (or a group of merged ones) here, read in one or more turns. `row_copies` output
    rows, which divide the map, are a band: copies work on positions of all of them at once. In wave w of band
    b, copy k is at row ``b * row_copies + k % row_copies``, column ``w * columns_at_once + k // row_copies``.
    """

    stage: Stage
    rows: RowLayout
    slices: int
    blocks: int
    columns: int
    channels_per_column: int
    unit_crossbars: int
    copies: int
    row_copies: int = 1
    group_sets: GroupSets = ONE_SET
    """Sets of a grouped convolution that is laid along diagonals, each with as many of the columns of
    crossbars; one set where the layer is dense.
    """
    tile_type: str = OWN
    """The type of tile that it stands on."""
    chip: int = 0
    """The chip of the package that it stands on."""

    @property
    def sets(self) -> int:
        return self.group_sets.sets

    @property
    def columns_of_set(self) -> int:
        """Columns of crossbars that a set of groups takes, all of a layer that is dense."""
        return self.columns // self.sets

    @property
    def channels_of_set(self) -> int:
        """Output channels of a set of groups that is full."""
        return self.group_sets.size * self.stage.out_channels // self.group_sets.groups

    def first_channel_of(self, column: int) -> int:
        """The first output channel in a column of crossbars; the number of all behind the last column."""
        return self._first_channels[column]

    @cached_property
    def _first_channels(self) -> tuple[int, ...]:
        """Those of all columns, and the number of all channels behind."""
        columns, of_set = self.columns_of_set, self.channels_of_set
        every = (
            column // columns * of_set + min(column % columns * self.channels_per_column, of_set)
            for column in range(self.columns + 1)
        )
        return tuple(min(first, self.stage.out_channels) for first in every)

    def channels_of(self, columns: tuple[int, int]) -> int:
        """Output channels in some columns of crossbars (a half-open range); the last one may be part full."""
        return self.first_channel_of(columns[1]) - self.first_channel_of(columns[0])

    def pooled_channels(self, part: Part, edge: Edge) -> range:
        """The channels of a delivered row that come of a part's: its own, or those of windows that begin
        there.
        """
        step, first = edge.channel_stride, self.first_channel_of(part.columns[0])
        begin = -(-first // step)
        return range(begin, max(begin, min(-(-(first + part.channels) // step), edge.channels)))

    def share_of(self, part: Part, edge: Edge | None, row_bits: int) -> int:
        """A part's share of the bits of a row: its channels, at the positions of its copies. Without an edge
        these are sums or class outputs.
        """
        mine, every = part.channels, self.stage.out_channels
        if edge is not None and edge.channel_stride > 1:
            mine, every = len(self.pooled_channels(part, edge)), edge.channels
        return -(-row_bits * mine * part.copy_count // (every * self.copies))

    def set_of(self, column: int) -> int:
        """The set of groups that a column of crossbars belongs to."""
        return column // self.columns_of_set

    def row_block(self, column: int, block: int) -> int:
        """The number, among the crossbars of `rows`, of row block `block` in a column of crossbars."""
        return self.set_of(column) * self.blocks + block

    def row_blocks_of(self, part: Part) -> RowBlocks:
        """The row blocks that a part holds."""
        held = part.columns, part.blocks
        if held not in self._held:
            self._held[held] = self._row_blocks(*held)
        return self._held[held]

    @cached_property
    def _held(self) -> dict[tuple[tuple[int, int], tuple[int, int]], RowBlocks]:
        """Those that were asked for, by columns and blocks."""
        return {}

    def _row_blocks(self, held: tuple[int, int], blocks: tuple[int, int]) -> RowBlocks:
        (first, last), each = held, self.columns_of_set
        numbers = range(self.row_block(first, blocks[0]), self.row_block(last - 1, blocks[1] - 1) + 1)
        sets = [block // self.blocks * each for block in numbers]
        columns = tuple(range(max(first, begin), min(last, begin + each)) for begin in sets)
        channels = {where: self.channels_of((where.start, where.stop)) for where in columns}
        sizes = [(len(where), channels[where]) for where in columns]
        ends = [k for k in range(1, len(sizes)) if sizes[k] != sizes[k - 1]]
        shown = slice(numbers.start, numbers.stop)
        return RowBlocks(
            numbers=numbers,
            columns=columns,
            alike=tuple(range(*pair) for pair in pairwise([0, *ends, len(sizes)])),
            rows=tuple(self.rows.crossbar_rows[shown].tolist()),
            turns=tuple(self.rows.turns[shown].tolist()),
        )

    def same_cut(self, other: LayerPlacement) -> bool:
        """Whether the same layer is cut alike."""
        return self == replace(other, rows=self.rows) and self.rows.same_as(other.rows)

    @cached_property
    def turns(self) -> int:
        """Turns in which the rows of a crossbar are driven, where it may not drive all at once."""
        return int(self.rows.turns.max())

    @property
    def crossbars_per_copy(self) -> int:
        return self.blocks * self.columns * self.unit_crossbars

    @property
    def crossbars(self) -> int:
        return self.crossbars_per_copy * self.copies

    @property
    def columns_at_once(self) -> int:
        """Positions of each row of a band that copies work on at once."""
        return self.copies // self.row_copies

    @property
    def bands(self) -> int:
        """Bands of a map, one after the other."""
        return self.stage.out_height // self.row_copies

    @property
    def waves_per_band(self) -> int:
        return -(-self.stage.out_width // self.columns_at_once)

    @property
    def waves(self) -> int:
        """Waves, one after the other, in a timestep."""
        return self.bands * self.waves_per_band

    def last_row(self, band: int) -> int:
        """The last output row of a band."""
        return (band + 1) * self.row_copies - 1

    def rows_behind_pool(self, band: int) -> int:
        """How many rows of neurons have their currents once a band is done, behind a pool of them."""
        rows = range(band * self.row_copies, (band + 1) * self.row_copies)
        return sum(len(self.stage.rows_behind_pool(y)) for y in rows)

    @property
    def reads_in_turn(self) -> int:
        """Crossbar reads, one after the other, in a timestep: what `balanced` replication evens out."""
        return self.waves * self.stage.planes * self.turns


def unknown_layer(name: str, known: Iterable[str], key: str) -> ImcsimError:
    """What to raise where the chip's `key` names a layer that the network does not have."""
    names = list(known)
    return ImcsimError(
        f"there is no layer {name!r:.60}",
        key=key,
        fix=suggestion(name, names, f"layers are {', '.join(names)}"),
    )


@dataclass(frozen=True)
class Grant:
    """A grant of copies: to which layers, at how many crossbars, the objective before and after, and which
    layer an image kept busiest before.
    """

    layers: tuple[str, ...]
    copies: tuple[int, ...]
    """Copies that these layers have now."""
    crossbars: int
    before: float
    after: float
    bound_by: str

    @property
    def gain_per_crossbar(self) -> float:
        """The share of the objective before that each crossbar saved."""
        return (1 - self.after / self.before) / self.crossbars


@dataclass(frozen=True)
class PlacedChip:
    """One chip: the tiles that stand on it, by number, and how they are joined."""

    number: int
    tiles: tuple[int, ...]
    topology: Topology

    @property
    def mesh(self) -> tuple[int, int]:
        """Columns and rows of places for tiles."""
        return self.topology.mesh

    def route(self, source: Position | None, target: Position | None) -> tuple[Link, ...]:
        """The links from one site to another; None is the corner with the global buffer, the checker and the
        port to other chips.
        """
        known = self._routes.get((source, target))
        if known is None:
            links = self.topology.route(source, target)
            known = tuple(link._replace(chip=self.number) for link in links) if self.number else links
            self._routes[source, target] = known
        return known

    @cached_property
    def _routes(self) -> dict[tuple[Position | None, Position | None], tuple[Link, ...]]:
        """Those that were asked for."""
        return {}


@dataclass(frozen=True)
class Placement:
    """A network on a chip, or on the chips of a package. `positions` are those of the tiles, each on its own
    chip.
    """

    graph: StageGraph
    layers: tuple[LayerPlacement, ...]
    parts: tuple[Part, ...]
    tiles: int
    positions: tuple[Position, ...]
    chips: tuple[PlacedChip, ...]
    arrangement: Arrangement
    """How the chips are joined."""
    pes_used: int
    """PEs that hold something. A PE belongs to one layer."""
    size: ChipSize
    grants: tuple[Grant, ...] = ()
    """Copies that a policy with an objective has granted, one after the other."""
    loads: tuple[Placement, ...] = ()
    """Groups of layers that stand on the tiles one after the other (see mapping.reload); empty where all
    layers stand there at the same time. Numbers of tiles, and positions, are those of the whole chip.
    """

    def route(self, source: int | None, target: int | None) -> tuple[Link, ...]:
        """The links from one tile to another; None is the global buffer of the first chip, or the checker.
        What stays within a tile takes none.

        On the way to another chip a packet goes to its chip's port, which stands beside the global buffer,
        over links from port to port, and from the last port on.
        """
        if source is not None and source == target:
            return ()
        here, there = (None if tile is None else self.positions[tile] for tile in (source, target))
        first = 0 if source is None else self.chip_of[source]
        last = self.checker_chip if target is None else self.chip_of[target]
        if first == last:
            return self.chips[first].route(here, there)
        passed = chips_passed(self.arrangement, len(self.chips), first, last)
        return (
            *(self.chips[first].route(here, None) if here is not None else ()),
            *(chip_link(a, b) for a, b in pairwise(passed)),
            *(self.chips[last].route(None, there) if there is not None else ()),
        )

    def sharing(self, other: Placement) -> Placement:
        """This placement, with what `other` found of layers and routes, where both stand alike."""
        alike = (
            not self.loads
            and (self.parts, self.positions, self.chips) == (other.parts, other.positions, other.chips)
            and self.graph == other.graph
            and len(self.layers) == len(other.layers)
            and all(mine.same_cut(theirs) for mine, theirs in zip(self.layers, other.layers, strict=True))
        )
        return replace(self, graph=other.graph, layers=other.layers, chips=other.chips) if alike else self

    @cached_property
    def chip_of(self) -> tuple[int, ...]:
        """The chip of each tile."""
        found = {tile: chip.number for chip in self.chips for tile in chip.tiles}
        return tuple(found[tile] for tile in range(self.tiles))

    @cached_property
    def checker_chip(self) -> int:
        """The chip whose checker is in use: that of the last layer, where class outputs are; the first one
        for layers without any.
        """
        return next((layer.chip for layer in self.layers if layer.stage.is_output), 0)

    @property
    def reach(self) -> Reach:
        """How far wires reach over the chips, and a verdict over links between them."""
        topologies = [chip.topology for chip in self.chips]
        count = len(self.chips)
        return Reach(
            max(one.verdict_pitches for one in topologies),
            max(one.longest_link for one in topologies),
            farthest(self.arrangement, count, self.checker_chip),
        )

    def tile_type(self, tile: int) -> str:
        """The type of a tile, which is that of all layers in it; the chip's own where it is empty."""
        return self._types.get(tile, OWN)

    @cached_property
    def _types(self) -> dict[int, str]:
        return {part.tile: self.layers[part.stage].tile_type for part in self.parts}

    def parts_of(self, stage: int) -> tuple[Part, ...]:
        return tuple(p for p in self.parts if p.stage == stage)

    @property
    def crossbars(self) -> int:
        """Crossbars in use."""
        return sum(layer.crossbars for layer in self.layers)
