"""A comparison's runs beside another network, as cells: of the terminal, of the page and of CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imcsim.report.units import AREA, ENERGY, TIME, fitting, number, percent, product
from imcsim.results.against import Against, SideRun
from imcsim.results.comparison import CompareResult

FIGURES = (
    "mean_timesteps", "accuracy", "accuracy_low", "accuracy_high", "energy_pj", "latency_ns",
    "edp_mean_of_products", "edp_product_of_means", "area_um2", "images_per_s",
)  # fmt: skip

NOTE = (
    "Each on a chip that is built for it: static runs and the other network without an exit checker. Images "
    "per second: of images that follow each other; static runs are pipelined."
)


def name_of(run: SideRun, against: Against) -> str:
    """What tables call a run."""
    if run.run == "dynamic":
        return "dynamic"
    if run.run == "static":
        return f"static T={number(run.mean_timesteps, 1)}"
    if against.kind == "snn":
        return f"{run.network}, T={number(run.mean_timesteps, 1)}"
    low, high = min(against.activation_bits), max(against.activation_bits)
    bits = f"{low}" if low == high else f"{low} to {high}"
    return f"ANN, {bits} bits"


def columns(against: Against) -> list[tuple[str, str]]:
    """Titles of the columns, and the units that all rows share."""
    energy, time, area = _units(against)
    return [
        ("", ""),
        ("chip", ""),
        ("mean T", ""),
        ("accuracy\n[95 % interval]", "%"),
        ("energy", energy.name),
        ("latency", time.name),
        ("EDP,\nmean of\nproducts", product(energy, time).name),
        ("area", area.name),
        ("images", "1/s"),
    ]


def rows(against: Against) -> list[list[str]]:
    """The three runs, and the first two over the third."""
    energy, time, area = _units(against)
    edp = product(energy, time)
    found = [
        [
            name_of(run, against),
            run.hardware,
            number(run.mean_timesteps, 3) if run.run == "dynamic" else f"{run.mean_timesteps:g}",
            f"{percent(run.accuracy, 2)} [{percent(run.accuracy_low)}, {percent(run.accuracy_high)}]",
            energy(run.energy_pj),
            time(run.latency_ns),
            edp(run.edp_mean_of_products),
            area(run.area_um2),
            f"{run.images_per_s:,.0f}",
        ]
        for run in against.runs
    ]
    for run, ratio in zip(against.runs, against.ratios, strict=False):
        times = [ratio.energy, ratio.latency, ratio.edp_mean_of_products, ratio.area, ratio.images_per_s]
        points = f"{100 * ratio.accuracy_difference:+.2f} points"
        name = f"{name_of(run, against)} / {_short(against)}"
        found.append([name, "", "", points, *(f"x {number(one, 3)}" for one in times)])
    return found


def _short(against: Against) -> str:
    return "ANN" if against.kind == "ann" else "other"


def csv_rows(result: CompareResult) -> tuple[list[str], list[list[Any]]]:
    """Base units, every digit."""
    assert result.against is not None
    lines = [
        [run.run, run.network, run.hardware, *(getattr(run, name) for name in FIGURES)]
        for run in result.against.runs
    ]
    return ["run", "network", "hardware", *FIGURES], lines


def title(against: Against) -> str:
    return f"Beside {against.meta.network.name} on the same images (per image)"


def _units(against: Against) -> Sequence[Any]:
    runs = against.runs
    return (
        fitting(ENERGY, [run.energy_pj for run in runs]),
        fitting(TIME, [run.latency_ns for run in runs]),
        fitting(AREA, [run.area_um2 for run in runs]),
    )
