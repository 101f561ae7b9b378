"""The document of `imcsim compare --chips N`: one design, N programmed chips, and the ideal one beside them.

It follows `imcsim.results.model`: energies in pJ per image, latencies in ns per image, EDP in pJ ns, means
over the images unless the name says otherwise; accuracies and shares are fractions of one. All chips run the
same images. Figures of `dynamic` have the threshold that was chosen on each chip itself, those of
`dynamic_once` the one that was chosen once for all, on the ideal chip; both on validation images. What is
said of all chips is computed from what is said of each. Same inputs and seed, same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from imcsim.base.choices import Accumulation, Rule
from imcsim.base.frames import frame
from imcsim.base.presented import Presented
from imcsim.results.chips.one_chip import OneChip, PolicyName
from imcsim.results.chips.summary import DynamicSpread, StaticSpread, dynamic_spread, static_spread
from imcsim.results.meta import Meta
from imcsim.results.model import Count, DocumentPart, Positive, derived, require
from imcsim.results.ranges import StaticIssue

TableRow = dict[str, Any]

_FOLLOWS = "does not follow from the instances"


def _numbered(instances: tuple[OneChip, ...]) -> tuple[OneChip, ...]:
    numbers = [-1 if one.chip is None else one.chip for one in instances]
    require(min(numbers) >= 0, "a programmed chip has no number")
    require(numbers == sorted(set(numbers)), "chips out of order")
    return instances


class ChipsResult(Presented, DocumentPart):
    """Static against dynamic timesteps on many programmed chips: one network, design and set of inputs."""

    schema_version: Literal[1] = 1
    meta: Meta
    chips: Positive = derived(lambda result: len(result.instances), "is not the number of instances")
    """How many chips were run."""
    first_chip: Count = derived(
        lambda result: result.instances[0].chip, "is not that of the first of the instances"
    )
    """The lowest of their numbers."""
    rule: Rule
    """Exit rule: what decides that an image may leave."""
    accumulation: Accumulation
    """Whether the rule looks at the running mean of the outputs or at their sum."""
    threshold_source: Literal["validation", "given"]
    validation_images: Positive | None
    """How many images the thresholds were chosen on; None where it was given."""
    ideal: OneChip
    """The same design without errors in cells, wires and converters."""
    static: tuple[StaticSpread, ...] = derived(lambda result: result._static_spreads(), _FOLLOWS)
    """T = 1, ..., T max."""
    dynamic: DynamicSpread = derived(lambda result: result._dynamic_spread("dynamic"), _FOLLOWS)
    """With the threshold that was given, or chosen on each chip itself."""
    dynamic_once: DynamicSpread | None = derived(
        lambda result: result._dynamic_spread("dynamic_once") if result.ideal.dynamic_once else None, _FOLLOWS
    )
    """With the threshold that was chosen on the ideal chip; None where it was given."""
    instances: Annotated[tuple[OneChip, ...], Field(min_length=1), AfterValidator(_numbered)]
    """The chips, in the order of their numbers."""
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_document(self) -> Self:
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
        return self

    def _static_spreads(self) -> tuple[StaticSpread, ...]:
        steps = range(1, len(self.ideal.static) + 1)
        return tuple(static_spread(self.ideal, self.instances, t) for t in steps)

    def _dynamic_spread(self, name: PolicyName) -> DynamicSpread:
        return dynamic_spread(self.ideal, self.instances, name, self.meta.images)

    @property
    def static_issue(self) -> StaticIssue:
        """How static runs are issued: ahead under ``speculate``; one waits for its verdicts under others."""
        return "pipeline" if self.meta.policy == "speculate" else "wait"

    def policies(self) -> list[tuple[str, DynamicSpread]]:
        """Its rules of early exit: ``dynamic``, and ``dynamic_once`` where thresholds were chosen."""
        both = ("dynamic", self.dynamic), ("dynamic_once", self.dynamic_once)
        return [(name, spreads) for name, spreads in both if spreads is not None]

    def rows(self) -> list[TableRow]:
        """One row for each chip, the ideal one first (its chip is None), and each way to run it: ``static``
        for T = 1, ..., T max, ``dynamic`` and ``dynamic_once``. Figures of single timesteps are
        ``exit_fraction_t1`` and so on; counts of moved images stand in the rows they belong to.
        """
        found: list[TableRow] = []
        for one in (self.ideal, *self.instances):
            for run in one.static:
                found.append({"chip": one.chip, "policy": "static", **_plain(run)})
            for name, left, moved in one.policies():
                about = {} if moved is None else moved.model_dump()
                head = {"chip": one.chip, "policy": name, "timesteps": self.meta.timesteps}
                found.append({**head, **_plain(left), **about})
        return _square(found)

    def summary_rows(self) -> list[TableRow]:
        """One row for each way to run the chips and each figure: its mean over the chips, interval, ..."""
        found: list[TableRow] = []
        ways = [("static", one.timesteps, one) for one in self.static]
        for policy, timesteps, about in [*ways, *((n, self.meta.timesteps, s) for n, s in self.policies())]:
            head = {"policy": policy, "timesteps": timesteps}
            for figure, value in about.model_dump().items():
                if isinstance(value, Mapping) and "worst_chip" in value:
                    found.append({**head, "figure": figure, **value})
        return found

    def exit_rows(self) -> list[TableRow]:
        """One row for each rule of early exit and each timestep: the share that leaves, and its accuracy."""
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

    def moved_rows(self) -> list[TableRow]:
        """One row for each rule of early exit: images of all chips that leave at another timestep."""
        return [
            {"policy": policy, "chips": self.chips, "images": self.meta.images, **spreads.moved.model_dump()}
            for policy, spreads in self.policies()
        ]

    def to_frame(self) -> Any:
        """`rows` as a pandas data frame. Raises ImcsimError where pandas is missing."""
        return frame(self.rows())


def _plain(run: DocumentPart) -> TableRow:
    """Figures by name; those of exits and timesteps with ``_t1`` and so on behind the name."""
    found: TableRow = {}
    for key, value in run.model_dump().items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            found |= {f"{key}_t{t}": one for t, one in enumerate(value, 1)}
        else:
            found[key] = value
    return found


def _square(rows: Sequence[TableRow]) -> list[TableRow]:
    """The rows with the columns of all."""
    names = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in names} for row in rows]
