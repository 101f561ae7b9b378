"""One chip with its images and validation images, simulated to T max, and who would leave when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imcsim import exits
from imcsim._version import __version__
from imcsim.base.choices import Rule
from imcsim.base.errors import ImcsimError
from imcsim.exits.outputs import ClassOutputs, exit_timesteps, predictions
from imcsim.exits.rule import ExitRule
from imcsim.hardware import warnings
from imcsim.hardware.accounting import HYPOTHESIS
from imcsim.hardware.config import Hardware
from imcsim.hardware.ledger import Stay
from imcsim.inputs import Inputs, encoding_of, other_pixels
from imcsim.inputs.made import image_digests
from imcsim.network.graph import Network
from imcsim.results.figures import ValidationFigures
from imcsim.results.meta import HardwareMeta, InputsMeta, Meta, NetworkMeta
from imcsim.results.ranges import StaticIssue
from imcsim.results.run import Policy
from imcsim.results.statistics import wilson_interval
from imcsim.simulation.chip import Chip, make_chip, with_cells, with_timing
from imcsim.simulation.reloading import exit_points
from imcsim.simulation.simulate import ExitCosts, Simulation, issued, replay, simulate
from imcsim.simulation.values import COMPUTED, Progress, Values
from imcsim.studies.plugged import as_meta, used
from imcsim.studies.registers import Judges, registers_within
from imcsim.studies.settings import CompareOptions
from imcsim.studies.temperatures import fitted
from imcsim.timing import Timing, parse


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
class Experiment:
    """One chip with its images (and validation images) simulated to T max."""

    hardware: Hardware
    inputs: Inputs
    validation: Inputs | None
    options: CompareOptions
    chip: Chip
    images: Simulation
    held_out: Simulation | None
    values: Values = COMPUTED
    """Where values of images come from, should time need them once more."""

    @classmethod
    def make(
        cls,
        network: Network,
        hardware: Hardware,
        inputs: Inputs,
        validation: Inputs | None,
        options: CompareOptions,
        progress: Progress | None,
        *,
        dynamic: bool = True,
        picked: Sequence[int] | None = None,
        values: Values = COMPUTED,
    ) -> Experiment:
        """Make a chip for `inputs`; simulate them, and the validation images if they choose a threshold.

        With `picked`, only the images with these indices are simulated, on a chip that is calibrated as for
        all; they may lack labels. Raises ImcsimError for images that do not fit the network, and for another
        number of thresholds than one or T - 1.
        """
        timesteps = options.timesteps or network.timesteps
        if dynamic:
            check_threshold(options, timesteps)
        choosing = dynamic and options.threshold is None and validation is not None
        judged_by_itself = validation is inputs and picked is None
        inputs = fitting(inputs, network, timesteps, labelled=picked is None)
        if judged_by_itself:
            validation = inputs
        elif validation is not None:
            validation = fitting(validation, network, timesteps)
        mean = options.accumulation == "mean"
        timing = Timing(timesteps, parse(options.issue), options.fidelity, mean, inputs.timed, options.rule)
        calibration = inputs if validation is None else validation
        chip = make_chip(
            network, hardware, calibration, timing, workers=options.workers, values=values,
            seed=options.seed, number=options.chip,
        )  # fmt: skip
        if picked is not None:
            at = np.asarray(picked, np.int64)
            # What is right is not asked for: images without labels are shown as well.
            labels = inputs.labels[at] if len(inputs.labels) else np.zeros_like(at)
            inputs = replace(inputs, images=inputs.images[at], labels=labels, picked=inputs.numbers[at])
        return cls._played(hardware, inputs, validation, options, chip, choosing, progress, values)

    @classmethod
    def _played(
        cls,
        hardware: Hardware,
        inputs: Inputs,
        validation: Inputs | None,
        options: CompareOptions,
        chip: Chip,
        choosing: bool,
        progress: Progress | None,
        values: Values = COMPUTED,
    ) -> Experiment:
        held_out = None
        if choosing and validation is not None:
            same = validation.timed == inputs.timed
            held_out = simulate(
                chip if same else with_timing(chip, replace(chip.timing, timed=validation.timed)),
                validation,
                workers=options.workers,
                progress=progress,
                stage="validation images",
                values=values,
            )
        if held_out is not None and validation is inputs:
            images = held_out
        else:
            images = simulate(
                chip, inputs, workers=options.workers, progress=progress, stage="images", values=values
            )
        return cls(hardware, inputs, validation, options, chip, images, held_out, values)

    def on_chip(
        self,
        number: int | None,
        *,
        workers: int | None = None,
        progress: Progress | None = None,
        values: Values = COMPUTED,
    ) -> Experiment:
        """The same images on chip `number` of those that the seed draws; on an ideal one where it is None.

        The chip is calibrated, and where a threshold is chosen, on the same validation images.
        """
        options = replace(self.options, workers=workers)
        if number is not None:
            options = replace(options, chip=number)
        calibration = self.inputs if self.validation is None else self.validation
        chip = with_cells(self.chip, calibration, options.seed, number, workers=workers, values=values)
        choosing = self.held_out is not None
        return self._played(
            self.hardware, self.inputs, self.validation, options, chip, choosing, progress, values
        )

    def with_issue(self, issue: str, progress: Progress | None = None) -> Experiment:
        """The same network, images and exit rule under another issue policy (see `timing.parse`).

        Only time is played anew, unless it depends on values. Who is right and who would leave when does not
        depend on the issue policy. Raises ImcsimError for an unknown policy.
        """
        chip = with_timing(self.chip, replace(self.chip.timing, issue=parse(issue)))
        return replace(
            self,
            options=replace(self.options, issue=issue),
            chip=chip,
            images=replay(
                self.images, chip, self.inputs, workers=self.options.workers, progress=progress,
                values=self.values,
            ),
        )  # fmt: skip

    def static_runs(self, issue: StaticIssue) -> ExitCosts:
        """What static runs of the images cost under an issue policy; only time is played anew."""
        return issued(
            self.images, parse(issue), self.inputs, dynamic=False, workers=self.options.workers,
            values=self.values,
        )  # fmt: skip

    def with_rule(self, rule: Rule) -> Experiment:
        """The same network, images and issue policy under another exit rule.

        Time is played anew, as rules take different cycles; what the images do is taken over, unless time
        depends on it.
        """
        workers, held_out = self.options.workers, self.held_out
        chip = with_timing(self.chip, replace(self.chip.timing, rule=rule))
        if held_out is not None and self.validation is not None:
            timing = replace(chip.timing, timed=self.validation.timed)
            same = chip if timing == chip.timing else with_timing(chip, timing)
            held_out = replay(held_out, same, self.validation, workers=workers, values=self.values)
        return replace(
            self,
            options=replace(self.options, rule=rule),
            chip=chip,
            images=replay(self.images, chip, self.inputs, workers=workers, values=self.values),
            held_out=held_out,
        )

    @property
    def timesteps(self) -> int:
        return self.chip.timing.timesteps

    # --- who leaves when

    @property
    def rule(self) -> ExitRule:
        """The exit rule that is asked for."""
        return exits.named(self.options.rule)

    def required(self, simulation: Simulation) -> NDArray[np.int64]:
        """The smallest threshold register with which each image leaves after timestep t, ``[images, T]``."""
        return self._required(simulation, self.temperatures)

    def _required(self, simulation: Simulation, temperatures: tuple[float, ...] | None) -> NDArray[np.int64]:
        outputs = ClassOutputs.of(simulation.activity.outputs, self.options.accumulation, temperatures)
        needed = self.rule.required(outputs, self.chip.program.numerics.checker)
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
        return exit_timesteps(self._required(simulation, choice.temperatures), choice.registers)

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

    def decide(self, policy: Literal["static", "dynamic"]) -> tuple[Stay, Policy]:
        """How long each image stays under a policy, and the policy as a result names it."""
        if policy == "static":
            stay = np.full(len(self.inputs.labels), self.timesteps, np.int64)
            return stay, Policy(kind="static", timesteps=self.timesteps)
        choice = self.choose()
        return self.exits(self.images, choice), self.policy(choice)

    def policy(self, choice: Choice) -> Policy:
        """The dynamic policy with this choice, as a result names it."""
        return Policy(kind="dynamic", timesteps=self.timesteps, **self.exit_rule(choice))

    def exit_rule(self, choice: Choice) -> dict[str, Any]:
        """The rule and its threshold, or thresholds where they differ, as results name them."""
        return {
            "rule": self.options.rule,
            "accumulation": self.options.accumulation,
            "threshold": choice.threshold,
            "thresholds": choice.thresholds if choice.threshold is None else None,
            "temperatures": choice.temperatures,
            "max_loss": self.options.max_loss,
            "threshold_source": "given" if choice.validation is None else "validation",
            "validation": choice.validation,
        }

    def accuracy(self, stay: Stay) -> dict[str, Any]:
        """Accuracy of the reported images and its 95 % interval, as results name them."""
        return accuracy(right_after(self.images, self.inputs)[np.arange(len(stay)), stay - 1])

    def leaving(self, stay: Stay) -> dict[str, Any]:
        """How long the images stay, as results name it."""
        return leaving(stay, self.timesteps)

    # --- about the run

    def _calibrated(self) -> str:
        """What of the chip follows from calibration images, with its verb; nothing where nothing does."""
        errors = self.chip.program.numerics.nonideal
        scaled = self.chip.config.adc.full_scale == "calibrated"
        anew = errors is not None and errors.neurons_recalibrated
        parts = ["the ADC scales"] * scaled + ["the neurons"] * anew
        return f"{' and '.join(parts)} were" if parts else ""

    def meta(self) -> Meta:
        network, config = self.chip.network, self.chip.config
        accuracy = network.provenance.get("accuracy", {})
        size = self.chip.size
        return Meta(
            version=__version__,
            seed=self.options.seed,
            images=len(self.inputs.labels),
            timesteps=self.timesteps,
            fidelity=self.options.fidelity,
            policy=str(self.chip.timing.issue),
            hardware=HardwareMeta(
                name=self.hardware.name,
                sha256=self.hardware.sha256,
                overrides=dict(self.hardware.overrides) or None,
                encoder=config.encoder.mode,
                clock_ns=config.technology.clock_ns,
                tiles=size.tiles,
                crossbars=self.chip.placement.crossbars,
                area_um2=config.area_um2(size),
                chips=None if size.chips == 1 else size.chips,
                accounting=None if config.accounting == "every_event" else config.accounting,
            ),
            network=NetworkMeta(
                name=network.name,
                sha256=network.sha256,
                layers=len(network.weighted),
                weights=sum(int(n.weight.size) for n in network.weighted),
                accuracy_float_per_timestep=_stated(accuracy, "float_per_timestep"),
                accuracy_quantised_per_timestep=_stated(accuracy, "quantised_per_timestep"),
            ),
            inputs=InputsMeta(name=self.inputs.name, sha256=self.inputs.sha256, split=self.inputs.split),
            plugins=as_meta(used(self.chip.stated, self.options.rule, (self.inputs, self.validation))),
        )

    def warnings(self, *, many: bool = False) -> tuple[str, ...]:
        """What a reader should know before quoting a figure, of this chip alone or of `many` like it."""
        found = [HYPOTHESIS] if self.chip.config.accounting == "peripherals_once" else []
        if self.inputs.split == "validation":
            found.append("the images are marked as validation images; report figures on test images")
        if self.chip.config.encoder.mode != self.chip.stated.encoder.mode and not self.chip.network.is_ann:
            found.append(
                "the inputs change at every timestep, so the encoder recomputes: it cannot keep its currents"
            )
        errors = self.chip.program.numerics.nonideal
        if errors is not None and not many:
            found.append(
                "cells, wires or converters have errors (nonideal): these are the results of one chip, "
                f"number {errors.chip} of seed {errors.seed}; others differ"
            )
        found.extend(warnings(self.hardware))
        if "widened" in self.chip.network.provenance:
            found.append(
                f"{self.chip.network.name} is a narrower network with each channel several times: costs are "
                "those of the wide chip, spike rates and accuracy those of the narrow network"
            )
        found += [f"{self.chip.network.name}: {line}" for line in _affirmed(self.chip.network)]
        shown = [self.inputs] if self.validation is None else [self.inputs, self.validation]
        found += [problem for images in shown if (problem := other_pixels(images)) is not None]
        if (encoding := encoding_of(self.inputs)) is not None:
            made = "random spikes" if encoding == "rate" else "frames"
            found.append(f"images were turned into {made} ({encoding} encoding, {_seed(self.inputs)})")
        if self.validation is None and (calibrated := self._calibrated()):
            found.append(f"without validation images {calibrated} calibrated on the first reported images")
        if self.validation is not None:
            known = set(image_digests(self.validation.images))
            shared = sum(digest in known for digest in image_digests(self.inputs.images))
            if shared:
                found.append(
                    f"{shared} of the {len(self.inputs.labels)} reported images are validation images too"
                )
        if self.hardware.unsourced:
            count = len(self.hardware.unsourced)
            found.append(f"{count} hardware value{'s have' if count > 1 else ' has'} no source")
        return tuple(found)


def _affirmed(network: Network) -> list[str]:
    """What of an imported network holds because its user said so (see `importers`)."""
    about = network.provenance.get("imported")
    lines = about.get("affirmed") if isinstance(about, dict) else None
    return [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []


def fitting(inputs: Inputs, network: Network, timesteps: int, *, labelled: bool = True) -> Inputs:
    """What a run of so many timesteps shows of `inputs`. Raises ImcsimError unless they fit the network."""
    if labelled and len(inputs.labels) != len(inputs.images):
        raise ImcsimError("there are no labels for these images", key=inputs.name, fix="give labels")
    shown = inputs.first(timesteps)
    shown.require(shape=network.input_shape, bits=network.input_bits, classes=network.classes)
    return shown


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


def _seed(inputs: Inputs) -> str:
    return f"seed {inputs.about['seed']}" if "seed" in inputs.about else "of unknown seed"


def _stated(accuracy: object, key: str) -> tuple[float, ...] | None:
    values = accuracy.get(key) if isinstance(accuracy, dict) else None
    return tuple(float(v) for v in values) if isinstance(values, list | tuple) else None


def refuse_dynamic_pipeline(options: CompareOptions, fix: str = "use speculate, or a static policy") -> None:
    """Raise ImcsimError for an issue policy without early exit."""
    if not parse(options.issue).exits_early:
        raise ImcsimError("a pipeline has no early exit", key="issue", fix=fix)


def accuracy(answers: NDArray[np.bool_]) -> dict[str, Any]:
    """The share of right answers and its 95 % interval, as results name them."""
    images, correct = len(answers), int(answers.sum())
    low, high = wilson_interval(correct, images)
    return {"accuracy": correct / images, "accuracy_low": low, "accuracy_high": high}


def leaving(stay: Stay, timesteps: int) -> dict[str, Any]:
    """How long images stay, of at most `timesteps`, as results name it."""
    shares = tuple(float(np.mean(stay == t)) for t in range(1, timesteps + 1))
    return {"mean_timesteps": float(stay.mean()), "exit_fraction": shares}


def right_after(simulation: Simulation, inputs: Inputs) -> NDArray[np.bool_]:
    """Whether each image is classified rightly after each timestep, ``[images, T]``."""
    right: NDArray[np.bool_] = predictions(simulation.activity.outputs) == inputs.labels[:, None]
    return right
