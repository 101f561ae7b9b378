"""What wire resistance does to column currents, and how well and how fast the ladders of ir_drop.py find it.

    python benchmarks/ir_drop.py [--docs docs] [--draw]

Reads crossbars of random 4-bit cells (20 to 200 kOhm) of four sizes with five wire resistances and three
shares of active rows, by the exact solver and by ladders, and those of the default network. Prints the
tables, and writes ir_drop.csv; with ``--docs`` also the tables of nonideal_ir_drop.md, between its two
marks, and its figure; with ``--draw`` only the figure, of what the file holds. The last line is the exact
solver's time over the ladders', for all that a 64 x 64 crossbar can do.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
from common import arguments, finish, skip
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

import imcsim.network
from imcsim.base.choices import InactiveRows
from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import Wires
from imcsim.functional.nonideal.exact import Crossbar
from imcsim.functional.nonideal.ir_drop import seen
from imcsim.network.cells import to_cells
from imcsim.network.graph import Conv2d, Linear
from imcsim.network.rows import dense, row_layout
from imcsim.report.figures import drawing
from imcsim.report.figures.drawing import BLUE, GREEN, GREY, ORANGE, VERMILION, draw, letter
from imcsim.report.files import write_contents, write_text

SIZES, OHMS, DENSITIES = (32, 64, 128, 256), (0.5, 1.0, 2.5, 5.0, 10.0), (0.05, 0.15, 0.5)
LEVELS, R_ON_OHM, R_OFF_OHM = 15, 20e3, 200e3
"""4-bit cells of hw_configs/dtsnn_32nm.yaml."""
TYPICAL = (3.13, 1.04)
"""Ohm per pitch of wordline and of bitline at 32 nm; see the page."""

CSV = Path(__file__).with_suffix(".csv")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
PAGE, FIGURE = "nonideal_ir_drop.md", "ir_drop"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One setting. lost: of the column currents, in all. The errors are over the mean column current: root of
    the mean square, and largest; `series` is that of cells in series with the wire to them alone.
    """

    crossbar: int
    ohm: float
    inactive: InactiveRows
    density: float
    lost: float
    error_rms: float
    error_max: float
    series_rms: float


@dataclass(frozen=True)
class Times:
    """Of one crossbar. read: factorised, and one read; all: factorised, and a read of each row alone."""

    crossbar: int
    exact_read_ms: float
    exact_all_ms: float
    ladders_ms: float


def main() -> None:
    parser = arguments(__doc__, seed=1)
    parser.add_argument("--docs", type=Path, help="folder of nonideal_ir_drop.md and figures/")
    parser.add_argument("--draw", action="store_true", help="only draw what the table has")
    args = parser.parse_args()
    if args.draw:
        draw_into(args.docs or Path("docs"), read_csv())
        return
    try:
        Crossbar(np.ones((1, 1)), Wires())
    except ImcsimError as error:
        skip(str(error))

    sizes, ohms = ((8, 16), (1.0, 5.0)) if args.quick else (SIZES, OHMS)
    rng = np.random.default_rng(args.seed)
    rows = [row for size in sizes for ohm in ohms for row in compared(random_cells(rng, size), ohm, rng)]
    trained = trained_rows(rng, 2 if args.quick else 8)
    times = [timed(rng, size, 1 if args.quick else 3) for size in sizes]
    text = "\n\n".join((table(rows), trained_table(trained), times_table(times)))
    print(text)
    if not args.quick:
        write_csv(rows)
    if args.docs is not None:
        page = (args.docs / PAGE).read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        draw_into(args.docs, rows)
        write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", args.docs / PAGE)
    one = next((t for t in times if t.crossbar == 64), times[-1])
    finish(
        Path(__file__).name,
        f"wire resistance of a {one.crossbar} x {one.crossbar} crossbar: ladders against nodal analysis",
        ours=f"{one.ladders_ms:.3g} ms",
        theirs=f"{one.exact_all_ms:,.0f} ms",
        ratio=one.exact_all_ms / one.ladders_ms,
        save=not args.quick,
    )  # fmt: skip


# --- what is measured


def conductances(levels: NDArray[Any]) -> Array:
    """S, of cells at these levels."""
    found: Array = 1 / R_OFF_OHM + levels * (1 / R_ON_OHM - 1 / R_OFF_OHM) / LEVELS
    return found


def random_cells(rng: np.random.Generator, size: int) -> Array:
    return conductances(rng.integers(0, LEVELS + 1, (size, size)))


def compared(g: Array, ohm: float, rng: np.random.Generator) -> list[Row]:
    """All densities and both kinds of arrays on one crossbar, with the same wire both ways."""
    found = []
    for inactive in get_args(InactiveRows):
        circuit = Wires(wordline_ohm=ohm, bitline_ohm=ohm, inactive=inactive)
        crossbar = Crossbar(g, circuit)
        for density in DENSITIES:
            active = inputs(rng, len(g), density)
            lost, rms, most, series = errors(g, crossbar, circuit, active, density)
            found.append(Row(len(g), ohm, inactive, density, lost, rms, most, series))
    return found


def inputs(rng: np.random.Generator, rows: int, density: float) -> NDArray[np.bool_]:
    """Random active rows, none of them without any; fewer reads of larger crossbars."""
    active = rng.random((max(4, 1024 // rows), rows)) < density
    active[~active.any(axis=1), rows // 2] = True
    return active


def errors(
    g: Array, crossbar: Crossbar, circuit: Wires, active: NDArray[np.bool_], density: float
) -> tuple[float, float, float, float]:
    exact = crossbar.read(active).column_a
    mean = exact.mean()
    ladders = active @ seen(g, circuit, density).column - exact
    series = active @ in_series(g, circuit) - exact
    lost = 1 - exact.sum() / (active @ g).sum()
    return lost, _rms(ladders) / mean, float(np.abs(ladders).max()) / mean, _rms(series) / mean


def in_series(g: Array, circuit: Wires) -> Array:
    """Each cell in series with the wire to it, as if it were alone: NeuroSim V1.4's column resistance."""
    down, across = np.indices(g.shape)
    wire = (across + 1) * circuit.wordline_ohm + (len(g) - down) * circuit.bitline_ohm
    found: Array = 1 / (1 / g + wire)
    return found


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x**2)))


def trained_rows(rng: np.random.Generator, crossbars: int) -> list[Row]:
    """The first 64 x 64 crossbars of layers of the default network, offset encoding, with typical wires."""
    network = imcsim.network.load("vgg7_cifar10")
    layers = [node for node in network.nodes if isinstance(node, Conv2d | Linear)]
    cells = []
    for node in layers:
        weight = row_layout(node, 64, "im2col").order(dense(node))
        slices = to_cells(weight, network.weight_bits, 4, "offset").levels  # [slices, Cout, rows]
        if slices.shape[1] >= 32 and slices.shape[2] >= 64:
            cells.append(conductances(slices[:, :32, :64].transpose(2, 1, 0).reshape(64, -1)))
    found = []
    for inactive in get_args(InactiveRows):
        circuit = Wires(wordline_ohm=TYPICAL[0], bitline_ohm=TYPICAL[1], inactive=inactive)
        for density in DENSITIES:
            each = [
                errors(g, Crossbar(g, circuit), circuit, inputs(rng, 64, density), density)
                for g in cells[:crossbars]
            ]
            lost, rms, most, series = (list(values) for values in zip(*each, strict=True))
            found.append(
                Row(
                    64, 0.0, inactive, density, statistics.mean(lost), statistics.mean(rms), max(most),
                    statistics.mean(series),
                )
            )  # fmt: skip
    return found


def timed(rng: np.random.Generator, size: int, runs: int) -> Times:
    """Medians, with the wires of 1 Ohm."""
    circuit = Wires(wordline_ohm=1.0, bitline_ohm=1.0)
    many = np.stack([random_cells(rng, size) for _ in range(max(1, (1 << 18) // size**2))])
    one = np.ones((1, size), bool)
    read = _ms(lambda: Crossbar(many[0], circuit).read(one), runs)
    # A read of each row of a larger crossbar takes minutes.
    whole = _ms(lambda: Crossbar(many[0], circuit).transfer(), runs) if size <= 128 else float("nan")
    return Times(size, read, whole, _ms(lambda: seen(many, circuit), runs) / len(many))


def _ms(work: Callable[[], Any], runs: int) -> float:
    seconds = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(seconds)


# --- tables and figure


def table(rows: Sequence[Row]) -> str:
    """A line for each crossbar and resistance."""
    shares = " / ".join(f"{100 * d:g}" for d in DENSITIES)
    columns = ["crossbar", "Ω"]
    for inactive in get_args(InactiveRows):
        columns += [f"{inactive}: lost, %", f"error at {shares} % active, %", "largest, %"]
    lines = []
    for size, ohm in dict.fromkeys((row.crossbar, row.ohm) for row in rows):
        cells = [f"{size} x {size}", f"{ohm:g}"]
        for inactive in get_args(InactiveRows):
            mine = [r for r in rows if (r.crossbar, r.ohm, r.inactive) == (size, ohm, inactive)]
            lost = [row.lost for row in mine]
            cells.append(share(lost[-1]) if inactive == "grounded" else " / ".join(map(share, lost)))
            cells.append(" / ".join(share(row.error_rms) for row in mine))
            cells.append(share(max(row.error_max for row in mine)))
        lines.append(cells)
    return markdown(columns, lines)


def share(value: float) -> str:
    """Per cent: two decimals, fewer where they say nothing."""
    value *= 100
    if 0 < value < 0.005:
        return "<0.01"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:.0f}"


def trained_table(rows: Sequence[Row]) -> str:
    columns = ["trained cells, 64 x 64", "active, %", "lost, %", "error, %", "largest, %", "in series, %"]
    lines = []
    for row in rows:
        values = (row.lost, row.error_rms, row.error_max, row.series_rms)
        lines.append([f"`{row.inactive}`", f"{100 * row.density:g}", *map(share, values)])
    return markdown(columns, lines)


def times_table(times: Sequence[Times]) -> str:
    columns = ["time, ms", "exact, one read", "exact, a read of each row", "ladders"]
    lines = []
    for t in times:
        whole = "not measured" if np.isnan(t.exact_all_ms) else f"{t.exact_all_ms:,.0f}"
        size = f"{t.crossbar} x {t.crossbar}"
        lines.append(
            [size, f"{t.exact_read_ms:,.0f}", whole, f"{t.ladders_ms:.{0 if t.ladders_ms > 10 else 1}f}"]
        )
    return markdown(columns, lines)


def markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] + ["--:"] * (len(columns) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *lines))


def write_csv(rows: Sequence[Row], path: Path = CSV) -> None:
    names = [field.name for field in fields(Row)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            values = [getattr(row, name) for name in names]
            writer.writerow([f"{v:.4g}" if isinstance(v, float) else v for v in values])


def read_csv(path: Path = CSV) -> list[Row]:
    kinds = {"crossbar": int, "inactive": str}
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(**{name: kinds.get(name, float)(cell) for name, cell in row.items()})
            for row in csv.DictReader(file)
        ]


def draw_into(docs: Path, rows: Sequence[Row]) -> None:
    write_contents(docs / "figures", draw(lambda: {FIGURE: figure(rows)}, ["png"]))


def figure(rows: Sequence[Row]) -> Figure:
    """Current lost, and errors, at 15 % active rows."""
    drawn, (lost, grounded, gated) = drawing.figure(2.6, 1, 3, wide=True)
    picked = [row for row in rows if row.density == DENSITIES[1]]
    for ohm, colour in zip(OHMS, (GREY, GREEN, BLUE, ORANGE, VERMILION), strict=True):
        mine = [row for row in picked if row.ohm == ohm]
        for inactive, style in (("grounded", "-"), ("gated", "--")):
            some = [row for row in mine if row.inactive == inactive]
            _line(lost, some, [r.lost for r in some], colour, style, f"{ohm:g} Ω" if style == "-" else None)
            axes = grounded if inactive == "grounded" else gated
            _line(axes, some, [r.error_rms for r in some], colour, "-")
            _line(axes, some, [r.series_rms for r in some], colour, ":")
    lost.set_ylabel("column current lost (%)\nline: grounded, dashed: gated")
    drawn.legend(
        *lost.get_legend_handles_labels(), title="per pitch of wire", loc="outside upper center", ncols=5
    )
    for axes, name in ((grounded, "grounded"), (gated, "gated")):
        axes.set_yscale("log")
        axes.set_ylabel(f"error (%), {name}\nline: ladders, dotted: in series")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    for axes in (lost, grounded, gated):
        axes.set_xscale("log", base=2)
        axes.set_xticks(SIZES, [str(size) for size in SIZES])
        axes.minorticks_off()
        axes.set_xlabel("rows and columns")
    letter((lost, grounded, gated))
    return drawn


def _line(
    axes: Axes,
    rows: Sequence[Row],
    values: Sequence[float],
    colour: str,
    style: str,
    label: str | None = None,
) -> None:
    shares = [100 * value for value in values]
    axes.plot(
        [row.crossbar for row in rows],
        shares,
        style,
        color=colour,
        label=label,
        marker="." if style == "-" else "",
    )


if __name__ == "__main__":
    main()
