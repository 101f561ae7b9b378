"""Ways to run a network: what may be chosen, what was chosen, and what each choice adds."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from imcsim.base.choices import Accumulation, Rule
from imcsim.results.figures import Reduction
from imcsim.results.model import Amount, DocumentPart, Fraction, require
from imcsim.results.reproduction.figures import Figures, Loss


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


class Way(DocumentPart):
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
