"""What commands have in common: targets, progress, and how results are delivered and printed."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

import click

from imcsim.base.errors import ImcsimError
from imcsim.base.progress import Progress
from imcsim.commands.options import Delivery
from imcsim.studies.settings import CompareOptions, RunSettings

if TYPE_CHECKING:
    from imcsim.hardware import Hardware
    from imcsim.inputs import Inputs
    from imcsim.network import Network
    from imcsim.results.chips.document import ChipsResult
    from imcsim.results.comparison import CompareResult
    from imcsim.results.run import RunResult
    from imcsim.results.stream import StreamResult
    from imcsim.simulation.values import Values

    Result = CompareResult | RunResult | StreamResult | ChipsResult


@dataclass(frozen=True)
class LoadedRun:
    """What a command runs, loaded: the network, the chip, the inputs and the validation images, encoded
    alike; and how.
    """

    network: Network
    hardware: Hardware
    inputs: Inputs
    validation: Inputs | None
    options: CompareOptions

    @property
    def subject(self) -> tuple[Network, Hardware, Inputs, Inputs | None]:
        """All but the options, in the order in which studies take them."""
        return self.network, self.hardware, self.inputs, self.validation

    @contextmanager
    def values(self, scheduler: str | None = None) -> Iterator[Values]:
        """What the network's images did in earlier commands of this user, where it is kept; the rest is
        computed here, or by the cluster of a `scheduler`.
        """
        from imcsim.simulation.kept_values import kept_values

        if scheduler is None:
            yield kept_values(self.network)
        else:
            from imcsim.sweeps.shared_images import shared_values

            with shared_values(scheduler) as shared:
                yield kept_values(self.network, shared)


def check_targets(delivery: Delivery) -> None:
    """Refuse targets that cannot be written before the long work, not after it."""
    json_path, out_folder = delivery.json_path, delivery.out_folder
    if json_path is None and out_folder is None:
        return
    from imcsim.report.files import check_writable

    if json_path == "-":
        if sys.stdout is None:
            raise ImcsimError("standard output is closed", key="--json", fix="give the name of a file")
    elif json_path is not None:
        check_writable(json_path)
    if out_folder is not None:
        check_writable(out_folder, folder=True)


def choose_validation(settings: RunSettings, *, needed: bool) -> str | None:
    """Images that calibrate the ADCs and, where none is given, choose the threshold (`needed`)."""
    from imcsim.inputs import find as find_inputs
    from imcsim.studies.loading import validation_of

    options = settings.options
    if options.threshold is not None and (how := options.choosing):
        raise click.UsageError(
            f"--{how.replace('_', '-')} says how thresholds are chosen; --threshold gives them."
        )
    found = validation_of(settings)
    if found is not None:
        return str(found)
    if not needed or options.threshold is not None:
        return None
    find_inputs(settings.inputs)  # a file that is not there comes first
    raise click.UsageError(
        "With --inputs of your own, give --threshold, or --validation: other images, on which to choose it."
    )


def load_all(settings: RunSettings, validation: str | None, *, labelled: bool = True) -> LoadedRun:
    """Load what a command runs; `validation` are the images that `choose_validation` found.

    Where no seed was given, it becomes that of a trace of encoded images, if the inputs are one.
    """
    from imcsim.inputs import encoding_of
    from imcsim.studies.loading import Loader

    loader = Loader()
    settings = replace(settings, validation=validation)
    hardware, network = loader.hardware(settings), loader.network(settings)
    inputs = loader.inputs(settings, labelled=labelled)
    given = click.get_current_context().get_parameter_source("seed")
    if given is click.core.ParameterSource.DEFAULT and encoding_of(inputs) is not None:
        seed = inputs.about.get("seed", 0)
        if isinstance(seed, int) and 0 <= seed < 2**63:
            settings = settings.changed({"seed": seed})
    held_out = None if validation is None else loader.validation(settings, inputs)
    return LoadedRun(network, hardware, inputs, held_out, settings.options)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Progress]:
    """Bars on stderr where someone is watching, else nothing."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda stage, done, total: None
    else:
        from imcsim.base.compiled.watched import watching
        from imcsim.report.terminal.progress import ProgressBars

        with ProgressBars(sys.stderr) as bars, watching(bars.compiling):
            yield bars


def deliver(result: Result, delivery: Delivery) -> None:
    """Write what was asked for, then print the tables: on stderr if the JSON goes to stdout."""
    from imcsim.report.documents import write_folder, write_result
    from imcsim.results.model import to_json

    json_path, out_folder, quiet = delivery.json_path, delivery.out_folder, delivery.quiet
    to_stdout = json_path == "-"
    if out_folder is not None:
        with progress_bars(quiet) as progress:
            write_folder(result, out_folder, paper=delivery.paper, progress=progress)
    if to_stdout:
        sys.stdout.write(to_json(result))
        sys.stdout.flush()
    elif json_path is not None:
        write_result(result, json_path)
    if delivery.silent:
        return
    print_report(_report(result), sys.stderr if to_stdout else sys.stdout)


def _report(result: Result) -> Any:
    from imcsim.report.terminal.chips import chips_report
    from imcsim.report.terminal.stream import stream_report
    from imcsim.report.terminal.tables import compare_report, run_report
    from imcsim.results.chips.document import ChipsResult
    from imcsim.results.comparison import CompareResult
    from imcsim.results.run import RunResult

    if isinstance(result, CompareResult):
        return compare_report(result)
    if isinstance(result, ChipsResult):
        return chips_report(result)
    return run_report(result) if isinstance(result, RunResult) else stream_report(result)


def print_report(report: Any, stream: TextIO | None = None) -> None:
    from imcsim.report.terminal.tables import console

    stream = sys.stdout if stream is None else stream
    if stream is not None:
        console(stream).print(report)


def say(text: str, *, err: bool = False) -> None:
    """A text as one line on a terminal, which folds it itself; elsewhere in lines as wide as tables are, with
    names of files whole.
    """
    from imcsim.report.terminal.tables import PLAIN_WIDTH

    stream = sys.stderr if err else sys.stdout
    if stream is None or not stream.isatty():
        text = textwrap.fill(text, PLAIN_WIDTH, break_long_words=False, break_on_hyphens=False)
    click.echo(text, err=err)


def print_names(names: Sequence[str]) -> None:
    for name in names:
        click.echo(name)


def texts(rows: Sequence[Sequence[Any]]) -> Iterator[list[str]]:
    return (["" if cell is None else str(cell) for cell in row] for row in rows)


def flat(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as (dotted key, text)."""
    for key, value in data.items():
        name = f"{path}.{key}" if path else str(key)
        if hasattr(value, "items"):
            yield from flat(value, name)
        elif isinstance(value, list | tuple):
            yield name, ", ".join(str(part) for part in value)
        else:
            yield name, str(value)
