"""``imcsim validate``: figures against published ones, or against what was put in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from imcsim.commands.common import check_targets, print_report, progress_bars
from imcsim.commands.options import Delivery

if TYPE_CHECKING:
    from imcsim.validate import JudgedRows


@click.command(short_help="Published figures of chips and papers beside ours.")
@click.option("--json", "json_path", metavar="FILE", help="Write every figure as JSON; - is stdout.")
@click.option(
    "--out", "out_folder", metavar="DIR", help="Write a page with a figure, JSON and Markdown tables there."
)
@click.option(
    "--verification",
    is_flag=True,
    help="Recompute what follows from figures that were put in: SpikeSim's constants, ISAAC's tile, worked "
    "examples, growth with T.",
)
def validate(json_path: str | None, out_folder: str | None, verification: bool) -> int:
    """Measured chips and published figures that were not put in beside ours: predicted or got, measured or
    expected, and how far apart.

    Takes about a minute. The exit status is 1 if a deviation is larger than allowed.
    """
    check_targets(Delivery(json_path, out_folder, quiet=False))
    with progress_bars(quiet=False) as progress:
        import imcsim.validate

        run = imcsim.validate.verify if verification else imcsim.validate.validate
        result: JudgedRows = run(progress)
    from imcsim.report.files import write_contents, write_text
    from imcsim.report.terminal import validation as report

    if out_folder is not None:
        from imcsim.report.validation import validation_files

        with progress_bars(quiet=False) as progress:
            write_contents(out_folder, validation_files(result, progress))
    to_stdout = json_path == "-"
    if to_stdout:
        sys.stdout.write(report.validation_json(result))
        sys.stdout.flush()
    elif json_path is not None:
        write_text(report.validation_json(result), json_path)
    print_report(report.validation_report(result), sys.stderr if to_stdout else sys.stdout)
    return 0 if result.passed else 1
