"""Issue policies: when the next timestep, or the next image, enters the chip.

- ``wait`` (DT-SNN): one image at a time; timestep t + 1 enters when the checker has said "go on".
- ``pipeline``: timesteps follow each other through the layers without waiting; nothing leaves early.
- ``speculate``: as `pipeline`, but the checker's verdict cancels what has entered for nothing.
- ``interleave``: `ways` images are on the chip; while one waits for its verdict, the others compute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imcsim.base.choices import Fidelity, Rule
from imcsim.base.errors import ImcsimError
from imcsim.timing.processes.flow import Wait, late

if TYPE_CHECKING:
    from imcsim.timing.engine import Engine

Kind = Literal["wait", "pipeline", "speculate", "interleave"]
_PLAIN: tuple[Kind, ...] = ("wait", "pipeline", "speculate")


@dataclass(frozen=True)
class Issue:
    """An issue policy. `ways` counts for ``interleave`` only."""

    kind: Kind = "wait"
    ways: int = 1

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
    raise ImcsimError(
        f"{text!r} is not an issue policy",
        fix="use wait, pipeline, speculate, or interleave:k with k from 1 to 64",
    )


@dataclass(frozen=True)
class Arrivals:
    """When images come: at given cycles, or (None) each as soon as the chip can take it (closed loop)."""

    cycles: Sequence[int] | None = None

    def at(self, image: int) -> int | None:
        return None if self.cycles is None else int(self.cycles[image])


@dataclass(frozen=True)
class Timing:
    """How images are played: T max, issue policy, fidelity, whether the checker takes means, whether inputs
    have a frame for each timestep, and the exit rule that the checker is built for.
    """

    timesteps: int
    issue: Issue = Issue()
    fidelity: Fidelity = "burst"
    mean: bool = True
    timed: bool = False
    rule: Rule = "entropy"


def issuers(engine: Engine, issue: Issue) -> list[Wait]:
    """The processes that issue all jobs of all images."""
    if issue.kind in ("pipeline", "speculate"):
        return [_stream(engine)]
    slots = issue.ways if issue.kind == "interleave" else 1
    take = iter(range(engine.images)).__next__
    return [_slot(engine, take) for _ in range(slots)]


def _slot(engine: Engine, take: Callable[[], int]) -> Wait:
    """A place on the chip: an image enters, runs timestep by timestep until it leaves, and makes place for
    the next.
    """
    while True:
        # New images are decided at the end of a cycle, after images that go on.
        yield late(engine.env)
        try:
            image = take()
        except StopIteration:
            return
        yield from _arrive(engine, image)
        for timestep in range(engine.timesteps):
            leaves = yield engine.issue(image, timestep).verdict
            if leaves:
                break


def _stream(engine: Engine) -> Wait:
    """All timesteps of all images one after the other, each as soon as the first layer has started the one
    before.
    """
    for image in range(engine.images):
        yield from _arrive(engine, image)
        for timestep in range(engine.timesteps):
            if engine.left(image):
                break
            yield engine.issue(image, timestep).entered


def _arrive(engine: Engine, image: int) -> Wait:
    """Wait for an image to come, and note when it did."""
    cycle = engine.arrivals.at(image)
    if cycle is not None and cycle > engine.env.now:
        yield engine.env.timeout(cycle - engine.env.now)
        yield late(engine.env)
    engine.arrived(image, int(engine.env.now) if cycle is None else cycle)
