"""Settings of a run that were given as plain data: checked against their declarations.

The pydantic model of settings is made from `imcsim.studies.settings`, so a bound or a choice is declared
once, whether it is checked on the command line, in the spec of a sweep or in a call from Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from imcsim.base.errors import ImcsimError
from imcsim.base.names import shown, suggestion
from imcsim.base.plugins import load_files
from imcsim.base.yamlfile import dotted
from imcsim.exits import RULES
from imcsim.hardware.explain import explain
from imcsim.inputs.encodings import DIRECT, ENCODINGS
from imcsim.studies.settings import DECLARED, Declaration, Meaning, RunSettings


class Strict(BaseModel):
    """A model that takes no value of another type and no other key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def settings_model(
    name: str, settings: Iterable[str], base: type[BaseModel] = Strict, about: str | None = None
) -> type[BaseModel]:
    """A model called `name` with the fields of `base` and these `settings`.

    File names are texts, as files hold them.
    """
    fields: dict[str, Any] = {key: _field(DECLARED[key]) for key in settings}
    return create_model(name, __base__=base, __doc__=about or base.__doc__, **fields)


def settings_of(**values: object) -> RunSettings:
    """The settings with these values by name, `overrides` among them.

    Raises ImcsimError for what the command line would refuse: a value of another type or out of bounds, and
    thresholds that are given and are to be chosen.
    """
    overrides = values.get("overrides")
    if overrides is not None and not isinstance(overrides, Mapping):
        raise ImcsimError("this is no mapping", key="overrides", fix='write {"adc.bits": 5}')
    given = {key: value for key, value in values.items() if key != "overrides"}
    found = {}
    for key, value in given.items():
        try:
            found[key] = plain(value)
        except ValueError:
            raise ImcsimError(
                f"{value!r:.60} is no value for it", key=key, fix="give plain numbers, texts or lists"
            ) from None
    model = _all_settings()
    try:
        model.model_validate_json(json.dumps(found))
    except ValidationError as error:
        problem = explain(error, model, found)[0]
        raise ImcsimError(problem.message, key=dotted(problem.path) or None, fix=problem.fix) from None
    load_files(found.get("plugins") or ())
    for key, value in found.items():
        check_name(key, value)
    settings = RunSettings(overrides=dict(overrides or {})).changed(given)
    if settings.options.threshold is not None and (how := settings.options.choosing):
        message = "this says how thresholds are chosen, threshold gives them"
        raise ImcsimError(message, key=how, fix="leave one of them out")
    return settings


def check_name(key: str, value: object) -> None:
    """Raise ImcsimError where the setting `key` names a part of the simulator that is not there.

    Plug-ins must have been loaded before.
    """
    if key == "rule" and isinstance(value, str):
        RULES.get(value)
    if key == "encoding" and isinstance(value, str) and value != DIRECT:
        ENCODINGS.get(value)


def check_choice(key: str, value: object, choices: Any) -> None:
    """Raise ImcsimError where `value` is none of the `choices`, a Literal."""
    words = get_args(choices)
    if value not in words:
        listed = ", ".join(map(repr, words))
        fix = suggestion(value, words, "give one of these")
        raise ImcsimError(f"expected one of {listed}, got {shown(value)}", key=key, fix=fix)


def plain(value: Any) -> Any:
    """A value as a file would hold it; paths become texts, arrays lists. Raises ValueError for others."""

    def as_plain(other: Any) -> Any:
        return str(other) if isinstance(other, Path) else other.tolist()

    try:
        return json.loads(json.dumps(value, allow_nan=False, default=as_plain))
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from None


@cache
def _all_settings() -> type[BaseModel]:
    return settings_model("Settings", [name for name in DECLARED if name != "overrides"])


def _field(one: Declaration) -> tuple[Any, Any]:
    meaning, text = one.meaning, one.meaning.text
    if one.default is None and meaning.unset is not None:
        text = f"{text} Default: {meaning.unset}."
    return _bounded(one.type, meaning), Field(default=one.default, description=text)


def _bounded(kind: Any, meaning: Meaning) -> Any:
    """The type with the bounds on each of its numbers, and without paths."""
    if get_origin(kind) in (Union, UnionType):
        return reduce(or_, [_bounded(part, meaning) for part in get_args(kind) if part is not Path])
    if get_origin(kind) is tuple:
        return tuple[(_bounded(get_args(kind)[0], meaning), ...)]  # type: ignore[misc]
    if kind in (int, float):
        return Annotated[kind, Field(ge=meaning.low, le=meaning.high)]
    return kind
