"""``imcsim diff``: two chips, or two results."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from imcsim.commands.common import choose_validation, load_all, print_report, progress_bars
from imcsim.commands.completion import complete_hardware
from imcsim.commands.help import Grouped
from imcsim.commands.options import EXITING, PLAYING, read_settings, run_settings
from imcsim.studies.settings import RunSettings

if TYPE_CHECKING:
    from imcsim.diffs import Diff
    from imcsim.hardware.config import Hardware
    from imcsim.results.comparison import CompareResult

_SIMULATING = tuple(name for name in (*PLAYING, *EXITING) if name not in ("hardware", "overrides"))
"""Settings of a simulation of both chips."""


@click.command(cls=Grouped, short_help="What differs between two chips or two results, and what it did.")
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
@run_settings(*_SIMULATING)
@click.option("--json", "json_path", metavar="FILE", help="Write everything as JSON; - is stdout.")
@click.option("--quiet", is_flag=True, help="No progress; no tables either if --json is given.")
def diff(
    a: str,
    b: str | None,
    overrides: dict[str, Any],
    overrides_a: dict[str, Any],
    simulate: bool,
    settings: RunSettings,
    json_path: str | None,
    quiet: bool,
) -> None:
    """What differs between two chips or two results, and what it does to each component.

    A and B are chips (names or files), or results: JSON files of compare, run or stream, or folders of --out.
    """
    from imcsim import diffs
    from imcsim.report.files import check_writable, write_text
    from imcsim.report.terminal.diff import diff_json, diff_report

    to_stdout = json_path == "-"
    if not to_stdout and json_path is not None:
        check_writable(json_path)
    if not simulate:
        _refuse_simulating(click.get_current_context())
    of_chips = diffs.kind_of(a) == "hardware" and (b is None or diffs.kind_of(b) == "hardware")
    if of_chips:
        if b is None and not overrides:
            raise click.UsageError("Give B, or what is different: --set KEY=VALUE.")
        sides = (a, overrides_a), (a if b is None else b, overrides)
        found = _of_chips(sides, settings if simulate else None, quiet)
    else:
        if b is None:
            raise click.UsageError("Give the other result, B.")
        for given, name in ((overrides, "--set"), (overrides_a, "--set-a"), (simulate, "--simulate")):
            if given:
                raise click.UsageError(f"{name} belongs to chips: a result is what it is.")
        found = diffs.diff_results(a, b)
    if to_stdout:
        sys.stdout.write(diff_json(found))
        sys.stdout.flush()
    elif json_path is not None:
        write_text(diff_json(found), json_path)
    if not (quiet and json_path is not None):
        print_report(diff_report(found), sys.stderr if to_stdout else sys.stdout)


def _of_chips(
    given: tuple[tuple[str, dict[str, Any]], ...], settings: RunSettings | None, quiet: bool
) -> Diff:
    """Two chips, each by name and overrides; what that does in a simulation, where there are settings."""
    import imcsim.hardware
    from imcsim.diffs import Diff, Side, diff_chips, results_diff

    names = [name for name, _ in given]
    chips = [imcsim.hardware.load(name, overrides) for name, overrides in given]
    results = None
    if settings is not None:
        results = results_diff(
            *(
                _simulated(replace(settings, hardware=name, overrides=chip.overrides), quiet)
                for name, chip in zip(names, chips, strict=True)
            )
        )
    sides = [
        Side(_given(name, chip), chip.name, chip.sha256) for name, chip in zip(names, chips, strict=True)
    ]
    return Diff("hardware", sides[0], sides[1], diff_chips(chips[0], chips[1]), results)


def _given(name: str, chip: Hardware) -> str:
    return " ".join([name, *(f"--set {key}={value}" for key, value in chip.overrides.items())])


def _simulated(settings: RunSettings, quiet: bool) -> CompareResult:
    """What `compare` finds on one of the chips."""
    loaded = load_all(settings, choose_validation(settings, needed=True))
    with progress_bars(quiet) as progress:
        from imcsim.studies.comparison import compare

        return compare(*loaded.subject, loaded.options, progress)


def _refuse_simulating(context: click.Context) -> None:
    """Refuse options of a simulation where there is none."""
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        if name in _SIMULATING and given:
            raise click.UsageError(f"{parameter.opts[0]} belongs to --simulate.")
