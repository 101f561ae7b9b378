"""What a page shows: the points of a sweep, a search or a comparison, as they were written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from imcsim.base.errors import ImcsimError
from imcsim.results.comparison import CompareResult
from imcsim.results.efficiency import LayerEfficiency
from imcsim.results.ranges import Ranges
from imcsim.studies.settings import CHOOSING

Kind = Literal["sweep", "search", "comparison", "run"]
Policy = Literal["static", "dynamic"]

THRESHOLDS = ("threshold", *CHOOSING)
"""Axes that no static run depends on."""

EARLY_EXIT = (*THRESHOLDS, "rule", "issue")
"""Axes of early exit, as those of the ``checker`` section are: a static run may be the same at all values."""


@dataclass(frozen=True, slots=True)
class JudgedFigures:
    """What a run is on validation images, in the units of `PointFigures`."""

    accuracy: float
    energy_pj: float
    latency_ns: float
    edp_pj_ns: float
    area_um2: float


@dataclass(frozen=True, slots=True)
class PointFigures:
    """One point under one policy: pJ, ns, um2, pJ ns (mean of the images' products), fractions of one. Of a
    point on many chips, means over them.
    """

    point: int
    policy: Policy
    timesteps: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    energy_pj: float
    latency_ns: float
    edp_pj_ns: float
    area_um2: float
    mean_timesteps: float
    threshold: float | tuple[float, ...] | None = None
    """The one of all timesteps, or one for each of T = 1, ..., T max - 1."""
    latency_p99_ns: float | None = None
    accuracy_std: float | None = None
    """Standard deviation over chips, where there are several."""
    accuracy_worst: float | None = None
    """The lowest of all chips."""
    issue: str | None = None
    """How timesteps are issued; None where it is not known."""
    judged: JudgedFigures | None = None
    """The same run on validation images, by which fronts are chosen; None where that is not known."""


@dataclass(frozen=True, slots=True)
class StudyPoint:
    """One point: what its axes say, and how it ended. `static` holds T = 1, 2, ..., T max."""

    index: int
    values: Mapping[str, Any]
    error: str | None
    config_sha256: str
    static: tuple[PointFigures, ...] = ()
    dynamic: PointFigures | None = None

    @property
    def ended(self) -> bool:
        """Whether there is a figure to show."""
        return bool(self.static) or self.dynamic is not None

    def shown(self) -> PointFigures:
        """The dynamic run, else static T max."""
        return self.dynamic or self.static[-1]


@dataclass(frozen=True)
class Parts:
    """Where a point's energy (pJ per image) and area (um2) go, and when its images leave."""

    dynamic: Mapping[str, float] = field(default_factory=dict)
    static: Mapping[str, float] = field(default_factory=dict)
    layers: Mapping[str, float] = field(default_factory=dict)
    areas: Mapping[str, float] = field(default_factory=dict)
    exits: tuple[float, ...] = ()


_UNSET = {"threshold": "chosen", "labels": "none"}
"""What settings are that are not given, in a word; others have a default."""


@dataclass(frozen=True)
class StudyAxis:
    """Keys that change together, and their values in the order of the spec."""

    keys: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]

    @property
    def name(self) -> str:
        return ", ".join(self.keys)

    @property
    def file_name(self) -> str:
        """For a file: letters, digits and dots of the keys."""
        return "+".join("".join(c if c.isalnum() or c in "._-" else "_" for c in key) for key in self.keys)

    @property
    def numeric(self) -> bool:
        """Whether the values can stand on a scale."""
        return len(self.keys) == 1 and all(
            isinstance(row[0], int | float) and not isinstance(row[0], bool) for row in self.values
        )

    def ordered(self) -> tuple[tuple[Any, ...], ...]:
        """By size where they are numbers, else as in the spec."""
        return tuple(sorted(self.values)) if self.numeric else self.values

    def of(self, point: StudyPoint) -> tuple[Any, ...]:
        return tuple(point.values.get(key) for key in self.keys)

    def label(self, row: Sequence[Any], most: int = 24) -> str:
        """A row of its values for a label (see `short`); of what is not given, what stands in its place."""
        pairs = zip(self.keys, row, strict=True)
        return short([_UNSET.get(key, "default") if value is None else value for key, value in pairs], most)


@dataclass(frozen=True)
class Study:
    """A folder that has been read."""

    kind: Kind
    name: str
    facts: tuple[tuple[str, str], ...]
    axes: tuple[StudyAxis, ...]
    points: tuple[StudyPoint, ...]
    planned: int
    parts: Mapping[int, Parts]
    images: int | None = None
    """Reported images, of the point with the fewest."""
    base_values: Mapping[str, Any] = field(default_factory=dict)
    curve: tuple[PointFigures, ...] = ()
    """The dynamic run of a comparison at other thresholds."""
    front: tuple[Mapping[str, Any], ...] = ()
    """Rows of the front of a search, on the images that are reported."""
    warnings: tuple[str, ...] = ()
    work: tuple[LayerEfficiency, ...] = ()
    """What the layers of a comparison or a run do, and take."""
    ranges: Ranges | None = None
    """How far the figures of a comparison may be off."""
    compared: CompareResult | None = None
    """The document of a comparison, with the outcomes of its images where they are known."""
    _at: dict[tuple[str, ...], StudyPoint] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._at.update((self._place(point.values), point) for point in self.points)

    @property
    def done(self) -> list[StudyPoint]:
        return [point for point in self.points if point.ended]

    @property
    def failed(self) -> list[StudyPoint]:
        return [point for point in self.points if not point.ended]

    @property
    def judged(self) -> bool:
        """Whether its fronts are chosen on validation images, and show the reported ones."""
        runs = [one for point in self.points for one in (*point.static, point.dynamic) if one is not None]
        return bool(runs) and all(one.judged is not None for one in runs)

    @cached_property
    def static_runs(self) -> list[tuple[PointFigures, list[StudyPoint]]]:
        """Every static run once, with the points that have it: those that differ in early exit alone may
        have the same. The run is that of the first of them.
        """
        keys = [k for axis in self.axes for k in axis.keys if k not in EARLY_EXIT and k[:8] != "checker."]
        found: dict[Any, list[tuple[PointFigures, StudyPoint]]] = {}
        for point in self.points:
            others = tuple(text(point.values.get(key)) for key in keys)
            for one in point.static:
                same = (others, replace(one, point=0, judged=None))
                found.setdefault(same, []).append((one, point))
        runs = []
        for having in found.values():
            first = having[0][0]
            if any(one.judged is None for one, _ in having):  # given thresholds need no validation images
                first = replace(first, judged=None)
            runs.append((first, [point for _, point in having]))
        return runs

    def outcomes(self, policy: Policy) -> list[PointFigures]:
        """All outcomes of a policy, equal static runs once, a comparison's other thresholds too."""
        if policy == "static":
            return [one for one, _ in self.static_runs]
        return [point.dynamic for point in self.points if point.dynamic] + list(self.curve)

    def _place(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(text(values.get(key)) for axis in self.axes for key in axis.keys)

    def beside(
        self, point: StudyPoint, change: Iterable[tuple[StudyAxis, Sequence[Any]]]
    ) -> StudyPoint | None:
        """The point with these values of these axes, and all others as `point` has them."""
        values = dict(point.values)
        for axis, row in change:
            values.update(zip(axis.keys, row, strict=True))
        return self._at.get(self._place(values))

    def get(self, index: int) -> StudyPoint:
        """The point of this number. Raises ImcsimError where there is none, or none with figures."""
        for point in self.points:
            if point.index == index:
                if point.ended:
                    return point
                raise ImcsimError(f"point {index} failed: {point.error}", fix="name a point that ran")
        most = max((point.index for point in self.points), default=0)
        raise ImcsimError(f"there is no point {index}", fix=f"points are numbered from 0 to {most}")


def text(value: Any) -> str:
    """A value of an axis, as its file writes it."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def short(values: Sequence[Any], most: int = 24) -> str:
    """Values of an axis for a label; of long file names the end."""
    whole = ", ".join(map(text, values))
    return whole if len(whole) <= most else f"…{whole[1 - most :]}"
