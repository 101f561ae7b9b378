"""The command line: parses, calls, prints; no modelling.

Everything but click is imported inside the commands, so that ``imcsim --help`` answers at once.
"""

from __future__ import annotations

import errno
import io
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar, get_args

import click

from imcsim import __version__
from imcsim.choices import Accumulation, Fidelity, Rule
from imcsim.errors import ImcsimError

if TYPE_CHECKING:
    from imcsim.hardware import Hardware
    from imcsim.inputs import Inputs
    from imcsim.network import Network
    from imcsim.options import CompareOptions
    from imcsim.result import CompareResult, RunResult, StreamResult

DEFAULT_HARDWARE = "dtsnn_32nm"
DEFAULT_MODEL = "vgg7_cifar10"
DEFAULT_INPUTS = "cifar10_test"
DEFAULT_VALIDATION = "cifar10_validation"
DEFAULT_ISSUE = "wait"
MAX_TIMESTEPS = 16

Command = TypeVar("Command", bound=Callable[..., Any])
Progress = Callable[[str, int, int], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (default: the process's own) and return its exit status.

    0: done. 2: something the user gave is wrong, or a file cannot be written. 130: interrupted. 1: the reader
    of our output went away, a figure of `validate` is outside, or an error of imcsim itself. Errors go to
    stderr without a traceback; setting IMCSIM_DEBUG lets that of an internal error through.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a name that the terminal's encoding lacks is no error
    try:
        status = cli.main(
            args=None if arguments is None else list(arguments), prog_name="imcsim", standalone_mode=False
        )
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        return status if isinstance(status, int) else 0
    except ImcsimError as error:
        return _fail(str(error), 2)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", 130, prefix="")
    except BrokenPipeError:
        _abandon_output()
        return 1
    except OSError as error:
        _abandon_output()
        what = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
        place = error.filename if error.filename is not None else "output"
        return _fail(f"{place}: {what}", 2)
    except MemoryError:
        return _fail("not enough memory (try fewer --images or --workers)", 2)
    except Exception as error:
        if os.environ.get("IMCSIM_DEBUG"):
            raise
        kind = type(error).__name__
        text = " ".join(str(error).split())
        return _fail(f"internal error, please report it: {kind}: {text} (IMCSIM_DEBUG=1 shows where)", 1)


def _fail(message: str, status: int, *, prefix: str = "error: ") -> int:
    # A file name may hold anything; a terminal should not obey it.
    text = "".join(c if c.isprintable() or c == "\n" else "?" for c in message)
    with suppress(OSError):
        click.echo(prefix + text, err=True)
    return status


def _abandon_output() -> None:
    """If stdout is broken, let the interpreter not flush into it at its end: that would print a traceback."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="imcsim", message="%(prog)s %(version)s")
def cli() -> None:
    """Simulate in-memory-computing hardware running spiking neural networks, with and without early exit."""


def _number_in_unit_range(
    context: click.Context, parameter: click.Parameter, value: float | None
) -> float | None:
    if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
        raise click.BadParameter(f"{value} does not lie between 0 and 1", context, parameter)
    return value


def _issue_policy(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value != DEFAULT_ISSUE:
        from imcsim.timing import parse

        try:
            parse(value)
        except ImcsimError as error:
            raise click.BadParameter(str(error), context, parameter) from error
    return value


def _common(command: Command) -> Command:
    """The options that `compare`, `run` and `stream` share."""
    for option in reversed(
        (
            click.option(
                "--hardware", metavar="NAME|FILE", default=DEFAULT_HARDWARE, show_default=True, help="Chip."
            ),
            click.option(
                "--model",
                metavar="NAME|DIR",
                default=DEFAULT_MODEL,
                show_default=True,
                help="Trained network.",
            ),
            click.option(
                "--inputs",
                metavar="NAME|FILE",
                default=DEFAULT_INPUTS,
                show_default=True,
                help="Images to run.",
            ),
            click.option(
                "--validation",
                metavar="NAME|FILE",
                help="Images on which the threshold is chosen.  "
                f"[default: {DEFAULT_VALIDATION} if --inputs is left alone]",
            ),
            click.option(
                "--timesteps",
                type=click.IntRange(1, MAX_TIMESTEPS),
                help="T max.  [default: the network's own]",
            ),
            click.option(
                "--threshold",
                type=float,
                metavar="FLOAT",
                callback=_number_in_unit_range,
                help="Exit threshold, 0 to 1.  [default: chosen on the validation images]",
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
                callback=_issue_policy,
                help="When the next timestep enters: wait, pipeline, speculate or interleave:K.",
            ),
            click.option(
                "--fidelity",
                type=click.Choice(get_args(Fidelity)[::-1]),
                default="burst",
                show_default=True,
                help="How finely time is played; both agree to the cycle.",
            ),
            click.option(
                "--images", type=click.IntRange(min=1), help="Run only the first so many of --inputs."
            ),
            click.option(
                "--seed",
                type=click.IntRange(0, 2**63 - 1),
                default=0,
                metavar="INTEGER",
                help="Seed of every random draw.  [default: 0]",
            ),
            click.option(
                "--workers",
                type=click.IntRange(1, 1024),
                help="Processes.  [default: one for each processor]",
            ),
            click.option(
                "--json", "json_path", metavar="FILE", help="Write the result as JSON; - is stdout."
            ),
            click.option(
                "--out", "out_folder", metavar="DIR", help="Write JSON, CSV tables and figures there."
            ),
            click.option(
                "--quiet", is_flag=True, help="No progress; no tables either if --json or --out is given."
            ),
        )
    ):
        command = option(command)
    return command


@cli.command()
@_common
def compare(**settings: Any) -> None:
    """Static timesteps T = 1, ..., T max against leaving early, on one chip.

    The threshold of the exit rule is chosen on validation images, never on the images reported.
    """
    _check_targets(settings)
    validation_name = _validation_name(settings, needed=True)
    network, hardware, inputs, validation = _load(settings, validation_name)
    with _progress(settings["quiet"]) as progress:
        from imcsim.compare import compare as run_comparison

        result = run_comparison(network, hardware, inputs, validation, _options(settings), progress)
    _deliver(result, settings)


def _policy(command: Command) -> Command:
    """The option that `run` and `stream` share."""
    return click.option(
        "--policy",
        type=click.Choice(["static", "dynamic"]),
        default="dynamic",
        show_default=True,
        help="Always T max timesteps, or leave early.",
    )(command)


@cli.command()
@_policy
@_common
@click.pass_context
def run(context: click.Context, /, policy: Literal["static", "dynamic"], **settings: Any) -> None:
    """One policy on one chip: what it costs, and where."""
    _check_targets(settings)
    _check_policy(context, policy)
    validation_name = _validation_name(settings, needed=policy == "dynamic")
    network, hardware, inputs, validation = _load(settings, validation_name)
    with _progress(settings["quiet"]) as progress:
        from imcsim.compare import run as run_policy

        result = run_policy(
            network, hardware, inputs, validation, _options(settings), progress, policy=policy
        )
    _deliver(result, settings)


@cli.command()
@_policy
@click.option(
    "--arrivals",
    type=click.Choice(["closed", "periodic", "poisson"]),
    default="closed",
    show_default=True,
    help="Images come as the chip takes them, at regular intervals, or at random.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="IMAGES_PER_S",
    help="Rate of periodic and poisson arrivals.",
)
@_common
@click.pass_context
def stream(
    context: click.Context,
    /,
    policy: Literal["static", "dynamic"],
    arrivals: Literal["closed", "periodic", "poisson"],
    rate: float | None,
    **settings: Any,
) -> None:
    """A stream of images on one chip: throughput, latency, energy and utilisation."""
    _check_targets(settings)
    _check_policy(context, policy)
    if rate is not None and not math.isfinite(rate):
        raise click.UsageError("--rate must be a finite number of images a second.")
    if (rate is None) != (arrivals == "closed"):
        raise click.UsageError(
            "--rate belongs to --arrivals periodic or poisson: a closed loop takes images as they can come."
            if arrivals == "closed"
            else f"--arrivals {arrivals} needs --rate IMAGES_PER_S."
        )
    validation_name = _validation_name(settings, needed=policy == "dynamic")
    network, hardware, inputs, validation = _load(settings, validation_name)
    with _progress(settings["quiet"]) as progress:
        from imcsim.stream import StreamOptions
        from imcsim.stream import stream as run_stream

        arriving = StreamOptions(arrivals, rate)
        result = run_stream(
            network, hardware, inputs, validation, _options(settings), arriving, progress, policy=policy
        )
    _deliver(result, settings)


def _check_policy(context: click.Context, policy: str) -> None:
    """Refuse options of the exit rule in a run that has none."""
    if policy == "static":
        for name in ("threshold", "validation", "rule", "accumulation"):
            if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
                raise click.UsageError(
                    f"--{name} belongs to --policy dynamic: a static run never leaves early."
                )


def _validation_name(settings: dict[str, Any], *, needed: bool) -> str | None:
    """Images that calibrate the ADCs and, where none is given, choose the threshold (`needed`)."""
    if settings["validation"] is not None:
        return str(settings["validation"])
    if settings["inputs"] == DEFAULT_INPUTS:
        return DEFAULT_VALIDATION
    if settings["threshold"] is not None or not needed:
        return None
    raise click.UsageError(
        "With --inputs of your own, give --threshold, or --validation: other images, on which to choose it."
    )


def _check_targets(settings: dict[str, Any]) -> None:
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


def _load(
    settings: dict[str, Any], validation: str | None
) -> tuple[Network, Hardware, Inputs, Inputs | None]:
    import imcsim.hardware
    import imcsim.inputs
    import imcsim.network

    hardware = imcsim.hardware.load(settings["hardware"])
    network = imcsim.network.load(settings["model"])
    inputs = imcsim.inputs.load(settings["inputs"], limit=settings["images"])
    return network, hardware, inputs, None if validation is None else imcsim.inputs.load(validation)


def _options(settings: dict[str, Any]) -> CompareOptions:
    from imcsim.options import CompareOptions

    return CompareOptions(
        timesteps=settings["timesteps"],
        threshold=settings["threshold"],
        rule=settings["rule"],
        accumulation=settings["accumulation"],
        seed=settings["seed"],
        workers=settings["workers"],
        issue=settings["issue"],
        fidelity=settings["fidelity"],
    )


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """Bars on stderr where someone is watching, else nothing."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda stage, done, total: None
    else:
        from imcsim.report.progress import ProgressBars

        with ProgressBars(sys.stderr) as bars:
            yield bars


def _deliver(result: CompareResult | RunResult | StreamResult, settings: dict[str, Any]) -> None:
    """Write what was asked for, then print the tables: on stderr if the JSON goes to stdout."""
    from imcsim.report.files import write_folder, write_result
    from imcsim.result import to_json

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
    _print(_report(result), sys.stderr if to_stdout else sys.stdout)


def _report(result: CompareResult | RunResult | StreamResult) -> Any:
    from imcsim.report.stream import stream_report
    from imcsim.report.tables import compare_report, run_report
    from imcsim.result import CompareResult, RunResult

    if isinstance(result, CompareResult):
        return compare_report(result)
    return run_report(result) if isinstance(result, RunResult) else stream_report(result)


def _print(report: Any, stream: TextIO | None = None) -> None:
    from imcsim.report.tables import console

    stream = sys.stdout if stream is None else stream
    if stream is not None:
        console(stream).print(report)


@cli.command("map")
@click.option("--hardware", metavar="NAME|FILE", default=DEFAULT_HARDWARE, show_default=True, help="Chip.")
@click.option(
    "--model", metavar="NAME|DIR", default=DEFAULT_MODEL, show_default=True, help="Trained network."
)
@click.option("--json", "json_path", metavar="FILE", help="Write the floorplan as JSON; - is stdout.")
@click.option("--out", "out_folder", metavar="DIR", help="Write JSON, CSV tables and the drawing there.")
def map_network(**settings: Any) -> None:
    """Where a network's layers stand on a chip: crossbars, PEs, tiles, and how full they are."""
    _check_targets(settings)
    import imcsim.hardware
    import imcsim.mapping
    import imcsim.network
    from imcsim.report import floorplan as report
    from imcsim.report.files import write_text

    chip = imcsim.hardware.load(settings["hardware"])
    network = imcsim.network.load(settings["model"])
    plan = imcsim.mapping.floorplan(imcsim.mapping.place(network, chip.config), chip.config)
    names = network.name, chip.name
    if settings["out_folder"] is not None:
        report.write_floorplan(plan, *names, settings["out_folder"])
    to_stdout = settings["json_path"] == "-"
    if to_stdout:
        sys.stdout.write(report.floorplan_json(plan, *names))
        sys.stdout.flush()
    elif settings["json_path"] is not None:
        write_text(report.floorplan_json(plan, *names), settings["json_path"])
    _print(report.floorplan_report(plan, *names), sys.stderr if to_stdout else sys.stdout)


@cli.command()
@click.option("--json", "json_path", metavar="FILE", help="Write every figure as JSON; - is stdout.")
@click.option("--out", "out_folder", metavar="DIR", help="Write JSON and Markdown tables there.")
def validate(**settings: Any) -> int:
    """Published and hand-made figures beside ours: expected, got, deviation, allowed deviation.

    Takes about half a minute. The exit status is 1 if a deviation is larger than allowed.
    """
    _check_targets(settings)
    with _progress(quiet=False) as progress:
        from imcsim.validate import validate as run_validation

        result = run_validation(progress)
    from imcsim.report import validation as report
    from imcsim.report.files import write_contents, write_text

    if settings["out_folder"] is not None:
        write_contents(settings["out_folder"], report.validation_files(result))
    to_stdout = settings["json_path"] == "-"
    if to_stdout:
        sys.stdout.write(report.validation_json(result))
        sys.stdout.flush()
    elif settings["json_path"] is not None:
        write_text(report.validation_json(result), settings["json_path"])
    _print(report.validation_report(result), sys.stderr if to_stdout else sys.stdout)
    return 0 if result.passed else 1


@cli.group()
def hardware() -> None:
    """Chips: list, show, check."""


@hardware.command("list")
def hardware_list() -> None:
    """Names of the chips that come with imcsim."""
    import imcsim.hardware

    _print_names(imcsim.hardware.names())


@hardware.command("show")
@click.argument("name", metavar="NAME|FILE")
def hardware_show(name: str) -> None:
    """Every figure of a chip, with unit, mark and source."""
    import imcsim.hardware
    from imcsim.report.tables import table

    loaded = imcsim.hardware.load(name)
    rows = imcsim.hardware.describe(loaded, short=True)
    _print(table(f"Hardware {name}", ["key", "value", "unit", "mark", "source"], _texts(rows), left=5))
    cited = imcsim.hardware.sources(loaded)
    if cited:
        _print(table("Sources", ["name", "citation"], list(cited.items()), left=2))


@hardware.command("check")
@click.argument("file", metavar="NAME|FILE")
def hardware_check(file: str) -> None:
    """Read a chip's file and say whether it is sound."""
    import imcsim.hardware

    rows = list(imcsim.hardware.describe(imcsim.hardware.load(file)))
    unsourced = sum(row[3] == "unsourced" for row in rows)
    click.echo(
        f"{file}: sound, {len(rows)} values" + (f", {unsourced} without a source" if unsourced else "")
    )


@cli.group()
def model() -> None:
    """Trained networks: list, show, check."""


@model.command("list")
def model_list() -> None:
    """Names of the networks that come with imcsim."""
    import imcsim.network

    _print_names(imcsim.network.names())


@model.command("show")
@click.argument("name", metavar="NAME|DIR")
def model_show(name: str) -> None:
    """Layers of a network and where its weights come from."""
    import imcsim.network
    from imcsim.report.tables import table

    network = imcsim.network.load(name)
    columns = ["layer", "kind", "shape", "weights", "detail"]
    _print(table(f"Network {network.name}", columns, _texts(imcsim.network.describe(network)), left=5))
    if network.provenance:
        _print(table("Provenance", ["", ""], list(_flat(network.provenance)), left=2))


@model.command("check")
@click.argument("folder", metavar="NAME|DIR")
def model_check(folder: str) -> None:
    """Read a network's folder and list everything that is wrong with it."""
    import imcsim.network

    problems = imcsim.network.check(folder)
    if problems:
        raise ImcsimError("\n".join(problems))
    network = imcsim.network.load(folder)
    click.echo(f"{folder}: sound, {len(network.weighted)} layers with weights")


@cli.group("inputs")
def inputs_group() -> None:
    """Images: list, show."""


@inputs_group.command("list")
def inputs_list() -> None:
    """Names of the image sets that come with imcsim."""
    import imcsim.inputs

    _print_names(imcsim.inputs.names())


@inputs_group.command("show")
@click.argument("name", metavar="NAME|FILE")
def inputs_show(name: str) -> None:
    """Size, split and classes of a set of images."""
    import numpy as np

    import imcsim.inputs
    from imcsim.report.tables import table

    inputs = imcsim.inputs.load(name)
    labels, counts = np.unique(inputs.labels, return_counts=True)
    rows = [
        ("images", str(len(inputs.labels))),
        ("shape", " x ".join(str(size) for size in inputs.images.shape[1:])),
        ("split", inputs.split),
        ("labels", f"{len(labels)} different ones, {counts.min()} to {counts.max()} images each"),
        ("sha256", inputs.sha256),
    ]
    _print(table(f"Inputs {inputs.name}", ["", ""], rows, left=2))


def _print_names(names: Sequence[str]) -> None:
    for name in names:
        click.echo(name)


def _texts(rows: Sequence[Sequence[Any]]) -> Iterator[list[str]]:
    return (["" if cell is None else str(cell) for cell in row] for row in rows)


def _flat(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as (dotted key, text)."""
    for key, value in data.items():
        name = f"{path}.{key}" if path else str(key)
        if hasattr(value, "items"):
            yield from _flat(value, name)
        elif isinstance(value, list | tuple):
            yield name, ", ".join(str(part) for part in value)
        else:
            yield name, str(value)
