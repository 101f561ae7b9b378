"""The `burst` fidelity: a whole row at a time, with one event when it is fetched and one when it is done.

A row whose partial sums or residuals have not come yet is solved as far as possible with "never" in their
place, since times only grow with them: what comes out finite is final. It is solved again when they have
come, from the state that the rows before it left.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import simpy
from numpy.typing import NDArray

from imcsim.timing.figures import PartFigures
from imcsim.timing.jobs import Job
from imcsim.timing.processes.flow import Wait
from imcsim.timing.processes.part import PartProcess, RowEvents, Surroundings
from imcsim.timing.processes.row_kernels import BUSY, NEVER, STATE_SIZE, advance_row
from imcsim.timing.wiring import PartWiring

_ALL = np.zeros(0, np.bool_)


@dataclass
class _Pending:
    """A row that has begun: when its inputs were there, and when its sides were, once known."""

    row: RowEvents
    ready: int
    sides: int
    stored: bool
    active: NDArray[np.bool_]
    scheduled: list[bool] = field(default_factory=lambda: [False, False])


@dataclass
class _State:
    """What a row leaves behind for the next one."""

    times: NDArray[np.int64]
    windows: NDArray[np.int64]
    sums: NDArray[np.int64]
    arrays: NDArray[np.int64]
    adcs: NDArray[np.int64]

    def copy(self) -> _State:
        return _State(
            self.times.copy(), self.windows.copy(), self.sums.copy(), self.arrays.copy(), self.adcs.copy()
        )


class BurstPart(PartProcess):
    """Plays a row with the compiled recurrence."""

    def __init__(self, around: Surroundings, figures: PartFigures, wiring: PartWiring) -> None:
        super().__init__(around, figures, wiring)
        waves, units = figures.waves, figures.part.copy_count * len(figures.row_blocks)
        self._copies, self._fetch, self._lif, self._write = (
            np.array(column, np.int64)
            for column in (
                [wave.copies for wave in waves],
                [wave.fetch_cycles for wave in waves],
                [wave.lif_cycles for wave in waves],
                [wave.write_cycles for wave in waves],
            )
        )
        self._turns = np.array(figures.turns, np.int64)
        sizes = (STATE_SIZE, figures.config.tile.input_sets, figures.config.tile.input_sets, units, units)
        self._state = _State(*(np.zeros(size, np.int64) for size in sizes))
        self._pending: deque[_Pending] = deque()
        self._row_counts = {
            (stored, first): figures.row_counts(stored=stored, first=first)
            for stored in (False, True)
            for first in (False, True)
        }

    def driven_cycles(self) -> int:
        return int(self._state.times[BUSY])

    def begin(self, job: Job, y: int, stored: bool) -> RowEvents:
        now = int(self.env.now)
        events = self.missing_sides(job, y, stored) if self.figures.is_head else []
        row = RowEvents(self.env.event(), self.env.event())
        pending = _Pending(row, now, NEVER if events else 0, stored, self._active(job, y))
        self._pending.append(pending)
        self._count_row(job, pending)
        if events:
            self.env.process(self._sides(pending, self.env.all_of(events)))
        self._solve()
        return row

    def _sides(self, pending: _Pending, come: simpy.Event) -> Wait:
        """Solve again when a row's partial sums and residuals have come."""
        yield come
        pending.sides = int(self.env.now)
        self._solve()

    def _solve(self) -> None:
        """Advance through the rows under way; keep the state behind the last one that is settled."""
        state, settled = self._state, True
        for pending in list(self._pending):
            if settled and pending.sides == NEVER:
                settled = False
                state = state.copy()
            fetched, done = self._advance(pending, state)
            self._schedule(pending, 0, pending.row.fetched, fetched)
            self._schedule(pending, 1, pending.row.done, done)
            if settled:
                self._pending.popleft()

    def _advance(self, pending: _Pending, state: _State) -> tuple[int, int]:
        figures, config = self.figures, self.figures.config
        sizes = len(state.arrays), len(self._turns), len(state.windows), len(state.sums)
        return advance_row(
            pending.ready, pending.sides, pending.stored, figures.fires, len(self._copies), self._copies,
            self._fetch, self._lif, self._write, figures.reads_of_position, figures.layer.turns, self._turns,
            figures.sense_cycles, config.convert_cycles, figures.tree_cycles, len(pending.active) == 0,
            pending.active, state.times, sizes, state.windows, state.sums, state.arrays, state.adcs,
        )  # fmt: skip

    def _schedule(self, pending: _Pending, which: int, event: simpy.Event, time: int) -> None:
        """Let an event happen at a time that is final, once."""
        if time >= NEVER or pending.scheduled[which]:
            return
        pending.scheduled[which] = True
        event._ok, event._value = True, None
        self.env.schedule(event, delay=max(0, time - self.env.now))

    def _active(self, job: Job, y: int) -> NDArray[np.bool_]:
        """Reads of a row that are not skipped, ``[waves * copies * drives * blocks]``; empty when none is."""
        active = self.around.active(self.stage, job)
        if active is None:
            return _ALL
        part, width = self.part, self.stage.out_width
        waves = np.array([wave.number for wave in self.figures.waves], np.int64)
        column, row_of_band = np.divmod(part.copies[0] + np.arange(part.copy_count), self.layer.row_copies)
        x = waves[:, None] * self.layer.columns_at_once + column
        row = active[(y * self.layer.row_copies + row_of_band) * width + np.minimum(x, width - 1)]
        blocks = self.figures.row_blocks
        row = row[..., blocks.start : blocks.stop] & (x < width)[:, :, None, None]
        flat: NDArray[np.bool_] = row.reshape(-1)
        return flat

    def _count_row(self, job: Job, pending: _Pending) -> None:
        if not pending.stored:
            active = pending.active.reshape(-1, len(self.figures.row_blocks))
            for blocks in self.figures.alike:
                everything = self.figures.row_reads(blocks)
                reads = everything if active.size == 0 else int(active[:, blocks.start : blocks.stop].sum())
                self.count(job, self.figures.row_read_counts(blocks, reads, everything - reads))
        self.count(job, self._row_counts[pending.stored, job.timestep == 0])
