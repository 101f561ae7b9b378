"""The document of `imcsim compare`: static against dynamic timesteps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from imcsim.base.presented import Presented
from imcsim.results.against import Against
from imcsim.results.costs import CheckerCost, ComponentCost, LayerCost, check_components
from imcsim.results.efficiency import Efficiency, LayerEfficiency, PeakEfficiency, check_efficiency
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
from imcsim.results.model import (
    Amount,
    DocumentPart,
    Fraction,
    close,
    derived,
    require,
    same,
    without_nothing,
)
from imcsim.results.outcomes import ImageOutcomes
from imcsim.results.programming import ProgrammingCost
from imcsim.results.ranges import Ranges, StaticIssue
from imcsim.results.reload import ReloadCost


class StaticPoint(Accuracy, AtTimesteps):
    """Every image runs `timesteps` timesteps, with the exit checker working as in the dynamic run."""

    issue: StaticIssue
    """Issue policy: when the next timestep enters the chip."""
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
    """The same of the latency."""


class Opponent(DocumentPart):
    """Static runs under one issue policy."""

    issue: StaticIssue
    """When the next timestep enters the chip."""
    static: Annotated[tuple[StaticPoint, ...], Field(min_length=1)]
    """One for each T = 1, ..., T max."""

    @model_validator(mode="after")
    def _check_opponent(self) -> Self:
        require(
            [p.timesteps for p in self.static] == list(range(1, len(self.static) + 1)),
            "static must hold T = 1, ..., T max",
        )
        require(all(p.issue == self.issue for p in self.static), "an opponent has one issue policy")
        return self


class ReductionAgainst(Reduction):
    """The reduction against static T max under one issue policy."""

    issue: StaticIssue
    """That of the static run."""


def best_static(points: Sequence[StaticPoint]) -> StaticPoint:
    """The static run that a chip would really be used with: the one with the least EDP, the mean over the
    images of energy x latency; of equal ones the first.
    """
    return min(points, key=lambda point: point.edp_mean_of_products)


class Dynamic(Measured, ExitChoice):
    """Every image leaves at the first timestep that satisfies the rule, else at T max."""


class CurvePoint(DocumentPart):
    """The dynamic run at another threshold, the same for all timesteps."""

    threshold: Fraction
    """Of the exit rule, 0 to 1."""
    accuracy: Fraction
    mean_timesteps: Amount
    energy_pj: Amount
    latency_ns: Amount
    edp_mean_of_products: Amount
    edp_product_of_means: Amount = product_of_means()


class ScalingPoint(AtTimesteps):
    """Static energy and latency at `timesteps` over those at T = 1."""

    energy_ratio: Amount
    """Mean energy per image over that of T = 1."""
    latency_ratio: Amount
    """Mean latency over that of T = 1."""


class SensitivityPoint(DocumentPart):
    """The same counts, priced with another ADC: published converters differ by more than ten times."""

    name: str
    """Preset of the hardware config."""
    used: bool
    """Whether it is the one that all other figures use."""
    conversion_energy_pj: Amount
    """Of one conversion of this ADC."""
    static_energy_pj: Amount
    """Of static T max with this ADC, mean per image."""
    dynamic_energy_pj: Amount
    """Of the dynamic run with this ADC, mean per image."""
    reduction: Reduction
    """What the dynamic run saves of static T max with this ADC."""


class CompareResult(Presented, DocumentPart):
    """Static against dynamic timesteps: one network, one chip, one set of inputs."""

    schema_version: Literal[3] = 3
    meta: Meta
    opponents: Annotated[tuple[Opponent, ...], Field(min_length=1)]
    """The static runs under each issue policy that was tried."""
    static: tuple[StaticPoint, ...] = derived(
        lambda result: tuple(
            best_static(points) for points in zip(*(one.static for one in result.opponents), strict=True)
        ),
        "is not the opponent with the least EDP",
    )
    """One for each T = 1, ..., T max: that of the opponents with the least EDP (mean of products)."""
    dynamic: Dynamic
    """The run in which images leave early."""
    reduction: Reduction = derived(
        lambda result: Reduction.between(result.static[-1], result.dynamic), "is not 1 - dynamic / static"
    )
    """Against `static`, the best opponent."""
    reductions: tuple[ReductionAgainst, ...] = derived(
        lambda result: tuple(
            ReductionAgainst(
                issue=one.issue, **Reduction.between(one.static[-1], result.dynamic).model_dump()
            )
            for one in result.opponents
        ),
        "is not 1 - dynamic / static",
    )
    """Against each of the opponents."""
    components: tuple[ComponentCost, ...]
    """Energy and area of each kind of component."""
    layers: tuple[LayerCost, ...]
    """Each layer on the chip."""
    checker: CheckerCost
    """The exit checker's part."""
    efficiency: Efficiency
    """Of the dynamic run."""
    static_efficiency: Efficiency
    """Of static T max."""
    peak: PeakEfficiency
    """What the chip could do at most."""
    programming: ProgrammingCost
    """Writing the weights, once."""
    layer_efficiency: tuple[LayerEfficiency, ...]
    """Of the dynamic run."""
    curve: tuple[CurvePoint, ...]
    """The dynamic run at other thresholds, the lowest first."""
    scaling: tuple[ScalingPoint, ...]
    """T = 1, 2, ...; may go beyond T max. Of the first opponent, which waits for every verdict."""
    sensitivity: tuple[SensitivityPoint, ...]
    """One for each ADC preset of the hardware config; none where it was not asked for, as `ranges`."""
    ranges: Ranges | None = None
    """How far the figures may be off; None where it was not asked for, as at the points of a sweep."""
    against: Against | None = None
    """Another network on the same images; left out where there is none."""
    reload: ReloadCost | None = None
    """Loading the weights again, in the dynamic run; left out where the chip holds the network."""
    static_reload: ReloadCost | None = None
    """That of static T max."""
    warnings: tuple[str, ...] = ()
    _outcomes: ImageOutcomes | None = PrivateAttr(default=None)

    @model_serializer(mode="wrap")
    def _without_against(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "against", "reload", "static_reload")

    @property
    def outcomes(self) -> ImageOutcomes | None:
        """What each image did, from which the comparison follows at any other threshold.

        They are no part of the document: `save` and ``--out`` write them beside it, as ``images.json``. None
        where they are not known, as in a document that was read from a single file.
        """
        return self._outcomes

    def with_outcomes(self, outcomes: ImageOutcomes | None) -> Self:
        """The same document with the outcomes of its images.

        Args:
            outcomes: What each image did. None: nothing is known of them.

        Raises:
            ValueError: For the outcomes of another comparison.
        """
        if outcomes is not None:
            found, dynamic = outcomes.with_registers(outcomes.registers), self.dynamic
            stated = {name: getattr(dynamic, name) for name in type(found).model_fields}
            require(
                outcomes.images == self.meta.images and close(found.model_dump(), stated),
                "the outcomes of the images are those of another comparison",
            )
        whole = self.model_copy()
        whole._outcomes = outcomes
        return whole

    def __eq__(self, other: object) -> bool:
        """Whether two documents say the same, whatever is known beside them."""
        return isinstance(other, CompareResult) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    @field_validator("opponents")
    @classmethod
    def _check_opponents(cls, opponents: tuple[Opponent, ...], info: ValidationInfo) -> tuple[Opponent, ...]:
        if "meta" in info.data:
            expected = info.data["meta"].timesteps
            require(all(len(o.static) == expected for o in opponents), "static must hold T = 1, ..., T max")
        issues = [one.issue for one in opponents]
        require(len(set(issues)) == len(issues), "each issue policy must stand once among the opponents")
        return opponents

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        require(
            len(self.dynamic.exit_fraction) == self.meta.timesteps, "exit_fraction must have T max entries"
        )
        check_thresholds(self.dynamic.thresholds, self.dynamic.temperatures, self.meta.timesteps)
        last = self.static[-1]
        check_components(self.components, self.dynamic.energy_pj)
        check_efficiency(self.efficiency, self.layer_efficiency, self.dynamic)
        check_efficiency(self.static_efficiency, None, last)
        if self.ranges is not None:
            used, dynamic = self.ranges.used, self.dynamic
            pairs = (
                (used.static_energy_pj, last.energy_pj), (used.static_latency_ns, last.latency_ns),
                (used.dynamic_energy_pj, dynamic.energy_pj), (used.dynamic_latency_ns, dynamic.latency_ns),
                (used.area_um2, self.meta.hardware.area_um2),
            )  # fmt: skip
            require(all(same(a, b) for a, b in pairs), "the ranges are those of other figures")
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
