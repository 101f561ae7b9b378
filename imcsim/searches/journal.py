"""The trials of a search as an Optuna journal, for Optuna's own tools; the search itself never reads it.

The sampler chooses among the rows of an axis by their number. Here stand the values of the keys: what a
reader of the journal, or of the dashboard, wants to see.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imcsim.base.errors import cannot_write
from imcsim.base.files import written_whole
from imcsim.searches.spec import Search
from imcsim.sweeps.spec import SweepAxis

Values = Callable[[Mapping[str, Any]], dict[str, Any]]


def write_journal(
    path: Path, study: Any, search: Search, values: Values, points: Callable[[Mapping[str, Any]], int | None]
) -> None:
    """Write `study` to `path` with a parameter for each key of the axes. Raises ImcsimError where it cannot
    be written.

    `values` gives the values of the keys of what a trial chose, `points` the number of the point that has
    them (None: a constraint of the spec forbids it), which is a user attribute of the trial.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    distributions = _distributions(search)
    try:
        with written_whole(path) as temporary:
            written = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(temporary))),
                study_name=search.sweep.name,
                directions=study.directions,
            )
            written.set_metric_names([one.column for one in search.objectives])
            for trial in study.get_trials(deepcopy=False):
                chosen = values(trial.params)
                shown = copy.copy(trial)
                shown.distributions = distributions
                shown.params = {key: _value(chosen[key], one) for key, one in distributions.items()}
                point = points(chosen)
                shown.user_attrs = {} if point is None else {"point": point}
                # What was asked for by number would be no value of these parameters. The dashboard knows a
                # trial that breaks a constraint by the older list alone.
                shown.system_attrs = {k: v for k, v in trial.system_attrs.items() if k != "fixed_params"}
                if trial.constraints:
                    shown.system_attrs["constraints"] = list(trial.constraints.values())
                written.add_trial(shown)
    except OSError as error:
        raise cannot_write(path, error) from None


def _distributions(search: Search) -> dict[str, Any]:
    """What each key may be: any number of a range, or one of the values that the spec lists."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for axis in search.sweep.axes:
        for key in axis.keys:
            within = search.ranges.get(key)
            if within is None:
                found[key] = CategoricalDistribution(_choices(axis, key))
            elif within.whole:
                found[key] = IntDistribution(int(within.low), int(within.high), log=within.log)
            else:
                found[key] = FloatDistribution(within.low, within.high, log=within.log)
    return found


def _choices(axis: SweepAxis, key: str) -> list[Any]:
    """The values of a key, each once."""
    column = [row[axis.keys.index(key)] for row in axis.rows]
    distinct = list({json.dumps(value): value for value in column}.values())
    plain = all(value is None or isinstance(value, bool | int | float | str) for value in distinct)
    # Optuna tells choices apart by ==, for which true is 1; lists it does not keep at all.
    return distinct if plain and len(set(distinct)) == len(distinct) else list(map(json.dumps, distinct))


def _value(value: Any, within: Any) -> Any:
    """The value as its distribution has it: as it is, or as text."""
    choices = getattr(within, "choices", None)
    return value if choices is None or value in choices else json.dumps(value)


__all__ = ["write_journal"]
