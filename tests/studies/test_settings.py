"""Run settings are declared once: what the command line, specs and Python take follows from that."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click
import pytest
from plugin_files import written

import imcsim
from imcsim import api
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import cli
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.studies.checking import settings_of
from imcsim.studies.settings import DECLARED, SETTINGS, CompareOptions, Declaration, RunSettings
from imcsim.sweeps.json_schema import json_schema
from imcsim.sweeps.spec import SpecModel

FUNCTIONS = {
    api.compare: {"progress", "against", "against_hardware", "scheduler"},
    api.compare_chips: {"progress", "chips"},
    api.run: {"progress", "policy"},
    api.stream: {"progress", "policy", "arrivals", "rate", "copies"},
}
"""Functions with run settings, and what else they take."""
LOADED: dict[str, set[Any]] = {
    "model": {Network, Any},
    "hardware": {Hardware, Mapping[str, object]},
    "inputs": {Inputs, Any},
    "validation": {Inputs, Any},
}
"""Settings that Python takes as objects too: loaded ones, modules and tensors of PyTorch, overrides."""


def arguments(function: Callable[..., Any]) -> dict[str, str]:
    """The ``Args`` of a docstring: by name, on one line each."""
    doc = inspect.getdoc(function) or ""
    section = doc.split("Args:\n")[1].split("\n\n")[0]
    entries = re.split(r"\n(?=    \w+: )", "\n" + section)
    return {key: " ".join(text.split()) for key, text in (one.strip().split(": ", 1) for one in entries[1:])}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_python_keywords_are_the_declared_settings(function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters
    hints, docs = get_type_hints(function), arguments(function)
    expected = [name for name in DECLARED if name != "chips"]
    assert set(parameters) == {*expected, *FUNCTIONS[function]}
    assert set(docs) == set(parameters)
    assert not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    for name in expected:
        one, hint = DECLARED[name], hints[name]
        assert parameters[name].default == one.default, name
        if name in LOADED:
            assert set(get_args(hint)) == {*get_args(one.type), *LOADED[name]}, name
        elif name == "overrides":
            assert hint == Mapping[str, object] | None
        else:
            assert hint == one.type, name
        assert docs[name] == one.docstring, name


@pytest.mark.parametrize("chosen", [False, True])
def test_every_python_keyword_arrives(chosen: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "overrides": {"adc.bits": 5}, "images": 7, "encoding": "rate", "labels": "l.npy", "bin_us": 9,
        "timesteps": 3, "threshold": (0.3, 0.2), "thresholds": "one", "rule": "margin", "accumulation": "sum",
        "issue": "speculate", "fidelity": "reference", "seed": 5, "chip": 2, "workers": 3,
        "plugins": (str(written(tmp_path)),), "max_loss": None, "temperatures": "one",
    }  # fmt: skip
    if chosen:  # thresholds are either given or chosen in some way
        given |= {"threshold": None, "thresholds": "each", "max_loss": 0.01, "temperatures": "each"}
    expected = RunSettings().changed(given)
    assert {*given, *LOADED} == {*DECLARED} - {"chips"}
    seen: list[RunSettings] = []

    class Arrived(Exception):
        pass

    def arrive(settings: RunSettings, *subject: Any) -> Any:
        seen.append(settings)
        assert subject == ("m", "h", "i", "v")
        raise Arrived

    monkeypatch.setattr(api, "load_given", arrive)
    for function in FUNCTIONS:
        with pytest.raises(Arrived):
            function("m", "h", "i", "v", **given)
    assert seen == [expected] * len(FUNCTIONS)
    assert seen[0].overrides == {"adc.bits": 5}
    assert seen[0].options.threshold == given["threshold"]


def options(command: str) -> dict[str, click.Option]:
    found = cli.commands[command]
    return {one.name: one for one in found.params if isinstance(one, click.Option) and one.name}


@pytest.mark.parametrize("command", ["compare", "run", "stream"])
@pytest.mark.parametrize("one", DECLARED.values(), ids=lambda one: one.name)
def test_options_of_commands_follow_from_the_declaration(command: str, one: Declaration) -> None:
    if one.name == "chips" and command != "compare":
        assert one.name not in options(command)
        return
    option = options(command)[one.name]
    help_text = option.help or ""
    assert help_text.startswith(one.meaning.text)
    kinds = [kind for kind in get_args(one.type) if kind is not NoneType] or [one.type]
    if one.name in ("overrides", "plugins"):
        assert option.opts == ["--set" if one.name == "overrides" else "--plugin"]
        assert option.multiple
        return
    assert option.opts == [f"--{one.name.replace('_', '-')}"]
    if one.default is not None:
        assert option.default == one.default
    else:
        assert f"[default: {one.meaning.unset}]" in help_text
    if get_origin(one.type) is Literal or get_origin(kinds[0]) is Literal:
        choices = get_args(one.type if get_origin(one.type) is Literal else kinds[0])
        assert isinstance(option.type, click.Choice)
        assert tuple(option.type.choices) == choices
    elif kinds == [int]:
        assert isinstance(option.type, click.IntRange)
        assert (option.type.min, option.type.max) == (one.meaning.low, one.meaning.high)


def test_other_commands_take_settings_of_the_same_bounds() -> None:
    for command in cli.commands.values():
        for one in command.params:
            # The --image of a timeline is the number of one.
            if one.name in DECLARED and isinstance(one.type, click.IntRange) and not one.multiple:
                meaning = DECLARED[one.name].meaning
                assert (one.type.min, one.type.max) == (meaning.low, meaning.high), (command.name, one.name)


def test_specs_hold_the_declared_settings() -> None:
    assert set(SpecModel.model_fields) == {*SETTINGS, "name", "set", "axes", "zip", "constraints", "plugins"}
    properties = json_schema()["properties"]
    for name in SETTINGS:
        one = DECLARED[name]
        assert SpecModel.model_fields[name].default == one.default
        assert properties[name]["description"].startswith(one.meaning.text)
        if one.meaning.unset is not None:
            assert properties[name]["description"].endswith(f"Default: {one.meaning.unset}.")


def bounded() -> list[Declaration]:
    return [one for one in DECLARED.values() if one.meaning.low is not None]


@pytest.mark.parametrize("one", bounded(), ids=lambda one: one.name)
def test_bounds_hold_in_python(one: Declaration) -> None:
    low, high = one.meaning.low, one.meaning.high
    assert low is not None
    assert settings_of(**{one.name: low}).values().get(one.name, low) == low
    beyond = [low - 1] if high is None else [low - 1, high + 1]
    if high is not None:
        assert settings_of(**{one.name: high}).values().get(one.name, high) == high
    for value in beyond:
        with pytest.raises(ImcsimError, match=f"^{one.name}: expected .* {low}.*, got {value}"):
            settings_of(**{one.name: value})


def test_no_other_setting_is_known() -> None:
    with pytest.raises(ImcsimError, match=r"timestep: unknown key \(did you mean 'timesteps"):
        settings_of(timestep=3)


def test_changed_settings_go_where_they_belong() -> None:
    made = RunSettings(overrides={"adc.bits": 4}).changed(
        {"images": 3, "threshold": [0.5], "cells.rows": 64, "chips": 2}
    )
    assert made == RunSettings(
        overrides={"adc.bits": 4, "cells.rows": 64},
        images=3,
        chips=2,
        options=CompareOptions(threshold=(0.5,)),
    )
    assert made.values()["threshold"] == (0.5,)
    assert set(made.values()) == set(SETTINGS)


def test_no_setting_lacks_a_sentence() -> None:
    for one in DECLARED.values():
        assert one.meaning.text.endswith("."), one.name
        assert one.default is not None or one.meaning.unset or one.name == "overrides", one.name


def test_the_default_chip_network_and_images_are_there() -> None:
    assert DECLARED["hardware"].default in imcsim.hardware.names()
    assert DECLARED["model"].default in imcsim.network.names()
    assert DECLARED["inputs"].default in imcsim.inputs.names()


def test_examples_of_the_interface_run() -> None:
    import doctest

    found = doctest.testmod(api)
    assert found.attempted >= 8
    assert found.failed == 0


def test_the_interface_spells_its_keywords_out_in_the_source() -> None:
    text = Path(api.__file__).read_text()
    assert "**" not in re.sub(r'"""[\s\S]*?"""', "", text)
