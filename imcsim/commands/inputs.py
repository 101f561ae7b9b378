"""``imcsim inputs``: what networks are shown."""

from __future__ import annotations

from typing import Any

import click

from imcsim.commands.common import print_names, print_report, progress_bars
from imcsim.commands.completion import complete_inputs
from imcsim.commands.options import ENCODING, memory_option, option, options_of, plugin_option


@click.group("inputs")
def inputs_group() -> None:
    """Images, events, traces: list, show, convert."""


@inputs_group.command("list")
def inputs_list() -> None:
    """Names of the image sets that come with imcsim."""
    import imcsim.inputs

    print_names(imcsim.inputs.names())


@inputs_group.command("show", short_help="What inputs are: size, split, classes.")
@click.argument("name", metavar="NAME|FILE|DIR", shell_complete=complete_inputs)
@click.option("--labels", metavar="FILE", help="Labels of inputs that hold none.")
def inputs_show(name: str, labels: str | None) -> None:
    """What inputs of any kind are: size, split and classes; of events, what the file holds."""
    import imcsim.inputs
    from imcsim.report.terminal.grid import table

    rows = imcsim.inputs.describe(name, labels=labels)
    print_report(table(f"Inputs {imcsim.inputs.find(name).stem}", ["", ""], rows, left=2))


@inputs_group.command("convert", short_help="Write inputs of any kind as one .npz file.")
@click.argument("source", metavar="NAME|FILE|DIR", shell_complete=complete_inputs)
@click.option("-o", "output", metavar="FILE.npz", required=True, help="The file to write.")
@options_of(*ENCODING)
@plugin_option
@memory_option
@option("timesteps", text="Frames of events or random spikes; of other frames, how many are kept.")
@option("images")
@option("seed", text="Seed of random spikes.")
@click.option(
    "--split", type=click.Choice(["test", "validation", "unknown"]), help="Part of the data set they are."
)
def inputs_convert(source: str, output: str, images: int | None, split: str | None, **settings: Any) -> None:
    """Write inputs of any kind as one .npz file of images or frames, and labels where there are any."""
    import imcsim.inputs
    from imcsim.base.errors import ImcsimError
    from imcsim.report.files import check_writable

    if not output.lower().endswith(".npz"):
        raise ImcsimError("inputs are written as .npz", file=output, fix="end the name with .npz")
    check_writable(output)
    with progress_bars(quiet=False) as progress:
        progress("reading", 0, 0)
        found = imcsim.inputs.load(source, images, labelled=False, **settings)
        progress("reading", len(found.images), len(found.images))
        progress("writing", 0, 0)
        imcsim.inputs.save(
            output,
            found.images.astype(bool) if found.spikes else found.images,
            found.labels if len(found.labels) else None,
            split=found.split if split is None else split,  # type: ignore[arg-type]
            classes=found.classes,
        )
    shape = " x ".join(map(str, found.images.shape[1:]))
    click.echo(
        f"{output}: {len(found.images)} of {shape}, {'labelled' if len(found.labels) else 'no labels'}"
    )
