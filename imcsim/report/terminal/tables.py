"""Results as tables for a terminal or a log file. Tables fit 80 columns.

Each table picks one unit for all its energies and one for all its times. Names that come from users' files
are shown as plain text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from imcsim.base.plurals import counted
from imcsim.report import beside
from imcsim.report.sampling import exit_bins, shown_timesteps
from imcsim.report.terminal.efficiency import (
    TIME_LINE,
    definition_line,
    efficiency_cells,
    layers_cells,
    programming_line,
    reload_lines,
    time_cells,
)
from imcsim.report.terminal.grid import plain, table
from imcsim.report.terminal.ranges import COLUMNS, METHOD, range_sections
from imcsim.report.units import AREA, ENERGY, TIME, change, fitting, percent, product, thresholds
from imcsim.results.chips.document import ChipsResult
from imcsim.results.comparison import CompareResult, Dynamic, StaticPoint
from imcsim.results.costs import CheckerCost, ComponentCost, LayerCost
from imcsim.results.efficiency import LayerEfficiency
from imcsim.results.meta import Meta
from imcsim.results.run import Outcome, Policy, RunResult
from imcsim.results.statistics import few_images
from imcsim.results.stream import StreamResult

PLAIN_WIDTH = 80
_LONGEST_NAME = 18
"""Of a run in the main table, which then fits 80 columns."""


def console(stream: TextIO) -> Console:
    """A console on `stream`: a terminal as it is, anything else `PLAIN_WIDTH` wide and without colours."""
    if stream.isatty():
        return Console(file=stream, markup=False, highlight=False, emoji=False)
    return Console(
        file=stream,
        width=PLAIN_WIDTH,
        force_terminal=False,
        color_system=None,
        markup=False,
        highlight=False,
        emoji=False,
    )


def compare_report(result: CompareResult) -> Group:
    """Everything a comparison found, in reading order."""
    parts: list[RenderableType] = [
        heading(result.meta),
        Text(),
        comparison_table(result),
        *_lines(
            [
                *([_opponent_line(result)] if result.meta.timesteps > 1 < len(result.opponents) else []),
                threshold_line(result.dynamic),
                _without_checker_line(result.static[-1]),
                *_cancelled_lines(result.dynamic),
            ]
        ),
        Text(),
        exits(result.dynamic),
        Text(),
        _breakdown(result.components, f"static\n{static_name(result.static[-1])}", "dynamic"),
        Text(),
        layers_table(result.layers, "dynamic"),
        *_lines([_checker_line(result.checker)]),
        Text(),
        *layer_tables(result.layer_efficiency, "dynamic"),
        Text(),
        table(
            *efficiency_cells(
                {
                    f"static {static_name(result.static[-1])}": result.static_efficiency,
                    "dynamic": result.efficiency,
                },
                result.peak,
            )
        ),
        *_lines([definition_line(result.efficiency), programming_line(result.programming)]),
        *_lines(reload_lines(result.reload, "dynamic") + reload_lines(result.static_reload, "static")),
        *_sensitivity(result),
        *_ranges(result),
        *_beside(result),
        *warnings_of(result),
    ]
    return Group(*parts)


def run_report(result: RunResult) -> Group:
    """What one policy cost."""
    policy, outcome = result.policy, result.outcome
    label = f"static T={policy.timesteps}" if policy.kind == "static" else "dynamic"
    parts: list[RenderableType] = [heading(result.meta), Text(), outcome_table(outcome, label)]
    if policy.rule is not None:
        parts += _lines([threshold_line(policy)])
    parts += [Text(), exits(outcome), Text(), _breakdown(outcome.components, None, label)]
    parts += [Text(), layers_table(outcome.layers, label)]
    if outcome.checker is not None:
        parts += _lines([_checker_line(outcome.checker)])
    parts += [Text(), *layer_tables(outcome.layer_efficiency, label)]
    parts += [Text(), table(*efficiency_cells({label: outcome.efficiency}, outcome.peak))]
    parts += _lines([definition_line(outcome.efficiency), programming_line(outcome.programming)])
    parts += _lines(reload_lines(outcome.reload, label))
    return Group(*parts, *warnings_of(result))


def _lines(lines: Iterable[str]) -> list[RenderableType]:
    return [plain(line) for line in lines]


def heading(meta: Meta) -> Table:
    """What was run on what."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    hardware, network = meta.hardware, meta.network
    area = fitting(AREA, [hardware.area_um2])
    on = "" if hardware.chips is None else f"{counted(hardware.chips, 'chip')}, "
    rows = {
        "network": f"{network.name}, {counted(network.layers, 'layer')}, "
        f"{counted(network.weights, 'weight')}",
        "hardware": f"{hardware.name}, {on}{counted(hardware.tiles, 'tile')}, "
        f"{counted(hardware.crossbars, 'crossbar')}, "
        f"{area(hardware.area_um2)} {area.name}, clock {hardware.clock_ns:.4g} ns",
        "inputs": f"{meta.inputs.name} ({meta.inputs.split}), {counted(meta.images, 'image')}",
        "run": f"T max {meta.timesteps}, policy {meta.policy}, encoder {hardware.encoder}, "
        f"fidelity {meta.fidelity}",
        "version": f"imcsim {meta.version}, seed {meta.seed}",
    }
    if meta.plugins:
        rows["plug-ins"] = "; ".join(one.text for one in meta.plugins)
    for key, value in rows.items():
        grid.add_row(Text(key), plain(value))
    return grid


def accuracy(row: StaticPoint | Dynamic | Outcome | StreamResult) -> str:
    """Accuracy and its interval, %."""
    return f"{percent(row.accuracy, 2)} [{percent(row.accuracy_low)}, {percent(row.accuracy_high)}]"


def static_points(result: CompareResult) -> Iterator[StaticPoint]:
    """T = 1, 2, ... under each issue policy; a single timestep has nothing to wait for."""
    for points in zip(*(one.static for one in result.opponents), strict=True):
        yield from points[: 1 if points[0].timesteps == 1 else None]


def comparison_table(result: CompareResult) -> Table:
    """Static T = 1, ..., T max against early exit, with the changes below."""
    few = shown_timesteps(result.meta.timesteps)
    shown = [point for point in static_points(result) if point.timesteps in few]
    rows: list[StaticPoint | Dynamic] = [*shown, result.dynamic]
    energy = fitting(ENERGY, (r.energy_pj for r in rows))
    time = fitting(TIME, (r.latency_ns for r in rows))
    edp = product(energy, time)
    dynamic = f"dynamic, {result.meta.policy}"
    if len(dynamic) > _LONGEST_NAME:  # the policy stands above, too
        dynamic = "dynamic"
    grid = table(
        "Static against dynamic timesteps (per image)",
        [
            "static T,\nissue policy",
            "mean T",
            "accuracy, %\n[95 % interval]",
            f"energy\n{energy.name}",
            f"latency\n{time.name}",
            f"EDP,\nmean of\nproducts\n{edp.name}",
            f"EDP,\nproduct\nof means\n{edp.name}",
        ],
        [],
    )
    for row in rows:
        timesteps = row.timesteps if isinstance(row, StaticPoint) else row.mean_timesteps
        grid.add_row(
            static_name(row) if isinstance(row, StaticPoint) else dynamic,
            mean_timesteps(timesteps) if isinstance(row, Dynamic) else str(timesteps),
            Text(accuracy(row)),
            energy(row.energy_pj),
            time(row.latency_ns),
            edp(row.edp_mean_of_products),
            edp(row.edp_product_of_means),
            style="bold" if row is result.dynamic else None,
            end_section=row in (shown[-1], result.dynamic),
        )
    for opponent, less in zip(result.opponents, result.reductions, strict=True):
        last = opponent.static[-1]
        grid.add_row(
            f"vs {static_name(last)}",
            mean_timesteps(result.dynamic.mean_timesteps - last.timesteps, sign="+"),
            f"{100 * (result.dynamic.accuracy - last.accuracy):+.2f} points",
            change(less.energy),
            change(less.latency),
            change(less.edp_mean_of_products),
            change(less.edp_product_of_means),
            style="bold" if opponent.issue == result.static[-1].issue else None,
        )
        if last.timesteps == 1:
            break
    return grid


def mean_timesteps(mean: float, sign: str = "") -> str:
    """Three decimals, two of a long run, so that the main table fits."""
    return f"{mean:{sign}.{3 if abs(mean) < 10 else 2}f}"


def static_name(point: StaticPoint) -> str:
    """What tables call a static run. A single timestep has nothing to wait for."""
    return f"T={point.timesteps}" + (f", {point.issue}" if point.timesteps > 1 else "")


def _opponent_line(result: CompareResult) -> str:
    """What the reductions are measured against."""
    last = result.static[-1]
    tried = " and ".join(one.issue for one in result.opponents)
    return (
        f"Of the static runs of T={last.timesteps} ({tried}), {last.issue} has the least EDP: "
        "all reductions below are against it."
    )


def _sensitivity(result: CompareResult) -> list[RenderableType]:
    """The comparison with other converters; nothing where it was not asked for."""
    points = result.sensitivity
    if not points:
        return []
    energy = fitting(ENERGY, [result.static[-1].energy_pj, result.dynamic.energy_pj])  # as in other tables
    rows = [
        (
            p.name + (" (used)" if p.used else ""),
            f"{p.conversion_energy_pj:.4g}",
            energy(p.static_energy_pj),
            energy(p.dynamic_energy_pj),
            change(p.reduction.energy),
            change(p.reduction.edp_mean_of_products),
            change(p.reduction.edp_product_of_means),
        )
        for p in points
    ]
    columns = [
        "ADC preset",
        "pJ per\nconversion",
        f"{static_name(result.static[-1])}\n{energy.name}".replace(", ", ",\n"),
        f"dynamic\n{energy.name}",
        "energy",
        "EDP,\nmean of\nproducts",
        "EDP,\nproduct\nof means",
    ]
    return [Text(), table("The same counts with other published ADCs", columns, rows)]


def _ranges(result: CompareResult) -> list[RenderableType]:
    """How far the figures may be off; nothing where no alternative moves one."""
    ranges = result.ranges
    sections = [] if ranges is None else range_sections(ranges, result.meta.timesteps)
    if ranges is None or not sections:
        return []
    grid = table("How far the figures may be off", COLUMNS, [], left=len(COLUMNS))
    for column in grid.columns:
        column.max_width, column.no_wrap = None, column in grid.columns[:2]
    for heading, rows in sections:
        if heading:
            grid.add_section()
            grid.add_row(heading)
        for row in rows:
            grid.add_row(*map(plain, row))
    lines = [METHOD]
    if ranges.left_out:
        lines.append(f"Alternatives left out: {'; '.join(ranges.left_out)}.")
    return [Text(), grid, *_lines(lines)]


def _beside(result: CompareResult) -> list[RenderableType]:
    """The runs beside another network, where there is one."""
    against = result.against
    if against is None:
        return []
    heads = [f"{name}\n{unit}" if unit else name for name, unit in beside.columns(against)]
    rows, title = beside.rows(against), beside.title(against)
    chips = {run.hardware for run in against.runs}
    several = len(chips) > 1
    if not several:
        title += f", all on {chips.pop()}"
        for cells in (heads, *rows):
            del cells[1]  # the chip
    grid = table(title, heads, rows, left=2 if several else 1)
    grid.rows[len(against.runs) - 1].end_section = True
    lines = [beside.NOTE, *(f"{against.meta.network.name}: {line}" for line in against.warnings)]
    return [Text(), grid, *_lines(lines)]


def outcome_table(outcome: Outcome, label: str) -> Table:
    """What one policy came to."""
    energy, time = fitting(ENERGY, [outcome.energy_pj]), fitting(TIME, [outcome.latency_ns])
    edp = product(energy, time)
    rows = [
        ("accuracy [95 % interval]", accuracy(outcome), "%"),
        ("mean timesteps", f"{outcome.mean_timesteps:.3f}", ""),
        ("energy", energy(outcome.energy_pj), energy.name),
        *(
            [("of which cancelled work", energy(outcome.cancelled_energy_pj), energy.name)]
            if outcome.cancelled_energy_pj
            else []
        ),
        ("latency, mean", time(outcome.latency_ns), time.name),
        ("latency, p50", time(outcome.latency_p50_ns), time.name),
        ("latency, p95", time(outcome.latency_p95_ns), time.name),
        ("latency, p99", time(outcome.latency_p99_ns), time.name),
        ("EDP, mean of products", edp(outcome.edp_mean_of_products), edp.name),
        ("EDP, product of means", edp(outcome.edp_product_of_means), edp.name),
    ]
    grid = table(f"Outcome of the {label} run (per image)", ["", "value", "unit"], rows)
    grid.columns[2].justify = "left"
    return grid


def threshold_line(decided: Dynamic | Policy) -> str:
    """The exit rule, its threshold or thresholds, and where they come from."""
    each = decided.thresholds
    used = f"threshold {thresholds(decided.threshold)}"
    if each is not None:
        used = f"thresholds {thresholds(each)} after T = 1 to {len(each)}"
    if decided.temperatures is not None:
        used = f"over temperatures {thresholds(decided.temperatures)}, {used}"
    text = f"Exit rule {decided.rule} on the {decided.accumulation} of the outputs, {used}, "
    seen = decided.validation
    if seen is None:
        return text + "given by the user."
    bound = decided.max_loss
    ruled = "" if bound is None else f" with a bound of {percent(bound, 2)} points on the loss"
    return (
        f"{text}chosen{ruled} on {counted(seen.images, 'validation image')}: "
        f"there accuracy {percent(seen.accuracy_dynamic, 2)} % "
        f"(static {percent(seen.accuracy_static, 2)} %) at mean T {seen.mean_timesteps:.3f}."
    )


def _cancelled_lines(outcome: Dynamic) -> list[str]:
    """What running ahead of the checker wasted, if anything."""
    cancelled = outcome.cancelled_energy_pj
    if not cancelled:
        return []
    energy = fitting(ENERGY, [outcome.energy_pj])
    return [
        f"Of the dynamic energy {energy(cancelled)} {energy.name} "
        f"({percent(cancelled / outcome.energy_pj)} %) went into work that an exit cancelled."
    ]


def _without_checker_line(last: StaticPoint) -> str:
    energy, time = fitting(ENERGY, [last.energy_pj]), fitting(TIME, [last.latency_ns])
    return (
        "Static rows include the exit checker as the dynamic row does; without it "
        f"{static_name(last)} takes {energy(last.energy_without_checker_pj)} {energy.name} and "
        f"{time(last.latency_without_checker_ns)} {time.name}."
    )


def exits(outcome: Dynamic | Outcome | StreamResult) -> Table:
    """Share of the images that exit at each timestep, or at some of many timesteps."""
    grid = table("Exits", ["T", "images, %", "so far, %", ""], [])
    grid.columns[3].justify = "left"
    so_far = 0.0
    for one in exit_bins(outcome.exit_fraction):
        share, so_far = one.share, so_far + one.share
        bar = ProgressBar(total=1.0, completed=share, width=40, complete_style="cyan", finished_style="cyan")
        grid.add_row(one.name, percent(share), percent(min(so_far, 1.0)), bar)
    return grid


def _breakdown(components: Sequence[ComponentCost], static: str | None, label: str) -> Table:
    """Components from the most to the least energy; `static` heads the column to compare with, if any."""
    energy = fitting(ENERGY, (max(c.energy_pj, c.static_energy_pj or 0.0) for c in components))
    area = fitting(AREA, (c.area_um2 for c in components))
    columns = ["component", "instances", f"area\n{area.name}"]
    columns += [f"{static.replace(', ', chr(10))}\n{energy.name}"] if static else []
    columns += [f"{label}\n{energy.name}", "share\n%"]
    grid = table("Energy by component (per image)", columns, [])
    for c in sorted(components, key=lambda c: -c.energy_pj):
        cells = [f"{c.count:,}", area(c.area_um2)]
        cells += [energy(c.static_energy_pj or 0.0)] if static else []
        grid.add_row(plain(c.name), *cells, energy(c.energy_pj), percent(c.share))
    grid.add_section()
    cells = ["", area(sum(c.area_um2 for c in components))]
    cells += [energy(sum(c.static_energy_pj or 0.0 for c in components))] if static else []
    grid.add_row("total", *cells, energy(sum(c.energy_pj for c in components)), "100.0", style="bold")
    return grid


def layer_tables(layers: Sequence[LayerEfficiency], label: str) -> list[RenderableType]:
    """Where a layer's energy goes, and its time."""
    grid = table(*time_cells(layers))
    grid.columns[2].justify = "left"
    return [table(*layers_cells(layers, label)), Text(), grid, *_lines([TIME_LINE])]


def layers_table(layers: Sequence[LayerCost], label: str) -> Table:
    """What each layer is on the chip, and what it takes."""
    energy = fitting(ENERGY, (layer.energy_pj for layer in layers))
    rows = [
        (
            layer.name,
            layer.kind,
            f"{layer.rows:,} x {layer.columns:,}",
            f"{layer.crossbars:,}",
            f"{layer.tiles:,}",
            str(layer.copies),
            energy(layer.energy_pj),
            percent(layer.share),
            "-" if layer.spike_rate is None else percent(layer.spike_rate),
        )
        for layer in layers
    ]
    columns = ["layer", "kind", "matrix", "cross-\nbars", "tiles", "copies"]
    columns += [f"{label}\n{energy.name}", "share\n%", "spikes\n%"]
    grid = table("Layers (energy per image)", columns, rows, left=2)
    return grid


def _checker_line(checker: CheckerCost) -> str:
    energy, area = fitting(ENERGY, [checker.energy_pj_per_check]), fitting(AREA, [checker.area_um2])
    return (
        f"Exit checker: {percent(checker.energy_share_of_one_timestep, 2)} % of one timestep's energy; "
        f"a check takes {energy(checker.energy_pj_per_check)} {energy.name} and "
        f"{checker.cycles_per_check:.4g} cycles; {area(checker.area_um2)} {area.name}."
    )


def warnings_of(result: CompareResult | RunResult | StreamResult | ChipsResult) -> list[RenderableType]:
    """The warnings of a result, and that of few images."""
    few = few_images(result.meta.images)
    return warning_lines([*result.warnings, *([few] if few else [])])


def warning_lines(warnings: Sequence[str]) -> list[RenderableType]:
    """What a reader should know before quoting a figure."""
    if not warnings:
        return []
    return [Text(), *(Text("warning: ", style="bold yellow") + plain(warning) for warning in warnings)]
