"""A part of a layer in its tile: fetch, drive and sense, convert, add up, fire, write, send.

Positions of an output row are processed in waves, one position a copy. A wave goes through the stages in order; the
next wave follows as soon as a stage is free.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import simpy

from imcsim.hardware.events import Event
from imcsim.mapping import Edge, LayerPlacement, Part
from imcsim.timing.flow import Channel, Wait, all_reach

if TYPE_CHECKING:
    from imcsim.timing.engine import Engine


class TilePorts:
    """What the parts in one tile share: the bus from the buffer, the LIF lanes, the way out."""

    def __init__(self, env: simpy.Environment) -> None:
        self.bus = simpy.Resource(env, capacity=1)
        self.lif = simpy.Resource(env, capacity=1)
        self.write = simpy.Resource(env, capacity=1)
        self.busy_cycles = 0


class Unit:
    """One crossbar with its ADCs (or one PE whose crossbars share them)."""

    def __init__(self, env: simpy.Environment, channels: int) -> None:
        self.array = simpy.Resource(env, capacity=1)
        self.adcs = simpy.Resource(env, capacity=1)
        self.channels = channels


class PartProcess:
    """Plays one part of one layer for every timestep of an image."""

    def __init__(self, engine: Engine, part: Part, layer: LayerPlacement, ports: TilePorts) -> None:
        env = engine.env
        self.engine, self.part, self.layer, self.ports = engine, part, layer, ports
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
        self.pool_values = 0
        """Values that this part's pooling takes in, a timestep."""
        self.outputs: list[tuple[Edge | None, list[Channel]]] = []
        config = engine.config
        self.windows = simpy.Container(env, capacity=config.tile.input_sets, init=config.tile.input_sets)
        self.sums = simpy.Container(env, capacity=config.tile.input_sets, init=config.tile.input_sets)
        self.drive = simpy.Resource(env, capacity=1)
        self.units = {
            (copy, column, block): Unit(env, self._channels(column))
            for copy in range(*part.copies)
            for column in range(*part.columns)
            for block in range(*part.blocks)
        }
        self.tree_cycles = 1 + (part.blocks[1] - part.blocks[0] - 1).bit_length() * config.adder_tree.level_cycles

    def _channels(self, column: int) -> int:
        per = self.layer.channels_per_column
        return min((column + 1) * per, self.stage.out_channels) - column * per

    def start(self) -> None:
        """Make room for output rows and begin. Called when all channels are connected."""
        env = self.engine.env
        pooling = max((edge.pool_size for edge, _ in self.outputs if edge is not None), default=1)
        capacity = self.engine.config.tile.output_rows + pooling - 1
        self.out_room = simpy.Container(env, capacity=capacity, init=capacity)
        self._sent: dict[int, int] = defaultdict(int)
        self._out_freed = 0
        for number, (edge, channels) in enumerate(self.outputs):
            for channel in channels:
                env.process(self._sender(number, edge, channel))
        self._undelivered: dict[tuple[int, int], int] = {}
        env.process(self._run())

    def _run(self) -> Wait:
        """All timesteps, row by row. A stored encoder only fires again."""
        engine, stage = self.engine, self.stage
        for t in range(engine.timesteps):
            yield engine.go[t]
            stored = engine.stored(stage, t)
            if stored and not self.is_head:
                continue
            freed = 0
            for y in range(stage.out_height):
                yield self.out_room.get(1)
                if not stored:
                    for edge, channels in self.inputs:
                        needed = stage.rows_needed(y, edge.height)
                        yield all_reach(engine.env, channels, engine.turn(edge, t) * edge.height + needed)
                waves = []
                for wave in range(self.layer.waves_per_row):
                    copies = self._copies(wave)
                    if not copies:
                        continue
                    if not stored:
                        yield self.windows.get(1)
                        yield from self._fetch(t, wave, copies)
                    waves.append(engine.env.process(self._wave(t, y, copies, stored)))
                if not stored:
                    for edge, channels in self.inputs:
                        done = stage.rows_done(y, edge.height)
                        for channel in channels:
                            channel.free(done - freed)
                        freed = done
                engine.env.process(self._finish_row(t, y, waves, stored))

    def _copies(self, wave: int) -> list[int]:
        """Copies of this part that have a position in this wave."""
        width, total = self.stage.out_width, self.layer.copies
        return [c for c in range(*self.part.copies) if wave * total + c < width]

    def _fetch(self, t: int, wave: int, copies: list[int]) -> Wait:
        """Bring new window columns from the tile buffer to the PE buffers, and latch the windows."""
        engine, stage, part = self.engine, self.stage, self.part
        share = self._row_share()
        columns = stage.kernel[1] + stage.stride[1] * (len(copies) - 1)
        if wave > 0:
            columns = min(columns, stage.stride[1] * self.layer.copies)
        bits = -(-columns * share * stage.planes // stage.kernel[1])
        engine.count(Event.TILE_BUFFER_READ_BITS, t, stage, bits)
        engine.count(Event.HTREE_BITS, t, stage, bits)
        engine.count(Event.PE_BUFFER_WRITE_BITS, t, stage, bits)
        with self.ports.bus.request() as request:
            yield request
            yield engine.env.timeout(-(-bits // engine.config.tile.bus_bits))
        window = share * stage.planes * len(copies)
        engine.count(Event.PE_BUFFER_READ_BITS, t, stage, window)
        engine.count(Event.INPUT_REGISTER_BITS, t, stage, window * (part.columns[1] - part.columns[0]))

    def _row_share(self) -> int:
        """Rows of the layer that this part's blocks hold."""
        return int(self.layer.rows.block_rows[self.part.blocks[0] : self.part.blocks[1]].sum())

    def _wave(self, t: int, y: int, copies: list[int], stored: bool) -> Wait:
        """One position a copy, from the crossbars to the output register."""
        engine, stage = self.engine, self.stage
        yield self.sums.get(1)
        if not stored:
            yield from self._read(t, copies)
            yield engine.env.timeout(self.tree_cycles)
            self._count_sums(t, copies)
        if self.is_head:
            needed = t * stage.out_height + y + 1
            yield all_reach(engine.env, self.residuals if stored else self.partials + self.residuals, needed)
            yield from self._fire(t, len(copies) * self.part.channels, stored)
        self.sums.put(1)
        bits = len(copies) * self.part.channels * self._output_bits()
        engine.count(Event.OUTPUT_REGISTER_BITS, t, stage, bits)
        with self.ports.write.request() as request:
            yield request
            yield engine.env.timeout(-(-bits // engine.config.tile.bus_bits))

    def _output_bits(self) -> int:
        fires = self.is_head and self.stage.neurons
        return 1 if fires else self.engine.config.lif.partial_sum_bits

    def _read(self, t: int, copies: list[int]) -> Wait:
        """Drive the wordlines once for each input bit; ends when the last code is out of the ADCs."""
        engine, part = self.engine, self.part
        units = [
            self.units[copy, column, block]
            for copy in copies
            for column in range(*part.columns)
            for block in range(*part.blocks)
        ]
        conversions: list[simpy.Event] = []
        with self.drive.request() as request:
            yield request
            for _ in range(self.stage.planes):
                sampled = []
                for unit in units:
                    sample = engine.env.event()
                    conversions.append(engine.env.process(self._crossbar(t, unit, sample)))
                    sampled.append(sample)
                began = engine.env.now
                yield engine.env.all_of(sampled)
                self.ports.busy_cycles += engine.env.now - began
            self.windows.put(1)
        yield engine.env.all_of(conversions)

    def _crossbar(self, t: int, unit: Unit, sampled: simpy.Event) -> Wait:
        """One read: sense, wait for the ADCs, hand the sample over, convert column after column."""
        engine, stage, crossbars = self.engine, self.stage, self.layer.unit_crossbars
        with unit.array.request() as array:
            yield array
            yield engine.env.timeout(engine.config.sense_cycles)
            adcs = unit.adcs.request()
            yield adcs
        sampled.succeed()
        yield engine.env.timeout(engine.config.convert_cycles)
        unit.adcs.release(adcs)
        phases = engine.config.column_mux.columns_per_adc
        conversions = unit.channels * self.layer.slices
        engine.count(Event.CROSSBAR_READS, t, stage, crossbars)
        engine.count(Event.CROSSBAR_PHASES, t, stage, crossbars * phases)
        engine.count(Event.CONVERSIONS, t, stage, conversions)
        engine.count(Event.SHIFT_ADDS, t, stage, conversions)
        if crossbars > 1 or engine.whole_pe:
            engine.count(Event.PE_CYCLES, t, stage, 1)
            engine.count(Event.PE_PHASES, t, stage, phases)

    def _count_sums(self, t: int, copies: list[int]) -> None:
        """Additions of row blocks, and of the encoding's offset, for one wave."""
        engine, part = self.engine, self.part
        blocks = part.blocks[1] - part.blocks[0]
        outputs = len(copies) * part.channels
        offset = 1 if engine.config.cells.encoding == "offset" and self.is_head else 0
        engine.count(Event.PARTIAL_SUM_ADDS, t, self.stage, outputs * (blocks - 1 + offset))
        engine.count(Event.HTREE_BITS, t, self.stage, outputs * engine.config.lif.partial_sum_bits)
        if not engine.whole_pe:
            pes = -(-blocks * (part.columns[1] - part.columns[0]) // engine.config.tile.crossbars_per_pe)
            engine.count(Event.PE_CYCLES, t, self.stage, pes * len(copies))
            engine.count(
                Event.PE_PHASES, t, self.stage, pes * len(copies) * engine.config.column_mux.columns_per_adc
            )

    def _fire(self, t: int, outputs: int, stored: bool) -> Wait:
        """Add what came from elsewhere, and update the neurons, lane by lane."""
        engine, stage = self.engine, self.stage
        config = engine.config
        if self.partials and not stored:
            engine.count(Event.PARTIAL_SUM_ADDS, t, stage, outputs * len(self.partials))
        if self.branches:
            engine.count(Event.RESIDUAL_ADDS, t, stage, outputs * self.branches)
        if engine.keeps(stage):
            event = Event.CURRENT_READ_BITS if stored else Event.CURRENT_WRITE_BITS
            engine.count(event, t, stage, outputs * config.lif.partial_sum_bits)
        if not stage.neurons:
            return
        with self.ports.lif.request() as request:
            yield request
            yield engine.env.timeout(-(-outputs // config.lif.lanes))
        engine.count(Event.LIF_UPDATES, t, stage, outputs)
        engine.count(Event.MEMBRANE_READ_BITS, t, stage, outputs * config.lif.membrane_bits)
        engine.count(Event.MEMBRANE_WRITE_BITS, t, stage, outputs * config.lif.membrane_bits)

    def _finish_row(self, t: int, y: int, waves: list[simpy.Process], stored: bool) -> Wait:
        """When all waves of a row are done: free what came from the sides, pool, and queue the row for sending."""
        engine, stage = self.engine, self.stage
        yield engine.env.all_of(waves)
        for channel in self.residuals if stored else self.partials + self.residuals:
            channel.free(1)
        if y == stage.out_height - 1 and self.pool_values:
            engine.count(Event.POOL_OPERATIONS, t, stage, self.pool_values)
        for number, (edge, channels) in enumerate(self.outputs):
            size, stride, height = 1, 1, stage.out_height
            if edge is not None:
                size, stride, height = edge.pool_size, edge.pool_stride, edge.height
            row, rest = divmod(y + 1 - size, stride)
            if row < 0 or rest or row >= height:
                continue
            if edge is not None and size > 1:
                values = edge.width * size * size * self.part.channels * self.part.copy_count
                yield engine.env.timeout(-(-values // (self.layer.copies * engine.config.pooling.lanes)))
            self._undelivered[number, t * height + row] = len(channels)
            for channel in channels:
                channel.queue.put((t, t * height + row))

    def _sender(self, number: int, edge: Edge | None, channel: Channel) -> Wait:
        """Send queued rows one after the other, each when the receiver has room."""
        engine = self.engine
        while True:
            t, row = yield channel.queue.get()
            yield channel.room.get(1)
            bits = self._packet_bits(edge)
            yield from engine.carry(t, self.stage.index + 1, self.part.tile, channel, bits)
            left = self._undelivered[number, row] = self._undelivered[number, row] - 1
            if left == 0:
                del self._undelivered[number, row]
                self._deliver(number)

    def _packet_bits(self, edge: Edge | None) -> int:
        """This part's share of a delivered row: its channels, and the positions of its copies."""
        total = self.stage.out_width * self.stage.out_channels * self.engine.config.lif.partial_sum_bits
        if edge is not None:
            total = edge.row_bits
        share = self.part.channels * self.part.copy_count
        return -(-total * share // (self.stage.out_channels * self.layer.copies))

    def _deliver(self, number: int) -> None:
        """A stream has moved on: free the output rows that no stream needs any more."""
        self._sent[number] += 1
        own, freed = self.stage.out_height, []
        for k, (edge, _) in enumerate(self.outputs):
            height, stride = (own, 1) if edge is None else (edge.height, edge.pool_stride)
            turn, row = divmod(self._sent[k], height)
            # Rows that pooling leaves over at the bottom go with the last pooled row.
            freed.append(turn * own + row * stride)
        free = min(freed) - self._out_freed
        if free > 0:
            self._out_freed += free
            self.out_room.put(free)
