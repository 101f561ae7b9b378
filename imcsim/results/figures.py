"""Figures that several documents share: accuracy, exits, costs and what chose the exits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from imcsim.base.choices import Accumulation, Rule
from imcsim.results.model import (
    Amount,
    DocumentPart,
    Fraction,
    Positive,
    derived,
    require,
    same,
    without_nothing,
)


def product_of_means() -> Any:
    """The field of mean energy x mean latency, pJ ns, in a part that has `energy_pj` and `latency_ns`."""
    return derived(lambda part: part.energy_pj * part.latency_ns, "is not energy_pj x latency_ns")


class Accuracy(DocumentPart):
    """The share of right answers. A part of other models."""

    accuracy: Fraction
    accuracy_low: Fraction
    """Lower end of the 95 % Wilson interval."""
    accuracy_high: Fraction
    """Upper end of the 95 % Wilson interval."""

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        require(
            self.accuracy_low <= self.accuracy <= self.accuracy_high,
            "the accuracy lies outside its own interval",
        )
        return self


class AtTimesteps(DocumentPart):
    timesteps: Positive
    """T: timesteps that all images run."""


class ValidationFigures(DocumentPart):
    """How what was chosen did on the images it was chosen on; none of them is among the inputs reported."""

    images: Positive
    """How many images chose."""
    accuracy_static: Fraction
    """Of static T max on them."""
    accuracy_dynamic: Fraction
    """Of the dynamic run on them."""
    mean_timesteps: Amount
    """Of the dynamic run on them."""


class ExitChoice(DocumentPart):
    rule: Rule
    """Exit rule: what decides that an image may leave."""
    accumulation: Accumulation
    """Whether the rule looks at the running mean of the outputs or at their sum."""
    threshold: Fraction | None
    """None where timesteps have thresholds of their own."""
    thresholds: tuple[Fraction, ...] | None = None
    """Those after T = 1, ..., T max - 1, where they differ; left out where one serves all timesteps."""
    temperatures: tuple[Amount, ...] | None = None
    """What the outputs are divided by after T = 1, ..., T max; left out where they are taken as they are."""
    max_loss: Fraction | None = None
    """The loss of accuracy that had to be ruled out; left out where as many images had to be right as after
    T max.
    """
    threshold_source: Literal["validation", "given"]
    validation: ValidationFigures | None
    """None when the threshold was given."""

    @model_serializer(mode="wrap")
    def _without_thresholds(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "thresholds", "temperatures", "max_loss")

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        check_one_threshold(self.threshold, self.thresholds)
        require(
            (self.validation is not None) == (self.threshold_source == "validation"),
            "validation figures belong to a threshold chosen on validation images, and only there",
        )
        return self


def check_one_threshold(threshold: float | None, thresholds: tuple[float, ...] | None) -> None:
    require((threshold is None) != (thresholds is None), "there must be either threshold or thresholds")


def check_thresholds(
    thresholds: tuple[float, ...] | None, temperatures: tuple[float, ...] | None, timesteps: int
) -> None:
    require(thresholds is None or len(thresholds) == timesteps - 1, "thresholds must have T max - 1 entries")
    require(temperatures is None or len(temperatures) == timesteps, "temperatures must have T max entries")


def check_exits(exit_fraction: Iterable[float], mean_timesteps: float) -> None:
    """Refuse shares of the images at T = 1, 2, ... that are not whole, or another mean than theirs."""
    exit_fraction = tuple(exit_fraction)
    require(same(math.fsum(exit_fraction), 1.0), "exit_fraction does not sum to 1")
    mean = math.fsum(t * share for t, share in enumerate(exit_fraction, 1))
    require(same(mean, mean_timesteps), "mean_timesteps does not follow from exit_fraction")


class Measured(Accuracy):
    mean_timesteps: Amount
    exit_fraction: tuple[Fraction, ...]
    """Share of the images that leave at T = 1, 2, ..., T max."""
    energy_pj: Amount
    latency_ns: Amount
    latency_p50_ns: Amount
    latency_p95_ns: Amount
    latency_p99_ns: Amount
    edp_mean_of_products: Amount
    """Mean over the images of energy x latency, pJ ns."""
    edp_product_of_means: Amount = product_of_means()
    """Mean energy x mean latency, pJ ns."""
    cancelled_energy_pj: Amount
    """The part of `energy_pj` spent on timesteps that were begun before the checker let the image go."""

    @model_validator(mode="after")
    def _check_measured(self) -> Self:
        check_exits(self.exit_fraction, self.mean_timesteps)
        require(
            self.latency_p50_ns <= self.latency_p95_ns <= self.latency_p99_ns,
            "latency percentiles out of order",
        )
        return self


class Reduction(DocumentPart):
    """1 - dynamic / static T max: 0.6 is 60 % less."""

    energy: float
    """Of the mean energy per image."""
    latency: float
    """Of the mean latency."""
    edp_mean_of_products: float
    """Of the mean over the images of energy x latency."""
    edp_product_of_means: float
    """Of mean energy x mean latency."""

    @classmethod
    def between(
        cls, static: DocumentPart | Mapping[str, Any], dynamic: DocumentPart | Mapping[str, Any]
    ) -> Self:
        """The reduction from the mean figures of a static run to those of a dynamic one.

        Args:
            static: Part of a document or a mapping, with energy_pj, latency_ns and edp_mean_of_products.
            dynamic: The same of the dynamic run.
        """
        before, after = _reduced(static), _reduced(dynamic)
        return cls(**{name: 1 - after[name] / one if one else 0.0 for name, one in before.items()})


def _reduced(run: DocumentPart | Mapping[str, Any]) -> dict[str, float]:
    """Figures of a run by the name of their reduction."""
    figures = {key: float(value) for key, value in dict(run).items() if key in _MEANS}
    energy_pj, latency_ns, products = (figures[key] for key in _MEANS)
    return {
        "energy": energy_pj,
        "latency": latency_ns,
        "edp_mean_of_products": products,
        "edp_product_of_means": energy_pj * latency_ns,
    }


_MEANS = ("energy_pj", "latency_ns", "edp_mean_of_products")
