"""Assembles the chip from SimPy processes and plays one image."""

from __future__ import annotations

import numpy as np
import simpy

from imcsim.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import IMAGE, Edge, Part, Placement, Stage
from imcsim.timing.flow import Channel, Wait, all_reach
from imcsim.timing.mesh import Mesh, Node, route
from imcsim.timing.tile import PartProcess, TilePorts
from imcsim.timing.timeline import Counter, Timeline

INPUT_LAYER = "input"
OUTPUT_LAYER = "output"
STATIC_LAYER = "static"

ORIGIN: Node = (0, 0)
"""Mesh position of the global buffer and the checker."""


def layer_names(placement: Placement) -> tuple[str, ...]:
    """Layers of the ledger: the input, the crossbar layers, the output (accumulator and checker), and leakage."""
    return (INPUT_LAYER, *(layer.stage.name for layer in placement.layers), OUTPUT_LAYER, STATIC_LAYER)


def play(placement: Placement, config: HardwareConfig, timesteps: int, *, mean: bool = True) -> Timeline:
    """Play one image for `timesteps` timesteps, the next one entering when the checker has said "go on" (``wait``).

    With `mean` the checker multiplies each class output by a stored 1/t. Raises ImcsimError when the chip locks up, naming
    the buffers that are full.
    """
    return Engine(placement, config, timesteps, mean).run()


class Engine:
    """One chip, one image. Processes ask it for shared things: the clock, the mesh, the counter."""

    def __init__(self, placement: Placement, config: HardwareConfig, timesteps: int, mean: bool) -> None:
        self.env = simpy.Environment()
        self.placement, self.config, self.timesteps, self.mean = placement, config, timesteps, mean
        self.whole_pe = config.cells.row_order == "kernel_position"
        self.names = layer_names(placement)
        self.counter = Counter(timesteps, len(self.names))
        self.mesh = Mesh(self.env, config.noc.flit_bits, config.noc.hop_cycles)
        self.go = [self.env.event() for _ in range(timesteps)]
        self.checker = simpy.Resource(self.env, capacity=1)
        self.verdicts: list[int] = []
        self.answers: list[int] = []
        self.channels: list[Channel] = []
        self.ports = [TilePorts(self.env) for _ in range(placement.tiles)]
        self.parts = [
            PartProcess(self, part, placement.layers[part.stage], self.ports[part.tile]) for part in placement.parts
        ]
        self.class_channels: list[Channel] = []
        self.image_channels: list[tuple[Edge, Channel]] = []
        self._connect()

    # --- what parts ask for

    def count(self, event: Event, t: int, stage: Stage, number: int) -> None:
        """Count events of a layer."""
        self.counter.add(event, t, stage.index + 1, number)

    def keeps(self, stage: Stage) -> bool:
        """Whether this layer's currents are computed once and stored."""
        return stage.reads_image and self.config.encoder.mode == "keep"

    def stored(self, stage: Stage, t: int) -> bool:
        """Whether this layer's currents are already there at timestep t."""
        return t > 0 and self.keeps(stage)

    def turn(self, edge: Edge, t: int) -> int:
        """How many whole maps have come over an edge before timestep t's."""
        return 0 if edge.source == IMAGE and self.config.encoder.mode == "keep" else t

    def carry(self, t: int, layer: int, tile: int | None, channel: Channel, bits: int) -> Wait:
        """Bring a row of `bits` bits to a channel's receiver; within a tile it takes a cycle."""
        source = ORIGIN if tile is None else self.placement.positions[tile]
        target = channel.target
        if isinstance(target, PartProcess):
            node = self.placement.positions[target.part.tile]
            self.counter.add(Event.TILE_BUFFER_WRITE_BITS, t, target.stage.index + 1, bits)
        else:
            node = ORIGIN
        if isinstance(target, PartProcess) and tile == target.part.tile:
            yield self.env.timeout(1)
        else:
            flits = self.mesh.flits(bits)
            self.counter.add(Event.FLIT_HOPS, t, layer, flits * len(route(source, node)))
            yield from self.mesh.send(source, node, flits)
        channel.rows.arrive()

    # --- wiring

    def _connect(self) -> None:
        graph = self.placement.graph
        for part in self.parts:
            streams = 1 + sum(1 for e in graph.inputs(part.stage) if e.role == "side") + self._helpers(part.part)
            for edge in graph.inputs(part.stage):
                if edge.role == "side" and not part.is_head:
                    continue
                self._connect_edge(edge, part, streams)
            if not part.is_head:
                self._connect_partial(part)
        for part in self.parts:
            if part.stage.is_output and part.is_head:
                channel = self._channel(f"class outputs of {part.stage.name}", 1, part, None)
                part.outputs.append((None, [channel]))
                self.class_channels.append(channel)
        self._share_pooling()
        for part in self.parts:
            part.start()

    def _helpers(self, part: Part) -> int:
        return sum(1 for p in self.placement.parts if p.head == part.index and p.index != part.index)

    def _connect_edge(self, edge: Edge, target: PartProcess, streams: int) -> None:
        """Channels for one stream into one part, from every part that sends a share of its rows."""
        room = self._room(edge.row_bits, target, streams)
        needed = 1
        if edge.role == "input":
            needed = min(edge.height, target.stage.kernel[0] if target.stage.kind == "conv" else edge.height)
        if room < needed:
            raise ImcsimError(
                f"layer {target.stage.name} needs {needed} input rows of {edge.row_bits} bits at a time; its share of the tile "
                f"buffer holds {room}",
                key="tile_buffer.capacity_bytes",
                fix=f"set it to at least {-(-needed * edge.row_bits * streams // 8)}",
            )
        channels = []
        if edge.source == IMAGE:
            channel = self._channel(f"image rows for {target.stage.name}", room, None, target)
            self.image_channels.append((edge, channel))
            channels.append(channel)
        for source in self.parts:
            if source.stage.index != edge.source or not source.is_head:
                continue
            channel = self._channel(f"rows from {source.stage.name} to {target.stage.name}", room, source, target)
            channels.append(channel)
            for known, out in source.outputs:
                if known is edge:
                    out.append(channel)
                    break
            else:
                source.outputs.append((edge, [channel]))
        if edge.role == "input":
            target.inputs.append((edge, channels))
        else:
            target.residuals.extend(channels)
            target.branches += 1

    def _connect_partial(self, part: PartProcess) -> None:
        """Partial sums of a part to the head of its columns."""
        head = self.parts[part.part.head]
        bits = part.stage.out_width * part.part.channels * self.config.lif.partial_sum_bits
        room = max(1, self._room(bits, head, 2 + self._helpers(head.part)))
        channel = self._channel(f"partial sums of {part.stage.name}", room, part, head)
        part.outputs.append((None, [channel]))
        head.partials.append(channel)

    def _room(self, row_bits: int, target: PartProcess, streams: int) -> int:
        """Rows that fit into a stream's share of the tile buffer."""
        return self.config.tile_buffer.capacity_bytes * 8 // streams // row_bits

    def _channel(self, name: str, room: int, source: PartProcess | None, target: PartProcess | None) -> Channel:
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

    # --- the image and the verdict

    def run(self) -> Timeline:
        """Play to the last verdict."""
        self.env.process(self._image())
        done = self.env.process(self._control())
        self.go[0].succeed()
        try:
            self.env.run(until=done)
        except RuntimeError:  # SimPy: nothing left to happen, but the last verdict is not there
            raise self._locked() from None
        counts = self.counter.arrays()
        powered = np.zeros((self.timesteps, len(self.names)), np.int64)
        powered[:, -1] = np.diff(np.array([0, *self.verdicts], np.int64))
        counts[Event.POWERED_CYCLES] = powered
        return Timeline(
            layers=self.names,
            verdict_cycles=np.array(self.verdicts, np.int64),
            answer_cycles=np.array(self.answers, np.int64),
            counts=counts,
            busy_cycles=np.array([ports.busy_cycles for ports in self.ports], np.int64),
        )

    def _locked(self) -> ImcsimError:
        full = [str(c) for c in self.channels if c.room.level == 0]
        return ImcsimError(
            f"the chip locks up at cycle {self.env.now}: no part can go on; full: {', '.join(full) or 'no buffer'}",
            key="tile_buffer.capacity_bytes",
            fix="enlarge tile_buffer.capacity_bytes or tile.output_rows",
        )

    def _image(self) -> Wait:
        """Load the image into the global buffer, and send its rows to the encoder (at every timestep to recompute)."""
        bits = self.placement.graph.image_bits
        link = self.config.offchip_link.bits_per_cycle
        if -(-bits // 8) > self.config.global_buffer.capacity_bytes:
            raise ImcsimError(
                f"the image has {-(-bits // 8)} bytes", key="global_buffer.capacity_bytes", fix="enlarge the buffer"
            )
        yield self.env.timeout(-(-bits // link))
        self.counter.add(Event.IMAGE_BITS, 0, 0, bits)
        self.counter.add(Event.GLOBAL_BUFFER_WRITE_BITS, 0, 0, bits)
        for t in range(self.timesteps):
            yield self.go[t]
            if t > 0 and self.config.encoder.mode == "keep":
                return
            yield self.env.all_of(
                [self.env.process(self._image_rows(t, edge, channel)) for edge, channel in self.image_channels]
            )

    def _image_rows(self, t: int, edge: Edge, channel: Channel) -> Wait:
        for _ in range(edge.height):
            yield channel.room.get(1)
            self.counter.add(Event.GLOBAL_BUFFER_READ_BITS, t, 0, edge.row_bits)
            yield from self.carry(t, 0, None, channel, edge.row_bits)

    def _control(self) -> Wait:
        """Accumulate the class outputs, check, and say go on, until the last timestep."""
        classes, output = self.placement.graph.classes, len(self.names) - 2
        accumulator, checker = self.config.accumulator, self.config.checker
        for t in range(self.timesteps):
            yield all_reach(self.env, self.class_channels, t + 1)
            for channel in self.class_channels:
                channel.free(1)
            yield self.env.timeout(classes * accumulator.class_cycles)
            self.answers.append(int(self.env.now))
            with self.checker.request() as request:
                yield request
                yield self.env.timeout(checker.cycles(classes))
            for event, number in (accumulator.events(classes) | checker.events(classes, self.mean)).items():
                self.counter.add(event, t, output, number)
            self.verdicts.append(int(self.env.now))
            if t + 1 < self.timesteps:
                self.go[t + 1].succeed()
