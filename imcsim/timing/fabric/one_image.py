"""One image that runs ahead, for every exit timestep, on a fabric that is played once.

A run that is over after t timesteps is the longest run until the moment that tells them apart: for a static
run, which knows its length, the one in which timestep t + 1 would enter; for a dynamic one that in which the
outputs of timestep t have been accumulated, and the checker finds that the image exits. There the whole state
is kept, the shorter run is played to its end, which takes as long as the chip needs to run empty, and the
longest run goes on from what was kept. So all exits together take time that grows with T, and not with its
square.

What SimPy does for an engine (`Engine._control`, `issue._stream`) stands here as plain numbers, which can be
kept and put back; the rest of the state is the fabric's memory.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.events import Event
from imcsim.timing.engine import check_global_buffer
from imcsim.timing.fabric.chip import FIRST_JOBS, FabricStalled
from imcsim.timing.fabric.kernels import cycles
from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.layout import Layout
from imcsim.timing.fabric.memory import ImageValues, PlayMemory
from imcsim.timing.gating import powered_cycles
from imcsim.timing.image_work import ImageWork
from imcsim.timing.issue import Timing
from imcsim.timing.link_times import check_cycles, checked, results
from imcsim.timing.processes.row_kernels import BUSY
from imcsim.timing.timeline import EVENT_INDEX, EVENTS, Timeline, layer_names

Table = NDArray[np.int64]

FOR_JOB, FOR_ANSWER, ACCUMULATES, CHECKS = range(4)
"""What the checker does: it waits for a job or its outputs, or is at work until `Clock.due`."""


@dataclass(frozen=True, eq=False)
class ShorterRun:
    """What a run that is over after `exit` timesteps does otherwise than the longest one: all of its jobs
    from `first` on. counts: int64 ``[jobs, events, layers]``; begun, ended: ``[jobs, layers]``, as in
    `Timeline`; answer, verdict: ``[exit - first]``, of those jobs that are checked.
    """

    exit: int
    first: int
    counts: Table
    begun: Table
    ended: Table
    answer: Table
    verdict: Table

    @classmethod
    def of(cls, line: Timeline, exit_after: int) -> ShorterRun:
        """All jobs of a run that was played alone."""
        checked = slice(0, exit_after)
        return cls(
            exit_after, 0, line.counts, line.begun, line.ended,
            line.answer[checked] - line.arrival[0], line.verdict[checked] - line.arrival[0],
        )  # fmt: skip


def playable(layout: Layout, timing: Timing) -> bool:
    """Whether `exits_of` can play a chip: one that runs ahead, and whose checker takes time: verdicts come
    after outputs.
    """
    return timing.issue.runs_ahead and check_cycles(layout.placement, layout.config) > 0


def exits_of(
    layout: Layout,
    timing: Timing,
    work: ImageWork | None,
    *,
    dynamic: bool,
    shown: Collection[int],
) -> tuple[Timeline, list[ShorterRun]]:
    """The run to T max of one image, and its runs that are over after the timesteps `shown`, in order.

    Equal in every cycle and count to `play` for each exit alone. Raises FabricStalled where that locks up.
    """
    return _OneImage(layout, timing, work, dynamic, frozenset(shown)).played()


@dataclass
class _Clock:
    """Where checker and issuer are; `due`: when the checker is done with what it does."""

    now: int = 0
    entered: int = 0
    issued: int = 0
    maps: int = 0
    state: int = FOR_JOB
    number: int = 0
    due: int = k.NEVER
    exits_at: float = float("inf")
    closed: bool = False


class _OneImage:
    """The chip, its one image, and what has been counted."""

    def __init__(
        self, layout: Layout, timing: Timing, work: ImageWork | None, dynamic: bool, shown: frozenset[int]
    ) -> None:
        self._layout, self._timing, self._dynamic, self._shown = layout, timing, dynamic, shown
        placement, config = layout.placement, layout.config
        self._names = layer_names(placement)
        self._values = ImageValues(layout, None if work is None else [work])
        self._memory = PlayMemory(
            layout, min(FIRST_JOBS, timing.timesteps), self._values.columns, timing.issue.images_on_chip,
            taken=True,
        )  # fmt: skip
        head = self._memory.m
        head[k.G_TIMED], head[k.G_TELLS_ENTERED] = timing.timed, timing.issue.runs_ahead
        head[k.G_STAGES], head[k.G_EDGES] = self._values.columns
        self._table = np.zeros((timing.timesteps, len(EVENTS) + 2, len(self._names)), np.int64)
        self._taken = np.zeros(layout.most_reads, np.bool_)
        self._recomputes = config.encoder.mode == "recompute"
        classes, votes = placement.graph.classes, placement.graph.votes
        accumulator = config.accumulator
        self._accumulate_cycles = classes * votes * accumulator.class_cycles
        self._check_cycles = check_cycles(placement, config)
        self._checked: list[tuple[Event, int]] = [
            *accumulator.events(classes * votes).items(),
            *checked(placement, config, mean=timing.mean).items(),
        ]
        self._results = results(placement, config)
        check_global_buffer(placement, config, timing)
        self.clock = _Clock()
        self._issued_at = np.full(timing.timesteps, -1, np.int64)
        self._answer = np.full(timing.timesteps, -1, np.int64)
        self._verdict = np.full(timing.timesteps, -1, np.int64)
        self._last = timing.timesteps
        """After which timestep the image exits, in the run that is being played."""
        self._found: list[ShorterRun] = []
        self._powered: list[Table] = []
        """Rows that kept tiles powered, where idle ones are gated, in the order in which they ended."""

    def played(self) -> tuple[Timeline, list[ShorterRun]]:
        self._issue()
        self._run()
        return self._timeline(), sorted(self._found, key=lambda run: run.exit)

    # --- one run

    def _run(self) -> None:
        """Play until nothing more can happen."""
        clock, memory, values = self.clock, self._memory, self._values
        counts = self._table.reshape(-1)
        while True:
            self._check()
            status, cycle = cycles.advance(
                memory.m, counts, values.active, values.events, self._taken, clock.now, clock.due
            )
            if status == cycles.FAILED:
                raise FabricStalled
            if status == cycles.TOLD:
                clock.now = int(cycle)
                self._told()
                continue
            until = min(int(cycle), clock.due)
            if until == k.NEVER:
                break
            clock.now = until
        if clock.number < self._last:
            raise FabricStalled

    def _told(self) -> None:
        """The first layer has started jobs, or class outputs have come."""
        clock, m = self.clock, self._memory.m
        while clock.entered < m[m[k.G_PARTS] + k.P_JOB]:
            clock.entered += 1
            if clock.closed:
                continue
            if clock.issued == self._timing.timesteps or clock.now >= clock.exits_at:
                clock.closed = True
                continue
            if not self._dynamic and clock.issued in self._shown:
                self._shorter(clock.issued)
            self._issue()
        if clock.state == FOR_ANSWER and self._have():
            self._memory.m[k.G_WANTED] = k.NEVER
            self._accumulate()

    def _issue(self) -> None:
        """Let the next timestep enter."""
        clock, memory, values = self.clock, self._memory, self._values
        number, image_map = clock.issued, clock.maps
        clock.maps += number == 0 or self._recomputes
        slot = values.slot(0)
        self._powered.append(memory.take_powered())
        memory.make_room(number + 1, clock.maps, values.slots)
        if values.changed:
            memory.work_at(values.begins())
        memory.issue(number, number, image_map, clock.exits_at, slot, number - 1)
        self._issued_at[number] = clock.now
        clock.issued += 1

    # --- the checker

    def _have(self) -> bool:
        """Whether all class outputs of the job that the checker waits for have come."""
        m = self._memory.m
        totals = m[m[m[k.G_ANSWERS] : m[k.G_ANSWERS_END]] + k.S_TOTAL]
        return bool((totals >= self.clock.number + 1).all())

    def _accumulate(self) -> None:
        """Take the class outputs of the next job, unless it is cancelled."""
        clock = self.clock
        self._memory.m[k.G_FREE_ANSWERS] += 1
        if clock.now >= clock.exits_at:
            clock.number, clock.state = clock.number + 1, FOR_JOB
        else:
            clock.state, clock.due = ACCUMULATES, clock.now + self._accumulate_cycles

    def _check(self) -> None:
        """All that the checker does in this cycle."""
        clock = self.clock
        while True:
            if clock.state == FOR_JOB:
                if clock.number >= clock.issued:
                    return
                clock.state = FOR_ANSWER
                if not self._have():
                    self._memory.m[k.G_WANTED] = clock.number + 1
                    return
                self._accumulate()
            elif clock.state == FOR_ANSWER or clock.due > clock.now:
                return
            elif clock.state == ACCUMULATES:
                self._accumulated()
            else:
                self._spoke()

    def _accumulated(self) -> None:
        clock, number = self.clock, self.clock.number
        self._answer[number] = clock.now
        self._verdict[number] = clock.now + self._check_cycles
        clock.state, clock.due = CHECKS, clock.now + self._check_cycles
        running = self._last == self._timing.timesteps
        if self._dynamic and running and number + 1 < self._last and number + 1 in self._shown:
            self._shorter(number + 1)
        if number + 1 >= self._last:
            clock.exits_at = int(self._verdict[number])
            for later in range(number + 1, clock.issued):
                self._memory.cancel(later, int(clock.exits_at))

    def _spoke(self) -> None:
        clock = self.clock
        for event, count in self._checked:
            self._table[clock.number, EVENT_INDEX[event], -2] += count
        if clock.number == 0:
            for event, count in self._results.items():
                self._table[0, EVENT_INDEX[event], -2] += count
        clock.number, clock.state, clock.due = clock.number + 1, FOR_JOB, k.NEVER

    # --- a shorter run, from here on

    def _shorter(self, exit_after: int) -> None:
        """Play the run that is over after `exit_after` timesteps to its end; then all is as it was."""
        clock, memory = self.clock, self._memory
        issued = clock.issued
        first = max(0, min(issued - memory.under_way(issued, clock.maps), clock.number))
        self._powered.append(memory.take_powered())
        pieces = len(self._powered)
        state, numbers = memory.kept(), vars(clock).copy()
        rows = (self._table, self._issued_at, self._answer, self._verdict)
        before = [array[first:issued].copy() for array in rows]
        self._last = exit_after
        if self._dynamic:
            number = clock.number
            clock.exits_at = int(self._verdict[number])
            for later in range(number + 1, clock.issued):
                memory.cancel(later, int(clock.exits_at))
        else:
            clock.closed = True
            if clock.state == FOR_ANSWER and self._have():
                memory.m[k.G_WANTED] = k.NEVER
                self._accumulate()
        self._run()
        self._count_powered(first)
        jobs = slice(first, clock.issued)
        spans = self._table[jobs, len(EVENTS) :] - 1
        checked = slice(first, exit_after)
        self._found.append(
            ShorterRun(
                exit_after,
                first,
                self._table[jobs, : len(EVENTS)].copy(),
                spans[:, 0],
                spans[:, 1],
                self._answer[checked].copy(),
                self._verdict[checked].copy(),
            )
        )
        memory.put_back(state)
        del self._powered[pieces:]
        for array, was in zip(rows, before, strict=True):
            array[issued : clock.issued] = 0 if array is self._table else -1
            array[first:issued] = was
        for name, value in numbers.items():
            setattr(clock, name, value)
        self._last = self._timing.timesteps

    def _count_powered(self, first: int) -> None:
        """Count, at the end of a run, the cycles for which jobs from `first` on kept tiles powered. All rows
        of jobs before it ended before any run branched off.
        """
        self._powered.append(self._memory.take_powered())
        since, rows = self._issued_at[first], list[Table]()
        for piece in reversed(self._powered):
            if len(piece) and piece[-1, 2] <= since:
                break
            rows.append(piece)
        jobs, powered = powered_cycles(np.concatenate(rows))
        late = jobs >= first
        at = EVENT_INDEX[Event.POWERED_TILE_CYCLES]
        np.add.at(self._table[:, at, -1], jobs[late], powered[late])

    # --- what comes of it

    def _timeline(self) -> Timeline:
        self._count_powered(0)
        memory, jobs = self._memory, self.clock.issued
        busy = np.zeros(self._layout.placement.tiles, np.int64)
        np.add.at(busy, memory.parts[:, k.P_TILE], memory.m[memory.parts[:, k.P_TIMES] + BUSY])
        spans = self._table[:jobs, len(EVENTS) :] - 1
        return Timeline(
            layers=self._names,
            image=np.zeros(jobs, np.int64),
            timestep=np.arange(jobs),
            issued=self._issued_at[:jobs],
            answer=self._answer[:jobs],
            verdict=self._verdict[:jobs],
            cancelled=np.full(jobs, -1, np.int64),
            counts=self._table[:jobs, : len(EVENTS)],
            begun=spans[:, 0],
            ended=spans[:, 1],
            arrival=np.zeros(1, np.int64),
            departure=self._verdict[jobs - 1 : jobs],
            busy_cycles=busy,
            link_cycles=int(memory.m[k.G_LINK_CYCLES]),
            package_cycles=int(memory.m[k.G_PACKAGE_CYCLES]),
        )
