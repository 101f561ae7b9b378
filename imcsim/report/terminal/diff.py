"""What is different between two chips or two results, as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from imcsim.diffs import Change, ChipDiff, Diff, Piece, ResultDiff
from imcsim.report.terminal.grid import Listing, plain, table
from imcsim.report.units import AREA, ENERGY, TIME, Unit, fitting, number, percent, product, thresholds

FORMAT = "imcsim diff 1"

_UNITS: tuple[tuple[str, tuple[Unit, ...]], ...] = (("_pj", ENERGY), ("_ns", TIME), ("_um2", AREA))
_MOST_CELL = 40


def diff_json(diff: Diff) -> str:
    """All of it: a document with every change, absolute and relative (b / a - 1)."""
    data = {
        "format": FORMAT,
        "kind": diff.kind,
        "a": asdict(diff.a),
        "b": asdict(diff.b),
        "chip": None if diff.chip is None else _chip_document(diff.chip),
        "results": None if diff.results is None else _results_document(diff.results),
    }
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def _chip_document(chip: ChipDiff) -> dict[str, Any]:
    return {
        "values": [asdict(value) for value in chip.values],
        **{
            name: [_change(change) for change in getattr(chip, name)]
            for name in ("estimates", "energy_pj", "area_um2", "leakage_uw")
        },
    }


def _results_document(results: ResultDiff) -> dict[str, Any]:
    pieces = {
        name: [
            {"name": piece.name, **{figure.name: _change(figure, named=False) for figure in piece.figures}}
            for piece in getattr(results, name)
        ]
        for name in ("components", "actions", "layers")
    }
    return {
        "kind": results.kind,
        "settings": [asdict(value) for value in results.settings],
        "figures": [_change(figure) for figure in results.figures],
        **pieces,
        "bounds": [{"name": one.key, "a": one.a, "b": one.b} for one in results.bounds],
    }


def _change(change: Change, *, named: bool = True) -> dict[str, Any]:
    figures = {"a": change.a, "b": change.b, "change": change.change, "relative": change.relative}
    return {"name": change.name, **figures} if named else figures


def diff_report(diff: Diff) -> Group:
    """Everything, in reading order: what changed, then what it did."""
    parts: list[RenderableType] = [
        plain(f"A  {diff.a.given} ({diff.a.hardware}, {diff.a.sha256[:12]})"),
        plain(f"B  {diff.b.given} ({diff.b.hardware}, {diff.b.sha256[:12]})"),
        Text(),
    ]
    if diff.chip is not None and (diff.kind == "hardware" or diff.chip.values):
        parts += _chip(diff.chip)
    if diff.results is not None:
        parts += _results(diff.results, chip_known=diff.chip is not None)
    return Group(*parts)


def _chip(chip: ChipDiff) -> list[RenderableType]:
    if not chip.values:
        return [Text("The chips have the same values.")]
    values = (
        [v.key, f"{_value(v.a, v.mark_a, v.unit)} -> {_value(v.b, v.mark_b, v.unit)}"] for v in chip.values
    )
    parts: list[RenderableType] = [Listing("What is different on the chip (A -> B)", values)]
    for title, changes in (
        ("What estimators compute", chip.estimates),
        ("Energy of one event, pJ", chip.energy_pj),
        ("Area of one instance, um2", chip.area_um2),
        ("Leakage of one instance, uW", chip.leakage_uw),
    ):
        if changes:
            rows = ([c.name, _number(c.a), _number(c.b), _signed(c.change), _relative(c)] for c in changes)
            parts += [Text(), table(title, ["", "A", "B", "B - A", "change"], rows)]
    return [*parts, Text()]


def _results(results: ResultDiff, *, chip_known: bool) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if results.settings:
        rows = ([v.key, _setting(v.key, v.a), _setting(v.key, v.b)] for v in results.settings)
        parts += [table("What is different in the runs", ["", "A", "B"], rows, left=3), Text()]
        if not chip_known and any(v.key == "hardware.sha256" for v in results.settings):
            line = "The chips' files are not known here; diff the files themselves for their values."
            parts += [Text(line), Text()]
    else:
        parts += [Text("The runs have the same settings."), Text()]
    rows = (_figure_row(figure) for figure in results.figures)
    parts.append(table(f"What it did ({results.kind})", ["", "A", "B", "B - A", "change"], rows))
    columns = ["", "energy A", "energy B", "B - A", "change", "share A", "share B"]
    if results.components:
        parts += [Text(), _energies("Components", results.components, columns)]
        areas = [piece.figure("area_um2") for piece in results.components]
        if any(area.a != area.b for area in areas):
            parts += [Text(), _areas(results.components)]
    dearer = [piece for piece in results.actions if _differ(piece.figure("energy_pj_each"))]
    if dearer:
        parts += [Text(), _actions(dearer)]
    if results.layers:
        parts += [Text(), _energies("Layers", results.layers, columns)]
        if any(_differ(piece.figure("latency_ns")) for piece in results.layers):
            parts += [Text(), _times(results.layers)]
    if results.bounds:
        rows = ([one.key, _cell(one.a), _cell(one.b)] for one in results.bounds)
        parts += [Text(), table("What bounds layers, where it differs", ["", "A", "B"], rows, left=3)]
    return parts


def _figure_row(figure: Change) -> list[str]:
    name, unit, write = _unit_of(figure)
    return [
        f"{name}, {unit}" if unit else name,
        "" if figure.a is None else write(figure.a),
        "" if figure.b is None else write(figure.b),
        _signed(figure.change, write),
        _relative(figure),
    ]


def _unit_of(figure: Change) -> tuple[str, str, Callable[[float], str]]:
    """Name without its unit, the unit that fits, and how a figure is written in it."""
    last = figure.name.rsplit(".", 1)[-1]
    if figure.name.startswith("reduction."):
        return figure.name, "", number
    if last.startswith("edp_"):
        unit = _edp_unit(value for value in (figure.a, figure.b) if value is not None)
        return figure.name, unit.name, unit
    if last == "energy_pj_per_check":
        return figure.name.replace("_pj", ""), "pJ", number
    for ending, units in _UNITS:
        if figure.name.endswith(ending):
            unit = fitting(units, (value for value in (figure.a, figure.b) if value is not None))
            return figure.name.removesuffix(ending), unit.name, unit
    return figure.name, "", number


def _edp_unit(values: Iterable[float]) -> Unit:
    """The product of an energy and a time in which the largest of `values`, pJ ns, is at least one."""
    steps = ((0, 0), (1, 0), (1, 1), (2, 1), (3, 1), (3, 2))
    return fitting(tuple(product(ENERGY[e], TIME[t]) for e, t in steps), values)


def _energies(title: str, pieces: Sequence[Piece], columns: list[str]) -> RenderableType:
    changes = [piece.figure("energy_pj") for piece in pieces]
    unit = fitting(ENERGY, (v for c in changes for v in (c.a, c.b) if v is not None))
    rows = []
    for piece, change in zip(pieces, changes, strict=True):
        share = piece.figure("share")
        rows.append(
            [
                piece.name,
                "" if change.a is None else unit(change.a),
                "" if change.b is None else unit(change.b),
                _signed(change.change, unit),
                _relative(change),
                "" if share.a is None else f"{percent(share.a)} %",
                "" if share.b is None else f"{percent(share.b)} %",
            ]
        )
    return table(f"{title}, {unit.name} an image", columns, rows)


def _times(pieces: Sequence[Piece]) -> RenderableType:
    """Latencies of layers, and for how much of them what bounds the layer works."""
    shown = [piece for piece in pieces if piece.figure("latency_ns") != Change("latency_ns", None, None)]
    changes = [piece.figure("latency_ns") for piece in shown]
    unit = fitting(TIME, (v for c in changes for v in (c.a, c.b) if v is not None))
    rows = []
    for piece, change in zip(shown, changes, strict=True):
        used = piece.figure("utilisation")
        rows.append(
            [
                piece.name,
                *("" if v is None else unit(v) for v in (change.a, change.b)),
                _signed(change.change, unit),
                _relative(change),
                *("" if v is None else f"{percent(v)} %" for v in (used.a, used.b)),
            ]
        )
    columns = ["", "latency A", "latency B", "B - A", "change", "used A", "used B"]
    return table(f"Layers in time, {unit.name} an image", columns, rows)


def _areas(pieces: Sequence[Piece]) -> RenderableType:
    changed = [piece for piece in pieces if piece.figure("area_um2").a != piece.figure("area_um2").b]
    areas = [piece.figure("area_um2") for piece in changed]
    unit = fitting(AREA, (v for area in areas for v in (area.a, area.b) if v is not None))
    rows = []
    for piece, area in zip(changed, areas, strict=True):
        count = piece.figure("count")
        values = [*("" if v is None else unit(v) for v in (area.a, area.b)), _signed(area.change, unit)]
        rows.append([piece.name, *values, _relative(area), _number(count.a), _number(count.b)])
    columns = ["", "area A", "area B", "B - A", "change", "instances A", "instances B"]
    return table(f"Areas that differ, {unit.name}", columns, rows)


def _actions(pieces: Sequence[Piece]) -> RenderableType:
    rows = []
    for piece in pieces:
        count, each = piece.figure("count"), piece.figure("energy_pj_each")
        rows.append(
            [piece.name, _number(count.a), _number(count.b), _relative(count),
             _number(each.a), _number(each.b), _relative(each)]
        )  # fmt: skip
    columns = ["", "count A", "count B", "change", "pJ each A", "pJ each B", "change"]
    return table("Events whose energy differs; counts an image", columns, rows)


def _differ(change: Change) -> bool:
    """Whether there is more between two quotients of sums than rounding."""
    if change.a is None and change.b is None:
        return False
    return change.relative is None or abs(change.relative) > 1e-9


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _signed(value: float | None, write: Callable[[float], str] = number) -> str:
    if value is None:
        return ""
    return f"+{write(value)}" if value > 0 else write(value)


def _relative(change: Change) -> str:
    """``+12.3 %``; ``x 4.5`` where the change is large."""
    if change.a is None or change.b is None:
        return "only in A" if change.b is None else "only in B"
    if change.a == change.b:
        return "="
    if change.relative is None:
        return ""
    if change.relative > 9:
        return f"x {number(change.relative + 1, 3)}"
    digits = ".1f" if abs(change.relative) >= 0.0005 else ".1g"
    return f"{100 * change.relative:+{digits}} %"


def _setting(key: str, value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    if key in ("thresholds", "temperatures"):
        return thresholds(value)
    return str(value)[:12] if key.endswith("sha256") and value is not None else _cell(value)


def _value(value: Any, mark: str | None, unit: str) -> str:
    """``1.0 ns (est)``."""
    if value is None:
        return "none"
    if value == "estimate":  # its figures follow
        return "estimate"
    return f"{_cell(value)} {unit}".rstrip() + (f" ({mark})" if mark else "")


def _cell(value: Any) -> str:
    """A setting in a cell of a table."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MOST_CELL else text[: _MOST_CELL - 3] + "..."
