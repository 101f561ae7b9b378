"""``imcsim hardware``: chips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.commands.common import print_names, print_report, texts
from imcsim.commands.completion import complete_hardware
from imcsim.commands.options import option, options_of, plugin_option

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


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
    from imcsim.report.terminal.grid import Listing

    loaded = imcsim.hardware.load(name, overrides)
    rows = texts(imcsim.hardware.describe(loaded, short=True))
    figures = [(key, f"{value} {unit}".strip(), mark, source) for key, value, unit, mark, source in rows]
    print_report(Listing(f"Hardware {name}: key, value, mark, source", figures))
    cited = imcsim.hardware.sources(loaded)
    if cited:
        print_report(Listing("Sources", list(cited.items())))
    tried = imcsim.hardware.tried_alternatives(loaded)
    if tried:
        alternatives = [(*named, f"{sets} - {source}") for *named, sets, source in texts(tried)]
        print_report(Listing("Alternatives that `imcsim compare` plays for its ranges", alternatives))
    rows_left = texts(imcsim.hardware.left_out())
    bounds = [(part, f"{bound} - {why}") for part, bound, why in rows_left]
    print_report(Listing("Left out of the model, and bounds on what it takes", bounds))


@hardware.command("check", short_help="Is a chip's file sound, and does a network fit?")
@click.argument("file", metavar="NAME|FILE", shell_complete=complete_hardware)
@options_of("overrides")
@plugin_option
@click.option("--strict", is_flag=True, help="Figures that do not hold for the chip are an error.")
@option("model", text="Network that must fit, by name or folder.", unset="none", default=None)
def hardware_check(file: str, overrides: dict[str, Any], strict: bool, model: str | None) -> None:
    """Read a chip's file and say whether it is sound, what would not follow a change of it, and whether a
    network fits.
    """
    import imcsim.hardware
    from imcsim.report.terminal.grid import plain, table
    from imcsim.report.terminal.tables import warning_lines

    loaded = imcsim.hardware.load(file, overrides)
    rows = list(imcsim.hardware.describe(loaded))
    unsourced = sum(row[3] == "unsourced" for row in rows)
    click.echo(
        f"{file}: sound, {counted(len(rows), 'value')}"
        + (f", {unsourced} without a source" if unsourced else "")
    )
    stuck = imcsim.hardware.would_not_follow(loaded)
    if stuck:
        title = "Figures that would follow neither another node nor other sizes"
        print_report(table(title, ["key", "why"], texts(stuck), left=2))
    idle = imcsim.hardware.without_use(loaded)
    if idle:
        print_report(plain(f"Values that play no part on this chip: {', '.join(idle)}"))
    found = imcsim.hardware.warnings(loaded)
    for line in warning_lines(found):
        print_report(line)
    if model is not None:
        _must_fit(model, loaded.config)
    if strict and found:
        raise ImcsimError(
            f"{counted(len(found), 'figure does', 'figures do')} not hold for this chip",
            file=file,
            key="strict",
            fix="give them for its conditions, as the warnings say, or leave out --strict",
        )


def _must_fit(model: str, config: HardwareConfig) -> None:
    """Say that a network fits, or raise with every part that is too small, all at once."""
    import imcsim.network
    from imcsim.timing.fits import EACH_NAMES_ONE, too_small

    short = too_small(imcsim.network.load(model), config)
    if short:
        fix = EACH_NAMES_ONE if len(short) > 1 else None
        raise ImcsimError("\n".join(short), key=model, fix=fix)
    click.echo(f"{model} fits")
