"""Layers to crossbars, PEs, tiles and mesh positions.

The unit of placement is a block of rows for one column of crossbars: one crossbar (``im2col``), or one PE
with a crossbar for each kernel position (``kernel_position``). Units of an output column stay together in a tile where
they fit, so that their partial sums meet without the mesh; a column taller than a tile is spread over several, and the
first of them (the head) adds up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from imcsim.errors import ImcsimError
from imcsim.hardware.component import ChipSize
from imcsim.hardware.config import HardwareConfig
from imcsim.mapping.stages import Stage, StageGraph, stage_graph
from imcsim.network.cells import slice_count
from imcsim.network.graph import Network
from imcsim.network.rows import RowLayout, layout


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
        return self.copy_count * (self.columns[1] - self.columns[0]) * (self.blocks[1] - self.blocks[0])


@dataclass(frozen=True)
class LayerPlacement:
    """How one layer is cut. `blocks` row blocks x `columns` column crossbars, `unit_crossbars` each, in `copies`."""

    stage: Stage
    rows: RowLayout
    slices: int
    blocks: int
    columns: int
    channels_per_column: int
    unit_crossbars: int
    copies: int

    @property
    def crossbars_per_copy(self) -> int:
        return self.blocks * self.columns * self.unit_crossbars

    @property
    def crossbars(self) -> int:
        return self.crossbars_per_copy * self.copies

    @property
    def waves_per_row(self) -> int:
        return -(-self.stage.out_width // self.copies)


@dataclass(frozen=True)
class Placement:
    """A network on a chip. `positions` are mesh ``(x, y)`` of the tiles; the image and the checker sit at (0, 0)."""

    graph: StageGraph
    layers: tuple[LayerPlacement, ...]
    parts: tuple[Part, ...]
    tiles: int
    mesh: tuple[int, int]
    positions: tuple[tuple[int, int], ...]
    pes_used: int
    size: ChipSize

    def parts_of(self, stage: int) -> tuple[Part, ...]:
        return tuple(p for p in self.parts if p.stage == stage)

    @property
    def crossbars(self) -> int:
        """Crossbars in use."""
        return sum(layer.crossbars for layer in self.layers)


def place(network: Network, hardware: HardwareConfig) -> Placement:
    """Map `network` onto the chip. Raises ImcsimError when it does not fit, saying what would help."""
    graph = stage_graph(network, hardware.lif.partial_sum_bits)
    single = [_cut(stage, network, hardware) for stage in graph.stages]
    copies = _balance(single, hardware)
    layers = tuple(_with_copies(layer, n) for layer, n in zip(single, copies, strict=True))
    packer = _Packer(_capacity(hardware))
    for layer in layers:
        packer.add(layer)
    tiles = packer.tile + 1
    mesh = _mesh(tiles, hardware)
    per_unit = hardware.tile.crossbars_per_pe if hardware.cells.row_order == "im2col" else 1
    used = [0] * tiles
    for part in packer.parts:
        used[part.tile] += part.units
    return Placement(
        graph=graph,
        layers=layers,
        parts=tuple(packer.parts),
        tiles=tiles,
        mesh=mesh,
        positions=tuple(_snake(k, mesh[0]) for k in range(tiles)),
        pes_used=sum(-(-units // per_unit) for units in used),
        size=ChipSize(
            tiles=tiles,
            pes=tiles * hardware.tile.pes_per_tile,
            crossbars=tiles * hardware.crossbars_per_tile,
            memory_bits=_state_bits(graph, hardware),
        ),
    )


def _capacity(hardware: HardwareConfig) -> int:
    """Units that fit into a tile."""
    whole = hardware.cells.row_order == "kernel_position"
    return hardware.tile.pes_per_tile if whole else hardware.crossbars_per_tile


def _cut(stage: Stage, network: Network, hardware: HardwareConfig) -> LayerPlacement:
    cells = hardware.cells
    slices = slice_count(network.weight_bits, cells.cell_bits, cells.encoding)
    if slices > cells.columns:
        raise ImcsimError(
            f"one weight takes {slices} cells, but a crossbar has {cells.columns} columns", key="cells.columns"
        )
    per_column = cells.columns // slices
    rows = layout(stage.kernel, stage.in_channels, cells.rows, cells.row_order)
    unit = stage.kernel[0] * stage.kernel[1] if cells.row_order == "kernel_position" else 1
    if unit > 1 and unit > hardware.tile.crossbars_per_pe:
        raise ImcsimError(
            f"layer {stage.name} needs {unit} crossbars in a PE, one for each kernel position, but a PE has "
            f"{hardware.tile.crossbars_per_pe}",
            key="tile.crossbars_per_pe",
            fix=f"set it to at least {unit}, or cells.row_order to im2col",
        )
    return LayerPlacement(
        stage, rows, slices, rows.blocks, -(-stage.out_channels // per_column), per_column, unit, 1
    )


def _with_copies(layer: LayerPlacement, copies: int) -> LayerPlacement:
    return LayerPlacement(
        layer.stage, layer.rows, layer.slices, layer.blocks, layer.columns, layer.channels_per_column,
        layer.unit_crossbars, copies,
    )  # fmt: skip


def _balance(layers: list[LayerPlacement], hardware: HardwareConfig) -> list[int]:
    """Copies of each layer: one more for the slowest, as long as the budget pays for it."""
    copies = [1] * len(layers)
    if hardware.mapping.replication == "none":
        return copies
    left = hardware.mapping.extra_crossbars

    def work(k: int) -> int:
        stage = layers[k].stage
        return stage.out_height * -(-stage.out_width // copies[k]) * stage.planes

    while True:
        slowest = max(range(len(layers)), key=work)
        width = layers[slowest].stage.out_width
        # The next number of copies that saves a wave; fewer would cost crossbars and gain nothing.
        waves = -(-width // copies[slowest])
        wanted = -(-width // (waves - 1)) if waves > 1 else 0
        cost = (wanted - copies[slowest]) * layers[slowest].crossbars_per_copy
        if wanted == 0 or cost > left:
            return copies
        copies[slowest], left = wanted, left - cost


@dataclass
class _Packer:
    """Fills tiles one after the other; every layer starts in a tile of its own."""

    capacity: int
    tile: int = -1
    free: int = 0
    parts: list[Part] = field(default_factory=list)

    def add(self, layer: LayerPlacement) -> None:
        self._open()
        per_copy = layer.blocks * layer.columns
        copy = 0
        while copy < layer.copies:
            if per_copy <= self.capacity:
                if per_copy > self.free:
                    self._open()
                count = min(layer.copies - copy, self.free // per_copy)
                self._put(layer, (copy, copy + count), (0, layer.columns), (0, layer.blocks))
                copy += count
                continue
            self._spread(layer, copy)
            copy += 1
            if copy < layer.copies:
                self._open()

    def _spread(self, layer: LayerPlacement, copy: int) -> None:
        """One copy over several tiles, whole columns where they fit."""
        column = 0
        while column < layer.columns:
            if layer.blocks <= self.capacity:
                if layer.blocks > self.free:
                    self._open()
                count = min(layer.columns - column, self.free // layer.blocks)
                self._put(layer, (copy, copy + 1), (column, column + count), (0, layer.blocks))
                column += count
                continue
            head, block = len(self.parts), 0
            while block < layer.blocks:
                if self.free == 0:
                    self._open()
                count = min(self.free, layer.blocks - block)
                self._put(layer, (copy, copy + 1), (column, column + 1), (block, block + count), head)
                block += count
            column += 1

    def _open(self) -> None:
        self.tile += 1
        self.free = self.capacity

    def _put(
        self,
        layer: LayerPlacement,
        copies: tuple[int, int],
        columns: tuple[int, int],
        blocks: tuple[int, int],
        head: int | None = None,
    ) -> None:
        per, total = layer.channels_per_column, layer.stage.out_channels
        channels = min(columns[1] * per, total) - columns[0] * per
        index = len(self.parts)
        part = Part(
            index, layer.stage.index, self.tile, copies, columns, blocks, channels, index if head is None else head
        )
        self.parts.append(part)
        self.free -= part.units


def _mesh(tiles: int, hardware: HardwareConfig) -> tuple[int, int]:
    columns, rows = hardware.mesh.columns, hardware.mesh.rows
    if columns == 0:
        columns = next(n for n in range(1, tiles + 1) if n * n >= tiles)
        return columns, -(-tiles // columns)
    if columns * rows < tiles:
        raise ImcsimError(
            f"the network needs {tiles} tiles, the mesh has {columns} x {rows} = {columns * rows}: "
            f"{tiles - columns * rows} short",
            key="mesh.columns",
            fix="enlarge mesh.columns or mesh.rows, tile.pes_per_tile, or set mapping.replication to none",
        )
    return columns, rows


def _snake(index: int, columns: int) -> tuple[int, int]:
    """Back and forth over the mesh, so that tiles that follow each other are neighbours."""
    y, x = divmod(index, columns)
    return (x if y % 2 == 0 else columns - 1 - x), y


def _state_bits(graph: StageGraph, hardware: HardwareConfig) -> int:
    """Membrane potentials of all neurons, and the stored currents of the encoder where they are kept."""
    neurons = sum(s.positions * s.out_channels for s in graph.stages if s.neurons)
    kept = sum(s.positions * s.out_channels for s in graph.stages if s.reads_image)
    if hardware.encoder.mode == "recompute":
        kept = 0
    return neurons * hardware.lif.membrane_bits + kept * hardware.lif.partial_sum_bits
