"""Loading a hardware file into its model: values, their provenance, and errors that say where and what.

The file and those that it extends are read strictly and laid over each other, overrides on top (see
hardware.layers), and the model judges the outcome. It is handed over as JSON, so lists serve for tuples
although the models are strict.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from imcsim.base.errors import ImcsimError
from imcsim.base.names import shown
from imcsim.base.yamlfile import KeyPath, dotted
from imcsim.hardware.explain import MOST_EXPLAINED, RefusedValue, explain, shape_of
from imcsim.hardware.files import read_chain
from imcsim.hardware.layers import ConfigLayer, separate_all
from imcsim.hardware.quantity import UNSOURCED, Provenance, check_unit

Model = TypeVar("Model", bound=BaseModel)

SMALLEST, LARGEST = 1e-30, 1e30
"""A figure of a chip, in any unit; real ones lie far inside."""

_MOST_SHOWN = 5


def load_config(
    path: str | Path, model: type[Model], *, overrides: Mapping[str, object] | None = None
) -> tuple[Model, dict[str, Provenance], list[str]]:
    """Read the YAML file `path`, over the files that it extends, as a `model`, with `overrides` (dotted key
    to value) laid over it.

    Returns the validated model, the provenance of every value by dotted key (a list is one value), and the
    keys whose values have no source. ``kind``, ``name`` and ``description`` written plainly count as labels
    and appear in neither. Overrides are judged like the file and have the mark ``given``; where one changes a
    section's ``kind``, what files say for the old kind alone goes. Inherited values keep their provenance.

    Raises ImcsimError: whatever `read_chain` raises, a sourced value with wrong details, values that the
    model refuses, and numbers beyond `SMALLEST` and `LARGEST`. The message has a line for each of the first
    five problems.
    """
    layers = separate_all(read_chain(path))
    config = layers[-1]
    if len(layers) > 1 or overrides:
        shape = shape_of(model)
        for layer in layers[-2::-1]:
            config = layer.over(config, shape)
        for key, value in (overrides or {}).items():
            config.override(key, value, shape)
    try:
        loaded = model.model_validate_json(json.dumps(config.values, allow_nan=False))
    except ValidationError as error:
        problems = explain(error, model, config.values)
        raise _complaint(config, problems, more=error.error_count() > MOST_EXPLAINED) from None
    if beyond := list(_beyond(config.values, ())):
        raise _complaint(config, beyond[:MOST_EXPLAINED], more=len(beyond) > MOST_EXPLAINED)
    for place, details in config.details.items():
        check_unit(config.owners[place], place, details)
    provenance = {dotted(place): config.provenance[place] for place in config.provenance}
    return loaded, provenance, [key for key, about in provenance.items() if about.mark == UNSOURCED]


def _beyond(data: Any, path: KeyPath) -> Iterator[RefusedValue]:
    """Numbers with which products of a few figures would leave the range of floats."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _beyond(value, (*path, key))
    elif isinstance(data, int | float) and data and not SMALLEST <= abs(data) <= LARGEST:
        wanted = f"expected 0 or a number from {SMALLEST:g} to {LARGEST:g} in size, got {shown(data)}"
        yield RefusedValue(path, wanted)


def config_hash(
    config: BaseModel, tables: Mapping[str, float] | None = None, leave_out: Set[str] = frozenset()
) -> str:
    """sha256, in hex, over the values of `config` in canonical JSON; where they come from does not count.

    tables: the figures of its reference tables, which count like values; their files' names do not.
    leave_out: sections, and dotted keys, that do not count.
    """
    values = config.model_dump(mode="json", exclude=excluded({"reference_tables", *leave_out}))
    if tables:
        values["reference_tables"] = dict(tables)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def excluded(names: Set[str]) -> dict[str, Any]:
    """Dotted keys as pydantic wants what it is to leave out."""
    tree: dict[str, Any] = {}
    for name in sorted(names):
        *above, last = name.split(".")
        section = tree
        for part in above:
            section = section.setdefault(part, {})
        section[last] = True
    return tree


def _complaint(config: ConfigLayer, problems: list[RefusedValue], *, more: bool) -> ImcsimError:
    """One error for all `problems`: the first five, a line each, and how many more there are.

    `more` says that the list of problems is itself cut short.
    """
    first, *others = [config.error(problem) for problem in problems]
    if not others:
        return first
    message = f"{first.message} ({first.fix})" if first.fix else first.message
    lines = [message, *(str(other) for other in others[: _MOST_SHOWN - 1])]
    left = len(others) - (_MOST_SHOWN - 1)
    if left > 0:
        lines.append("and many more" if more else f"and {left} more")
    return ImcsimError("\n".join(lines), file=first.file, line=first.line, key=first.key)
