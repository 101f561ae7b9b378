"""``imcsim import``: trained networks from the files of other frameworks."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imcsim.base.choices import MAX_TIMESTEPS
from imcsim.base.errors import ImcsimError
from imcsim.commands.common import print_report, progress_bars
from imcsim.commands.help import Grouped
from imcsim.commands.options import ENCODING, memory_option, option, options_of, plugin_option

if TYPE_CHECKING:
    from imcsim.importers.importing.layers import ReadModel, ReadOptions
    from imcsim.inputs import Inputs

DEFAULT_IMAGES = 32
"""Images of --inputs that are compared where --images is not given."""

FRAMEWORKS = ("auto", "nir", "snntorch", "spikingjelly", "norse", "norse_main", "sinabs")


def _sizes(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """``3x32x32`` as numbers."""
    if value is None:
        return None
    parts = value.lower().replace(",", "x").split("x")
    if not 1 <= len(parts) <= 3 or not all(p.strip().isascii() and p.strip().isdigit() for p in parts):
        raise click.BadParameter("write channels, rows and columns as 3x32x32", context, parameter)
    return tuple(int(part) for part in parts)


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...]:
    """``0.49,0.48,0.45`` as numbers."""
    if value is None:
        return ()
    try:
        found = tuple(float(part) for part in value.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(math.isfinite(number) for number in found):
        raise click.BadParameter("write numbers with commas between, as 0.49,0.48,0.45", context, parameter)
    return found


def _neuron(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, Any] | None:
    """``tau=2.0`` as a key and its value."""
    found: dict[str, Any] = {}
    for entry in value:
        key, equals, text = entry.partition("=")
        if not equals or not key or not text:
            raise click.BadParameter("write KEY=VALUE, as tau=2.0", context, parameter)
        try:
            found[key] = float(text)
        except ValueError:
            found[key] = text
    return found or None


@click.command(
    "import",
    cls=Grouped,
    short_help="Make a network of a file: NIR, state dicts, safetensors, ONNX.",
)
@click.argument("file", metavar="FILE", required=False)
@click.option("-o", "output", metavar="DIR", help="Folder for the network.")
@click.option("--inputs", metavar="NAME|FILE|DIR", help="Compare before and after rounding on these images.")
@options_of(*ENCODING)
@option("seed", text="Seed of --encoding rate, and of the errors of --hardware.")
@option("images", unset=f"{DEFAULT_IMAGES}, or all")
@option("hardware", text="Compare on this chip too, and state its word widths.", default=None)
@options_of("overrides")
@plugin_option
@click.option(
    "--weight-bits", type=click.IntRange(1, 16), default=8, show_default=True, help="Width of weights."
)
@click.option(
    "--scales",
    type=click.Choice(["max", "percentile", "mse"]),
    default="max",
    show_default=True,
    help="How a channel's scale is chosen; mse looks at currents on --inputs.",
)
@click.option(
    "--percentile",
    type=click.FloatRange(50, 100),
    default=99.9,
    show_default=True,
    help="Of --scales percentile.",
)
@click.option("--layers", metavar="YAML", help="The layers of a file without a graph; see --template.")
@click.option(
    "--framework",
    type=click.Choice(FRAMEWORKS),
    default="auto",
    show_default=True,
    help="Whose equations of time and reset a NIR file means.",
)
@click.option("--dt", type=float, metavar="SECONDS", help="Length of a timestep, for NIR files.")
@click.option("--reset", type=click.Choice(["hard", "soft", "none"]), help="What neurons do after a spike.")
@click.option(
    "--reset-at", type=click.Choice(["now", "next"]), help="In the timestep of the spike, or one later."
)
@click.option("--fires", type=click.Choice(["at", "above"]), help="At the threshold, or only above it.")
@click.option(
    "--neuron",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_neuron,
    help="Neurons that a file says nothing of.",
)
@click.option("--input-shape", metavar="CxHxW", callback=_sizes, help="Shape of the image.")
@click.option(
    "--input-bits", type=click.IntRange(1, 8), help="Bits of a pixel.  [default: 1 for spikes, else 8]"
)
@click.option(
    "--input-scale", type=float, metavar="X", help="Worth of pixel code 1.  [default: largest code is 1]"
)
@click.option("--mean", metavar="A,B,C", callback=_numbers, help="Taken from each channel in training.")
@click.option("--std", metavar="A,B,C", callback=_numbers, help="Each channel was divided by it in training.")
@option("timesteps", text="T of the network.", unset="the file's, or the frames of --inputs, or 4")
@click.option("--name", help="Name of the network.  [default: the file's]")
@option("workers")
@memory_option
@click.option("--json", "json_path", metavar="FILE", help="Write all that is printed as JSON; - is stdout.")
@click.option("--quiet", is_flag=True, help="No progress, no tables.")
@click.option(
    "--template",
    metavar="NAME|FILE",
    help="Print a list of layers to adapt, and do nothing else: of a well-known network, or drafted from the "
    "names and shapes of a state dict.",
)
def import_file(file: str | None, output: str | None, **settings: Any) -> None:
    """Make a network of a file with trained weights: NIR, safetensors, PyTorch state dict or ONNX.

    Prints which equations were taken, what rounding did and, with --inputs, how well both networks agree.
    """
    if settings["template"] is not None:
        from imcsim.importers.listed.templates import template

        click.echo(template(settings["template"]), nl=False)
        return
    if file is None or output is None:
        raise click.UsageError("Give FILE and -o DIR, or --template.")
    if settings["overrides"] and settings["hardware"] is None:
        raise click.UsageError("--set changes a chip: give --hardware too.")
    _check_numbers(settings)
    _check_targets(file, output, settings["json_path"])
    from imcsim import hardware, network
    from imcsim.importers.importing.image import Image
    from imcsim.importers.importing.importing import NetworkOrigin, convert
    from imcsim.importers.importing.read import read

    options = _options(settings)
    name, overrides = settings["hardware"], settings["overrides"]
    chip = None if name is None else hardware.load(name, overrides)
    model = read(file, options)
    inputs = None if settings["inputs"] is None else _inputs(model, settings)
    options = replace(options, timesteps=settings["timesteps"])
    bits, scale = settings["input_bits"], settings["input_scale"]
    if settings["encoding"] == "rate" and inputs is None and bits is None:  # as with inputs, which say so
        bits, scale = 1, 1.0 if scale is None else scale
    with progress_bars(settings["quiet"]) as progress:
        imported = convert(
            model,
            NetworkOrigin.of_file(file, str(model.source.get("format", "unknown"))),
            inputs=inputs,
            hardware=chip,
            weight_bits=settings["weight_bits"],
            scales=settings["scales"],
            percentile=settings["percentile"],
            options=options,
            image=Image(bits, scale, settings["mean"], settings["std"]),
            seed=settings["seed"],
            workers=settings["workers"],
            progress=progress,
        )
    network.save(imported.network, output)
    to_stdout = settings["json_path"] == "-"
    if settings["json_path"] is not None:
        from imcsim.importers.importing.document import to_document
        from imcsim.report.files import write_text

        document = to_document(imported, output, network.fingerprint(imported.network))
        text = json.dumps(document, indent=2, allow_nan=False) + "\n"
        if to_stdout:
            click.echo(text, nl=False)
        else:
            write_text(text, settings["json_path"])
    if not settings["quiet"]:
        from imcsim.report.terminal.imported import import_report

        print_report(import_report(imported, output), sys.stderr if to_stdout else sys.stdout)


def _check_numbers(settings: dict[str, Any]) -> None:
    for key in ("dt", "input_scale"):
        value = settings[key]
        if value is not None and not (math.isfinite(value) and value > 0):
            raise click.UsageError(f"--{key.replace('_', '-')} must be a positive number, not {value}.")


def _check_targets(file: str, output: str, json_path: str | None) -> None:
    """Refuse targets that cannot be written before the work, not after it."""
    from imcsim.network import check_target
    from imcsim.report.files import check_writable

    if not output:
        raise ImcsimError("the name of the folder is empty", key="-o", fix="give a folder")
    check_target(output)
    check_writable(Path(output).parent, folder=True)
    if json_path is not None and json_path != "-":
        check_writable(json_path)
        if Path(json_path).exists() and Path(file).exists() and Path(json_path).samefile(file):
            raise ImcsimError(
                "this is the file to import", file=json_path, key="--json", fix="give another name"
            )


def _options(settings: dict[str, Any]) -> ReadOptions:
    from imcsim.importers.importing.layers import ReadOptions

    layers = settings["layers"]
    return ReadOptions(
        framework=settings["framework"],
        dt=settings["dt"],
        reset=settings["reset"],
        reset_at=settings["reset_at"],
        fires=settings["fires"],
        layers_file=None if layers is None else Path(layers),
        input_shape=settings["input_shape"],
        timesteps=settings["timesteps"],
        name=settings["name"],
        neuron=settings["neuron"],
    )


def _inputs(model: ReadModel, settings: dict[str, Any]) -> Inputs:
    """The images to compare on: as many as were asked for, else the first DEFAULT_IMAGES, or all.

    Where neither the user nor the file states a T, frames of the inputs do, and T is set to their number.
    """
    import imcsim.inputs
    from imcsim.importers.importing.image import image_shape, timesteps_of
    from imcsim.importers.importing.layers import ReadRelu
    from imcsim.inputs.encodings import DIRECT

    kind = imcsim.inputs.kind_of(imcsim.inputs.find(settings["inputs"]))
    states_frames = kind != "events" and settings["encoding"] in (None, DIRECT)
    unsaid = settings["timesteps"] is None and model.source.get("timesteps") is None
    about: dict[str, Any] = {
        "encoding": settings["encoding"],
        "timesteps": None if unsaid and states_frames else timesteps_of(model, settings["timesteps"]),
        "seed": settings["seed"],
        "labelled": False,
        "labels": settings["labels"],
        "bin_us": settings["bin_us"],
        "shape": image_shape(model.input_shape) if len(model.input_shape) > 1 else None,
    }
    if settings["images"] is not None:
        inputs = imcsim.inputs.load(settings["inputs"], settings["images"], **about)
    else:
        try:
            inputs = imcsim.inputs.load(settings["inputs"], DEFAULT_IMAGES, **about)
        except ImcsimError:  # fewer than that, or something that the next line says
            inputs = imcsim.inputs.load(settings["inputs"], None, **about)
    if unsaid and inputs.frames is not None and not any(isinstance(n, ReadRelu) for n in model.layers):
        settings["timesteps"] = min(inputs.frames, MAX_TIMESTEPS)
    return inputs
