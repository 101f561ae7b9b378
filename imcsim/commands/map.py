"""``imcsim map``: the floorplan of a network on a chip."""

from __future__ import annotations

import sys

import click

from imcsim.base.errors import ImcsimError
from imcsim.commands.common import check_targets, print_report
from imcsim.commands.help import Grouped
from imcsim.commands.options import Delivery, run_settings
from imcsim.studies.settings import RunSettings


@click.command("map", cls=Grouped)
@run_settings("hardware", "overrides", "model", "plugins")
@click.option("--json", "json_path", metavar="FILE", help="Write the floorplan as JSON; - is stdout.")
@click.option("--out", "out_folder", metavar="DIR", help="Write JSON, CSV tables and the drawing there.")
def map_network(settings: RunSettings, json_path: str | None, out_folder: str | None) -> None:
    """Where a network's layers stand on a chip: crossbars, PEs, tiles, and how full they are."""
    check_targets(Delivery(json_path, out_folder, quiet=False))
    import imcsim.hardware
    import imcsim.mapping
    import imcsim.network
    from imcsim.report import floorplan as files
    from imcsim.report.files import write_text
    from imcsim.report.terminal import floorplan as report
    from imcsim.report.terminal.tables import warning_lines
    from imcsim.timing.fits import too_small

    chip = imcsim.hardware.load(settings.hardware, settings.overrides)
    network = imcsim.network.load(settings.model)
    short = too_small(network, chip.config)
    try:
        placement = imcsim.mapping.place(network, chip.config)
    except ImcsimError:
        raise ImcsimError("\n".join(short), key=network.name) from None
    plan = imcsim.mapping.floorplan(placement, chip.config)
    names = network.name, chip.name
    if out_folder is not None:
        files.write_floorplan(plan, *names, out_folder)
    to_stdout = json_path == "-"
    if to_stdout:
        sys.stdout.write(files.floorplan_json(plan, *names))
        sys.stdout.flush()
    elif json_path is not None:
        write_text(files.floorplan_json(plan, *names), json_path)
    stream = sys.stderr if to_stdout else sys.stdout
    print_report(report.floorplan_report(plan, *names), stream)
    for line in warning_lines(short):
        print_report(line, stream)
