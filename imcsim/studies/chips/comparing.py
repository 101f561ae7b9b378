"""Run many programmed chips of one design on the same images, and gather their figures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.progress import Progress
from imcsim.hardware.config import Hardware
from imcsim.hardware.ledger import Stay
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.chips.document import ChipsResult
from imcsim.results.chips.one_chip import DynamicRun, Moved, OneChip, StaticRun
from imcsim.simulation.simulate import ExitCosts
from imcsim.simulation.values import COMPUTED, Values
from imcsim.studies.breakdown import means
from imcsim.studies.decider import Choice, right_after
from imcsim.studies.experiment import Experiment, accuracy, leaving, refuse_dynamic_pipeline
from imcsim.studies.settings import MAX_CHIPS, MAX_CHIPS_AT_ONCE, CompareOptions


class Stopped(KeyboardInterrupt):
    """Interrupted after some chips were ready: `result` is of those."""

    def __init__(self, result: ChipsResult) -> None:
        super().__init__("interrupted")
        self.result = result


class _Abandoned(Exception):
    """Work on a chip whose result nobody waits for any more."""


@dataclass(frozen=True, eq=False)
class _Ideal:
    """The ideal chip: its own choice of a threshold, when each image then leaves, and whether it is right."""

    choice: Choice
    stay: Stay
    right: NDArray[np.bool_]
    chip: OneChip


def compare_chips(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    options: CompareOptions | None = None,
    chips: int = 20,
    progress: Progress | None = None,
    *,
    values: Values = COMPUTED,
) -> ChipsResult:
    """Run static T = 1 .. T max and dynamic timesteps on `chips` programmed instances, and on the ideal chip.

    The chips are those with the numbers ``options.chip`` and on that the seed draws; each is the one that
    `comparison.compare` runs with this number. Chips and images are spread over ``options.workers``. Without
    ``options.threshold`` it is chosen on `validation` twice: for each chip on itself, and once for all on the
    ideal chip. `values` says where the values of all chips come from. Raises ImcsimError as
    `comparison.compare` does, and for a number of chips that cannot be; `Stopped`, a KeyboardInterrupt,
    carries the result of the chips that were ready, if any was.
    """
    options = options or CompareOptions()
    _check(chips, options)
    named = _named(progress, f"chip {options.chip}")
    first = Experiment.make(network, hardware, inputs, validation, options, named, values=values)
    return compare_chips_of(first, chips, progress, values=values)


def compare_chips_of(
    first: Experiment, chips: int, progress: Progress | None = None, *, values: Values = COMPUTED
) -> ChipsResult:
    """`compare_chips` of the chip of an experiment and those with the next numbers, `chips` in all."""
    options = first.options
    _check(chips, options)
    numbers = range(options.chip, options.chip + chips)
    if not first.hardware.config.nonideal.active:
        ideal = _ideal(first)
        only = _programmed(first, ideal, numbers[0])
        ready = {number: only.model_copy(update={"chip": number}) for number in numbers}
        return _result(first, ideal, ready, chips)
    named = _named(progress, "ideal chip")
    ideal = _ideal(first.on_chip(None, workers=options.workers, progress=named, values=values))
    ready = {numbers[0]: _programmed(first, ideal, numbers[0])}
    try:
        _others(first, ideal, numbers[1:], ready, progress, values)
    except KeyboardInterrupt:
        raise Stopped(_result(first, ideal, ready, chips)) from None
    return _result(first, ideal, ready, chips)


def _check(chips: int, options: CompareOptions) -> None:
    refuse_dynamic_pipeline(options, fix="use speculate: its static runs are pipelined")
    if type(chips) is not int or not 1 <= chips <= MAX_CHIPS_AT_ONCE:
        raise ImcsimError(f"cannot run {chips!r} chips", key="chips", fix=f"use 1 to {MAX_CHIPS_AT_ONCE}")
    if options.chip + chips > MAX_CHIPS:
        raise ImcsimError(
            f"a seed draws no chip beyond number {MAX_CHIPS - 1}", key="chip", fix="use a lower number"
        )


def _named(progress: Progress | None, name: str) -> Progress | None:
    """Progress whose stages are those of one chip."""
    if progress is None:
        return None
    tell = progress
    return lambda stage, done, total: tell(f"{name}: {stage}", done, total)


def _others(
    first: Experiment,
    ideal: _Ideal,
    numbers: Sequence[int],
    ready: dict[int, OneChip],
    progress: Progress | None,
    values: Values,
) -> None:
    """Play the chips with these numbers, several at a time; `ready` gets each when it is done."""
    if not numbers:
        return
    at_once, workers = _shares(len(numbers), first.options.workers or os.cpu_count() or 1)
    abandoned = Event()

    def watch(stage: str, done: int, total: int) -> None:
        if abandoned.is_set():
            raise _Abandoned

    def one(number: int) -> OneChip:
        watch("", 0, 0)
        try:
            experiment = first.on_chip(number, workers=workers, progress=watch, values=values)
            return _programmed(experiment, ideal, number)
        except ImcsimError as error:
            raise ImcsimError(f"chip {number}: {error.message}", key=error.key, fix=error.fix) from error

    def tell() -> None:
        if progress is not None:
            progress("chips", len(ready), len(numbers) + 1)

    # Who interrupts does not wait for chips that are half done: their threads end at their next look.
    pool = ThreadPoolExecutor(max_workers=at_once)
    jobs: dict[Future[OneChip], int] = {}
    try:
        tell()
        for number in numbers:
            jobs[pool.submit(one, number)] = number
        for job in as_completed(jobs):
            ready[jobs[job]] = job.result()
            tell()
    except BaseException:
        abandoned.set()
        pool.shutdown(wait=False, cancel_futures=True)
        ready.update(_done(jobs))
        raise
    pool.shutdown()


def _shares(chips: int, workers: int) -> tuple[int, int]:
    """How many chips are played at a time, and the threads of each: all rounds of chips are about full."""
    rounds = -(-chips // workers)
    at_once = -(-chips // rounds)
    return at_once, -(-workers // at_once)


def _done(jobs: Mapping[Future[OneChip], int]) -> dict[int, OneChip]:
    """The chips that are ready."""
    return {
        number: job.result()
        for job, number in jobs.items()
        if job.done() and not job.cancelled() and job.exception() is None
    }


def _ideal(experiment: Experiment) -> _Ideal:
    choice = experiment.choose()
    right = right_after(experiment.images, experiment.inputs)
    stay = experiment.exits(experiment.images, choice)
    static = _static(experiment, right)
    run = _left(experiment, choice, stay, right, static[-1])
    once = None if choice.validation is None else run
    chip = OneChip(chip=None, static=static, dynamic=run, dynamic_once=once, moved=None, moved_once=None)
    return _Ideal(choice, stay, _then(right, stay), chip)


def _programmed(experiment: Experiment, ideal: _Ideal, number: int) -> OneChip:
    """The figures of one programmed chip."""
    choice = experiment.choose()
    right = right_after(experiment.images, experiment.inputs)
    static = _static(experiment, right)
    stay = experiment.exits(experiment.images, choice)
    once = moved_once = None
    if choice.validation is not None:
        stay_once = experiment.exits(experiment.images, ideal.choice)
        once = _left(experiment, ideal.choice, stay_once, right, static[-1])
        moved_once = _moved(stay_once, _then(right, stay_once), ideal)
    return OneChip(
        chip=number,
        static=static,
        dynamic=_left(experiment, choice, stay, right, static[-1]),
        dynamic_once=once,
        moved=_moved(stay, _then(right, stay), ideal),
        moved_once=moved_once,
    )


def _static(experiment: Experiment, right: NDArray[np.bool_]) -> tuple[StaticRun, ...]:
    return tuple(
        StaticRun(timesteps=t, **_costs(experiment.images.static, right, np.full(len(right), t, np.int64)))
        for t in range(1, experiment.timesteps + 1)
    )


def _left(
    experiment: Experiment, choice: Choice, stay: Stay, right: NDArray[np.bool_], static: StaticRun
) -> DynamicRun:
    then = _then(right, stay)
    costs = _costs(experiment.images.dynamic, right, stay)
    before = static.edp_mean_of_products
    return DynamicRun(
        threshold=choice.threshold,
        thresholds=choice.thresholds if choice.threshold is None else None,
        temperatures=choice.temperatures,
        **leaving(stay, experiment.timesteps),
        exit_accuracy=tuple(
            float(then[stay == t].mean()) if (stay == t).any() else None
            for t in range(1, experiment.timesteps + 1)
        ),
        edp_reduction=1 - costs["edp_mean_of_products"] / before if before else 0.0,
        **costs,
    )


def _costs(ran: ExitCosts, right: NDArray[np.bool_], stay: Stay) -> dict[str, Any]:
    at = np.arange(len(stay)), stay - 1
    return {**accuracy(right[at]), **means(ran.energy_pj[at], ran.latency_ns[at])}


def _then(right: NDArray[np.bool_], stay: Stay) -> NDArray[np.bool_]:
    """Whether each image is right when it leaves; `right` is ``[images, T]``."""
    then: NDArray[np.bool_] = right[np.arange(len(stay)), stay - 1]
    return then


def _moved(stay: Stay, right: NDArray[np.bool_], ideal: _Ideal) -> Moved:
    kinds = {"earlier": stay < ideal.stay, "later": stay > ideal.stay, "same": stay == ideal.stay}
    counts = {}
    for kind, which in kinds.items():
        counts[kind] = int(which.sum())
        counts[f"{kind}_wrong"] = int((which & ~right).sum())
        counts[f"{kind}_lost"] = int((which & ~right & ideal.right).sum())
    return Moved(**counts)


def _result(first: Experiment, ideal: _Ideal, ready: Mapping[int, OneChip], wanted: int) -> ChipsResult:
    instances = tuple(ready[number] for number in sorted(ready))
    chosen = ideal.choice.validation
    warnings = list(first.warnings(many=True))
    if not first.hardware.config.nonideal.active:
        warnings.append("cells, wires and converters have no errors (nonideal): all chips are the same")
    if len(instances) < wanted:
        warnings.append(f"stopped after {len(instances)} of {wanted} chips")
    return ChipsResult(
        meta=first.meta(),
        rule=first.options.rule,
        accumulation=first.options.accumulation,
        threshold_source="given" if chosen is None else "validation",
        validation_images=None if chosen is None else chosen.images,
        ideal=ideal.chip,
        instances=instances,
        warnings=tuple(warnings),
    )
