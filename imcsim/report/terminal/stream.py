"""A stream of images as tables for a terminal or a log file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from imcsim.report.terminal.efficiency import definition_line, efficiency_cells, programming_line
from imcsim.report.terminal.grid import plain, table
from imcsim.report.terminal.tables import (
    accuracy,
    exits,
    heading,
    layer_tables,
    layers_table,
    threshold_line,
    warnings_of,
)
from imcsim.report.units import ENERGY, TIME, fitting, number, percent, product
from imcsim.results.stream import StreamResult, TileUse

_BAR = 30


def stream_report(result: StreamResult) -> Group:
    """What a stream of images met with, and how busy the chip was."""
    policy = result.policy
    parts: list[RenderableType] = [heading(result.meta), plain(_arrivals_line(result)), Text()]
    parts.append(outcome_table(result))
    if policy.kind == "dynamic":
        parts.append(plain(threshold_line(policy)))
    name = f"static T={policy.timesteps}" if policy.kind == "static" else policy.kind
    parts += [Text(), exits(result), Text(), _tiles(result)]
    parts += [Text(), layers_table(result.layers, name)]
    parts += [Text(), *layer_tables(result.layer_efficiency, name)]
    parts += [Text(), table(*efficiency_cells({name: result.efficiency}, result.peak))]
    parts += [plain(definition_line(result.efficiency)), plain(programming_line(result.programming))]
    parts += warnings_of(result)
    return Group(*parts)


def label(result: StreamResult) -> str:
    """``static T=4`` or ``dynamic``, and the issue policy."""
    policy = result.policy
    kind = f"static T={policy.timesteps}" if policy.kind == "static" else "dynamic"
    return f"{kind}, {result.meta.policy}"


def _arrivals_line(result: StreamResult) -> str:
    kind, rate = result.arrivals.kind, result.arrivals.images_per_s
    to = "" if result.copies is None else f" {result.copies} copies of the chip: each to that free earliest."
    if rate is None:
        return f"Images come as the chip takes them (closed loop).{to}"
    how = "at regular intervals" if kind == "periodic" else "at random (Poisson)"
    return f"Images come {how}, {number(rate)} a second.{to}"


def outcome_table(result: StreamResult) -> Table:
    """What the stream came to."""
    energy = fitting(ENERGY, [result.energy_pj])
    interval_ns = result.makespan_ns / result.meta.images
    time = fitting(TIME, [result.latency_percentiles_ns[-1], interval_ns])
    whole = fitting(TIME, [result.makespan_ns])
    edp = product(energy, time)
    of_which = result.energy_pj - result.leakage_energy_pj - result.cancelled_energy_pj

    def share(part_pj: float) -> str:
        return f"{energy.name}, {percent(part_pj / result.energy_pj if result.energy_pj else 0.0)} %"

    rows = [
        ("accuracy [95 % interval]", accuracy(result), "%"),
        ("mean timesteps", f"{result.mean_timesteps:.3f}", ""),
        ("throughput", number(result.throughput_images_per_s), "images/s"),
        ("time between departures", time(interval_ns), time.name),
        ("time for all images", whole(result.makespan_ns), whole.name),
        ("latency, mean", time(result.latency_ns), time.name),
        ("latency, p50", time(result.latency_p50_ns), time.name),
        ("latency, p95", time(result.latency_p95_ns), time.name),
        ("latency, p99", time(result.latency_p99_ns), time.name),
        ("energy", energy(result.energy_pj), energy.name),
        ("  work that counted", energy(max(of_which, 0.0)), share(max(of_which, 0.0))),
        ("  cancelled work", energy(result.cancelled_energy_pj), share(result.cancelled_energy_pj)),
        ("  leakage", energy(result.leakage_energy_pj), share(result.leakage_energy_pj)),
        ("EDP of latency (mean)", edp(result.edp_of_latency), edp.name),
        ("EDP of interval (time between departures)", edp(result.edp_of_interval), edp.name),
        ("flits a cycle and router", number(result.flits_a_cycle_and_router), ""),
    ]
    if result.link_utilisation is not None:
        rows.append(("links between chips busy, each way", percent(result.link_utilisation), "%"))
    grid = table(f"A stream of images: {label(result)} (energies per image)", ["", "value", "unit"], rows)
    grid.columns[2].justify = "left"
    return grid


def runs_of_tiles(tiles: tuple[TileUse, ...]) -> Iterator[tuple[str, tuple[TileUse, ...]]]:
    """Neighbouring tiles that hold the same layers, with their numbers (``3`` or ``3-10``)."""
    for _, group in groupby(tiles, key=lambda tile: tile.layers):
        run = tuple(group)
        first, last = run[0].tile, run[-1].tile
        yield (str(first) if first == last else f"{first}-{last}"), run


def _tiles(result: StreamResult) -> Table:
    grid = table("Utilisation of the tiles (time with crossbars driven or sensed)", [], [])
    for name, justify in (("tiles", "left"), ("layers", "left"), ("mean, %", "right"), ("most, %", "right")):
        grid.add_column(Text(name), justify="right" if justify == "right" else "left", overflow="fold")
    grid.add_column("")
    for numbers, run in runs_of_tiles(result.tiles):
        mean = sum(tile.utilisation for tile in run) / len(run)
        bar = ProgressBar(
            total=1.0, completed=min(mean, 1.0), width=_BAR, complete_style="cyan", finished_style="cyan"
        )
        grid.add_row(
            numbers,
            plain(", ".join(run[0].layers) or "-"),
            percent(mean),
            percent(max(tile.utilisation for tile in run)),
            bar,
        )
    return grid
