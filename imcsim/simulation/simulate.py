"""Images on a chip: values, placement and time joined into ledgers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import overload

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.progress import Progress
from imcsim.functional.blocks import Lasting
from imcsim.functional.in_flight import kept_at_a_time
from imcsim.functional.run import Activity, concatenate
from imcsim.hardware.ledger import Ledger, energy_pj
from imcsim.inputs import Inputs
from imcsim.simulation.chip import Chip, depends_on_values
from imcsim.simulation.counts import image_work, lower, recorded_nodes, toggled, travelling
from imcsim.simulation.schedule import Schedule, join, schedule, schedules
from imcsim.simulation.values import COMPUTED, ActivityRequest, Values
from imcsim.timing import ImageWork, Issue

WORK_IMAGES = 32
"""Images whose values are kept at a time where timing depends on them, at most; fewer where memory has no
room for so many."""


@dataclass(frozen=True, eq=False)
class ExitCosts:
    """What one way of running costs, for each exit timestep.

    energy_pj, latency_ns: float64 ``[images, T]``, if an image exits after 1, 2, .. T timesteps.
    """

    schedule: Schedule
    ledger: Ledger
    energy_pj: NDArray[np.float64]
    latency_ns: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Simulation:
    """Images on a chip, to T max: with dynamic timesteps, and as static runs of 1 to T max timesteps."""

    chip: Chip
    activity: Activity
    dynamic: ExitCosts
    static: ExitCosts


def simulate(
    chip: Chip,
    inputs: Inputs,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    stage: str = "images",
    values: Values = COMPUTED,
    lasting: Lasting | None = None,
) -> Simulation:
    """Play every image of `inputs` for all timesteps; with `lasting`, for those that are needed.

    Raises ImcsimError when the images do not fit the network, or have frames where the chip was made for
    images without, or the other way round.
    """
    network, timesteps = chip.network, chip.timing.timesteps
    if inputs.timed != chip.timing.timed:
        raise ImcsimError(
            "the inputs have a frame for each timestep, the chip was made for images without"
            if inputs.timed
            else "the inputs are images, the chip was made for inputs with a frame for each timestep",
            key=inputs.name,
            fix=f"give it a timing with timed={inputs.timed}",
        )
    inputs = inputs.first(timesteps)
    inputs.require(shape=network.input_shape, bits=network.input_bits, classes=network.classes)
    if chip.dynamic is None or chip.static is None:
        activity, dynamic, static = _with_work(chip, inputs, workers, progress, stage, values, lasting)
    else:
        dynamic, static = chip.dynamic, chip.static
        activity = values.activity(
            ActivityRequest(
                chip.program,
                chip.converters,
                inputs,
                timesteps,
                workers=workers,
                toggles=_counted(chip),
                progress=progress,
                stage=stage,
                lasting=lasting,
            )
        )
    return _joined(chip, activity, dynamic, static)


def replay(
    simulation: Simulation,
    chip: Chip,
    inputs: Inputs,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    stage: str = "images",
    values: Values = COMPUTED,
) -> Simulation:
    """The images of a simulation on the same chip with another timing (see `with_timing`).

    What the images do is taken over, unless time depends on it: then `values` are asked again. `inputs` are
    the simulated images, T max must be the same.
    """
    if chip.dynamic is None or chip.static is None:
        return simulate(chip, inputs, workers=workers, progress=progress, stage=stage, values=values)
    return _joined(chip, simulation.activity, chip.dynamic, chip.static)


def issued(
    simulation: Simulation,
    issue: Issue,
    inputs: Inputs,
    *,
    dynamic: bool,
    workers: int | None = None,
    values: Values = COMPUTED,
    exits: Collection[int] | None = None,
) -> ExitCosts:
    """Static runs of simulated images, or `dynamic` ones, under another issue policy.

    The chip and what the images do stay: only time is played, one image for each exit timestep. Where time
    depends on values, those of `inputs`, which are the simulated images, are asked of `values` once more.
    With `exits` what it costs is known for these exit timesteps, and T max, only.
    """
    chip = simulation.chip
    if not plays_anew(chip, issue):
        return simulation.dynamic if dynamic else simulation.static
    if not depends_on_values(chip.config):
        played = chip.issued(issue, dynamic=dynamic, exits=exits, workers=workers)
        return _run(chip, played, simulation.activity)
    timing = replace(chip.timing, issue=issue)
    every = [
        schedule(
            chip.placement, chip.config, timing, dynamic=dynamic, work=work, layout=chip.layout,
            workers=workers, exits=exits,
        )
        for _, work in work_of(chip, inputs, workers, values)
    ]  # fmt: skip
    return _run(chip, join(every), simulation.activity)


def plays_anew(chip: Chip, issue: Issue) -> bool:
    """Whether runs under an issue policy take another time than those that the chip has been made for."""
    own = chip.timing.issue
    return issue != own and (issue.runs_ahead or own.runs_ahead)


def _joined(chip: Chip, activity: Activity, dynamic: Schedule, static: Schedule) -> Simulation:
    left = _run(chip, dynamic, activity)
    return Simulation(chip, activity, left, left if static is dynamic else _run(chip, static, activity))


def _counted(chip: Chip) -> frozenset[str]:
    """The nodes whose toggled bits are counted."""
    return travelling(chip.placement) if chip.config.activity.toggling == "counted" else frozenset()


def _with_work(
    chip: Chip,
    inputs: Inputs,
    workers: int | None,
    progress: Progress | None,
    stage: str,
    values: Values,
    lasting: Lasting | None,
) -> tuple[Activity, Schedule, Schedule]:
    """Values and schedules of images whose time depends on their values, some images at a time."""
    activities, dynamic, static = [], [], []
    done, total = 0, len(inputs.images)
    for activity, work in work_of(chip, inputs, workers, values, lasting):
        activities.append(activity)
        pair = schedules(chip.placement, chip.config, chip.timing, work, chip.layout, workers)
        dynamic.append(pair[0])
        static.append(pair[1])
        done += len(work)
        if progress is not None:
            progress(stage, done, total)
    left = join(dynamic)
    same = all(a is b for a, b in zip(dynamic, static, strict=True))
    return concatenate(activities), left, left if same else join(static)


def work_of(
    chip: Chip,
    inputs: Inputs,
    workers: int | None = None,
    values: Values = COMPUTED,
    lasting: Lasting | None = None,
) -> Iterator[tuple[Activity, list[ImageWork]]]:
    """Values and work of all images, some images at a time; recorded values are not kept."""
    images = work_images(chip, inputs)
    for start in range(0, len(inputs.images), images):
        yield _piece(chip, inputs, slice(start, start + images), workers, values, lasting)


def work_images(chip: Chip, inputs: Inputs) -> int:
    """Images whose values are kept at a time; no result depends on how many they are."""
    nodes = recorded_nodes(chip.program, chip.placement)
    return kept_at_a_time(chip.program, inputs.shape, inputs.timed, nodes, chip.timing.timesteps, WORK_IMAGES)


def _piece(
    chip: Chip,
    inputs: Inputs,
    at: slice,
    workers: int | None,
    values: Values,
    lasting: Lasting | None = None,
) -> tuple[Activity, list[ImageWork]]:
    """Values and work of the images `at` these positions."""
    activity = values.activity(
        ActivityRequest(
            chip.program,
            chip.converters,
            inputs,
            chip.timing.timesteps,
            at=at,
            workers=workers,
            record=recorded_nodes(chip.program, chip.placement),
            toggles=_counted(chip),
            lasting=lasting,
        )
    )
    work = image_work(chip.program, chip.placement, activity.recorded)
    return replace(activity, recorded={}), work


class WorkAsPlayed(Sequence[ImageWork]):
    """The work of all images of a stream, made when an image enters, some images at a time; what the last few
    pieces held is kept.
    """

    def __init__(self, chip: Chip, inputs: Inputs, workers: int | None = None) -> None:
        self._chip, self._inputs, self._workers = chip, inputs, workers
        self._images = work_images(chip, inputs)
        kept = 1 + -(-chip.timing.issue.images_on_chip // self._images)
        self._made = lru_cache(maxsize=kept)(self._make)

    def _make(self, piece: int) -> list[ImageWork]:
        at = slice(piece * self._images, (piece + 1) * self._images)
        return _piece(self._chip, self._inputs, at, self._workers, COMPUTED)[1]

    def __len__(self) -> int:
        return len(self._inputs.images)

    @overload
    def __getitem__(self, image: int) -> ImageWork: ...
    @overload
    def __getitem__(self, image: slice) -> list[ImageWork]: ...
    def __getitem__(self, image: int | slice) -> ImageWork | list[ImageWork]:
        if isinstance(image, slice):
            return [self[k] for k in range(*image.indices(len(self)))]
        piece, place = divmod(range(len(self))[image], self._images)
        return self._made(piece)[place]


def all_work(chip: Chip, inputs: Inputs, workers: int | None = None) -> Sequence[ImageWork] | None:
    """The work of all images where time depends on their values, else None: every image takes the same."""
    return WorkAsPlayed(chip, inputs, workers) if depends_on_values(chip.config) else None


def _run(chip: Chip, played: Schedule, activity: Activity) -> ExitCosts:
    varied = lower(activity, chip.program, chip.placement, chip.config)
    if chip.config.activity.toggling == "counted":
        varied |= toggled(activity, chip.placement, played)
    ledger = Ledger(
        layers=played.layers,
        images=activity.images,
        timesteps=activity.timesteps,
        fixed=played.fixed,
        varied=varied,
        begun=played.begun,
    )
    shape = (activity.images, activity.timesteps)
    return ExitCosts(
        schedule=played,
        ledger=ledger,
        energy_pj=energy_pj(ledger, chip.prices()),
        latency_ns=np.broadcast_to(played.departure * chip.config.technology.clock_ns, shape),
    )
