"""What the alternatives of a chip's file would move: the comparison again with each of them, one at a time.

Values stay as they are: an alternative that would change them is left out, and the ranges say so. Prices are
a pure function of the ledger, so that an alternative price plays nothing; another time or another structure
plays schedules, which do not depend on values (on chips where they do, only prices are tried).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.hardware.alternatives import Alternative
from imcsim.hardware.ledger import Stay
from imcsim.results.figures import Reduction
from imcsim.results.ranges import AlternativeFigures, RangeFigures, Ranges
from imcsim.simulation.chip import depends_on_values
from imcsim.simulation.simulate import ExitCosts, issued
from imcsim.studies.breakdown import means
from imcsim.studies.experiment import Experiment
from imcsim.studies.other_chips import Tried, check_values
from imcsim.studies.other_runs import Opponents, Repeated
from imcsim.timing import parse

ISSUE = "issue"
"""The group of issue policies, which are no part of a chip's file: of the static and of the dynamic run."""


def ranges(repeated: Repeated) -> Ranges:
    """The ranges of a comparison, from its runs on other chips."""
    experiment, stay, opponents = repeated.experiment, repeated.stay, repeated.opponents
    used = _figures(stay, opponents, experiment.images.dynamic, repeated.area_um2)
    found: list[AlternativeFigures] = []
    left: list[str] = []
    for one, tried in repeated.tried.alternatives:
        try:
            if isinstance(tried, ImcsimError):
                raise tried
            found.append(_tried(repeated, one, tried))
        except ImcsimError as error:
            left.append(f"{one.group}: {one.name} ({error.message})")
    found += _issues(experiment, stay, opponents, used)
    return Ranges(used=used, alternatives=tuple(found), left_out=tuple(left))


def _tried(repeated: Repeated, one: Alternative, tried: Tried) -> AlternativeFigures:
    chip = repeated.experiment.chip
    if not tried.same_time:
        check_values(chip, tried.config, repeated.experiment.options)
    runs = repeated.runs(tried)
    statics = {issue: runs.static(issue) for issue in repeated.opponents}
    figures = _figures(repeated.stay, statics, runs.dynamic, runs.area_um2)
    used = tried.config == chip.stated
    return AlternativeFigures(
        kind=one.kind, group=one.group, name=one.name, used=used, **figures.model_dump()
    )


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
