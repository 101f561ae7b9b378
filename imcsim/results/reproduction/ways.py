"""Ways to run a network: what may be chosen, what was chosen, and what each choice adds."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from imcsim.base.choices import Accumulation, Rule, Temperatures, Thresholds
from imcsim.results.figures import Reduction, product_of_means
from imcsim.results.model import Amount, DocumentPart, Fraction, Positive, require
from imcsim.results.ranges import StaticIssue
from imcsim.results.reproduction.figures import Figures, Judged, Loss, Paired


class Choices(DocumentPart):
    """One way to run: what was chosen for each of the things that may be chosen."""

    loss: Loss
    accumulation: Accumulation
    rule: Rule
    thresholds: Literal["one", "each"]
    """One threshold, or one for each timestep."""
    issue: str
    """Issue policy: ``wait``, ``speculate``, ``interleave:2``."""
    encoder: Literal["keep", "recompute"]


class EqualStatic(DocumentPart):
    """The cheapest static run that is as accurate as a way to exit early: means over the test images."""

    network: str
    """The bundle."""
    trained: str
    """How it was trained: ``running loss``, ``final loss``, ``for T = 2``."""
    timesteps: Positive
    issue: StaticIssue
    accuracy: Fraction
    accuracy_low: Fraction
    """Lower end of the 95 % Wilson interval."""
    accuracy_high: Fraction
    energy_pj: Amount
    latency_ns: Amount
    edp_mean_of_products: Amount
    edp_product_of_means: Amount = product_of_means()
    validation: Paired
    """This run against the dynamic one on the validation images, where it counts as no loss."""
    test: Paired
    """The dynamic run against this one, on the test images."""
    reduction: Reduction
    """From this run to the dynamic one, on the test images."""

    @model_validator(mode="after")
    def _check_equal(self) -> Self:
        require(self.validation.no_loss, f"{self.network} is not of equal accuracy on the validation images")
        return self


class Way(DocumentPart):
    """A way to run with its thresholds, chosen on the validation images, and its figures."""

    label: str
    """What it is in a table: ``base``, ``all``, ``held``, ``encoder alone`` or ``all without encoder``."""
    choices: Choices
    threshold: tuple[Fraction, ...]
    """One, or one for each of the timesteps 1 to T max - 1."""
    validation: Figures
    test: Figures
    reduction: Reduction
    """Of the test images, against static T max of the base on the same images."""
    equal: tuple[EqualStatic, ...] = ()
    """Of the base and the best ones: under each issue policy the cheapest static run of equal
    accuracy, if any.
    """


class Candidate(DocumentPart):
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


class Step(DocumentPart):
    """One choice changed, the others left alone."""

    choice: Literal["loss", "accumulation", "rule", "thresholds", "issue", "encoder"]
    base: str
    """What the base takes."""
    best: str
    """What the best combination takes."""
    way: Way | None
    """None where no threshold keeps the base's static accuracy on the validation images."""


class Joint(DocumentPart):
    """All combinations of choices on one chip: the best one, and what each choice adds."""

    base: Way
    """The paper's: running loss, mean, entropy, one threshold, wait, the chip's own encoder."""
    best: Way
    """The least mean of energy x latency on the validation images with as many of them right."""
    held: Way | None = None
    """The least whose accuracy is held on validation images that had no part in the choice (see
    imcsim.reproduction.held); None where none is.
    """
    alone: tuple[Step, ...]
    """The base with one choice changed to that of the best; only where the two differ."""
    without: tuple[Step, ...]
    """The best with one choice put back to that of the base; only where the two differ."""
    candidates: tuple[Candidate, ...]

    @property
    def equals(self) -> tuple[tuple[Judged, Way, EqualStatic], ...]:
        """Each way beside its static opponents of equal accuracy."""
        return tuple((name, way, one) for name, way in self.ways for one in way.equal)

    @property
    def ways(self) -> tuple[tuple[Judged, Way], ...]:
        """The base, the best, and the one that is held if there is any, by what aims call them."""
        found: tuple[tuple[Judged, Way], ...] = (("base", self.base), ("best", self.best))
        return found if self.held is None else (*found, ("held", self.held))

    @model_validator(mode="after")
    def _check_best(self) -> Self:
        before, after = (w.validation.edp_mean_of_products for w in (self.base, self.best))
        require(after <= before * (1 + 1e-9), "the best is worse than the base on the validation images")
        return self


class ChosenBy(DocumentPart):
    """The paper's rule with thresholds that were chosen in one way: see imcsim.studies.registers."""

    thresholds: Thresholds
    temperatures: Temperatures
    max_loss: Fraction | None
    """The loss that was ruled out; None: as many validation images had to be right as after T max."""
    threshold: tuple[Fraction, ...]
    """One, or one for each of the timesteps 1 to T max - 1."""
    validation: Figures
    test: Figures
    reduction: Reduction
    """Of the test images, against static T max of the same network."""


class RuleWay(DocumentPart):
    """An exit rule and an accumulation with its own threshold; only who leaves when differs."""

    loss: Loss
    rule: Rule
    accumulation: Accumulation
    threshold: Fraction
    validation: Figures
    test: Figures
    reduction: Reduction
    """Of the test images, against static T max of the same network."""
