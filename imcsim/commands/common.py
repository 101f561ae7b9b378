"""What commands have in common: targets, progress, and how results are delivered and printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

import click

from imcsim.base.errors import ImcsimError

if TYPE_CHECKING:
    from imcsim.hardware import Hardware
    from imcsim.inputs import Inputs
    from imcsim.network import Network
    from imcsim.results.chips.document import ChipsResult
    from imcsim.results.comparison import CompareResult
    from imcsim.results.run import RunResult
    from imcsim.results.stream import StreamResult
    from imcsim.studies.options import CompareOptions

    Result = CompareResult | RunResult | StreamResult | ChipsResult

Progress = Callable[[str, int, int], None]


def check_targets(settings: dict[str, Any]) -> None:
    """Refuse targets that cannot be written before the long work, not after it."""
    if settings["json_path"] is None and settings["out_folder"] is None:
        return
    from imcsim.report.files import check_writable

    if settings["json_path"] == "-":
        if sys.stdout is None:
            raise ImcsimError("standard output is closed", key="--json", fix="give the name of a file")
    elif settings["json_path"] is not None:
        check_writable(settings["json_path"])
    if settings["out_folder"] is not None:
        check_writable(settings["out_folder"], folder=True)


def choose_validation(settings: dict[str, Any], *, needed: bool) -> str | None:
    """Images that calibrate the ADCs and, where none is given, choose the threshold (`needed`)."""
    from imcsim.inputs import find as find_inputs
    from imcsim.studies.loading import validation_of
    from imcsim.studies.options import Setting

    if settings.get("thresholds") == "each" and settings["threshold"] is not None:
        raise click.UsageError("--thresholds says how thresholds are chosen; --threshold gives them.")
    found = validation_of(Setting(inputs=settings["inputs"], validation=settings["validation"]))
    if found is not None:
        return str(found)
    if not needed or settings["threshold"] is not None:
        return None
    find_inputs(settings["inputs"])  # a file that is not there comes first
    raise click.UsageError(
        "With --inputs of your own, give --threshold, or --validation: other images, on which to choose it."
    )


def load_all(
    settings: dict[str, Any], validation: str | None, *, labelled: bool = True
) -> tuple[Network, Hardware, Inputs, Inputs | None]:
    """The network, the chip, the inputs and the validation images, encoded alike.

    Where no seed was given, `settings` get that of a trace of random spikes, else 0.
    """
    from imcsim.studies.loading import Shelf
    from imcsim.studies.options import CompareOptions, Setting

    setting = Setting(
        hardware=settings["hardware"],
        overrides=settings["overrides"],
        model=settings["model"],
        inputs=settings["inputs"],
        validation=validation,
        images=settings["images"],
        encoding=settings["encoding"],
        labels=settings["labels"],
        bin_us=settings["bin_us"],
        options=CompareOptions(timesteps=settings["timesteps"], seed=settings["seed"] or 0),
    )
    shelf = Shelf()
    hardware, network = shelf.hardware(setting), shelf.network(setting)
    inputs = shelf.inputs(setting, labelled=labelled)
    if settings["seed"] is None:
        seed = inputs.about.get("seed", 0) if inputs.coding == "rate" else 0
        settings["seed"] = seed if isinstance(seed, int) and 0 <= seed < 2**63 else 0
    if validation is None:
        return network, hardware, inputs, None
    setting = replace(setting, options=replace(setting.options, seed=settings["seed"]))
    return network, hardware, inputs, shelf.validation(setting, inputs)


def compare_options(settings: dict[str, Any]) -> CompareOptions:
    from imcsim.studies.options import CompareOptions

    return CompareOptions(
        timesteps=settings["timesteps"],
        threshold=settings["threshold"],
        thresholds=settings["thresholds"],
        rule=settings["rule"],
        accumulation=settings["accumulation"],
        seed=settings["seed"],
        chip=settings["chip"],
        workers=settings["workers"],
        issue=settings["issue"],
        fidelity=settings["fidelity"],
    )


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Progress]:
    """Bars on stderr where someone is watching, else nothing."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda stage, done, total: None
    else:
        from imcsim.report.terminal.progress import ProgressBars

        with ProgressBars(sys.stderr) as bars:
            yield bars


def deliver(result: Result, settings: dict[str, Any]) -> None:
    """Write what was asked for, then print the tables: on stderr if the JSON goes to stdout."""
    from imcsim.report.documents import write_folder, write_result
    from imcsim.results.model import to_json

    json_path, out_folder, quiet = settings["json_path"], settings["out_folder"], settings["quiet"]
    to_stdout = json_path == "-"
    if out_folder is not None:
        write_folder(result, out_folder)
    if to_stdout:
        sys.stdout.write(to_json(result))
        sys.stdout.flush()
    elif json_path is not None:
        write_result(result, json_path)
    if quiet and (json_path is not None or out_folder is not None):
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
