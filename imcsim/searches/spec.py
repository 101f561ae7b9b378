"""The spec of a search: that of a sweep, with ranges, objectives and constraints on results.

A spec is a YAML file; all that a sweep's may say holds here too (see `imcsim.sweeps.spec`)::

    hardware: dtsnn_32nm
    axes:
      adc.bits: [4, 5, 6, 8]
      noc.flit_bits: {log: [16, 128, 4]}
      threshold: {between: [0.0, 0.6]}      # any value; also {log_between: [low, high]}
    objectives: [energy, latency, area, accuracy]
    constraints:
      - accuracy >= 0.8                     # of the result: pJ, ns, um2, shares of 1
    sampler: nsga2                          # or tpe, random
    trials: 100
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imcsim.base.names import suggestion
from imcsim.base.yamlfile import KeyPath, YamlDocument
from imcsim.hardware.explain import explain
from imcsim.searches.goals import COLUMNS, FIGURES, OBJECTIVES, Objective
from imcsim.searches.ranges import Range, is_range, read_range
from imcsim.studies.settings import SETTINGS
from imcsim.sweeps.axes import BadAxis
from imcsim.sweeps.constraints import BadConstraint, Constraint, parse_constraint
from imcsim.sweeps.spec import Spec, overridden, spec_document, spec_of

FIXED = (
    "inputs", "validation", "images", "encoding", "labels", "bin_us", "seed", "chip", "chips", "fidelity",
)  # fmt: skip
"""Settings that no axis may change: figures of other images, or of other chips with errors, are no better or
worse, only other figures.
"""

SamplerName = Literal["nsga2", "tpe", "random"]


class SearchModel(BaseModel):
    """What the spec of a search holds besides that of a sweep."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    objectives: Annotated[list[str], Field(min_length=1)]
    sampler: SamplerName = "nsga2"
    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    population: Annotated[int, Field(ge=2, le=10_000)] = 20
    batch: Annotated[int, Field(ge=1, le=10_000)] = 8


OWN = tuple(SearchModel.model_fields)


@dataclass(frozen=True)
class Search:
    """A spec that has been read.

    `batch` is the most workers that can be busy, and no number of workers changes a result.
    """

    sweep: Spec
    """Its part that sweeps know, where a range stands as some of its values."""
    data: Mapping[str, Any]
    """What the file says."""
    ranges: Mapping[str, Range]
    """Ranges of axes, by key."""
    objectives: tuple[Objective, ...]
    """What is to become small or large."""
    limits: tuple[Constraint, ...]
    """Constraints on results."""
    sampler: SamplerName
    """What proposes points."""
    trials: int
    """How many points are tried at most."""
    population: int
    """Points of a generation of NSGA-II."""
    batch: int
    """Points that are proposed at a time, before the results of any of them are known."""

    @property
    def sha256(self) -> str:
        """Hash over what decides which points are tried, and in which order. More trials go on with it."""
        about = {**self.data, "kind": "search", "keys": self.sweep.keys}
        for key in ("name", "trials"):
            about.pop(key, None)
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def load_search(
    given: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
) -> Search:
    """Read a spec from a YAML file, or from a mapping of the same form.

    `overrides` are further keys of its ``set``, and win over those that stand there; `plugins` are further
    files of its ``plugins``. Raises ImcsimError, with file, line and key, for whatever is wrong with it.

    Args:
        given: The file, or what such a file says.
        overrides: Values by dotted key of the chip. None: none.
        plugins: Files of plug-ins.
    """
    document = overridden(spec_document(given), overrides, plugins)
    if not isinstance(document.data, dict):
        raise document.error((), "expected `key: value` lines", fix="is this the spec of a search?")
    data = dict(document.data)
    model = _own(document, {key: data.pop(key) for key in OWN if key in data})
    ranges: dict[str, Range] = {}
    data = _without_ranges(document, data, ranges)
    data, limits = _without_limits(document, data)
    sweep = spec_of(replace(document, data=data), max_points=None)
    _check_axes(sweep, data)
    _check_limits(document, sweep, limits)
    objectives = _objectives(document, model)
    if sweep.base.chips is not None:
        _check_means(document, objectives, limits)
    return Search(
        sweep, document.data, ranges, objectives, tuple(limits.values()),
        model.sampler, model.trials, model.population, model.batch,
    )  # fmt: skip


def _own(document: YamlDocument, values: dict[str, Any]) -> SearchModel:
    if "objectives" not in values:
        raise document.error((), "no objectives", fix=f"objectives: a list of {', '.join(OBJECTIVES)}")
    try:
        return SearchModel.model_validate_json(json.dumps(values))
    except ValidationError as error:
        problem = explain(error, SearchModel, values)[0]
        raise document.error(problem.path, problem.message, fix=problem.fix) from None


def _objectives(document: YamlDocument, model: SearchModel) -> tuple[Objective, ...]:
    found: list[Objective] = []
    for position, name in enumerate(model.objectives):
        place = ("objectives", position)
        if name not in OBJECTIVES:
            fix = suggestion(name, OBJECTIVES, f"use {', '.join(OBJECTIVES)}")
            raise document.error(place, f"{name} is no objective", fix=fix)
        if OBJECTIVES[name] in found:
            raise document.error(place, f"{name} stands twice", fix="remove one")
        found.append(OBJECTIVES[name])
    return tuple(found)


def _without_ranges(document: YamlDocument, data: dict[str, Any], ranges: dict[str, Range]) -> dict[str, Any]:
    """The data with some values in the place of each range, which goes into `ranges`."""

    def listed(place: KeyPath, given: Any) -> Any:
        key = str(place[-1])
        if not is_range(given):
            return given
        try:
            # A threshold is a share, also where its ends are 0 and 1.
            ranges[key] = read_range(given, real=key == "threshold")
        except BadAxis as error:
            raise document.error(place, error.message, fix=error.fix) from None
        return ranges[key].some()

    found = {key: listed((key,), value) if key in SETTINGS else value for key, value in data.items()}
    axes = found.get("axes")
    if isinstance(axes, dict):
        found["axes"] = {key: listed(("axes", key), value) for key, value in axes.items()}
    for position, group in enumerate(found["zip"] if isinstance(found.get("zip"), list) else ()):
        for key, value in group.items() if isinstance(group, dict) else ():
            if is_range(value):
                raise document.error(
                    ("zip", position, key), "keys that change together need lists", fix="list their values"
                )
    return found


def _without_limits(
    document: YamlDocument, data: dict[str, Any]
) -> tuple[dict[str, Any], dict[int, Constraint]]:
    """The data without the constraints that name figures of results; these, by position."""
    limits: dict[int, Constraint] = {}
    given = data.get("constraints")
    if not isinstance(given, list):
        return data, limits
    others: list[Any] = []
    for position, text in enumerate(given):
        others.append(text)
        if isinstance(text, str):
            try:
                constraint = parse_constraint(text)
            except BadConstraint:  # the sweep's own reading says what is wrong
                continue
            if any(key in FIGURES or key in COLUMNS for key in constraint.keys):
                limits[position] = constraint
                others[-1] = "true"  # keeps the positions of the others
    return {**data, "constraints": others}, limits


def _check_axes(sweep: Spec, data: Mapping[str, Any]) -> None:
    if not sweep.axes:
        raise sweep.error((), "nothing to search over", fix="give axes: keys and their values")
    for key in sweep.keys:
        if key in FIXED:
            place: KeyPath = ("axes", key) if key in (data.get("axes") or {}) else (key,)
            same = "chips" if key in ("chip", "chips") else "images"
            raise sweep.error(place, f"a search compares points on the same {same}", fix="give one value")


def _check_means(
    document: YamlDocument, objectives: Sequence[Objective], limits: Mapping[int, Constraint]
) -> None:
    """Refuse figures that points on many chips do not have: there are means, but no percentiles."""
    missing = OBJECTIVES["latency_p99"]
    places: list[KeyPath] = [("objectives", k) for k, one in enumerate(objectives) if one == missing]
    for position, constraint in limits.items():
        if {missing.name, missing.column} & set(constraint.keys):
            places.append(("constraints", position))
    if places:
        raise document.error(places[0], f"many chips have no {missing.name}", fix="use latency, their mean")


def _check_limits(document: YamlDocument, sweep: Spec, limits: Mapping[int, Constraint]) -> None:
    known = {*SETTINGS, *sweep.keys, *sweep.base.overrides, *FIGURES, *COLUMNS}
    for position, constraint in limits.items():
        for key in constraint.keys:
            if key not in known:
                raise document.error(
                    ("constraints", position),
                    f"{key} is neither an axis nor a figure of the result",
                    fix="put keys of the hardware file into a constraint of their own",
                )


__all__ = ["Search", "SearchModel", "load_search"]
