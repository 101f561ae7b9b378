"""A hash over each point of a store and its results: a flipped bit in a figure looks like any other figure.

It finds damage, no malice: whoever can write a store can write its hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from imcsim.sweeps.columns import POINTS, RESULTS
from imcsim.sweeps.reading import Reading
from imcsim.sweeps.rows import Record

SUM = "rows_sha256"
CHANGED = "its figures are not those that were written"
_PLACE = ("policy", "timesteps")


def with_sum(record: Record) -> Record:
    """The record with the hash of what it holds."""
    return replace(record, point={**record.point, SUM: rows_sha256(record.point, record.results)})


def rows_sha256(point: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> str:
    """The hash of a row of ``points`` and its rows of ``results``, JSON as text; null is as if not there."""
    ordered = sorted(results, key=lambda row: tuple(str(row.get(name)) for name in _PLACE))
    rows = [_stored(point, POINTS), *(_stored(row, RESULTS) for row in ordered)]
    return hashlib.sha256(json.dumps(rows, sort_keys=True, default=repr).encode()).hexdigest()


def _stored(row: Mapping[str, Any], columns: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """The values as SQLite gives them back: a whole number in a column of reals is a real one."""
    return {
        name: float(value) if columns[name][0] == "REAL" and isinstance(value, int) else value
        for name, value in row.items()
        if value is not None and name != SUM
    }


def changed_points(reading: Reading) -> Iterator[int]:
    """Points whose values, or whose results, are not those that were written. Stores of before have no
    hashes, and none of their points is named.
    """
    if SUM not in reading.known("points"):
        return
    results = _rows(reading, "results")
    following = next(results, None)
    for point in _rows(reading, "points"):
        own = []
        while following is not None and following["point"] <= point["point"]:
            if following["point"] == point["point"]:  # results of no point are another fault
                own.append(following)
            following = next(results, None)
        if point[SUM] is not None and point[SUM] != rows_sha256(point, own):
            yield point["point"]


def _rows(reading: Reading, table: str) -> Iterator[dict[str, Any]]:
    """Rows as stored, in the order of their points, which are numbers."""
    names = reading.known(table)
    for values in reading.raw(f"SELECT {', '.join(names)} FROM {table} ORDER BY point"):
        row = dict(zip(names, values, strict=True))
        reading.value(table, "point", row["point"], row)
        yield row
