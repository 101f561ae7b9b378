"""``imcsim schema``: what files may hold, for editors."""

from __future__ import annotations

import json
from typing import Any, cast

import click

KINDS = ("hardware", "sweep", "search", "result", "chips", "network", "reproduction")


@click.command(short_help="Print the JSON schema of a kind of file.")
@click.argument("kind", type=click.Choice(KINDS), default="hardware", metavar="[KIND]")
def schema(kind: str) -> None:
    """Print the JSON schema of a kind of file: hardware (default), sweep, search, result, chips
    (a result of compare --chips), network or reproduction.

    An editor with a YAML language server completes and checks files by it; see docs/configs.md.
    """
    click.echo(json.dumps(_schema(kind), indent=2, allow_nan=False, ensure_ascii=False))


def _schema(kind: str) -> dict[str, Any]:
    if kind == "hardware":
        from imcsim.hardware.schema import json_schema

        return json_schema()
    if kind in ("result", "chips", "reproduction"):
        from imcsim.results.schemas import json_schema as of_documents

        return of_documents(cast(Any, kind))
    if kind == "network":
        from imcsim.network.json_schema import json_schema as of_networks

        return of_networks()
    if kind == "search":
        from imcsim.searches.json_schema import json_schema as of_searches

        return of_searches()
    from imcsim.sweeps.json_schema import json_schema as of_sweeps

    return of_sweeps()
