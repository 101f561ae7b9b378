"""At which spike rate and T a spiking network costs less than an ANN of its shape on the same chip.

    python benchmarks/ann_crossover.py --docs docs [--images 2] [--quick]

writes `ann_crossover.csv` and the figure of docs/ann.md. Nothing here is about speed. Points that the table
has are not run again.

The spiking networks are those of the default network, `vgg7_cifar10`, but that each layer's neurons keep
nothing from one timestep to the next and have the threshold at which, on the images that are run, the wanted
share of them fires: networks of every spike rate, of one shape and the same weights, for what they cost and
not for what they know. The ANN is `vgg7_ann_cifar10`, with its own activations. Chips: the default one
(`dense`); the same, but that it leaves out reads of rows that are all silent and sends spikes as addresses
(`sparse`); the sparse one that drives eight rows of a crossbar at once (`sparse, 8 rows`), so that more reads
are silent.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import common
import numpy as np

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.functional.program.program import build
from imcsim.functional.run import calibrated_converters, run
from imcsim.inputs import Inputs
from imcsim.network.graph import LIF, Network
from imcsim.report.figures.drawing import BLUE, GREEN, INK, ORANGE, VERMILION, draw, figure, legend, letter
from imcsim.simulation.chip import numerics
from imcsim.studies.breakdown import Breakdown
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions

FOLDER = Path(__file__).resolve().parent
TABLE = FOLDER / "ann_crossover.csv"
SNN, ANN = "vgg7_cifar10", "vgg7_ann_cifar10"
RATES = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.4)
TIMESTEPS = 6
SPARSE = {"activity.skip_zero_reads": True, "activity.spike_coding": "aer"}
CHIPS: dict[str, dict[str, Any]] = {
    "dense": {},
    "sparse": SPARSE,
    "sparse, 8 rows": SPARSE | {"cells.parallel_rows": 8},
}
COLUMNS = ("chip", "network", "wanted_rate", "spike_rate", "timesteps", "energy_pj", "latency_ns", "images")
CLAIM = (0.057, 5)
"""Spike rate below which a spiking network of T = 5 wins: Yan et al., arXiv 2409.08290v4."""

Row = dict[str, str]


def of_rate(network: Network, rate: float, images: Inputs, config: Any) -> Network:
    """`network` with neurons that forget at once, `rate` of which fire in each layer on these images."""
    made = network
    for place, node in enumerate(network.nodes):
        if not isinstance(node, LIF):
            continue
        program = build(made, numerics(config))
        converters = calibrated_converters(program, images.images, 1)
        layer = next(one for one in program.crossbar_layers if one.name == node.inputs[0])
        found = run(program, images.images, 1, converters, workers=1, record={layer.name})
        currents = found.recorded[layer.name] * layer.unit + layer.bias
        threshold = max(float(np.quantile(currents, 1 - rate)), 1e-3)
        nodes = list(made.nodes)
        nodes[place] = replace(node, leak=0.0, threshold=threshold)
        made = replace(made, nodes=tuple(nodes), sha256="")
    return replace(made, name=f"rate_{rate:g}")


def costs(network: Network, chip: str, images: Inputs, timesteps: int) -> Iterator[dict[str, Any]]:
    """Energy and latency of static T = 1, ... of a chip without exit checker, means over the images."""
    hardware = imcsim.hardware.load("dtsnn_32nm", CHIPS[chip])
    options = CompareOptions(timesteps=timesteps, workers=1)
    experiment = Experiment.make(network, hardware, images, None, options, None, dynamic=False)
    found = Breakdown(experiment, {issue: experiment.static_runs(issue) for issue in ("wait", "pipeline")})
    activity = experiment.images.activity
    fired = [k for k, step in enumerate(experiment.chip.program.neuron_layers)]
    neurons = sum(
        layer.stage.neuron_positions * layer.stage.out_channels
        for layer in experiment.chip.placement.layers
        if layer.stage.neurons
    )
    for t in range(1, timesteps + 1):
        points = [found.static(t, issue) for issue in ("wait", "pipeline")]
        best = min(points, key=lambda p: p.energy_without_checker_pj * p.latency_without_checker_ns)
        spikes = activity.spikes[:, :t, fired].sum() / (activity.images * t * neurons)
        yield {
            "chip": chip,
            "spike_rate": f"{spikes:.6f}",
            "timesteps": t,
            "energy_pj": repr(best.energy_without_checker_pj),
            "latency_ns": repr(best.latency_without_checker_ns),
            "images": len(images.labels),
        }


def read() -> list[Row]:
    if not TABLE.exists():
        return []
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measure(
    images: int, rates: Sequence[float], chips: Sequence[str], timesteps: int, *, save: bool
) -> list[Row]:
    """All points that are not there yet."""
    rows = read() if save else []
    shown = imcsim.inputs.load("cifar10_test", images)
    snn, ann = imcsim.network.load(SNN), imcsim.network.load(ANN)
    made: dict[float, Network] = {}
    for chip in chips:
        todo: list[tuple[str, float | str, int]] = [("ann", "", 1), ("shipped", "", snn.timesteps)]
        todo += [("rate", rate, timesteps) for rate in rates]
        for kind, rate, last in todo:
            if any((r["chip"], r["network"], r["wanted_rate"]) == (chip, kind, str(rate)) for r in rows):
                continue
            network = {"ann": ann, "shipped": snn}.get(kind)
            if network is None:
                rate = float(rate)
                if rate not in made:
                    made[rate] = of_rate(snn, rate, shown, imcsim.hardware.load("dtsnn_32nm").config)
                network = made[rate]
            for row in costs(network, chip, shown, last):
                whole = {"network": kind, "wanted_rate": rate, **row}
                rows.append({name: str(whole[name]) for name in COLUMNS})
            print(chip, kind, rate, flush=True)
            if save:
                common.write_csv(TABLE, COLUMNS, rows)
    return rows


def crossing(rows: Sequence[Row], chip: str, rate: str, figure: str) -> float:
    """The T, between the whole ones, at which the spiking network costs what the ANN does; beyond the last T
    on the line through the last two.
    """

    def cost(row: Row) -> float:
        energy, latency = float(row["energy_pj"]), float(row["latency_ns"])
        return energy if figure == "energy" else energy * latency

    mine = [row for row in rows if row["chip"] == chip]
    limit = next(cost(row) for row in mine if row["network"] == "ann")
    points = [
        (int(r["timesteps"]), cost(r)) for r in mine if r["network"] == "rate" and r["wanted_rate"] == rate
    ]
    points.sort()
    times, values = [float(t) for t, _ in points], [value for _, value in points]
    if limit < values[0]:
        return limit / values[0]  # not even one timestep
    for (a, low), (b, high) in pairwise(points):
        if low <= limit <= high:
            return a + (limit - low) / (high - low) * (b - a)
    return times[-1] + (limit - values[-1]) / (values[-1] - values[-2])


def rates_of(rows: Sequence[Row], chip: str) -> list[tuple[str, float]]:
    """Wanted and found rate of each network of a rate."""
    found = {
        row["wanted_rate"]: float(row["spike_rate"])
        for row in rows
        if row["chip"] == chip and row["network"] == "rate"
    }
    return sorted(found.items(), key=lambda one: one[1])


def drawn(rows: Sequence[Row]) -> Any:
    """Largest T at which the spiking network wins, over its spike rate: energy, and EDP."""
    made, axes = figure(3.4, columns=2, wide=True)
    chips = [chip for chip in CHIPS if any(row["chip"] == chip for row in rows)]
    for axis, what in zip(axes, ("energy", "EDP"), strict=True):
        for chip, colour, mark in zip(chips, (INK, BLUE, ORANGE), ("o", "s", "D"), strict=False):
            points = [(100 * rate, crossing(rows, chip, name, what)) for name, rate in rates_of(rows, chip)]
            axis.plot(*zip(*points, strict=True), marker=mark, color=colour, markersize=4, label=chip)
        own = [row for row in rows if row["chip"] == chips[0] and row["network"] == "shipped"]
        rates = [100 * float(row["spike_rate"]) for row in own]
        times = [int(row["timesteps"]) for row in own]
        axis.plot(rates, times, "x", color=VERMILION, label="vgg7_cifar10 as trained, T = 1 to 4")
        if what == "energy":
            label = f"published: {100 * CLAIM[0]:g} % at T = {CLAIM[1]}"
            place = 100 * CLAIM[0], CLAIM[1]
            axis.plot(*place, "*", color=GREEN, markersize=11, label=label)
        axis.set_xscale("log")
        axis.set_xticks([0.5, 1, 2, 5, 10, 20, 40], ["0.5", "1", "2", "5", "10", "20", "40"])
        axis.set_xlabel("spike rate (% of neurons per timestep)")
        axis.set_ylabel(f"T at which the {what} is the ANN's")
        axis.set_yscale("log")
        axis.set_yticks([1, 2, 3, 5, 10, 20, 40], ["1", "2", "3", "5", "10", "20", "40"])
        axis.set_ylim(0.8, 60)
        axis.minorticks_off()
    letter(axes)
    legend(made, axes[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=3)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--docs", type=Path, help="folder whose figures/ gets the figure")
    parser.add_argument("--chips", nargs="+", choices=CHIPS, default=list(CHIPS))
    parser.add_argument("--quick", action="store_true", help="two rates, two timesteps; nothing is written")
    parser.add_argument("--draw", action="store_true", help="only draw what the table has")
    about = parser.parse_args()
    if about.draw:
        rows = read()
    elif about.quick:
        rows = measure(1, RATES[3:5], ["dense"], 2, save=False)
    else:
        rows = measure(about.images, RATES, about.chips, TIMESTEPS, save=True)
    for chip in dict.fromkeys(row["chip"] for row in rows):
        for name, rate in rates_of(rows, chip):
            both = (crossing(rows, chip, name, what) for what in ("energy", "EDP"))
            print(f"{chip}, spike rate {100 * rate:.2f} %: T =", ", ".join(f"{t:.2f}" for t in both))
    if about.docs:
        files = draw(lambda: {"ann_crossover": drawn(rows)}, ["png"])
        for name, data in files.items():
            (about.docs / "figures" / name).write_bytes(data)


if __name__ == "__main__":
    main()
