"""How much of early exit's gain survives when the chip pipelines its timesteps, and what wins it back.

    python benchmarks/issue_policies.py [--docs docs] [--model NAME] [--inputs NAME --validation NAME] ...

Runs the images once, plays every issue policy on what they did, and prints the tables of docs/pipelining.md.
With ``--docs`` it writes them into that page, between its two marks, and draws its figure.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.report.figures import drawing
from imcsim.report.figures.drawing import BLUE, GREY, ORANGE, SKY, VERMILION, draw
from imcsim.report.files import write_contents, write_text
from imcsim.report.units import number, percent
from imcsim.results.run import RunResult
from imcsim.results.stream import StreamResult
from imcsim.studies.comparison import run_of
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions
from imcsim.studies.streaming import StreamOptions, stream_of

Policy = Literal["static", "dynamic"]
POLICIES: tuple[tuple[Policy, str], ...] = (
    ("static", "wait"),
    ("static", "pipeline"),
    ("dynamic", "wait"),
    ("dynamic", "speculate"),
    ("dynamic", "interleave:2"),
    ("dynamic", "interleave:4"),
)
LOAD = 0.5
"""Rate of the random arrivals: this share of what the pipelined static chip can take."""

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
PAGE, FIGURE = "pipelining.md", "issue_policies"


@dataclass(frozen=True)
class Row:
    """One policy: its images one at a time, as a stream in a closed loop, and as a stream of random arrivals
    at a rate that all policies share.
    """

    alone: RunResult
    stream: StreamResult
    loaded: StreamResult

    @property
    def label(self) -> str:
        policy = self.stream.policy
        kind = f"static T = {policy.timesteps}" if policy.kind == "static" else "dynamic"
        return f"{kind}, {self.stream.meta.policy}"

    @property
    def interval_ns(self) -> float:
        return self.stream.makespan_ns / self.stream.meta.images


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--hardware", default="dtsnn_32nm")
    parser.add_argument("--model", default="vgg7_cifar10")
    parser.add_argument("--inputs", default="cifar10_test")
    parser.add_argument("--validation", default="cifar10_validation")
    parser.add_argument("--images", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--docs", type=Path, help="folder of pipelining.md and figures/")
    args = parser.parse_args()

    bench = Experiment.make(
        imcsim.network.load(args.model),
        imcsim.hardware.load(args.hardware),
        imcsim.inputs.load(args.inputs, limit=args.images),
        imcsim.inputs.load(args.validation),
        CompareOptions(workers=args.workers),
        None,
    )
    rate = LOAD * stream_of(bench.with_issue("pipeline"), policy="static").throughput_images_per_s
    arriving = StreamOptions("poisson", float(round(rate, -2)))
    rows = []
    for policy, issue in POLICIES:
        other = bench.with_issue(issue)
        rows.append(
            Row(
                run_of(other, policy=policy),
                stream_of(other, policy=policy),
                stream_of(other, arriving, policy=policy),
            )
        )
    text = "\n\n".join((about(rows[2]), alone(rows), stream(rows), loaded(rows), against(rows)))
    print(text)
    if args.docs is not None:
        page = (args.docs / PAGE).read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        write_contents(args.docs / "figures", draw(lambda: {FIGURE: figure(rows)}))
        write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", args.docs / PAGE)


# --- tables


def markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] + ["--:"] * (len(columns) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *lines))


def about(row: Row) -> str:
    """What was run."""
    meta, policy = row.stream.meta, row.stream.policy
    seen = policy.validation
    chosen = (
        ""
        if seen is None
        else f", chosen on {seen.images:,} validation images (accuracy there "
        f"{percent(seen.accuracy_dynamic)} %, static {percent(seen.accuracy_static)} %)"
    )
    return (
        f"Run: imcsim {meta.version}, network `{meta.network.name}` ({meta.network.layers} layers, "
        f"{meta.network.weights:,} weights, sha256 `{meta.network.sha256[:12]}`), hardware "
        f"`{meta.hardware.name}` (sha256 `{meta.hardware.sha256[:12]}`, {meta.hardware.tiles} tiles), images "
        f"`{meta.inputs.name}` ({meta.images:,}, {meta.inputs.split}), T max {meta.timesteps}, fidelity "
        f"{meta.fidelity}, seed {meta.seed}. Exit rule {policy.rule} on the {policy.accumulation}, threshold "
        f"{policy.threshold:.4g}{chosen}."
    )


def alone(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        o = row.alone.outcome
        lines.append(
            (
                row.label,
                percent(o.accuracy),
                f"{o.mean_timesteps:.3f}",
                number(o.latency_ns / 1e3),
                number(o.energy_pj / 1e6),
                number(o.edp_mean_of_products / 1e9),
                number(o.edp_product_of_means / 1e9),
                number(row.alone.meta.hardware.area_um2 / 1e6),
            )
        )
    columns = (
        "one image at a time", "accuracy, %", "mean T", "latency, µs", "energy, µJ",
        "EDP, mean of products, µJ µs", "EDP, product of means, µJ µs", "area, mm²",
    )  # fmt: skip
    return markdown(columns, lines)


def stream(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        s = row.stream
        lines.append(
            (
                row.label,
                number(s.throughput_images_per_s),
                number(row.interval_ns / 1e3),
                number(s.latency_p50_ns / 1e3),
                number(s.latency_p99_ns / 1e3),
                number(s.energy_pj / 1e6),
                percent(s.cancelled_energy_pj / s.energy_pj),
                percent(s.leakage_energy_pj / s.energy_pj),
                number(s.edp_of_interval / 1e9),
                percent(max(tile.utilisation for tile in s.tiles)),
            )
        )
    columns = (
        "a stream, closed loop", "images/s", "interval, µs", "latency p50, µs", "latency p99, µs",
        "energy, µJ", "cancelled, %", "leakage, %", "EDP of interval, µJ µs", "busiest tile, %",
    )  # fmt: skip
    return markdown(columns, lines)


def loaded(rows: Sequence[Row]) -> str:
    """All policies at the same rate of random arrivals."""
    lines = []
    for row in rows:
        s = row.loaded
        times = (s.latency_ns, s.latency_p50_ns, s.latency_p95_ns, s.latency_p99_ns)
        energies = (s.energy_pj / 1e6, s.leakage_energy_pj / s.energy_pj)
        lines.append(
            (row.label, *(number(t / 1e3) for t in times), number(energies[0]), percent(energies[1]))
        )
    rate = rows[0].loaded.arrivals.images_per_s or 0.0
    columns = (
        f"Poisson arrivals, {rate:,.0f} images/s", "latency, mean, µs", "p50, µs", "p95, µs", "p99, µs",
        "energy, µJ", "leakage, %",
    )  # fmt: skip
    return markdown(columns, lines)


def against(rows: Sequence[Row]) -> str:
    """The dynamic rows against both static ones."""
    waits, pipelined = rows[0], rows[1]

    def less(row: Row, base: Row, of: Callable[[Row], float]) -> str:
        return f"{100 * (of(row) / of(base) - 1):+.1f} %"

    lines = []
    for row in rows[1:]:
        for base in (waits, pipelined):
            if row is base:
                continue
            lines.append(
                (
                    f"{row.label} against {base.label}",
                    less(row, base, lambda r: r.alone.outcome.latency_ns),
                    less(row, base, lambda r: r.alone.outcome.energy_pj),
                    less(row, base, lambda r: r.alone.outcome.edp_mean_of_products),
                    less(row, base, lambda r: r.alone.outcome.edp_product_of_means),
                    f"{row.stream.throughput_images_per_s / base.stream.throughput_images_per_s:.2f}x",
                    less(row, base, lambda r: r.stream.energy_pj),
                    less(row, base, lambda r: r.stream.edp_of_interval),
                )
            )
    columns = (
        "change", "latency, alone", "energy, alone", "EDP, mean of products", "EDP, product of means",
        "throughput", "energy in the stream", "EDP of interval",
    )  # fmt: skip
    return markdown(columns, lines)


# --- figure


def figure(rows: Sequence[Row]) -> Figure:
    """Energy, time and EDP of every policy, one below the other."""
    drawn, (energy, time, edp) = drawing.figure(2.7, 1, 3, wide=True, sharey=True)
    places = range(len(rows))
    energy.set_yticks(list(places), [row.label for row in rows])
    energy.set_ylim(len(rows) - 0.45, -0.55)

    left = [0.0] * len(rows)
    parts: tuple[tuple[str, str, Callable[[StreamResult], float]], ...] = (
        ("work", BLUE, lambda s: s.energy_pj - s.cancelled_energy_pj - s.leakage_energy_pj),
        ("leakage", GREY, lambda s: s.leakage_energy_pj),
        ("cancelled", VERMILION, lambda s: s.cancelled_energy_pj),
    )
    for name, colour, of in parts:
        widths = [of(row.stream) / 1e6 for row in rows]
        energy.barh(places, widths, left=left, height=0.62, color=colour, label=name)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    _numbers(energy, places, left)
    energy.set_xlabel("energy per image,\nstream (µJ)")
    _legend(energy, "(a)", 3)

    _pair(time, rows, lambda r: r.alone.outcome.latency_ns / 1e3, lambda r: r.interval_ns / 1e3)
    time.set_xlabel("time per image (µs):\nlatency alone, interval in a stream")
    _legend(time, "(b)", 2)
    base = rows[1]
    _pair(
        edp,
        rows,
        lambda r: r.alone.outcome.edp_mean_of_products / base.alone.outcome.edp_mean_of_products,
        lambda r: r.stream.edp_of_interval / base.stream.edp_of_interval,
    )
    edp.axvline(1.0, color="black", linewidth=0.8, linestyle=":", zorder=3)
    edp.set_xlabel("EDP relative to the\npipelined static chip")
    _legend(edp, "(c)", 2)
    return drawn


def _pair(
    axes: Axes, rows: Sequence[Row], one: Callable[[Row], float], other: Callable[[Row], float]
) -> None:
    """Two bars a policy: an image alone, and the stream."""
    for shift, name, colour, of in ((-0.17, "alone", SKY, one), (0.17, "stream", ORANGE, other)):
        values = [of(row) for row in rows]
        places = [place + shift for place in range(len(rows))]
        axes.barh(places, values, height=0.32, color=colour, label=name)
        _numbers(axes, places, values, size=6)


def _legend(axes: Axes, letter: str, columns: int) -> None:
    axes.text(0.0, 1.04, letter, transform=axes.transAxes, ha="left", va="bottom")
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.02, 0.98), ncols=columns, fontsize=6.5, handlelength=0.8,
        handletextpad=0.4, columnspacing=0.8,
    )  # fmt: skip


def _numbers(axes: Axes, places: Sequence[float], values: Sequence[float], size: float = 7) -> None:
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            number(value, 3),
            (value, place),
            xytext=(2, 0),
            textcoords="offset points",
            va="center",
            fontsize=size,
        )
    axes.set_xlim(0, max(axes.get_xlim()[1] / 1.15, max(values)) * 1.18)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))


if __name__ == "__main__":
    main()
