"""Jobs, each one timestep of one image on its way through the chip. Parts take them in the order of issue."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import simpy

NEVER = float("inf")


@dataclass(eq=False)
class Job:
    """Timestep `timestep` (from 0) of image `image`; the `number`-th job, and the `image_map`-th image map.

    Cancelled work starts no row from `cancelled_at` on.
    """

    number: int
    image: int
    timestep: int
    image_map: int
    entered: simpy.Event
    """Happens when the first layer has started all rows."""
    verdict: simpy.Event
    """Happens when the checker has spoken; its value says whether the image exits."""
    issued_at: int
    cancelled_at: float = NEVER
    answer_at: int | None = None
    verdict_at: int | None = None
    before: Job | None = None
    """The timestep before, of the same image."""

    def back(self, timesteps: int) -> Job | None:
        """The job of the same image so many timesteps before; None where it had none."""
        job: Job | None = self
        for _ in range(timesteps):
            job = None if job is None else job.before
        return job

    def dead(self, now: float) -> bool:
        """Whether this job is cancelled by now."""
        return now >= self.cancelled_at


@dataclass
class JobQueue:
    """Jobs in order of issue. Readers ask for one after the other."""

    env: simpy.Environment
    jobs: list[Job] = field(default_factory=list)
    closed: bool = False
    _latest: dict[int, Job] = field(default_factory=dict)
    _waiting: list[simpy.Event] = field(default_factory=list)

    def put(self, image: int, timestep: int, image_maps: int) -> Job:
        """Issue a job now, and wake those who wait for it."""
        entered, verdict = self.env.event(), self.env.event()
        job = Job(len(self.jobs), image, timestep, image_maps, entered, verdict, int(self.env.now))
        job.before = self._latest.get(image)
        self._latest[image] = job
        self.jobs.append(job)
        self._wake()
        return job

    def close(self) -> None:
        """No more jobs will come."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.succeed()

    def take(self, number: int) -> Generator[simpy.Event, None, Job | None]:
        """Wait for job `number`; None when there will be none."""
        while number >= len(self.jobs):
            if self.closed:
                return None
            event = self.env.event()
            self._waiting.append(event)
            yield event
        return self.jobs[number]
