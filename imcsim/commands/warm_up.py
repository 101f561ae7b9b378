"""``imcsim warm-up``: compile what a first run would, for images of containers and the nodes of a cluster."""

from __future__ import annotations

from pathlib import Path

import click

from imcsim.commands.common import progress_bars
from imcsim.commands.help import Grouped

ERRORS = "dtsnn_32nm_nonideal"
"""A chip with errors, which have kernels of their own."""


@click.command("warm-up", cls=Grouped, short_help="Compile the kernels now: for images and clusters.")
@click.option("--errors", is_flag=True, help="Also the kernels of chips with errors.")
@click.option("--quiet", is_flag=True, help="No progress and no summary.")
def warm_up(errors: bool, quiet: bool) -> None:
    """Compile the kernels that a first run would compile, and keep them.

    Later runs of this user on processors of this kind begin at once. Kernels lie beside the sources, else in
    the user's cache; NUMBA_CACHE_DIR names another folder, which the nodes of a cluster may share.
    Feedback, delays and multi-spike neurons have kernels that are compiled when a network needs them.
    """
    from imcsim.base.compiled.places import kept_below
    from imcsim.studies.comparison import compare
    from imcsim.studies.loading import Loader
    from imcsim.studies.settings import RunSettings

    about: list[RunSettings] = []
    for issue in ("wait", "speculate"):
        about.append(RunSettings().changed({"images": 2, "issue": issue, "threshold": 0.3, "workers": 1}))
    if errors:
        about.append(about[0].changed({"hardware": ERRORS}))
    with progress_bars(quiet) as progress:
        for k, settings in enumerate(about):
            loader = Loader()
            progress("runs", k, len(about))
            compare(
                loader.network(settings), loader.hardware(settings), loader.inputs(settings), None,
                settings.options,
            )  # fmt: skip
    if not quiet:
        folders = list(kept_below(Path(__file__).parents[1]))
        files = [one for folder in folders for one in folder.iterdir() if one.is_file()]
        size = sum(one.stat().st_size for one in files) / 1e6
        click.echo(f"{len(files)} kernels are kept, {size:.1f} MB")
        for folder in folders:
            click.echo(f"  {folder}")
