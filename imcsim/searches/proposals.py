"""Which points are tried next: Optuna proposes, and what it proposed before is not tried again.

The same seed and the same results give the same proposals. So a search that goes on asks for all of them
again, and finds the results of the earlier ones in its store.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.searches.journal import write_journal
from imcsim.searches.ranges import is_ordered
from imcsim.searches.spec import Search
from imcsim.studies.loading import Loader
from imcsim.sweeps.spec import SweepAxis, SweepPoint

PATIENCE = 10
"""After so many proposals in a row that are known or forbidden, one is drawn from the others."""

_MAX_LISTED = 20_000
_MAX_DRAWN = 10_000


@dataclass(frozen=True)
class Verdict:
    """The result of a point: its figures in the order of the objectives, None where it failed, and how far it
    is from each limit (0 where it holds).
    """

    figures: tuple[float, ...] | None
    violations: tuple[float, ...] = ()


@dataclass
class Proposals:
    """Proposes the points of `search`. Raises ImcsimError where Optuna is missing."""

    search: Search
    loader: Loader
    study: Any = field(init=False)
    exhausted: bool = False
    """Nothing is left that was not tried."""

    def __post_init__(self) -> None:
        self._optuna = import_optuna()
        directions = ["maximize" if one.larger else "minimize" for one in self.search.objectives]
        with _calm():
            self.study = self._optuna.create_study(directions=directions, sampler=self._sampler())
        self._seed = self.search.sweep.base.options.seed
        self._points: dict[str, int] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._waiting: dict[int, list[Any]] = {}
        self._forbidden: set[str] = set()
        self._draws = random.Random(self._seed)
        self._misses = 0
        self._others: list[dict[str, Any]] | None = None

    def ask(self, count: int) -> list[SweepPoint]:
        """Up to `count` points that were not tried, numbered on; fewer only where no others are left."""
        found: list[SweepPoint] = []
        with _calm():
            while len(found) < count and not self.exhausted:
                if self._misses >= PATIENCE:
                    other = self._other()
                    if other is None:
                        self.exhausted = True
                        break
                    self.study.enqueue_trial(other)
                point = self._ask()
                self._misses = 0 if point is not None else self._misses + 1
                if point is not None:
                    found.append(point)
        return found

    def tell(self, index: int, verdict: Verdict) -> None:
        """Take the result of a point that was asked for."""
        self._verdicts[index] = verdict
        with _calm():
            for trial in self._waiting.pop(index):
                self._tell(trial, verdict)

    def save(self, path: Path) -> None:
        """Write the study as an Optuna journal, with the values of the axes. Raises ImcsimError."""
        with _calm():
            write_journal(path, self.study, self.search, self._values, lambda v: self._points.get(_key(v)))

    # --- one proposal

    def _ask(self) -> SweepPoint | None:
        """The next proposal as a point; None where it is known or forbidden."""
        trial = self.study.ask()
        values = self._values(self._suggested(trial))
        key = _key(values)
        if key not in self._points and key not in self._forbidden:
            point = self.search.sweep.point(len(self._points), values, self.loader)
            if point is not None:
                self._points[key] = point.index
                self._waiting[point.index] = [trial]
                return point
            self._forbidden.add(key)
        if key in self._forbidden:
            self.study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        elif (index := self._points[key]) in self._verdicts:
            self._tell(trial, self._verdicts[index])
        else:
            self._waiting[index].append(trial)
        return None

    def _tell(self, trial: Any, verdict: Verdict) -> None:
        if verdict.figures is None:
            self.study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            return
        for limit, away in zip(self.search.limits, verdict.violations, strict=True):
            trial.set_constraint(limit.text, away)
        self.study.tell(trial, list(verdict.figures))

    def _suggested(self, trial: Any) -> dict[str, Any]:
        """What the sampler chose, by the names of the axes: a row's number, or a value of a range."""
        chosen: dict[str, Any] = {}
        for axis in self.search.sweep.axes:
            name = _name(axis)
            within = self.search.ranges.get(name)
            if within is not None:
                suggest = trial.suggest_int if within.whole else trial.suggest_float
                chosen[name] = suggest(name, within.low, within.high, log=within.log)
            elif is_ordered(axis):
                chosen[name] = trial.suggest_int(name, 0, len(axis.rows) - 1)
            else:
                chosen[name] = trial.suggest_categorical(name, list(range(len(axis.rows))))
        return chosen

    def _values(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the axes' keys."""
        values: dict[str, Any] = {}
        for axis in self.search.sweep.axes:
            pick = chosen[_name(axis)]
            within = self.search.ranges.get(_name(axis))
            row = axis.rows[pick] if within is None else (within.tidy(pick),)
            values |= dict(zip(axis.keys, row, strict=True))
        return values

    # --- what was not tried

    def _other(self) -> dict[str, Any] | None:
        """A choice that was not tried, each with the same chance; None where none is found."""
        axes = self.search.sweep.axes
        size = math.prod(self._count(axis) for axis in axes)
        if size <= _MAX_LISTED:
            if self._others is None:
                names = [_name(axis) for axis in axes]
                picks = itertools.product(*(self._picks(axis) for axis in axes))
                self._others = [dict(zip(names, pick, strict=True)) for pick in picks]
            self._others = [one for one in self._others if self._is_new(one)]
            return self._draws.choice(self._others) if self._others else None
        for _ in range(_MAX_DRAWN):
            drawn = {_name(axis): self._drawn(axis) for axis in axes}
            if self._is_new(drawn):
                return drawn
        return None

    def _is_new(self, chosen: Mapping[str, Any]) -> bool:
        values = self._values(chosen)
        key = _key(values)
        if key in self._points or key in self._forbidden:
            return False
        if self.search.sweep.point(0, values, self.loader) is None:
            self._forbidden.add(key)
            return False
        return True

    def _count(self, axis: SweepAxis) -> float:
        within = self.search.ranges.get(_name(axis))
        if within is None:
            return len(axis.rows)
        return within.high - within.low + 1 if within.whole else math.inf

    def _picks(self, axis: SweepAxis) -> Sequence[int]:
        within = self.search.ranges.get(_name(axis))
        return range(len(axis.rows)) if within is None else range(int(within.low), int(within.high) + 1)

    def _drawn(self, axis: SweepAxis) -> int | float:
        within = self.search.ranges.get(_name(axis))
        if within is None:
            return self._draws.randrange(len(axis.rows))
        if within.log:
            value = math.exp(self._draws.uniform(math.log(within.low), math.log(within.high)))
            return within.tidy(min(max(value, within.low), within.high))
        if within.whole:
            return self._draws.randint(int(within.low), int(within.high))
        return within.tidy(self._draws.uniform(within.low, within.high))

    def _sampler(self) -> Any:
        samplers, seed = self._optuna.samplers, self.search.sweep.base.options.seed % 2**32
        about: dict[str, Any] = {"seed": seed}
        if self.search.sampler == "random":
            return samplers.RandomSampler(**about)
        if self.search.sampler == "tpe":
            return samplers.TPESampler(constant_liar=True, **about)
        return samplers.NSGAIISampler(population_size=self.search.population, **about)


def import_optuna() -> Any:
    """Optuna. Raises ImcsimError where it is missing."""
    try:
        import optuna
    except ImportError:
        raise ImcsimError("a search needs Optuna", fix="pip install 'imcsim[search]'") from None
    return optuna


class _calm(warnings.catch_warnings):
    """Without what Optuna says to its own users: log lines, and which of its features are new."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        import optuna

        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return entered


def _name(axis: SweepAxis) -> str:
    return " ".join(axis.keys)


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
