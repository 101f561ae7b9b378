"""Assembles the chip from SimPy processes and plays images on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import simpy
from numpy.typing import NDArray

from imcsim.choices import Fidelity
from imcsim.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import IMAGE, Edge, Part, Placement, Stage
from imcsim.timing.flow import Channel, Wait, missing
from imcsim.timing.issue import Arrivals, Issue, issuers
from imcsim.timing.jobs import Job, JobQueue
from imcsim.timing.mesh import Mesh, Node
from imcsim.timing.part import Output, PartProcess
from imcsim.timing.recorder import Recorder
from imcsim.timing.timeline import Counter, Timeline
from imcsim.timing.work import ImageWork

INPUT_LAYER = "input"
OUTPUT_LAYER = "output"
STATIC_LAYER = "static"

ORIGIN: Node = (0, 0)
"""Mesh position of the global buffer and the checker."""


def layer_names(placement: Placement) -> tuple[str, ...]:
    """Layers of the ledger: the input, the crossbar layers, the output (accumulator and checker), and
    leakage.
    """
    return (INPUT_LAYER, *(layer.stage.name for layer in placement.layers), OUTPUT_LAYER, STATIC_LAYER)


def _rows_at_once(edge: Edge, stage: Stage) -> int:
    """Rows of a stream that a part must hold to go on: a window for a convolution, all for a linear layer."""
    if edge.role == "side":
        return 1
    return min(edge.height, stage.extent[0] if stage.kind == "conv" else edge.height)


def play(
    placement: Placement,
    config: HardwareConfig,
    exits: Sequence[int],
    timesteps: int,
    *,
    issue: Issue | None = None,
    arrivals: Arrivals | None = None,
    work: Sequence[ImageWork] | None = None,
    mean: bool = True,
    fidelity: Fidelity = "burst",
    progress: Callable[[int, int], None] | None = None,
    timed: bool = False,
    recorder: Recorder | None = None,
) -> Timeline:
    """Play images that leave after ``exits[i]`` (1 to T) of at most `timesteps` timesteps.

    `issue` says when timesteps and images enter (``wait``), `arrivals` when images come (closed loop). `work`
    is needed where the config makes time depend on values. With `mean` the checker multiplies each class
    output by a stored 1/t. `timed`: every timestep has a frame of its own, which is brought onto the chip
    then; the encoder must recompute. Both fidelities return the same timeline. `progress` is told, whenever
    an image leaves, how many have left and how many there are. `recorder` is told of all work; of what tiles
    do inside in the ``reference`` fidelity only. Raises ImcsimError when the chip locks up, naming the
    buffers that are full.
    """
    return Engine(
        placement, config, exits, timesteps, issue or Issue(), arrivals or Arrivals(), work, mean, fidelity,
        progress, timed, recorder,
    ).run()  # fmt: skip


class Engine:
    """One chip. Processes ask it for shared things: the clock, the jobs, the mesh, the counter."""

    def __init__(
        self,
        placement: Placement,
        config: HardwareConfig,
        exits: Sequence[int],
        timesteps: int,
        issue: Issue,
        arrivals: Arrivals,
        work: Sequence[ImageWork] | None,
        mean: bool,
        fidelity: Fidelity,
        progress: Callable[[int, int], None] | None = None,
        timed: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        if timed and config.encoder.mode == "keep":
            raise ImcsimError(
                "currents cannot be kept where the input changes at every timestep",
                key="encoder.mode",
                fix="set it to recompute",
            )
        self.env = simpy.Environment()
        self.placement, self.config, self.timesteps, self.mean = placement, config, timesteps, mean
        self.exits, self.policy, self.arrivals, self.work = list(exits), issue, arrivals, work
        self.images, self.timed = len(self.exits), timed
        self._progress, self.recorder = progress, recorder
        self.whole_pe = config.cells.row_order == "kernel_position"
        self.names = layer_names(placement)
        self.counter = Counter(len(self.names))
        self.mesh = Mesh(self.env, config.noc.flit_bits, config.noc.hop_cycles, recorder)
        self.jobs = JobQueue(self.env)
        self._image_maps = 0
        self._arrival = np.full(self.images, -1, np.int64)
        self._departure = np.full(self.images, -1, np.int64)
        self._leaves_at: dict[int, int] = {}
        self._ranks = 0
        self._gated = config.clock.gating == "idle_tiles"
        self._tile_rows: list[list[tuple[int, int, int]]] = [[] for _ in range(placement.tiles)]
        self.channels: list[Channel] = []
        self.parts = [
            self._part_type(fidelity)(self, part, placement.layers[part.stage]) for part in placement.parts
        ]
        self.class_channels: list[Channel] = []
        self.image_channels: list[tuple[Edge, Channel]] = []
        self._connect()

    @staticmethod
    def _part_type(fidelity: Fidelity) -> type[PartProcess]:
        if fidelity == "reference":
            from imcsim.timing.reference import ReferencePart

            return ReferencePart
        from imcsim.timing.burst import BurstPart

        return BurstPart

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
        address = max(1, (edge.width * part.channels - 1).bit_length())
        return mine * (address + edge.bits - 1)

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

    # --- what issuers ask for

    def issue(self, image: int, timestep: int) -> Job:
        """Let a timestep of an image enter."""
        brings_map = timestep == 0 or self.config.encoder.mode == "recompute"
        job = self.jobs.put(image, timestep, self._image_maps)
        self._image_maps += brings_map
        job.cancelled_at = self._leaves_at.get(image, job.cancelled_at)
        self.counter.open()
        return job

    def left(self, image: int) -> bool:
        """Whether the checker has let an image go by now."""
        return self.env.now >= self._leaves_at.get(image, float("inf"))

    def arrived(self, image: int, cycle: int) -> None:
        self._arrival[image] = cycle

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
            part.start()

    def _streams(self, tile: int) -> int:
        """Streams of rows that come into a tile and share its buffer."""
        graph, streams = self.placement.graph, 0
        for part in self.parts:
            if part.part.tile == tile:
                helpers = [p for p in self.placement.parts if p.head == part.part.index != p.index]
                streams += len(helpers) + sum(
                    1 for e in graph.inputs(part.stage) if e.role == "input" or part.is_head
                )
        return streams

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

    # --- images and verdicts

    def run(self) -> Timeline:
        """Play until nothing is left to happen."""
        self._check_global_buffer()
        for edge, channel in self.image_channels:
            self.env.process(self._image_rows(edge, channel))
        self.env.process(self._issue_all())
        self.env.process(self._control())
        self.env.run()
        if (self._departure < 0).any():
            raise self._locked()
        return self._timeline()

    def _issue_all(self) -> Wait:
        yield self.env.all_of([self.env.process(process) for process in issuers(self, self.policy)])
        self.jobs.close()

    def _check_global_buffer(self) -> None:
        held = self.placement.graph.image_bits * (
            1 if self.config.encoder.mode == "keep" else self.policy.images_on_chip
        )
        if held > self.config.global_buffer.capacity_bytes * 8:
            raise ImcsimError(
                f"the images on the chip take {-(-held // 8)} bytes, the global buffer has "
                f"{self.config.global_buffer.capacity_bytes}",
                key="global_buffer.capacity_bytes",
                fix="enlarge it",
            )

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
            if job.timestep == 0 or (self.timed and not job.dead(self.env.now)):
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

    def _control(self) -> Wait:
        """Accumulate the class outputs of job after job, check them, and say go on or leave."""
        classes, output = self.placement.graph.classes, len(self.names) - 2
        accumulator, checker = self.config.accumulator, self.config.checker
        events = list(accumulator.events(classes).items()) + list(checker.events(classes, self.mean).items())
        number = 0
        while True:
            job = yield from self.jobs.take(number)
            if job is None:
                return
            number += 1
            come = missing(self.class_channels, number)
            if come:
                yield self.env.all_of(come)
            for channel in self.class_channels:
                channel.free(1)
            if job.dead(self.env.now):
                continue
            began = self.env.now
            yield self.env.timeout(classes * accumulator.class_cycles)
            job.answer_at = int(self.env.now)
            if self.recorder is not None:
                self.recorder.note("accumulate", job, output, began, self.env.now, classes)
                ended = self.env.now + checker.cycles(classes)
                self.recorder.note("check", job, output, self.env.now, ended, classes)
            leaves = job.timestep + 1 >= self.exits[job.image]
            job.verdict_at = job.answer_at + checker.cycles(classes)
            if leaves:
                # Known before it is spoken, so that everybody sees it in the cycle in which it is.
                self._leaves_at[job.image] = job.verdict_at
                for later in self.jobs.jobs[number:]:
                    if later.image == job.image:
                        later.cancelled_at = job.verdict_at
            yield self.env.timeout(checker.cycles(classes))
            for event, count in events:
                self.counter.add(event, job.number, output, count)
            if leaves:
                self._departure[job.image] = job.verdict_at
                if self._progress is not None:
                    self._progress(int((self._departure >= 0).sum()), self.images)
            job.verdict.succeed(leaves)

    def _locked(self) -> ImcsimError:
        full = [str(c) for c in self.channels if c.room.level == 0]
        return ImcsimError(
            f"the chip locks up at cycle {int(self.env.now)}: no part can go on; "
            f"full: {', '.join(full) or 'no buffer'}",
            key="tile_buffer.capacity_bytes",
            fix="enlarge tile_buffer.capacity_bytes or tile.output_rows",
        )

    def _count_powered_tiles(self) -> None:
        """Cycles in which each tile has a row under way, charged to the job whose row began first."""
        static = len(self.names) - 1
        for rows in self._tile_rows:
            covered = 0
            for began, ended, job in sorted(rows):
                powered = ended - max(began, covered)
                if powered > 0:
                    self.counter.add(Event.POWERED_TILE_CYCLES, job, static, powered)
                covered = max(covered, ended)

    def _timeline(self) -> Timeline:
        jobs = self.jobs.jobs
        busy = np.zeros(self.placement.tiles, np.int64)
        for part in self.parts:
            busy[part.part.tile] += part.driven_cycles()

        self._count_powered_tiles()

        def column(values: list[float | int | None]) -> NDArray[np.int64]:
            return np.array([-1 if v is None or v == float("inf") else int(v) for v in values], np.int64)

        return Timeline(
            layers=self.names,
            image=column([j.image for j in jobs]),
            timestep=column([j.timestep for j in jobs]),
            issued=column([j.issued_at for j in jobs]),
            answer=column([j.answer_at for j in jobs]),
            verdict=column([j.verdict_at for j in jobs]),
            cancelled=column([j.cancelled_at for j in jobs]),
            counts=self.counter.array(),
            arrival=self._arrival,
            departure=self._departure,
            busy_cycles=busy,
            link_cycles=sum(link.busy_cycles for link in self.mesh.links.values()),
        )
