"""What a part of a layer takes and does, from its placement and the config alone: bits, cycles and counts.

Nothing here knows what time it is: the processes ask for these figures wave by wave or row by row, the
compiled fabric gets them as tables.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property

from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Edge, LayerPlacement, Part, Placement, RowBlocks, Stage
from imcsim.network.cells import subtracts_offset
from imcsim.timing.wiring import edges_into

Counts = dict[Event, int]
"""How often events happen."""


@dataclass(frozen=True)
class Wave:
    """One position for each copy that still has one, from the tile buffer to the output register."""

    number: int
    copies: int
    """They are the first ones of the part's range."""
    fetch_bits: int
    fetch_cycles: int
    lif_cycles: int
    write_cycles: int


@dataclass(frozen=True, eq=False)
class PartFigures:
    """A part of `layer` on a chip."""

    config: HardwareConfig
    layer: LayerPlacement
    part: Part
    helpers: int
    """Parts of the same layer that send it their partial sums."""
    shortcuts: tuple[Edge, ...]
    """Residual streams that meet here."""
    pool_values: int
    """Values that its pooling takes in, per timestep."""
    delayed: bool = False
    """Whether what its crossbars read has waited for a timestep or more."""

    # --- what it is

    @property
    def stage(self) -> Stage:
        return self.layer.stage

    @property
    def is_head(self) -> bool:
        """Whether it adds up its columns and has their neurons."""
        return self.part.head == self.part.index

    @property
    def fires(self) -> bool:
        """Whether its values pass neurons wave by wave; behind a pool of currents they do so row by row."""
        return self.is_head and self.stage.neurons and self.stage.pool is None

    @property
    def fires_behind_pool(self) -> bool:
        return self.is_head and self.stage.pool is not None

    @property
    def keeps(self) -> bool:
        """Whether the layer's currents are computed once and stored."""
        return self.stage.keeps_currents(self.config)

    @property
    def whole_pe(self) -> bool:
        """Whether a unit is a PE, whose crossbars share ADCs, and not a crossbar."""
        return self.config.cells.row_order == "kernel_position"

    @property
    def blocks(self) -> int:
        """Row blocks of each of its columns."""
        return self.part.blocks[1] - self.part.blocks[0]

    @cached_property
    def _blocks(self) -> RowBlocks:
        return self.layer.row_blocks_of(self.part)

    @property
    def row_blocks(self) -> range:
        """Its row blocks, as `LayerPlacement.row_block` numbers them."""
        return self._blocks.numbers

    @property
    def columns_of(self) -> tuple[range, ...]:
        """The columns of crossbars in which each of its row blocks stands."""
        return self._blocks.columns

    @property
    def alike(self) -> tuple[range, ...]:
        """Its row blocks (counted from 0) as runs of those that stand in as many columns and channels."""
        return self._blocks.alike

    @property
    def rows_of(self) -> tuple[int, ...]:
        """Rows of each of its row blocks."""
        return self._blocks.rows

    @cached_property
    def block_rows(self) -> int:
        """Rows of its row blocks together."""
        return sum(self.rows_of)

    @property
    def turns(self) -> tuple[int, ...]:
        """Turns in which each of its row blocks is read, more than one where not all rows are driven at
        once.
        """
        return self._blocks.turns

    @cached_property
    def positions(self) -> int:
        """Positions of a band of output rows that its copies work on."""
        return sum(wave.copies for wave in self.waves)

    @cached_property
    def reads_of_position(self) -> int:
        """Reads that the bits of a position's inputs take."""
        return self.config.reads_of(self.stage.planes)

    @cached_property
    def sense_cycles(self) -> int:
        """Cycles for which a read takes a crossbar."""
        return self.config.read_cycles(self.stage.planes)

    # --- what a wave takes

    @cached_property
    def waves(self) -> tuple[Wave, ...]:
        """The waves of a band in which it has something to do."""
        numbers = [n for n in range(self.layer.waves_per_band) if self._copies(n) > 0]
        return tuple(self._wave(n, self._copies(n)) for n in numbers)

    def _wave(self, number: int, copies: int) -> Wave:
        bits, config = self._fetch_bits(number, copies), self.config
        return Wave(
            number=number,
            copies=copies,
            fetch_bits=bits,
            # On the bus, or out of the tile buffer (the memory of delayed spikes) where that is narrower.
            fetch_cycles=max(-(-bits // config.tile.bus_bits), self.buffer_cycles(bits)),
            lif_cycles=self._neuron_cycles(copies * self.part.channels),
            write_cycles=-(-self.output_bits(copies) // config.tile.bus_bits),
        )

    def _neuron_cycles(self, neurons: int) -> int:
        """Cycles that so many neurons take: a lane takes one for each update (leak and add, or one more bit
        of the spikes), or for each activation.
        """
        config = self.config
        lanes = config.activation.at_once(config) if self.stage.activates else config.lif.lanes
        return -(-neurons * self.stage.updates // lanes)

    def buffer_cycles(self, bits: int) -> int:
        """Cycles in which so many bits come out of the tile buffer, or of the memory of delayed spikes."""
        if self.delayed:
            return -(-bits // self.config.state_memory.width_bits)
        return self.config.tile_buffer.access_cycles(bits)

    def _copies(self, wave: int) -> int:
        """Copies that have a position in a wave."""
        columns = self.stage.out_width - wave * self.layer.columns_at_once
        return max(0, min(self.part.copy_count, columns * self.layer.row_copies - self.part.copies[0]))

    def _fetch_bits(self, wave: int, copies: int) -> int:
        """Bits that a wave brings from the tile buffer: whole windows at the start of a band, then new
        columns. Rows that windows of a band have in common are brought once.
        """
        stage = self.stage
        positions = self._columns_of(copies)
        columns = stage.kernel[1] + stage.stride[1] * (len(positions) - 1)
        if wave > 0:
            columns = min(columns, stage.stride[1] * self.layer.columns_at_once)
        if stage.dilation[1] > 1:
            before = self._window_columns(wave - 1, self._copies(wave - 1)) if wave > 0 else set()
            columns = len(self._window_columns(wave, copies) - before)
        return -(
            -columns
            * self._rows_of_windows(copies)
            * self.block_rows
            * stage.planes
            // (stage.kernel[1] * stage.kernel[0])
        )

    def _columns_of(self, copies: int) -> range:
        """The columns, among those that copies work on at once, of the first copies of this part."""
        first, rows = self.part.copies[0], self.layer.row_copies
        return range(first // rows, (first + copies - 1) // rows + 1)

    def _rows_of_windows(self, copies: int) -> int:
        """Input rows under the windows of the first copies of this part, those in common once."""
        kernel, stage, rows = self.stage.kernel[0], self.stage, self.layer.row_copies
        at = {(self.part.copies[0] + copy) % rows for copy in range(min(copies, rows))}
        return len({y * stage.stride[0] + k * stage.dilation[0] for y in at for k in range(kernel)})

    def _window_columns(self, wave: int, copies: int) -> set[int]:
        """Input columns under the windows of a wave, counted from the left of the padding."""
        stage, first = self.stage, wave * self.layer.columns_at_once
        return {
            (first + column) * stage.stride[1] + k * stage.dilation[1]
            for column in self._columns_of(copies)
            for k in range(stage.kernel[1])
        }

    def output_bits(self, positions: int) -> int:
        """Bits that so many positions write: spikes, or sums where no neurons fire in this part."""
        return positions * self.part.channels * self._value_bits

    @property
    def _value_bits(self) -> int:
        """Bits of a value that a wave writes: spikes, or a sum where no neurons fire in it."""
        spikes = self.fires and self.stage.fires
        return self.stage.written_bits if spikes else self.config.lif.partial_sum_bits

    @property
    def _leaving_bits(self) -> int:
        """Bits of a value that leaves this part: a spike, or a sum or membrane."""
        spikes = self.is_head and self.stage.spikes
        return self.stage.spike_bits if spikes else self.config.lif.partial_sum_bits

    @property
    def tree_cycles(self) -> int:
        """Cycles in which the sums of its row blocks are added up and latched."""
        return 1 + (self.blocks - 1).bit_length() * self.config.adder_tree.level_cycles

    @cached_property
    def _pe(self) -> dict[tuple[int, int], int]:
        """The PE of each column and block of one copy. Crossbars fill PEs column by column."""
        blocks, columns = range(*self.part.blocks), range(*self.part.columns)
        holds = 1 if self.whole_pe else self.config.tile.crossbars_per_pe
        return {
            (column, block): (x * len(blocks) + y) // holds
            for x, column in enumerate(columns)
            for y, block in enumerate(blocks)
        }

    @cached_property
    def _pe_turns(self) -> int:
        """Turns of an input bit in which a PE of one copy drives a crossbar, of all its PEs together."""
        most: dict[int, int] = {}
        for (column, block), pe in self._pe.items():
            turns = int(self.layer.rows.turns[self.layer.row_block(column, block)])
            most[pe] = max(most.get(pe, 0), turns)
        return sum(most.values())

    @cached_property
    def _per_window(self) -> tuple[int, int]:
        """Rows that a window sends to all PEs of one copy together, and sums that come back from them for one
        position.

        A PE holds a window's rows once, and adds up its own blocks of a column.
        """
        blocks, columns, pe = range(*self.part.blocks), range(*self.part.columns), self._pe
        rows = sum(
            rows * len({pe[column, block % self.layer.blocks] for column in where})
            for block, rows, where in zip(self.row_blocks, self.rows_of, self.columns_of, strict=True)
        )
        sums = sum(
            self.layer.channels_of((column, column + 1)) * len({pe[column, block] for block in blocks})
            for column in columns
        )
        return rows, sums

    # --- what a row takes on its way

    def pooled_values(self, edge: Edge, rows: int) -> int:
        """Values that go into so many pooled rows, for all copies of the layer."""
        channels = len(self.layer.pooled_channels(self.part, edge))
        return rows * edge.width * edge.pool_area * channels * self.part.copy_count

    def pool_cycles(self, edge: Edge | None, rows: int) -> int:
        """Cycles to pool so many rows; 0 where there is no pool or no row."""
        if edge is None or edge.pool_area == 1:
            return 0
        return -(-self.pooled_values(edge, rows) // (self.layer.copies * self.config.pooling.lanes))

    @cached_property
    def _pooled_positions(self) -> int:
        """Positions of a row of neurons behind a pool of currents that are this part's: its copies' share."""
        width, (first, last) = self.stage.leaving_width, self.part.copies
        return width * last // self.layer.copies - width * first // self.layer.copies

    def behind_pool_cycles(self, rows: int) -> int:
        """Cycles in which so many rows of currents are pooled, fire and are written."""
        pool, config = self.stage.pool, self.config
        if pool is None or rows == 0:
            return 0
        taken = rows * pool.width * pool.area * self.part.channels * self.part.copy_count
        neurons = rows * self._pooled_positions * self.part.channels
        return (
            -(-taken // (self.layer.copies * config.pooling.lanes))
            + self._neuron_cycles(neurons)
            - (-neurons * self._leaving_bits // config.tile.bus_bits)
        )

    def behind_pool(self, rows: int, *, first: bool) -> Counts:
        """Neurons updated and values latched, of so many rows behind a pool of currents."""
        neurons = rows * self._pooled_positions * self.part.channels
        return together(
            self._updates(neurons, first=first), {Event.OUTPUT_REGISTER_BITS: neurons * self._leaving_bits}
        )

    def packet_bits(self, edge: Edge | None) -> int:
        """This part's share of a row (without an edge: of a band) that travels as it is: its channels, at the
        positions of its copies.
        """
        if edge is None:
            pool = self.stage.pool if self.is_head else None
            width = self.stage.out_width * self.layer.row_copies if pool is None else pool.width
            total = width * self.stage.out_channels * self._leaving_bits
        else:
            total = edge.row_bits
        return self.layer.share_of(self.part, edge, total)

    def address_bits(self, edge: Edge) -> int:
        """Bits of one value in an address-event packet: its address, and what it has above one bit."""
        values = edge.width * len(self.layer.pooled_channels(self.part, edge))
        return max(1, (values - 1).bit_length()) + edge.bits - 1

    # --- what it counts

    def fetches(self, bits: int, to_pes: int, positions: int) -> Counts:
        """Window columns that came from the tile buffer and went to the PEs, and windows latched, for a
        number of positions.
        """
        planes = self.stage.planes
        return {
            Event.DELAY_READ_BITS if self.delayed else Event.TILE_BUFFER_READ_BITS: bits,
            Event.HTREE_BITS: to_pes,
            Event.PE_BUFFER_WRITE_BITS: to_pes,
            Event.PE_BUFFER_READ_BITS: self._per_window[0] * planes * positions,
            Event.INPUT_REGISTER_BITS: self._latched_rows * planes * positions,
        }

    @cached_property
    def _latched_rows(self) -> int:
        """Input registers of one copy: a row has one in every column of crossbars in which it stands."""
        return sum(n * len(where) for n, where in zip(self.rows_of, self.columns_of, strict=True))

    def pe_bits(self, bits: int) -> int:
        """Bits that go to the PEs for a wave's `bits` from the tile buffer."""
        return bits * self._per_window[0] // self.block_rows

    def reads(self, reads: int, channels: int) -> Counts:
        """Reads of one crossbar (or PE) with `channels` output channels."""
        crossbars, phases = self.layer.unit_crossbars, self.config.column_mux.columns_per_adc
        conversions = reads * channels * self.layer.slices
        counts = {
            Event.CROSSBAR_READS: reads * crossbars,
            Event.CROSSBAR_PHASES: reads * crossbars * phases,
            **self._converted(conversions),
        }
        if self.whole_pe:
            counts |= {Event.PE_CYCLES: reads, Event.PE_PHASES: reads * phases}
        return counts

    def _converted(self, conversions: int) -> Counts:
        """What so many conversions count, with what their columns did before."""
        pulsed = self.config.cells.input_drive == "pulses"
        steps = {Event.COLUMN_STEPS: conversions * ((1 << self.stage.planes) - 1)} if pulsed else {}
        return {Event.CONVERSIONS: conversions, Event.SHIFT_ADDS: conversions, **steps}

    def skipped(self, reads: int, columns: int) -> Counts:
        """Reads of a row block in its `columns` columns that are left out."""
        return {Event.SKIPPED_READS: reads * columns * self.layer.unit_crossbars}

    def sums(self, positions: int) -> Counts:
        """Additions of row blocks, and of the encoding's offset."""
        config = self.config
        subtracts = subtracts_offset(self.stage.weight_bits, config.cells.encoding)
        offset = 1 if subtracts and self.is_head else 0
        counts = {
            Event.PARTIAL_SUM_ADDS: positions * self.part.channels * (self.blocks - 1 + offset),
            Event.HTREE_SUM_BITS: positions * self._per_window[1] * config.lif.partial_sum_bits,
        }
        if not self.whole_pe:
            pes = positions * self.reads_of_position * self._pe_turns
            counts |= {Event.PE_CYCLES: pes, Event.PE_PHASES: pes * config.column_mux.columns_per_adc}
        return counts

    def fire(self, positions: int, *, stored: bool, first: bool) -> Counts:
        """Sums from elsewhere added, neurons updated; before the `first` timestep their state is known."""
        lif = self.config.lif
        outputs = positions * self.part.channels
        counts: Counter[Event] = Counter()
        if not stored:
            counts[Event.PARTIAL_SUM_ADDS] += outputs * self.helpers
            counts[Event.TILE_BUFFER_READ_BITS] += outputs * self.helpers * lif.partial_sum_bits
        counts[Event.RESIDUAL_ADDS] += outputs * len(self.shortcuts)
        for edge in self.shortcuts:
            read = Event.DELAY_READ_BITS if edge.delay else Event.TILE_BUFFER_READ_BITS
            counts[read] += outputs * edge.bits
        if self.keeps:
            event = Event.CURRENT_READ_BITS if stored else Event.CURRENT_WRITE_BITS
            counts[event] += outputs * lif.partial_sum_bits
        if self.fires:
            counts.update(self._updates(outputs, first=first))
        return counts

    def _updates(self, neurons: int, *, first: bool) -> Counts:
        """Neurons updated; before the `first` timestep their state is known. Activations have none."""
        if self.stage.activates:
            return {Event.ACTIVATIONS: neurons}
        state = neurons * self.stage.state_bits(self.config.lif.membrane_bits)
        own = neurons * self.stage.neuron_words * self.config.lif.membrane_bits
        return {
            Event.LIF_UPDATES: neurons * self.stage.updates,
            Event.MEMBRANE_READ_BITS: own + (0 if first else state),
            Event.MEMBRANE_WRITE_BITS: state,
        }

    def write(self, positions: int) -> Counts:
        """Values latched in the output register."""
        return {Event.OUTPUT_REGISTER_BITS: self.output_bits(positions)}

    # --- a whole band of rows, which is a row where copies work on one at a time

    def row_reads(self, blocks: range) -> int:
        """Reads of some row blocks in a band, silent ones included; each is one in every column."""
        return self.positions * self.reads_of_position * sum(self.turns[blocks.start : blocks.stop])

    def row_read_counts(self, blocks: range, reads: int, skipped: int) -> Counts:
        """What a row counts of which some row blocks, of the same run of `alike`, are read so often, and left
        out so often, together.
        """
        where = self.columns_of[blocks.start]
        channels = self.layer.channels_of((where.start, where.stop))
        converted = self._converted(reads * channels * self.layer.slices)
        return together(self.reads(reads * len(where), 0), converted, self.skipped(skipped, len(where)))

    def row_counts(self, *, stored: bool, first: bool) -> Counts:
        """All that a row counts but its reads."""
        counted = [] if stored else [self._of_currents]
        if self.is_head:
            counted.append(self.fire(self.positions, stored=stored, first=first))
        return together(*counted, self.write(self.positions))

    @cached_property
    def _of_currents(self) -> Counts:
        """What a row counts, but its reads, whose currents are not stored: windows brought, sums added up."""
        bits = [wave.fetch_bits for wave in self.waves]
        to_pes = sum(self.pe_bits(n) for n in bits)
        return together(self.fetches(sum(bits), to_pes, self.positions), self.sums(self.positions))


def together(*counted: Counts) -> Counts:
    """The sum of some counts."""
    total: Counts = {}
    for counts in counted:
        for event, number in counts.items():
            total[event] = total.get(event, 0) + number
    return total


def part_figures(placement: Placement, config: HardwareConfig) -> tuple[PartFigures, ...]:
    """The figures of all parts of a chip."""
    helpers = Counter(part.head for part in placement.parts if part.head != part.index)
    pooled = _shares_of_pooling(placement)
    return tuple(
        PartFigures(
            config=config.of_type(placement.layers[part.stage].tile_type),
            layer=placement.layers[part.stage],
            part=part,
            helpers=helpers[part.index],
            shortcuts=tuple(edge for edge in edges_into(placement, part) if edge.role == "side"),
            pool_values=pooled[part.index],
            delayed=any(edge.role == "input" and edge.delay for edge in edges_into(placement, part)),
        )
        for part in placement.parts
    )


def read_of(placement: Placement, config: HardwareConfig) -> tuple[object, ...]:
    """All that the figures of parts read of a chip, but how long a read takes (`sense_cycles`): where it is
    the same for two chips on which parts stand alike, so are all other figures.
    """
    chips = [config.of_type(kind) for kind in sorted({layer.tile_type for layer in placement.layers})]
    return tuple(
        (
            chip.tile, chip.tile_buffer, chip.state_memory.width_bits, chip.lif, chip.activation,
            chip.pooling, chip.adder_tree, chip.column_mux, chip.encoder.mode,
            chip.cells.row_order, chip.cells.encoding, chip.cells.input_drive,
        )
        for chip in chips
    )  # fmt: skip


def _shares_of_pooling(placement: Placement) -> dict[int, int]:
    """A layer's pooling dealt over its heads, in values per timestep, without losing or doubling one."""
    shares: defaultdict[int, int] = defaultdict(int)
    for layer in placement.layers:
        heads = [p for p in placement.parts_of(layer.stage.index) if p.head == p.index]
        whole, before, total = sum(p.channels * p.copy_count for p in heads), 0, layer.stage.pool_inputs
        for part in heads:
            after = before + part.channels * part.copy_count
            shares[part.index] = total * after // whole - total * before // whole
            before = after
    return shares
