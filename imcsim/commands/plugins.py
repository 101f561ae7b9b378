"""``imcsim plugins``: what plug-ins add, and whether their parts keep the contracts."""

from __future__ import annotations

import click

from imcsim.base.errors import ImcsimError
from imcsim.commands.common import print_report
from imcsim.commands.options import plugin_option


@click.group(
    "plugins",
    invoke_without_command=True,
    short_help="Exit rules, estimators, cell errors and encodings: list, check.",
)
@plugin_option
@click.pass_context
def plugins_group(context: click.Context) -> None:
    """Exit rules, estimators, cell errors and encodings of installed packages and of --plugin files."""
    if context.invoked_subcommand is None:
        _show()


@plugins_group.command("list")
@plugin_option
def plugins_list() -> None:
    """All parts that can be used by name, and where they come from."""
    _show()


@plugins_group.command("check", short_help="Hold parts to the contract that our own parts keep.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@plugin_option
def plugins_check(names: tuple[str, ...]) -> None:
    """Hold parts to the contract that our own parts keep; says every clause that is broken."""
    from imcsim.plugins.contracts import check

    broken = 0
    for name in names:
        for word, origin, findings in check(name):
            source = "imcsim" if origin is None else f"{origin.source} {origin.version}".strip()
            click.echo(f"{word} {name}, of {source}")
            for finding in findings:
                click.echo(f"  {'kept  ' if finding.problem is None else 'BROKEN'}  {finding.clause}")
                if finding.problem is not None:
                    broken += 1
                    click.echo(f"          {finding.problem}")
    if broken:
        raise ImcsimError(
            f"{broken} clause{'s are' if broken > 1 else ' is'} broken", fix="mend what BROKEN lines name"
        )


def _show() -> None:
    from imcsim.plugins.kinds import ALL
    from imcsim.report.terminal.grid import table

    rows = []
    for kind in ALL:
        for name in kind.own:
            rows.append([kind.word, name, "imcsim", "", ""])
        for origin in kind.origins():
            word = f"{kind.word}, hidden by ours" if origin.name in kind.own else kind.word
            rows.append([word, origin.name, origin.source, origin.version, origin.sha256[:16]])
    print_report(table("Parts by name", ["kind", "name", "from", "version", "sha256"], rows, left=5))
