"""The command line: parses, calls, prints; no modelling.

The commands are in `imcsim.commands`. Everything but click is imported inside them, so that ``imcsim --help``
answers at once.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from imcsim._version import __version__
from imcsim.base import interrupts
from imcsim.base.errors import ImcsimError, mend
from imcsim.commands.completion import COMPLETE_VARIABLE, completion, offer_powershell
from imcsim.commands.diff import diff
from imcsim.commands.hardware import hardware
from imcsim.commands.help import format_commands, mistake
from imcsim.commands.import_ import import_file
from imcsim.commands.info import info
from imcsim.commands.inputs import inputs_group
from imcsim.commands.map import map_network
from imcsim.commands.model import model
from imcsim.commands.plugins import plugins_group
from imcsim.commands.report import report
from imcsim.commands.reproduce import reproduce
from imcsim.commands.schema import schema
from imcsim.commands.search import search
from imcsim.commands.simulate import compare, run, stream
from imcsim.commands.sweep import sweep
from imcsim.commands.timeline import timeline
from imcsim.commands.trace import trace
from imcsim.commands.validate import validate
from imcsim.commands.warm_up import warm_up

COLLECTED_AFTER = 20_000
"""New objects after which the garbage collector looks for more than Python's own counts find."""


_SHOWN = 2000
"""Characters of a message at each end, where a name makes it longer than a screen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (default: the process's own) and return its exit status.

    0: done. 2: something the user gave is wrong, or a file cannot be written. 130: interrupted, by Ctrl-C or
    SIGTERM. 1: the reader of our output went away, a figure of `validate` is outside, or an error of imcsim
    itself. Errors go to stderr without a traceback; setting IMCSIM_DEBUG lets that of an internal error
    through.
    """
    # What is imported stays: to look through it for garbage at each step would take a tenth of the start.
    gc.set_threshold(COLLECTED_AFTER)
    if os.environ.get(COMPLETE_VARIABLE, "").startswith("powershell"):
        offer_powershell()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a name that the terminal's encoding lacks is no error
    try:
        status = cli.main(
            args=None if arguments is None else list(arguments), prog_name="imcsim", standalone_mode=False
        )
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        return status if isinstance(status, int) else 0
    except (click.Abort, KeyboardInterrupt, _Interrupted):
        return _interrupted()
    except ImcsimError as error:
        return _interrupted() if interrupts.heard() else _fail(str(error), 2)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return _fail(mistake(error), error.exit_code)
    except BrokenPipeError:
        _abandon_output()
        return 1
    except OSError as error:
        _abandon_output()
        what = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
        place = error.filename if error.filename is not None else "output"
        return _fail(f"{place}: {what} ({mend(error, 'choose another file or folder')})", 2)
    except MemoryError:
        return _fail("not enough memory (try fewer --images or --workers)", 2)
    except Exception as error:
        if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            return _fail(
                "no more threads can be started: memory or their number is limited (try fewer --workers)", 2
            )
        if interrupts.heard():  # a library made an error of its own of it
            return _interrupted()
        if os.environ.get("IMCSIM_DEBUG"):
            raise
        kind = type(error).__name__
        text = " ".join(str(error).split())
        return _fail(f"internal error, please report it: {kind}: {text} (IMCSIM_DEBUG=1 shows where)", 1)


def _interrupted() -> int:
    # After the ^C that a terminal shows, begin a new line.
    prefix = "\n" if sys.stderr is not None and sys.stderr.isatty() else ""
    return _fail("interrupted", interrupts.STATUS, prefix=prefix)


def _fail(message: str, status: int, *, prefix: str = "error: ") -> int:
    # A file name may hold anything; a terminal should not obey it.
    text = "".join(c if c.isprintable() or c == "\n" else "?" for c in message)
    if len(text) > 2 * _SHOWN:
        text = f"{text[:_SHOWN]} ... {text[-_SHOWN:]}"
    with suppress(OSError):
        click.echo(prefix + text, err=True)
    return status


def _abandon_output() -> None:
    """If stdout is broken, let the interpreter not flush into it at its end: that would print a traceback."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Interrupted(Exception):
    """KeyboardInterrupt, for which click would print an empty line."""


class _Commands(click.Group):
    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **settings)
        except KeyboardInterrupt:
            raise _Interrupted from None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        format_commands(self, context, formatter)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise _Interrupted from None


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="imcsim", message="%(prog)s %(version)s")
def cli() -> None:
    """Simulate in-memory-computing hardware running spiking neural networks, with and without early exit."""


for command in (
    compare,
    run,
    stream,
    sweep,
    search,
    report,
    reproduce,
    import_file,
    map_network,
    validate,
    hardware,
    model,
    inputs_group,
    trace,
    plugins_group,
    diff,
    timeline,
    schema,
    info,
    warm_up,
    completion,
):
    cli.add_command(command)
