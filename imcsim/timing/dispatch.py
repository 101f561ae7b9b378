"""Copies of a whole chip, or package, behind a dispatcher: each image goes to the copy that is free earliest.

Images wait in one line, in their order. A copy takes the next one when its issue policy lets an image enter;
of copies that take one in the same cycle that with the fewest images on it goes first, then that with the
lowest number. Copies share nothing: each has its own global buffer and its own link, and the dispatcher takes
no time and no energy.

Every copy is played on a clock of its own until it asks for an image; the one that asks at the earliest cycle
gets the next. So no copy has to know how far the others are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import simpy
from numpy.typing import NDArray
from simpy.core import EmptySchedule

from imcsim.hardware.config import HardwareConfig
from imcsim.mapping import Placement
from imcsim.timing.engine import Engine, refuse_loads
from imcsim.timing.fabric.chip import FabricEngine, FabricStalled
from imcsim.timing.fabric.layout import Layout
from imcsim.timing.image_work import ImageWork
from imcsim.timing.issue import Taking, Timing
from imcsim.timing.processes.chip import ProcessEngine
from imcsim.timing.timeline import Timeline

Progress = Callable[[int, int], None]


class Asking:
    """Images of one copy: each is asked for, and given once it is known to be this copy's."""

    def __init__(self) -> None:
        self.asked: simpy.Event | None = None
        self.taken = 0

    def take(self, env: simpy.Environment) -> Taking:
        """Ask for the next image; None where there is none."""
        self.asked = env.event()
        image: int | None = yield self.asked
        return image

    def give(self, image: int | None) -> None:
        """Give an image to the one that has asked."""
        assert self.asked is not None
        asked, self.asked = self.asked, None
        self.taken += image is not None
        asked.succeed(image)


def play_copies(
    placement: Placement,
    config: HardwareConfig,
    exits: Sequence[int],
    timing: Timing,
    copies: int,
    *,
    arrivals: Sequence[int] | None = None,
    work: Sequence[ImageWork] | None = None,
    progress: Progress | None = None,
) -> Timeline:
    """Play images on so many copies of a chip; see `play` for the arguments and errors.

    Returns one timeline: jobs of the first copy come first, and cycles in which tiles and links were busy are
    summed over copies.
    """

    refuse_loads(placement)
    images = len(exits)
    if timing.fidelity == "burst":
        layout = Layout(placement, config)
        try:
            fast = [
                FabricEngine(layout, exits, timing, arrivals, work, told) for told in _told(copies, progress)
            ]
            return _played(fast, images)
        except FabricStalled:
            progress = None
    fine = [
        ProcessEngine(placement, config, exits, timing, arrivals, work, told)
        for told in _told(copies, progress)
    ]
    return _played(fine, images)


def _told(copies: int, progress: Progress | None) -> list[Progress | None]:
    """For each copy whom to tell that an image has exited: the sum of all copies is passed on."""
    if progress is None:
        return [None] * copies
    done = [0] * copies

    def tell(copy: int, exited: int, images: int) -> None:
        done[copy] = exited
        progress(sum(done), images)

    return [partial(tell, copy) for copy in range(copies)]


def _played(engines: Sequence[Engine], images: int) -> Timeline:
    """Deal the images to engines, and play all of them to their ends."""
    sources = [Asking() for _ in engines]
    for engine, source in zip(engines, sources, strict=True):
        engine.source = source
        engine.begin()
    line = iter(range(images))
    waiting = {k: engine for k, engine in enumerate(engines) if _asks(engine, sources[k])}
    while waiting:
        copy = min(waiting, key=lambda k: (waiting[k].env.now, sources[k].taken - waiting[k].exits_so_far, k))
        sources[copy].give(next(line, None))
        if not _asks(engines[copy], sources[copy]):
            del waiting[copy]
    return _together([engine.finish() for engine in engines])


def _asks(engine: Engine, source: Asking) -> bool:
    """Play until a copy asks for an image; False where it never does again."""
    while source.asked is None:
        try:
            engine.env.step()
        except EmptySchedule:
            return False
    return True


def _together(lines: Sequence[Timeline]) -> Timeline:
    """The timelines of all copies as one."""

    def joined(name: str) -> NDArray[np.int64]:
        return np.concatenate([getattr(line, name) for line in lines])

    return Timeline(
        layers=lines[0].layers,
        image=joined("image"),
        timestep=joined("timestep"),
        issued=joined("issued"),
        answer=joined("answer"),
        verdict=joined("verdict"),
        cancelled=joined("cancelled"),
        counts=joined("counts"),
        begun=joined("begun"),
        ended=joined("ended"),
        # An image is on one copy, and -1 on all others.
        arrival=np.stack([line.arrival for line in lines]).max(axis=0),
        departure=np.stack([line.departure for line in lines]).max(axis=0),
        busy_cycles=np.stack([line.busy_cycles for line in lines]).sum(axis=0),
        link_cycles=sum(line.link_cycles for line in lines),
        package_cycles=sum(line.package_cycles for line in lines),
    )
