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

from imcsim.hardware.events import Event
from imcsim.timing.jobs import Job
from imcsim.timing.processes.flow import Wait
from imcsim.timing.processes.part import PartProcess, Row
from imcsim.timing.processes.row_kernels import BUSY, NEVER, STATE_SIZE, advance_row

_ALL = np.zeros(0, np.bool_)


@dataclass
class _Pending:
    """A row that has begun: when its inputs were there, and when its sides were, once known."""

    row: Row
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

    def prepare(self) -> None:
        part, config = self.part, self.engine.config
        waves = [w for w in range(self.layer.waves_per_row) if self.copies(w) > 0]
        copies = [self.copies(w) for w in waves]
        self._waves = np.array(waves, np.int64)
        self.wave_copies = np.array(copies, np.int64)
        self.wave_fetch = np.array(
            [self.fetch_cycles(w, n) for w, n in zip(waves, copies, strict=True)], np.int64
        )
        fetched = [self.fetch_bits(w, n) for w, n in zip(waves, copies, strict=True)]
        self._fetched_bits = sum(fetched)
        self._pe_bits = sum(self.pe_bits(bits) for bits in fetched)
        self.wave_lif = np.array([self.lif_cycles(n) for n in copies], np.int64)
        self.wave_write = np.array([self.write_cycles(n) for n in copies], np.int64)
        self._positions = int(sum(copies))
        self.fires = self.is_head and self.stage.neurons
        blocks = part.blocks[1] - part.blocks[0]
        sets = config.tile.input_sets
        self._state = _State(
            np.zeros(STATE_SIZE, np.int64),
            np.zeros(sets, np.int64),
            np.zeros(sets, np.int64),
            np.zeros(part.copy_count * blocks, np.int64),
            np.zeros(part.copy_count * blocks, np.int64),
        )
        self._pending: deque[_Pending] = deque()
        self._channels = sum(self.column_channels(c) for c in range(*part.columns))
        super().prepare()

    def begin(self, job: Job, y: int, stored: bool) -> Row:
        now = int(self.env.now)
        events = self.missing_sides(job, y, stored) if self.is_head else []
        row = Row(self.env.event(), self.env.event())
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
        config, blocks = self.engine.config, self.part.blocks[1] - self.part.blocks[0]
        return advance_row(
            pending.ready, pending.sides, pending.stored, self.fires, self.wave_copies,
            self.wave_fetch, self.wave_lif, self.wave_write, self.stage.planes, blocks, config.sense_cycles,
            config.convert_cycles, self.tree_cycles, pending.active, state.times, state.windows, state.sums,
            state.arrays, state.adcs,
        )  # fmt: skip

    def _schedule(self, pending: _Pending, which: int, event: simpy.Event, time: int) -> None:
        """Let an event happen at a time that is final, once."""
        if time >= NEVER or pending.scheduled[which]:
            return
        pending.scheduled[which] = True
        event._ok, event._value = True, None
        self.env.schedule(event, delay=max(0, time - self.env.now))

    def _active(self, job: Job, y: int) -> NDArray[np.bool_]:
        """Reads of a row that are not skipped, ``[waves * copies * planes * blocks]``; empty when none is."""
        active = self.engine.active(self.stage, job)
        if active is None:
            return _ALL
        part, width = self.part, self.stage.out_width
        x = self._waves[:, None] * self.layer.copies + part.copies[0] + np.arange(part.copy_count)
        row = active[y * width + np.minimum(x, width - 1)]
        row = row[..., part.blocks[0] : part.blocks[1]] & (x < width)[:, :, None, None]
        flat: NDArray[np.bool_] = row.reshape(-1)
        return flat

    def driven_cycles(self) -> int:
        return int(self._state.times[BUSY])

    # --- counting, row by row

    def _count_row(self, job: Job, pending: _Pending) -> None:
        if not pending.stored:
            active = pending.active
            reads = self.reads_of_a_row if active.size == 0 else int(active.sum())
            self.count_crossbars(job, reads, self.reads_of_a_row - reads)
        self.count_row(job, pending.stored)

    def count_row(self, job: Job, stored: bool) -> None:
        """All that a row does but its reads."""
        positions = self._positions
        if not stored:
            self.count_fetches(job, self._fetched_bits, self._pe_bits, positions)
            self.count_sums(job, positions)
        if self.is_head:
            self.count_fire(job, positions, stored)
        self.count_write(job, positions)

    @property
    def reads_of_a_row(self) -> int:
        """Reads of a column of crossbars' blocks in a row, silent ones included."""
        return self._positions * self.stage.planes * (self.part.blocks[1] - self.part.blocks[0])

    def count_crossbars(self, job: Job, reads: int, skipped: int) -> None:
        """Reads of row blocks that take place, and that are left out."""
        columns = self.part.columns[1] - self.part.columns[0]
        if reads:
            self.count_reads(job, reads * columns, 0)
            conversions = reads * self._channels * self.layer.slices
            self.engine.count(Event.CONVERSIONS, job, self.stage, conversions)
            self.engine.count(Event.SHIFT_ADDS, job, self.stage, conversions)
        if skipped:
            crossbars = columns * self.layer.unit_crossbars
            self.engine.count(Event.SKIPPED_READS, job, self.stage, skipped * crossbars)
