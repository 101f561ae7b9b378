"""When an image would exit, and what it would have cost, for every exit timestep.

Under ``wait`` (and for an image alone under ``interleave``) one timeline to T max holds all of them: an
earlier exit is its beginning. A chip that runs ahead is played once for each exit timestep.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Placement
from imcsim.timing import EVENTS, ImageWork, Layout, Timeline, Timing, play

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Schedule:
    """One image of every group of images that take the same time, for every exit timestep.

    A chip whose time does not depend on values has one group. `fixed` and `begun` go into the `Ledger`.
    """

    layers: tuple[str, ...]
    departure: Counts
    """Cycles from an image's arrival until it exits, int64 ``[groups, T]``."""
    check: Counts
    """Those of them in which only the checker worked, int64 ``[groups, T]``."""
    fixed: dict[Event, Counts]
    begun: tuple[Counts, Counts]
    busy_cycles: Counts
    """Cycles in which a tile's crossbars were driven in the longest run, int64 ``[tiles]``."""
    layer_cycles: Counts
    """Cycles from a layer's first row until its last one is done, summed over the timesteps until an image
    exits, int64 ``[groups, T, layers]``; 0 for the input, the output and leakage.
    """

    @property
    def timesteps(self) -> int:
        return int(self.departure.shape[1])


@dataclass(frozen=True, eq=False)
class _Exit:
    """One image that exits after some timesteps: counts ``[T, events, layers]``, cycles ``[layers]``."""

    departure: int
    check: int
    counts: Counts
    layer_cycles: Counts


def schedules(
    placement: Placement,
    config: HardwareConfig,
    timing: Timing,
    work: list[ImageWork] | None,
    layout: Layout | None = None,
    workers: int | None = None,
) -> tuple[Schedule, Schedule]:
    """Schedules of dynamic and of static runs; the same one where nothing runs ahead of the checker."""
    if layout is None and timing.fidelity == "burst":
        layout = Layout(placement, config)

    def played(dynamic: bool) -> Schedule:
        return schedule(placement, config, timing, dynamic=dynamic, work=work, layout=layout, workers=workers)

    dynamic = played(True)
    return dynamic, played(False) if timing.issue.runs_ahead else dynamic


def schedule(
    placement: Placement,
    config: HardwareConfig,
    timing: Timing,
    *,
    dynamic: bool,
    work: Sequence[ImageWork] | None = None,
    layout: Layout | None = None,
    workers: int | None = None,
) -> Schedule:
    """Play one image for each exit timestep from 1 to T max; with `work`, each of its images.

    Without `dynamic`, entry t is a run of t timesteps, of which the chip knows beforehand (static). `layout`
    is that of the chip, made here where it is not given. The images are played by `workers` threads; the
    result does not depend on how many they are.
    """
    timesteps = timing.timesteps
    if layout is None and timing.fidelity == "burst":
        layout = Layout(placement, config)

    def one(image: ImageWork | None) -> tuple[list[_Exit], Timeline]:
        images = None if image is None else [image]

        def alone(exit_after: int, until: int) -> Timeline:
            return play(
                placement, config, [exit_after], replace(timing, timesteps=until), work=images, layout=layout
            )

        last = alone(timesteps, timesteps)
        if timing.issue.runs_ahead:
            played = [alone(t, timesteps if dynamic else t) for t in range(1, timesteps)]
            return [_exit(line, t, timesteps) for t, line in enumerate([*played, last], 1)], last
        return [_prefix(last, t) for t in range(1, timesteps + 1)], last

    if work is None:
        groups = [one(None)]
    else:
        # Compiled work lets other threads run.
        with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
            groups = list(pool.map(one, work))
    return _stack([exits for exits, _ in groups], [line for _, line in groups])


def _exit(line: Timeline, exit_after: int, timesteps: int) -> _Exit:
    """What a timeline of one image says about its exit timestep `exit_after`; the checker holds up only the
    last one.
    """
    counts = np.zeros((timesteps, *line.counts.shape[1:]), np.int64)
    counts[: len(line.counts)] = line.counts
    verdict = line.verdict[:exit_after] - line.arrival[0]
    _power(counts, verdict)
    check = int(line.verdict[exit_after - 1] - line.answer[exit_after - 1])
    return _Exit(int(verdict[-1]), check, counts, layer_cycles(line)[:exit_after].sum(axis=0))


def _prefix(line: Timeline, exit_after: int) -> _Exit:
    """The beginning of a timeline that waits for every verdict."""
    counts = line.counts.copy()
    counts[exit_after:] = 0
    verdict = line.verdict[:exit_after] - line.arrival[0]
    _power(counts, verdict)
    check = int((line.verdict - line.answer)[:exit_after].sum())
    return _Exit(int(verdict[-1]), check, counts, layer_cycles(line)[:exit_after].sum(axis=0))


def layer_cycles(line: Timeline) -> Counts:
    """Cycles from the first row that a layer began of a timestep until its last one was done, int64 ``[jobs,
    layers]``; 0 where it began none.
    """
    cycles: Counts = np.where(line.begun >= 0, line.ended - line.begun, 0)
    return cycles


def _power(counts: Counts, verdict: Counts) -> None:
    """Count the cycles between verdicts as powered."""
    counts[: len(verdict), EVENTS.index(Event.POWERED_CYCLES), -1] = np.diff(verdict, prepend=0)


def _stack(groups: list[list[_Exit]], longest: list[Timeline]) -> Schedule:
    counts = np.array([[e.counts for e in group] for group in groups])
    used = [k for k in range(len(EVENTS)) if counts[:, :, :, k].any()]
    reads = (
        counts[:, :, :, EVENTS.index(Event.CROSSBAR_READS)]
        + counts[:, :, :, EVENTS.index(Event.SKIPPED_READS)]
    )
    return Schedule(
        layers=longest[0].layers,
        departure=np.array([[e.departure for e in group] for group in groups], np.int64),
        check=np.array([[e.check for e in group] for group in groups], np.int64),
        fixed={EVENTS[k]: _once(np.ascontiguousarray(counts[:, :, :, k])) for k in used},
        begun=(reads, np.broadcast_to(reads[:, -1:], reads.shape)),
        busy_cycles=sum((line.busy_cycles for line in longest), np.zeros_like(longest[0].busy_cycles)),
        layer_cycles=np.array([[e.layer_cycles for e in group] for group in groups], np.int64),
    )


def _once(counts: Counts) -> Counts:
    """The same counts; kept once where all images have them alike, as most events do."""
    if (counts == counts[:1]).all():
        return np.broadcast_to(counts[:1].copy(), counts.shape)
    return counts


def _together(tables: Sequence[Counts]) -> Counts:
    """The tables of some images after each other; kept once where they are all alike."""
    images, first = sum(len(table) for table in tables), tables[0][:1]
    if all((len(t) == 1 or t.strides[0] == 0) and (t[:1] == first).all() for t in tables):
        return np.broadcast_to(first, (images, *first.shape[1:]))
    return np.concatenate(tables)


def join(schedules: Sequence[Schedule]) -> Schedule:
    """One schedule of the images of several."""
    events = [event for event in Event if any(event in s.fixed for s in schedules)]

    def counts(s: Schedule, event: Event) -> Counts:
        return s.fixed[event] if event in s.fixed else np.broadcast_to(np.int64(0), s.begun[0].shape)

    reads = _together([s.begun[0] for s in schedules])
    return Schedule(
        layers=schedules[0].layers,
        departure=np.concatenate([s.departure for s in schedules]),
        check=np.concatenate([s.check for s in schedules]),
        fixed={event: _together([counts(s, event) for s in schedules]) for event in events},
        # Of a whole timestep, the longest run is full.
        begun=(reads, np.broadcast_to(reads[:, -1:], reads.shape)),
        busy_cycles=sum((s.busy_cycles for s in schedules), np.zeros_like(schedules[0].busy_cycles)),
        layer_cycles=np.concatenate([s.layer_cycles for s in schedules]),
    )
