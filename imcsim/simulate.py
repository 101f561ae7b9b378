"""One network on one chip with one set of images: joins values, placement and time into a ledger.

A run to T max serves every smaller T, every threshold and every exit rule: with ``wait`` between timesteps an image that
leaves early has seen exactly the beginning of the longer run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.functional.numerics import CheckerNumerics, Numerics
from imcsim.functional.program import Program, build
from imcsim.functional.run import Activity, Converters, calibrated_converters
from imcsim.functional.run import run as run_program
from imcsim.hardware.component import ChipSize
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import Charge, Ledger, charges, energy_pj
from imcsim.inputs import Inputs
from imcsim.mapping import Placement, place
from imcsim.network.graph import Network
from imcsim.timing import Timeline, play

CALIBRATION_IMAGES = 32

Progress = Callable[[str, int, int], None]


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
            checker.fraction_bits, checker.table_bits, checker.exp_entries, checker.exp_range, checker.log_entries
        ),
    )


@dataclass(frozen=True, eq=False)
class Chip:
    """A network placed on a chip, calibrated, with its timeline to T max. Serves any images."""

    network: Network
    config: HardwareConfig
    placement: Placement
    program: Program
    converters: Converters
    timeline: Timeline

    @property
    def size(self) -> ChipSize:
        return self.placement.size

    def prices(self) -> tuple[Charge, ...]:
        """What each event costs on this chip, leakage included."""
        return charges(self.config, self.size)


def make_chip(
    network: Network, hardware: Hardware, calibration: Inputs, timesteps: int, *, mean: bool, workers: int | None = None
) -> Chip:
    """Place `network`, set the ADC scales on the first images of `calibration`, and play the timeline."""
    config = hardware.config
    placement = place(network, config)
    program = build(network, numerics(config))
    images = calibration.images[:CALIBRATION_IMAGES]
    converters = calibrated_converters(program, images, timesteps, workers)
    timeline = play(placement, config, timesteps, mean=mean)
    return Chip(network, config, placement, program, converters, timeline)


@dataclass(frozen=True, eq=False)
class Simulation:
    """Images on a chip, to T max.

    energy_pj: float64 ``[images, T]`` of each timestep alone. latency_ns: float64 ``[T]``, from the image's arrival to
    the verdict on timestep t.
    """

    chip: Chip
    activity: Activity
    ledger: Ledger
    energy_pj: NDArray[np.float64]
    latency_ns: NDArray[np.float64]


def simulate(
    chip: Chip, inputs: Inputs, *, workers: int | None = None, progress: Progress | None = None, stage: str = "images"
) -> Simulation:
    """Play every image of `inputs` for all timesteps of the chip's timeline.

    Raises ImcsimError when the images do not fit the network.
    """
    network = chip.network
    inputs.require(shape=network.input_shape, bits=network.input_bits, classes=network.classes)
    timesteps = chip.timeline.timesteps
    activity = run_program(
        chip.program, inputs.images, timesteps, chip.converters, workers=workers, progress=progress, stage=stage
    )
    ledger = Ledger(
        layers=chip.timeline.layers,
        images=activity.images,
        timesteps=timesteps,
        fixed=chip.timeline.counts,
        varied=lower(activity, chip),
    )
    return Simulation(
        chip=chip,
        activity=activity,
        ledger=ledger,
        energy_pj=energy_pj(ledger, chip.prices()),
        latency_ns=chip.timeline.verdict_cycles * chip.config.technology.clock_ns,
    )


def lower(activity: Activity, chip: Chip) -> dict[Event, NDArray[np.int64]]:
    """The counts that depend on values, int64 ``[images, T, layers]``, for the layers of the ledger.

    A driven row drives a wordline in every column crossbar of its block. An encoder whose currents are kept is driven
    in the first timestep only.
    """
    shape = (activity.images, activity.timesteps, len(chip.timeline.layers))
    keys = (
        Event.ACTIVE_WORDLINES, Event.ACTIVE_CELLS, Event.ACTIVE_LEVELS, Event.SYNAPTIC_OPERATIONS, Event.SPIKES,
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
        counts[Event.SYNAPTIC_OPERATIONS][at] = rows * layer.stage.out_channels
        if layer.stage.neurons:
            counts[Event.SPIKES][at] = activity.spikes[:, :, fired[layer.stage.name]]
    return counts
