"""``imcsim timeline``: what every unit of the chip did, cycle by cycle."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.commands.common import choose_validation, load_all, progress_bars
from imcsim.commands.help import Grouped
from imcsim.commands.options import EXITING, PLAYING, policy_option, run_settings
from imcsim.commands.simulate import check_policy
from imcsim.studies.settings import RunSettings


@click.command(cls=Grouped, short_help="What every tile, link and the checker did, cycle by cycle.")
@click.option(
    "--image",
    "images",
    type=click.IntRange(min=0),
    multiple=True,
    default=(0,),
    metavar="I",
    help="Which of --inputs, from 0. Repeat it to see images follow each other.  [default: 0]",
)
@click.option("-o", "output", metavar="FILE", required=True, help="The trace to write, a .json file.")
@click.option("--png", "picture", metavar="FILE", help="Draw a picture too: .png, .svg or .pdf.")
@click.option(
    "--detail",
    type=click.Choice(["rows", "reads"]),
    default="rows",
    show_default=True,
    help="A slice for a unit's work on an output row, or for every crossbar read.",
)
@policy_option
@run_settings(*(name for name in (*PLAYING, *EXITING) if name != "images"))
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
@click.pass_context
def timeline(
    context: click.Context,
    /,
    images: tuple[int, ...],
    output: str,
    picture: str | None,
    detail: Literal["rows", "reads"],
    policy: Literal["static", "dynamic"],
    settings: RunSettings,
    quiet: bool,
) -> None:
    """What every tile, ADC group, link and the checker did, cycle by cycle.

    The trace opens in ui.perfetto.dev and chrome://tracing. The exit and cancelled work are marked.
    """
    from imcsim.report.files import check_writable, write_files

    check_policy(context, policy)
    check_writable(output)
    if picture is not None:
        from imcsim.report.figures.timeline import check_format, timeline_picture

        kind = check_format(picture)
        check_writable(picture)
        if Path(picture).resolve() == Path(output).resolve():
            raise click.UsageError("-o and --png name the same file.")
    if Path(output).suffix != ".json" and not _is_device(output):
        raise ImcsimError("the trace is written as JSON", file=output, fix="end the name with .json")
    held_out = choose_validation(settings, needed=policy == "dynamic")
    loaded = load_all(settings, held_out, labelled=False)
    with progress_bars(quiet) as progress:
        from imcsim.studies.timelines import record

        recorded = record(*loaded.subject, images, loaded.options, progress, policy=policy)
    from imcsim.report.perfetto import trace_json

    files: dict[str | Path, bytes] = {output: trace_json(recorded, detail).encode()}
    if picture is not None:
        files[picture] = timeline_picture(recorded, kind)
    write_files(files)
    if quiet:
        return
    from imcsim.report.units import ENERGY, TIME, fitting

    for k, shown in enumerate(recorded.images):
        cycles = int(recorded.line.departure[k] - recorded.line.arrival[k])
        time = fitting(TIME, [cycles * recorded.clock_ns])
        energy = fitting(ENERGY, [shown.energy_pj])
        click.echo(
            f"image {shown.image}: exits after {shown.timesteps} of "
            f"{counted(recorded.meta.timesteps, 'timestep')}, "
            f"{counted(cycles, 'cycle')}, {time(cycles * recorded.clock_ns)} {time.name}, "
            f"{energy(shown.energy_pj)} {energy.name}"
        )
    click.echo(f"{output}: open it in ui.perfetto.dev")


def _is_device(name: str) -> bool:
    """Whether `name` is something to write into that is no file, as /dev/stdout."""
    path = Path(name)
    return path.exists() and not path.is_file() and not path.is_dir()
