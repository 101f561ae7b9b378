"""Options of the command line: those of run settings, made from their declarations, and those of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import click

from imcsim.base.choices import EXIT_RULES, INPUT_ENCODINGS
from imcsim.base.errors import ImcsimError
from imcsim.commands.completion import (
    complete_hardware,
    complete_inputs,
    complete_model,
    complete_setting,
)
from imcsim.commands.help import Refused
from imcsim.studies.settings import DECLARED, RunSettings

PLAYING = (
    "hardware", "overrides", "model", "inputs", "validation", "timesteps", "encoding", "bin_us", "labels",
    "images", "seed", "chip", "workers", "plugins",
)  # fmt: skip
"""Settings that all commands with a chip and inputs share: what is played on what."""
EXITING = ("threshold", "thresholds", "max_loss", "temperatures", "rule", "accumulation", "issue")
"""Settings of early exit, and of when the next timestep enters."""
ENCODING = ("encoding", "bin_us", "labels")
"""Settings that say how inputs of any kind become what enters at each timestep."""


@dataclass(frozen=True)
class Delivery:
    """Where a result goes: the file of its JSON document (``-``: stdout), the folder of its tables and
    figures, whether DT-SNN's published lines stand in these, and whether nothing else is printed.
    """

    json_path: str | None
    out_folder: str | None
    quiet: bool
    paper: bool = False

    @property
    def silent(self) -> bool:
        """Whether no tables are printed: somebody wants a file alone."""
        return self.quiet and not (self.json_path is None and self.out_folder is None)


def numbers_in_unit_range(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | tuple[float, ...] | None:
    """``0.3`` as a number, ``0.3,0.25,0.2`` as several."""
    if value is None:
        return None
    low, high = DECLARED["threshold"].meaning.low, DECLARED["threshold"].meaning.high
    assert low is not None
    assert high is not None
    found = []
    for part in value.split(","):
        try:
            found.append(float(part))
        except ValueError:
            raise click.BadParameter(f"{part!r} is not a number", context, parameter) from None
        if not low <= found[-1] <= high:  # nor is anything that is no number
            raise click.BadParameter(
                f"{part.strip()} does not lie between {low} and {high}", context, parameter
            )
    return found[0] if len(found) == 1 else tuple(found)


def number_in_unit_range(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """``0.005`` as a number."""
    found = numbers_in_unit_range(context, parameter, value)
    if isinstance(found, tuple):
        raise click.BadParameter(f"{value!r} is not a number", context, parameter)
    return found


def issue_policy(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value != DECLARED["issue"].default:
        from imcsim.timing import parse

        try:
            parse(value)
        except ImcsimError as error:
            raise Refused(error, context, parameter) from error
    return value


def read_settings(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, Any]:
    """``adc.bits=5`` as a key and its value, which is read as in a file."""
    found: dict[str, Any] = {}
    for entry in value:
        key, equals, text = entry.partition("=")
        key = key.strip()
        if not equals or not key:
            raise click.BadParameter("write KEY=VALUE, as adc.bits=5", context, parameter)
        from imcsim.base.yamlfile import parse_yaml

        try:
            found[key] = parse_yaml(text, "--set").data
        except ImcsimError as error:
            raise ImcsimError(error.message, key=f"override {key}", fix=error.fix) from error
    return found


def load_plugins(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Offer the parts of these files to what is parsed after them."""
    if value:
        from imcsim.base.plugins import load_files

        load_files(value)
    return value


def exit_rule(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value not in EXIT_RULES:  # only a plug-in's is looked for: numpy takes its time
        _check_name(context, parameter, "rule", value)
    return value


def encoding(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and value not in INPUT_ENCODINGS:
        _check_name(context, parameter, "encoding", value)
    return value


def _check_name(context: click.Context, parameter: click.Parameter, key: str, value: str) -> None:
    from imcsim.studies.checking import check_name

    try:
        check_name(key, value)
    except ImcsimError as error:
        if error.file is not None:  # a plug-in is broken, not the option
            raise
        raise Refused(error, context, parameter) from error


# What the command line does with values beyond their type and bounds.
_CALLBACKS: dict[str, Callable[..., Any]] = {
    "overrides": read_settings,
    "threshold": numbers_in_unit_range,
    "max_loss": number_in_unit_range,
    "issue": issue_policy,
    "plugins": load_plugins,
    "rule": exit_rule,
    "encoding": encoding,
}
_COMPLETIONS: dict[str, Callable[..., Any]] = {
    "hardware": complete_hardware,
    "overrides": complete_setting,
    "model": complete_model,
    "inputs": complete_inputs,
    "validation": complete_inputs,
}


_FLAGS = {"overrides": ["--set", "overrides"], "plugins": ["--plugin", "plugins"]}
"""Names of options that are not those of their settings."""


def option(
    name: str, *, text: str | None = None, unset: str | None = None, **more: Any
) -> Callable[[Any], Any]:
    """The option of the setting `name`: its type, bounds, default and help are those of its declaration.

    Where a command means something else by it, `text` is another help text, `unset` says what stands in the
    place of an option that is left out, and `more` is for click, as it stands.
    """
    one = DECLARED[name]
    about: dict[str, Any] = {"type": _type(name), "metavar": one.meaning.metavar}
    shown = one.meaning.text if text is None else text
    if name == "overrides":
        about |= {"multiple": True}
        shown += " May be repeated."
    elif name == "plugins":
        about |= {"multiple": True, "is_eager": True, "type": str}
        shown += " May be repeated."
    elif name == "seed":
        about |= {"default": one.default}
        unset = "that of a trace of random spikes, else 0" if text is None else "0"  # see `common.load_all`
    elif one.default is not None and "default" not in more:
        about |= {"default": one.default, "show_default": True}
    elif text is None and unset is None:
        unset = one.meaning.unset
    if unset is not None:
        shown += f"  [default: {unset}]"
    if name in _CALLBACKS:
        about |= {"callback": _CALLBACKS[name]}
    if name in _COMPLETIONS:
        about |= {"shell_complete": _COMPLETIONS[name]}
    flags = _FLAGS.get(name) or [f"--{name.replace('_', '-')}"]
    return click.option(*flags, **{**about, "help": shown, **more})


def _type(name: str) -> Any:
    """What click takes for the type of a setting."""
    meaning, kind = DECLARED[name].meaning, DECLARED[name].type
    kinds = [part for part in get_args(kind) if part is not NoneType] or [kind]
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if get_origin(kinds[0]) is Literal:
        return click.Choice(get_args(kinds[0]))
    if kinds == [int]:
        return click.IntRange(meaning.low, meaning.high)
    return str


def options_of(*names: str) -> Callable[[Any], Any]:
    """The options of these settings, which the command takes one by one."""
    return lambda command: _all(command, [option(name) for name in names])


def memory_option(command: Any) -> Any:
    """How much memory values in flight may take; holds for all that the command does."""

    def limit(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            from imcsim.base.memory import limited, size_bytes

            try:
                context.with_resource(limited(size_bytes(value, "memory")))
            except ImcsimError as error:
                raise Refused(error, context, parameter) from error

    text = "Memory that values in flight may take, as 512M or 4G; no result depends on it."
    return click.option(
        "--memory", metavar="SIZE", callback=limit, expose_value=False, is_eager=True,
        help=f"{text}  [default: half of what is free]",
    )(command)  # fmt: skip


def run_settings(*names: str) -> Callable[[Any], Any]:
    """The options of these settings, which the command takes as one argument: ``settings``."""

    def add(command: Any) -> Any:
        @wraps(command)
        def called(*arguments: Any, **values: Any) -> Any:
            given = {name: values.pop(name) for name in names}
            return command(*arguments, settings=RunSettings().changed(given), **values)

        return options_of(*names)(memory_option(called) if "workers" in names else called)

    return add


def gathered(name: str, kind: type) -> Callable[[Any], Any]:
    """Hand the options named as the fields of the dataclass `kind` to the command as one argument: `name`."""

    def add(command: Any) -> Any:
        @wraps(command)
        def called(*arguments: Any, **values: Any) -> Any:
            whole = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            return command(*arguments, **{name: whole}, **values)

        return called

    return add


def plugin_option(command: Any) -> Any:
    """The option ``--plugin`` of a command that takes no settings: files are loaded before all else."""
    return option("plugins", expose_value=False)(command)


def delivery_options(command: Any) -> Any:
    """Where a result goes; the command takes it as one argument: ``delivery``."""

    return _all(
        gathered("delivery", Delivery)(command),
        [
            click.option(
                "--json", "json_path", metavar="FILE", help="Write the result as JSON; - is stdout."
            ),
            click.option(
                "--out", "out_folder", metavar="DIR", help="Write JSON, CSV tables and figures there."
            ),
            click.option("--paper", is_flag=True, help="Draw what DT-SNN published beside the figures."),
            click.option(
                "--quiet", is_flag=True, help="No progress; no tables either if --json or --out is given."
            ),
        ],
    )


def common_options(command: Any) -> Any:
    """The options that `compare`, `run` and `stream` share."""
    return run_settings(*PLAYING, *EXITING, "fidelity")(strict_option(delivery_options(command)))


def strict_option(command: Any) -> Any:
    """Whether figures of the chip that do not hold for it are an error; sets the chip's key ``strict``."""

    @wraps(command)
    def called(*arguments: Any, settings: RunSettings, strict: bool, **values: Any) -> Any:
        if strict:
            settings = settings.changed({"strict": True})
        return command(*arguments, settings=settings, **values)

    text = "Refuse a chip whose figures do not hold for it, instead of warning."
    return click.option("--strict", is_flag=True, help=text)(called)


def policy_option(command: Any) -> Any:
    """The option that `run` and `stream` share."""
    return click.option(
        "--policy",
        type=click.Choice(["static", "dynamic"]),
        default="dynamic",
        show_default=True,
        help="Always T max timesteps, or early exit.",
    )(command)


def _all(command: Any, options: Sequence[Callable[[Any], Any]]) -> Any:
    """Add options, the first one first in the help."""
    for one in reversed(options):
        command = one(command)
    return command
