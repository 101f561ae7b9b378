"""The document of `imcsim compare`: static against dynamic timesteps."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from imcsim.base.frames import Framed
from imcsim.results.costs import CheckerCost, ComponentCost, LayerCost, check_components
from imcsim.results.figures import (
    Accuracy,
    AtTimesteps,
    ExitChoice,
    Measured,
    Reduction,
    check_thresholds,
    product_of_means,
)
from imcsim.results.meta import Meta
from imcsim.results.model import Amount, DocumentPart, Fraction, derived, require, same


class StaticPoint(Accuracy, AtTimesteps):
    """Every image runs `timesteps` timesteps, with the exit checker working as in the dynamic run."""

    energy_pj: Amount
    latency_ns: Amount
    edp_pj_ns: Amount = derived(lambda point: point.edp_mean_of_products, "differs from edp_mean_of_products")
    """Equal to `edp_mean_of_products`."""
    edp_mean_of_products: Amount
    """Mean over the images of energy x latency, pJ ns."""
    edp_product_of_means: Amount = product_of_means()
    """Mean energy x mean latency, pJ ns."""
    energy_without_checker_pj: Amount
    """The same run on a chip that does not look at its outputs until the end."""
    latency_without_checker_ns: Amount


class Dynamic(Measured, ExitChoice):
    """Every image leaves at the first timestep that satisfies the rule, else at T max."""


class CurvePoint(DocumentPart):
    """The dynamic run at another threshold, the same for all timesteps."""

    threshold: Fraction
    accuracy: Fraction
    mean_timesteps: Amount
    energy_pj: Amount
    latency_ns: Amount
    edp_mean_of_products: Amount
    edp_product_of_means: Amount = product_of_means()


class ScalingPoint(AtTimesteps):
    """Static energy and latency at `timesteps` over those at T = 1."""

    energy_ratio: Amount
    latency_ratio: Amount


class SensitivityPoint(DocumentPart):
    """The same counts, priced with another ADC: published converters differ by more than ten times."""

    name: str
    """Preset of the hardware config."""
    used: bool
    """Whether it is the one that all other figures use."""
    conversion_energy_pj: Amount
    static_energy_pj: Amount
    dynamic_energy_pj: Amount
    reduction: Reduction


class CompareResult(DocumentPart, Framed):
    """Static against dynamic timesteps: one network, one chip, one set of inputs."""

    schema_version: Literal[1] = 1
    meta: Meta
    static: Annotated[tuple[StaticPoint, ...], Field(min_length=1)]
    """One for each T = 1, ..., T max."""
    dynamic: Dynamic
    reduction: Reduction = derived(
        lambda result: Reduction.between(result.static[-1], result.dynamic), "is not 1 - dynamic / static"
    )
    components: tuple[ComponentCost, ...]
    layers: tuple[LayerCost, ...]
    checker: CheckerCost
    curve: tuple[CurvePoint, ...]
    scaling: tuple[ScalingPoint, ...]
    """T = 1, 2, ...; may go beyond T max."""
    sensitivity: tuple[SensitivityPoint, ...]
    """One for each ADC preset of the hardware config."""
    warnings: tuple[str, ...] = ()

    @field_validator("static")
    @classmethod
    def _check_static(cls, static: tuple[StaticPoint, ...], info: ValidationInfo) -> tuple[StaticPoint, ...]:
        if "meta" in info.data:
            whole = len(static) == info.data["meta"].timesteps
            in_order = all(p.timesteps == t for t, p in enumerate(static, 1))
            require(whole and in_order, "static must hold T = 1, ..., T max")
        return static

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        require(
            len(self.dynamic.exit_fraction) == self.meta.timesteps, "exit_fraction must have T max entries"
        )
        check_thresholds(self.dynamic.thresholds, self.meta.timesteps)
        last = self.static[-1]
        check_components(self.components, self.dynamic.energy_pj)
        require(
            all(c.static_energy_pj is not None for c in self.components)
            and same(math.fsum(c.static_energy_pj or 0.0 for c in self.components), last.energy_pj),
            "the components' static energies do not sum to that of static T max",
        )
        require(
            [p.timesteps for p in self.scaling] == list(range(1, len(self.scaling) + 1)),
            "scaling must hold T = 1, 2, ... in order",
        )
        return self
