"""What help looks like, in groups, and what is said of a mistake in the use of a command, in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import click

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion

_OPTIONS: Mapping[str, Sequence[str]] = {
    "What to look for": ("optimise", "budget", "crossbars", "row_orders"),
    "What to do with the points": ("retry_failed", "dry_run", "checked", "repaired"),
    "What the page shows": ("points", "base", "heat", "title"),
    "What to run": (
        "policy", "model", "models", "networks", "inputs", "validation", "timesteps", "encoding", "bin_us",
        "labels", "images", "validation_images", "arrivals", "rate", "copies", "against", "against_hardware",
        "trials", "chips", "chip", "seed", "plugins", "workers", "scheduler", "memory",
    ),
    "Chip": ("hardware", "overrides", "overrides_a", "fidelity", "strict"),
    "Early exit": (
        "threshold", "thresholds", "max_loss", "temperatures", "dynamic_only", "rule", "accumulation",
        "issue",
    ),
    "Output": ("json_path", "folder", "out_folder", "out", "chip_file", "paper", "quiet"),
}  # fmt: skip
"""Parameters of options, by group, in order; an option of a command's own stands above them."""

COMMANDS: Mapping[str, Sequence[str]] = {
    "Simulate": ("compare", "run", "stream", "timeline", "trace"),
    "Explore": ("sweep", "search", "map", "diff", "report"),
    "What there is": ("hardware", "model", "inputs", "plugins"),
    "Your own network and files": ("import", "schema"),
    "How far to trust it": ("validate", "reproduce"),
    "This installation": ("info", "warm-up", "completion"),
}
"""Commands by group; one that is in none stands in the last."""


_OURS = [
    (re.compile(r"is not a valid integer( range)?\b"), "is not a whole number"),
    (re.compile(r"is not a valid float( range)?\b"), "is not a number"),
    (re.compile(r"is not in the range ([^<> ]+)<=x<=([^<> ]+)"), r"does not lie between \1 and \2"),
    (re.compile(r"is not in the range x>=([^<> ]+)"), r"is less than \1"),
    (re.compile(r"is not in the range x>([^<>= ]+)"), r"is not above \1"),
]
"""What click says of numbers, and the words for it."""
_OPTIONAL = re.compile(r"for '\[([A-Z]+)\]'")
"""An argument that may be left out, as usage shows it."""
_NO_CHOICE = re.compile(r"'([^']*)' is not one of")
_NO_COMMAND = re.compile(r"No such command '(.+?)'")  # click 8.2 has no exception of its own for it


class Grouped(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        own, groups = [], {title: [] for title in _OPTIONS}  # type: ignore[var-annotated]
        order = [name for names in _OPTIONS.values() for name in names]
        parameters = [one for one in self.get_params(context) if isinstance(one, click.Option)]
        for parameter in sorted(parameters, key=lambda p: order.index(p.name) if p.name in order else -1):
            record = parameter.get_help_record(context)
            if record is None:
                continue
            title = next((title for title, names in _OPTIONS.items() if parameter.name in names), None)
            (own if title is None else groups[title]).append(record)
        asks = [record for record in own if "--help" in record[0]]
        for title, records in {
            "Options": [record for record in own if record not in asks],
            **groups,
        }.items():
            shown = [*records, *asks] if title == "Output" else records
            if shown:
                with formatter.section(title):
                    formatter.write_dl(shown)


def format_commands(group: click.Group, context: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the commands of a group by what they are for."""
    left = [
        name for name in group.list_commands(context) if not any(name in names for names in COMMANDS.values())
    ]
    last = list(COMMANDS)[-1]
    for title, names in COMMANDS.items():
        found = [
            name for name in (*names, *(left if title == last else ())) if group.get_command(context, name)
        ]
        limit = formatter.width - 6 - max(map(len, found), default=0)
        with formatter.section(title):
            formatter.write_dl(
                [(name, group.get_command(context, name).get_short_help_str(limit)) for name in found]  # type: ignore[union-attr]
            )


class Refused(click.BadParameter):
    """A value of an option that something deeper refused, which says what to do instead."""

    def __init__(self, error: ImcsimError, context: click.Context, parameter: click.Parameter) -> None:
        super().__init__(error.message, context, parameter)
        self.fix = error.fix


def mistake(error: click.ClickException) -> str:
    """A mistake in the use of a command in one line, as errors of files are told."""
    context = getattr(error, "ctx", None)
    fix = f"see {context.command_path} --help" if context is not None else ""
    text = " ".join(error.format_message().split())
    text = _OPTIONAL.sub(r"for '\1'", text)
    for pattern, ours in _OURS:
        text = pattern.sub(ours, text)
    if isinstance(error, Refused):
        fix = error.fix or fix
    elif isinstance(error, click.BadOptionUsage) and not fix:
        fix = "write it behind the option"
    kind = getattr(getattr(error, "param", None), "type", None)
    if isinstance(kind, click.Choice) and (found := _NO_CHOICE.search(text)):
        fix = suggestion(found[1], map(str, kind.choices), fix)
    if isinstance(error, click.NoSuchOption):
        text = f"no such option {error.option_name!r}"
        fix = suggestion(error.option_name, error.possibilities or (), fix)
    elif (
        (found := _NO_COMMAND.match(text))
        and context is not None
        and isinstance(context.command, click.Group)
    ):
        text = f"no such command {found[1]!r}"
        fix = suggestion(found[1], context.command.list_commands(context), fix)
    text = text.rstrip(".")
    if not text.startswith(tuple("'\"-")):
        text = text[:1].lower() + text[1:]
    return f"{text} ({fix})" if fix else text
