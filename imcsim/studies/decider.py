"""Who leaves when: the exit rule's registers, given or chosen on validation images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imcsim import exits
from imcsim.base.errors import ImcsimError
from imcsim.exits.outputs import ClassOutputs, exit_timesteps, predictions
from imcsim.exits.rule import ExitRule
from imcsim.functional.blocks import Lasting
from imcsim.hardware.ledger import Stay
from imcsim.inputs import Inputs
from imcsim.results.figures import ValidationFigures
from imcsim.simulation.chip import Chip
from imcsim.simulation.reloading import exit_points
from imcsim.simulation.simulate import Simulation
from imcsim.studies.registers import Judges, registers_within
from imcsim.studies.settings import CompareOptions
from imcsim.studies.temperatures import fitted


@dataclass(frozen=True, eq=False)
class Choice:
    """The words of the threshold registers, the thresholds they stand for, and how they were chosen.

    registers: int64 ``[T - 1]``; both have an entry for each timestep after which an image may exit early.
    `threshold` is the one that all of them have, None where they differ. `temperatures`: those of all T
    timesteps; None where outputs are taken as they are.
    """

    registers: NDArray[np.int64]
    thresholds: tuple[float, ...]
    threshold: float | None
    validation: ValidationFigures | None
    temperatures: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Decider:
    """The exit rule of one chip, and the validation images that choose its registers where none are given."""

    options: CompareOptions
    chip: Chip
    validation: Inputs | None
    held_out: Simulation | None
    """The validation images, simulated; None where they choose nothing."""

    @property
    def timesteps(self) -> int:
        return self.chip.timing.timesteps

    @property
    def rule(self) -> ExitRule:
        """The exit rule that is asked for."""
        return exits.named(self.options.rule)

    def required(self, simulation: Simulation) -> NDArray[np.int64]:
        """The smallest threshold register with which each image leaves after timestep t, ``[images, T]``."""
        return self._required(simulation.activity.outputs, self.temperatures)

    def _required(
        self, outputs: NDArray[np.int64], temperatures: tuple[float, ...] | None
    ) -> NDArray[np.int64]:
        seen = ClassOutputs.of(outputs, self.options.accumulation, temperatures)
        needed = self.rule.required(seen, self.chip.program.numerics.checker)
        return np.where(self._looked_at, needed, self.word_of(1.0) + 1)

    @property
    def _looked_at(self) -> NDArray[np.bool_]:
        """After which timesteps the checker looks at the outputs, bool ``[T]``."""
        points = exit_points(self.chip.placement, self.chip.config, self.timesteps)
        return np.isin(np.arange(1, self.timesteps + 1), points)

    @cached_property
    def temperatures(self) -> tuple[float, ...] | None:
        """What the exit rule's outputs are divided by, fitted on the validation images; None: by nothing."""
        if self.options.temperatures == "one":
            return None
        if self.options.accumulation != "mean":
            raise ImcsimError(
                "a temperature goes into the factor 1/t of running means, and sums have none",
                key="temperatures",
                fix="use accumulation mean, or temperatures one",
            )
        held_out, validation = self._judges()
        sums = np.cumsum(held_out.activity.outputs, axis=1)
        return fitted(sums, validation.labels, self.chip.program.numerics.checker.fraction_bits)

    def exits(self, simulation: Simulation, choice: Choice) -> Stay:
        """How long each image of a simulation stays with this choice, which may be another experiment's."""
        return self._exits(simulation.activity.outputs, choice)

    def _exits(self, outputs: NDArray[np.int64], choice: Choice) -> Stay:
        return exit_timesteps(self._required(outputs, choice.temperatures), choice.registers)

    def lasting(self, choice: Choice) -> Lasting | None:
        """For how many timesteps the values of an image are needed, where it exits with this choice; None
        where all of them may be.

        A chip that runs ahead of the verdict begins timesteps which it cancels: so much of them as their
        schedule says is paid for. It says so for all images at once unless time depends on values.
        """
        played, timesteps = self.chip.dynamic, self.timesteps
        needed = np.arange(1, timesteps + 1)
        if self.chip.timing.issue.runs_ahead:
            if played is None:
                return None
            for k in played.begun.cancelling():
                needed[k] = int(played.begun.cancelled_timesteps(k).max()) + 1

        def last(outputs: NDArray[np.int64]) -> NDArray[np.int64]:
            known = outputs.shape[1]
            whole = np.zeros((len(outputs), timesteps, outputs.shape[2]), np.int64)
            whole[:, :known] = outputs
            stay = self._exits(whole, choice)
            return np.where(stay <= known, needed[stay - 1], timesteps)

        return last

    def word_of(self, threshold: float) -> int:
        """The register word for a threshold in 0 to 1."""
        return self.rule.word(threshold, self.chip.network.classes, self.chip.program.numerics.checker)

    def threshold_of(self, word: int) -> float:
        """What a register word stands for; the largest, which is rounded, for 1."""
        return self.rule.threshold(word, self.chip.network.classes, self.chip.program.numerics.checker)

    def choose(self) -> Choice:
        """The given thresholds, or the cheapest that cost no accuracy on the validation images.

        Chosen is, as ``options.thresholds`` says, ``one`` for all timesteps: cost never grows with it, so the
        largest word at which the accuracy still holds; or one for ``each``: those with the least mean of
        energy x latency (see `thresholds`). What holds the accuracy, ``options.max_loss`` says (see
        `registers`). Raises ImcsimError where there are no images to choose on, and
        for another number of thresholds than one or T - 1.
        """
        given, early = self.options.threshold, self.timesteps - 1
        check_threshold(self.options, self.timesteps)
        if given is not None:
            thresholds = given if isinstance(given, tuple) else (given,) * early
            words = np.array([self.word_of(one) for one in thresholds], np.int64)
            return Choice(words, thresholds, _common(given), None, self.temperatures)
        held_out, validation = self._judges()
        right = right_after(held_out, validation)
        needed, largest = self.required(held_out), self.word_of(1.0)
        cost = held_out.dynamic.energy_pj * held_out.dynamic.latency_ns
        judges = Judges(needed, right, cost, largest, self.options.thresholds)
        bound = self.options.max_loss
        words = judges.registers() if bound is None else registers_within(judges, bound)
        stay = exit_timesteps(needed, words)
        thresholds = tuple(self.threshold_of(int(word)) for word in words)
        return Choice(
            words,
            thresholds,
            _common(thresholds),
            ValidationFigures(
                images=len(right),
                accuracy_static=float(right[:, -1].mean()),
                accuracy_dynamic=float(right[np.arange(len(right)), stay - 1].mean()),
                mean_timesteps=float(stay.mean()),
            ),
            self.temperatures,
        )

    def _judges(self) -> tuple[Simulation, Inputs]:
        """The validation images that decide. Raises ImcsimError where there are none."""
        if self.held_out is None or self.validation is None:
            raise ImcsimError(
                "a threshold must be chosen, but there are no validation images",
                fix="give a threshold or validation",
            )
        return self.held_out, self.validation


def check_threshold(options: CompareOptions, timesteps: int) -> None:
    """Raise ImcsimError for another number of thresholds than one, or one for each of 1 to T max - 1."""
    given, early = options.threshold, timesteps - 1
    if isinstance(given, tuple) and len(given) != early:
        several = f", or {early}: one for each timestep after which an image may exit early" if early else ""
        raise ImcsimError(
            f"{len(given)} thresholds do not go with T = {timesteps}",
            key="threshold",
            fix=f"give one{several}",
        )


def _common(thresholds: float | tuple[float, ...]) -> float | None:
    """The threshold of all timesteps, None where they differ; 0 where there is none, and nobody leaves."""
    if not isinstance(thresholds, tuple):
        return thresholds
    return None if len(set(thresholds)) > 1 else (*thresholds, 0.0)[0]


def right_after(simulation: Simulation, inputs: Inputs) -> NDArray[np.bool_]:
    """Whether each image is classified rightly after each timestep, ``[images, T]``."""
    right: NDArray[np.bool_] = predictions(simulation.activity.outputs) == inputs.labels[:, None]
    return right
