"""The spiking layers of vgg7_cifar10 beside NeuroSim V1.4: same crossbars, same converter, same spikes.

NeuroSim is no part of this project: neurosim_v14.yaml has the figures that one run of it printed, with its
version and settings. Ours are those of a timestep of the same image on `dtsnn_32nm` with that converter,
without copies of layers, at its read voltage and leakage. ``--docs FILE`` renews the tables of the page. No
speed is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim.hardware.component import ChipSize
from imcsim.hardware.ledger import charges
from imcsim.report.terminal.validation import markdown, renewed
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import Simulation, simulate
from imcsim.timing import Issue, Timing

FILE = Path(__file__).parent / "neurosim_v14.yaml"
CHIP = {
    "adc.preset": "neurosim_sar",
    "mapping.replication": "none",
    "encoder.mode": "recompute",
    "cells.v_read_v": 0.51,
    "technology.leakage": "low",
    "technology.kelvin": 300,
}
"""What makes `dtsnn_32nm` the chip that NeuroSim was given."""

GROUPS: Mapping[str, Sequence[str]] = {
    "converters and what columns draw": ("adc", "converter_reference", "sample_hold", "clamp", "cells"),
    "accumulation": ("shift_add", "adder_tree", "row_counter"),
    "buffers": ("pe_buffer", "tile_buffer", "registers"),
    "interconnect": ("htree", "noc"),
    "rows, multiplexers and the rest": (
        "wordline_driver",
        "write_access",
        "column_mux",
        "pooling",
        "controller",
    ),
}
"""Our components by NeuroSim's. Neurons, their memories and the checker have no like there and are left
out.
"""
TITLES = ("Energy of a timestep beside NeuroSim", "Layers beside NeuroSim", "Time and area beside NeuroSim")
_COLUMNS = ("figure", "unit", "imcsim", "NeuroSim", "ratio")


def theirs() -> dict[str, Any]:
    """What the run of NeuroSim printed."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def ours() -> Simulation:
    """The same image on our chip."""
    network, hardware = imcsim.network.load("vgg7_cifar10"), imcsim.hardware.load("dtsnn_32nm", CHIP)
    calibration = imcsim.inputs.load("cifar10_validation", 20)
    chip = make_chip(network, hardware, calibration, Timing(2, Issue()))
    return simulate(chip, imcsim.inputs.load("cifar10_test", 1))


def layer_energy_pj(ran: Simulation, layers: Sequence[str]) -> dict[str, dict[str, float]]:
    """Energy of the second timestep by component and layer, without what stands, pJ."""
    ledger, config = ran.static.ledger, ran.chip.config
    counts = ledger.totals(np.full(1, 2))
    columns = {name: ledger.layers.index(name) for name in layers}
    found: dict[str, dict[str, float]] = {}
    for charge in charges(config, ran.chip.size):
        if charge.event in counts and not charge.event.startswith("powered"):
            each = found.setdefault(charge.component, dict.fromkeys(layers, 0.0))
            for name, k in columns.items():
                each[name] += charge.energy_pj * float(counts[charge.event][1, k])
    return found


def tables() -> list[list[list[str]]]:
    """Cells of the three tables."""
    them, ran = theirs(), ours()
    layers, config = list(them["layers"]), ran.chip.config
    energy = layer_energy_pj(ran, layers)

    def mine(names: Sequence[str], chosen: Sequence[str] = layers) -> float:
        return sum(energy.get(name, {}).get(layer, 0.0) for name in names for layer in chosen)

    def their(*keys: str) -> float:
        return float(sum(each[key] for each in them["layers"].values() for key in keys))

    other = their("other_pj") - their("buffer_pj", "interconnect_pj")
    printed = (their("adc_pj"), their("accumulation_pj"), their("buffer_pj"), their("interconnect_pj"), other)
    parts = [
        _row(title, "nJ", mine(names) * 1e-3, value * 1e-3)
        for (title, names), value in zip(GROUPS.items(), printed, strict=True)
    ]
    every = [name for names in GROUPS.values() for name in names]
    parts.append(_row("all of these", "nJ", mine(every) * 1e-3, their("dynamic_pj") * 1e-3))

    interval = max(config.sense_cycles, config.convert_cycles) * config.technology.clock_ns
    placed = {layer.stage.name: layer for layer in ran.chip.placement.layers}
    each = [
        _row(f"{name}, {what}", unit, value, them["layers"][name][key] * scale)
        for name in layers
        for what, unit, value, key, scale in (
            ("energy", "nJ", mine(every, [name]) * 1e-3, "dynamic_pj", 1e-3),
            ("time", "us", placed[name].reads_in_turn * interval * 1e-3, "latency_ns", 1e-3),
        )
    ]
    return [parts, each, _time_and_area(ran, them, mine(("adc", "cells", "clamp", "sample_hold")))]


def _time_and_area(ran: Simulation, them: dict[str, Any], converters_pj: float) -> list[list[str]]:
    config, area = ran.chip.config, them["area_um2"]
    conversions = _conversions(ran, list(them["layers"]))
    adc_pj = sum(each["adc_pj"] for each in them["layers"].values())
    size, crossbars = config.one_tile, config.crossbars_per_tile

    def um2(names: Sequence[str]) -> float:
        return sum(_area(ran, name, size) for name in names) / crossbars

    leakage = sum(
        part.leakage_uw(config) * part.instances(config, size)
        for name, part in config.components()
        if part.scope != "chip"
    )
    mux = max(config.sense_cycles, config.convert_cycles) / config.column_mux.columns_per_adc
    groups = {
        "cells": (("cells",), area["array"]),
        "converters": (("adc", "converter_reference", "sample_hold", "clamp"), area["adc"]),
        "accumulation": (GROUPS["accumulation"], area["accumulation"]),
        "interconnect": (GROUPS["interconnect"], area["interconnect"]),
        "rows, multiplexers, buffers and the rest": (
            (*GROUPS["rows, multiplexers and the rest"], *GROUPS["buffers"]), area["other"]
        ),
    }  # fmt: skip
    rows = [
        _row(
            "one setting of the multiplexers", "ns", mux * config.technology.clock_ns, them["clock_period_ns"]
        ),
        _row(
            "a conversion and what its column draws", "pJ", converters_pj / conversions, adc_pj / conversions
        ),
        _row("static power per crossbar", "uW", leakage / crossbars, them["leakage_uw"] / them["subarrays"]),
    ]
    for title, (names, value) in groups.items():
        rows.append(_row(f"area per crossbar: {title}", "um2", um2(names), value / them["subarrays"]))
    return rows


def _conversions(ran: Simulation, layers: Sequence[str]) -> float:
    """Of one timestep."""
    ledger = ran.static.ledger
    counts = ledger.totals(np.full(1, 2))
    event = next(e for e in counts if e == "conversions")
    return float(sum(counts[event][1, ledger.layers.index(name)] for name in layers))


def _area(ran: Simulation, name: str, size: ChipSize) -> float:
    part = getattr(ran.chip.config, name)
    return float(part.area_um2(ran.chip.config) * part.instances(ran.chip.config, size))


def _row(what: str, unit: str, mine: float, their: float) -> list[str]:
    return [what, unit, _digits(mine), _digits(their), f"{mine / their:.2f}"]


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", metavar="FILE", help="page whose tables are renewed")
    where = parser.parse_args().docs
    text = "".join(
        f"### {title}\n\n{markdown(_COLUMNS, cells)}\n\n"
        for title, cells in zip(TITLES, tables(), strict=True)
    )
    print(text)
    if where:
        page = Path(where)
        page.write_text(renewed(page.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
