"""How long `imcsim` takes to start: processor time until it reads its files, or shows its help.

    python benchmarks/startup.py [--runs 7]

Each start is a new interpreter that may keep byte code; least of several runs, after one. The ratio is the
0.3 s that a start may take over what that of `imcsim compare` takes. numpy's and numba's own are shown beside
it; numba is imported when the first kernel is called, with the progress bar on the screen.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import common

ALLOWED_SECONDS = 0.3
COMPARE = """
import sys
import imcsim.commands.cli
from imcsim.commands import simulate

def begin(settings, validation):
    import imcsim.studies.comparison, imcsim.report.terminal.progress
    sys.exit()

simulate.load_all = begin
imcsim.commands.cli.main(["compare"])
"""
"""The command until it has imported all with which it reads a network and builds a chip."""

STARTS = {
    "nothing": "pass",
    "numpy": "import numpy",
    "numpy and numba": "import numpy, numba",
    "imcsim --help": "from imcsim.commands.cli import main; main(['--help'])",
    "imcsim compare": COMPARE,
}


def seconds(code: str, runs: int) -> float:
    """Processor seconds of an interpreter that runs `code`."""
    found = []
    keeps = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=keeps)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found[1:])


def main() -> None:
    about = common.arguments(__doc__, runs=7).parse_args()
    if about.quick:
        about.runs = 1
    found = {name: seconds(code, about.runs) for name, code in STARTS.items()}
    for name, took in found.items():
        print(f"{name:16} {took * 1e3:6.0f} ms")
    common.finish(
        Path(__file__).name,
        "start of `imcsim compare`, processor time, against the 0.3 s allowed",
        ours=f"{found['imcsim compare']:.2f} s",
        theirs=f"{ALLOWED_SECONDS} s",
        ratio=ALLOWED_SECONDS / found["imcsim compare"],
        save=not about.quick,
    )


if __name__ == "__main__":
    main()
