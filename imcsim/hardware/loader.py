"""Loading a hardware file into its model: values, their provenance, and errors that say where and what.

The file is read strictly, provenance is taken off the values, overrides are laid over them, and the model
judges the values (they are handed over as JSON, so lists serve for tuples although the models are strict).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from imcsim.errors import ImcsimError
from imcsim.hardware.explain import MOST_EXPLAINED, Problem, explain
from imcsim.hardware.quantity import (
    LABELS,
    UNSOURCED,
    Provenance,
    check_unit,
    is_quantity,
    plain_provenance,
    read_quantity,
    read_sources,
)
from imcsim.names import shown
from imcsim.yamlfile import DEEPEST, KeyPath, YamlDocument, dotted, read_yaml

Model = TypeVar("Model", bound=BaseModel)

SOURCES = "sources"
"""The one top-level key that is not part of the model: citations, by the names that values use."""

_MOST_SHOWN = 5


def load_config(
    path: str | Path, model: type[Model], *, overrides: Mapping[str, object] | None = None
) -> tuple[Model, dict[str, Provenance], list[str]]:
    """Read the YAML file `path` as a `model`, with `overrides` (dotted key to value) laid over it.

    Returns the validated model, the provenance of every value by dotted key (a list is one value), and the
    keys whose values have no source. ``kind``, ``name`` and ``description`` written plainly count as labels
    and appear in neither. Overrides are judged like the file and have the mark ``given``.

    Raises ImcsimError: whatever `read_yaml` raises, a sourced value with wrong details, and values that the
    model refuses. The message has a line for each of the first five problems.
    """
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise document.error((), "expected `key: value` lines", fix="is this a hardware file?")
    config = _separate(document)
    for key, value in (overrides or {}).items():
        config.override(key, value)
    try:
        loaded = model.model_validate_json(json.dumps(config.values, allow_nan=False))
    except ValidationError as error:
        problems = explain(error, model, config.values)
        raise _complaint(config, problems, more=error.error_count() > MOST_EXPLAINED) from None
    for place, details in config.details.items():
        check_unit(document, place, details)
    provenance = {dotted(place): config.provenance[place] for place in config.provenance}
    return loaded, provenance, [key for key, about in provenance.items() if about.mark == UNSOURCED]


def config_hash(config: BaseModel, tables: Mapping[str, float] | None = None) -> str:
    """sha256, in hex, over the values of `config` in canonical JSON; where they come from does not count.

    tables: the figures of its reference tables, which count like values; their files' names do not.
    """
    values = config.model_dump(mode="json", exclude={"reference_tables"})
    if tables:
        values["reference_tables"] = dict(tables)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class _Config:
    """Values on their own, and what is known about each by its path."""

    document: YamlDocument
    values: dict[str, Any] = field(default_factory=dict)
    provenance: dict[KeyPath, Provenance] = field(default_factory=dict)
    details: dict[KeyPath, dict[str, Any]] = field(default_factory=dict)
    overridden: list[KeyPath] = field(default_factory=list)

    def override(self, key: str, value: object) -> None:
        """Set the value at the dotted `key`, making sections on the way where there are none."""
        parts: tuple[str, ...] = tuple(key.split(".")) if isinstance(key, str) else ()
        if not all(parts) or not 0 < len(parts) <= DEEPEST:
            raise ImcsimError(f"{key!a} is not a dotted key", key="override", fix="write it like adc.bits")
        plain = _plain(key, value)
        section = self.values
        for position, part in enumerate(parts[:-1]):
            below = section.setdefault(part, {})
            if not isinstance(below, dict):
                at = dotted(parts[: position + 1])
                raise ImcsimError(
                    f"{at} is a value, not a section", key=f"override {key}", fix=f"override {at}"
                )
            section = below
        section[parts[-1]] = plain
        for place in [p for p in self.provenance if p[: len(parts)] == parts]:
            del self.provenance[place]
        self.overridden.append(parts)
        for place in _leaves(plain, parts):
            self.provenance[place] = plain_provenance(place, line=None, given=True)

    def error(self, problem: Problem) -> ImcsimError:
        """`problem` with the line in the file, or with the override that caused it."""
        place = problem.path
        in_file = self.document.line(place) is not None
        for given in self.overridden:
            if given == place[: len(given)] or (given[: len(place)] == place and not in_file):
                key = f"override {dotted(place if len(place) > len(given) else given)}"
                return ImcsimError(problem.message, key=key, fix=problem.fix)
        for length in range(1, len(place)):
            if place[:length] in self.details:
                place = (*place[:length], "value", *place[length:])
                break
        line = self.document.error(place, "").line
        return ImcsimError(
            problem.message,
            file=self.document.path,
            line=line,
            key=dotted(problem.path) or None,
            fix=problem.fix,
        )


def _separate(document: YamlDocument) -> _Config:
    config = _Config(document)
    data = dict(document.data)
    sources = read_sources(document, data.pop(SOURCES, {}))

    def split(data: Any, path: KeyPath) -> Any:
        if path and is_quantity(data):
            config.details[path] = data
            value, config.provenance[path] = read_quantity(document, path, data, sources)
            return value
        if isinstance(data, dict):
            return {key: split(value, (*path, key)) for key, value in data.items()}
        if isinstance(data, list) and any(isinstance(entry, dict) for entry in data):
            return [split(entry, (*path, position)) for position, entry in enumerate(data)]
        if not path or path[-1] not in LABELS:
            config.provenance[path] = plain_provenance(path, line=document.line(path))
        return data

    config.values = split(data, ())
    return config


def _leaves(data: Any, path: KeyPath) -> list[KeyPath]:
    if isinstance(data, dict):
        return [leaf for key, value in data.items() for leaf in _leaves(value, (*path, key))]
    return [path]


def _plain(key: str, value: object) -> Any:
    """`value` as a file would have held it. NumPy numbers and arrays become plain ones."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=lambda odd: odd.tolist())
        text.encode()
        plain = json.loads(text)
    except (TypeError, ValueError, AttributeError, RecursionError):
        plain = None
        refused = True
    else:
        refused = _deeper(plain, DEEPEST)
    if refused:
        fix = "give a finite number, text, true or false, or a list of these"
        raise ImcsimError(f"{shown(value)} cannot be a value", key=f"override {key}", fix=fix)
    return plain


def _deeper(data: Any, levels: int) -> bool:
    """Whether `data` has more than `levels` levels of lists and sections."""
    below = data.values() if isinstance(data, dict) else data if isinstance(data, list) else None
    return below is not None and (levels == 0 or any(_deeper(entry, levels - 1) for entry in below))


def _complaint(config: _Config, problems: list[Problem], *, more: bool) -> ImcsimError:
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
