"""``imcsim hardware``: chips."""

from __future__ import annotations

from typing import Any

import click

from imcsim.commands.common import print_names, print_report, texts
from imcsim.commands.completion import complete_hardware
from imcsim.commands.options import options_of, plugin_option


@click.group()
def hardware() -> None:
    """Chips: list, show, check."""


@hardware.command("list")
def hardware_list() -> None:
    """Names of the chips that come with imcsim."""
    import imcsim.hardware

    print_names(imcsim.hardware.names())


@hardware.command("show")
@click.argument("name", metavar="NAME|FILE", shell_complete=complete_hardware)
@options_of("overrides")
@plugin_option
def hardware_show(name: str, overrides: dict[str, Any]) -> None:
    """Every figure of a chip, with unit, mark and source."""
    import imcsim.hardware
    from imcsim.report.terminal.tables import table

    loaded = imcsim.hardware.load(name, overrides)
    rows = imcsim.hardware.describe(loaded, short=True)
    print_report(table(f"Hardware {name}", ["key", "value", "unit", "mark", "source"], texts(rows), left=5))
    cited = imcsim.hardware.sources(loaded)
    if cited:
        print_report(table("Sources", ["name", "citation"], list(cited.items()), left=2))
    rows_left = texts(imcsim.hardware.left_out())
    print_report(table("Left out of the model", ["part", "bound on its share", "why"], rows_left, left=3))


@hardware.command("check")
@click.argument("file", metavar="NAME|FILE", shell_complete=complete_hardware)
@options_of("overrides")
@plugin_option
def hardware_check(file: str, overrides: dict[str, Any]) -> None:
    """Read a chip's file and say whether it is sound."""
    import imcsim.hardware

    rows = list(imcsim.hardware.describe(imcsim.hardware.load(file, overrides)))
    unsourced = sum(row[3] == "unsourced" for row in rows)
    click.echo(
        f"{file}: sound, {len(rows)} values" + (f", {unsourced} without a source" if unsourced else "")
    )
