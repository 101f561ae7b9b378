"""A part of a layer in its tile, row by row: what both fidelities have in common.

A row starts when its input rows are there and the tile has room for its output. It is then processed in
waves, one position a copy: fetch, drive and sense, convert, add up, fire, write. How long that takes is the
fidelity's business (`begin`); waiting, pooling and sending are the same for both.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import simpy

from imcsim.hardware.events import Event
from imcsim.mapping import Edge, LayerPlacement, Part
from imcsim.timing.jobs import Job
from imcsim.timing.processes.flow import Channel, Room, Wait, missing
from imcsim.timing.recorder import Kind

if TYPE_CHECKING:
    from imcsim.timing.processes.chip import ProcessEngine


@dataclass
class Row:
    """A row under way. `fetched`: its last window is in the input registers. `done`: its last value is
    written.
    """

    fetched: simpy.Event
    done: simpy.Event


class Output:
    """A stream of rows that a part sends: one channel for each receiver.

    `edge` is None for partial sums and class outputs, which leave unpooled.
    """

    def __init__(self, env: simpy.Environment, edge: Edge | None, own_height: int) -> None:
        self.edge = edge
        self.size = edge.pool_size if edge is not None else 1
        self.stride = edge.pool_stride if edge is not None else 1
        self.padding = edge.pool_padding if edge is not None else 0
        self.height = edge.height if edge is not None else own_height
        self.own_height = own_height
        self.channels: list[Channel] = []
        self.queues: list[simpy.Store] = []
        self.undelivered: dict[int, int] = {}
        self.delivered = 0
        self._env = env

    def connect(self, channel: Channel) -> None:
        self.channels.append(channel)
        self.queues.append(simpy.Store(self._env))

    def rows_after(self, y: int) -> range:
        """The delivered rows that are complete once own row y is done: one or none, but for the last own row,
        below which all that is left is padding.
        """
        row, rest = divmod(y + 1 + self.padding - self.size, self.stride)
        if y == self.own_height - 1:
            # The first row that the own row before did not complete.
            before = (y + self.padding - self.size) // self.stride
            return range(max(0, before + 1), self.height)
        return range(row, row + 1) if row >= 0 and rest == 0 and row < self.height else range(0)

    def first_own_row(self, row: int) -> int:
        """The first own row that delivered row `row` needs."""
        return max(0, row * self.stride - self.padding)


class PartProcess:
    """Plays one part of one layer for every job."""

    def __init__(self, engine: ProcessEngine, part: Part, layer: LayerPlacement) -> None:
        self.engine, self.part, self.layer = engine, part, layer
        self.env = engine.env
        self.stage = layer.stage
        self.is_head = part.head == part.index
        self.inputs: list[tuple[Edge, list[Channel]]] = []
        """The crossbar's input stream, with a channel from every part that sends a share of its rows."""
        self.partials: list[Channel] = []
        """Partial sums of this layer's other parts, a row for every output row."""
        self.residuals: list[Channel] = []
        """Shortcut currents or spikes, a row for every output row."""
        self.branches = 0
        """Residual streams that meet here."""
        self.branch_bits = 0
        """Bits that they bring for each output."""
        self.pool_values = 0
        """Values that this part's pooling takes in, a timestep."""
        self.outputs: list[Output] = []
        self.busy_cycles = 0
        self._held: deque[bool] = deque()
        self._ended = self._released = 0
        self.block_rows = int(layer.rows.block_rows[part.blocks[0] : part.blocks[1]].sum())
        self.pe_rows, self.pe_sums = self._spread_over_pes()
        self.tree_cycles = 1 + (
            (part.blocks[1] - part.blocks[0] - 1).bit_length() * engine.config.adder_tree.level_cycles
        )

    def _spread_over_pes(self) -> tuple[int, int]:
        """Rows that a window sends to all PEs of one copy together, and sums that come back from them for one
        position.

        Crossbars fill PEs column by column; a PE holds a window's rows once, and adds up its own blocks of a
        column.
        """
        blocks = range(*self.part.blocks)
        columns = range(*self.part.columns)
        holds = 1 if self.engine.whole_pe else self.engine.config.tile.crossbars_per_pe
        pe = {
            (column, block): (x * len(blocks) + y) // holds
            for x, column in enumerate(columns)
            for y, block in enumerate(blocks)
        }
        block_rows = self.layer.rows.block_rows
        rows = sum(
            int(block_rows[block]) * len({pe[column, block] for column in columns}) for block in blocks
        )
        sums = sum(
            self.column_channels(column) * len({pe[column, block] for block in blocks}) for column in columns
        )
        return rows, sums

    # --- figures of a wave

    def copies(self, wave: int) -> int:
        """Copies of this part that have a position in this wave; they are the first ones of its range."""
        left = self.stage.out_width - wave * self.layer.copies - self.part.copies[0]
        return max(0, min(self.part.copy_count, left))

    def fetch_bits(self, wave: int, copies: int) -> int:
        """Bits that a wave brings from the tile buffer: whole windows at the start of a row, then new
        columns.
        """
        stage = self.stage
        columns = stage.kernel[1] + stage.stride[1] * (copies - 1)
        if wave > 0:
            columns = min(columns, stage.stride[1] * self.layer.copies)
        if stage.dilation[1] > 1:
            before = self._window_columns(wave - 1, self.copies(wave - 1)) if wave > 0 else set()
            columns = len(self._window_columns(wave, copies) - before)
        return -(-columns * self.block_rows * stage.planes // stage.kernel[1])

    def _window_columns(self, wave: int, copies: int) -> set[int]:
        """Input columns under the windows of a wave, counted from the left of the padding."""
        stage, first = self.stage, wave * self.layer.copies + self.part.copies[0]
        return {
            (first + copy) * stage.stride[1] + k * stage.dilation[1]
            for copy in range(copies)
            for k in range(stage.kernel[1])
        }

    def fetch_cycles(self, wave: int, copies: int) -> int:
        """Cycles on the bus, or of the tile buffer where that is narrower."""
        bits, config = self.fetch_bits(wave, copies), self.engine.config
        return max(-(-bits // config.tile.bus_bits), config.tile_buffer.access_cycles(bits))

    def lif_cycles(self, copies: int) -> int:
        """A lane takes a cycle for each word of state: leak and add."""
        return -(-copies * self.part.channels * self.stage.states // self.engine.config.lif.lanes)

    def output_bits(self, copies: int) -> int:
        """Bits that a wave writes: spikes, or sums of a part or branch without neurons that fire."""
        spikes = self.is_head and self.stage.spikes
        return copies * self.part.channels * (1 if spikes else self.engine.config.lif.partial_sum_bits)

    def write_cycles(self, copies: int) -> int:
        return -(-self.output_bits(copies) // self.engine.config.tile.bus_bits)

    def sides(self, stored: bool) -> list[Channel]:
        """Channels that bring a row for every output row. A stored encoder's sums are complete."""
        return self.residuals if stored else self.partials + self.residuals

    def missing_sides(self, job: Job, y: int, stored: bool) -> list[simpy.Event]:
        """What row y must wait for before it fires: partial sums and residuals that have not come."""
        rows = self.stage.out_height
        events = missing(self.residuals, job.number * rows + y + 1)
        if not stored:
            # A stored encoder's other parts do nothing, so its partial sums come once for each image.
            maps = job.image_map if self.engine.keeps(self.stage) else job.number
            events += missing(self.partials, maps * rows + y + 1)
        return events

    def column_channels(self, column: int) -> int:
        """Output channels in one column of crossbars."""
        per = self.layer.channels_per_column
        return min((column + 1) * per, self.stage.out_channels) - column * per

    def _pooled_values(self, edge: Edge, rows: int) -> int:
        """Values that go into a number of pooled rows, for all copies of the layer."""
        return rows * edge.width * edge.pool_area * self.part.channels * self.part.copy_count

    def pool_cycles(self, edge: Edge | None, rows: int) -> int:
        """Cycles to pool a number of rows; 0 where there is no pool or no row."""
        if edge is None or edge.pool_area == 1:
            return 0
        return -(-self._pooled_values(edge, rows) // (self.layer.copies * self.engine.config.pooling.lanes))

    # --- counting

    def pe_bits(self, bits: int) -> int:
        """Bits that go to the PEs for a wave's `bits` from the tile buffer."""
        return bits * self.pe_rows // self.block_rows

    def count_fetches(self, job: Job, bits: int, to_pes: int, positions: int) -> None:
        """Window columns that came from the tile buffer and went to the PEs, and windows latched, for a
        number of positions.
        """
        count, stage = self.engine.count, self.stage
        count(Event.TILE_BUFFER_READ_BITS, job, stage, bits)
        count(Event.HTREE_BITS, job, stage, to_pes)
        count(Event.PE_BUFFER_WRITE_BITS, job, stage, to_pes)
        count(Event.PE_BUFFER_READ_BITS, job, stage, self.pe_rows * stage.planes * positions)
        window = self.block_rows * stage.planes * positions
        count(Event.INPUT_REGISTER_BITS, job, stage, window * (self.part.columns[1] - self.part.columns[0]))

    def count_reads(self, job: Job, reads: int, channels: int) -> None:
        """Reads of one crossbar (or PE) with `channels` output channels."""
        count, stage, crossbars = self.engine.count, self.stage, self.layer.unit_crossbars
        phases = self.engine.config.column_mux.columns_per_adc
        conversions = reads * channels * self.layer.slices
        count(Event.CROSSBAR_READS, job, stage, reads * crossbars)
        count(Event.CROSSBAR_PHASES, job, stage, reads * crossbars * phases)
        count(Event.CONVERSIONS, job, stage, conversions)
        count(Event.SHIFT_ADDS, job, stage, conversions)
        if self.engine.whole_pe:
            count(Event.PE_CYCLES, job, stage, reads)
            count(Event.PE_PHASES, job, stage, reads * phases)

    def count_sums(self, job: Job, positions: int) -> None:
        """Additions of row blocks, and of the encoding's offset."""
        count, stage, part, config = self.engine.count, self.stage, self.part, self.engine.config
        blocks = part.blocks[1] - part.blocks[0]
        outputs = positions * part.channels
        offset = 1 if config.cells.encoding == "offset" and self.is_head else 0
        count(Event.PARTIAL_SUM_ADDS, job, stage, outputs * (blocks - 1 + offset))
        count(Event.HTREE_SUM_BITS, job, stage, positions * self.pe_sums * config.lif.partial_sum_bits)
        if not self.engine.whole_pe:
            pes = (
                positions
                * stage.planes
                * -(-blocks * (part.columns[1] - part.columns[0]) // config.tile.crossbars_per_pe)
            )
            count(Event.PE_CYCLES, job, stage, pes)
            count(Event.PE_PHASES, job, stage, pes * config.column_mux.columns_per_adc)

    def count_fire(self, job: Job, positions: int, stored: bool) -> None:
        """Sums from elsewhere added, and neurons updated."""
        count, stage, config = self.engine.count, self.stage, self.engine.config
        outputs = positions * self.part.channels
        if self.partials and not stored:
            count(Event.PARTIAL_SUM_ADDS, job, stage, outputs * len(self.partials))
            sums = outputs * len(self.partials) * config.lif.partial_sum_bits
            count(Event.TILE_BUFFER_READ_BITS, job, stage, sums)
        if self.branches:
            count(Event.RESIDUAL_ADDS, job, stage, outputs * self.branches)
            count(Event.TILE_BUFFER_READ_BITS, job, stage, outputs * self.branch_bits)
        if self.engine.keeps(stage):
            event = Event.CURRENT_READ_BITS if stored else Event.CURRENT_WRITE_BITS
            count(event, job, stage, outputs * config.lif.partial_sum_bits)
        if stage.neurons:
            words = outputs * stage.states
            count(Event.LIF_UPDATES, job, stage, words)
            if job.timestep > 0:  # before that the state is known to be 0
                count(Event.MEMBRANE_READ_BITS, job, stage, words * config.lif.membrane_bits)
            count(Event.MEMBRANE_WRITE_BITS, job, stage, words * config.lif.membrane_bits)

    def count_write(self, job: Job, positions: int) -> None:
        """Values latched in the output register."""
        self.engine.count(Event.OUTPUT_REGISTER_BITS, job, self.stage, self.output_bits(positions))

    def driven_cycles(self) -> int:
        """Cycles in which this part's crossbars were driven or sensed."""
        return self.busy_cycles

    def note(
        self,
        kind: Kind,
        job: Job,
        y: int,
        began: float,
        number: int,
        unit: tuple[int, int, int] | None = None,
    ) -> None:
        """Tell the recorder, where there is one, of work for row y that ends now."""
        if self.engine.recorder is not None:
            about = {"part": self.part.index, "tile": self.part.tile, "row": y}
            self.engine.recorder.note(
                kind, job, self.stage.index + 1, began, self.env.now, number, unit=unit, **about
            )

    # --- the course of a row

    def begin(self, job: Job, y: int, stored: bool) -> Row:
        """Start a row now; its inputs are there. Given by the fidelity."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make room for output rows. Called when all channels are connected."""
        pooling = max((out.size for out in self.outputs), default=1)
        self.out_room = Room(self.env, self.engine.config.tile.output_rows + pooling - 1)

    def start(self) -> None:
        """Begin."""
        for number, out in enumerate(self.outputs):
            for k in range(len(out.channels)):
                self.env.process(self._sender(number, k))
        self.env.process(self._run())

    def _run(self) -> Wait:
        number = 0
        while True:
            job = yield from self.engine.jobs.take(number)
            if job is None:
                return
            yield from self._job(job)
            if self.part.index == 0:
                job.entered.succeed()
            number += 1

    def _job(self, job: Job) -> Wait:
        """All rows of one timestep of one image. A stored encoder only fires again."""
        engine, stage, env = self.engine, self.stage, self.env
        stored = engine.stored(stage, job)
        if stored and not self.is_head:
            return
        freed = 0
        for y in range(stage.out_height):
            held = False
            if not job.dead(env.now):
                held = True
                wait = self.out_room.take()
                if wait is not None:
                    yield wait
                if not stored:
                    for edge, channels in self.inputs:
                        needed = engine.turn(edge, job) * edge.height + stage.rows_needed(y, edge.height)
                        events = missing(channels, needed)
                        if events:
                            yield env.all_of(events) if len(events) > 1 else events[0]
            void = job.dead(env.now)
            if void and held:
                self.out_room.give()
            self._held.append(not void)
            if not void:
                row = self.begin(job, y, stored)
                if not row.fetched.processed:
                    yield row.fetched
            if not stored:
                for edge, channels in self.inputs:
                    done = stage.rows_done(y, edge.height)
                    for channel in channels:
                        channel.free(done - freed)
                    freed = done
            if void:
                self._leave(job, y, stored)
            else:
                env.process(self._finish(job, y, stored, row.done))

    def _finish(self, job: Job, y: int, stored: bool, done: simpy.Event) -> Wait:
        """When a row is done: pool it, and queue it for sending."""
        began = int(self.env.now)
        if not done.processed:
            yield done
        self.engine.worked(self.part.tile, began, job)
        for out in self.outputs:
            ready = len(out.rows_after(y))
            if ready and out.edge is not None and out.edge.pool_area > 1:
                pooling = self.env.now
                yield self.env.timeout(self.pool_cycles(out.edge, ready))
                self.note("pool", job, y, pooling, self._pooled_values(out.edge, ready))
        if y == self.stage.out_height - 1 and self.pool_values:
            self.engine.count(Event.POOL_OPERATIONS, job, self.stage, self.pool_values)
        self._leave(job, y, stored)

    def _leave(self, job: Job, y: int, stored: bool) -> None:
        """A row has ended, or was never started: let go of what it held and pass it on."""
        self._ended += 1
        for channel in self.sides(stored):
            channel.free(1)
        for out in self.outputs:
            for row in out.rows_after(y):
                number = job.number * out.height + row
                out.undelivered[number] = len(out.channels)
                for queue in out.queues:
                    queue.put((job, number))
        self._release()

    def _sender(self, number: int, k: int) -> Wait:
        """Send queued rows one after the other, each when the receiver has room; drop what is cancelled."""
        out, engine = self.outputs[number], self.engine
        channel, queue = out.channels[k], out.queues[k]
        rank = engine.rank()
        while True:
            job, row = yield queue.get()
            if not job.dead(self.env.now):
                wait = channel.room.take()
                if wait is not None:
                    yield wait
                if job.dead(self.env.now):
                    channel.room.give()
            if job.dead(self.env.now):
                channel.arrive(void=True)
            else:
                bits = self._packet_bits(out.edge, job, row)
                values = out.edge is not None and bool(out.edge.node)
                yield from engine.carry(
                    job, self.stage.index + 1, self.part.tile, channel, bits, rank, values=values
                )
            out.undelivered[row] -= 1
            if out.undelivered[row] == 0:
                del out.undelivered[row]
                out.delivered += 1
                self._release()

    def _packet_bits(self, edge: Edge | None, job: Job, row: int) -> int:
        """This part's share of a delivered row: its channels, and the positions of its copies."""
        if edge is not None:
            coded = self.engine.coded_bits(edge, self.part, job, row % edge.height)
            if coded is not None:
                return coded
        return self.plain_bits(edge)

    def plain_bits(self, edge: Edge | None) -> int:
        """This part's share of a row that travels as it is."""
        if edge is None:
            total = self.stage.out_width * self.stage.out_channels
            if not (self.is_head and self.stage.spikes):
                total *= self.engine.config.lif.partial_sum_bits
        else:
            total = edge.row_bits
        share = self.part.channels * self.part.copy_count
        return -(-total * share // (self.stage.out_channels * self.layer.copies))

    def _release(self) -> None:
        """A stream has moved on, or a row has ended: free the output rows that no stream needs any more."""
        own, gone = self.stage.out_height, []
        for out in self.outputs:
            turn, row = divmod(out.delivered, out.height)
            # Rows that pooling leaves over at the bottom go with the last pooled row, or later when they end.
            gone.append(turn * own + out.first_own_row(row))
        count = min(*gone, self._ended) - self._released
        if count > 0:
            self._released += count
            held = sum(self._held.popleft() for _ in range(count))
            if held:
                self.out_room.give(held)
