"""Tiles and mesh as SimPy processes: the chip of `reference`, and of `burst` where somebody records it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Edge, Placement, Stage
from imcsim.timing.engine import Engine
from imcsim.timing.figures import part_figures
from imcsim.timing.image_work import ImageWork
from imcsim.timing.issue import Timing
from imcsim.timing.jobs import Job
from imcsim.timing.processes.burst import BurstPart
from imcsim.timing.processes.flow import Channel, Wait, missing
from imcsim.timing.processes.links import Links
from imcsim.timing.processes.part import PartProcess
from imcsim.timing.processes.reference import ReferencePart
from imcsim.timing.recorder import Recorder, Slice
from imcsim.timing.wiring import Stream, way, wire


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
        self.wiring = wire(placement, config)
        self.images_held = timing.issue.images_on_chip
        self.channels = [
            Channel(self.env, s.name, s.places(self.images_held), _height(s) * s.lag(self.images_held))
            for s in self.wiring.streams
        ]
        self._ways = [way(placement, stream) for stream in self.wiring.streams]
        self.network = Links(self.env, config, recorder)
        kind = ReferencePart if timing.fidelity == "reference" else BurstPart
        self.parts: list[PartProcess] = [
            kind(self, figures, wiring)
            for figures, wiring in zip(part_figures(placement, config), self.wiring.parts, strict=True)
        ]
        self._answers = [(self.channels[stream.rank], stream.answer_rows) for stream in self.wiring.answers]
        self._gated = config.clock.gating == "idle_tiles"
        self._powered_rows: list[tuple[int, int, int, int]] = []

    # --- what parts ask for

    def count(self, job: Job, layer: int, counts: Mapping[Event, int]) -> None:
        for event, number in counts.items():
            self.counter.add(event, job.number, layer, number)

    def active(self, stage: Stage, job: Job) -> NDArray[np.bool_] | None:
        if self.work is None or not self.config.activity.skip_zero_reads:
            return None
        reads: NDArray[np.bool_] = self.work[job.image].active[stage.index][job.timestep]
        return reads

    def values_above_0(self, edge: Edge, job: Job, row: int) -> NDArray[np.int64] | None:
        if self.work is None or self.config.activity.spike_coding == "bitmap":
            return None
        values = self.work[job.image].events.get(edge)
        return None if values is None else values[job.timestep, row]

    def worked(self, tile: int, began: int, job: Job) -> None:
        if self._gated:
            self._powered_rows.append((tile, began, int(self.env.now), job.number))

    def carry(self, job: Job, stream: Stream, bits: int) -> Wait:
        """Bring a row to its receiver; within a tile it takes a cycle."""
        began = self.env.now
        if self.recorder is not None:
            self.recorder.sends(stream.rank, job, stream.layer)
        if stream.target is not None:
            receiver = self.placement.parts[stream.target]
            written = Event.DELAY_WRITE_BITS if stream.delay else Event.TILE_BUFFER_WRITE_BITS
            self.count(job, receiver.stage + 1, {written: bits})
        elif stream.edge is not None:
            self.count(job, stream.layer, {Event.GLOBAL_BUFFER_WRITE_BITS: bits})
        links = self._ways[stream.rank]
        if not links:
            yield self.env.timeout(1)
        else:
            flits, routers = self.network.flits(bits), sum(link.routers for link in links)
            pitches = sum(link.pitches for link in links)
            moved = Event.NOC_VALUE_BITS if stream.carries_values else Event.NOC_CURRENT_BITS
            self.count(job, stream.layer, {Event.FLIT_HOPS: flits * routers, moved: bits * pitches})
            between = sum(link.between_chips for link in links)
            if between:
                crossed = flits * self.config.noc.flit_bits * between
                self.count(job, stream.layer, {Event.PACKAGE_BITS: crossed})
            yield from self.network.send(links, flits, stream.rank)
        if self.recorder is not None:
            tile = -1 if stream.source is None else self.placement.parts[stream.source].tile
            self.recorder.note(
                Slice("send", job.number, stream.layer, int(began), int(self.env.now), bits, tile=tile)
            )
        self.channels[stream.rank].arrive()

    # --- what the engine asks for

    def _start(self) -> None:
        for part in self.parts:
            part.start()
        for stream in self.wiring.images:
            self.env.process(self._image_rows(stream))

    def _image_rows(self, stream: Stream) -> Wait:
        """Load each image into the global buffer, and send its rows (at every timestep to recompute).

        Of timed inputs each timestep's frame is loaded, in place of the one before.
        """
        assert stream.edge is not None
        channel, edge = self.channels[stream.rank], stream.edge
        bits = self.placement.graph.image_bits
        load_cycles = self.config.load_cycles(bits)
        number = 0
        while True:
            job = yield from self.jobs.take(number)
            if job is None:
                return
            number += 1
            if job.timestep > 0 and self.config.encoder.mode == "keep":
                continue
            comes = job.timestep == 0 or (self.timing.timed and not job.dead(self.env.now))
            if comes and load_cycles:
                began = self.env.now
                yield self.env.timeout(load_cycles)
                if stream is self.wiring.images[0]:
                    if self.recorder is not None:
                        self.recorder.note(Slice("load", job.number, 0, int(began), int(self.env.now), bits))
                    self.count(job, 0, {Event.IMAGE_BITS: bits, Event.GLOBAL_BUFFER_WRITE_BITS: bits})
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
                self.count(job, 0, {Event.GLOBAL_BUFFER_READ_BITS: edge.row_bits})
                yield from self.carry(job, stream, edge.row_bits)

    def _answer(self, number: int) -> Wait:
        come = [event for one, rows in self._answers for event in missing((one,), number * rows)]
        if come:
            yield self.env.all_of(come)
        for channel, rows in self._answers:
            channel.free(rows)

    def _locked(self) -> ImcsimError:
        full = [str(c) for c in self.channels if c.room.level == 0]
        return ImcsimError(
            f"the chip locks up at cycle {int(self.env.now)}: no part can go on; "
            f"full: {', '.join(full) or 'no buffer'}",
            key="tile_buffer.capacity_bytes",
            fix="enlarge tile_buffer.capacity_bytes or tile.output_rows",
        )

    def _powered(self) -> NDArray[np.int64]:
        return np.array(self._powered_rows, np.int64).reshape(-1, 4)

    def _busy(self) -> tuple[NDArray[np.int64], int, int]:
        busy = np.zeros(self.placement.tiles, np.int64)
        for part in self.parts:
            busy[part.part.tile] += part.driven_cycles()
        links = self.network.links.items()
        on_chip, between = (
            sum(one.busy_cycles for link, one in links if link.between_chips == package)
            for package in (False, True)
        )
        return busy, on_chip, between


def _height(stream: Stream) -> int:
    """Rows of a map; 0 where there is no map."""
    return 0 if stream.edge is None else stream.edge.height
