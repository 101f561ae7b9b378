"""Figures that papers ask for, as cells of tables: per operation, per second, per area, per layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imcsim.base.plurals import counted
from imcsim.report.units import ENERGY, TIME, Unit, fitting, number, percent, product
from imcsim.results.efficiency import Efficiency, LayerEfficiency, OperationRates, PeakEfficiency
from imcsim.results.programming import ProgrammingCost
from imcsim.results.reload import ReloadCost

MOST_COMPONENTS = 5
"""Components with a column of their own."""
REST = "others"

Cells = tuple[str, list[str], list[list[str]]]
"""Title, columns and rows of a table."""


def efficiency_cells(runs: Mapping[str, Efficiency], peak: PeakEfficiency) -> Cells:
    """The figures of some runs, by their names, and those of the chip at full rate."""
    every: list[OperationRates] = [*runs.values(), peak]
    energy = fitting(ENERGY, (e for run in runs.values() for e in (run.naive_energy_pj, run.energy_pj)))
    bits = peak.weight_bits

    def row(name: str, values: Sequence[float | None]) -> list[str]:
        return [name, *("-" if value is None else number(value) for value in values)]

    def of_runs(name: str, values: Sequence[float | None]) -> list[str]:
        return [*row(name, values), "-"]

    shown = runs.values()
    rows = [
        of_runs("synaptic operations, millions", [r.synaptic_operations * 1e-6 for r in shown]),
        of_runs("pJ per synaptic operation", [r.energy_pj_per_synaptic_operation for r in shown]),
        of_runs(f"energy, {energy.name}", [r.energy_pj / energy.per_base for r in shown]),
        of_runs(f"naive estimate, {energy.name}", [r.naive_energy_pj / energy.per_base for r in shown]),
        of_runs(
            f"naive, without spikes, {energy.name}",
            [r.naive_dense_energy_pj / energy.per_base for r in shown],
        ),
        of_runs("inferences per second", [r.inferences_per_s for r in shown]),
        of_runs("inferences per joule", [r.inferences_per_j for r in shown]),
        row("power, mW", [r.average_power_uw * 1e-3 for r in every]),
        row("power density, mW/mm2", [r.power_density_mw_per_mm2 for r in every]),
        row(f"TOPS, 1 x {bits} bit", [r.native.tops for r in every]),
        row(f"TOPS/W, 1 x {bits} bit", [r.native.tops_per_w for r in every]),
        row(f"TOPS/mm2, 1 x {bits} bit", [r.native.tops_per_mm2 for r in every]),
        row("TOPS, 8 x 8 bit", [r.eight_bit.tops for r in every]),
        row("TOPS/W, 8 x 8 bit", [r.eight_bit.tops_per_w for r in every]),
        row("TOPS/mm2, 8 x 8 bit", [r.eight_bit.tops_per_mm2 for r in every]),
        row("TOPS/W, 1 x 1 bit", [r.one_bit.tops_per_w for r in every]),
    ]
    return "Efficiency (means per image)", ["", *runs, "peak"], rows


def definition_line(run: Efficiency) -> str:
    """What an operation is, and what the naive estimates count."""
    return (
        "An operation is half a multiply-accumulate of one input bit and one weight, zeros included; a "
        "synaptic operation is a multiply-accumulate whose input bit is 1. The naive estimate is what papers "
        f"print: {run.accumulate_pj:g} pJ per accumulate, {run.multiply_accumulate_pj:g} pJ per "
        f"multiply-accumulate of the image, at {run.naive_node_nm:g} nm, and nothing else. At its peak the "
        "chip reads every crossbar, all rows driven, as often as sensing and ADCs allow."
    )


def layers_cells(layers: Sequence[LayerEfficiency], label: str) -> Cells:
    """Energy by layer and component: the largest components, and all others together."""
    names = largest_components(layers)
    energy = fitting(ENERGY, (layer.energy_pj for layer in layers))
    columns = ["layer", *(name.replace("_", "\n") for name in names), REST, f"{label}\n{energy.name}"]
    columns += ["pJ per\nsyn. op.", "skipped\nreads, %"]
    rows = []
    for layer in layers:
        parts = [layer.energy_pj_by_component.get(name, 0.0) for name in names]
        each = layer.energy_pj_per_synaptic_operation
        rows.append(
            [
                layer.name,
                *(_part(part, energy) for part in [*parts, max(0.0, layer.energy_pj - sum(parts))]),
                energy(layer.energy_pj),
                "-" if each is None else number(each),
                percent(layer.skipped_reads) if layer.synaptic_operations else "-",
            ]
        )
    return f"Energy by layer and component ({energy.name} per image)", columns, rows


def _part(part_pj: float, energy: Unit) -> str:
    """Four digits, but no more than four decimals: a column for each component must stand beside others."""
    text = energy(part_pj)
    return text if len(text.partition(".")[2]) <= 4 else f"{part_pj / energy.per_base:.4f}"


def programming_line(cost: ProgrammingCost) -> str:
    """What writing the weights takes, once, and when that has paid."""
    energy, time = fitting(ENERGY, [cost.energy_pj]), fitting(TIME, [cost.time_ns])
    line = (
        f"Writing {cost.cells:,} cells once ({cost.method}, {cost.pulses:g} pulses of "
        f"{number(cost.pulse_ns)} ns each) takes {energy(cost.energy_pj)} {energy.name} and "
        f"{time(cost.time_ns)} {time.name}"
    )
    if cost.inferences_of_equal_energy is None or cost.amortised_inferences is None:
        return f"{line}."
    return (
        f"{line}, the energy of {number(cost.inferences_of_equal_energy)} inferences: after "
        f"{number(cost.amortised_inferences)} it is a hundredth of all energy."
    )


_RESOURCES = {
    "bus": "bus", "buffer": "buffer", "crossbar": "crossbar", "adc": "ADC", "neurons": "neurons",
    "mesh": "mesh", "package": "links",
}  # fmt: skip


def resources_of(layers: Sequence[LayerEfficiency]) -> dict[str, str]:
    """What layers may be bound by, as tables call it: links between chips where there are several."""
    several = any("package" in layer.busy_ns for layer in layers)
    return {name: title for name, title in _RESOURCES.items() if several or name != "package"}


def time_cells(layers: Sequence[LayerEfficiency]) -> Cells:
    """How long each layer takes, for how long its resources work, and which of them bounds it."""
    shown = [layer for layer in layers if layer.latency_ns is not None]
    time = fitting(TIME, (layer.latency_ns or 0.0 for layer in shown))
    energy = fitting(ENERGY, (layer.energy_pj for layer in shown))
    edp = product(energy, time)
    resources = resources_of(shown)
    columns = ["layer", f"latency\n{time.name}", "bound\nby"]
    columns += [f"{title}\n%" for title in resources.values()]
    columns += [f"EDP\n{edp.name}", "cells\nused, %"]
    rows = [
        [
            layer.name,
            time(layer.latency_ns or 0.0),
            resources.get(layer.bound_by or "", "-"),
            *(_share(layer.busy_ns.get(name, 0.0), layer.latency_ns) for name in resources),
            "-" if layer.edp_pj_ns is None else edp(layer.edp_pj_ns),
            "-" if layer.cells_used is None else percent(layer.cells_used),
        ]
        for layer in shown
    ]
    return "What bounds each layer (for how much of its latency each resource works)", columns, rows


def _share(part_ns: float, whole_ns: float | None) -> str:
    return percent(part_ns / whole_ns) if whole_ns else "-"


TIME_LINE = (
    "A layer's latency goes from its first row of a timestep until its last one, summed over timesteps; "
    "layers overlap, so these do not sum to the latency of an image. What works longest bounds the layer; "
    "for the rest of its latency the layer waits for rows or for room."
)


def largest_components(layers: Sequence[LayerEfficiency], most: int = MOST_COMPONENTS) -> list[str]:
    """The components that take most over all layers, the largest first."""
    total: dict[str, float] = {}
    for layer in layers:
        for name, pj in layer.energy_pj_by_component.items():
            total[name] = total.get(name, 0.0) + pj
    return sorted(total, key=lambda name: -total[name])[:most]


def reload_lines(cost: ReloadCost | None, run: str) -> list[str]:
    """What loading the weights again takes in a run, and how long cells last."""
    if cost is None:
        return []
    energy, time = fitting(ENERGY, [cost.energy_pj]), fitting(TIME, [cost.time_ns])
    lines = [
        f"The chip has {counted(cost.tiles, 'tile')} and loads {counted(len(cost.groups), 'group')} of "
        f"layers in turn, {number(cost.blocks)} times per image ({run}), each for "
        f"{counted(cost.timesteps_per_load, 'timestep')} at "
        f"most: {energy(cost.energy_pj)} {energy.name} ({percent(cost.energy_share)} % of all energy) and "
        f"{time(cost.time_ns)} {time.name} ({percent(cost.time_share)} % of the latency)."
    ]
    if cost.images_until_worn is not None:
        lines.append(
            f"The cell that is written most ({cost.method}) takes {number(cost.writes)} writes per image and "
            f"lasts {number(cost.images_until_worn)} images."
        )
    return lines
