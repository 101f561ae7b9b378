"""``imcsim report``: results as a page, with figures for a paper."""

from __future__ import annotations

import click

from imcsim.base.plurals import counted
from imcsim.commands.common import progress_bars
from imcsim.commands.help import Grouped


@click.command(cls=Grouped, short_help="Make a page of a sweep, a search, a comparison or a run.")
@click.argument("folder", metavar="DIR")
@click.option("--out", metavar="DIR", help="Where the page goes.  [default: DIR/report]")
@click.option("--points", metavar="N,N,...", help="Points to break down.  [default: base and the best]")
@click.option(
    "--base", type=click.IntRange(0), metavar="N", help="Point from which each axis is changed alone."
)
@click.option(
    "--heat", nargs=2, multiple=True, metavar="KEY KEY", help="Two axes for a heat map; repeat for more."
)
@click.option("--title", metavar="TEXT", help="Title of the page.")
@click.option("--quiet", is_flag=True, help="No progress and no summary.")
def report(
    folder: str,
    out: str | None,
    points: str | None,
    base: int | None,
    heat: tuple[tuple[str, str], ...],
    title: str | None,
    quiet: bool,
) -> None:
    """Make a page from the folder of a sweep, a search, or of `compare --out`.

    The page index.html needs no other file and no network. Its figures stand beside it as SVG, PDF and PNG,
    with their data as CSV. Nothing is simulated.
    """
    numbers = _numbers(points)
    from imcsim.report.site import write_report

    with progress_bars(quiet) as progress:
        made = write_report(folder, out, points=numbers, base=base, heat=heat, title=title, progress=progress)
    if not quiet:
        failed = f", {made.failed} failed" if made.failed else ""
        click.echo(f"{counted(made.points, 'point')}{failed}; {counted(made.figures, 'figure')}")
        click.echo(f"wrote {made.page}")


def _numbers(given: str | None) -> list[int]:
    try:
        return [int(part) for part in given.split(",")] if given is not None else []
    except ValueError:
        raise click.BadParameter("give numbers of points, such as 0,7", param_hint="'--points'") from None
