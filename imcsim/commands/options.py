"""Options that several commands share, and what is left out where none is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

import click

from imcsim.base.choices import Accumulation, Fidelity, InputEncoding, Rule, Thresholds
from imcsim.base.errors import ImcsimError
from imcsim.commands.completion import (
    complete_hardware,
    complete_inputs,
    complete_model,
    complete_setting,
)
from imcsim.studies.options import DEFAULT_HARDWARE as DEFAULT_HARDWARE
from imcsim.studies.options import DEFAULT_INPUTS as DEFAULT_INPUTS
from imcsim.studies.options import DEFAULT_MODEL as DEFAULT_MODEL
from imcsim.studies.options import DEFAULT_VALIDATION as DEFAULT_VALIDATION
from imcsim.studies.options import MAX_TIMESTEPS as MAX_TIMESTEPS
from imcsim.studies.options import MOST_CHIPS

DEFAULT_ISSUE = "wait"

Command = TypeVar("Command", bound=Callable[..., Any])


def numbers_in_unit_range(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | tuple[float, ...] | None:
    """``0.3`` as a number, ``0.3,0.25,0.2`` as several."""
    if value is None:
        return None
    found = []
    for part in value.split(","):
        try:
            found.append(float(part))
        except ValueError:
            raise click.BadParameter(f"{part!r} is not a number", context, parameter) from None
        if not 0 <= found[-1] <= 1:  # nor is anything that is no number
            raise click.BadParameter(f"{part.strip()} does not lie between 0 and 1", context, parameter)
    return found[0] if len(found) == 1 else tuple(found)


def issue_policy(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value != DEFAULT_ISSUE:
        from imcsim.timing import parse

        try:
            parse(value)
        except ImcsimError as error:
            raise click.BadParameter(str(error), context, parameter) from error
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


def set_option(command: Command) -> Command:
    """``--set KEY=VALUE``: other values than the chip's file has."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        callback=read_settings,
        shell_complete=complete_setting,
        help="Give a key of the chip another value, as adc.bits=5. May be repeated.",
    )(command)


def hardware_options(command: Command) -> Command:
    """Which chip, and what is different on it."""
    return click.option(
        "--hardware",
        metavar="NAME|FILE",
        default=DEFAULT_HARDWARE,
        show_default=True,
        shell_complete=complete_hardware,
        help="Chip.",
    )(set_option(command))


def model_option(command: Command) -> Command:
    """Which network."""
    return click.option(
        "--model",
        metavar="NAME|DIR",
        default=DEFAULT_MODEL,
        show_default=True,
        shell_complete=complete_model,
        help="Trained network.",
    )(command)


def encoding_options(command: Command) -> Command:
    """How inputs of any kind become what enters at each timestep."""
    return _all(
        command,
        (
            click.option(
                "--encoding",
                type=click.Choice(get_args(InputEncoding)),
                help="Images enter as they are at every timestep, or as random spikes.  [default: direct]",
            ),
            click.option(
                "--bin-us",
                type=click.IntRange(min=1),
                metavar="MICROSECONDS",
                help="Length of a timestep of events.  [default: each recording in equal parts]",
            ),
            click.option(
                "--labels",
                metavar="FILE",
                help="Labels of --inputs that hold none: .npy, or .csv for a folder of images.",
            ),
        ),
    )


_SUBJECTS = (
    hardware_options,
    model_option,
    click.option(
        "--inputs",
        metavar="NAME|FILE|DIR",
        default=DEFAULT_INPUTS,
        show_default=True,
        shell_complete=complete_inputs,
        help="Images, events or a trace to run.",
    ),
    click.option(
        "--validation",
        metavar="NAME|FILE|DIR",
        shell_complete=complete_inputs,
        help="Images on which the threshold is chosen.  "
        f"[default: built-in ones that go with --inputs, such as {DEFAULT_VALIDATION}]",
    ),
    click.option(
        "--timesteps",
        type=click.IntRange(1, MAX_TIMESTEPS),
        help="T max.  [default: the network's own]",
    ),
)
_IMAGES = click.option("--images", type=click.IntRange(min=1), help="Run only the first so many of --inputs.")
_PLAYING = (
    click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        metavar="INTEGER",
        help="Seed of every random draw.  [default: that of a trace of random spikes, else 0]",
    ),
    click.option(
        "--chip",
        type=click.IntRange(0, MOST_CHIPS - 1),
        default=0,
        show_default=True,
        metavar="NUMBER",
        help="Which of the chips that the seed draws, where cells, wires or ADCs have errors.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 1024),
        help="Processes.  [default: one for each processor]",
    ),
)
_LEAVING = (
    click.option(
        "--threshold",
        metavar="FLOAT[,FLOAT...]",
        callback=numbers_in_unit_range,
        help="Exit threshold, 0 to 1, or T max - 1 of them: one for each timestep after which an image may "
        "leave early.  [default: chosen on the validation images]",
    ),
    click.option(
        "--thresholds",
        type=click.Choice(get_args(Thresholds)),
        default="one",
        show_default=True,
        help="Choose one threshold for all timesteps, or one for each: cheaper, but it fits the validation "
        "images more closely, their chance too.",
    ),
    click.option(
        "--rule",
        type=click.Choice(get_args(Rule)),
        default="entropy",
        show_default=True,
        help="What decides that an image may leave.",
    ),
    click.option(
        "--accumulation",
        type=click.Choice(get_args(Accumulation)),
        default="mean",
        show_default=True,
        help="How the outputs of the timesteps so far are combined.",
    ),
    click.option(
        "--issue",
        metavar="POLICY",
        default=DEFAULT_ISSUE,
        show_default=True,
        callback=issue_policy,
        help="When the next timestep enters: wait, pipeline, speculate or interleave:K.",
    ),
)
_DELIVERED = (
    click.option(
        "--fidelity",
        type=click.Choice(get_args(Fidelity)[::-1]),
        default="burst",
        show_default=True,
        help="How finely time is played; both agree to the cycle.",
    ),
    click.option("--json", "json_path", metavar="FILE", help="Write the result as JSON; - is stdout."),
    click.option("--out", "out_folder", metavar="DIR", help="Write JSON, CSV tables and figures there."),
    click.option("--quiet", is_flag=True, help="No progress; no tables either if --json or --out is given."),
)


def playing_options(command: Command) -> Command:
    """What plays on what: the options that all commands with a chip and inputs share."""
    return _all(command, (*_SUBJECTS, encoding_options, _IMAGES, *_PLAYING))


def common_options(command: Command) -> Command:
    """The options that `compare`, `run` and `stream` share."""
    return playing_options(_all(command, (*_LEAVING, *_DELIVERED)))


def simulating_options(command: Command) -> Command:
    """As `common_options`, but for the chip, and nothing is delivered."""
    return _all(command, (*_SUBJECTS[1:], encoding_options, _IMAGES, *_PLAYING, *_LEAVING))


def picked_options(command: Command) -> Command:
    """As `common_options`, where images are picked one by one and nothing is delivered."""
    return _all(command, (*_SUBJECTS, encoding_options, *_PLAYING, *_LEAVING))


def _all(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    """Add options, the first one first in the help."""
    for option in reversed(options):
        command = option(command)
    return command


def policy_option(command: Command) -> Command:
    """The option that `run` and `stream` share."""
    return click.option(
        "--policy",
        type=click.Choice(["static", "dynamic"]),
        default="dynamic",
        show_default=True,
        help="Always T max timesteps, or leave early.",
    )(command)
