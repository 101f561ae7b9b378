"""The figures of one chip: its runs, and which of its images exit at another timestep than on the ideal one.

Parts of the document in `imcsim.results.chips.document`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from imcsim.results.figures import (
    Accuracy,
    check_exits,
    check_one_threshold,
    check_thresholds,
    product_of_means,
)
from imcsim.results.model import (
    Amount,
    Count,
    DocumentPart,
    Fraction,
    Positive,
    require,
    same,
    without_nothing,
)

PolicyName = Literal["dynamic", "dynamic_once"]
"""Rules of early exit, by where the threshold comes from: each chip itself, or the ideal chip."""


class ChipCosts(Accuracy):
    """What the images of one chip cost. The accuracy's interval is that of the images alone."""

    energy_pj: Amount
    latency_ns: Amount
    edp_mean_of_products: Amount
    """Mean over the images of energy x latency, pJ ns."""
    edp_product_of_means: Amount = product_of_means()
    """Mean energy x mean latency, pJ ns."""


class StaticRun(ChipCosts):
    """Every image runs `timesteps` timesteps."""

    timesteps: Positive
    """T: how many timesteps each image runs."""


class DynamicRun(ChipCosts):
    """Every image leaves at the first timestep that satisfies the rule, else at T max."""

    threshold: Fraction | None
    """None where timesteps have thresholds of their own."""
    thresholds: tuple[Fraction, ...] | None = None
    """Those after T = 1, ..., T max - 1, where they differ; left out where one serves all timesteps."""
    temperatures: tuple[Amount, ...] | None = None
    """What the outputs are divided by after T = 1, ..., T max; left out where they are taken as they are."""
    mean_timesteps: Amount
    exit_fraction: tuple[Fraction, ...]
    """Share of the images that leave at T = 1, 2, ..., T max."""
    exit_accuracy: tuple[Fraction | None, ...]
    """Share of those that are classified rightly; None where no image leaves."""
    edp_reduction: float
    """1 - EDP / EDP of static T max on the same chip (means of products)."""

    @model_serializer(mode="wrap")
    def _without_thresholds(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_nothing(whole(self), "thresholds", "temperatures")

    @model_validator(mode="after")
    def _check_run(self) -> Self:
        check_one_threshold(self.threshold, self.thresholds)
        check_exits(self.exit_fraction, self.mean_timesteps)
        require(
            [share > 0 for share in self.exit_fraction] == [one is not None for one in self.exit_accuracy],
            "an exit has an accuracy where images leave, and only there",
        )
        right = sum(s * (a or 0.0) for s, a in zip(self.exit_fraction, self.exit_accuracy, strict=True))
        require(same(right, self.accuracy), "the accuracies of the exits do not add up to the accuracy")
        return self


class Moved(DocumentPart):
    """Images that leave at another timestep than on the ideal chip, by the same rule; counts of images."""

    earlier: Count
    """Images that leave earlier than on the ideal chip."""
    earlier_wrong: Count
    """Of those, classified wrongly."""
    earlier_lost: Count
    """Of those, classified wrongly here and rightly on the ideal chip."""
    later: Count
    """Images that leave later than on the ideal chip."""
    later_wrong: Count
    """Of those, classified wrongly."""
    later_lost: Count
    """Of those, classified wrongly here and rightly on the ideal chip."""
    same: Count
    """Images that leave when they do on the ideal chip."""
    same_wrong: Count
    """Of those, classified wrongly."""
    same_lost: Count
    """Of those, classified wrongly here and rightly on the ideal chip."""

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        for kind in ("earlier", "later", "same"):
            lost, wrong, all_of = (getattr(self, f"{kind}{end}") for end in ("_lost", "_wrong", ""))
            require(lost <= wrong <= all_of, f"more images are wrong than leave {kind}")
        return self

    @property
    def images(self) -> int:
        return self.earlier + self.later + self.same


class OneChip(DocumentPart):
    """One programmed chip; or the ideal one, which has no number."""

    chip: Count | None
    """Its number among those that the seed draws."""
    static: Annotated[tuple[StaticRun, ...], Field(min_length=1)]
    """T = 1, ..., T max."""
    dynamic: DynamicRun
    """With the threshold that was given, or chosen on this chip."""
    dynamic_once: DynamicRun | None
    """With the threshold that was chosen on the ideal chip; None where it was given: all chips have it."""
    moved: Moved | None
    """`dynamic` against that of the ideal chip; None for the ideal chip itself."""
    moved_once: Moved | None
    """The same for `dynamic_once`."""

    @model_validator(mode="after")
    def _check_chip(self) -> Self:
        steps = list(range(1, len(self.static) + 1))
        require([one.timesteps for one in self.static] == steps, "static must hold T = 1, ..., T max")
        before = self.static[-1].edp_mean_of_products
        for name, run, moved in self.policies():
            require(len(run.exit_fraction) == len(steps), "exit_fraction must have T max entries")
            check_thresholds(run.thresholds, run.temperatures, len(steps))
            less = 1 - run.edp_mean_of_products / before if before else 0.0
            require(same(run.edp_reduction, less), f"{name}.edp_reduction is not 1 - dynamic / static")
            require(
                (moved is None) == (self.chip is None),
                "images move on programmed chips: all of them, and not the ideal one, say how many",
            )
        require(self.dynamic_once is not None or self.moved_once is None, "moved_once needs dynamic_once")
        return self

    def policies(self) -> list[tuple[PolicyName, DynamicRun, Moved | None]]:
        """Its rules of early exit, with their images that moved."""
        found: list[tuple[PolicyName, DynamicRun, Moved | None]] = [("dynamic", self.dynamic, self.moved)]
        if self.dynamic_once is not None:
            found.append(("dynamic_once", self.dynamic_once, self.moved_once))
        return found
