"""The document of `imcsim run`: one policy alone."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from imcsim.base.choices import Accumulation, Rule
from imcsim.base.presented import Presented
from imcsim.results.costs import CheckerCost, ComponentCost, LayerCost, check_components
from imcsim.results.efficiency import Efficiency, LayerEfficiency, PeakEfficiency, check_efficiency
from imcsim.results.figures import Measured, ValidationFigures, check_one_threshold, check_thresholds
from imcsim.results.meta import Meta
from imcsim.results.model import Amount, DocumentPart, Fraction, Positive, require, without_nothing
from imcsim.results.programming import ProgrammingCost
from imcsim.results.reload import ReloadCost


class Policy(DocumentPart):
    """What decided how long an image stayed. The rule, its threshold and its source are None for `static`."""

    kind: Literal["static", "dynamic"]
    """Whether all images run T max timesteps or leave early."""
    timesteps: Positive
    """T max."""
    rule: Rule | None = None
    """Exit rule: what decides that an image may leave."""
    accumulation: Accumulation | None = None
    """Whether the rule looks at the running mean of the outputs or at their sum."""
    threshold: Fraction | None = None
    """Of the exit rule, 0 to 1; None where timesteps have thresholds of their own."""
    thresholds: tuple[Fraction, ...] | None = None
    """Those after T = 1, ..., T max - 1, where they differ; left out where there is one, or none."""
    temperatures: tuple[Amount, ...] | None = None
    """What the outputs are divided by after T = 1, ..., T max; left out where they are taken as they are."""
    max_loss: Fraction | None = None
    """The loss of accuracy that had to be ruled out; left out where as many images had to be right as after
    T max.
    """
    threshold_source: Literal["validation", "given"] | None = None
    validation: ValidationFigures | None = None
    """None unless the threshold was chosen on validation images."""

    @model_serializer(mode="wrap")
    def _without_thresholds(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "thresholds", "temperatures", "max_loss")

    @model_validator(mode="after")
    def _check_policy(self) -> Self:
        threshold = self.threshold if self.thresholds is None else self.thresholds
        parts = (self.rule, self.accumulation, threshold, self.threshold_source)
        if self.kind == "static":
            require(all(p is None for p in (*parts, self.validation)), "a static policy has no exit rule")
        else:
            require(
                all(p is not None for p in parts),
                "a dynamic policy needs rule, accumulation, threshold, source",
            )
            check_one_threshold(self.threshold, self.thresholds)
            check_thresholds(self.thresholds, self.temperatures, self.timesteps)
            require(
                (self.validation is not None) == (self.threshold_source == "validation"),
                "validation figures belong to a threshold chosen on validation images, and only there",
            )
        return self


class Outcome(Measured):
    """What one policy cost, and where."""

    components: tuple[ComponentCost, ...]
    """Energy and area of each kind of component."""
    layers: tuple[LayerCost, ...]
    """Each layer on the chip."""
    checker: CheckerCost | None
    """None where nothing checks the outputs."""
    efficiency: Efficiency
    """Energy and rate of synaptic operations."""
    peak: PeakEfficiency
    """What the chip could do at most."""
    programming: ProgrammingCost
    """Writing the weights, once."""
    layer_efficiency: tuple[LayerEfficiency, ...]
    """The same of each layer."""
    reload: ReloadCost | None = None
    """Loading the weights again; left out where the chip holds the network."""

    @model_serializer(mode="wrap")
    def _without_reload(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "reload")

    @model_validator(mode="after")
    def _check_outcome(self) -> Self:
        check_components(self.components, self.energy_pj)
        check_efficiency(self.efficiency, self.layer_efficiency, self)
        return self


class RunResult(Presented, DocumentPart):
    """One policy: one network, one chip, one set of inputs."""

    schema_version: Literal[3] = 3
    meta: Meta
    policy: Policy
    """What decided how long an image stayed."""
    outcome: Outcome
    """What it cost, and where."""
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        require(
            len(self.outcome.exit_fraction) == self.meta.timesteps, "exit_fraction must have T max entries"
        )
        require(self.policy.timesteps == self.meta.timesteps, "policy.timesteps differs from meta.timesteps")
        return self
