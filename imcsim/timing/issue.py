"""Issue policies: when the next timestep, or the next image, enters the chip.

- ``wait`` (DT-SNN): one image at a time; timestep t + 1 enters when the checker has said "go on".
- ``pipeline``: timesteps follow each other through the layers without waiting; no image exits early.
- ``speculate``: as `pipeline`, but the checker's verdict cancels what has entered for nothing.
- ``interleave``: `ways` images are on the chip; while one waits for its verdict, the others compute.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import simpy

from imcsim.base.choices import Fidelity, Rule
from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.timing.jobs import Job
from imcsim.timing.processes.flow import Wait, late

Kind = Literal["wait", "pipeline", "speculate", "interleave"]
_PLAIN: tuple[Kind, ...] = ("wait", "pipeline", "speculate")


@dataclass(frozen=True)
class Issue:
    """An issue policy. `ways` counts for ``interleave`` only."""

    kind: Kind = "wait"
    ways: int = 1

    @property
    def runs_ahead(self) -> bool:
        """Whether a timestep may enter before the verdict on the one before it."""
        return self.kind in ("pipeline", "speculate")

    @property
    def exits_early(self) -> bool:
        """Whether an image that is sure of its class exits before T max."""
        return self.kind != "pipeline"

    @property
    def images_on_chip(self) -> int:
        """Images whose membranes a layer must hold at the same time. Images that follow each other through
        the layers need one set: a layer is done with one before it takes up the next.
        """
        return self.ways if self.kind == "interleave" else 1

    def __str__(self) -> str:
        return f"{self.kind}:{self.ways}" if self.kind == "interleave" else self.kind


def parse(text: str) -> Issue:
    """``wait``, ``pipeline``, ``speculate``, or ``interleave:k`` with k from 1 to 64. Raises ImcsimError."""
    kind, _, ways = text.partition(":")
    if kind == "interleave" and ways.isascii() and ways.isdigit() and 1 <= int(ways) <= 64:
        return Issue("interleave", int(ways))
    for known in _PLAIN:
        if text == known:
            return Issue(known)
    near = suggestion(text, _PLAIN)
    every = "use wait, pipeline, speculate, or interleave:k with k from 1 to 64"
    raise ImcsimError(f"{text!r} is not an issue policy", fix="; ".join(filter(None, (near, every))))


@dataclass(frozen=True)
class Timing:
    """How images are played, whatever the chip."""

    timesteps: int
    """T max: images that do not exit early stay so long."""
    issue: Issue = Issue()
    """When timesteps and images enter."""
    fidelity: Fidelity = "burst"
    """In which detail the chip is played; the timeline is the same."""
    mean: bool = True
    """The checker takes means of the class outputs: it multiplies each by a stored 1/t."""
    timed: bool = False
    """Inputs have a frame for each timestep, which is brought onto the chip then."""
    rule: Rule = "entropy"
    """The exit rule that the checker is built for."""
    first: int = 0
    """Timesteps that were played before, at an earlier load of the weights."""
    checks_last: bool = False
    """The checker looks at the outputs of timestep T max alone, where a load of the weights ends."""


Taking = Generator[simpy.Event, Any, int | None]


class ImageLine(Protocol):
    """Where a chip's images come from."""

    def take(self, env: simpy.Environment) -> Taking:
        """The next image, as soon as it is known which that is; None where there is none."""


class InTurn:
    """All images, in their order, for a chip by itself."""

    def __init__(self, images: int) -> None:
        self._left = iter(range(images))

    def take(self, env: simpy.Environment) -> Taking:
        """The next image at once."""
        yield from ()
        return next(self._left, None)


class Entrance(Protocol):
    """What issuers ask of the chip."""

    env: simpy.Environment
    timing: Timing
    source: ImageLine
    """Gives the images, one after the other."""
    arrivals: Sequence[int] | None
    """The cycle at which each image comes; None in a closed loop."""

    def issue(self, image: int, timestep: int) -> Job:
        """Let a timestep of an image enter."""

    def exited(self, image: int) -> bool:
        """Whether an image has exited by now."""

    def arrived(self, image: int, cycle: int) -> None:
        """Note when an image came."""


def issuers(chip: Entrance) -> list[Wait]:
    """The processes that issue all jobs of all images: one for each image that may be on the chip."""
    if chip.timing.issue.runs_ahead:
        return [_stream(chip)]
    return [_slot(chip) for _ in range(chip.timing.issue.images_on_chip)]


def _slot(chip: Entrance) -> Wait:
    """A place on the chip: an image enters, runs timestep by timestep until it exits, and makes place for the
    next.
    """
    while True:
        # New images are decided at the end of a cycle, after images that go on.
        yield late(chip.env)
        image = yield from chip.source.take(chip.env)
        if image is None:
            return
        yield from _arrive(chip, image)
        for timestep in range(chip.timing.first, chip.timing.timesteps):
            exits = yield chip.issue(image, timestep).verdict
            if exits:
                break


def _stream(chip: Entrance) -> Wait:
    """All timesteps of all images one after the other, each as soon as the first layer has started the one
    before.
    """
    while True:
        image = yield from chip.source.take(chip.env)
        if image is None:
            return
        yield from _arrive(chip, image)
        for timestep in range(chip.timing.first, chip.timing.timesteps):
            if chip.exited(image):
                break
            yield chip.issue(image, timestep).entered


def _arrive(chip: Entrance, image: int) -> Wait:
    """Wait until an image comes, and note when it did. In a closed loop it comes when it is waited for."""
    cycle = int(chip.env.now) if chip.arrivals is None else int(chip.arrivals[image])
    if cycle > chip.env.now:
        yield chip.env.timeout(cycle - chip.env.now)
        yield late(chip.env)
    chip.arrived(image, cycle)
