"""``imcsim search``: the best trades of energy, latency, area and accuracy over chips and thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imcsim.base.plurals import counted
from imcsim.commands.common import print_report, progress_bars, say
from imcsim.commands.help import Grouped
from imcsim.commands.options import option, options_of
from imcsim.commands.sweep import warn

if TYPE_CHECKING:
    from imcsim.searches import Search
    from imcsim.sweeps import Store, Summary

MAX_LISTED = 40


@click.command(cls=Grouped, short_help="Search settings for the best trades between objectives.")
@click.argument("spec", metavar="SPEC")
@options_of("overrides", "plugins")
@click.option(
    "--out", "folder", metavar="DIR", required=True, help="Where the store goes; a search goes on there."
)
@click.option("--trials", type=click.IntRange(1, 1_000_000), help="Points to try.  [default: the spec's]")
@option("workers", text="Processes on this machine.", unset="one for each processor")
@click.option("--scheduler", metavar="ADDRESS", help="Run on a Dask cluster instead (extra: cluster).")
@click.option("--quiet", is_flag=True, help="No progress and no summary.")
def search(
    spec: str,
    overrides: dict[str, Any],
    plugins: tuple[str, ...],
    folder: str,
    trials: int | None,
    workers: int | None,
    scheduler: str | None,
    quiet: bool,
) -> int:
    """Search the settings of a spec for the best trades of its objectives (extra: search).

    Points are judged on validation images; those of the Pareto front are then run once on the images that are
    reported. All points are rows of DIR/sweep.sqlite, the front is DIR/front.csv, and DIR/front is a sweep of
    the front's points. Stopped at any moment, the same command goes on where it was; so do more --trials. The
    exit status is 1 where no point was found.
    """
    if workers is not None and scheduler is not None:
        raise click.UsageError(
            "--workers are processes of this machine; with --scheduler the cluster has its own."
        )
    from imcsim.searches import load_search
    from imcsim.searches import search as run_search
    from imcsim.sweeps import Summary

    loaded = load_search(spec, overrides, plugins)
    summary = Summary()
    with progress_bars(quiet) as progress:
        store = run_search(
            loaded, folder, trials=trials, workers=workers, scheduler=scheduler, progress=progress,
            summary=summary,
        )  # fmt: skip
    with store:
        from imcsim.report.fronts import write_front_files

        with progress_bars(quiet) as progress:
            write_front_files(store.folder, progress)
        if not quiet:
            _tell(loaded, store, summary, trials or loaded.trials)
        return 0 if store.front() else 1


def _tell(search: Search, store: Store, summary: Summary, wanted: int) -> None:
    from imcsim.sweeps import open_store

    new = summary.points - summary.earlier
    click.echo(
        f"{counted(summary.points, 'point')}: {new} run now, {summary.earlier} before; {summary.failed} "
        "failed"
    )
    if summary.points < wanted:
        click.echo("there are no other points: all combinations were tried")
    for row in store.outcomes() if summary.failed else ():
        if row["status"] == "failed":
            say(f"first failure: point {row['point']}: {row['error'].splitlines()[0]}", err=True)
            break
    found = store.front()
    if not found:
        what = " that meets the constraints" if search.limits else ""
        click.echo(f"no point{what} was found", err=True)
    else:
        print_report(_front(search, found))
        if len(found) > MAX_LISTED:
            click.echo(f"... and {len(found) - MAX_LISTED} more")
    if found:
        with open_store(store.folder / "front") as reported:
            warn(reported)
    say(f"wrote {store.folder / 'sweep.sqlite'}, {store.folder / 'front.csv'} and {store.folder / 'front'}")


def _front(search: Search, rows: list[dict[str, Any]]) -> Any:
    """The front: judged on validation images, with the figures of the reported images."""
    from imcsim.report.terminal.grid import table

    axes, shown = search.sweep.keys, rows[:MAX_LISTED]
    columns = [_column(objective.column, rows) for objective in search.objectives]
    texts = [
        [str(row["point"]), *(_text(row[key]) for key in axes), *(write(row) for _, write in columns)]
        for row in shown
    ]
    title = (
        f"Pareto front: {counted(len(rows), 'point')}, judged on validation images; figures are of the "
        "reported images"
    )
    return table(title, ["point", *axes, *(name for name, _ in columns)], texts, left=1 + len(axes))


def _column(column: str, rows: list[dict[str, Any]]) -> tuple[str, Any]:
    """A heading with its unit, and what writes a row's figure in it."""
    from imcsim.report.units import AREA, ENERGY, TIME, fitting, product

    key = column if column == "area_um2" else f"test_{column}"
    known = [row[key] for row in rows if row[key] is not None]
    if column == "accuracy":
        return "accuracy, %", _accuracy
    if column == "edp_mean_of_products":
        energy = fitting(ENERGY, [r["test_energy_pj"] for r in rows if r["test_energy_pj"] is not None])
        time = fitting(TIME, [r["test_latency_ns"] for r in rows if r["test_latency_ns"] is not None])
        unit = product(energy, time)
    else:
        unit = fitting({"pj": ENERGY, "ns": TIME, "um2": AREA}[column.rsplit("_", 1)[1]], known)
    name = {
        "energy_pj": "energy",
        "latency_ns": "latency",
        "latency_p99_ns": "latency p99",
        "area_um2": "area",
    }
    heading = f"{name.get(column, 'EDP')}, {unit.name}"
    return heading, lambda row: "-" if row[key] is None else unit(row[key])


def _accuracy(row: dict[str, Any]) -> str:
    from imcsim.report.units import percent

    accuracy, low, high = (row[f"test_accuracy{end}"] for end in ("", "_low", "_high"))
    if accuracy is None:
        return "-"
    return percent(accuracy) + ("" if low is None else f" [{percent(low)}, {percent(high)}]")


def _text(value: Any) -> str:
    return "-" if value is None else str(value)
