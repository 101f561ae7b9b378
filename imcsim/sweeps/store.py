"""The store of a sweep: one SQLite file, ``DIR/sweep.sqlite``, that any tool can query.

Tables:

- ``meta(key, value)``: ``spec`` (what the spec says, JSON), ``spec_sha256``, ``contents`` (hashes of the
  files that it names, JSON), ``version`` of imcsim, ``created`` (UTC), ``keys`` (of the axes, JSON),
  ``points`` (how many there are).
- ``points``: one row a point, written when it ends. ``point`` (its number), ``axes`` (values by key, JSON),
  ``config`` (the whole hardware config, JSON) and ``config_sha256``, ``setting`` (everything else, JSON),
  ``seed``, ``version``, ``status`` (done or failed), ``error``, ``seconds``; and what does not depend on the
  policy: network, inputs, images, tiles, crossbars, ``area_um2`` and ``areas_um2`` by component (JSON),
  ``result_sha256`` (of the document that `imcsim compare` would write).
- ``results``: one row a point and policy: ``policy`` static with ``timesteps`` 1 to T max, and dynamic.
  Of a point on many chips (``chips`` in ``points`` says how many) figures are means over the chips, accuracy
  has the 95 % interval of this mean; ``..._std...`` are sample standard deviations over the chips (null for
  one) and ``..._worst...`` those of the worst chip; dynamic is with the threshold chosen on each chip, a
  further row ``dynamic_once`` with the one chosen once for all on the ideal chip; components and layers are
  null. Energies are pJ and latencies ns, means per image; ``components`` and ``layers`` are energies by name
  (JSON; components of static runs at T max only), ``exit_fraction`` the shares that leave at T = 1, 2, ...;
  where timesteps have thresholds of their own, ``threshold`` is null and ``thresholds`` has them (JSON).
- ``sweep``: a view with one row a point: points, static T max and dynamic side by side.
- ``front``, of a search only: the points of its Pareto front (see `imcsim.searches`).

A point and its results are one transaction, so a row is whole or absent, whatever happens.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.files import written_whole
from imcsim.base.frames import frame
from imcsim.sweeps.rows import SPREADS, Record

STORE, TABLE = "sweep.sqlite", "table.csv"

_POINTS = {
    "point": "INTEGER PRIMARY KEY", "axes": "TEXT NOT NULL", "config_sha256": "TEXT", "config": "TEXT",
    "setting": "TEXT NOT NULL", "seed": "INTEGER NOT NULL", "version": "TEXT NOT NULL",
    "status": "TEXT NOT NULL CHECK (status IN ('done', 'failed'))", "error": "TEXT", "seconds": "REAL",
    "network": "TEXT", "network_sha256": "TEXT", "inputs": "TEXT", "inputs_sha256": "TEXT",
    "images": "INTEGER", "timesteps": "INTEGER", "tiles": "INTEGER", "crossbars": "INTEGER",
    "area_um2": "REAL", "areas_um2": "TEXT", "checker_energy_share": "REAL", "warnings": "TEXT",
    "result_sha256": "TEXT", "chips": "INTEGER",
}  # fmt: skip
_RESULTS = {
    "point": "INTEGER NOT NULL REFERENCES points(point)",
    "policy": "TEXT NOT NULL CHECK (policy IN ('static', 'dynamic', 'dynamic_once'))",
    "timesteps": "INTEGER NOT NULL",
    "mean_timesteps": "REAL", "rule": "TEXT", "threshold": "REAL", "thresholds": "TEXT",
    "threshold_source": "TEXT",
    "accuracy": "REAL", "accuracy_low": "REAL", "accuracy_high": "REAL", "energy_pj": "REAL",
    "latency_ns": "REAL", "latency_p50_ns": "REAL", "latency_p95_ns": "REAL", "latency_p99_ns": "REAL",
    "edp_mean_of_products": "REAL", "edp_product_of_means": "REAL", "cancelled_energy_pj": "REAL",
    "energy_without_checker_pj": "REAL", "latency_without_checker_ns": "REAL", "components": "TEXT",
    "layers": "TEXT", "exit_fraction": "TEXT", **dict.fromkeys(chain(*SPREADS.values()), "REAL"),
}  # fmt: skip
_STATIC = ("accuracy", "accuracy_low", "accuracy_high", "energy_pj", "latency_ns", "edp_mean_of_products",
           "edp_product_of_means")  # fmt: skip
_DYNAMIC = ("rule", "threshold", "thresholds", "threshold_source", "mean_timesteps", "accuracy",
            "accuracy_low", "accuracy_high", "energy_pj", "latency_ns", "latency_p50_ns", "latency_p95_ns",
            "latency_p99_ns", "edp_mean_of_products", "edp_product_of_means", "cancelled_energy_pj",
            "exit_fraction")  # fmt: skip
_SPREAD = tuple(chain(*SPREADS.values()))
_STATIC_SPREAD = tuple(name for name in _SPREAD if name not in SPREADS["mean_timesteps"])
_COMMON = ("status", "config_sha256", "seed", "version", "network", "network_sha256", "inputs",
           "inputs_sha256", "images", "timesteps", "tiles", "crossbars", "area_um2")  # fmt: skip
_JSON = ("axes", "config", "setting", "areas_um2", "warnings", "components", "layers", "exit_fraction",
         "thresholds")  # fmt: skip
_ARE_JSON = frozenset(_JSON)
_LISTS = ("thresholds", "exit_fraction")
"""Columns that the table has as numbers with spaces between."""


def _side_by_side() -> str:
    columns = [f"p.{name}" for name in _POINTS if name not in ("error", "seconds")]
    columns += [f"s.{name} AS static_{name}" for name in _STATIC + _STATIC_SPREAD]
    columns += [f"d.{name} AS dynamic_{name}" for name in _DYNAMIC + _SPREAD]
    columns += [f"o.{name} AS dynamic_once_{name}" for name in _DYNAMIC + _SPREAD]
    return (
        f"SELECT {', '.join(columns)}, p.error, p.seconds FROM points p "
        "LEFT JOIN results s ON s.point = p.point AND s.policy = 'static' AND s.timesteps = p.timesteps "
        "LEFT JOIN results d ON d.point = p.point AND d.policy = 'dynamic' "
        "LEFT JOIN results o ON o.point = p.point AND o.policy = 'dynamic_once'"
    )


_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    f"CREATE TABLE points ({', '.join(f'{k} {v}' for k, v in _POINTS.items())})",
    f"CREATE TABLE results ({', '.join(f'{k} {v}' for k, v in _RESULTS.items())}, "
    "PRIMARY KEY (point, policy, timesteps)) WITHOUT ROWID",
    f"CREATE VIEW sweep AS {_side_by_side()}",
)


@dataclass
class Store:
    """A sweep on the disk. `folder` holds it; open it with `open_store`."""

    folder: Path
    meta: Mapping[str, str]
    _connection: sqlite3.Connection = field(repr=False)
    keep: Any = field(default=None, repr=False)
    """What must live as long as the store: its temporary folder."""

    # --- reading

    @property
    def spec(self) -> dict[str, Any]:
        """What the spec says."""
        found: dict[str, Any] = json.loads(self.meta["spec"])
        return found

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the axes."""
        return tuple(json.loads(self.meta["keys"]))

    @property
    def planned(self) -> int:
        """How many points the sweep has when it is complete."""
        return int(self.meta["points"])

    def points(self) -> Iterator[dict[str, Any]]:
        """The rows of ``points`` in order, JSON columns as data."""
        return self._query("SELECT * FROM points ORDER BY point")

    def rows(self, policy: str | None = None) -> Iterator[dict[str, Any]]:
        """The rows of ``results`` in order, all or those of one policy, JSON columns as data."""
        where = "" if policy is None else " WHERE policy = ?"
        order = " ORDER BY point, policy != 'static', policy, timesteps"
        return self._query(f"SELECT * FROM results{where}{order}", () if policy is None else (policy,))

    def table(self) -> Iterator[dict[str, Any]]:
        """One row a point: its axes, then static T max and dynamic side by side; nothing about time.

        There are ``dynamic_thresholds`` where a point has a threshold for each timestep, and ``chips``,
        spreads and ``dynamic_once_...`` where a point ran on many chips.
        """
        each = self._has("results", "thresholds")
        many = self._has("points", "chips")
        spread, common = (_SPREAD if many else ()), (("chips",) if many else ())
        dynamic = [name for name in _DYNAMIC if name != "thresholds" or each]
        columns = [f"static_{name}" for name in (*_STATIC, *(_STATIC_SPREAD if many else ()))]
        for policy in ("dynamic", "dynamic_once") if many else ("dynamic",):
            columns += [f"{policy}_{name}" for name in (*dynamic, *spread)]
        for row in self._query("SELECT * FROM sweep ORDER BY point"):
            axes = row["axes"]
            row |= {key: _listed(row[key]) for key in columns if _plain_name(key) in _LISTS}
            yield {
                "point": row["point"],
                **{key: axes.get(key) for key in self.keys},
                **{_other(name, self.keys): row[name] for name in (*_COMMON, *common)},
                **{name: row[name] for name in columns},
                "error": row["error"],
            }

    def _has(self, table: str, column: str) -> bool:
        """Whether a row has something in this column, which stores of before may not have."""
        if not any(found[1] == column for found in self._execute(f"PRAGMA table_info({table})")):
            return False
        found = self._execute(f"SELECT 1 FROM {table} WHERE {column} IS NOT NULL LIMIT 1")
        return found.fetchone() is not None

    def outcomes(self, first: int = 0) -> Iterator[dict[str, Any]]:
        """Of each point from number `first` on: its axes, status and error, area and dynamic figures."""
        return self._query(
            "SELECT p.point, p.axes, p.status, p.error, p.area_um2, d.mean_timesteps, d.accuracy, "
            "d.energy_pj, d.latency_ns, d.latency_p99_ns, d.edp_mean_of_products "
            "FROM points p LEFT JOIN results d "
            "ON d.point = p.point AND d.policy = 'dynamic' WHERE p.point >= ? ORDER BY p.point",
            (first,),
        )

    def front(self) -> list[dict[str, Any]]:
        """The rows of ``front``, which a search has: its Pareto front. None for a sweep."""
        if not self._execute("SELECT name FROM sqlite_master WHERE name = 'front'").fetchone():
            return []
        return list(self._query("SELECT * FROM front ORDER BY point", decode=False))

    def counts(self) -> dict[str, int]:
        """How many points are done, and how many failed."""
        found = self._execute("SELECT status, COUNT(*) FROM points GROUP BY status").fetchall()
        return {"done": 0, "failed": 0} | {str(status): int(count) for status, count in found}

    def to_frame(self) -> Any:
        """`table` as a pandas data frame, with a row a point. Raises ImcsimError without pandas."""
        return frame(self.table())

    def close(self) -> None:
        """Let go of the file; a passing folder goes too."""
        self._connection.close()
        if self.keep is not None:
            self.keep.cleanup()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    # --- writing

    def finished(self) -> set[int]:
        """The points that have a row."""
        return {int(row[0]) for row in self._execute("SELECT point FROM points")}

    def add(self, record: Record) -> None:
        """Write a point and its results, all or nothing; a point that is there stays as it is."""
        with _disk(self.folder), self._connection:
            inserted = self._insert("points", [record.point], "OR IGNORE ")
            if inserted:
                self._insert("results", record.results)

    def forget_failed(self) -> int:
        """Remove failed points, so that they are run again; returns how many."""
        with _disk(self.folder), self._connection:
            return self._connection.execute("DELETE FROM points WHERE status = 'failed'").rowcount

    def put_meta(self, key: str, value: str) -> None:
        """Change an entry of ``meta``."""
        with _disk(self.folder), self._connection:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        self.meta = {**self.meta, key: value}

    def keep_only(self, points: Iterable[int]) -> None:
        """Remove all points but these."""
        others = [(index,) for index in self.finished() - set(points)]
        with _disk(self.folder), self._connection:
            for table in ("results", "points"):
                self._connection.executemany(f"DELETE FROM {table} WHERE point = ?", others)

    def write_front(self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the table ``front`` anew, whole or not at all: a row a point, by number."""
        with _disk(self.folder), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DROP TABLE IF EXISTS front")
            names = ", ".join(f'"{name}"' for name in columns)
            self._connection.execute(f"CREATE TABLE front (point INTEGER PRIMARY KEY, {names})")
            self._insert("front", rows)

    def write_table(self) -> Path:
        """Write ``table.csv``, whole or not at all."""
        path = self.folder / TABLE
        with (
            _disk(self.folder),
            written_whole(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            _write_csv(self.table(), file)
        return path

    def _insert(self, table: str, rows: Iterable[Mapping[str, Any]], how: str = "") -> int:
        done = 0
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" * len(row))
            query = f"INSERT {how}INTO {table} ({names}) VALUES ({marks})"
            done += self._connection.execute(query, tuple(row.values())).rowcount
        return done

    def _execute(self, query: str, given: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        with _disk(self.folder):
            return self._connection.execute(query, given)

    def _query(
        self, query: str, given: tuple[Any, ...] = (), *, decode: bool = True
    ) -> Iterator[dict[str, Any]]:
        """Rows by column, JSON columns as data; columns named after axes may be called like one of those."""
        cursor = self._execute(query, given)
        names = [column[0] for column in cursor.description]
        for row in cursor:
            yield {
                name: json.loads(value) if decode and value is not None and _is_json(name) else value
                for name, value in zip(names, row, strict=True)
            }


def _listed(numbers: Sequence[float] | None) -> str | None:
    return " ".join(map(repr, numbers or ())) or None


def _plain_name(column: str) -> str:
    """A column of the view as ``results`` calls it."""
    return column.removeprefix("dynamic_").removeprefix("once_").removeprefix("static_")


def _is_json(name: str) -> bool:
    return _plain_name(name) in _ARE_JSON


def _other(name: str, keys: tuple[str, ...]) -> str:
    """A column's name, where an axis may have the same one."""
    return f"run_{name}" if name in keys else name


def open_store(folder: str | Path) -> Store:
    """Open the sweep in a folder, to read it. Raises ImcsimError where there is none."""
    path = Path(folder) / STORE
    if not path.is_file():
        raise ImcsimError("there is no sweep here", file=folder, fix="name the folder that a sweep wrote")
    return _opened(Path(folder))


def create_store(folder: Path, meta: Mapping[str, str]) -> Store:
    """A new store, or the one that is there. Raises ImcsimError where it cannot be written."""
    with _disk(folder):
        connection = sqlite3.connect(folder / STORE)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.isolation_level = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone():
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            connection.execute("COMMIT")
        finally:
            connection.close()
    return _opened(folder)


def _opened(folder: Path) -> Store:
    with _disk(folder):
        connection = sqlite3.connect(folder / STORE)
        connection.execute("PRAGMA synchronous=FULL")  # after a power cut, what was committed is there
        tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchall()
        # A sweep that was killed as it began has no tables yet.
        rows = connection.execute("SELECT key, value FROM meta").fetchall() if tables else []
        meta = {str(key): str(value) for key, value in rows}
        return Store(folder, meta, connection)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder: a second sweep in it is refused. The system lets go when the process ends."""
    with _disk(folder), closing(sqlite3.connect(folder / ".lock", timeout=0)) as connection:
        connection.isolation_level = None
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise ImcsimError("a sweep is running in this folder", file=folder, fix="wait for it") from None
        yield


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Errors of the store in plain words."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        fix = "is this the folder of a sweep?"
        if any(word in text for word in ("full", "I/O", "unable to open", "readonly")):
            fix = "make room on the disk or choose another folder, then run the same command again"
        raise ImcsimError(f"the store cannot be used: {text}", file=folder / STORE, fix=fix) from None
    except OSError as error:
        fix = "make room on the disk or choose another folder, then run the same command again"
        raise ImcsimError(f"cannot write: {error.strerror}", file=error.filename or folder, fix=fix) from None


def _write_csv(rows: Iterable[Mapping[str, Any]], file: io.TextIOBase | Any) -> None:
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(row)
        writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value)
    return repr(value) if isinstance(value, float) else str(value)
