"""Looks over a store and says what is not sound, or keeps what is.

``imcsim sweep --check DIR`` and ``--repair DIR``.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.sweeps.reading import STORE, Reading, connected, errors_of
from imcsim.sweeps.store import alone
from imcsim.sweeps.sums import CHANGED, SUM, rows_sha256
from imcsim.sweeps.table import SCHEMA, TABLE, check_axes, insert, table_rows, write_table

MOST_PROBLEMS = 1000
_MOST_POINTS = 10_000_000


@dataclass(frozen=True)
class Checked:
    """Points that are sound, those that the sweep has in all, and what is wrong, a line each."""

    sound: tuple[int, ...]
    planned: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Repaired:
    """What was kept, and where the store lies that was there before; None where nothing was wrong."""

    checked: Checked
    before: Path | None


def check_store(folder: str | Path) -> Checked:
    """Read everything in the store of `folder`. Raises ImcsimError where there is none, or no ``meta``."""
    path = _path(folder)
    with errors_of(path), closing(connected(path)) as connection:
        reading = Reading(path, connection)
        return _checked(reading, reading.meta())


def repair_store(folder: str | Path) -> Repaired:
    """Keep the sound points of a store in a new one, under the same name; the old one stays beside it.

    Points that are dropped are run again when the sweep goes on. Raises ImcsimError where there is nothing to
    go by: no ``meta``, or a sweep that is running.
    """
    path = _path(folder)
    with alone(path.parent), errors_of(path):
        with closing(connected(path)) as connection:
            reading = Reading(path, connection)
            meta = reading.meta()
            checked = _checked(reading, meta)
            if not checked.problems:
                return Repaired(checked, None)
            new = path.with_name(f".{STORE}.{token_hex(4)}.partial")
            try:
                with closing(sqlite3.connect(new)) as made, made:
                    for statement in SCHEMA:
                        made.execute(statement)
                    made.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
                    for point in checked.sound:
                        row, results = _point(reading, point)
                        insert(made, "points", [row])
                        insert(made, "results", results)
                before = path.with_name(f"{STORE}.damaged-{token_hex(4)}")
                connection.close()
                os.link(path, before)
                for log in ("-wal", "-shm"):  # of the old store; the new one must not take it for its own
                    with suppress(FileNotFoundError):
                        path.with_name(STORE + log).replace(before.with_name(before.name + log))
                new.replace(path)
            finally:
                new.unlink(missing_ok=True)
        with closing(connected(path)) as connection:
            reading = Reading(path, connection)
            write_table(path.parent / TABLE, table_rows(reading, _keys(meta)))
        return Repaired(checked, before)


def _path(folder: str | Path) -> Path:
    path = Path(folder) / STORE
    if not path.is_file():
        raise ImcsimError("there is no sweep here", file=folder, fix="name the folder that a sweep wrote")
    return path


def _keys(meta: dict[str, str]) -> tuple[str, ...]:
    return tuple(json.loads(meta.get("keys", "[]")))


def _checked(reading: Reading, meta: dict[str, str]) -> Checked:
    problems: dict[str, None] = {}
    for (said,) in _tolerant(reading, f"PRAGMA integrity_check({MOST_PROBLEMS})", problems):
        if said != "ok":
            problems[" ".join(str(said).split())] = None
    if not meta:
        return Checked((), 0, tuple(problems))
    planned, sound = int(meta["points"]), []
    named = {row[0] for row in _tolerant(reading, "SELECT point FROM points", problems)}
    named |= {row[0] for row in _tolerant(reading, "SELECT DISTINCT point FROM results", problems)}
    there = set(named)
    if problems:  # an index may lack what the table has
        named |= set(range(min(planned, _MOST_POINTS)))
    for point in sorted(named, key=lambda found: (not isinstance(found, int), str(found).zfill(20))):
        try:
            row, results = _point(reading, point)
            check_axes(reading, reading.checked("points", row), _keys(meta))
            _check_results(reading, row, results)
            if row.get(SUM) is not None and row[SUM] != rows_sha256(row, results):
                raise reading.unsound(f"points, point {point}: {CHANGED}")
        except ImcsimError as error:
            if point in there:
                problems[error.message.removeprefix("the store is not sound: ")] = None
            continue
        sound.append(point)
    return Checked(tuple(sound), planned, tuple(problems)[:MOST_PROBLEMS])


def _tolerant(reading: Reading, query: str, problems: dict[str, None]) -> Iterator[tuple[Any, ...]]:
    """Rows up to the first that cannot be read."""
    try:
        yield from reading.raw(query)
    except ImcsimError as error:
        problems[error.message] = None


def _point(reading: Reading, point: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A point and its results as stored. Raises ImcsimError."""
    reading.value("results", "point", point, {"point": point})  # text that is no text cannot be asked for
    found = []
    for table in ("points", "results"):
        names = reading.known(table)
        query = f"SELECT {', '.join(names)} FROM {table} WHERE point = ?"
        rows = [dict(zip(names, values, strict=True)) for values in reading.raw(query, (point,))]
        found.append(rows)
    points, results = found
    if len(points) != 1:
        what = "which is not there" if not points else "which is there twice"
        raise reading.unsound(f"results of point {point!r:.40}, {what}")
    return points[0], results


def _check_results(reading: Reading, row: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """Check the results of a point one by one, and that there are all of them and no other."""
    place = f"results, point {row['point']}"
    seen = set()
    for result in results:
        checked = reading.checked("results", result)
        key = checked["policy"], checked["timesteps"]
        if key in seen:
            raise reading.unsound(f"{place}: a row is there twice")
        seen.add(key)
    if row["status"] == "failed":
        wanted: set[tuple[str, int]] = set()
    else:
        last = row["timesteps"]
        wanted = {("static", t) for t in range(1, last + 1)} | {("dynamic", last)}
        wanted |= seen & {("dynamic_once", last)}
    if seen != wanted:
        raise reading.unsound(
            f"{place}: {len(wanted - seen)} rows are missing, {len(seen - wanted)} too many"
        )
