"""What the alternatives of a chip's file would move: the comparison again with each of them, one at a time.

Values stay as they are: an alternative that would change them is left out, and the ranges say so. Prices are
a pure function of the ledger, so that an alternative price plays nothing; another time or another structure
plays schedules, which do not depend on values (on chips where they do, only prices are tried).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.hardware.alternatives import Alternative, alternatives_of
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.ledger import Stay
from imcsim.results.figures import Reduction
from imcsim.results.ranges import AlternativeFigures, RangeFigures, Ranges
from imcsim.simulation.chip import depends_on_values, nonideal, numerics
from imcsim.simulation.simulate import ExitCosts, issued
from imcsim.studies.breakdown import means
from imcsim.studies.experiment import Experiment
from imcsim.studies.other_chips import Opponents, OtherChips
from imcsim.timing import parse

ISSUE = "issue"
"""The group of issue policies, which are no part of a chip's file: of the static and of the dynamic run."""


def ranges(others: OtherChips) -> Ranges:
    """The ranges of a comparison, from its runs on other chips."""
    experiment, stay, opponents = others.experiment, others.stay, others.opponents
    stated = experiment.chip.stated
    used = _figures(stay, opponents, experiment.images.dynamic, others.runs(stated).area_um2)
    found: list[AlternativeFigures] = []
    left: list[str] = []
    for one in alternatives_of(stated):
        try:
            found.append(_tried(others, one, one.of(stated)))
        except ImcsimError as error:
            left.append(f"{one.group}: {one.name} ({error.message})")
    found += _issues(experiment, stay, opponents, used)
    return Ranges(used=used, alternatives=tuple(found), left_out=tuple(left))


def _tried(others: OtherChips, one: Alternative, changed: HardwareConfig) -> AlternativeFigures:
    chip = others.experiment.chip
    if not others.same_time(changed):
        _check_values(others.experiment, changed)
    runs = others.runs(changed)
    statics = {issue: runs.static(issue) for issue in others.opponents}
    figures = _figures(others.stay, statics, runs.dynamic, runs.area_um2)
    used = changed == chip.stated
    return AlternativeFigures(
        kind=one.kind, group=one.group, name=one.name, used=used, **figures.model_dump()
    )


def _check_values(experiment: Experiment, changed: HardwareConfig) -> None:
    """Raise ImcsimError for a chip that is to be played anew and would have other values, or other time with
    other values.
    """
    chip, options = experiment.chip, experiment.options
    if depends_on_values(chip.config):
        raise ImcsimError("on a chip whose time depends on values only prices are tried")
    drawn = (nonideal(config, options.seed, options.chip) for config in (chip.stated, changed))
    if (
        numerics(changed) != numerics(chip.stated)
        or changed.activity != chip.stated.activity
        or next(drawn) != next(drawn)
    ):
        raise ImcsimError("it would change values")


def _issues(
    experiment: Experiment, stay: Stay, opponents: Opponents, used: RangeFigures
) -> list[AlternativeFigures]:
    """The dynamic run against each of the opponents, and a dynamic run that waits, or runs ahead."""
    images = experiment.images
    area, own = used.area_um2, experiment.chip.timing.issue
    found = [
        AlternativeFigures(
            kind="structure", group=f"static {ISSUE}", name=issue, used=issue == used.static_issue,
            **_figures(stay, {issue: ran}, images.dynamic, area).model_dump(),
        )
        for issue, ran in opponents.items()
    ]  # fmt: skip
    if own.images_on_chip > 1 or depends_on_values(experiment.chip.config):
        return found
    for name in ("wait", "speculate"):
        exits = set(stay.tolist())
        dynamic = issued(images, parse(name), experiment.inputs, dynamic=True, exits=exits)
        found.append(
            AlternativeFigures(
                kind="structure", group=f"dynamic {ISSUE}", name=name, used=name == str(own),
                **_figures(stay, opponents, dynamic, area).model_dump(),
            )
        )  # fmt: skip
    return found


def _figures(stay: Stay, opponents: Opponents, dynamic: ExitCosts, area_um2: float) -> RangeFigures:
    full = np.full(len(stay), dynamic.energy_pj.shape[1], np.int64)
    static = {issue: _means(ran, full) for issue, ran in opponents.items()}
    best = min(static, key=lambda issue: static[issue]["edp_mean_of_products"])
    left = _means(dynamic, stay)
    return RangeFigures(
        static_issue=best,
        static_energy_pj=static[best]["energy_pj"],
        static_latency_ns=static[best]["latency_ns"],
        dynamic_energy_pj=left["energy_pj"],
        dynamic_latency_ns=left["latency_ns"],
        area_um2=area_um2,
        reduction=Reduction.between(static[best], left),
    )


def _means(ran: ExitCosts, stay: Stay) -> dict[str, float]:
    at: tuple[NDArray[np.int64], NDArray[np.int64]] = (np.arange(len(stay)), stay - 1)
    return means(ran.energy_pj[at], ran.latency_ns[at])
