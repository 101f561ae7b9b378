"""Makes the figures of docs/gallery.md anew: `python docs/gallery/make.py` (some minutes; extra `report`)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from imcsim.commands.cli import main

HERE = Path(__file__).parent
SWEEP = HERE / "sweep.yaml"

COMPARED = ("accuracy_edp", "exits", "energy_breakdown", "scaling")
"""Figures of `imcsim compare --out`."""

REPORTED = ("pareto_edp", "heat_adc.bits_threshold", "sensitivity", "energy_by_layer")
"""Figures of `imcsim report`."""


def run(*arguments: str) -> None:
    if main(arguments):
        raise SystemExit(f"imcsim {' '.join(arguments)} failed")


def make(folder: Path) -> None:
    """Make all figures, with `folder` for what they are made from."""
    run("compare", "--out", str(folder / "compare"), "--paper", "--quiet")
    for name in COMPARED:
        shutil.copy(folder / "compare" / "figures" / f"{name}.png", HERE)
    picture = str(HERE / "timeline.png")
    asked = "--model", "vgg7_cifar10", "--image", "0", "--issue", "speculate"
    run("timeline", *asked, "-o", str(folder / "t.json"), "--png", picture)
    run("sweep", str(SWEEP), "--out", str(folder / "sweep"))
    run("report", str(folder / "sweep"), "--heat", "adc.bits", "threshold")
    for name in REPORTED:
        shutil.copy(folder / "sweep" / "report" / "figures" / f"{name}.png", HERE)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as passing:
        make(Path(passing))
