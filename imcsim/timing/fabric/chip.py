"""The chip of `burst`: tiles and mesh run compiled between the events that issuers and checker wait for.

One SimPy process plays all of them. It never runs past the next event of another process, so that nobody can
tell it from a process for each part and packet (`ProcessEngine`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import simpy
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.timing.engine import Engine
from imcsim.timing.fabric.kernels import cycles
from imcsim.timing.fabric.kernels import records as k
from imcsim.timing.fabric.layout import Layout
from imcsim.timing.fabric.memory import ImageValues, PlayMemory
from imcsim.timing.image_work import ImageWork
from imcsim.timing.issue import Timing
from imcsim.timing.jobs import Job
from imcsim.timing.processes.flow import Wait, late
from imcsim.timing.processes.row_kernels import BUSY
from imcsim.timing.timeline import EVENTS

FIRST_JOBS = 8
"""Jobs under way that there is room for at first."""

Table = NDArray[np.int64]


class FabricStalled(Exception):
    """Raised when the fabric cannot go on; processes can, or say why they cannot either."""


class FabricEngine(Engine):
    """Plays a layout, with the arguments of `play`. Raises FabricStalled when the chip locks up."""

    def __init__(
        self,
        layout: Layout,
        exits: Sequence[int],
        timing: Timing,
        arrivals: Sequence[int] | None = None,
        work: Sequence[ImageWork] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__(layout.placement, layout.config, exits, timing, arrivals, work, progress)
        self._values = ImageValues(layout, work)
        jobs = max(1, self.images * timing.timesteps)
        self._memory = PlayMemory(
            layout, min(FIRST_JOBS, jobs), self._values.columns, timing.issue.images_on_chip
        )
        self._memory.m[k.G_TIMED] = timing.timed
        self._memory.m[k.G_TELLS_ENTERED] = timing.issue.runs_ahead
        self._memory.m[k.G_STAGES], self._memory.m[k.G_EDGES] = self._values.columns
        self._table = np.zeros((self._memory.jobs, len(EVENTS) + 2, len(self.names)), np.int64)
        self._taken = np.zeros(layout.most_reads, np.bool_)
        self._gone: list[tuple[int, int, int]] = []
        """Images that have exited; jobs, and image maps, that had been issued by then."""
        self._entered = 0
        self._awaited: simpy.Event | None = None

    # --- what the engine asks for

    def _start(self) -> None:
        self.env.process(self._fabric())

    def _fabric(self) -> Wait:
        """Play tiles and mesh at the end of each cycle in which something happens, after all others."""
        env = self.env
        while True:
            yield late(env)
            now, until = int(env.now), env.peek()
            values = self._values
            status, cycle = cycles.advance(
                self._memory.m, self._table.reshape(-1), values.active, values.events, self._taken,
                now, k.NEVER if until == float("inf") else int(until),
            )  # fmt: skip
            if status == cycles.FAILED:
                raise FabricStalled
            if status == cycles.TOLD:
                if cycle > now:
                    yield env.timeout(cycle - now)
                self._tell()
                continue
            until = min(env.peek(), cycle)
            if until == k.NEVER:
                return
            if until > now:
                yield env.timeout(until - now)

    def _tell(self) -> None:
        """Let those go on who wait for the first layer to start a job, or for class outputs."""
        m = self._memory.m
        while self._entered < m[m[k.G_PARTS] + k.P_JOB]:
            self.jobs.jobs[self._entered].entered.succeed()
            self._entered += 1
        if self._awaited is not None and self._have(int(m[k.G_WANTED])):
            self._awaited.succeed()
            self._awaited = None
            m[k.G_WANTED] = k.NEVER

    def _have(self, number: int) -> bool:
        """Whether all class outputs (and stored rows) of the first `number` jobs have come."""
        m = self._memory.m
        answers = m[m[k.G_ANSWERS] : m[k.G_ANSWERS_END]]
        return bool((m[answers + k.S_TOTAL] >= number * m[answers + k.S_HEIGHT]).all())

    def _answer(self, number: int) -> Wait:
        m = self._memory.m
        if not self._have(number):
            m[k.G_WANTED] = number
            self._awaited = self.env.event()
            yield self._awaited
        self._memory.m[k.G_FREE_ANSWERS] += 1

    def issue(self, image: int, timestep: int) -> Job:
        job = super().issue(image, timestep)
        memory, values = self._memory, self._values
        values.exited([gone for gone, *last in self._gone if memory.done(*last)])
        self._gone = [gone for gone in self._gone if values.holds(gone[0])]
        slot = values.slot(image)
        memory.make_room(job.number + 1, self._image_maps, values.slots)
        if job.number >= len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        if values.changed:
            memory.work_at(values.begins())
        before = -1 if job.before is None else job.before.number
        memory.issue(job.number, job.timestep, job.image_map, job.cancelled_at, slot, before)
        return job

    def _cancel(self, job: Job, cycle: int) -> None:
        super()._cancel(job, cycle)
        self._memory.cancel(job.number, cycle)

    def _exited(self, image: int) -> None:
        # Rows that no class output hangs on, as those that a pool leaves over, may be under way still.
        if self._values.holds(image):
            self._gone.append((image, len(self.jobs.jobs), self._image_maps))

    def _locked(self) -> ImcsimError:
        raise FabricStalled

    def _powered(self) -> Table:
        return self._memory.powered()

    def _busy(self) -> tuple[Table, int, int]:
        m, parts = self._memory.m, self._memory.parts
        busy = np.zeros(self.placement.tiles, np.int64)
        np.add.at(busy, parts[:, k.P_TILE], m[parts[:, k.P_TIMES] + BUSY])
        return busy, int(m[k.G_LINK_CYCLES]), int(m[k.G_PACKAGE_CYCLES])

    def _counts(self) -> Table:
        return self.counter.array() + self._table[: len(self.jobs.jobs), : len(EVENTS)]

    def _spans(self) -> Table:
        return self._table[: len(self.jobs.jobs), len(EVENTS) :] - 1
