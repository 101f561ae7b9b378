"""The document of `imcsim compare --chips N`: one design, N programmed chips, and the ideal one beside them.

It follows `imcsim.results.document`: energies in pJ per image, latencies in ns per image, EDP in pJ ns, means
over the images unless the name says otherwise; accuracies and shares are fractions of one. All chips run the
same images. Figures of `dynamic` have the threshold that was chosen on each chip itself, those of
`dynamic_once` the one that was chosen once for all, on the ideal chip; both on validation images. What is
said of all chips must follow from what is said of each, else the document cannot be built. Same inputs and
seed, same bytes.

``python -m imcsim.studies.chips.document`` prints the JSON schema that ships as
``imcsim/data/chips.schema.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from imcsim.base.choices import Accumulation, Rule
from imcsim.results.document import Count, Meta, Model, Positive, describe, require, same
from imcsim.results.document import to_json as to_json
from imcsim.studies.chips.one_chip import OneChip
from imcsim.studies.chips.spread import Spread as Spread
from imcsim.studies.chips.summary import DynamicSpread, StaticSpread, dynamic_spread, static_spread

SCHEMA_VERSION = 1

Row = dict[str, Any]


class ChipsResult(Model):
    """Static against dynamic timesteps on many programmed chips: one network, design and set of inputs."""

    schema_version: Literal[1] = 1
    meta: Meta
    chips: Positive
    """How many chips were run."""
    first_chip: Count
    """The lowest of their numbers."""
    rule: Rule
    accumulation: Accumulation
    """Whether the rule looks at the running mean of the outputs or at their sum."""
    threshold_source: Literal["validation", "given"]
    validation_images: Positive | None
    """How many images the thresholds were chosen on; None where it was given."""
    ideal: OneChip
    """The same design without errors in cells, wires and converters."""
    static: tuple[StaticSpread, ...]
    """T = 1, ..., T max."""
    dynamic: DynamicSpread
    """With the threshold that was given, or chosen on each chip itself."""
    dynamic_once: DynamicSpread | None
    """With the threshold that was chosen on the ideal chip; None where it was given."""
    instances: Annotated[tuple[OneChip, ...], Field(min_length=1)]
    """The chips, in the order of their numbers."""
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        require(self.chips == len(self.instances), "chips is not the number of instances")
        numbers = [-1 if one.chip is None else one.chip for one in self.instances]
        require(min(numbers) >= 0, "a programmed chip has no number")
        require(numbers == sorted(set(numbers)), "chips out of order")
        require(self.first_chip == numbers[0], "first_chip is not that of the first chip")
        require(self.ideal.chip is None, "the ideal chip has no number")
        given = self.threshold_source == "given"
        require(given == (self.validation_images is None), "validation_images goes with a choice on them")
        for one in (self.ideal, *self.instances):
            require(len(one.static) == self.meta.timesteps, "static must hold T = 1, ..., T max")
            require((one.dynamic_once is None) == given, "dynamic_once goes with a threshold that was chosen")
            for _, _, moved in one.policies():
                require(
                    moved is None or moved.images == self.meta.images,
                    "moved does not count every image once",
                )
        about = self.summarised(self.ideal, self.instances, self.meta.images)
        for name in ("static", "dynamic", "dynamic_once"):
            require(
                _agree(_dumped(about[name]), _dumped(getattr(self, name))),
                f"{name} does not follow from the instances",
            )
        return self

    @classmethod
    def summarised(cls, ideal: OneChip, instances: Sequence[OneChip], images: int) -> dict[str, Any]:
        """What the document says of all chips together, by field. Raises ValueError where chips differ."""
        steps = range(1, len(ideal.static) + 1)
        once = ideal.dynamic_once is not None
        return {
            "static": tuple(static_spread(ideal, instances, t) for t in steps),
            "dynamic": dynamic_spread(ideal, instances, "dynamic", images),
            "dynamic_once": dynamic_spread(ideal, instances, "dynamic_once", images) if once else None,
        }

    def policies(self) -> list[tuple[str, DynamicSpread]]:
        """Its ways to leave early: ``dynamic``, and ``dynamic_once`` where thresholds were chosen."""
        both = ("dynamic", self.dynamic), ("dynamic_once", self.dynamic_once)
        return [(name, spreads) for name, spreads in both if spreads is not None]

    def rows(self) -> list[Row]:
        """One row for each chip, the ideal one first (its chip is None), and each way to run it: ``static``
        for T = 1, ..., T max, ``dynamic`` and ``dynamic_once``. Figures of single timesteps are
        ``exit_fraction_t1`` and so on; counts of moved images stand in the rows they belong to.
        """
        found: list[Row] = []
        for one in (self.ideal, *self.instances):
            for run in one.static:
                found.append({"chip": one.chip, "policy": "static", **_plain(run)})
            for name, left, moved in one.policies():
                about = {} if moved is None else moved.model_dump()
                head = {"chip": one.chip, "policy": name, "timesteps": self.meta.timesteps}
                found.append({**head, **_plain(left), **about})
        return _square(found)

    def summary_rows(self) -> list[Row]:
        """One row for each way to run the chips and each figure: its mean over the chips, interval, ..."""
        found: list[Row] = []
        ways = [("static", one.timesteps, one) for one in self.static]
        for policy, timesteps, about in [*ways, *((n, self.meta.timesteps, s) for n, s in self.policies())]:
            head = {"policy": policy, "timesteps": timesteps}
            for figure, value in about.model_dump().items():
                if isinstance(value, Mapping) and "worst_chip" in value:
                    found.append({**head, "figure": figure, **value})
        return found

    def exit_rows(self) -> list[Row]:
        """One row for each way to leave early and each timestep: the share that leaves, and its accuracy."""
        return [
            {
                "policy": policy,
                "timesteps": one.timesteps,
                **{f"fraction_{key}": value for key, value in one.fraction.model_dump().items()},
                "accuracy": one.accuracy,
                "accuracy_ideal": one.accuracy_ideal,
            }
            for policy, spreads in self.policies()
            for one in spreads.exits
        ]

    def moved_rows(self) -> list[Row]:
        """One row for each way to leave early: images of all chips that leave at another timestep."""
        return [
            {"policy": policy, "chips": self.chips, "images": self.meta.images, **spreads.moved.model_dump()}
            for policy, spreads in self.policies()
        ]

    def to_frame(self) -> Any:
        """`rows` as a pandas data frame. Raises ImcsimError where pandas is missing."""
        from imcsim.base.frames import frame

        return frame(self.rows())


def _plain(run: Model) -> Row:
    """Figures by name; those of exits and timesteps with ``_t1`` and so on behind the name."""
    found: Row = {}
    for key, value in run.model_dump().items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            found |= {f"{key}_t{t}": one for t, one in enumerate(value, 1)}
        else:
            found[key] = value
    return found


def _square(rows: Sequence[Row]) -> list[Row]:
    """The rows with the columns of all."""
    names = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in names} for row in rows]


def _dumped(part: Any) -> Any:
    if isinstance(part, tuple):
        return [one.model_dump() for one in part]
    return None if part is None else part.model_dump()


def _agree(a: Any, b: Any) -> bool:
    """Whether two dumped parts say the same; figures may differ by rounding."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_agree(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_agree, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return same(a, b)
    return bool(a == b)


def _modules() -> Iterator[str]:
    """Where the document's parts are described, the parts first."""
    yield "imcsim.results.document"
    for name in ("spread", "one_chip", "summary"):
        yield f"imcsim.studies.chips.{name}"
    yield __name__


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the document."""
    for name in _modules():
        describe(name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ChipsResult.model_json_schema(),
        "title": f"imcsim chips, schema version {SCHEMA_VERSION}",
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
