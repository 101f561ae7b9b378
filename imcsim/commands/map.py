"""``imcsim map``: the floorplan of a network on a chip, and the search for a better one."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from typing import TextIO

import click

from imcsim.base.errors import ImcsimError
from imcsim.commands.common import check_targets, load_all, print_report, progress_bars
from imcsim.commands.help import Grouped
from imcsim.commands.options import Delivery, gathered, run_settings
from imcsim.results.mapped import OBJECTIVES, Budget, Goal, Objective
from imcsim.studies.settings import DEFAULT_VALIDATION, RunSettings

JUDGES = 200
"""Validation images on which mappings are judged, unless told otherwise."""


@dataclass(frozen=True)
class Sought:
    """What a mapping is searched for, and where the chip's file goes."""

    optimise: Objective | None
    budget: Budget | None
    crossbars: tuple[int, ...]
    row_orders: bool
    chip_file: str | None


def _budget(context: click.Context, parameter: click.Parameter, value: str | None) -> Budget | None:
    if value is None:
        return None
    try:
        return Budget.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def _shapes(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """Rows and columns of crossbars, from ``32,128``."""
    if value is None:
        return ()
    sizes = [int(one) if re.fullmatch(r"\d{1,5}", one.strip()) else 0 for one in value.split(",")]
    if 0 in sizes:
        raise click.BadParameter(f"{value!r:.60}; give sizes of crossbars such as 32,128", context, parameter)
    return tuple(dict.fromkeys(sizes))


def _types_of_shapes(sizes: tuple[int, ...]) -> dict[str, int]:
    """What says that the chip has a type of tile for each size."""
    keys = ("rows", "columns")
    return {f"tile_types.crossbars_{size}.cells.{key}": size for size in sizes for key in keys}


@click.command(
    "map",
    cls=Grouped,
    short_help="Where a network's layers stand on a chip; find a better mapping.",
)
@run_settings(
    "hardware", "overrides", "model", "plugins", "validation", "images", "timesteps", "threshold", "seed",
    "workers",
)  # fmt: skip
@click.option(
    "--optimise", metavar="|".join(OBJECTIVES), type=click.Choice(OBJECTIVES),
    help="Search for the mapping with the least of it: copies, shared tiles, placement, columns per ADC, and "
    "types of tile where the chip has several.",
)  # fmt: skip
@click.option(
    "--budget", metavar="N", callback=_budget,
    help="What the chip may take in all: 600crossbars, 12tiles or 20mm2; else the area that it takes now.",
)  # fmt: skip
@click.option(
    "--crossbars", metavar="N[,N...]", callback=_shapes,
    help="Also tiles with crossbars of N x N cells, for whichever layers gain by them.",
)  # fmt: skip
@click.option("--row-orders", is_flag=True, help="Also the other order of rows (cells.row_order).")
@click.option("-o", "chip_file", metavar="FILE", help="Write the chip with the mapping found there, as YAML.")
@click.option("--json", "json_path", metavar="FILE", help="Write the result as JSON; - is stdout.")
@click.option("--out", "out_folder", metavar="DIR", help="Write JSON, CSV tables and the drawing there.")
@click.option("--quiet", is_flag=True, help="No progress; no tables either if --json or --out is given.")
@gathered("asked", Sought)
def map_network(
    settings: RunSettings, asked: Sought, json_path: str | None, out_folder: str | None, quiet: bool
) -> None:
    """Where a network's layers stand on a chip, and how full it is; or a search for a better mapping.

    With --optimise mappings are judged on validation images, the first 200 unless --images says so.
    """
    delivery = Delivery(json_path, out_folder, quiet)
    check_targets(delivery)
    if asked.optimise is not None:
        settings = replace(settings, overrides={**_types_of_shapes(asked.crossbars), **settings.overrides})
        _search(settings, Goal(asked.optimise, asked.budget, asked.row_orders), asked.chip_file, delivery)
        return
    given = click.get_current_context().get_parameter_source
    searching = (
        "budget",
        "crossbars",
        "row_orders",
        "chip_file",
        "validation",
        "images",
        "timesteps",
        "threshold",
        "seed",
        "workers",
    )
    for name in searching:
        if given(name) not in (None, click.core.ParameterSource.DEFAULT):
            option = {"chip_file": "-o"}.get(name, f"--{name.replace('_', '-')}")
            raise click.UsageError(f"{option} goes with --optimise.")
    _show(settings, delivery)


def _show(settings: RunSettings, delivery: Delivery) -> None:
    import imcsim.hardware
    import imcsim.mapping
    import imcsim.network
    from imcsim.report import floorplan as files
    from imcsim.report.terminal import floorplan as report
    from imcsim.report.terminal.tables import warning_lines
    from imcsim.timing.fits import EACH_NAMES_ONE, too_small

    with progress_bars(delivery.quiet) as progress:
        progress("chip", 0, 4)
        chip = imcsim.hardware.load(settings.hardware, settings.overrides)
        network = imcsim.network.load(settings.model)
        progress("chip", 1, 4)
        short = too_small(network, chip.config)
        progress("chip", 2, 4)
        try:
            placement = imcsim.mapping.place(network, chip.config)
        except ImcsimError:
            raise ImcsimError(
                "\n".join(short), key=network.name, fix=EACH_NAMES_ONE if len(short) > 1 else None
            ) from None
        progress("chip", 3, 4)
        plan = imcsim.mapping.floorplan(placement, chip.config)
        names = network.name, chip.name
        progress("chip", 4, 4)
        if delivery.out_folder is not None:
            files.write_floorplan(plan, *names, delivery.out_folder, progress)
    stream = _json(files.floorplan_json(plan, *names), delivery)
    if not delivery.silent:
        print_report(report.floorplan_report(plan, *names), stream)
    for line in warning_lines(short):
        print_report(line, stream)


def _search(settings: RunSettings, goal: Goal, chip_path: str | None, delivery: Delivery) -> None:
    from imcsim.report.files import check_writable, write_text
    from imcsim.report.mapped import chip_file, search_json, write_search
    from imcsim.report.terminal.mapped import search_report
    from imcsim.studies.mapping_search import search_mapping

    if chip_path is not None:
        check_writable(chip_path)
    judges = str(settings.validation or DEFAULT_VALIDATION)
    loaded = load_all(replace(settings, inputs=judges), None)
    shown = loaded.inputs
    if settings.images is None:
        shown = replace(shown, images=shown.images[:JUDGES], labels=shown.labels[:JUDGES])
    with progress_bars(delivery.quiet) as progress:
        found = search_mapping(
            loaded.network, loaded.hardware, shown, goal, loaded.options, progress,
            delivery.out_folder,
        )  # fmt: skip
    if chip_path is not None:
        write_text(chip_file(found, loaded.hardware, chip_path), chip_path)
    if delivery.out_folder is not None:
        write_search(found, delivery.out_folder)
    stream = _json(search_json(found), delivery)
    if not delivery.silent:
        print_report(search_report(found), stream)


def _json(text: str, delivery: Delivery) -> TextIO:
    """Write the document where it is to go; returns where tables go then."""
    from imcsim.report.files import write_text

    if delivery.json_path == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return sys.stderr
    if delivery.json_path is not None:
        write_text(text, delivery.json_path)
    return sys.stdout
