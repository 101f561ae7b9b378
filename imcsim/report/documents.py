"""Result documents as files: JSON, CSV tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from imcsim.base.progress import Progress
from imcsim.diffs.reading import OUTCOMES
from imcsim.report import beside
from imcsim.report.files import csv_text, write_contents, write_text
from imcsim.report.paper import paper_files
from imcsim.report.paper_chips import chips_files
from imcsim.results.chips.document import ChipsResult
from imcsim.results.comparison import (
    CompareResult,
    CurvePoint,
    ReductionAgainst,
    ScalingPoint,
    StaticPoint,
)
from imcsim.results.costs import Action, ComponentCost, LayerCost
from imcsim.results.efficiency import LayerEfficiency
from imcsim.results.model import to_json
from imcsim.results.ranges import Interval
from imcsim.results.reload import GroupLoad, ReloadCost
from imcsim.results.run import RunResult
from imcsim.results.stream import StreamResult, TileUse

Result = CompareResult | RunResult | StreamResult | ChipsResult


def write_result(result: Result, path: str | Path) -> None:
    """Write the JSON document to `path`, replacing what is there. Raises ImcsimError naming the file."""
    write_text(to_json(result), path)


def write_folder(
    result: Result, folder: str | Path, *, paper: bool = False, progress: Progress | None = None
) -> list[Path]:
    """Write ``result.json``, the CSV tables and ``figures/`` into `folder`; returns the files written.

    Of a comparison also the table for a paper (see `paper_files` and `chips_files`) and, on one chip, what
    each of its images did, as ``images.json``, as far as that is known. With `paper`, the figure of growth
    shows DT-SNN's published line.

    The folder is made if need be; other files in it stay. Raises ImcsimError naming the file that failed.
    """
    contents = {"result.json": to_json(result).encode()}
    contents |= {name: text.encode() for name, text in csv_tables(result).items()}
    if isinstance(result, CompareResult):
        contents |= {name: text.encode() for name, text in paper_files(result).items()}
        if result.outcomes is not None:
            contents[OUTCOMES] = result.outcomes.to_json().encode()
    if isinstance(result, ChipsResult):
        contents |= {name: text.encode() for name, text in chips_files(result).items()}
    contents |= {f"figures/{name}": data for name, data in _figures(result, paper, progress).items()}
    return write_contents(folder, contents)


def _figures(result: Result, paper: bool, progress: Progress | None) -> dict[str, bytes]:
    # matplotlib takes a second to import: only where figures are wanted.
    if isinstance(result, StreamResult):
        from imcsim.report.figures.stream import render_stream

        return render_stream(result, progress)
    if isinstance(result, ChipsResult):
        from imcsim.report.figures.chips import render_chips

        return render_chips(result, progress)
    from imcsim.report.figures.comparison import render

    return render(result, paper=paper, progress=progress)


def figures_of(result: Result) -> dict[str, Any]:
    """The figures of `result` by name, as ``matplotlib.figure.Figure``."""
    from imcsim.report.figures.drawing import styled

    if isinstance(result, StreamResult):
        from imcsim.report.figures.stream import stream_figures

        return styled(lambda: stream_figures(result))
    if isinstance(result, ChipsResult):
        from imcsim.report.figures.chips import chips_figures

        return styled(lambda: chips_figures(result))
    from imcsim.report.figures.comparison import figures

    return styled(lambda: figures(result))


def csv_tables(result: Result) -> dict[str, str]:
    """The tables of `result`: file name to CSV text (comma, header line, floats by repr, empty for None).

    Where energy is charged by a hypothesis, each line says so in a last column.
    """
    accounting = result.meta.hardware.accounting
    tables = _tables(result)
    return tables if accounting is None else {n: _with_column(t, accounting) for n, t in tables.items()}


def _with_column(table: str, accounting: str) -> str:
    head, *lines = table.splitlines()
    return "".join(
        f"{line}\n" for line in (f"{head},accounting", *(f"{line},{accounting}" for line in lines))
    )


def _tables(result: Result) -> dict[str, str]:
    if isinstance(result, StreamResult):
        return _stream_tables(result)
    if isinstance(result, ChipsResult):
        return _chips_tables(result)
    if isinstance(result, CompareResult):
        tables = {
            "static.csv": _csv(StaticPoint, result.static),
            "opponents.csv": _csv(StaticPoint, [point for one in result.opponents for point in one.static]),
            "reductions.csv": _csv(ReductionAgainst, result.reductions),
            "dynamic.csv": _one_row(result.dynamic),
            "curve.csv": _csv(CurvePoint, result.curve),
            "scaling.csv": _csv(ScalingPoint, result.scaling),
            "efficiency.csv": _rows(
                (result.static_efficiency, result.efficiency), policy=["static", "dynamic"]
            ),
        }
        if result.sensitivity:
            tables["sensitivity.csv"] = _rows(result.sensitivity)
        if result.against is not None:
            tables["against.csv"] = csv_text(*beside.csv_rows(result))
            tables["against_components.csv"] = _csv(
                ComponentCost, result.against.components, leave_out={"actions"}
            )
        if result.ranges is not None:
            tables["ranges.csv"] = _csv(Interval, result.ranges.intervals)
            tables["alternatives.csv"] = _rows(result.ranges.alternatives)
        components, layers = result.components, result.layers
        tables |= _reload_tables({"static": result.static_reload, "dynamic": result.reload})
        peak, work, written = result.peak, result.layer_efficiency, result.programming
    else:
        components, layers = result.outcome.components, result.outcome.layers
        outcome = result.outcome
        tables = {
            "outcome.csv": _one_row(result.policy, outcome),
            "efficiency.csv": _rows([outcome.efficiency], policy=[result.policy.kind]),
        }
        tables |= _reload_tables({result.policy.kind: outcome.reload})
        peak, work, written = outcome.peak, outcome.layer_efficiency, outcome.programming
    tables["components.csv"] = _csv(ComponentCost, components, leave_out={"actions"})
    rows = [[c.name, *a.model_dump().values()] for c in components for a in c.actions]
    tables["actions.csv"] = csv_text(["component", *Action.model_fields], rows)
    tables["layers.csv"] = _csv(LayerCost, layers)
    tables["peak.csv"] = _one_row(peak)
    tables["programming.csv"] = _one_row(written)
    return tables | _layer_tables(work)


def _reload_tables(runs: Mapping[str, ReloadCost | None]) -> dict[str, str]:
    """What loads take in some runs, and each group; none where nothing is loaded again."""
    found = {policy: cost for policy, cost in runs.items() if cost is not None}
    if not found:
        return {}
    names = [name for name in ReloadCost.model_fields if name != "groups"]
    groups = next(iter(found.values())).groups
    rows = [[" ".join(one.layers), one.weight_bits, one.cells, one.time_ns] for one in groups]
    return {
        "reload.csv": csv_text(
            ["policy", *names], [[policy, *(getattr(one, n) for n in names)] for policy, one in found.items()]
        ),
        "reload_groups.csv": csv_text(list(GroupLoad.model_fields), rows),
    }


def _layer_tables(work: Sequence[LayerEfficiency]) -> dict[str, str]:
    parts = {"energy_pj_by_component", "busy_ns"}
    names = [name for name in LayerEfficiency.model_fields if name not in parts]
    busy = list(dict.fromkeys(name for layer in work for name in layer.busy_ns))
    rows = [
        [*(getattr(layer, name) for name in names), *(layer.busy_ns.get(name) for name in busy)]
        for layer in work
    ]
    return {
        "layer_efficiency.csv": csv_text([*names, *(f"busy_{name}_ns" for name in busy)], rows),
        "layer_components.csv": csv_text(
            ["layer", "component", "energy_pj"],
            [[layer.name, name, pj] for layer in work for name, pj in layer.energy_pj_by_component.items()],
        ),
    }


def _stream_tables(result: StreamResult) -> dict[str, str]:
    came = {"arrivals": result.arrivals.kind, "images_per_s": result.arrivals.images_per_s}
    cells = _cells(result.policy) | came | _cells(result)
    columns = list(TileUse.model_fields)
    tiles = [[" ".join(v) if isinstance(v, tuple) else v for v in vars(t).values()] for t in result.tiles]
    return {
        "stream.csv": csv_text(list(cells), [list(cells.values())]),
        "tiles.csv": csv_text(columns, tiles),
        "layers.csv": _csv(LayerCost, result.layers),
        "efficiency.csv": _rows([result.efficiency], policy=[result.policy.kind]),
        "peak.csv": _one_row(result.peak),
        "programming.csv": _one_row(result.programming),
        **_layer_tables(result.layer_efficiency),
        "latency.csv": csv_text(
            ["percentile", "latency_ns"], [[p, ns] for p, ns in enumerate(result.latency_percentiles_ns)]
        ),
    }


def _chips_tables(result: ChipsResult) -> dict[str, str]:
    tables = {
        "instances.csv": result.rows(),
        "summary.csv": result.summary_rows(),
        "exits.csv": result.exit_rows(),
        "moved.csv": result.moved_rows(),
    }
    return {
        name: csv_text(list(rows[0]), [list(row.values()) for row in rows]) for name, rows in tables.items()
    }


def _csv(
    model: type[BaseModel], rows: Sequence[BaseModel], leave_out: frozenset[str] | set[str] = frozenset()
) -> str:
    columns = [name for name in model.model_fields if name not in leave_out]
    return csv_text(columns, [[getattr(row, column) for column in columns] for row in rows])


def _one_row(*models: BaseModel) -> str:
    """One line of figures: all cells of the models."""
    cells = _cells(*models)
    return csv_text(list(cells), [list(cells.values())])


def _rows(models: Sequence[BaseModel], **first: Sequence[str]) -> str:
    """A line of figures for each model, after columns with one entry for each."""
    names = [dict(zip(first, each, strict=True)) for each in zip(*first.values(), strict=True)]
    lines = [name | _cells(model) for name, model in zip(names or [{}] * len(models), models, strict=True)]
    return csv_text(list(lines[0]) if lines else [], [list(line.values()) for line in lines])


_NOT_CELLS = frozenset(
    (
        "components",
        "layers",
        "checker",
        "schema_version",
        "meta",
        "policy",
        "arrivals",
        "tiles",
        "warnings",
        "efficiency",
        "peak",
        "programming",
        "layer_efficiency",
        "reload",
    )
) | {"latency_percentiles_ns"}
"""Parts of documents that have tables of their own, or belong to the JSON document only."""


_SELDOM = ("thresholds", "temperatures", "max_loss")
"""Figures of a choice that most results do not have: they get no column where they are missing."""


def _cells(*models: BaseModel) -> dict[str, Any]:
    """Figures by column; a tuple becomes a column for each T, a nested model columns named after it."""
    cells: dict[str, Any] = {}
    for model in models:
        for name in type(model).model_fields:
            value = getattr(model, name)
            if name in _NOT_CELLS or (name in _SELDOM and value is None):
                continue
            if isinstance(value, tuple):
                cells |= {f"{name}_t{t}": part for t, part in enumerate(value, 1)}
            elif isinstance(value, BaseModel):
                cells |= {f"{name}_{key}": part for key, part in value.model_dump().items()}
            else:
                cells[name] = value
    return cells
