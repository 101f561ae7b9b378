"""The document of `imcsim reproduce`: what the paper's networks cost here, beside what the paper says.

It follows `imcsim.results.document`: energies in pJ per image, latencies in ns per image, EDP in pJ ns, means over the
images unless the name says otherwise; accuracies and shares are fractions of one. A choice (a threshold, a
combination) is made on validation images and its figures on them stand in `validation`; figures in `test`
are those of the test images, on which nothing is chosen. Same inputs, same bytes: no date stands in it.

``python -m imcsim.results.reproduction`` prints the JSON schema that ships as
``imcsim/data/reproduction.schema.json``.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from imcsim.base.choices import Accumulation, Rule
from imcsim.results.document import (
    Amount,
    CompareResult,
    Count,
    Fraction,
    Model,
    Positive,
    Reduction,
    describe,
    require,
)

SCHEMA_VERSION = 1

MARGIN = 0.01
"""The loss of accuracy that must be ruled out where "no loss" is claimed: with few images the interval of a
difference reaches 0 whatever the loss.
"""

Signed = Annotated[float, Field(ge=-1, le=1)]
Loss = Literal["running", "final"]
"""The training loss: on the running mean at every timestep, or on the final output alone."""
Width = Literal["narrow", "full"]
"""The chip of the network as trained, or that of the paper's width with the narrow network's spikes."""
Varied = Literal["tables", "exp_entries", "log_entries", "table_bits", "fraction_bits"]
"""Which size of the checker a series changes; ``tables`` are both tables at once."""

Judged = Literal["base", "best"]
"""What an aim is judged on: the paper's own way to leave early, or the best joint choice."""


class Published(Model):
    """A figure of the paper, or one that is derived from it."""

    key: str
    """What the figure is called in this document, as ``vgg16.mean_timesteps``."""
    name: str
    value: float
    unit: str
    """Empty for plain numbers; ``%`` for per cent."""
    mark: Literal["paper", "code", "2nd", "est", "derived"]
    """How sure it is: read in the paper, in its code, in another's account, estimated, or arithmetic."""
    source: str


class Beside(Model):
    """One of the published figures beside ours, in the published figure's unit."""

    published: Published
    network: str
    """As `NetworkPart.key`."""
    chip: Width
    got: float
    note: str = ""
    """How ours was taken, or why it differs."""


class Paired(Model):
    """Accuracy of a way to run against that of another, on the same images.

    The interval is the adjusted Wald interval for a difference of paired proportions (Bonett and Price, J.
    Educ. Behav. Stat. 37 (2012) 479-488): as in McNemar's test, only images of which one run is right and the
    other wrong count.
    """

    difference: Signed
    """Accuracy minus that of the reference."""
    low: Signed
    """Lower end of the 95 % interval of the difference."""
    high: Signed
    gained: Count
    """Images that only this run classifies rightly."""
    lost: Count
    """Images that only the reference classifies rightly."""

    @property
    def verdict(self) -> Literal["lower", "unclear", "equal", "higher"]:
        """What the interval says: ``unclear`` where it reaches 0 and a loss above `MARGIN` too."""
        if self.high < 0:
            return "lower"
        if self.low > 0:
            return "higher"
        return "equal" if self.low >= -MARGIN else "unclear"

    @property
    def no_loss(self) -> bool:
        """Whether accuracy is held: not below the reference's, and a loss above `MARGIN` is ruled out."""
        return self.verdict in ("equal", "higher")

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        require(self.low <= self.difference <= self.high, "the difference lies outside its own interval")
        return self


class Figures(Model):
    """What a set of images did and cost under one way to run them."""

    images: Positive
    accuracy: Fraction
    accuracy_low: Fraction
    """Lower end of the 95 % Wilson interval."""
    accuracy_high: Fraction
    mean_timesteps: Amount
    exit_fraction: tuple[Fraction, ...]
    """Share of the images that leave at T = 1, 2, ..., T max."""
    energy_pj: Amount
    latency_ns: Amount
    edp_mean_of_products: Amount
    edp_product_of_means: Amount
    against_static: Paired
    """Against static T max on the same images: of the same network, or of the base in a joint choice."""


class Choices(Model):
    """One way to run: what was chosen for each of the things that may be chosen."""

    loss: Loss
    accumulation: Accumulation
    rule: Rule
    thresholds: Literal["one", "each"]
    """One threshold, or one for each timestep."""
    issue: str
    """Issue policy: ``wait``, ``speculate``, ``interleave:2``."""
    encoder: Literal["keep", "recompute"]


class Way(Model):
    """A way to run with its thresholds, chosen on the validation images, and its figures."""

    label: str
    """What it is in a table: ``base``, ``all``, ``encoder alone`` or ``all without encoder``."""
    choices: Choices
    threshold: tuple[Fraction, ...]
    """One, or one for each of the timesteps 1 to T max - 1."""
    validation: Figures
    test: Figures
    reduction: Reduction
    """Of the test images, against static T max of the base on the same images."""


class Candidate(Model):
    """A combination as it was judged: on validation images alone."""

    choices: Choices
    outcome: Literal["judged", "loses_accuracy", "dominated"]
    """``loses_accuracy``: no threshold keeps the base's static accuracy on the validation images.
    ``dominated``: another issue policy or encoder costs no more for any image and timestep, so it need not be
    judged.
    """
    accuracy: Fraction | None = None
    """None unless judged, as what follows."""
    mean_timesteps: Amount | None = None
    edp_mean_of_products: Amount | None = None


class Step(Model):
    """One choice changed, the others left alone."""

    choice: Literal["loss", "accumulation", "rule", "thresholds", "issue", "encoder"]
    base: str
    """What the base takes."""
    best: str
    """What the best combination takes."""
    way: Way | None
    """None where no threshold keeps the base's static accuracy on the validation images."""


class Joint(Model):
    """All combinations of choices on one chip: the best one, and what each choice adds."""

    base: Way
    """The paper's: running loss, mean, entropy, one threshold, wait, the chip's own encoder."""
    best: Way
    """The least mean of energy x latency on the validation images at no loss of accuracy there."""
    alone: tuple[Step, ...]
    """The base with one choice changed to that of the best; only where the two differ."""
    without: tuple[Step, ...]
    """The best with one choice put back to that of the base; only where the two differ."""
    candidates: tuple[Candidate, ...]

    @model_validator(mode="after")
    def _check_best(self) -> Self:
        before, after = (w.validation.edp_mean_of_products for w in (self.base, self.best))
        require(after <= before * (1 + 1e-9), "the best is worse than the base on the validation images")
        return self


class GrowthPoint(Model):
    """Static runs of `timesteps` timesteps; ratios are over T = 1."""

    timesteps: Positive
    energy_pj: Amount
    latency_ns: Amount
    energy_ratio: Amount
    latency_ratio: Amount
    published_energy_ratio: Amount
    """The paper's affine law, 0.443 + 0.557 T."""


class Growth(Model):
    """Energy and latency of static runs against T."""

    images: Positive
    """So many of the test images were run to the largest T for this."""
    points: tuple[GrowthPoint, ...]
    intercept: float
    """The part of E(1) that is not spent again at every further timestep; the paper's is 0.443."""


class EnergyGroup(Model):
    """One of the groups into which the paper splits the energy."""

    name: str
    components: tuple[str, ...]
    published_share: Fraction
    static_share: Amount
    """Of static T max."""
    dynamic_share: Amount


class OnChip(Model):
    """The network with the running-mean loss on one chip."""

    width: Width
    title: str
    """How the chip is labelled, in plain words."""
    channels: Amount
    """Channels over those of the paper's network: 0.25 is a quarter."""
    own_spikes: bool
    """False where the spikes per layer are those of the narrow network, replicated: then outputs, accuracy
    and exits are the narrow network's too.
    """
    comparison: CompareResult
    against_static: Paired
    """Dynamic against static T max, test images."""
    growth: Growth
    groups: tuple[EnergyGroup, ...]
    cap: Reduction
    """Of static T = 1 against static T max: no rule that leaves early on this chip can save more."""
    joint: Joint


class TrainedNetwork(Model):
    """One bundle: what it was trained with, and how it does on the narrow chip."""

    loss: Loss
    comparison: CompareResult
    against_static: Paired
    """Dynamic against its own static T max, test images."""
    provenance: dict[str, Any]
    """What the bundle says of its data and training; there is one seed."""


class RuleWay(Model):
    """An exit rule and an accumulation with its own threshold; only who leaves when differs."""

    loss: Loss
    rule: Rule
    accumulation: Accumulation
    threshold: Fraction
    validation: Figures
    test: Figures
    reduction: Reduction
    """Of the test images, against static T max of the same network."""


class Example(Model):
    """A test image and what the network says of it after each timestep."""

    index: Count
    """Among the test images, from 0."""
    label: Count
    predictions: tuple[Count, ...]
    """The class after T = 1, 2, ..., T max."""
    entropy: tuple[Fraction, ...]
    """The normalised entropy as the chip's checker computes it, after T = 1, 2, ..., T max."""
    leaves: Positive
    """The timestep after which it leaves."""

    @property
    def prediction(self) -> int:
        """The class with which it leaves."""
        return self.predictions[self.leaves - 1]

    @property
    def right(self) -> bool:
        return self.prediction == self.label


class CheckerSize(Model):
    """A fixed-point checker against an exact one, with the same threshold on the same class outputs."""

    exp_entries: Positive
    log_entries: Positive
    table_bits: Positive
    fraction_bits: Positive
    table_bytes: Count
    """Both tables."""
    used: bool
    """Whether it is the chip's own."""
    varied: Varied
    """What differs from the chip's own in this series: both tables, or one size alone."""
    decisions_differ: Count
    """Of images x (T max - 1) decisions, each taken as if the image were still there."""
    exits_differ: Count
    """Images that leave at another timestep."""
    predictions_differ: Count
    """Images that leave with another class."""
    accuracy: Fraction
    mean_timesteps: Amount


class CheckerAgreement(Model):
    """Softmax and entropy in fixed point against float64, on the test images (running loss)."""

    images: Positive
    decisions: Count
    """Images x (T max - 1)."""
    threshold: Fraction
    exact_accuracy: Fraction
    exact_mean_timesteps: Amount
    sizes: tuple[CheckerSize, ...]


class Aim(Model):
    """Something that was aimed at, and whether it was reached."""

    network: str
    chip: Width
    way: Judged
    key: Literal["mean_timesteps", "edp"]
    text: str
    """The aim and the verdict in plain words."""
    aim: float
    """Mean timesteps at most this, or EDP (mean of products) lower by at least this fraction."""
    got: float
    no_loss: bool
    """Whether the 95 % interval of the paired difference to static T max reaches 0 or lies above, and rules
    out a loss of more than one point.
    """
    met: bool


class NetworkPart(Model):
    """All about one of the paper's networks."""

    key: Literal["vgg16", "resnet19"] | str
    title: str
    fingerprint: str
    """Over everything that this part follows from; a part is taken up again where it is equal."""
    chips: tuple[OnChip, ...]
    """The narrow one first."""
    losses: tuple[TrainedNetwork, ...]
    """Running, then final."""
    rules: tuple[RuleWay, ...]
    examples: tuple[Example, ...]
    """Those that leave at T = 1 first (right ones, then wrong ones), then those that stay to T max."""
    checker: CheckerAgreement
    beside: tuple[Beside, ...]
    aims: tuple[Aim, ...]
    warnings: tuple[str, ...] = ()


class ReproductionMeta(Model):
    """What was run. There is no date in it."""

    version: str
    command: str
    hardware: str
    inputs: str
    validation: str
    images: Positive
    validation_images: Positive
    seeds: Positive = 1
    """Training runs of each network."""


class Reproduction(Model):
    """The whole document."""

    schema_version: Literal[1] = 1
    kind: Literal["reproduction"] = "reproduction"
    meta: ReproductionMeta
    class_names: tuple[str, ...]
    networks: Annotated[tuple[NetworkPart, ...], Field(min_length=1)]
    published: tuple[Published, ...]
    """All published figures that are referred to, those without a counterpart of ours too."""

    def figure(self, key: str) -> Published:
        """The published figure of that key. Raises KeyError."""
        return {one.key: one for one in self.published}[key]

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        keys = [one.key for one in self.networks]
        require(len(set(keys)) == len(keys), "a network stands twice")
        for part in self.networks:
            for chip in part.chips:
                stated = chip.comparison.reduction.edp_mean_of_products
                require(math.isfinite(stated), f"{part.key}: the reduction is no number")
        return self


def to_json(document: Reproduction | NetworkPart) -> str:
    """As JSON text: fields as declared, floats by repr, indented by one, one final newline."""
    return json.dumps(document.model_dump(), indent=1, allow_nan=False) + "\n"


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the document."""
    describe(CompareResult.__module__)
    describe(__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Reproduction.model_json_schema(),
        "title": f"imcsim reproduction, schema version {SCHEMA_VERSION}",
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
