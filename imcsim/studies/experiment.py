"""One chip with its images and validation images, simulated to T max, and who would leave when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imcsim._version import __version__
from imcsim.base.choices import Rule
from imcsim.base.errors import ImcsimError
from imcsim.base.progress import Progress
from imcsim.hardware import warnings
from imcsim.hardware.accounting import HYPOTHESIS
from imcsim.hardware.config import Hardware
from imcsim.hardware.ledger import Stay
from imcsim.inputs import Inputs, encoding_of, other_pixels
from imcsim.inputs.made import image_digests
from imcsim.network.graph import Network
from imcsim.results.meta import HardwareMeta, InputsMeta, Meta, NetworkMeta
from imcsim.results.ranges import StaticIssue
from imcsim.results.run import Policy
from imcsim.results.statistics import wilson_interval
from imcsim.simulation.chip import Chip, make_chip, with_cells, with_timing
from imcsim.simulation.simulate import ExitCosts, Simulation, issued, replay, simulate
from imcsim.simulation.values import COMPUTED, Values
from imcsim.studies.decider import Choice, Decider, check_threshold, right_after
from imcsim.studies.plugged import as_meta, used
from imcsim.studies.settings import CompareOptions
from imcsim.timing import Timing, parse


@dataclass(frozen=True, eq=False)
class Experiment(Decider):
    """One chip with its images (and validation images) simulated to T max."""

    hardware: Hardware
    inputs: Inputs
    images: Simulation
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
        until_exit: bool = False,
        judging: bool = False,
        begun: Callable[[Chip], None] | None = None,
    ) -> Experiment:
        """Make a chip for `inputs`; simulate them, and the validation images if they choose a threshold, or
        are `judging` points of a sweep.

        With `picked`, only the images with these indices are simulated, on a chip that is calibrated as for
        all; they may lack labels. With `until_exit` each image is played for the timesteps alone that it
        stays under the rule of `options`: nothing may be asked of other exits, nor of static runs. `begun` is
        told of the chip before any image is played. Raises ImcsimError for images that do not fit the
        network, and for another number of thresholds than one or T - 1.
        """
        timesteps = options.timesteps or network.timesteps
        if dynamic:
            check_threshold(options, timesteps)
        choosing = dynamic and (options.threshold is None or judging) and validation is not None
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
        if begun is not None:
            begun(chip)
        if picked is not None:
            at = np.asarray(picked, np.int64)
            # What is right is not asked for: images without labels are shown as well.
            labels = inputs.labels[at] if len(inputs.labels) else np.zeros_like(at)
            inputs = replace(inputs, images=inputs.images[at], labels=labels, picked=inputs.numbers[at])
        rule = cls._rule(validation, options, chip, choosing, progress, values)
        return cls._played(rule, hardware, inputs, progress, values, until_exit=until_exit)

    @staticmethod
    def _rule(
        validation: Inputs | None,
        options: CompareOptions,
        chip: Chip,
        choosing: bool,
        progress: Progress | None,
        values: Values,
    ) -> Decider:
        """The exit rule, with the validation images simulated where they are `choosing`."""
        held_out = None
        if choosing and validation is not None:
            same = validation.timed == chip.timing.timed
            held_out = simulate(
                chip if same else with_timing(chip, replace(chip.timing, timed=validation.timed)),
                validation,
                workers=options.workers,
                progress=progress,
                stage="validation images",
                values=values,
            )
        return Decider(options, chip, validation, held_out)

    @classmethod
    def _played(
        cls,
        rule: Decider,
        hardware: Hardware,
        inputs: Inputs,
        progress: Progress | None,
        values: Values,
        *,
        until_exit: bool = False,
    ) -> Experiment:
        if rule.held_out is not None and rule.validation is inputs:
            images = rule.held_out
        else:
            images = simulate(
                rule.chip, inputs, workers=rule.options.workers, progress=progress, stage="images",
                values=values, lasting=rule.lasting(rule.choose()) if until_exit else None,
            )  # fmt: skip
        return cls(rule.options, rule.chip, rule.validation, rule.held_out, hardware, inputs, images, values)

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
        rule = self._rule(self.validation, options, chip, choosing, progress, values)
        return self._played(rule, self.hardware, self.inputs, progress, values)

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
