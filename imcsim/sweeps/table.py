"""The tables of a store as SQL, and the table of a sweep: one row per point, static beside dynamic."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from imcsim.base.cells import csv_cell
from imcsim.base.files import written_whole
from imcsim.base.names import shown
from imcsim.sweeps.columns import POINTS, RESULTS
from imcsim.sweeps.reading import Reading
from imcsim.sweeps.rows import EFFICIENCY, JUDGED, SPREADS

TABLE = "table.csv"

_STATIC = ("accuracy", "accuracy_low", "accuracy_high", "energy_pj", "latency_ns", "edp_mean_of_products",
           "edp_product_of_means", *EFFICIENCY)  # fmt: skip
_DYNAMIC = ("rule", "threshold", "thresholds", "threshold_source", "mean_timesteps", "accuracy",
            "accuracy_low", "accuracy_high", "energy_pj", "latency_ns", "latency_p50_ns", "latency_p95_ns",
            "latency_p99_ns", "edp_mean_of_products", "edp_product_of_means", "cancelled_energy_pj",
            "exit_fraction", *EFFICIENCY)  # fmt: skip
_SPREAD = tuple(chain(*SPREADS.values()))
_STATIC_SPREAD = tuple(name for name in _SPREAD if name not in SPREADS["mean_timesteps"])
_COMMON = ("status", "config_sha256", "seed", "version", "network", "network_sha256", "inputs",
           "inputs_sha256", "images", "timesteps", "tiles", "crossbars", "area_um2",
           "programming_energy_pj", "programming_time_ns")  # fmt: skip
_LISTS = ("thresholds", "exit_fraction")
"""Columns that the table has as numbers with spaces between."""


_NO_RESULT = ("error", "seconds", "rows_sha256")


def side_by_side(points: Collection[str], results: Collection[str]) -> str:
    """A query with one row per point, of the columns that ``points`` and ``results`` have."""
    columns = [f"p.{name}" for name in POINTS if name in points and name not in _NO_RESULT]
    for letter, policy, names in _BESIDE:
        columns += [f"{letter}.{name} AS {policy}_{name}" for name in names if name in results]
    return (
        f"SELECT {', '.join(columns)}, p.error, p.seconds FROM points p "
        "LEFT JOIN results s ON s.point = p.point AND s.policy = 'static' AND s.timesteps = p.timesteps "
        "LEFT JOIN results d ON d.point = p.point AND d.policy = 'dynamic' "
        "LEFT JOIN results o ON o.point = p.point AND o.policy = 'dynamic_once'"
    )


_BESIDE = (
    ("s", "static", (*_STATIC, *_STATIC_SPREAD, *JUDGED)),
    ("d", "dynamic", (*_DYNAMIC, *_SPREAD, *JUDGED)),
    ("o", "dynamic_once", _DYNAMIC + _SPREAD),
)
SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    f"CREATE TABLE points ({', '.join(f'{name} {kind}' for name, (kind, _) in POINTS.items())})",
    f"CREATE TABLE results ({', '.join(f'{name} {kind}' for name, (kind, _) in RESULTS.items())}, "
    "PRIMARY KEY (point, policy, timesteps)) WITHOUT ROWID",
    f"CREATE VIEW sweep AS {side_by_side(POINTS, RESULTS)}",
)


def insert(
    connection: sqlite3.Connection, table: str, rows: Iterable[Mapping[str, Any]], how: str = ""
) -> int:
    """Insert rows; returns how many were. `how` may be ``OR IGNORE ``."""
    done = 0
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        query = f"INSERT {how}INTO {table} ({names}) VALUES ({marks})"
        done += connection.execute(query, tuple(row.values())).rowcount
    return done


def queried(reading: Reading, query: str, given: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
    """Rows of a query by column, each value checked. Columns of ``results`` have the policy in front."""
    listed = query.removeprefix("SELECT ").split(" FROM ")[0].split(",")
    names = [column.strip().split(" AS ")[-1].removeprefix("p.") for column in listed]
    for values in reading.raw(query, given):
        raw = dict(zip(names, values, strict=True))
        row = {}
        for name, value in raw.items():
            of_results = name.startswith(("static_", "dynamic_"))
            table, column = ("results", _plain_name(name)) if of_results else ("points", name)
            row[name] = reading.value(table, column, value, raw)
        for name in _ALWAYS:
            if name in row and row[name] is None:
                raise reading.unsound(f"points, point {shown(row['point'])}: {name} is missing")
        yield row


_ALWAYS = ("point", "axes", "status")


def check_axes(reading: Reading, row: Mapping[str, Any], keys: Collection[str]) -> None:
    """Refuse a point whose axes are not those of the spec. Raises ImcsimError."""
    if not set(keys) <= set(row["axes"] or ()):
        raise reading.unsound(f"points, point {row['point']}, axes: they are not those of the spec")


def table_rows(reading: Reading, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The rows of `Store.table`."""
    has_points, has_results = reading.known("points"), reading.known("results")
    each = _used(reading, "results", "thresholds", has_results)
    many = _used(reading, "points", "chips", has_points)
    supposed = _used(reading, "points", "accounting", has_points)
    judged = JUDGED if _used(reading, "results", JUDGED[0], has_results) else ()
    spread = _SPREAD if many else ()
    common = (*(("chips",) if many else ()), *(("accounting",) if supposed else ()))
    dynamic = [name for name in _DYNAMIC if name != "thresholds" or each]
    columns = [f"static_{name}" for name in (*_STATIC, *judged, *(_STATIC_SPREAD if many else ()))]
    for policy in ("dynamic", "dynamic_once") if many else ("dynamic",):
        columns += [
            f"{policy}_{name}" for name in (*dynamic, *(judged if policy == "dynamic" else ()), *spread)
        ]
    for found in queried(reading, f"{side_by_side(has_points, has_results)} ORDER BY p.point"):
        check_axes(reading, found, keys)
        row: dict[str, Any] = dict.fromkeys((*_COMMON, *common, *columns)) | found
        axes = row["axes"]
        row |= {key: _listed(row[key]) for key in columns if _plain_name(key) in _LISTS}
        yield {
            "point": row["point"],
            **{key: axes.get(key) for key in keys},
            **{_other(name, keys): row[name] for name in (*_COMMON, *common)},
            **{name: row[name] for name in columns},
            _other("warnings", keys): "; ".join(row.get("warnings") or ()) or None,
            "error": row["error"],
        }


def _used(reading: Reading, table: str, column: str, has: Collection[str]) -> bool:
    """Whether a row has something in this column, which stores of before may not have."""
    query = f"SELECT 1 FROM {table} WHERE {column} IS NOT NULL LIMIT 1"
    return column in has and any(True for _ in reading.raw(query))


def _listed(numbers: Sequence[float] | None) -> str | None:
    return " ".join(map(repr, numbers or ())) or None


def _plain_name(column: str) -> str:
    """A column of the view as ``results`` calls it."""
    return column.removeprefix("dynamic_").removeprefix("once_").removeprefix("static_")


def _other(name: str, keys: tuple[str, ...]) -> str:
    """A column's name, where an axis may have the same one."""
    return f"run_{name}" if name in keys else name


def write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as comma-separated values, whole or not at all. Raises OSError."""
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer: Any = None
        for row in rows:
            if writer is None:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow([csv_cell(name) for name in row])
            writer.writerow([csv_cell(_cell(value)) for value in row.values()])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value)
    return repr(value) if isinstance(value, float) else str(value)
