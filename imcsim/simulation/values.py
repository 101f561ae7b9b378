"""Where the values of a simulation come from: computed anew, or kept from an earlier run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from imcsim.functional import nonideal_chip as real_chip
from imcsim.functional import recalibration
from imcsim.functional.program.program import Program
from imcsim.functional.recalibration import Channels
from imcsim.functional.run import Activity, Converters, calibrated_converters
from imcsim.functional.run import run as run_program
from imcsim.inputs import CALIBRATION_TIMESTEPS, Inputs

Progress = Callable[[str, int, int], None]
Nodes = frozenset[str]


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

    def activity(
        self,
        program: Program,
        converters: Converters,
        inputs: Inputs,
        timesteps: int,
        *,
        at: slice = slice(None),
        record: Nodes = frozenset(),
        toggles: Nodes = frozenset(),
        workers: int | None = None,
        progress: Progress | None = None,
        stage: str = "images",
    ) -> Activity:
        """What the images `at` of `inputs` do in so many timesteps (see `functional.run.run`)."""
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

    def activity(
        self,
        program: Program,
        converters: Converters,
        inputs: Inputs,
        timesteps: int,
        *,
        at: slice = slice(None),
        record: Nodes = frozenset(),
        toggles: Nodes = frozenset(),
        workers: int | None = None,
        progress: Progress | None = None,
        stage: str = "images",
    ) -> Activity:
        return run_program(
            program,
            inputs.images[at],
            timesteps,
            converters,
            numbers=inputs.numbers[at],
            workers=workers,
            record=record,
            toggles=toggles,
            progress=progress,
            stage=stage,
        )


COMPUTED = Computed()
