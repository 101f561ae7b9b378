"""Where the values of a simulation come from: computed anew, or kept from an earlier run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from imcsim.base.progress import Progress
from imcsim.functional import nonideal_chip as real_chip
from imcsim.functional import recalibration
from imcsim.functional.blocks import Lasting
from imcsim.functional.program.program import Program
from imcsim.functional.recalibration import Channels
from imcsim.functional.run import Activity, Converters, calibrated_converters
from imcsim.functional.run import run as run_program
from imcsim.inputs import CALIBRATION_TIMESTEPS, Inputs

Nodes = frozenset[str]


@dataclass(frozen=True, eq=False)
class ActivityRequest:
    """Which images are played on which program, for how long, and what is kept of what they do.

    The images are those `at` these positions of `inputs`, all by default. Values of the nodes in `record` are
    kept for every timestep, and toggled bits are counted for the nodes in `toggles`. `workers` is the number
    of threads (None: one for each processor); it changes no value. `progress` is told of `stage` and how many
    images are done.
    """

    program: Program
    converters: Converters
    inputs: Inputs
    timesteps: int
    at: slice = field(default_factory=lambda: slice(None))
    record: Nodes = frozenset()
    toggles: Nodes = frozenset()
    workers: int | None = None
    progress: Progress | None = None
    stage: str = "images"
    lasting: Lasting | None = None
    """With it, an image is played for the timesteps alone for which it is needed, or some more; what it does
    in the others is nothing, or what it would do."""


class Values(Protocol):
    """What a simulation asks for. Whoever answers must give what `Computed` gives, to the last bit."""

    def converters(self, program: Program, calibration: Inputs, workers: int | None) -> Converters:
        """The ADC scales that the first images of `calibration` call for."""
        ...

    def densities(self, program: Program, calibration: Inputs, workers: int | None) -> dict[str, float]:
        """The share of its rows that a read of each layer drives, over the first images of `calibration`."""
        ...

    def channels(
        self,
        real: Program,
        designed: Program,
        converters: Converters,
        calibration: Inputs,
        workers: int | None,
    ) -> dict[str, Channels]:
        """What the currents of hidden neurons are over the first images of `calibration`, and what they were
        to be (see `functional.recalibration.channels`).
        """
        ...

    def activity(self, request: ActivityRequest) -> Activity:
        """What the images of a request do (see `functional.run.run`)."""
        ...


class Computed:
    """Values that are computed when they are asked for."""

    def converters(self, program: Program, calibration: Inputs, workers: int | None) -> Converters:
        return calibrated_converters(program, calibration.calibration, CALIBRATION_TIMESTEPS, workers)

    def densities(self, program: Program, calibration: Inputs, workers: int | None) -> dict[str, float]:
        return real_chip.densities(program, calibration.calibration, CALIBRATION_TIMESTEPS, workers)

    def channels(
        self,
        real: Program,
        designed: Program,
        converters: Converters,
        calibration: Inputs,
        workers: int | None,
    ) -> dict[str, Channels]:
        images = calibration.calibration
        return recalibration.channels(real, designed, converters, images, CALIBRATION_TIMESTEPS, workers)

    def activity(self, request: ActivityRequest) -> Activity:
        return run_program(
            request.program,
            request.inputs.images[request.at],
            request.timesteps,
            request.converters,
            numbers=request.inputs.numbers[request.at],
            workers=request.workers,
            record=request.record,
            toggles=request.toggles,
            progress=request.progress,
            stage=request.stage,
            lasting=request.lasting,
        )


COMPUTED = Computed()
