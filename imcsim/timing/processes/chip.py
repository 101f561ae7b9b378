"""Tiles and mesh as SimPy processes: the chip of `reference`, and of `burst` where somebody records it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import IMAGE, Edge, Part, Placement, Stage
from imcsim.timing.engine import Engine
from imcsim.timing.image_work import ImageWork
from imcsim.timing.issue import Timing
from imcsim.timing.jobs import Job
from imcsim.timing.processes.burst import BurstPart
from imcsim.timing.processes.flow import Channel, Wait, missing
from imcsim.timing.processes.mesh import Mesh, Node
from imcsim.timing.processes.part import Output, PartProcess
from imcsim.timing.processes.reference import ReferencePart
from imcsim.timing.recorder import Recorder

ORIGIN: Node = (0, 0)
"""Mesh position of the global buffer and the checker."""


def _rows_at_once(edge: Edge, stage: Stage) -> int:
    """Rows of a stream that a part must hold to go on: a window for a convolution, all for a linear layer."""
    if edge.role == "side":
        return 1
    return min(edge.height, stage.extent[0] if stage.kind == "conv" else edge.height)


class ProcessEngine(Engine):
    """Every part, sender, packet and link is a process or an event."""

    def __init__(
        self,
        placement: Placement,
        config: HardwareConfig,
        exits: Sequence[int],
        timing: Timing,
        arrivals: Sequence[int] | None = None,
        work: Sequence[ImageWork] | None = None,
        progress: Callable[[int, int], None] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__(placement, config, exits, timing, arrivals, work, progress, recorder)
        self.whole_pe = config.cells.row_order == "kernel_position"
        self.mesh = Mesh(self.env, config.noc.flit_bits, config.noc.hop_cycles, recorder)
        self._ranks = 0
        self._gated = config.clock.gating == "idle_tiles"
        self._tile_rows: list[list[tuple[int, int, int]]] = [[] for _ in range(placement.tiles)]
        self._streams_of: dict[int, int] = {}
        self.channels: list[Channel] = []
        kind = ReferencePart if timing.fidelity == "reference" else BurstPart
        self.parts = [kind(self, part, placement.layers[part.stage]) for part in placement.parts]
        self.class_channels: list[Channel] = []
        self.image_channels: list[tuple[Edge, Channel]] = []
        self._connect()

    # --- what parts ask for

    def rank(self) -> int:
        """A number for each sender, in the order of wiring: who goes first if two ask for a link at once."""
        self._ranks += 1
        return self._ranks

    def count(self, event: Event, job: Job, stage: Stage, number: int) -> None:
        """Count events of a layer."""
        self.counter.add(event, job.number, stage.index + 1, number)

    def keeps(self, stage: Stage) -> bool:
        """Whether this layer's currents are computed once and stored."""
        return stage.reads_image and self.config.encoder.mode == "keep"

    def stored(self, stage: Stage, job: Job) -> bool:
        """Whether this layer's currents are already there."""
        return job.timestep > 0 and self.keeps(stage)

    def turn(self, edge: Edge, job: Job) -> int:
        """How many whole maps come over an edge before this job's."""
        return job.image_map if edge.source == IMAGE else job.number

    def active(self, stage: Stage, job: Job) -> NDArray[np.bool_] | None:
        """Reads with a row to drive, ``[positions, planes, blocks]``; None when every read takes place."""
        if self.work is None or not self.config.activity.skip_zero_reads:
            return None
        reads: NDArray[np.bool_] = self.work[job.image].active[stage.index][job.timestep]
        return reads

    def coded_bits(self, edge: Edge, part: Part, job: Job, row: int) -> int | None:
        """Bits of an address-event packet, or None where rows travel as they are."""
        if (
            self.work is None
            or self.config.activity.spike_coding == "bitmap"
            or edge not in self.work[job.image].events
        ):
            return None
        layer = self.placement.layers[part.stage]
        first = part.columns[0] * layer.channels_per_column
        events = int(
            self.work[job.image].events[edge][job.timestep, row, first : first + part.channels].sum()
        )
        mine = -(-events * part.copy_count // layer.copies)
        return mine * self.event_bits(edge, part)

    def event_bits(self, edge: Edge, part: Part) -> int:
        """Bits of one value in an address-event packet: its address, and what it has above one bit."""
        return max(1, (edge.width * part.channels - 1).bit_length()) + edge.bits - 1

    def worked(self, tile: int, began: int, job: Job) -> None:
        """A row has kept a tile powered from `began` until now."""
        if self._gated:
            self._tile_rows[tile].append((began, int(self.env.now), job.number))

    def carry(
        self, job: Job, layer: int, tile: int | None, channel: Channel, bits: int, rank: int, *, values: bool
    ) -> Wait:
        """Bring a row of `bits` bits, values or currents, to its receiver; within a tile it takes a cycle."""
        source = ORIGIN if tile is None else self.placement.positions[tile]
        target = channel.target
        began = self.env.now
        if self.recorder is not None:
            self.recorder.sends(rank, job, layer)
        node = ORIGIN
        if isinstance(target, PartProcess):
            node = self.placement.positions[target.part.tile]
            self.counter.add(Event.TILE_BUFFER_WRITE_BITS, job.number, target.stage.index + 1, bits)
        if isinstance(target, PartProcess) and tile == target.part.tile:
            yield self.env.timeout(1)
        else:
            flits = self.mesh.flits(bits)
            hops = len(self.mesh.path(source, node))
            self.counter.add(Event.FLIT_HOPS, job.number, layer, flits * hops)
            moved = Event.NOC_VALUE_BITS if values else Event.NOC_CURRENT_BITS
            self.counter.add(moved, job.number, layer, bits * hops)
            yield from self.mesh.send(source, node, flits, rank)
        if self.recorder is not None:
            tile = -1 if tile is None else tile
            self.recorder.note("send", job, layer, began, self.env.now, bits, tile=tile)
        channel.arrive()

    # --- wiring

    def _connect(self) -> None:
        graph = self.placement.graph
        for part in self.parts:
            streams = self._streams(part.part.tile)
            for edge in graph.inputs(part.stage):
                if edge.role == "input" or part.is_head:
                    self._connect_edge(edge, part, streams)
            if not part.is_head:
                self._connect_partial(part)
        for part in self.parts:
            if part.stage.is_output and part.is_head:
                channel = self._channel(f"class outputs of {part.stage.name}", 1, part, None)
                self._output(part, None).connect(channel)
                self.class_channels.append(channel)
        self._share_pooling()
        for part in self.parts:
            part.prepare()

    def _streams(self, tile: int) -> int:
        """Streams of rows that come into a tile and share its buffer."""
        if tile not in self._streams_of:
            graph, streams = self.placement.graph, 0
            for part in self.parts:
                if part.part.tile == tile:
                    helpers = [p for p in self.placement.parts if p.head == part.part.index != p.index]
                    streams += len(helpers) + sum(
                        1 for e in graph.inputs(part.stage) if e.role == "input" or part.is_head
                    )
            self._streams_of[tile] = streams
        return self._streams_of[tile]

    def _output(self, part: PartProcess, edge: Edge | None) -> Output:
        """The part's stream for an edge, made when it is first asked for."""
        for known in part.outputs:
            if known.edge is edge and edge is not None:
                return known
        part.outputs.append(Output(self.env, edge, part.stage.out_height))
        return part.outputs[-1]

    def _connect_edge(self, edge: Edge, target: PartProcess, streams: int) -> None:
        """Channels for one stream into one part, from every part that sends a share of its rows."""
        room = self._room(edge.row_bits, streams)
        needed = _rows_at_once(edge, target.stage)
        if room < needed:
            # All layers must fit, so that one correction is enough.
            smallest = max(
                -(-_rows_at_once(e, part.stage) * e.row_bits * self._streams(part.part.tile) // 8)
                for part in self.parts
                for e in self.placement.graph.inputs(part.stage)
                if e.role == "input" or part.is_head
            )
            raise ImcsimError(
                f"layer {target.stage.name} needs {needed} input rows of {edge.row_bits} bits at a time; "
                f"its share of the tile buffer holds {room}",
                key="tile_buffer.capacity_bytes",
                fix=f"set it to at least {smallest}",
            )
        channels = []
        if edge.source == IMAGE:
            channel = self._channel(f"image rows for {target.stage.name}", room, None, target)
            self.image_channels.append((edge, channel))
            channels.append(channel)
        for source in self.parts:
            if source.stage.index != edge.source or not source.is_head:
                continue
            channel = self._channel(
                f"rows from {source.stage.name} to {target.stage.name}", room, source, target
            )
            channels.append(channel)
            self._output(source, edge).connect(channel)
        if edge.role == "input":
            target.inputs.append((edge, channels))
        else:
            target.residuals.extend(channels)
            target.branches += 1
            target.branch_bits += edge.bits

    def _connect_partial(self, part: PartProcess) -> None:
        """Partial sums of a part to the head of its columns."""
        head = self.parts[part.part.head]
        bits = part.stage.out_width * part.part.channels * self.config.lif.partial_sum_bits
        # A head adds a row up as it comes, so one row's place is enough even where the buffer is smaller.
        room = max(1, self._room(bits, self._streams(head.part.tile)))
        channel = self._channel(f"partial sums of {part.stage.name}", room, part, head)
        self._output(part, None).connect(channel)
        head.partials.append(channel)

    def _room(self, row_bits: int, streams: int) -> int:
        """Rows that fit into a stream's share of the tile buffer."""
        return self.config.tile_buffer.capacity_bytes * 8 // streams // row_bits

    def _channel(
        self, name: str, room: int, source: PartProcess | None, target: PartProcess | None
    ) -> Channel:
        channel = Channel(self.env, name, room, source, target)
        self.channels.append(channel)
        return channel

    def _share_pooling(self) -> None:
        """Deal a layer's pooling over its parts without losing or doubling a value."""
        for layer in self.placement.layers:
            heads = [p for p in self.parts if p.stage is layer.stage and p.is_head]
            whole = sum(p.part.channels * p.part.copy_count for p in heads)
            before = 0
            for part in heads:
                after = before + part.part.channels * part.part.copy_count
                total = layer.stage.pool_inputs
                part.pool_values = total * after // whole - total * before // whole
                before = after

    # --- what the engine asks for

    def _start(self) -> None:
        for part in self.parts:
            part.start()
        for edge, channel in self.image_channels:
            self.env.process(self._image_rows(edge, channel))

    def _image_rows(self, edge: Edge, channel: Channel) -> Wait:
        """Load each image into the global buffer, and send its rows (at every timestep to recompute).

        Of timed inputs each timestep's frame is loaded, in place of the one before.
        """
        bits = self.placement.graph.image_bits
        load_cycles = -(-bits // self.config.offchip_link.bits_per_cycle)
        first, number, rank = channel is self.image_channels[0][1], 0, self.rank()
        while True:
            job = yield from self.jobs.take(number)
            if job is None:
                return
            number += 1
            if job.timestep > 0 and self.config.encoder.mode == "keep":
                continue
            if job.timestep == 0 or (self.timing.timed and not job.dead(self.env.now)):
                began = self.env.now
                yield self.env.timeout(load_cycles)
                if first:
                    if self.recorder is not None:
                        self.recorder.note("load", job, 0, began, self.env.now, bits)
                    self.counter.add(Event.IMAGE_BITS, job.number, 0, bits)
                    self.counter.add(Event.GLOBAL_BUFFER_WRITE_BITS, job.number, 0, bits)
            for _ in range(edge.height):
                if not job.dead(self.env.now):
                    place = channel.room.take()
                    if place is not None:
                        yield place
                    if job.dead(self.env.now):
                        channel.room.give()
                if job.dead(self.env.now):
                    channel.arrive(void=True)
                    continue
                self.counter.add(Event.GLOBAL_BUFFER_READ_BITS, job.number, 0, edge.row_bits)
                yield from self.carry(job, 0, None, channel, edge.row_bits, rank, values=True)

    def _answer(self, number: int) -> Wait:
        come = missing(self.class_channels, number)
        if come:
            yield self.env.all_of(come)
        for channel in self.class_channels:
            channel.free(1)

    def _locked(self) -> ImcsimError:
        full = [str(c) for c in self.channels if c.room.level == 0]
        return ImcsimError(
            f"the chip locks up at cycle {int(self.env.now)}: no part can go on; "
            f"full: {', '.join(full) or 'no buffer'}",
            key="tile_buffer.capacity_bytes",
            fix="enlarge tile_buffer.capacity_bytes or tile.output_rows",
        )

    def _powered(self) -> list[list[tuple[int, int, int]]]:
        return self._tile_rows

    def _busy(self) -> tuple[NDArray[np.int64], int]:
        busy = np.zeros(self.placement.tiles, np.int64)
        for part in self.parts:
            busy[part.part.tile] += part.driven_cycles()
        return busy, sum(link.busy_cycles for link in self.mesh.links.values())
