"""``imcsim model``: trained networks."""

from __future__ import annotations

import click

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.commands.common import flat, print_names, print_report, texts
from imcsim.commands.completion import complete_model


@click.group()
def model() -> None:
    """Trained networks: list, show, check."""


@model.command("list")
def model_list() -> None:
    """Names of the networks that come with imcsim."""
    import imcsim.network

    print_names(imcsim.network.names())


@model.command("show")
@click.argument("name", metavar="NAME|DIR", shell_complete=complete_model)
def model_show(name: str) -> None:
    """Layers of a network and where its weights come from."""
    import imcsim.network
    from imcsim.report.terminal.grid import Listing, table

    network = imcsim.network.load(name)
    columns = ["layer", "kind", "shape", "weights", "detail"]
    print_report(table(f"Network {network.name}", columns, texts(imcsim.network.describe(network)), left=5))
    if network.provenance:
        print_report(Listing("Provenance", list(flat(network.provenance))))


@model.command("check")
@click.argument("folder", metavar="NAME|DIR", shell_complete=complete_model)
def model_check(folder: str) -> None:
    """Read a network's folder and list everything that is wrong with it."""
    import imcsim.network

    problems = imcsim.network.check(folder)
    if problems:
        raise ImcsimError("\n".join(problems))
    network = imcsim.network.load(folder)
    click.echo(f"{folder}: sound, {counted(len(network.weighted), 'layer')} with weights")
