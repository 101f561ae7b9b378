"""What a worker does: a run of values, or some points. One entry, `execute`, that any pool can call.

A task names files and holds no data; what was read or computed last stays in the process. Outcomes do not
depend on the process, on what it did before, or on the number of threads.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from imcsim._version import __version__
from imcsim.base.code import code_sha256, shown_code
from imcsim.base.errors import ImcsimError
from imcsim.base.interrupts import raise_if_heard
from imcsim.base.plugins import Origin, PluginFile, adopt
from imcsim.functional.in_flight import kept_at_a_time
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.mapping import place
from imcsim.network.graph import Network
from imcsim.plugins.kinds import ALL
from imcsim.simulation.cache import CachedValues, RecentFiles
from imcsim.simulation.chip import depends_on_values, program_chip, without_errors
from imcsim.simulation.counts import recorded_nodes, travelling
from imcsim.simulation.simulate import WORK_IMAGES
from imcsim.simulation.values import COMPUTED, ActivityRequest
from imcsim.studies.chips import compare_chips_of
from imcsim.studies.comparison import compare_of
from imcsim.studies.experiment import Experiment, refuse_dynamic_pipeline
from imcsim.studies.judged import judged_runs
from imcsim.studies.loading import Loader, network_sha256, timesteps_of
from imcsim.sweeps.plan import Needs, ValueRun, plays_validation
from imcsim.sweeps.rows import Record, done, done_on_many, failed
from imcsim.sweeps.spec import SweepPoint

ACTIVITY = "activity"
"""The folder of kept values, inside that of the sweep."""


@dataclass(frozen=True)
class Task:
    """A run, or points with what they need. `threads` is how many this process may use; `version` and `code`
    are those of the sweep's own process.
    """

    folder: str
    threads: int | None
    version: str
    code: str
    plugins: tuple[PluginFile, ...] = ()
    """Plug-in files that the sweep's own process has loaded."""
    origins: tuple[Origin, ...] = ()
    """Parts of plug-ins that points use, as the sweep's own process has them."""
    run: ValueRun | None = None
    points: tuple[tuple[SweepPoint, Needs], ...] = ()

    @property
    def key(self) -> str:
        """A name that no other task of a sweep has."""
        return self.run.key if self.run is not None else f"points-{self.points[0][0].index}"


@dataclass(frozen=True)
class TaskOutcome:
    """Rows of points, and how many runs of values were computed and how many found."""

    records: tuple[Record, ...] = ()
    computed: int = 0
    reused: int = 0


class WorkerFault(Exception):
    """This worker cannot do its work, whatever the point is: a sweep ends there, and no row is written."""

    def told(self) -> ImcsimError:
        """What its user is told."""
        return ImcsimError(str(self), fix="give all workers the same imcsim and the same files")


def check_sources(version: str, code: str, asks: str = "sweep") -> None:
    """Raise WorkerFault unless this process has the version and the sources of the one that `asks`."""
    if version != __version__:
        raise WorkerFault(f"a worker has imcsim {__version__}, the {asks} {version}: install the same")
    if code != code_sha256():
        raise WorkerFault(
            f"a worker has other sources of imcsim {__version__} ({shown_code(code_sha256())}) than the "
            f"{asks} ({shown_code(code)}): install the same"
        )


@dataclass
class _Process:
    """What stays in the process between tasks."""

    loader: Loader = field(default_factory=Loader)
    memory: RecentFiles = field(default_factory=RecentFiles)
    experiment: tuple[Any, Experiment] | None = None


_PROCESS = _Process()


def execute(task: Task) -> TaskOutcome:
    """Do a task. Raises WorkerFault."""
    check_sources(task.version, task.code)
    _take_over(task)
    if task.run is not None:
        return _values(task.run, task)
    records, computed, reused = [], 0, 0
    for point, needs in task.points:
        begun = time.perf_counter()
        values = _cached(task.folder, point, needs)
        record = _record(point, needs, values, task.threads)
        record.point["seconds"] = time.perf_counter() - begun
        records.append(record)
        if values is not None:
            computed, reused = computed + values.computed, reused + values.reused
    return TaskOutcome(tuple(records), computed, reused)


def _take_over(task: Task) -> None:
    """Offer the parts of plug-ins that the sweep's own process has. Raises WorkerFault for a missing one."""
    try:
        if adopt(task.plugins):  # what was loaded or made by other plug-ins is not the same
            _PROCESS.loader, _PROCESS.memory, _PROCESS.experiment = Loader(), RecentFiles(), None
        for origin in task.origins:
            here = next(kind for kind in ALL if kind.kind == origin.kind).origin(origin.name)
            if here != origin:
                raise WorkerFault(
                    f"a worker has another {origin.key} than the sweep's own process: {origin.source} differs"
                )
    except ImcsimError as error:
        raise WorkerFault(f"a worker cannot use a plug-in of the sweep: {error}") from None


def _values(run: ValueRun, task: Task) -> TaskOutcome:
    """Compute a run, or find that it is there. A point that cannot be run says so in its own row."""
    loader = _PROCESS.loader
    try:
        network, hardware = loader.network(run.setting), loader.hardware(run.setting)
        timesteps = timesteps_of(run.setting, network)
        images = loader.inputs(run.setting).first(timesteps)
        held_out = loader.validation(run.setting)
        held_out = held_out if held_out is None else held_out.first(timesteps)
        cache = CachedValues(Path(task.folder) / ACTIVITY, network_sha256(network), {}, _PROCESS.memory)
        config = without_errors(hardware.config) if run.ideal else hardware.config
        program, converters = program_chip(
            network, config, images if held_out is None else held_out,
            run.setting.options.seed, run.setting.options.chip, workers=task.threads, values=cache,
        )  # fmt: skip
        if run.longest is None:
            return TaskOutcome((), cache.computed, cache.reused)
        inputs = held_out if run.role == "validation" else images
        assert inputs is not None
        inputs.require(shape=network.input_shape, bits=network.input_bits, classes=network.classes)
        cache.longest = {inputs.sha256: run.longest}
        cache.computed = cache.reused = 0
        toggles = record = frozenset[str]()
        if run.toggles or run.record:
            placement = place(network, config)
            toggles = travelling(placement) if run.toggles else toggles
            record = recorded_nodes(program, placement) if run.record else record
        # Parts are as large as the points ask for them.
        timesteps = run.longest.timesteps
        together = kept_at_a_time(program, inputs.shape, inputs.timed, record, timesteps, WORK_IMAGES)
        first = slice(0, together) if record else slice(None)
        cache.activity(
            ActivityRequest(
                program, converters, inputs, timesteps,
                at=first, record=record, toggles=toggles, workers=task.threads,
            )
        )  # fmt: skip
        return TaskOutcome((), cache.computed, cache.reused)
    except (ImcsimError, MemoryError):
        return TaskOutcome()


def _cached(folder: str, point: SweepPoint, needs: Needs) -> CachedValues | None:
    if not needs.runs:
        return None
    # The planner has read these files; a worker that cannot sits on another machine without them.
    try:
        network = _PROCESS.loader.network(point.setting)
        timesteps = timesteps_of(point.setting, network)
        shown = _PROCESS.loader.inputs(point.setting).first(timesteps)
    except ImcsimError as error:
        raise WorkerFault(f"a worker cannot read what the sweep's own process could: {error}") from None
    if shown.sha256 not in dict(needs.longest):
        raise WorkerFault(f"{point.setting.inputs}: a worker reads other inputs than the sweep's own process")
    longest = dict(needs.longest)
    return CachedValues(Path(folder) / ACTIVITY, network_sha256(network), longest, _PROCESS.memory)


def _record(point: SweepPoint, needs: Needs, values: CachedValues | None, threads: int | None) -> Record:
    loader, hardware = _PROCESS.loader, None
    try:
        hardware = loader.hardware(point.setting)
        network = loader.network(point.setting)
        inputs, validation = loader.inputs(point.setting), loader.validation(point.setting)
        experiment = _experiment(point, network, hardware, inputs, validation, values, threads)
        if point.setting.chips is None:
            found = compare_of(experiment)
            return done(point, hardware, found, judged_runs(experiment, found))
        kept = COMPUTED if values is None else values
        return done_on_many(point, experiment, compare_chips_of(experiment, point.setting.chips, values=kept))
    except ImcsimError as error:
        said = str(error)
    except MemoryError:
        said = "not enough memory"
    except Exception as error:  # one broken point must not end a sweep of thousands
        said = f"internal error, please report it: {type(error).__name__}: {' '.join(str(error).split())}"
    raise_if_heard()
    return failed(point, said, hardware)


def _experiment(
    point: SweepPoint,
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    values: CachedValues | None,
    threads: int | None,
) -> Experiment:
    """The point's experiment. The last one serves other thresholds and rules too, unless one needs validation
    images that the last one did not play, or time depends on values.
    """
    options = replace(point.setting.options, workers=threads)
    refuse_dynamic_pipeline(options, fix="use speculate: its static runs are pipelined")
    judging = validation is not None and plays_validation(point.setting, validation.sha256, inputs.sha256)
    key = (
        hardware.sha256, str(hardware.path), network_sha256(network), inputs.sha256, inputs.name,
        None if validation is None else (validation.sha256, validation.name),
        options.timesteps, options.accumulation, options.issue, options.fidelity, judging,
        (options.seed, options.chip) if hardware.config.nonideal.active else None,
        options.rule if depends_on_values(hardware.config) else None,
    )  # fmt: skip
    last = _PROCESS.experiment
    if last is not None and last[0] == key:
        same = last[1] if last[1].options.rule == options.rule else last[1].with_rule(options.rule)
        _PROCESS.experiment = (key, same)
        return replace(same, options=options, hardware=hardware)
    experiment = Experiment.make(
        network, hardware, inputs, validation, options, None, values=COMPUTED if values is None else values,
        judging=judging,
    )  # fmt: skip
    _PROCESS.experiment = (key, experiment)
    return experiment
