"""A part of a layer in its tile, row by row: what both fidelities have in common.

A row starts when its input rows are there and the tile has room for its output. It is then processed in
waves, one position per copy: fetch, drive and sense, convert, add up, fire, write. How long that takes is the
fidelity's business (`begin`); waiting, pooling and sending are the same for both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import simpy
from numpy.typing import NDArray

from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Edge, Stage
from imcsim.timing.figures import PartFigures
from imcsim.timing.jobs import Job, JobQueue
from imcsim.timing.processes.flow import Channel, Room, Wait, missing
from imcsim.timing.recorder import Kind, Recorder, Slice
from imcsim.timing.timeline import Spans
from imcsim.timing.wiring import Output, PartWiring, Stream


class Surroundings(Protocol):
    """What a part asks of the chip around it."""

    env: simpy.Environment
    config: HardwareConfig
    jobs: JobQueue
    spans: Spans
    recorder: Recorder | None
    channels: list[Channel]
    """By the rank of their streams."""
    images_held: int
    """Images that the chip holds at a time."""

    def count(self, job: Job, layer: int, counts: Mapping[Event, int]) -> None:
        """Count events of a layer of the ledger."""

    def carry(self, job: Job, stream: Stream, bits: int) -> Wait:
        """Bring a row to its receiver; ends when it is there."""

    def active(self, stage: Stage, job: Job) -> NDArray[np.bool_] | None:
        """Reads with a row to drive, ``[positions, drives, blocks]``; None when every read takes place."""

    def values_above_0(self, edge: Edge, job: Job, row: int) -> NDArray[np.int64] | None:
        """Of each channel in a row, if rows of this edge travel as addresses; else None."""

    def worked(self, tile: int, began: int, job: Job) -> None:
        """A row has kept a tile powered from `began` until now."""


@dataclass
class RowEvents:
    """What will happen to a row that has begun. `fetched`: its last window is in the input registers. `done`:
    its last value is written.
    """

    fetched: simpy.Event
    done: simpy.Event


@dataclass
class _Leaving:
    """A row that has begun, or that was never started, and has not been passed on. Rows leave in the order
    of their jobs and places, so that no void row overtakes one that is still under way.
    """

    job: Job
    y: int
    stored: bool
    ended: bool


class _Outbox:
    """Finished rows of one output: a queue for each receiver, and how many every receiver has."""

    def __init__(self, env: simpy.Environment, output: Output) -> None:
        self.output = output
        self.queues = [simpy.Store(env) for _ in output.streams]
        self.delivered = 0
        self._missing: dict[int, int] = {}

    def put(self, job: Job, row: int) -> None:
        """Queue a row for all receivers."""
        self._missing[job.number * self.output.height + row] = len(self.queues)
        for queue in self.queues:
            queue.put((job, row))

    def sent(self, job: Job, row: int) -> bool:
        """One receiver more has a row, or will never get it; True if that was the last one."""
        number = job.number * self.output.height + row
        self._missing[number] -= 1
        if self._missing[number]:
            return False
        del self._missing[number]
        self.delivered += 1
        return True

    def needed_from(self) -> int:
        """The first own row, counted over all jobs, that rows not delivered yet are made of."""
        turn, row = divmod(self.delivered, self.output.height)
        # Rows that pooling leaves over at the bottom go with the last pooled row, or later when they end.
        return turn * self.output.own_height + self.output.first_own_band(row)


class PartProcess:
    """Plays one part of one layer for every job.

    Created with the chip, it runs from `start` on, takes job after job in the order of issue, and begins row
    after row. A row that has begun goes on by itself (`_finish`), so that several are under way.
    """

    def __init__(self, around: Surroundings, figures: PartFigures, wiring: PartWiring) -> None:
        self.around, self.figures, self.wiring = around, figures, wiring
        self.env, self.layer = around.env, figures.layer
        self.stage, self.part = figures.stage, figures.part
        self._room = Room(self.env, wiring.room)
        self._held: deque[bool] = deque()
        """Of each row that has not given its place back, whether it has one; void rows take none."""
        self._leaving: deque[_Leaving] = deque()
        self._ended = self._released = 0
        self._pool_free = 0
        """The cycle from which on the units behind the sums can take pooled currents."""
        self._outboxes = [_Outbox(self.env, out) for out in wiring.outputs]

    # --- given by the fidelity

    def begin(self, job: Job, y: int, stored: bool) -> RowEvents:
        """Start a row now; its inputs are there."""
        raise NotImplementedError

    def driven_cycles(self) -> int:
        """Cycles in which this part's crossbars were driven or sensed."""
        raise NotImplementedError

    # --- what fidelities need

    def missing_sides(self, job: Job, y: int, stored: bool) -> list[simpy.Event]:
        """What row y must wait for before it fires: partial sums and residuals that have not come."""
        rows, band = self.layer.bands, self.layer.row_copies
        events = [
            event
            for stream in self.wiring.residuals
            for event in missing(self._channels((stream,)), (self._turn(job, stream) * rows + y + 1) * band)
        ]
        if not stored:
            # A stored encoder's other parts do nothing, so its partial sums come once for each image.
            maps = job.image_map if self.figures.keeps else job.number
            events += missing(self._channels(self.wiring.partials), maps * rows + y + 1)
        return events

    def _turn(self, job: Job, stream: Stream) -> int:
        """How many maps came over a stream before the one that `job` works on; below 0 where a delay has none
        for it, and it finds zeros.
        """
        if not stream.delay:
            return job.number
        back = job.back(stream.delay)
        return -1 if back is None else back.number + stream.lag(self.around.images_held)

    def count(self, job: Job, counts: Mapping[Event, int]) -> None:
        """Count events of this part's layer."""
        self.around.count(job, self.stage.index + 1, counts)

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
        if self.around.recorder is not None:
            self.around.recorder.note(
                Slice(
                    kind, job.number, self.stage.index + 1, int(began), int(self.env.now), number,
                    part=self.part.index, tile=self.part.tile, row=y, unit=unit,
                )
            )  # fmt: skip

    def _channels(self, streams: tuple[Stream, ...]) -> list[Channel]:
        return [self.around.channels[stream.rank] for stream in streams]

    # --- the course of a row

    def start(self) -> None:
        """Begin: a process for every stream that is sent, and one that takes jobs."""
        for outbox in self._outboxes:
            for k in range(len(outbox.queues)):
                self.env.process(self._sender(outbox, k))
        self.env.process(self._run())

    def _run(self) -> Wait:
        number = 0
        while True:
            job = yield from self.around.jobs.take(number)
            if job is None:
                return
            yield from self._job(job)
            if self.part.index == 0:
                job.entered.succeed()
            number += 1

    def _job(self, job: Job) -> Wait:
        """All rows of one timestep of one image. A stored encoder only fires again."""
        stored = self.figures.keeps and job.timestep > 0
        if stored and not self.figures.is_head:
            return
        freed = 0
        for y in range(self.layer.bands):
            held = False
            if not job.dead(self.env.now):
                held = True
                wait = self._room.take()
                if wait is not None:
                    yield wait
                if not stored:
                    yield from self._inputs_come(job, y)
            void = job.dead(self.env.now)
            if void and held:
                self._room.give()
            self._held.append(not void)
            leaving = _Leaving(job, y, stored, void)
            self._leaving.append(leaving)
            if not void:
                self.around.spans.begun(job.number, self.stage.index + 1, int(self.env.now))
                row = self.begin(job, y, stored)
                if not row.fetched.processed:
                    yield row.fetched
            if not stored:
                done = self.stage.rows_done(self.layer.last_row(y), self._input_height)
                for channel in self._channels(self.wiring.inputs):
                    channel.free(done - freed)
                freed = done
            if void:
                self._leave()
            else:
                self.env.process(self._finish(leaving, row.done))

    @property
    def _input_height(self) -> int:
        """Rows in a map that its crossbars read."""
        edge = self.wiring.inputs[0].edge
        assert edge is not None
        return edge.height

    def _inputs_come(self, job: Job, y: int) -> Wait:
        """Wait until the rows that output row y is made of have come, from all parts that send a share."""
        # The image comes once where the encoder's currents are kept, every other map with every job.
        first = self.wiring.inputs[0]
        maps = job.image_map if first.source is None else self._turn(job, first)
        last = self.layer.last_row(y)
        needed = maps * self._input_height + self.stage.rows_needed(last, self._input_height)
        events = missing(self._channels(self.wiring.inputs), needed)
        if events:
            yield self.env.all_of(events) if len(events) > 1 else events[0]

    def _finish(self, leaving: _Leaving, done: simpy.Event) -> Wait:
        """When a row is done: pool it, and queue it for sending."""
        job, y, began = leaving.job, leaving.y, int(self.env.now)
        if not done.processed:
            yield done
        yield from self._fire_behind_pool(job, y)
        self.around.worked(self.part.tile, began, job)
        for out in self.wiring.outputs:
            ready = len(out.rows_after(y))
            if ready and out.edge is not None and out.edge.pool_area > 1:
                pooling = self.env.now
                yield self.env.timeout(self.figures.pool_cycles(out.edge, ready))
                self.note("pool", job, y, pooling, self.figures.pooled_values(out.edge, ready))
        if y == self.layer.bands - 1 and self.figures.pool_values:
            self.count(job, {Event.POOL_OPERATIONS: self.figures.pool_values})
        self.around.spans.ended(job.number, self.stage.index + 1, int(self.env.now))
        leaving.ended = True
        self._leave()

    def _fire_behind_pool(self, job: Job, y: int) -> Wait:
        """Pool the currents of the windows that end with row y, and let their neurons fire, row after row."""
        rows = self.layer.rows_behind_pool(y) if self.figures.fires_behind_pool else 0
        if rows == 0:
            return
        began = max(int(self.env.now), self._pool_free)
        self._pool_free = began + self.figures.behind_pool_cycles(rows)
        self.count(job, self.figures.behind_pool(rows, first=job.timestep == 0))
        if self._pool_free > self.env.now:
            yield self.env.timeout(self._pool_free - self.env.now)
            self.note("fire", job, y, began, rows)

    def _leave(self) -> None:
        """A row has ended, or was never started: let go of what it held and pass it on, once all before it
        have left, and those behind it that wait for it.
        """
        while self._leaving and self._leaving[0].ended:
            row = self._leaving.popleft()
            self._ended += 1
            for channel in self._channels(() if row.stored else self.wiring.partials):
                channel.free(1)
            for channel in self._channels(self.wiring.residuals):
                channel.free(self.layer.row_copies)
            for outbox in self._outboxes:
                for pooled in outbox.output.rows_after(row.y):
                    outbox.put(row.job, pooled)
        self._release()

    def _sender(self, outbox: _Outbox, k: int) -> Wait:
        """Send queued rows one after the other, each when the receiver has room; drop what is cancelled."""
        stream, queue = outbox.output.streams[k], outbox.queues[k]
        channel = self.around.channels[stream.rank]
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
                yield from self.around.carry(job, stream, self._packet_bits(stream.edge, job, row))
            if outbox.sent(job, row):
                self._release()

    def _packet_bits(self, edge: Edge | None, job: Job, row: int) -> int:
        """This part's share of a delivered row: all of it, or an address for each value above 0."""
        figures = self.figures
        values = None if edge is None else self.around.values_above_0(edge, job, row)
        if edge is None or values is None:
            return figures.packet_bits(edge)
        mine = figures.layer.pooled_channels(self.part, edge)
        happened = int(values[mine.start : mine.stop].sum())
        return -(-happened * self.part.copy_count // figures.layer.copies) * figures.address_bits(edge)

    def _release(self) -> None:
        """A stream has moved on, or a row has ended: free the output rows that no stream needs any more."""
        until = min([self._ended, *(outbox.needed_from() for outbox in self._outboxes)])
        count = until - self._released
        if count > 0:
            self._released += count
            held = sum(self._held.popleft() for _ in range(count))
            if held:
                self._room.give(held)
