"""Figures of the reproduction: the paper's, and ours with their difference to static T max."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from imcsim.results.figures import product_of_means
from imcsim.results.model import Amount, Count, DocumentPart, Fraction, Positive, require

MARGIN = 0.01
"""The loss of accuracy that must be ruled out where "no loss" is claimed: with few images the interval of a
difference reaches 0 whatever the loss.
"""
Signed = Annotated[float, Field(ge=-1, le=1)]
Loss = Literal["running", "final"]
"""The training loss: on the running mean at every timestep, or on the final output alone."""
Width = Literal["narrow", "full"]
"""The chip of the network as trained, or that of the paper's width with the narrow network's spikes."""
_WIDTHS = {0.125: "eighth", 0.25: "quarter", 0.5: "half", 1.0: "full"}
_SHARES = {0.125: "⅛", 0.25: "¼", 0.5: "½", 0.75: "¾", 1.0: "1"}
Varied = Literal["tables", "exp_entries", "log_entries", "table_bits", "fraction_bits"]
"""Which size of the checker a series changes; ``tables`` are both tables at once."""
Judged = Literal["base", "best", "held"]
"""What an aim is judged on: the paper's own early exit, the best joint choice by the count of validation
images, or the best whose accuracy is held on validation images that had no part in the choice.
"""


class PublishedFigure(DocumentPart):
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


class Beside(DocumentPart):
    """One of the published figures beside ours, in the published figure's unit."""

    published: PublishedFigure
    network: str
    """As `NetworkPart.key`."""
    chip: Width
    got: float
    note: str = ""
    """How ours was taken, or why it differs."""


class Paired(DocumentPart):
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


class Figures(DocumentPart):
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
    edp_product_of_means: Amount = product_of_means()
    against_static: Paired
    """Against static T max on the same images: of the same network, or of the base in a joint choice."""


def width_words(channels: Sequence[float]) -> str:
    """`quarter width`, `½ to ¾ width`, `full width`, or channels over the paper's."""
    least, most = min(channels), max(channels)
    if least == most:
        return f"{_WIDTHS.get(least, f'{least:.3g}')} width"
    return f"{' to '.join(_SHARES.get(share, f'{share:.3g}') for share in (least, most))} width"
