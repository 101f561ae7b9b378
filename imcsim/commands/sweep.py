"""``imcsim sweep``: many points of hardware, networks and exit policies, in one store."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from imcsim.base.plurals import counted
from imcsim.commands.common import print_report, progress_bars, say
from imcsim.commands.help import Grouped
from imcsim.commands.options import gathered, option, options_of

if TYPE_CHECKING:
    from imcsim.sweeps import Spec, Store, Summary

MAX_LISTED = 200
MAX_WARNINGS = 10


@dataclass(frozen=True)
class Labour:
    """Who does a sweep's work, and whether points that failed are done again."""

    workers: int | None
    scheduler: str | None
    retry_failed: bool


@dataclass(frozen=True)
class Upkeep:
    """A sweep's folder that is to be checked, or repaired."""

    checked: str | None
    repaired: str | None


@click.command(cls=Grouped, short_help="Run every point of a spec: axes over any settings.")
@click.argument("spec", metavar="SPEC", required=False)
@options_of("overrides", "plugins")
@click.option(
    "--out", "folder", metavar="DIR", help="Where the store and the table go; a sweep goes on there."
)
@option("workers", text="Processes on this machine.", unset="one for each processor")
@click.option("--scheduler", metavar="ADDRESS", help="Run on a Dask cluster instead (extra: cluster).")
@click.option("--retry-failed", is_flag=True, help="Run points again that failed before.")
@click.option("--dry-run", is_flag=True, help="List the points and count the runs of values; run nothing.")
@click.option(
    "--check", "checked", metavar="DIR", help="Read all of a sweep's store: is it sound? Run nothing."
)
@click.option(
    "--repair", "repaired", metavar="DIR", help="Keep what is sound of a sweep's store. Run nothing."
)
@click.option("--quiet", is_flag=True, help="No progress and no summary.")
@gathered("upkeep", Upkeep)
@gathered("labour", Labour)
def sweep(
    spec: str | None,
    overrides: dict[str, Any],
    plugins: tuple[str, ...],
    folder: str | None,
    labour: Labour,
    upkeep: Upkeep,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Run every point of a spec: a base chip, network and inputs, and axes over any of their settings.

    Each point is a row of DIR/sweep.sqlite, written as it ends, and of DIR/table.csv. Stopped at any moment,
    the same command goes on where it was. The exit status is 1 where a point failed; all others are done.
    """
    if upkeep.checked is not None or upkeep.repaired is not None:
        if spec is not None or (upkeep.checked is not None and upkeep.repaired is not None):
            raise click.UsageError("Give --check DIR or --repair DIR alone.")
        return _check(upkeep.checked) if upkeep.checked is not None else _repair(str(upkeep.repaired))
    if spec is None:
        raise click.UsageError("Missing argument 'SPEC'.")
    if not dry_run and folder is None:
        raise click.UsageError("Give --out DIR, or --dry-run.")
    if labour.workers is not None and labour.scheduler is not None:
        raise click.UsageError(
            "--workers are processes of this machine; with --scheduler the cluster has its own."
        )
    from imcsim.sweeps import Summary, load_spec
    from imcsim.sweeps import sweep as run_sweep

    loaded = load_spec(spec, overrides, plugins)
    if dry_run:
        _show(loaded)
        return 0
    assert folder is not None
    summary = Summary()
    with progress_bars(quiet) as progress:
        store = run_sweep(
            loaded, folder, workers=labour.workers, scheduler=labour.scheduler,
            retry_failed=labour.retry_failed, progress=progress, summary=summary,
        )  # fmt: skip
    with store:
        from imcsim.report.fronts import write_front_files

        with progress_bars(quiet) as progress:
            write_front_files(store.folder, progress)
        if not quiet:
            _tell(store, summary)
    return 1 if summary.failed else 0


def _check(folder: str) -> int:
    """Say what is wrong with a store; the status is 1 where something is."""
    from imcsim.sweeps.repairing import check_store

    found = check_store(folder)
    for problem in found.problems:
        click.echo(_line(problem))
    count = f"{len(found.sound)} of {counted(found.planned, 'point is', 'points are')} there and sound"
    click.echo(f"{count}; {counted(len(found.problems), 'problem')}" if found.problems else count)
    return 1 if found.problems else 0


def _repair(folder: str) -> int:
    from imcsim.sweeps.repairing import repair_store

    found = repair_store(folder)
    for problem in found.checked.problems:
        click.echo(_line(problem))
    click.echo(
        f"{len(found.checked.sound)} of {counted(found.checked.planned, 'point is', 'points are')} "
        "there and sound"
    )
    if found.before is not None:
        click.echo(
            f"the store of before is {found.before}; points that are missing run when the sweep goes on"
        )
    return 0


def _line(text: str) -> str:
    """A text that a file may have brought, as one line that no terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _show(spec: Spec) -> None:
    """The points, and how many runs of values they need."""
    from imcsim.report.terminal.grid import table
    from imcsim.sweeps import make_plan

    points = list(spec.points())
    rows = [[str(p.index), *(_text(p.values[key]) for key in spec.keys)] for p in points[:MAX_LISTED]]
    print_report(table(f"Sweep {spec.name}", ["point", *spec.keys], rows, left=1 + len(spec.keys)))
    if len(points) > MAX_LISTED:
        click.echo(f"... and {len(points) - MAX_LISTED} more")
    plan = make_plan(points)
    click.echo(
        f"{counted(len(points), 'point needs', 'points need')} "
        f"{counted(plan.functional_runs, 'functional run')} and "
        f"{counted(plan.scales, 'ADC calibration')}"
    )


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _tell(store: Store, summary: Summary) -> None:
    stream = sys.stdout
    if stream is None:
        return
    new = summary.points - summary.earlier
    click.echo(
        f"{counted(summary.points, 'point')}: {new} run now, {summary.earlier} before; {summary.failed} "
        "failed"
    )
    click.echo(f"functional runs: {summary.computed} computed, {summary.reused} found")
    for row in store.points() if summary.failed else ():
        if row["status"] == "failed":
            say(f"first failure: point {row['point']}: {row['error'].splitlines()[0]}", err=True)
            break
    warn(store)
    say(f"wrote {store.folder / 'sweep.sqlite'} and {store.folder / 'table.csv'}")


def warn(store: Store) -> None:
    """Say on stderr which figures do not hold, of how many points, and where the images are too few."""
    from imcsim.results.statistics import few_images

    found, points, images = Counter[str](), 0, None
    for row in store.points():  # one after the other: a store may hold a million
        points += 1
        found.update(dict.fromkeys(row["warnings"] or (), 1))
        if row["images"]:
            images = row["images"] if images is None else min(images, row["images"])
    for warning, number in list(found.items())[:MAX_WARNINGS]:
        say(f"warning: {number:,} of {counted(points, 'point')}: {_line(warning)}", err=True)
    if len(found) > MAX_WARNINGS:  # one for each chip with errors, say
        more = counted(len(found) - MAX_WARNINGS, "other warning")
        say(f"warning: {more}: see the column warnings of {store.folder / 'table.csv'}", err=True)
    few = None if images is None else few_images(images)
    if few is not None:
        say(f"warning: {few}", err=True)
