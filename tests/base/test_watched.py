"""Who watches is told which kernels are compiled; `warm-up` leaves nothing to compile."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imcsim.base.compiled.watched import tell, watching
from imcsim.report.terminal.progress import ProgressBars


def test_watchers_hear_while_they_watch() -> None:
    first: list[str | None] = []
    second: list[str | None] = []
    with watching(first.append):
        tell("a")
        with watching(second.append):
            tell(None)
    tell("b")
    assert first == ["a", None]
    assert second == [None]


def test_the_bar_names_the_outermost_kernel_and_goes_when_all_are_compiled() -> None:
    bars = ProgressBars(io.StringIO())
    for kernel, shown in (
        ("lif", "compiling lif (first run only)"),
        ("decay", "compiling lif (first run only)"),  # a part of it
        (None, "compiling lif (first run only)"),
        (None, None),
        ("pool", "compiling pool (first run only)"),
    ):
        bars.compiling(kernel)
        (task,) = bars._progress.tasks
        assert (task.description if task.visible else None) == shown
    assert task.completed == 2


WATCHED = """
import sys
from imcsim.base.compiled.watched import watching
from imcsim.commands.cli import main
seen = []
with watching(seen.append):
    assert main(sys.argv[1:]) == 0
print("compiled:", [name for name in seen if name])
"""


@pytest.mark.slow
def test_after_warming_up_a_comparison_compiles_nothing(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
        command = [sys.executable, "-c", WATCHED, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    assert "'leaky'" in run("warm-up", "--quiet")
    for issue in ("wait", "speculate"):
        assert (
            run("compare", "--images", "10", "--issue", issue, "--json", str(tmp_path / "x"))
            == "compiled: []"
        )
