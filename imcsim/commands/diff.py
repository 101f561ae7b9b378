"""``imcsim diff``: two chips, or two results."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from imcsim.commands.common import (
    choose_validation,
    compare_options,
    load_all,
    print_report,
    progress_bars,
)
from imcsim.commands.completion import complete_hardware
from imcsim.commands.options import read_settings, simulating_options

if TYPE_CHECKING:
    from imcsim.diffs import Diff
    from imcsim.hardware.config import Hardware

_ALWAYS = frozenset({"a", "b", "overrides", "overrides_a", "simulate", "json_path", "quiet"})


@click.command()
@click.argument("a", metavar="A", shell_complete=complete_hardware)
@click.argument("b", metavar="[B]", required=False, shell_complete=complete_hardware)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    callback=read_settings,
    help="Give a key of chip B another value. Without B, B is A with it.",
)
@click.option(
    "--set-a",
    "overrides_a",
    multiple=True,
    metavar="KEY=VALUE",
    callback=read_settings,
    help="The same for chip A.",
)
@click.option("--simulate", is_flag=True, help="Run both chips, and show what the difference does there.")
@simulating_options
@click.option("--json", "json_path", metavar="FILE", help="Write everything as JSON; - is stdout.")
@click.option("--quiet", is_flag=True, help="No progress; no tables either if --json is given.")
@click.pass_context
def diff(context: click.Context, /, a: str, b: str | None, **settings: Any) -> None:
    """What differs between two chips or two results, and what it does to each component.

    A and B are chips (names or files), or results: JSON files of compare, run or stream, or folders of --out.
    """
    from imcsim import diffs
    from imcsim.report.files import check_writable, write_text
    from imcsim.report.terminal.diff import diff_json, diff_report

    to_stdout = settings["json_path"] == "-"
    if not to_stdout and settings["json_path"] is not None:
        check_writable(settings["json_path"])
    if not settings["simulate"]:
        _refuse_simulating(context)
    of_chips = diffs.kind_of(a) == "hardware" and (b is None or diffs.kind_of(b) == "hardware")
    if of_chips:
        if b is None and not settings["overrides"]:
            raise click.UsageError("Give B, or what is different: --set KEY=VALUE.")
        found = _of_chips(a, a if b is None else b, settings)
    else:
        if b is None:
            raise click.UsageError("Give the other result, B.")
        for key, name in (("overrides", "--set"), ("overrides_a", "--set-a"), ("simulate", "--simulate")):
            if settings[key]:
                raise click.UsageError(f"{name} belongs to chips: a result is what it is.")
        found = diffs.diff_results(a, b)
    if to_stdout:
        sys.stdout.write(diff_json(found))
        sys.stdout.flush()
    elif settings["json_path"] is not None:
        write_text(diff_json(found), settings["json_path"])
    if not (settings["quiet"] and settings["json_path"] is not None):
        print_report(diff_report(found), sys.stderr if to_stdout else sys.stdout)


def _of_chips(a: str, b: str, settings: dict[str, Any]) -> Diff:
    import imcsim.hardware
    from imcsim.diffs import Diff, Side, diff_chips, results_diff

    chips = [
        imcsim.hardware.load(a, settings["overrides_a"]),
        imcsim.hardware.load(b, settings["overrides"]),
    ]
    results = None
    if settings["simulate"]:
        results = results_diff(_simulated(a, chips[0], settings), _simulated(b, chips[1], settings))
    sides = [
        Side(_given(name, chip), chip.name, chip.sha256) for name, chip in zip((a, b), chips, strict=True)
    ]
    return Diff("hardware", sides[0], sides[1], diff_chips(chips[0], chips[1]), results)


def _given(name: str, chip: Hardware) -> str:
    return " ".join([name, *(f"--set {key}={value}" for key, value in chip.overrides.items())])


def _simulated(name: str, chip: Hardware, settings: dict[str, Any]) -> Any:
    """What `compare` finds on one of the chips."""
    settings = settings | {"hardware": name, "overrides": chip.overrides, "fidelity": "burst"}
    held_out = choose_validation(settings, needed=True)
    network, hardware, inputs, validation = load_all(settings, held_out)
    with progress_bars(settings["quiet"]) as progress:
        from imcsim.studies.comparison import compare

        return compare(network, hardware, inputs, validation, compare_options(settings), progress)


def _refuse_simulating(context: click.Context) -> None:
    """Refuse options of a simulation where there is none."""
    for parameter in context.command.params:
        name = parameter.name
        if name is None or name in _ALWAYS or not isinstance(parameter, click.Option):
            continue
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise click.UsageError(f"{parameter.opts[0]} belongs to --simulate.")
