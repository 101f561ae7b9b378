"""When an image would exit, and what it would have cost, for every exit timestep.

Under ``wait`` (and for an image alone under ``interleave``) one timeline to T max holds all of them: an
earlier exit is its beginning. On a chip that runs ahead another exit is the beginning of the longest run
until the chip can know of it: `exits_of` plays on from there. In the ``reference`` fidelity each exit is
played by itself.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.exit_counts import ExitCounts
from imcsim.mapping import Placement
from imcsim.simulation.exits import Counts, Exits, layer_cycles, powered
from imcsim.simulation.reloading import reloading
from imcsim.timing import EVENTS, ImageWork, Layout, Timeline, Timing, layer_names, play
from imcsim.timing.fabric.chip import FabricStalled
from imcsim.timing.fabric.one_image import ShorterRun, exits_of, playable

NOT_PLAYED = -1
"""Departure of an exit timestep that nobody asked for."""


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
    fixed: dict[Event, ExitCounts]
    begun: ExitCounts
    busy_cycles: Counts
    """Cycles in which a tile's crossbars were driven in the longest run, int64 ``[tiles]``."""
    layer_cycles: Counts
    """Cycles from a layer's first row until its last one is done, summed over the timesteps until an image
    exits, int64 ``[groups, T, layers]``; 0 for the input, the output and leakage.
    """

    @property
    def timesteps(self) -> int:
        return int(self.departure.shape[1])


def layout_of(
    placement: Placement, config: HardwareConfig, timing: Timing, like: Layout | None = None
) -> Layout | None:
    """What plays of a chip share; None where there is nothing to share: in the ``reference`` fidelity, and
    where groups of layers take turns on the tiles. The layout of a chip like this one may spare some work.
    """
    return Layout(placement, config, like) if timing.fidelity == "burst" and not placement.loads else None


def schedules(
    placement: Placement,
    config: HardwareConfig,
    timing: Timing,
    work: list[ImageWork] | None,
    layout: Layout | None = None,
    workers: int | None = None,
    exits: Collection[int] | None = None,
) -> tuple[Schedule, Schedule]:
    """Schedules of dynamic and of static runs; the same one where nothing runs ahead of the checker. With
    `exits` the dynamic one serves only these exit timesteps, and T max.
    """
    if layout is None:
        layout = layout_of(placement, config, timing)

    def played(dynamic: bool) -> Schedule:
        return schedule(
            placement, config, timing, dynamic=dynamic, work=work, layout=layout, workers=workers,
            exits=exits if dynamic or exits is None else (),
        )  # fmt: skip

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
    exits: Collection[int] | None = None,
) -> Schedule:
    """Play one image for each exit timestep from 1 to T max; with `work`, each of its images.

    Without `dynamic`, entry t is a run of t timesteps, of which the chip knows beforehand (static). `layout`
    is that of the chip, made here where it is not given. The images are played by `workers` threads; the
    result does not depend on how many they are. With `exits` only these exit timesteps and T max are played
    on a chip that runs ahead: of others nothing may be asked.
    """
    if placement.loads:
        return _stack(layer_names(placement), [reloading(placement, config, timing, dynamic=dynamic)])
    timesteps = timing.timesteps
    shown = set(range(1, timesteps + 1)) if exits is None else set(exits)
    if layout is None:
        layout = layout_of(placement, config, timing)

    def one(image: ImageWork | None) -> Exits:
        images = None if image is None else [image]

        def alone(exit_after: int, until: int) -> Timeline:
            return play(
                placement, config, [exit_after], replace(timing, timesteps=until), work=images, layout=layout
            )

        early = sorted(t for t in shown if t < timesteps)
        if layout is not None and playable(layout, timing):
            try:
                return _apart(*exits_of(layout, timing, image, dynamic=dynamic, shown=early))
            except FabricStalled:
                pass  # processes play on, or say why the chip locks up
        last = alone(timesteps, timesteps)
        if not timing.issue.runs_ahead:
            return _prefixes(last)
        return _apart(last, (ShorterRun.of(alone(t, timesteps if dynamic else t), t) for t in early))

    if work is None:
        groups = [one(None)]
    else:
        # Compiled work lets other threads run.
        with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
            groups = list(pool.map(one, work))
    return _stack(layer_names(placement), groups)


def _prefixes(line: Timeline) -> Exits:
    """The beginnings of a timeline that waits for every verdict."""
    verdict = line.verdict - line.arrival[0]
    return Exits(
        departure=verdict.tolist(),
        check=np.cumsum(line.verdict - line.answer).tolist(),
        longest=powered(line.counts, verdict),
        changes=np.zeros((0, 5), np.int64),
        busy_cycles=line.busy_cycles,
        layer_cycles=np.cumsum(layer_cycles(line.begun, line.ended), axis=0),
    )


def _apart(last: Timeline, shorter: Iterable[ShorterRun]) -> Exits:
    """Runs of one image, each for one exit timestep; the checker holds up only the last one."""
    verdict, cycles = last.verdict - last.arrival[0], layer_cycles(last.begun, last.ended)
    longest = powered(last.counts, verdict)
    before = np.concatenate([np.zeros((1, cycles.shape[1]), np.int64), np.cumsum(cycles, axis=0)])
    departure = np.full(len(verdict), NOT_PLAYED, np.int64)
    check, spent, changes = departure.copy(), np.zeros_like(cycles), []
    for run in shorter:
        checked = run.exit - run.first
        since = int(verdict[run.first - 1]) if run.first else 0
        counts = powered(run.counts, run.verdict, since)
        counts[:checked] -= longest[run.first : run.exit]
        job, event, layer = np.nonzero(counts)
        at = run.exit - 1
        changes.append(
            np.stack(
                [np.full_like(job, at), job + run.first, event, layer, counts[job, event, layer]], axis=1
            )
        )
        spent[at] = before[run.first] + layer_cycles(run.begun, run.ended)[:checked].sum(axis=0)
        departure[at], check[at] = run.verdict[-1], run.verdict[-1] - run.answer[-1]
    departure[-1], check[-1] = verdict[-1], last.verdict[-1] - last.answer[-1]
    spent[-1] = before[-1]
    return Exits(
        departure.tolist(), check.tolist(), longest, np.concatenate([np.zeros((0, 5), np.int64), *changes]),
        last.busy_cycles, spent,
    )  # fmt: skip


def _stack(layers: tuple[str, ...], groups: list[Exits]) -> Schedule:
    """The groups after each other. Changes are sorted by event once: a chip has dozens of events, and a run
    thousands of groups.
    """
    numbered = [np.insert(one.changes, 0, group, axis=1) for group, one in enumerate(groups)]
    changes = np.concatenate(numbered)  # group, exit, timestep, event, layer, how many more
    changes = changes[np.argsort(changes[:, 3], kind="stable")]
    bounds = np.searchsorted(changes[:, 3], np.arange(len(EVENTS) + 1))
    without_event = np.delete(changes, 3, axis=1)
    fixed = {}
    for k, event in enumerate(EVENTS):
        found = _joined(
            np.stack([one.longest[:, k] for one in groups]), without_event[bounds[k] : bounds[k + 1]]
        )
        if found.longest.any() or len(found.changes):
            fixed[event] = found
    reads = [EVENTS.index(event) for event in (Event.CROSSBAR_READS, Event.SKIPPED_READS)]
    begun = [without_event[bounds[k] : bounds[k + 1]] for k in reads]
    return Schedule(
        layers=layers,
        departure=np.array([one.departure for one in groups], np.int64),
        check=np.array([one.check for one in groups], np.int64),
        fixed=fixed,
        begun=_joined(
            np.stack([one.longest[:, reads].sum(axis=1) for one in groups]), _summed(np.concatenate(begun))
        ),
        busy_cycles=sum((one.busy_cycles for one in groups), np.zeros_like(groups[0].busy_cycles)),
        layer_cycles=np.stack([one.layer_cycles for one in groups]),
    )


def _joined(longest: Counts, changes: Counts) -> ExitCounts:
    """Counts of all groups, kept once where they are all alike. `changes` come group after group."""
    groups = len(longest)
    each, rest = divmod(len(changes), groups)
    if not rest and (longest == longest[:1]).all():
        blocks = changes.reshape(groups, each, 5)
        in_turn = (blocks[:, :, 0] == np.arange(groups)[:, None]).all()
        if in_turn and (blocks[:, :, 1:] == blocks[:1, :, 1:]).all():
            return ExitCounts(groups, longest[:1], blocks[0])
    return ExitCounts(groups, longest, changes[np.argsort(changes[:, 1], kind="stable")])


def _summed(changes: Counts) -> Counts:
    """Changes at the same place added up, group after group, without those that come to nothing."""
    at, which = np.unique(changes[:, :4], axis=0, return_inverse=True)
    more = np.zeros(len(at), np.int64)
    np.add.at(more, which.ravel(), changes[:, 4])
    table: Counts = np.column_stack([at, more])
    kept: Counts = table[more != 0]
    return kept


def join(schedules: Sequence[Schedule]) -> Schedule:
    """One schedule of the images of several."""
    events = [event for event in Event if any(event in s.fixed for s in schedules)]

    def counts(s: Schedule, event: Event) -> ExitCounts:
        nothing = np.zeros((1, *s.begun.longest.shape[1:]), np.int64)
        return s.fixed.get(event) or ExitCounts(s.begun.groups, nothing)

    return Schedule(
        layers=schedules[0].layers,
        departure=np.concatenate([s.departure for s in schedules]),
        check=np.concatenate([s.check for s in schedules]),
        fixed={event: ExitCounts.joined([counts(s, event) for s in schedules]) for event in events},
        begun=ExitCounts.joined([s.begun for s in schedules]),
        busy_cycles=sum((s.busy_cycles for s in schedules), np.zeros_like(schedules[0].busy_cycles)),
        layer_cycles=np.concatenate([s.layer_cycles for s in schedules]),
    )
