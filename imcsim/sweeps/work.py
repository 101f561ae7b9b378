"""What a worker does: a run of values, or some points. One entry, `execute`, that any pool can call.

A task names files and holds no data; what was read or computed last stays in the process. Outcomes do not
depend on the process, on what it did before, or on the number of threads.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import imcsim
from imcsim.comparison import compare_of
from imcsim.errors import ImcsimError
from imcsim.experiment import Experiment, refuse_dynamic_pipeline
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.inputs import Inputs
from imcsim.loading import Shelf, network_sha256, timesteps_of
from imcsim.mapping import place
from imcsim.network.graph import Network
from imcsim.result import CompareResult, to_json
from imcsim.simulate import program_chip
from imcsim.sweeps.cache import CachedValues, Memory
from imcsim.sweeps.plan import Needs, Run
from imcsim.sweeps.spec import Point
from imcsim.toggles import travelling
from imcsim.values import COMPUTED
from imcsim.work import recorded_nodes

ACTIVITY = "activity"
"""The folder of kept values, inside that of the sweep."""


@dataclass(frozen=True)
class Task:
    """A run, or points with what they need. `threads` is how many this process may use."""

    folder: str
    threads: int | None
    version: str
    run: Run | None = None
    points: tuple[tuple[Point, Needs], ...] = ()

    @property
    def key(self) -> str:
        """A name that no other task of a sweep has."""
        return self.run.key if self.run is not None else f"points-{self.points[0][0].index}"


@dataclass(frozen=True)
class Outcome:
    """Rows of points, and how many runs of values were computed and how many found."""

    records: tuple[Record, ...] = ()
    computed: int = 0
    reused: int = 0


@dataclass(frozen=True)
class Record:
    """A point and its results as the store keeps them, by column."""

    point: dict[str, Any]
    results: tuple[dict[str, Any], ...] = ()


class WorkerFault(Exception):
    """This worker cannot do its work, whatever the point is: a sweep ends there, and no row is written."""


@dataclass
class _Process:
    """What stays in the process between tasks."""

    shelf: Shelf = field(default_factory=Shelf)
    memory: Memory = field(default_factory=Memory)
    bench: tuple[Any, Experiment] | None = None


_PROCESS = _Process()


def execute(task: Task) -> Outcome:
    """Do a task. Raises WorkerFault."""
    if task.version != imcsim.__version__:
        raise WorkerFault(
            f"a worker has imcsim {imcsim.__version__}, the sweep {task.version}: install the same"
        )
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
    return Outcome(tuple(records), computed, reused)


def failed(point: Point, error: str, hardware: Hardware | None = None) -> Record:
    """The record of a point that has no result."""
    return Record(_about(point, hardware) | {"status": "failed", "error": error})


def _values(run: Run, task: Task) -> Outcome:
    """Compute a run, or find that it is there. A point that cannot be run says so in its own row."""
    shelf = _PROCESS.shelf
    try:
        network, hardware = shelf.network(run.setting), shelf.hardware(run.setting)
        timesteps = timesteps_of(run.setting, network)
        images = shelf.inputs(run.setting).first(timesteps)
        held_out = shelf.validation(run.setting)
        held_out = held_out if held_out is None else held_out.first(timesteps)
        cache = CachedValues(Path(task.folder) / ACTIVITY, network_sha256(network), {}, _PROCESS.memory)
        program, converters = program_chip(
            network, hardware.config, images if held_out is None else held_out,
            run.setting.options.seed, workers=task.threads, values=cache,
        )  # fmt: skip
        if run.longest is None:
            return Outcome((), cache.computed, cache.reused)
        inputs = held_out if run.role == "validation" else images
        assert inputs is not None
        inputs.require(shape=network.input_shape, bits=network.input_bits, classes=network.classes)
        cache.longest = {inputs.sha256: run.longest}
        cache.computed = cache.reused = 0
        toggles = record = frozenset[str]()
        if run.toggles or run.record:
            placement = place(network, hardware.config)
            toggles = travelling(placement) if run.toggles else toggles
            record = recorded_nodes(program, placement) if run.record else record
        first = slice(0, 1) if record else slice(None)
        cache.activity(
            program, converters, inputs, run.longest.timesteps, at=first, record=record, toggles=toggles,
            workers=task.threads,
        )  # fmt: skip
        return Outcome((), cache.computed, cache.reused)
    except (ImcsimError, MemoryError):
        return Outcome()


def _cached(folder: str, point: Point, needs: Needs) -> CachedValues | None:
    if not needs.runs:
        return None
    # The planner has read these files; a worker that cannot sits on another machine without them.
    try:
        network = _PROCESS.shelf.network(point.setting)
        timesteps = timesteps_of(point.setting, network)
        shown = _PROCESS.shelf.inputs(point.setting).first(timesteps)
    except ImcsimError as error:
        raise WorkerFault(f"a worker cannot read what the sweep's own process could: {error}") from None
    if shown.sha256 not in dict(needs.longest):
        raise WorkerFault(f"{point.setting.inputs}: a worker reads other inputs than the sweep's own process")
    longest = dict(needs.longest)
    return CachedValues(Path(folder) / ACTIVITY, network_sha256(network), longest, _PROCESS.memory)


def _record(point: Point, needs: Needs, values: CachedValues | None, threads: int | None) -> Record:
    shelf, hardware = _PROCESS.shelf, None
    try:
        hardware = shelf.hardware(point.setting)
        network = shelf.network(point.setting)
        inputs, validation = shelf.inputs(point.setting), shelf.validation(point.setting)
        bench = _bench(point, network, hardware, inputs, validation, values, threads)
        return _done(point, hardware, compare_of(bench))
    except ImcsimError as error:
        return failed(point, str(error), hardware)
    except MemoryError:
        return failed(point, "not enough memory", hardware)
    except Exception as error:  # one broken point must not end a sweep of thousands
        text = " ".join(str(error).split())
        return failed(point, f"internal error, please report it: {type(error).__name__}: {text}", hardware)


def _bench(
    point: Point,
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    values: CachedValues | None,
    threads: int | None,
) -> Experiment:
    """The point's experiment. The last one serves other thresholds and rules too, unless one must be chosen
    and the last one did not play the validation images.
    """
    options = replace(point.setting.options, workers=threads)
    refuse_dynamic_pipeline(options, fix="use speculate: its static runs are pipelined")
    alike = (
        hardware.sha256, str(hardware.path), network_sha256(network), inputs.sha256, inputs.name,
        None if validation is None else (validation.sha256, validation.name),
        options.timesteps, options.accumulation, options.issue, options.fidelity, options.threshold is None,
        options.seed if hardware.config.nonideal.active else None,
    )  # fmt: skip
    last = _PROCESS.bench
    if last is not None and last[0] == alike:
        return replace(last[1], options=options, hardware=hardware, inputs=last[1].inputs)
    made = Experiment.make(
        network, hardware, inputs, validation, options, None, values=COMPUTED if values is None else values
    )
    _PROCESS.bench = (alike, made)
    return made


def _about(point: Point, hardware: Hardware | None) -> dict[str, Any]:
    return {
        "point": point.index,
        "axes": _json(point.values),
        "config_sha256": None if hardware is None else hardware.sha256,
        "config": None if hardware is None else _json(_recorded(hardware.config)),
        "setting": _json(said(point)),
        "seed": point.setting.options.seed,
        "version": imcsim.__version__,
    }


def _recorded(config: HardwareConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", by_alias=True, exclude=set(config.left_out))


def said(point: Point) -> dict[str, Any]:
    """All settings of a point but the config's values, as plain data."""
    setting, options = point.setting, point.setting.options
    files = {
        key: None if (value := getattr(setting, key)) is None else str(value)
        for key in ("hardware", "model", "inputs", "validation", "labels")
    }
    return {
        **files,
        "images": setting.images,
        "encoding": setting.encoding,
        "bin_us": setting.bin_us,
        "timesteps": options.timesteps,
        "threshold": options.threshold,
        "thresholds": options.thresholds,
        "rule": options.rule,
        "accumulation": options.accumulation,
        "issue": options.issue,
        "fidelity": options.fidelity,
        "overrides": dict(setting.overrides),
    }


def _done(point: Point, hardware: Hardware, result: CompareResult) -> Record:
    meta, dynamic = result.meta, result.dynamic
    document = hashlib.sha256(to_json(result).encode()).hexdigest()
    about = _about(point, hardware) | {
        "status": "done",
        "network": meta.network.name,
        "network_sha256": meta.network.sha256,
        "inputs": meta.inputs.name,
        "inputs_sha256": meta.inputs.sha256,
        "images": meta.images,
        "timesteps": meta.timesteps,
        "tiles": meta.hardware.tiles,
        "crossbars": meta.hardware.crossbars,
        "area_um2": meta.hardware.area_um2,
        "areas_um2": _json({c.name: c.area_um2 for c in result.components}),
        "checker_energy_share": result.checker.energy_share_of_one_timestep,
        "warnings": _json(result.warnings),
        "result_sha256": document,
    }
    shared = ("accuracy", "accuracy_low", "accuracy_high", "energy_pj", "latency_ns")
    products = ("edp_mean_of_products", "edp_product_of_means")
    rows: list[dict[str, Any]] = []
    for one in result.static:
        last = one is result.static[-1]
        parts = _json({c.name: c.static_energy_pj for c in result.components}) if last else None
        rows.append(
            {
                "policy": "static",
                "timesteps": one.timesteps,
                "mean_timesteps": float(one.timesteps),
                **{key: getattr(one, key) for key in (*shared, *products)},
                "energy_without_checker_pj": one.energy_without_checker_pj,
                "latency_without_checker_ns": one.latency_without_checker_ns,
                "components": parts,
            }
        )
    more = ("latency_p50_ns", "latency_p95_ns", "latency_p99_ns", "cancelled_energy_pj")
    rows.append(
        {
            "policy": "dynamic",
            "timesteps": meta.timesteps,
            "mean_timesteps": dynamic.mean_timesteps,
            "rule": dynamic.rule,
            "threshold": dynamic.threshold,
            **({} if dynamic.thresholds is None else {"thresholds": _json(dynamic.thresholds)}),
            "threshold_source": dynamic.threshold_source,
            **{key: getattr(dynamic, key) for key in (*shared, *more, *products)},
            "components": _json({c.name: c.energy_pj for c in result.components}),
            "layers": _json({la.name: la.energy_pj for la in result.layers}),
            "exit_fraction": _json(dynamic.exit_fraction),
        }
    )
    return Record(about, tuple({"point": point.index, **row} for row in rows))


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False)
