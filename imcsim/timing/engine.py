"""What a chip is to those who use it: jobs go in, class outputs come out, the checker speaks.

How tiles and mesh get from one to the other is the business of the classes made of this one: `ProcessEngine`
has a SimPy process for everything, `FabricEngine` a compiled one for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import simpy
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Placement
from imcsim.timing.gating import powered_cycles
from imcsim.timing.image_work import ImageWork
from imcsim.timing.issue import ImageLine, InTurn, Timing, issuers
from imcsim.timing.jobs import Job, JobQueue
from imcsim.timing.link_times import check_cycles, checked, results
from imcsim.timing.processes.flow import Wait
from imcsim.timing.recorder import Recorder, Slice
from imcsim.timing.timeline import Counter, Spans, Timeline, layer_names


class Engine:
    """One chip while it plays: its clock, its jobs, its checker and what it has counted.

    `run` begins everything, or `begin` does where somebody else advances its clock. Issuers then let jobs
    enter (`issue`); tiles and mesh work on them until their class outputs have come (`_answer`); the checker
    accumulates these, and its verdict lets the image exit or its issuer go on. See `play` for the arguments.
    """

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
        if timing.timed and config.encoder.mode == "keep":
            raise ImcsimError(
                "currents cannot be kept where the input changes at every timestep",
                key="encoder.mode",
                fix="set it to recompute",
            )
        self.env = simpy.Environment()
        self.placement, self.config, self.timing = placement, config, timing
        self.exits, self.arrivals, self.work = list(exits), arrivals, work
        self.images = len(self.exits)
        self.source: ImageLine = InTurn(self.images)
        self._progress, self.recorder = progress, recorder
        self.names = layer_names(placement)
        self.counter, self.spans = Counter(len(self.names)), Spans(len(self.names))
        self.jobs = JobQueue(self.env)
        self._image_maps = 0
        self._arrival = np.full(self.images, -1, np.int64)
        self._departure = np.full(self.images, -1, np.int64)
        self._exits_at: dict[int, int] = {}
        # Asked for once, and outside SimPy, which keeps no more of an error than its message.
        self._check_cycles = check_cycles(placement, config)
        self._checked = checked(placement, config, mean=timing.mean)
        self._results = results(placement, config)

    # --- what tiles and mesh are asked for

    def _start(self) -> None:
        """Let tiles and mesh begin."""
        raise NotImplementedError

    def _answer(self, number: int) -> Wait:
        """Wait until the class outputs of the first `number` jobs have come, then take those of the last."""
        raise NotImplementedError

    def _locked(self) -> ImcsimError:
        """The error where images have not exited and nothing can go on."""
        raise NotImplementedError

    def _powered(self) -> NDArray[np.int64]:
        """Tile, begin, end and job of the rows that kept tiles powered, where idle ones are gated."""
        raise NotImplementedError

    def _busy(self) -> tuple[NDArray[np.int64], int, int]:
        """Cycles in which the tiles' crossbars were driven; link-cycles that carried flits on chips, and
        between them.
        """
        raise NotImplementedError

    # --- what issuers ask for

    def issue(self, image: int, timestep: int) -> Job:
        """Let a timestep of an image enter."""
        brings_map = timestep == 0 or self.config.encoder.mode == "recompute"
        job = self.jobs.put(image, timestep, self._image_maps)
        self._image_maps += brings_map
        job.cancelled_at = self._exits_at.get(image, job.cancelled_at)
        self.counter.open()
        self.spans.open()
        return job

    def exited(self, image: int) -> bool:
        """Whether the verdict that lets an image exit has been given by now."""
        return self.env.now >= self._exits_at.get(image, float("inf"))

    def arrived(self, image: int, cycle: int) -> None:
        self._arrival[image] = cycle

    # --- images and verdicts

    def run(self) -> Timeline:
        """Play until nothing more can happen. Raises ImcsimError where images have not exited by then."""
        self.begin()
        self.env.run()
        return self.finish()

    def begin(self) -> None:
        """Let everything begin that plays from the first cycle on."""
        check_global_buffer(self.placement, self.config, self.timing)
        self._start()
        self.env.process(self._issue_all())
        self.env.process(self._control())

    def finish(self) -> Timeline:
        """What has been played, when nothing more can happen. Raises ImcsimError where images that have come
        have not exited by then, or some have not come at all: their issuer waits.
        """
        if not self.jobs.closed or ((self._arrival >= 0) & (self._departure < 0)).any():
            raise self._locked()
        return self._timeline()

    @property
    def exits_so_far(self) -> int:
        """Images that have exited by now."""
        return int((self._departure >= 0).sum())

    def _issue_all(self) -> Wait:
        yield self.env.all_of([self.env.process(process) for process in issuers(self)])
        self.jobs.close()

    def _control(self) -> Wait:
        """When the class outputs of a job have come: accumulate and check them, and give the verdict."""
        graph, output = self.placement.graph, len(self.names) - 2
        # Outputs that vote for a class are added up like classes. Layers that are loaded before the last ones
        # have none.
        classes = graph.classes * graph.votes if graph.answers else 0
        accumulator = self.config.accumulator
        accumulated = list(accumulator.events(classes).items()) if classes else []
        number = 0
        while True:
            job = yield from self.jobs.take(number)
            if job is None:
                return
            number += 1
            yield from self._answer(number)
            if job.dead(self.env.now):
                continue
            began = self.env.now
            yield self.env.timeout(classes * accumulator.class_cycles)
            last = job.timestep + 1 == self.timing.timesteps
            checks = graph.answers and (last or not self.timing.checks_last)
            check_cycles = self._check_cycles if checks else 0
            job.answer_at = int(self.env.now)
            job.verdict_at = job.answer_at + check_cycles
            if self.recorder is not None:
                spans = int(began), job.answer_at, job.verdict_at
                self.recorder.note(Slice("accumulate", job.number, output, *spans[:2], classes))
                self.recorder.note(Slice("check", job.number, output, *spans[1:], classes))
            exits = job.timestep + 1 >= self.exits[job.image]
            if exits:
                # Known before it is spoken, so that everybody sees it in the cycle in which it is.
                self._exits_at[job.image] = job.verdict_at
                for later in self.jobs.jobs[number:]:
                    if later.image == job.image:
                        self._cancel(later, job.verdict_at)
            yield self.env.timeout(check_cycles)
            for event, count in accumulated + (list(self._checked.items()) if checks else []):
                self.counter.add(event, job.number, output, count)
            # Once for each image, which has a first timestep whenever it exits.
            if job.timestep == 0 and graph.answers:
                for event, count in self._results.items():
                    self.counter.add(event, job.number, output, count)
            if exits:
                self._departure[job.image] = job.verdict_at
                self._exited(job.image)
                if self._progress is not None:
                    self._progress(self.exits_so_far, self.images)
            job.verdict.succeed(exits)

    def _exited(self, image: int) -> None:
        """An image exits now."""

    def _counts(self) -> NDArray[np.int64]:
        """All counts, int64 ``[jobs, events, layers]``."""
        return self.counter.array()

    def _spans(self) -> NDArray[np.int64]:
        """From when until when each layer worked on each job, int64 ``[jobs, 2, layers]``."""
        return self.spans.array()

    def _cancel(self, job: Job, cycle: int) -> None:
        """Let a job that is under way start nothing from `cycle` on."""
        job.cancelled_at = cycle

    def _count_powered_tiles(self) -> None:
        static = len(self.names) - 1
        for job, powered in zip(*powered_cycles(self._powered()), strict=True):
            self.counter.add(Event.POWERED_TILE_CYCLES, job, static, powered)

    def _timeline(self) -> Timeline:
        jobs = self.jobs.jobs
        busy, link_cycles, package_cycles = self._busy()
        self._count_powered_tiles()
        spans = self._spans()

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
            counts=self._counts(),
            begun=spans[:, 0],
            ended=spans[:, 1],
            arrival=self._arrival,
            departure=self._departure,
            busy_cycles=busy,
            link_cycles=link_cycles,
            package_cycles=package_cycles,
        )


def refuse_loads(placement: Placement) -> None:
    """Raise ImcsimError for a chip on which groups of layers take turns."""
    if placement.loads:
        raise ImcsimError(
            "groups of layers take turns on this chip, and its images are not played as a stream or recorded",
            key="reload.tiles",
            fix="use compare or run, or set it to network",
        )


def check_global_buffer(placement: Placement, config: HardwareConfig, timing: Timing) -> None:
    """Raise ImcsimError where the images that are on the chip together do not fit the global buffer."""
    images = 1 if config.encoder.mode == "keep" else timing.issue.images_on_chip
    held = placement.graph.image_bits * images
    if held > config.global_buffer.capacity_bytes * 8:
        raise ImcsimError(
            f"the images on the chip take {-(-held // 8)} bytes, the global buffer has "
            f"{config.global_buffer.capacity_bytes}",
            key="global_buffer.capacity_bytes",
            fix="enlarge it",
        )
