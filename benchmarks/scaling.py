"""How the time of a comparison grows with images, timesteps, crossbar size, network width and workers.

    python benchmarks/scaling.py [--docs docs] [--only images workers]

One thing changes at a time; the rest stays as in BASE. The median of several runs goes into scaling.csv; with
`--docs` its table and figure go into speed.md and figures/. The ratio is one worker over all of them.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import common
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from networks import vgg16

import imcsim.hardware
import imcsim.inputs
from imcsim.report.figures import drawing
from imcsim.report.figures.drawing import BLUE, GREY, ORANGE, SKY, draw, letter
from imcsim.report.files import write_contents, write_text
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import simulate
from imcsim.studies.comparison import compare_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions
from imcsim.timing import Issue, Timing

FILE = common.FOLDER / "scaling.csv"
PAGE, FIGURE = "speed.md", "scaling"
BEGIN, END = "<!-- scaling: begin -->", "<!-- scaling: end -->"
COLUMNS = ("axis", "value", "chip_s", "images_s", "tables_s", "processor", "date")
PARTS = (("chip_s", "chip", SKY), ("images_s", "images", BLUE), ("tables_s", "tables", ORANGE))


@dataclass(frozen=True)
class Point:
    """A comparison: VGG-16 with `width` quarters of its channels."""

    images: int = 100
    timesteps: int = 4
    crossbar: int = 64
    width: int = 1
    workers: int = common.cores()


BASE = Point()
AXES: dict[str, Sequence[int]] = {
    "images": (25, 50, 100, 200, 400),
    "timesteps": (1, 2, 4, 8),
    "crossbar": (32, 64, 128, 256),
    "width": (1, 2, 4),
    "workers": range(1, common.cores() + 1),
}
NAMES = {
    "images": "images", "timesteps": "timesteps", "crossbar": "crossbar rows and columns",
    "width": "channels, in quarters of VGG-16", "workers": "workers",
}  # fmt: skip

POWERS = {"images": 1, "timesteps": 1, "width": 2, "workers": -1}
"""How time would grow in proportion to images, timesteps, weights, and inversely to workers."""


def parts() -> Callable[[Point], tuple[float, float, float]]:
    """The seconds in which the chip is made, images are run, and tables are drawn up."""
    networks = {width: vgg16(width) for width in AXES["width"]}
    held_out = imcsim.inputs.load("cifar10_validation", 16)

    def turn(point: Point) -> tuple[float, float, float]:
        net = networks[point.width]
        size = {"cells.rows": point.crossbar, "cells.columns": point.crossbar}
        hardware = imcsim.hardware.load("dtsnn_32nm", size)
        images = imcsim.inputs.load("cifar10_test", point.images)
        options = CompareOptions(threshold=0.3, timesteps=point.timesteps, workers=point.workers)
        times = [time.perf_counter()]
        timing = Timing(point.timesteps, Issue())
        chip = make_chip(net, hardware, held_out, timing, workers=point.workers)
        times.append(time.perf_counter())
        played = simulate(chip, images, workers=point.workers)
        times.append(time.perf_counter())
        compare_of(Experiment(options, chip, held_out, None, hardware, images, played))
        times.append(time.perf_counter())
        first, second, third = (after - before for before, after in pairwise(times))
        return first, second, third

    turn(replace(BASE, images=2))
    return turn


def measure(axes: dict[str, Sequence[int]], base: Point, runs: int) -> list[dict[str, str]]:
    rows, today = [], datetime.date.today().isoformat()
    with common.Side(parts) as side:
        for axis, values in axes.items():
            for value in values:
                point = replace(base, **{axis: value})
                side.run(replace(point, images=2))
                turns = [side.run(point)[1] for _ in range(runs)]
                medians = [statistics.median(part) for part in zip(*turns, strict=True)]
                cells = (axis, str(value), *(f"{part:.3f}" for part in medians), common.machine(), today)
                rows.append(dict(zip(COLUMNS, cells, strict=True)))
                print(f"{axis:10} {value:5}   " + "   ".join(
                    f"{name} {part:7.2f} s" for (_, name, _), part in zip(PARTS, medians, strict=True)
                ))  # fmt: skip
    return rows


def total(row: dict[str, str]) -> float:
    return sum(float(row[key]) for key, _, _ in PARTS)


def read(path: Path = FILE) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(rows: Sequence[dict[str, str]], path: Path = FILE) -> None:
    common.write_csv(path, COLUMNS, rows)


def table(rows: Sequence[dict[str, str]]) -> str:
    head = ["what", "value", *(f"{name}, s" for _, name, _ in PARTS), "together, s"]
    lines = [head, ["---"] + ["--:"] * (len(head) - 1)]
    for row in rows:
        each = [f"{float(row[key]):.2f}" for key, _, _ in PARTS]
        lines.append([NAMES[row["axis"]], row["value"], *each, f"{total(row):.2f}"])
    about = sorted({f"{row['processor']}, {row['date']}" for row in rows})
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{text}\n\nMeasured on: {'; '.join(about)}."


def with_table(page: str, rows: Sequence[dict[str, str]]) -> str:
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table(rows)}\n{END}{after}"


def figure(rows: Sequence[dict[str, str]]) -> Figure:
    """A panel for each axis: time against it, in logarithms, and a line of proportional growth."""
    drawn, panels = drawing.figure(2.2, 1, len(AXES), wide=True, sharey=True)
    for axes, axis in zip(panels, AXES, strict=True):
        mine = [row for row in rows if row["axis"] == axis]
        values = [int(row["value"]) for row in mine]
        for key, name, colour in PARTS:
            axes.plot(values, [float(row[key]) for row in mine], "o-", color=colour, markersize=3, label=name)
        whole = [total(row) for row in mine]
        axes.plot(values, whole, "o-", color="black", markersize=3, label="together")
        if mine and axis in POWERS:
            power = POWERS[axis]
            line = [whole[0] * (value / values[0]) ** power for value in values]
            axes.plot(values, line, ":", color=GREY, label="proportional")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(values, [str(value) for value in values])
        axes.set_xlabel(NAMES[axis].replace(", in", ",\nin").replace(" rows", "\nrows"))
    panels[0].set_ylabel("seconds")
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    letter(panels)
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return drawn


def document(rows: Sequence[dict[str, str]], docs: Path) -> None:
    write_contents(docs / "figures", draw(lambda: {FIGURE: figure(rows)}, ["png"]))
    page = (docs / PAGE).read_text(encoding="utf-8")
    write_text(with_table(page, rows), docs / PAGE)


def main() -> None:
    parser = common.arguments(__doc__, runs=3)
    parser.add_argument("--only", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--docs", type=Path, help="folder of speed.md and figures/")
    about = parser.parse_args()
    axes, base = {axis: AXES[axis] for axis in about.only}, BASE
    if about.quick:
        axes, base, about.runs = {"workers": AXES["workers"]}, replace(BASE, images=2), 1
    rows = measure(axes, base, about.runs)
    if not about.quick:
        kept = [row for row in read() if row["axis"] not in axes]
        rows = sorted([*kept, *rows], key=lambda row: list(AXES).index(row["axis"]))
        write(rows)
    if about.docs is not None:
        document(rows, about.docs)
    finish(rows, about)


def finish(rows: Sequence[dict[str, str]], about: argparse.Namespace) -> None:
    mine = [row for row in rows if row["axis"] == "workers"]
    one, several = mine[0], mine[-1]
    common.finish(
        Path(__file__).name,
        f"{BASE.images} images, VGG-16 at quarter width, compared by {several['value']} workers, against one",
        ours=f"{total(several):.2f} s",
        theirs=f"{total(one):.2f} s",
        ratio=total(one) / total(several),
        save=not about.quick,
    )


if __name__ == "__main__":
    main()
