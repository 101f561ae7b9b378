"""``imcsim reproduce``: the paper's networks and claims, run again."""

from __future__ import annotations

import click

from imcsim.commands.common import print_report, progress_bars
from imcsim.commands.help import Grouped
from imcsim.commands.options import memory_option, option


@click.command(cls=Grouped, short_help="Run DT-SNN's networks, and put its figures beside ours.")
@click.option(
    "--images", type=click.IntRange(min=1), help="Only the first so many of the 10,000 test images."
)
@click.option(
    "--validation-images",
    type=click.IntRange(min=1),
    help="Only the first so many of the 5,000 validation images.",
)
@click.option("--networks", metavar="NAME,NAME", help="Only these.  [default: vgg16,resnet19]")
@click.option(
    "--models", metavar="DIR", help="Folder with the networks' bundles.  [default: the built-in ones]"
)
@click.option(
    "--out", "folder", metavar="DIR", required=True, help="Where the page goes; a run goes on there."
)
@option("workers")
@memory_option
@click.option("--quiet", is_flag=True, help="No progress and no table.")
def reproduce(
    images: int | None,
    validation_images: int | None,
    networks: str | None,
    models: str | None,
    folder: str,
    workers: int | None,
    quiet: bool,
) -> None:
    """Run DT-SNN's networks on its chip and put every figure beside the paper's.

    Writes DIR/index.html, a page with figures and their data, and DIR/reproduction.json. Thresholds and all
    other choices are made on validation images, never on the test images. Stopped at any moment, the same
    command goes on where it was.
    """
    from imcsim.report.files import check_writable

    check_writable(folder, folder=True)
    with progress_bars(quiet) as progress:
        from imcsim.report.reproduction import write_page
        from imcsim.reproduction.reproduce import reproduce as run

        made = run(
            folder, images=images, validation_images=validation_images, networks=_names(networks),
            models=models, workers=workers, progress=progress,
        )  # fmt: skip
        page = write_page(made.document, made.pictures, folder, progress)
    if not quiet:
        from imcsim.report.terminal.reproduction import reproduction_report

        print_report(reproduction_report(made.document))
        click.echo(f"wrote {page}")


def _names(given: str | None) -> list[str] | None:
    return None if given is None else [part.strip() for part in given.split(",") if part.strip()]
