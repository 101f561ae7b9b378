"""The document of `imcsim reproduce`: what the paper's networks cost here, beside what the paper says.

It follows `imcsim.results.model`: energies in pJ per image, latencies in ns per image, EDP in pJ ns, means
over the images unless the name says otherwise; accuracies and shares are fractions of one. A choice (a
threshold, a combination) is made on validation images and its figures on them stand in `validation`; figures
in `test` are those of the test images, on which nothing is chosen. Same inputs, same bytes: there is no
date in it.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from imcsim.results.comparison import CompareResult
from imcsim.results.figures import Reduction
from imcsim.results.model import Amount, Count, DocumentPart, Fraction, Positive, require
from imcsim.results.reproduction.figures import Beside, Judged, Loss, Paired, PublishedFigure, Varied, Width
from imcsim.results.reproduction.ways import ChosenBy, Joint, RuleWay


class GrowthPoint(DocumentPart):
    """Static runs of `timesteps` timesteps; ratios are over T = 1."""

    timesteps: Positive
    energy_pj: Amount
    latency_ns: Amount
    energy_ratio: Amount
    latency_ratio: Amount
    published_energy_ratio: Amount
    """The paper's affine law, 0.443 + 0.557 T."""
    supposed_energy_ratio: Amount
    """What if digital peripherals were charged once per inference: a hypothesis about the paper."""


class Growth(DocumentPart):
    """Energy and latency of static runs against T."""

    images: Positive
    """So many of the test images were run to the largest T for this."""
    points: tuple[GrowthPoint, ...]
    intercept: float
    """The part of E(1) that is not spent again at every further timestep; the paper's is 0.443."""
    edp_ratio: Amount | None
    """Energy x latency at T = 4 over T = 1; None where fewer timesteps were run."""
    supposed_intercept: float
    supposed_edp_ratio: Amount | None
    """The same two, if digital peripherals were charged once per inference."""


class EnergyGroup(DocumentPart):
    """One of the groups into which the paper splits the energy."""

    name: str
    components: tuple[str, ...]
    published_share: Fraction
    static_share: Amount
    """Of static T max."""
    dynamic_share: Amount


class OnChip(DocumentPart):
    """The network with the running-mean loss on one chip."""

    width: Width
    title: str
    """How the chip is labelled, in plain words."""
    channels: tuple[Amount, ...]
    """Channels over those of the paper's network, of each convolution: 0.25 is a quarter."""
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
    """Of static T = 1 against static T max: no exit rule on this chip can save more."""
    joint: Joint


class TrainedNetwork(DocumentPart):
    """One bundle: what it was trained with, and how it does on the narrow chip."""

    loss: Loss
    comparison: CompareResult
    against_static: Paired
    """Dynamic against its own static T max, test images."""
    provenance: dict[str, Any]
    """What the bundle says of its data and training; there is one seed."""


class Example(DocumentPart):
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


class CheckerSize(DocumentPart):
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


class CheckerAgreement(DocumentPart):
    """Softmax and entropy in fixed point against float64, on the test images (running loss)."""

    images: Positive
    decisions: Count
    """Images x (T max - 1)."""
    threshold: Fraction
    exact_accuracy: Fraction
    exact_mean_timesteps: Amount
    sizes: tuple[CheckerSize, ...]


class Aim(DocumentPart):
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


class NetworkPart(DocumentPart):
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
    choosing: tuple[ChosenBy, ...]
    """Ways to choose thresholds, on the narrow chip; the first is that of all else."""
    examples: tuple[Example, ...]
    """Those that leave at T = 1 first (right ones, then wrong ones), then those that stay to T max."""
    checker: CheckerAgreement
    beside: tuple[Beside, ...]
    aims: tuple[Aim, ...]
    warnings: tuple[str, ...] = ()


class ReproductionMeta(DocumentPart):
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


class Reproduction(DocumentPart):
    """The whole document."""

    schema_version: Literal[3] = 3
    kind: Literal["reproduction"] = "reproduction"
    meta: ReproductionMeta
    class_names: tuple[str, ...]
    networks: Annotated[tuple[NetworkPart, ...], Field(min_length=1)]
    published: tuple[PublishedFigure, ...]
    """All published figures that are referred to, those without a counterpart of ours too."""

    def figure(self, key: str) -> PublishedFigure:
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
