"""The result documents: what `compare` and `run` return and what ``--json`` writes.

Energies are in pJ per image and latencies in ns per image, means over the inputs unless the name says
otherwise; shares and accuracies are fractions of one. A document cannot be built unless its own sums agree
(components against the total, exits against the mean timesteps, reductions against the rows they compare), so
whoever reads one may trust them. Nothing in it depends on when or where it was made: same inputs and seed,
same bytes. Sequences are tuples: a document is immutable all through.

``python -m imcsim.results.document`` prints the JSON schema that ships as ``imcsim/data/result.schema.json``.
"""

from __future__ import annotations

import ast
import inspect
import json
import math
import sys
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
    model_validator,
)

from imcsim.base.choices import Accumulation, Rule
from imcsim.base.errors import ImcsimError
from imcsim.base.frames import Framed

SCHEMA_VERSION = 1
RELATIVE_TOLERANCE = 1e-9
"""How far two sums of the same figures may differ: the order of summation, nothing else."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Share = Amount  # a quotient of two sums: rounding may take it a hair above one
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


NORMAL_975 = 1.959963984540054
"""The 97.5 % point of the normal distribution: 95 % intervals reach so many standard deviations."""


class Model(BaseModel):
    """A part of a document."""

    # Built when first used, and described only in the schema: a run begins sooner.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


def same(a: float, b: float) -> bool:
    """Whether two figures are one but for the order of summation."""
    return math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE, abs_tol=RELATIVE_TOLERANCE)


def require(condition: bool, message: str) -> None:
    """Refuse a document that contradicts itself."""
    if not condition:
        raise ValueError(message)


def without_nothing(written: dict[str, Any], key: str) -> dict[str, Any]:
    """What is written of a part: `key` is left out where it has no value."""
    return {name: value for name, value in written.items() if name != key or value is not None}


class HardwareMeta(Model):
    """The chip: its configuration and what it came to once the network was placed on it."""

    name: str
    sha256: Sha256
    """Hash of the configuration's values."""
    overrides: dict[str, Any] | None = None
    """Values that were laid over the configuration's file, by dotted key; left out where there are none."""
    encoder: Literal["recompute", "keep"]
    """Whether the first layer runs in every timestep or once with its currents stored."""
    clock_ns: Annotated[float, Field(gt=0)]
    tiles: Count
    crossbars: Count
    area_um2: Amount

    @model_serializer(mode="wrap")
    def _without_overrides(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "overrides")


class NetworkMeta(Model):
    """The trained network. Accuracies are those its own bundle states, None where it states none."""

    name: str
    sha256: Sha256
    """Hash of the bundle; empty for a network made in memory."""
    layers: Count
    """Layers that own crossbars."""
    weights: Count
    accuracy_float_per_timestep: tuple[Fraction, ...] | None = None
    accuracy_quantised_per_timestep: tuple[Fraction, ...] | None = None


class InputsMeta(Model):
    """The images that were run."""

    name: str
    sha256: Sha256
    split: Literal["test", "validation", "unknown"]


class Meta(Model):
    """What was run on what. There is no date in it."""

    version: str
    """Version of imcsim."""
    seed: Count
    images: Positive
    timesteps: Positive
    """T max."""
    fidelity: Literal["reference", "burst"]
    policy: str
    """Issue policy: when timestep t + 1 enters the chip."""
    hardware: HardwareMeta
    network: NetworkMeta
    inputs: InputsMeta


class Accuracy(Model):
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


class _AtTimesteps(Model):
    timesteps: Positive


class StaticPoint(Accuracy, _AtTimesteps):
    """Every image runs `timesteps` timesteps, with the exit checker working as in the dynamic run."""

    energy_pj: Amount
    latency_ns: Amount
    edp_pj_ns: Amount
    """Equal to `edp_mean_of_products`."""
    edp_mean_of_products: Amount
    """Mean over the images of energy x latency, pJ ns."""
    edp_product_of_means: Amount
    """Mean energy x mean latency, pJ ns."""
    energy_without_checker_pj: Amount
    """The same run on a chip that does not look at its outputs until the end."""
    latency_without_checker_ns: Amount

    @model_validator(mode="after")
    def _check_point(self) -> Self:
        require(self.edp_pj_ns == self.edp_mean_of_products, "edp_pj_ns differs from edp_mean_of_products")
        require(
            same(self.edp_product_of_means, self.energy_pj * self.latency_ns),
            "edp_product_of_means is not energy_pj x latency_ns",
        )
        return self


class Validation(Model):
    """How what was chosen did on the images it was chosen on; none of them is among the inputs reported."""

    images: Positive
    accuracy_static: Fraction
    accuracy_dynamic: Fraction
    mean_timesteps: Amount


class _ExitRule(Model):
    rule: Rule
    accumulation: Accumulation
    """Whether the rule looks at the running mean of the outputs or at their sum."""
    threshold: Fraction | None
    """None where timesteps have thresholds of their own."""
    thresholds: tuple[Fraction, ...] | None = None
    """Those after T = 1, ..., T max - 1, where they differ; left out where one serves all timesteps."""
    threshold_source: Literal["validation", "given"]
    validation: Validation | None
    """None when the threshold was given."""

    @model_serializer(mode="wrap")
    def _without_thresholds(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "thresholds")

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


def check_thresholds(thresholds: tuple[float, ...] | None, timesteps: int) -> None:
    require(thresholds is None or len(thresholds) == timesteps - 1, "thresholds must have T max - 1 entries")


def check_exits(exit_fraction: Iterable[float], mean_timesteps: float) -> None:
    """Refuse shares of the images at T = 1, 2, ... that are not whole, or another mean than theirs."""
    exit_fraction = tuple(exit_fraction)
    require(same(math.fsum(exit_fraction), 1.0), "exit_fraction does not sum to 1")
    mean = math.fsum(t * share for t, share in enumerate(exit_fraction, 1))
    require(same(mean, mean_timesteps), "mean_timesteps does not follow from exit_fraction")


class _Measured(Accuracy):
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
    edp_product_of_means: Amount
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
        require(
            same(self.edp_product_of_means, self.energy_pj * self.latency_ns),
            "edp_product_of_means is not energy_pj x latency_ns",
        )
        return self


class Dynamic(_Measured, _ExitRule):
    """Every image leaves at the first timestep that satisfies the rule, else at T max."""


class Reduction(Model):
    """1 - dynamic / static T max: 0.6 is 60 % less."""

    energy: float
    latency: float
    edp_mean_of_products: float
    edp_product_of_means: float


class Action(Model):
    """One kind of event of a component."""

    name: str
    count: Amount
    """Mean per image."""
    energy_pj_each: Amount
    """Mean over the events, where the energy depends on what happened."""
    energy_pj: Amount
    """Mean per image."""


class Component(Model):
    """One kind of component, all its instances together."""

    name: str
    energy_pj: Amount
    """Mean per image, of the dynamic run where there are both."""
    share: Share
    """Of the energy of that run."""
    static_energy_pj: Amount | None
    """The same in the static run of T max; None in the result of a single policy."""
    area_um2: Amount
    """All instances together."""
    count: Count
    """Instances on the chip."""
    actions: tuple[Action, ...]

    @model_validator(mode="after")
    def _check_actions(self) -> Self:
        total = math.fsum(action.energy_pj for action in self.actions)
        require(same(total, self.energy_pj), f"{self.name}: its actions do not sum to its energy")
        return self


class Layer(Model):
    """One layer on the chip. Energy is the mean per image, of the dynamic run where there are both."""

    name: str
    kind: str
    rows: Count
    """Rows of its weight matrix."""
    columns: Count
    """Columns of its weight matrix, slices included."""
    crossbars: Count
    tiles: Count
    copies: Count
    """How many times the layer stands on the chip."""
    energy_pj: Amount
    share: Share
    spike_rate: Fraction | None
    """Spikes per neuron and timestep of its output; None for the classifier, which has no neurons."""


class Checker(Model):
    """The unit that decides whether an image may leave."""

    energy_share_of_one_timestep: Share
    energy_pj_per_check: Amount
    cycles_per_check: Amount
    area_um2: Amount


class CurvePoint(Model):
    """The dynamic run at another threshold, the same for all timesteps."""

    threshold: Fraction
    accuracy: Fraction
    mean_timesteps: Amount
    energy_pj: Amount
    latency_ns: Amount
    edp_mean_of_products: Amount
    edp_product_of_means: Amount


class ScalingPoint(_AtTimesteps):
    """Static energy and latency at `timesteps` over those at T = 1."""

    energy_ratio: Amount
    latency_ratio: Amount


class SensitivityPoint(Model):
    """The same counts, priced with another ADC: published converters differ by more than ten times."""

    name: str
    """Preset of the hardware config."""
    used: bool
    """Whether it is the one that all other figures use."""
    conversion_energy_pj: Amount
    static_energy_pj: Amount
    dynamic_energy_pj: Amount
    reduction: Reduction


def _check_components(components: Iterable[Component], energy_pj: float) -> None:
    components = tuple(components)
    require(
        same(math.fsum(c.energy_pj for c in components), energy_pj),
        "the components do not sum to the energy",
    )
    for component in components:
        share = component.energy_pj / energy_pj if energy_pj else 0.0
        require(same(component.share, share), f"{component.name}: share is not its energy over the total")


class CompareResult(Model, Framed):
    """Static against dynamic timesteps: one network, one chip, one set of inputs."""

    schema_version: Literal[1] = 1
    meta: Meta
    static: Annotated[tuple[StaticPoint, ...], Field(min_length=1)]
    """One for each T = 1, ..., T max."""
    dynamic: Dynamic
    reduction: Reduction
    components: tuple[Component, ...]
    layers: tuple[Layer, ...]
    checker: Checker
    curve: tuple[CurvePoint, ...]
    scaling: tuple[ScalingPoint, ...]
    """T = 1, 2, ...; may go beyond T max."""
    sensitivity: tuple[SensitivityPoint, ...]
    """One for each ADC preset of the hardware config."""
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        expected = list(range(1, self.meta.timesteps + 1))
        require([p.timesteps for p in self.static] == expected, "static must hold T = 1, ..., T max")
        require(
            len(self.dynamic.exit_fraction) == self.meta.timesteps, "exit_fraction must have T max entries"
        )
        check_thresholds(self.dynamic.thresholds, self.meta.timesteps)
        last = self.static[-1]
        for name, key in (
            ("energy", "energy_pj"),
            ("latency", "latency_ns"),
            ("edp_mean_of_products", "edp_mean_of_products"),
            ("edp_product_of_means", "edp_product_of_means"),
        ):
            before, after = getattr(last, key), getattr(self.dynamic, key)
            expected_reduction = 1 - after / before if before else 0.0
            stated = getattr(self.reduction, name)
            require(same(stated, expected_reduction), f"reduction.{name} is not 1 - dynamic / static")
        _check_components(self.components, self.dynamic.energy_pj)
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


class Policy(Model):
    """What decided how long an image stayed. The rule, its threshold and its source are None for `static`."""

    kind: Literal["static", "dynamic"]
    timesteps: Positive
    """T max."""
    rule: Rule | None = None
    accumulation: Accumulation | None = None
    threshold: Fraction | None = None
    thresholds: tuple[Fraction, ...] | None = None
    """Those after T = 1, ..., T max - 1, where they differ; left out where there is one, or none."""
    threshold_source: Literal["validation", "given"] | None = None
    validation: Validation | None = None
    """None unless the threshold was chosen on validation images."""

    @model_serializer(mode="wrap")
    def _without_thresholds(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "thresholds")

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
            check_thresholds(self.thresholds, self.timesteps)
            require(
                (self.validation is not None) == (self.threshold_source == "validation"),
                "validation figures belong to a threshold chosen on validation images, and only there",
            )
        return self


class Outcome(_Measured):
    """What one policy cost, and where."""

    components: tuple[Component, ...]
    layers: tuple[Layer, ...]
    checker: Checker | None
    """None where nothing checks the outputs."""

    @model_validator(mode="after")
    def _check_outcome(self) -> Self:
        _check_components(self.components, self.energy_pj)
        return self


class RunResult(Model, Framed):
    """One policy: one network, one chip, one set of inputs."""

    schema_version: Literal[1] = 1
    meta: Meta
    policy: Policy
    outcome: Outcome
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        require(
            len(self.outcome.exit_fraction) == self.meta.timesteps, "exit_fraction must have T max entries"
        )
        require(self.policy.timesteps == self.meta.timesteps, "policy.timesteps differs from meta.timesteps")
        return self


class Arrivals(Model):
    """How the images of a stream came."""

    kind: Literal["closed", "periodic", "poisson"]
    images_per_s: Amount | None
    """None in a closed loop, where each image comes as soon as the chip takes it."""

    @model_validator(mode="after")
    def _check_rate(self) -> Self:
        require((self.images_per_s is None) == (self.kind == "closed"), "all arrivals but closed have a rate")
        return self


class TileUse(Model):
    """One tile of a stream's chip."""

    tile: Count
    layers: tuple[str, ...]
    utilisation: Amount
    """Share of the time in which its crossbars were driven or sensed (above 1 where layers share
    it).
    """


class StreamResult(Accuracy, Framed):
    """A stream of images on one chip. Energies are means per image, with leakage over the whole time."""

    schema_version: Literal[1] = 1
    meta: Meta
    policy: Policy
    arrivals: Arrivals
    mean_timesteps: Amount
    exit_fraction: tuple[Fraction, ...]
    makespan_ns: Amount
    """From the first image's arrival until the last one has left."""
    throughput_images_per_s: Amount
    latency_ns: Amount
    """Mean time from an image's arrival until it leaves."""
    latency_p50_ns: Amount
    latency_p95_ns: Amount
    latency_p99_ns: Amount
    latency_percentiles_ns: Annotated[tuple[Amount, ...], Field(min_length=101, max_length=101)]
    """The shortest latency, the percentiles 1 to 99, and the longest; each is the latency of an image."""
    energy_pj: Amount
    cancelled_energy_pj: Amount
    """The part spent on timesteps that were begun before the checker let their image go."""
    leakage_energy_pj: Amount
    edp_of_latency: Amount
    """Mean energy x mean latency, pJ ns."""
    edp_of_interval: Amount
    """Mean energy x mean time between departures, pJ ns: what counts where images queue."""
    tiles: tuple[TileUse, ...]
    flits_a_cycle_and_router: Amount
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        require(self.policy.timesteps == self.meta.timesteps, "policy.timesteps differs from meta.timesteps")
        require(len(self.exit_fraction) == self.meta.timesteps, "exit_fraction must have T max entries")
        check_exits(self.exit_fraction, self.mean_timesteps)
        require(
            same(self.throughput_images_per_s * self.makespan_ns, 1e9 * self.meta.images),
            "throughput_images_per_s is not images / makespan_ns",
        )
        at = self.latency_percentiles_ns
        require(list(at) == sorted(at), "latency percentiles out of order")
        require(
            (self.latency_p50_ns, self.latency_p95_ns, self.latency_p99_ns) == (at[50], at[95], at[99]),
            "latency_p50_ns, latency_p95_ns or latency_p99_ns is not that of latency_percentiles_ns",
        )
        require(
            at[0] * (1 - RELATIVE_TOLERANCE) <= self.latency_ns <= at[-1] * (1 + RELATIVE_TOLERANCE),
            "latency_ns lies outside the latencies",
        )
        require(
            same(self.edp_of_latency, self.energy_pj * self.latency_ns),
            "edp_of_latency is not energy_pj x latency_ns",
        )
        require(
            same(self.edp_of_interval * self.meta.images, self.energy_pj * self.makespan_ns),
            "edp_of_interval is not energy_pj x makespan_ns / images",
        )
        require(
            self.cancelled_energy_pj + self.leakage_energy_pj <= self.energy_pj * (1 + RELATIVE_TOLERANCE),
            "cancelled work and leakage exceed the energy",
        )
        require(
            [t.tile for t in self.tiles] == list(range(self.meta.hardware.tiles)),
            "tiles must hold every tile of the chip in order",
        )
        return self


def wilson_interval(right: int, images: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy of `right` out of `images`, as two fractions.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat.
    Assoc. 22 (1927) 209-212; z = 1.959964 is the 97.5 % point of the normal distribution. Unlike p +- z s it
    stays within [0, 1] and does not shrink to a point at an accuracy of 0 or 1. Raises ImcsimError unless
    0 <= right <= images and images >= 1.
    """
    if images < 1 or not 0 <= right <= images:
        raise ImcsimError(f"no accuracy can be {right} right out of {images} images")
    z = NORMAL_975
    p = right / images
    centre = p + z * z / (2 * images)
    spread = z * math.sqrt(p * (1 - p) / images + z * z / (4 * images * images))
    scale = 1 + z * z / images
    # Rounding must not push an end past 0, past 1 or past the accuracy itself.
    return max(0.0, min(p, (centre - spread) / scale)), min(1.0, max(p, (centre + spread) / scale))


def to_json(result: Model) -> str:
    """The document as JSON text: fields as declared, floats by repr, indented by two, one final newline."""
    return json.dumps(result.model_dump(), indent=2, allow_nan=False) + "\n"


def describe(module_name: str) -> None:
    """Let the text below each field of a module's models be its description.

    As pydantic's ``use_attribute_docstrings``, which parses the module once for every model, at import.
    """
    module = sys.modules[module_name]
    texts: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            for field, below in pairwise(node.body):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                        texts[node.name, name] = inspect.cleandoc(text)
    # In the order of the module: parts before the wholes that hold them.
    for model in [
        each for each in vars(module).values() if inspect.isclass(each) and issubclass(each, Model)
    ]:
        for name, about in model.model_fields.items():
            found = [texts.get((each.__name__, name)) for each in model.__mro__]
            # A part of another module has been described before.
            bases = (each for each in model.__mro__ if issubclass(each, Model) and name in each.model_fields)
            found += [each.model_fields[name].description for each in bases]
            about.description = about.description or next(filter(None, found), None)
        model.model_rebuild(force=True)


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the three documents."""
    describe(__name__)
    schema = TypeAdapter(CompareResult | RunResult | StreamResult).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"imcsim result, schema version {SCHEMA_VERSION}",
        **schema,
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
