"""One large run whose images are shared out to the workers of a Dask cluster, with the same results.

What images do does not depend on each other (see `functional.in_flight`), so pieces of them may be played
anywhere. A worker gets the program, the ADC scales and its images; it needs imcsim, but neither files nor
plug-ins. Placement, schedules and prices are computed where the run was asked for.
"""

from __future__ import annotations

import hashlib
import pickle
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim._version import __version__
from imcsim.base.code import code_sha256
from imcsim.base.errors import ImcsimError
from imcsim.functional.program.program import Program
from imcsim.functional.run import Activity, Converters, concatenate, run
from imcsim.simulation.values import ActivityRequest, Computed
from imcsim.sweeps.pools import AHEAD, MAX_ATTEMPTS, Cluster
from imcsim.sweeps.tasks import WorkerFault, check_sources

MOST_IMAGES = 64
"""Of a task."""

PIECES = 4
"""Tasks for each worker at least, where there are images for so many: a slow one holds up the less."""

_PROGRAMS = 2
"""Programs that a worker keeps from task to task."""


@dataclass(frozen=True, eq=False)
class ImagesTask:
    """Some images of a run. version and code are those of the process that asks; program is the hash of the
    program and its converters.
    """

    version: str
    code: str
    program: str
    first: int
    images: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    timesteps: int
    record: frozenset[str]
    toggles: frozenset[str]

    @property
    def key(self) -> str:
        """A name that no other task of a run has."""
        return f"images-{self.program[:16]}-{self.first}-{len(self.images)}"


def play_images(task: ImagesTask, program: bytes) -> Activity:
    """What the images of a task do. Raises WorkerFault where this worker has other sources."""
    check_sources(task.version, task.code, "comparison")
    made, converters = _PLAYED.get(task.program, program)
    return run(
        made, task.images, task.timesteps, converters, workers=1, record=task.record, toggles=task.toggles,
        numbers=task.numbers,
    )  # fmt: skip


@dataclass
class _Programs:
    """The last programs of a worker, as they were unpacked; its threads share them."""

    _kept: dict[str, tuple[Program, Converters]] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    def get(self, key: str, packed: bytes) -> tuple[Program, Converters]:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = pickle.loads(packed)  # the cluster's own: whoever reaches it can run code
                while len(self._kept) > _PROGRAMS:
                    self._kept.pop(next(iter(self._kept)))
            return self._kept[key]


_PLAYED = _Programs()


class SharedValues(Computed):
    """Values as `Computed` gives them; what images do is computed by a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def activity(self, request: ActivityRequest) -> Activity:
        packed = pickle.dumps((request.program, request.converters))
        name = hashlib.sha256(packed).hexdigest()
        program = self._cluster.held(packed, name)
        waiting, done, out = deque(self._pieces(request, name)), dict[int, Activity](), 0
        total, finished, attempts = sum(len(task.images) for task in waiting), 0, dict[int, int]()
        while waiting or out:
            while waiting and out < self._cluster.slots * AHEAD:
                self._cluster.submit(waiting.popleft(), play_images, program)
                out += 1
            for task, activity in self._cluster.take():
                out -= 1
                if activity is None:
                    attempts[task.first] = attempts.get(task.first, 0) + 1
                    if attempts[task.first] == MAX_ATTEMPTS:
                        raise ImcsimError(
                            f"workers of the cluster died {MAX_ATTEMPTS} times at images {task.first + 1} to "
                            f"{task.first + len(task.images)}",
                            key="scheduler",
                            fix="give them more memory, or run without a cluster",
                        )
                    waiting.append(task)
                    continue
                done[task.first] = activity
                finished += len(task.images)
                if request.progress is not None:
                    request.progress(request.stage, finished, total)
        return _together([done[first] for first in sorted(done)])

    def _pieces(self, request: ActivityRequest, program: str) -> Iterator[ImagesTask]:
        images, numbers = request.inputs.images[request.at], request.inputs.numbers[request.at]
        size = min(MOST_IMAGES, max(1, -(-len(images) // (PIECES * self._cluster.slots))))
        for first in range(0, len(images), size):
            some = slice(first, first + size)
            yield ImagesTask(
                __version__, code_sha256(), program, first, np.ascontiguousarray(images[some]), numbers[some],
                request.timesteps, request.record, request.toggles,
            )  # fmt: skip


def _together(parts: list[Activity]) -> Activity:
    """One activity of images that were played in pieces, with their recorded values."""
    recorded = {name: np.concatenate([part.recorded[name] for part in parts]) for name in parts[0].recorded}
    return replace(concatenate(parts), recorded=recorded)


@contextmanager
def shared_values(scheduler: str) -> Iterator[SharedValues]:
    """Values that the cluster of a Dask scheduler computes. Raises ImcsimError where it is not there, or
    cannot be used.
    """
    cluster = Cluster(scheduler)
    try:
        yield SharedValues(cluster)
    except WorkerFault as fault:
        raise fault.told() from None
    finally:
        cluster.close()
