"""What dynamic timesteps save on a chip that is smaller than its network, and where they stop to.

    python benchmarks/reload_study.py --docs docs [--images 1000] [--quick]

writes `reload_study.csv`, and with ``--docs`` the table of docs/reload.md, between its two marks, and its
figures. Nothing here is about speed.

The network is the default one, `vgg7_cifar10` (T = 4), the chip the default one with a DRAM, but of 2 to 8
tiles where the network needs 9. Weights are written row by row. Cells of every kind, several DRAMs for
SRAM, and 1 to 4 timesteps per load. The threshold of each point is chosen on the validation images, at the
timesteps after which it lets images exit. The opponent of all points of a chip is the cheapest static run of
T max: layer outermost, one load per image.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import common
import numpy as np

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.report.figures.drawing import BLUE, GREEN, INK, ORANGE, VERMILION, draw, figure, legend, letter
from imcsim.simulation.chip import with_figures
from imcsim.simulation.simulate import replay
from imcsim.studies.decider import right_after
from imcsim.studies.experiment import Experiment
from imcsim.studies.reload import reload_cost
from imcsim.studies.settings import CompareOptions

TABLE = Path(__file__).with_suffix(".csv")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
PAGE = "reload.md"
NETWORK, CHIP = "vgg7_cifar10", "dtsnn_32nm"
BASE: dict[str, Any] = {
    "dram.preset": "lpddr4", "programming.cells_at_once": "row", "global_buffer.capacity_bytes": 65536,
}  # fmt: skip
"""The global buffer holds the rows between any groups for four timesteps."""
TILES = (2, 3, 5, 8)
CELLS = ("sram", "fefet", "rram", "pcm")
WIDE = {"offchip_link.bits_per_cycle": 2048, "noc.flit_bits": 512}
"""A link as wide as a stack of HBM2, and a network on chip that carries most of it."""
DRAMS: dict[str, dict[str, Any]] = {
    "lpddr4": {"dram.preset": "lpddr4"},
    "lpddr5": {"dram.preset": "lpddr5"},
    "hbm2": {"dram.preset": "hbm2"},
    "hbm2, wide": {"dram.preset": "hbm2", **WIDE},
    "1 pJ/bit, wide": {
        "dram.preset": "hbm2", "dram.bit_energy_pj": 1.0, "dram.latency_ns": 10, "dram.background_uw": 10000,
        **WIDE,
    },
}  # fmt: skip
"""The last one is made up: a memory that no preset reaches, to see the other side of the break-even."""
PER_LOAD: tuple[int | str, ...] = (1, 2, 3, "all")
COLUMNS = (
    "tiles", "groups", "cells", "dram", "per_load", "images", "validation_images", "accuracy",
    "accuracy_static", "mean_timesteps", "blocks", "energy_pj", "static_energy_pj", "latency_ns",
    "static_latency_ns", "edp", "static_edp", "edp_saved_low", "edp_saved_high", "load_energy_ratio",
    "load_time_ratio", "images_until_worn",
)  # fmt: skip

Row = dict[str, Any]


def settings() -> Iterator[tuple[int, str, str]]:
    """Tiles, cells and DRAM of all chips."""
    for tiles in TILES:
        for cells in CELLS:
            yield tiles, cells, "lpddr4"
        for dram in list(DRAMS)[1:]:
            yield tiles, "sram", dram


def on_chip(base: Experiment, changes: dict[str, Any]) -> Experiment:
    """The same images and the same values on another chip."""
    hardware = imcsim.hardware.load(CHIP, BASE | changes)
    chip = with_figures(base.chip, hardware.config)
    assert base.held_out is not None
    assert base.validation is not None
    return replace(
        base,
        hardware=hardware,
        chip=chip,
        images=replay(base.images, chip, base.inputs),
        held_out=replay(base.held_out, chip, base.validation),
    )


def interval(saved: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The 95 % interval of a saving, by 2,000 draws of the images."""
    low, high = np.quantile(saved, [0.025, 0.975])
    return float(low), float(high)


def points(base: Experiment, tiles: int, cells: str, dram: str) -> Iterator[Row]:
    """All timesteps per load on one chip, against its cheapest static run."""
    about = {"reload.tiles": tiles, "programming.method": cells, **DRAMS[dram]}
    alone = on_chip(base, about | {"reload.timesteps": "all"})
    last = base.timesteps - 1
    still = alone.images.static
    static_energy, static_latency = still.energy_pj[:, last], still.latency_ns[:, last]
    # A timestep more within the same load; the rest of the run is the load, with what leaks meanwhile.
    step, step_ns = (
        float((of[:, last] - of[:, last - 1]).mean()) for of in (still.energy_pj, still.latency_ns)
    )
    load = float(static_energy.mean()) - base.timesteps * step
    load_ns = float(static_latency.mean()) - base.timesteps * step_ns
    draws = np.random.default_rng(0).integers(0, len(static_energy), (2000, len(static_energy)))
    for per_load in PER_LOAD:
        here = alone if per_load == "all" else on_chip(base, about | {"reload.timesteps": per_load})
        stay = here.exits(here.images, here.choose())
        rows, ran = np.arange(len(stay)), here.images.dynamic
        energy, latency = ran.energy_pj[rows, stay - 1], ran.latency_ns[rows, stay - 1]
        right = right_after(here.images, here.inputs)
        cost = reload_cost(here.chip, stay, ran)
        assert cost is not None
        products, opposed = energy * latency, static_energy * static_latency
        saved = 1 - products[draws].mean(axis=1) / opposed[draws].mean(axis=1)
        low, high = interval(saved)
        yield {
            "tiles": tiles, "groups": len(cost.groups), "cells": cells, "dram": dram, "per_load": per_load,
            "images": len(stay), "validation_images": len(base.validation.labels) if base.validation else 0,
            "accuracy": float(right[rows, stay - 1].mean()), "accuracy_static": float(right[:, last].mean()),
            "mean_timesteps": float(stay.mean()), "blocks": cost.blocks,
            "energy_pj": float(energy.mean()), "static_energy_pj": float(static_energy.mean()),
            "latency_ns": float(latency.mean()), "static_latency_ns": float(static_latency.mean()),
            "edp": float(products.mean()), "static_edp": float(opposed.mean()),
            "edp_saved_low": low, "edp_saved_high": high,
            "load_energy_ratio": load / step,
            "load_time_ratio": load_ns / step_ns,
            "images_until_worn": cost.images_until_worn or "",
        }  # fmt: skip


def measure(images: int | None, chips: Sequence[tuple[int, str, str]], *, save: bool) -> list[Row]:
    """All points."""
    hardware = imcsim.hardware.load(CHIP, BASE)
    shown, validation = (imcsim.inputs.load(name, images) for name in ("cifar10_test", "cifar10_validation"))
    base = Experiment.make(
        imcsim.network.load(NETWORK), hardware, shown, validation, CompareOptions(workers=1), None
    )
    rows: list[Row] = []
    for tiles, cells, dram in chips:
        rows += points(base, tiles, cells, dram)
        print(tiles, cells, dram, flush=True)
        if save:
            common.write_csv(TABLE, COLUMNS, rows)
    return rows


def read() -> list[Row]:
    """The points of the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        words = {"cells", "dram", "per_load", "images_until_worn"}
        return [
            {key: value if key in words else float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]


def saved(row: Row, figure_of: str) -> float:
    """The share that a point saves against the cheapest static run of its chip."""
    own, other = {
        "energy": ("energy_pj", "static_energy_pj"),
        "latency": ("latency_ns", "static_latency_ns"),
        "EDP": ("edp", "static_edp"),
    }[figure_of]
    return float(1 - row[own] / row[other])


def break_even(blocks: float, timesteps: float, most: int = 4) -> float:
    """The load, in timesteps, at which a point costs what one load and `most` timesteps do."""
    return (most - timesteps) / (blocks - 1) if blocks > 1 else float("inf")


def expected(blocks: float, timesteps: float, ratio: np.ndarray[Any, Any], most: int = 4) -> Any:
    """What is saved where a load takes `ratio` timesteps: blocks x load + timesteps against load + T."""
    return 1 - (blocks * ratio + timesteps) / (ratio + most)


STYLE = {"1": (BLUE, "o"), "2": (ORANGE, "s"), "3": (GREEN, "D"), "all": (INK, "^")}


def drawn(rows: Sequence[Row]) -> Any:
    """Energy and latency saved over the size of a load; the lines are the closed form."""
    made, axes = figure(3.6, columns=2, wide=True)
    for axis, what, key in zip(
        axes, ("energy", "latency"), ("load_energy_ratio", "load_time_ratio"), strict=True
    ):
        ratios = [row[key] for row in rows]
        grid = np.geomspace(min(ratios) / 2, max(ratios) * 2, 200)
        for per_load, (colour, mark) in STYLE.items():
            mine = [row for row in rows if str(row["per_load"]) == per_load]
            label = "all per load (static)" if per_load == "all" else f"{per_load} per load"
            axis.plot(
                [row[key] for row in mine], [100 * saved(row, what) for row in mine],
                mark, color=colour, markersize=4, label=label,
            )  # fmt: skip
            blocks, steps = (float(np.mean([row[k] for row in mine])) for k in ("blocks", "mean_timesteps"))
            axis.plot(grid, 100 * expected(blocks, steps, grid), color=colour, linewidth=0.8)
        axis.axhline(0, color=VERMILION, linewidth=0.8, linestyle="--")
        axis.set_xscale("log")
        decades = [10**k for k in range(5) if grid[0] <= 10**k <= grid[-1]]
        axis.set_xticks(decades, [f"{n:,}" for n in decades])
        axis.minorticks_off()
        axis.set_ylim(-100, 40)
        axis.set_xlabel(f"{what} of loading the network once (timesteps)")
        axis.set_ylabel(f"{what} saved by early exit (%)")
    letter(axes)
    legend(made, axes[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=4)
    return made


def orders(rows: Sequence[Row]) -> str:
    """What images do with so many timesteps per load, on every chip alike, and where the break-even lies."""
    lines = [
        "| timesteps per load | loads per image | timesteps | accuracy, % | R at the break-even |",
        "|---|---:|---:|---:|---:|",
    ]
    for per_load in STYLE:
        mine = [row for row in rows if str(row["per_load"]) == per_load]
        blocks, steps, right = (
            float(np.mean([row[key] for row in mine])) for key in ("blocks", "mean_timesteps", "accuracy")
        )
        at = "-" if blocks == 1 else f"{break_even(blocks, steps):,.2f}"
        lines.append(f"| {per_load} | {blocks:.3f} | {steps:.3f} | {100 * right:.1f} | {at} |")
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> str:
    """The table of the page: the best number of timesteps per load of each chip, and 1 and 2."""
    lines = [
        "| tiles | groups | cells | DRAM | load / timestep, energy | time | EDP saved, 1 per load, % | 2 | "
        "3 | best | worn after, images | hours |",
        "|---:|---:|---|---|---:|---:|---:|---:|---:|---|---:|---:|",
    ]
    for key in dict.fromkeys((row["tiles"], row["cells"], row["dram"]) for row in rows):
        mine = {str(row["per_load"]): row for row in rows if (row["tiles"], row["cells"], row["dram"]) == key}
        one = mine["1"]
        best = max(mine, key=lambda name: saved(mine[name], "EDP"))
        low, high = 100 * float(mine[best]["edp_saved_low"]), 100 * float(mine[best]["edp_saved_high"])
        worn = one["images_until_worn"]
        hours = float(worn or 0) * one["latency_ns"] * 1e-9 / 3600
        lasts = f"{float(worn):,.0f} | {hours:,.1f}" if worn else "never | -"
        told = "static" if best == "all" else f"{best}: {low:.1f} to {high:.1f}"
        lines.append(
            f"| {one['tiles']:.0f} | {one['groups']:.0f} | {one['cells']} | {one['dram']} | "
            f"{one['load_energy_ratio']:.2f} | {one['load_time_ratio']:,.1f} | "
            + " | ".join(f"{100 * saved(mine[name], 'EDP'):.1f}" for name in ("1", "2", "3"))
            + f" | {told} | {lasts} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=None, help="of each set [all]")
    parser.add_argument("--docs", type=Path, help="folder of the page and its figures/")
    parser.add_argument("--quick", action="store_true", help="one chip, few images; nothing is written")
    parser.add_argument("--draw", action="store_true", help="only draw what the table has")
    about = parser.parse_args()
    if about.quick:
        rows = measure(20, [(5, "sram", "lpddr4")], save=False)
    else:
        if not about.draw:
            measure(about.images, list(settings()), save=True)
        rows = read()
    results = f"{orders(rows)}\n\n{table(rows)}"
    print(results)
    if about.docs:
        for name, data in draw(lambda: {"reload_saving": drawn(rows)}, ["png"]).items():
            (about.docs / "figures" / name).write_bytes(data)
        page = about.docs / PAGE
        text = page.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
        page.write_text(f"{before}{BEGIN}\n{results}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
