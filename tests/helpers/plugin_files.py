"""Plug-ins for tests: the example package, installed into a folder of its own, and files with parts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"

GAP = '''
"""An exit rule like margin, half as sure."""

__version__ = "2.1"

import numpy as np
from imcsim.plugins import CheckWork, ExitRule, Units


class Gap(ExitRule):
    title = "gap"
    units = Units(comparators=1, adders=1)

    def scores(self, outputs, checker):
        best = np.sort(outputs.accumulated, axis=2)
        return np.maximum(self.most(checker) - (best[..., -1] - best[..., -2]), 0)

    def most(self, checker):
        return 8 << checker.fraction_bits

    def scale(self, classes, checker):
        return self.most(checker)

    def work(self, classes, mean):
        return CheckWork(compares=classes, adds=1)

    def cycles(self, classes, class_cycles, final_cycles):
        return classes * class_cycles


exit_rules = {"gap": Gap}
'''


NOISY = '''
"""A model of cells that spread more and more."""

import math

import numpy as np
from imcsim.plugins import CellErrors


class Noisy(CellErrors):
    parameters = {"sigma": 0.2}

    def programmed(self, levels, programming, draws):
        spread = programming.parameters["sigma"] * (1 + math.log10(programming.time_s))
        return np.maximum(levels + spread * draws.standard_normal(levels.shape), 0)


cell_errors = {"noisy": Noisy}
'''


def installed(folder: Path) -> Path:
    """A folder with the example package as pip installs it, to be put on the path. Nothing is downloaded."""
    source, target = folder / "source", folder / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "--target", str(target), str(source),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return target


def written(folder: Path, text: str = GAP, name: str = "my_chip.py") -> Path:
    """A plug-in file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
