"""All chips together: spreads of every figure, exits, and images that moved. Parts of the document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from imcsim.results.chips.one_chip import DynamicRun, Moved, OneChip, PolicyName
from imcsim.results.chips.spread import Spread, spread
from imcsim.results.model import DocumentPart, Fraction, Positive


class StaticSpread(DocumentPart):
    """Static runs of `timesteps` timesteps over the chips."""

    timesteps: Positive
    """T: how many timesteps each image runs."""
    accuracy: Spread
    energy_pj: Spread
    latency_ns: Spread
    edp_mean_of_products: Spread
    edp_product_of_means: Spread


class ExitSpread(DocumentPart):
    """Images that leave after `timesteps` timesteps."""

    timesteps: Positive
    """The timestep after which they leave."""
    fraction: Spread
    """Share of the images that leave then."""
    accuracy: Fraction | None
    """Right ones over all that leave here, of all chips together; None where none does."""
    accuracy_ideal: Fraction | None
    """The same on the ideal chip."""


class DynamicSpread(DocumentPart):
    """Early exit, over the chips."""

    accuracy: Spread
    accuracy_loss: Spread
    """Accuracy of static T max minus that of early exit, on the same chip."""
    mean_timesteps: Spread
    energy_pj: Spread
    latency_ns: Spread
    edp_mean_of_products: Spread
    edp_product_of_means: Spread
    edp_reduction: Spread
    """1 - EDP / EDP of static T max on the same chip (means of products)."""
    threshold: Spread | None
    """None where timesteps have thresholds of their own."""
    exits: tuple[ExitSpread, ...]
    """Each of T = 1, 2, ..., T max."""
    moved: Moved
    """Images of all chips together."""


_COSTS = ("energy_pj", "latency_ns", "edp_mean_of_products", "edp_product_of_means")
_SHARE, _AMOUNT, _SAVED = (0.0, 1.0), (0.0, math.inf), (-math.inf, 1.0)
"""Where figures can lie."""


def static_spread(ideal: OneChip, instances: Sequence[OneChip], timesteps: int) -> StaticSpread:
    """Static runs of so many timesteps over the chips `instances`."""
    runs = [one.static[timesteps - 1] for one in (ideal, *instances)]
    numbers = _numbers(instances)

    def over(key: str, **about: Any) -> Spread:
        before, *values = (getattr(run, key) for run in runs)
        return spread(before, values, numbers, **about)

    return StaticSpread(
        timesteps=timesteps,
        accuracy=over("accuracy", within=_SHARE, larger_is_better=True),
        **{key: over(key, within=_AMOUNT) for key in _COSTS},
    )


def dynamic_spread(
    ideal: OneChip, instances: Sequence[OneChip], name: PolicyName, images: int
) -> DynamicSpread:
    """Early exit over the chips `instances`, each of which ran so many `images`."""
    numbers = _numbers(instances)
    base, *runs = (_run(one, name) for one in (ideal, *instances))

    def over(key: str, **about: Any) -> Spread:
        return spread(getattr(base, key), [getattr(run, key) for run in runs], numbers, **about)

    before, *losses = (
        one.static[-1].accuracy - run.accuracy
        for one, run in zip((ideal, *instances), (base, *runs), strict=True)
    )
    moves: list[Any] = [one.moved if name == "dynamic" else one.moved_once for one in instances]
    one_threshold = all(run.threshold is not None for run in (base, *runs))
    return DynamicSpread(
        accuracy=over("accuracy", within=_SHARE, larger_is_better=True),
        accuracy_loss=spread(before, losses, numbers, within=(-1.0, 1.0)),
        mean_timesteps=over("mean_timesteps", within=(1.0, len(base.exit_fraction))),
        **{key: over(key, within=_AMOUNT) for key in _COSTS},
        edp_reduction=over("edp_reduction", within=_SAVED, larger_is_better=True),
        threshold=over("threshold", within=_SHARE) if one_threshold else None,
        exits=tuple(_exit(base, runs, numbers, t, images) for t in range(len(base.exit_fraction))),
        moved=Moved(**{key: sum(getattr(one, key) for one in moves) for key in Moved.model_fields}),
    )


def _exit(
    base: DynamicRun, runs: Sequence[DynamicRun], numbers: Sequence[int], at: int, images: int
) -> ExitSpread:
    shares = [run.exit_fraction[at] for run in runs]
    left = [round(images * share) for share in shares]
    right = sum(round(n * (run.exit_accuracy[at] or 0.0)) for n, run in zip(left, runs, strict=True))
    return ExitSpread(
        timesteps=at + 1,
        fraction=spread(base.exit_fraction[at], shares, numbers, within=_SHARE),
        accuracy=right / sum(left) if sum(left) else None,
        accuracy_ideal=base.exit_accuracy[at],
    )


def _run(one: OneChip, name: PolicyName) -> DynamicRun:
    run = one.dynamic if name == "dynamic" else one.dynamic_once
    if run is None:
        raise ValueError("dynamic_once goes with a threshold that was chosen")
    return run


def _numbers(instances: Sequence[OneChip]) -> list[int]:
    numbers = [one.chip for one in instances if one.chip is not None]
    if len(numbers) < len(instances):
        raise ValueError("a programmed chip has no number")
    return numbers
