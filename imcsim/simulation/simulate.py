"""One network on one chip with one set of images: joins values, placement and time into ledgers.

A run to T max serves every smaller T, every threshold and every exit rule: what an image does in its first
timesteps does not depend on when it leaves, and the schedule knows the cost of every exit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import Fidelity
from imcsim.base.errors import ImcsimError
from imcsim.functional.nonideal import ConverterErrors, Drift, NonIdeal, Stuck, Variation
from imcsim.functional.nonideal.ir_drop import Circuit
from imcsim.functional.nonideal.on_off import level_siemens, off_level
from imcsim.functional.nonideal_chip import on_real_chip
from imcsim.functional.program.numerics import CheckerNumerics, Numerics
from imcsim.functional.program.program import Program, build
from imcsim.functional.recalibration import recalibrated
from imcsim.functional.run import Activity, Converters, concatenate
from imcsim.hardware import nonideal as nonideal_keys
from imcsim.hardware.component import ChipSize
from imcsim.hardware.components.cells import ConductanceCells
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import Charge, Ledger, charges, energy_pj
from imcsim.inputs import Inputs
from imcsim.mapping import Placement, place
from imcsim.network.graph import Network
from imcsim.simulation.counts import image_work, recorded_nodes
from imcsim.simulation.schedule import Schedule, join, schedule
from imcsim.simulation.toggles import toggled, travelling
from imcsim.simulation.values import COMPUTED, ActivityRequest, Values
from imcsim.simulation.values import Progress as Progress
from imcsim.timing import ImageWork, Issue, Layout, layer_names

NO_ERRORS = nonideal_keys.NonIdeal()
"""What a config says of an ideal chip's cells, wires and converters."""

WORK_IMAGES = 32
"""Images whose values are kept at a time where timing depends on them."""


def numerics(config: HardwareConfig) -> Numerics:
    """The part of a config that changes values."""
    checker = config.checker
    return Numerics(
        rows=config.cells.rows,
        row_order=config.cells.row_order,
        encoding=config.cells.encoding,
        cell_bits=config.cells.cell_bits,
        adc_bits=config.adc.bits,
        full_scale=config.adc.full_scale,
        percentile=config.adc.percentile,
        membrane_bits=config.lif.membrane_bits,
        checker=CheckerNumerics(
            checker.fraction_bits,
            checker.table_bits,
            checker.exp_entries,
            checker.exp_range,
            checker.log_entries,
        ),
    )


def nonideal(config: HardwareConfig, seed: int = 0, chip: int = 0) -> NonIdeal | None:
    """The errors of chip number `chip` of a `seed`; None where the config asks for none."""
    said = config.nonideal
    if not said.active:
        return None
    largest = (1 << config.cells.cell_bits) - 1
    off, siemens = 0.0, 0.0
    if isinstance(config.cells, ConductanceCells) and said.needs_ohms:
        ohms = config.cells.r_on_ohm, config.cells.r_off_ohm
        off = off_level(*ohms, largest) if said.on_off.finite else 0.0
        siemens = level_siemens(*ohms, largest)
    return NonIdeal(
        seed=seed,
        chip=chip,
        largest_level=largest,
        columns=config.cells.columns,
        columns_per_adc=config.column_mux.columns_per_adc,
        off_level=off,
        level_siemens=siemens,
        reference_column=said.on_off.reference_column,
        variation=Variation(said.variation.kind, said.variation.sigmas(largest + 1)),
        stuck=Stuck(said.stuck.on_rate, said.stuck.off_rate),
        drift=Drift(
            said.drift.exponent, said.drift.exponent_sigma, said.drift.time_s, said.drift.reference_time_s
        ),
        read_noise=said.read_noise.sigma,
        wires=Circuit(
            said.wires.wordline_ohm,
            said.wires.bitline_ohm,
            said.wires.driver_ohm,
            said.wires.sense_ohm,
            said.wires.inactive,
        ),
        converter=ConverterErrors(
            said.converter.offset_lsb, said.converter.gain_sigma, said.converter.noise_lsb
        ),
        calibrated_itself=said.converter.calibrated_on == "chip",
        neurons_recalibrated=said.neurons.calibrated_on == "chip",
        encoder_kept=config.encoder.mode == "keep",
    )


@dataclass(frozen=True)
class Timing:
    """How images are played: T max, issue policy, fidelity, whether the checker takes means, and whether
    inputs have a frame for each timestep.
    """

    timesteps: int
    issue: Issue
    fidelity: Fidelity = "burst"
    mean: bool = True
    timed: bool = False


@dataclass(frozen=True, eq=False)
class Chip:
    """A network placed on a chip and calibrated. Serves any images, or any timed inputs.

    `config` is `stated`, the chip's own, but that an encoder recomputes where inputs change at each timestep.
    `leaving` and `static` are the schedules of images that leave early and of static runs, None where time
    depends on values and every image has its own.
    """

    network: Network
    config: HardwareConfig
    placement: Placement
    program: Program
    converters: Converters
    timing: Timing
    leaving: Schedule | None
    static: Schedule | None
    stated: HardwareConfig

    @property
    def size(self) -> ChipSize:
        return self.placement.size

    def prices(self) -> tuple[Charge, ...]:
        """What each event costs on this chip, leakage included."""
        return charges(self.config, self.size)


def without_errors(config: HardwareConfig) -> HardwareConfig:
    """The config with ideal cells, wires and converters."""
    return config.model_copy(update={"nonideal": NO_ERRORS})


def depends_on_values(config: HardwareConfig) -> bool:
    """Whether the time an image takes depends on its values."""
    return config.activity.skip_zero_reads or config.activity.spike_coding == "aer"


def make_chip(
    network: Network,
    hardware: Hardware,
    calibration: Inputs,
    timing: Timing,
    *,
    workers: int | None = None,
    values: Values = COMPUTED,
    seed: int = 0,
    number: int = 0,
) -> Chip:
    """Place `network`, set the ADC scales on the first images of `calibration`, and play the schedules.

    A chip that interleaves images holds the membranes of all of them. Where the config asks for errors, the
    chip is `number` of those that `seed` draws.
    """
    config = hardware.config
    program, converters = program_chip(network, config, calibration, seed, number, workers, values)
    return _chip(network, config, program, converters, timing)


def with_cells(
    chip: Chip,
    calibration: Inputs,
    seed: int,
    number: int | None,
    *,
    workers: int | None = None,
    values: Values = COMPUTED,
) -> Chip:
    """The same chip with the cells, wires and converters of another one, as `make_chip` programs it; with
    ideal ones where `number` is None.
    """
    config, stated = chip.config, chip.stated
    if number is None:
        config, stated = without_errors(config), without_errors(stated)
    program, converters = program_chip(chip.network, stated, calibration, seed, number or 0, workers, values)
    return replace(chip, config=config, stated=stated, program=program, converters=converters)


def program_chip(
    network: Network,
    config: HardwareConfig,
    calibration: Inputs,
    seed: int = 0,
    number: int = 0,
    workers: int | None = None,
    values: Values = COMPUTED,
) -> tuple[Program, Converters]:
    """What a chip computes with, its errors included, and ADC scales from the first images of `calibration`.

    These images also tell how many rows are active in a read, where wires have resistance, and what currents
    neurons have, where they are calibrated on the chip. See `make_chip`.
    """
    program = build(network, numerics(config))
    errors = nonideal(config, seed, number)
    if errors is None:
        return program, values.converters(program, calibration, workers)
    density = {} if errors.wires.ideal else values.densities(program, calibration, workers)
    real = on_real_chip(program, errors, density, workers)
    designed = errors.designed()
    plain = program if designed is None else on_real_chip(program, designed, {}, workers)
    converters = values.converters(real if errors.calibrated_itself else plain, calibration, workers)
    if errors.neurons_recalibrated:
        real = recalibrated(real, values.channels(real, plain, converters, calibration, workers))
    return real, converters


def calibrate(program: Program, calibration: Inputs, workers: int | None = None) -> Converters:
    """The ADC scales that the first images of `calibration` call for."""
    return COMPUTED.converters(program, calibration, workers)


def with_timing(chip: Chip, timing: Timing) -> Chip:
    """The same chip, calibrated alike, with another issue policy, T max or fidelity, or for timed inputs."""
    return _chip(chip.network, chip.stated, chip.program, chip.converters, timing)


def _chip(
    network: Network, stated: HardwareConfig, program: Program, converters: Converters, timing: Timing
) -> Chip:
    config = stated
    if timing.timed and stated.encoder.mode == "keep":
        recomputes = stated.encoder.model_copy(update={"mode": "recompute"})
        config = stated.model_copy(update={"encoder": recomputes})
    placement = place(network, config)
    size = replace(placement.size, memory_bits=placement.size.memory_bits * timing.issue.images_on_chip)
    placement = replace(placement, size=size)
    leaving = static = None
    if not depends_on_values(config):
        leaving, static = _schedules(placement, config, timing, None)
    return Chip(network, config, placement, program, converters, timing, leaving, static, stated)


def _schedules(
    placement: Placement,
    config: HardwareConfig,
    timing: Timing,
    work: list[ImageWork] | None,
    layout: Layout | None = None,
    workers: int | None = None,
) -> tuple[Schedule, Schedule]:
    """Schedules of leaving early and of static runs; the same one where nothing runs ahead of the checker."""
    if layout is None and timing.fidelity == "burst":
        layout = Layout(placement, config)

    def played(leaving: bool) -> Schedule:
        return schedule(
            placement, config, timing.timesteps, issue=timing.issue, leaving=leaving, work=work,
            mean=timing.mean, fidelity=timing.fidelity, timed=timing.timed, layout=layout, workers=workers,
        )  # fmt: skip

    leaving = played(True)
    return leaving, leaving if timing.issue.kind in ("wait", "interleave") else played(False)


@dataclass(frozen=True, eq=False)
class Run:
    """What one way of running costs, for every exit. energy_pj, latency_ns: float64 ``[images, T]``, if an
    image leaves after 1, 2, .. T timesteps.
    """

    schedule: Schedule
    ledger: Ledger
    energy_pj: NDArray[np.float64]
    latency_ns: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Simulation:
    """Images on a chip, to T max: leaving early, and static runs of 1 to T max timesteps."""

    chip: Chip
    activity: Activity
    leaving: Run
    static: Run


def simulate(
    chip: Chip,
    inputs: Inputs,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    stage: str = "images",
    values: Values = COMPUTED,
) -> Simulation:
    """Play every image of `inputs` for all timesteps.

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
    if chip.leaving is None or chip.static is None:
        activity, leaving, static = _with_work(chip, inputs, workers, progress, stage, values)
    else:
        leaving, static = chip.leaving, chip.static
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
            )
        )
    return _joined(chip, activity, leaving, static)


def replay(
    simulation: Simulation,
    chip: Chip,
    inputs: Inputs,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    stage: str = "images",
) -> Simulation:
    """The images of a simulation on the same chip with another timing (see `with_timing`).

    What the images do is taken over, unless time depends on it: then it is computed anew. `inputs` are the
    simulated images, T max must be the same.
    """
    if chip.leaving is None or chip.static is None:
        return simulate(chip, inputs, workers=workers, progress=progress, stage=stage)
    return _joined(chip, simulation.activity, chip.leaving, chip.static)


def _joined(chip: Chip, activity: Activity, leaving: Schedule, static: Schedule) -> Simulation:
    left = _run(chip, leaving, activity)
    return Simulation(chip, activity, left, left if static is leaving else _run(chip, static, activity))


def _counted(chip: Chip) -> frozenset[str]:
    """The nodes whose toggled bits are counted."""
    return travelling(chip.placement) if chip.config.activity.toggling == "counted" else frozenset()


def _with_work(
    chip: Chip, inputs: Inputs, workers: int | None, progress: Progress | None, stage: str, values: Values
) -> tuple[Activity, Schedule, Schedule]:
    """Values and schedules of images whose time depends on their values, some images at a time."""
    activities, leaving, static = [], [], []
    done, total = 0, len(inputs.images)
    layout = Layout(chip.placement, chip.config) if chip.timing.fidelity == "burst" else None
    for activity, work in work_of(chip, inputs, workers, values):
        activities.append(activity)
        pair = _schedules(chip.placement, chip.config, chip.timing, work, layout, workers)
        leaving.append(pair[0])
        static.append(pair[1])
        done += len(work)
        if progress is not None:
            progress(stage, done, total)
    left = join(leaving)
    same = all(a is b for a, b in zip(leaving, static, strict=True))
    return concatenate(activities), left, left if same else join(static)


def work_of(
    chip: Chip, inputs: Inputs, workers: int | None = None, values: Values = COMPUTED
) -> Iterator[tuple[Activity, list[ImageWork]]]:
    """Values and work of all images, some images at a time; recorded values are not kept."""
    nodes = recorded_nodes(chip.program, chip.placement)
    for start in range(0, len(inputs.images), WORK_IMAGES):
        activity = values.activity(
            ActivityRequest(
                chip.program,
                chip.converters,
                inputs,
                chip.timing.timesteps,
                at=slice(start, start + WORK_IMAGES),
                workers=workers,
                record=nodes,
                toggles=_counted(chip),
            )
        )
        work = image_work(chip.program, chip.placement, activity.recorded)
        yield replace(activity, recorded={}), work


def all_work(chip: Chip, inputs: Inputs, workers: int | None = None) -> list[ImageWork] | None:
    """The work of all images where time depends on their values, else None: every image takes the same."""
    if not depends_on_values(chip.config):
        return None
    return [one for _, some in work_of(chip, inputs, workers) for one in some]


def _run(chip: Chip, played: Schedule, activity: Activity) -> Run:
    varied = lower(activity, chip)
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
    return Run(
        schedule=played,
        ledger=ledger,
        energy_pj=energy_pj(ledger, chip.prices()),
        latency_ns=np.broadcast_to(played.departure * chip.config.technology.clock_ns, shape),
    )


def lower(activity: Activity, chip: Chip) -> dict[Event, NDArray[np.int64]]:
    """The counts that depend on values, int64 ``[images, T, layers]``, for the layers of the ledger.

    A driven row drives a wordline in every column crossbar of its block. An encoder whose currents are kept
    is driven in the first timestep only.
    """
    shape = (activity.images, activity.timesteps, len(layer_names(chip.placement)))
    keys = (
        Event.ACTIVE_WORDLINES, Event.ACTIVE_CELLS, Event.ACTIVE_LEVELS, Event.SYNAPTIC_OPERATIONS,
        Event.SPIKES,
    )  # fmt: skip
    counts = {key: np.zeros(shape, np.int64) for key in keys}
    fired = {step.main: k for k, step in enumerate(chip.program.neuron_layers)}
    for k, layer in enumerate(chip.placement.layers):
        rows = activity.active_rows[:, :, k]
        levels = activity.active_levels[:, :, k]
        if layer.stage.reads_image and chip.config.encoder.mode == "keep":
            first = np.arange(activity.timesteps) == 0
            rows, levels = rows * first, levels * first
        at = (slice(None), slice(None), k + 1)
        counts[Event.ACTIVE_WORDLINES][at] = rows * layer.columns
        counts[Event.ACTIVE_CELLS][at] = rows * (layer.slices * layer.stage.out_channels)
        counts[Event.ACTIVE_LEVELS][at] = levels
        counts[Event.SYNAPTIC_OPERATIONS][at] = rows * (layer.stage.out_channels // layer.stage.groups)
        if layer.stage.neurons:
            counts[Event.SPIKES][at] = activity.spikes[:, :, fired[layer.stage.name]]
    return counts
