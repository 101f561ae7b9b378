"""The memory of one play of the fabric: a layout's records and what grows with the jobs in flight, and the
values of the images under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.layout import Layout
from imcsim.timing.image_work import ImageWork

Table = NDArray[np.int64]


class PlayMemory:
    """The memory of one play: a copy of the layout's, and behind it what grows with the jobs in flight.

    `taken`: powered rows are taken out whenever a job is issued, so there is room for those in flight only.
    """

    def __init__(
        self, layout: Layout, ring: int, columns: tuple[int, int], images: int, *, taken: bool = False
    ) -> None:
        self._layout, self._taken = layout, taken
        self._columns = sum(columns)
        self._powers = layout.rows_of_a_job if layout.config.clock.gating == "idle_tiles" else 0
        self._fixed = len(layout.memory)
        self.jobs, self._slots = ring, 1
        self.m = layout.memory.copy()
        self._lay_out(ring + self._delay(images))

    def _delay(self, images: int) -> int:
        """Let delayed streams begin on a chip that holds so many images; the most jobs that one lags."""
        streams = self.m[self._layout.streams].reshape(-1, k.S_SIZE)
        lags = streams[:, k.S_DELAY] * images
        streams[:, k.S_LAG] = lags
        streams[:, k.S_ROOM] *= np.where(lags > 0, images, 1)
        streams[:, k.S_TOTAL] = lags * streams[:, k.S_HEIGHT]
        return int(lags.max(initial=0))

    def _lay_out(self, ring: int) -> None:
        """Place what stands behind the records: rings of jobs in flight, jobs, image work, powered rows."""
        layout, before = self._layout, self.m
        records = before[: self._fixed]
        streams = records[layout.streams].reshape(-1, k.S_SIZE)
        parts = records[layout.parts].reshape(-1, k.P_SIZE)
        outputs = records[layout.outputs].reshape(-1, k.O_SIZE)
        heights = outputs[:, k.O_HEIGHT]
        sizes = (
            ring * len(streams), ring * len(parts), ring * int(heights.sum()) * k.QUEUE_SIZE,
            self.jobs * k.J_SIZE, self._slots * self._columns,
            (ring if self._taken else self.jobs) * self._powers * 4,
        )  # fmt: skip
        at = self._fixed + np.cumsum([0, *sizes])
        self.m = m = np.zeros(int(at[-1]), np.int64)
        m[: self._fixed] = records
        self.streams, self.parts, self.outputs = (
            m[where].reshape(-1, size)
            for where, size in (
                (layout.streams, k.S_SIZE), (layout.parts, k.P_SIZE), (layout.outputs, k.O_SIZE),
            )
        )  # fmt: skip
        self.streams[:, k.S_VALID] = at[0] + ring * np.arange(len(streams))
        self.parts[:, k.P_HELD] = at[1] + ring * np.arange(len(parts))
        self.outputs[:, k.O_QUEUE] = at[2] + ring * k.QUEUE_SIZE * (np.cumsum(heights) - heights)
        self._point(ring)
        m[k.G_RING], m[k.G_JOBS], m[k.G_WORK_AT], m[k.G_POWERED] = ring, at[3], at[4], at[5]
        if len(before) > self._fixed:
            self._bring_over(before, records, ring)

    def _point(self, ring: int) -> None:
        """Point each record to its place in the rings."""
        streams, parts, outputs = self.streams, self.parts, self.outputs
        height = np.maximum(1, streams[:, k.S_HEIGHT])
        streams[:, k.S_VALID_END] = streams[:, k.S_VALID] + ring
        streams[:, k.S_COME] = streams[:, k.S_VALID] + streams[:, k.S_TOTAL] // height % ring
        streams[:, k.S_LET] = streams[:, k.S_VALID] + streams[:, k.S_FREED] // height % ring
        parts[:, k.P_HELD_END] = parts[:, k.P_HELD] + ring
        parts[:, k.P_HOLD] = parts[:, k.P_HELD] + parts[:, k.P_PLAYED] % ring
        parts[:, k.P_LET] = parts[:, k.P_HELD] + parts[:, k.P_RELEASED] // parts[:, k.P_ROWS] % ring
        places = outputs[:, k.O_HEIGHT] * ring
        outputs[:, k.O_QUEUE_END] = outputs[:, k.O_QUEUE] + places * k.QUEUE_SIZE
        outputs[:, k.O_ENTRY] = outputs[:, k.O_QUEUE] + outputs[:, k.O_PUT] % places * k.QUEUE_SIZE
        sent = streams[:, k.S_OUTPUT] > 0
        output = outputs[(streams[sent, k.S_OUTPUT] - self._layout.outputs.start) // k.O_SIZE]
        at = streams[sent, k.S_SENT] % (output[:, k.O_HEIGHT] * ring)
        streams[sent, k.S_ENTRY] = output[:, k.O_QUEUE] + at * k.QUEUE_SIZE

    def _bring_over(self, before: Table, records: Table, ring: int) -> None:
        """Copy what stood behind the records before to its new place."""
        layout, m, old = self._layout, self.m, int(records[k.G_RING])
        for where, size, last, field in (
            (layout.streams, k.S_SIZE, self.streams[:, k.S_TOTAL] // self.streams[:, k.S_HEIGHT], k.S_VALID),
            (layout.parts, k.P_SIZE, self.parts[:, k.P_PLAYED], k.P_HELD),
        ):
            source = records[where].reshape(-1, size)[:, field]
            target = m[where].reshape(-1, size)[:, field]
            for back in range(old):
                turn = np.maximum(0, last - back)
                m[target + turn % ring] = before[source + turn % old]
        queues = records[layout.outputs].reshape(-1, k.O_SIZE)[:, k.O_QUEUE].tolist()
        for n, put in enumerate(self.outputs[:, k.O_PUT].tolist()):
            places = int(self.outputs[n, k.O_HEIGHT])
            for row in range(max(0, put - places * old), put):
                here = self.outputs[n, k.O_QUEUE] + row % (places * ring) * k.QUEUE_SIZE
                there = queues[n] + row % (places * old) * k.QUEUE_SIZE
                m[here : here + k.QUEUE_SIZE] = before[there : there + k.QUEUE_SIZE]
        for field, end in ((k.G_JOBS, k.G_WORK_AT), (k.G_WORK_AT, k.G_POWERED), (k.G_POWERED, None)):
            found = before[records[field] : None if end is None else records[end]]
            m[m[field] : m[field] + len(found)] = found

    def make_room(self, jobs: int, maps: int, slots: int) -> None:
        """Make room for `jobs` jobs, of which `maps` bring a map, and for `slots` images in flight."""
        ring = int(self.m[k.G_RING])
        wider = jobs > ring and self.under_way(jobs, maps) > ring
        if jobs > self.jobs or slots > self._slots or wider:
            self.jobs = self.jobs * 2 if jobs > self.jobs else self.jobs
            self._slots = max(slots, 2 * self._slots) if slots > self._slots else self._slots
            self._lay_out(2 * ring if wider else ring)

    def under_way(self, jobs: int, maps: int) -> int:
        """The most jobs between the first that some part, queue or stream still holds, and the last."""
        taken = np.where(self._layout.by_map, maps, jobs)
        first = self._layout.parts.start
        of_outputs = taken[(self.outputs[:, k.O_PART] - first) // k.P_SIZE]
        sources = np.full(len(self.streams), maps)
        sent = self.streams[:, k.S_OUTPUT] > 0
        output = (self.streams[sent, k.S_OUTPUT] - self._layout.outputs.start) // k.O_SIZE
        sources[sent] = of_outputs[output]
        sources += self.streams[:, k.S_LAG]
        return max(
            int((taken - self.parts[:, k.P_RELEASED] // self.parts[:, k.P_ROWS]).max()),
            int((of_outputs - self.outputs[:, k.O_DELIVERED] // self.outputs[:, k.O_HEIGHT]).max()),
            int((sources - self.streams[:, k.S_FREED] // self.streams[:, k.S_HEIGHT]).max()),
        )

    def kept(self) -> tuple[Any, ...]:
        """All that stands in it now, for `put_back`."""
        return self.m, self.m.copy(), self.jobs, self._slots, self.streams, self.parts, self.outputs

    def put_back(self, kept: tuple[Any, ...]) -> None:
        """Let it be as it was."""
        self.m, state, self.jobs, self._slots, self.streams, self.parts, self.outputs = kept
        self.m[:] = state

    def done(self, jobs: int, maps: int) -> bool:
        """Whether all rows of the first `jobs` jobs, of which `maps` bring a map, have ended."""
        rows = np.where(self._layout.by_map, maps, jobs) * self.parts[:, k.P_ROWS]
        return bool((self.parts[:, k.P_ENDED] >= rows).all())

    def issue(
        self, number: int, timestep: int, image_map: int, cancelled_at: float, slot: int, before: int
    ) -> None:
        """Let job `number` enter; `before` is that of the timestep before, -1 where there is none."""
        at = int(self.m[k.G_JOBS]) + number * k.J_SIZE
        cancelled = k.NEVER if cancelled_at == float("inf") else int(cancelled_at)
        self.m[at : at + k.J_SIZE] = timestep, image_map, cancelled, slot, before
        self.m[k.G_ISSUED] = number + 1

    def cancel(self, job: int, cycle: int) -> None:
        self.m[self.m[k.G_JOBS] + job * k.J_SIZE + k.J_CANCELLED] = cycle

    def work_at(self, begins: Table) -> None:
        """Where in the values of all images each stage's and edge's begin, ``[slots, stages + edges]``."""
        at = int(self.m[k.G_WORK_AT])
        self.m[at : at + begins.size] = begins.reshape(-1)

    def powered(self) -> Table:
        """Tile, begin, end and job of rows, ``[rows, 4]``."""
        at, rows = int(self.m[k.G_POWERED]), int(self.m[k.G_POWERED_ROWS])
        return self.m[at : at + 4 * rows].reshape(rows, 4)

    def take_powered(self) -> Table:
        """What `powered` gives, taken out."""
        rows = self.powered().copy()
        self.m[k.G_POWERED_ROWS] = 0
        return rows


class ImageValues:
    """The work of the images under way, end to end, each image in a slot of its own."""

    def __init__(self, layout: Layout, work: Sequence[ImageWork] | None) -> None:
        self._work = work
        skips = work is not None and layout.config.activity.skip_zero_reads
        self._stages = len(layout.placement.layers) if skips else 0
        self._edges = layout.edges if work is not None else []
        self.columns = self._stages, len(self._edges)
        self._slot_of: dict[int, int] = {}
        self._unused: list[int] = []
        self._places: list[tuple[list[int], list[int]]] = []
        self._active: list[NDArray[np.bool_]] = []
        self._events: list[Table] = []
        self.active, self.events = np.zeros(0, np.bool_), np.zeros(0, np.int64)
        self.changed = False

    @property
    def slots(self) -> int:
        return len(self._places)

    def slot(self, image: int) -> int:
        """Where the work of an image stands; brought there when it is asked for first."""
        if self._work is None or not any(self.columns):
            return 0
        if image not in self._slot_of:
            if not self._unused:
                self._unused.append(len(self._places))
                self._places.append(([], []))
                self._active.append(self.active[:0])
                self._events.append(self.events[:0])
            slot = self._slot_of[image] = self._unused.pop()
            work = self._work[image]
            reads = [work.active[stage] for stage in range(self._stages)]
            self._active[slot], at_reads = _end_to_end(reads, np.bool_)
            events = [work.events[edge] for edge in self._edges if edge in work.events]
            self._events[slot], at_events = _end_to_end(events, np.int64)
            found = iter(at_events)
            self._places[slot] = at_reads, [next(found) if e in work.events else -1 for e in self._edges]
            self.changed = True
        return self._slot_of[image]

    def begins(self) -> Table:
        """Where the values of each slot begin once they all stand end to end, which they do from here on."""
        self.changed = False
        if len(self._places) == 1:
            self.active, self.events = self._active[0], self._events[0]
        else:
            self.active, self.events = np.concatenate(self._active), np.concatenate(self._events)
        rows, reads, events = [], 0, 0
        for slot, (at_reads, at_events) in enumerate(self._places):
            here = [at + events if at >= 0 else -1 for at in at_events]
            rows.append([reads + at for at in at_reads] + here)
            reads += len(self._active[slot])
            events += len(self._events[slot])
        return np.array(rows, np.int64)

    def holds(self, image: int) -> bool:
        """Whether an image has a slot."""
        return image in self._slot_of

    def exited(self, images: Sequence[int]) -> None:
        """Nothing of these images is under way any more."""
        self._unused += [self._slot_of.pop(image) for image in images]


def _end_to_end(arrays: Sequence[NDArray[Any]], kind: type[np.generic]) -> tuple[NDArray[Any], list[int]]:
    """Arrays in one, and where in it each begins."""
    if not arrays:
        return np.zeros(0, kind), []
    ends = np.cumsum([array.size for array in arrays]).tolist()
    return np.concatenate([array.reshape(-1) for array in arrays]), [0, *ends[:-1]]
