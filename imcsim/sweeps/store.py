"""The store of a sweep: one SQLite file, ``DIR/sweep.sqlite``, that any tool can query.

Tables:

- ``meta(key, value)``: ``spec`` (what the spec says, JSON), ``spec_sha256``, ``contents`` (hashes of the
  files that it names, JSON), ``version`` of imcsim, ``created`` (UTC), ``keys`` (of the axes, JSON),
  ``points`` (how many there are).
- ``points``: one row per point, written when it ends. ``point`` (its number), ``axes`` (values by key, JSON),
  ``config`` (the whole hardware config, JSON) and ``config_sha256``, ``setting`` (everything else, JSON),
  ``seed``, ``version``, ``status`` (done or failed), ``error``, ``seconds``; and what does not depend on the
  policy: network, inputs, images, tiles, crossbars, ``area_um2`` and ``areas_um2`` by component (JSON),
  ``result_sha256`` (of the document that `imcsim compare` would write, but for other converters and
  alternatives), and ``rows_sha256`` over this row and its results (see `imcsim.sweeps.sums`).
- ``results``: one row per point and policy: ``policy`` static with ``timesteps`` 1 to T max, and dynamic.
  Of a point on many chips (``chips`` in ``points`` says how many) figures are means over the chips, accuracy
  has the 95 % interval of this mean; ``..._std...`` are sample standard deviations over the chips (null for
  one) and ``..._worst...`` those of the worst chip; dynamic is with the threshold chosen on each chip, a
  further row ``dynamic_once`` with the one chosen once for all on the ideal chip; components and layers are
  null. Energies are pJ and latencies ns, means per image; ``components`` and ``layers`` are energies by name
  (JSON; components of static runs at T max only), ``exit_fraction`` the shares that leave at T = 1, 2, ...;
  where timesteps have thresholds of their own, ``threshold`` is null and ``thresholds`` has them (JSON).
  where a threshold was chosen on validation images, ``validation_accuracy`` and so on are
  the figures of the same run on those.
- ``sweep``: a view with one row per point: points, static T max and dynamic side by side.
- ``front``, of a search only: the points of its Pareto front (see `imcsim.searches`).

A point and its results are one transaction, so a row is whole or absent, whatever happens.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.frames import frame
from imcsim.sweeps.lost import Held
from imcsim.sweeps.reading import STORE as STORE
from imcsim.sweeps.reading import Reading, connected, errors_of
from imcsim.sweeps.rows import Record
from imcsim.sweeps.sums import CHANGED, changed_points, with_sum
from imcsim.sweeps.table import SCHEMA, TABLE, check_axes, insert, queried, table_rows, write_table

_JUDGED = ("accuracy", "energy_pj", "latency_ns", "edp_mean_of_products", "mean_timesteps", "area_um2")
"""Figures that every point has which is done."""


@dataclass
class Store:
    """A sweep on the disk; open it with `open_store`."""

    folder: Path
    """Holds the sweep."""
    meta: Mapping[str, str]
    """What the store says of itself, by key: the spec, the axes, the version."""
    _reading: Reading = field(repr=False)
    keep: Any = field(default=None, repr=False)
    """What must live as long as the store: its temporary folder."""
    _held: Held | None = field(default=None, repr=False)

    # --- reading

    @property
    def spec(self) -> dict[str, Any]:
        """What the spec says."""
        found: dict[str, Any] = json.loads(self._entry("spec"))
        return found

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the axes."""
        return tuple(json.loads(self._entry("keys")))

    @property
    def planned(self) -> int:
        """How many points the sweep has when it is complete."""
        return int(self._entry("points"))

    def _entry(self, key: str) -> str:
        if key not in self.meta:
            raise ImcsimError("the sweep has not begun", file=self.path, fix="run it again")
        return self.meta[key]

    def points(self) -> Iterator[dict[str, Any]]:
        """The rows of ``points`` in order, JSON columns as data."""
        keys = self.keys
        for row in self._reading.rows("points"):
            check_axes(self._reading, row, keys)
            yield row

    def rows(self, policy: str | None = None) -> Iterator[dict[str, Any]]:
        """The rows of ``results`` in order, JSON columns as data.

        Args:
            policy: Only those of ``static``, ``dynamic`` or ``dynamic_once``. None: all.
        """
        there = self.finished()
        given = () if policy is None else (policy,)
        for row in self._reading.rows("results", "" if policy is None else "WHERE policy = ?", given):
            if row["point"] not in there:
                raise self._reading.unsound(f"results of point {row['point']}, which is not there")
            yield row

    def table(self) -> Iterator[dict[str, Any]]:
        """One row per point: its axes, then static T max and dynamic side by side; nothing about time.

        There are ``dynamic_thresholds`` where a point has a threshold for each timestep, and ``chips``,
        spreads and ``dynamic_once_...`` where a point ran on many chips.
        """
        return table_rows(self._reading, self.keys)

    def outcomes(self, first: int = 0) -> Iterator[dict[str, Any]]:
        """Of each point in order: its axes, status and error, area and dynamic figures.

        Args:
            first: The number of the first point.
        """
        keys = self.keys
        rows = queried(
            self._reading,
            "SELECT p.point, p.axes, p.status, p.error, p.area_um2, "
            "d.mean_timesteps AS dynamic_mean_timesteps, "
            "d.accuracy AS dynamic_accuracy, d.energy_pj AS dynamic_energy_pj, "
            "d.latency_ns AS dynamic_latency_ns, d.latency_p99_ns AS dynamic_latency_p99_ns, "
            "d.edp_mean_of_products AS dynamic_edp_mean_of_products FROM points p LEFT JOIN results d "
            "ON d.point = p.point AND d.policy = 'dynamic' WHERE p.point >= ? ORDER BY p.point",
            (first,),
        )
        for row in rows:
            check_axes(self._reading, row, keys)
            found = {name.removeprefix("dynamic_"): value for name, value in row.items()}
            if found["status"] == "done" and any(found[name] is None for name in _JUDGED):
                raise self._reading.unsound(f"point {found['point']} is done, but has no dynamic results")
            yield found

    def front(self) -> list[dict[str, Any]]:
        """The rows of ``front``, which a search has: its Pareto front. None for a sweep."""
        if "front" not in self._reading.tables():
            return []
        names = self._reading.columns("front")
        found = []
        for values in self._reading.raw("SELECT * FROM front ORDER BY point"):
            row = dict(zip(names, values, strict=True))
            self._reading.value("points", "point", row.get("point"), row)
            if any(isinstance(value, bytes) for value in values):
                raise self._reading.unsound(f"front, point {row['point']}: it holds bytes")
            found.append(row)
        return found

    def counts(self) -> dict[str, int]:
        """How many points are done, and how many failed."""
        found = {"done": 0, "failed": 0}
        for row in queried(self._reading, "SELECT p.point, p.status FROM points p ORDER BY p.point"):
            found[row["status"]] += 1
        return found

    def to_frame(self) -> Any:
        """`table` as a pandas data frame, with a row per point. Raises ImcsimError without pandas."""
        return frame(self.table())

    def close(self) -> None:
        """Let go of the file; a temporary folder is removed too."""
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
        return {
            row["point"] for row in queried(self._reading, "SELECT p.point FROM points p ORDER BY p.point")
        }

    def add(self, record: Record) -> None:
        """Write a point and its results, all or nothing; a point that is there stays as it is.

        Raises StoreLost where the file is not the one that was opened any more.
        """
        record = with_sum(record)
        with self._lost_if_moved(record), errors_of(self.path), self._connection:
            inserted = insert(self._connection, "points", [record.point], "OR IGNORE ")
            if inserted:
                insert(self._connection, "results", record.results)
        if self._held is not None:
            self._held.check(record.point["point"])

    def check_sums(self) -> None:
        """Refuse values that are not those that were written. Raises ImcsimError that names the point."""
        for point in changed_points(self._reading):
            raise self._reading.unsound(f"points, point {point}: {CHANGED}")

    def verify(self) -> None:
        """Compare the file with what was written to it. Raises StoreLost where they differ."""
        if self._held is not None:
            self._held.check_all()

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / STORE

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._reading.connection

    @contextmanager
    def _lost_if_moved(self, record: Record | None = None) -> Iterator[None]:
        """What cannot be written because the file is gone is lost, not a fault of the disk."""
        if self._held is not None and record is not None:
            self._held.note(record)
        try:
            yield
        except ImcsimError:
            if self._held is not None:
                self._held.check(None)
            raise

    def forget_failed(self) -> int:
        """Remove failed points, so that they are run again; returns how many."""
        with errors_of(self.path), self._connection:
            return self._connection.execute("DELETE FROM points WHERE status = 'failed'").rowcount

    def put_meta(self, key: str, value: str) -> None:
        """Change an entry of ``meta``."""
        with errors_of(self.path), self._connection:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        self.meta = {**self.meta, key: value}

    def keep_only(self, points: Iterable[int]) -> None:
        """Remove all points but these."""
        others = [(index,) for index in self.finished() - set(points)]
        with errors_of(self.path), self._connection:
            for table in ("results", "points"):
                self._connection.executemany(f"DELETE FROM {table} WHERE point = ?", others)

    def write_front(self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the table ``front`` anew, whole or not at all: a row per point, by number."""
        with errors_of(self.path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DROP TABLE IF EXISTS front")
            names = ", ".join(f'"{name}"' for name in columns)
            self._connection.execute(f"CREATE TABLE front (point INTEGER PRIMARY KEY, {names})")
            insert(self._connection, "front", rows)

    def write_table(self) -> Path:
        """Write ``table.csv``, whole or not at all."""
        path = self.folder / TABLE
        with self._lost_if_moved(), errors_of(path):
            write_table(path, self.table())
        return path


def open_store(folder: str | Path) -> Store:
    """Open the sweep in a folder, to read it. Raises ImcsimError where there is none.

    Args:
        folder: The folder that a sweep or a search wrote.
    """
    path = Path(folder) / STORE
    if not path.is_file():
        raise ImcsimError("there is no sweep here", file=folder, fix="name the folder that a sweep wrote")
    return _opened(Path(folder))


def create_store(folder: Path, meta: Mapping[str, str]) -> Store:
    """A new store, or the one that is there. Raises ImcsimError where it cannot be written, or holds values
    that are not those that were written.
    """
    with errors_of(folder / STORE):
        connection = sqlite3.connect(folder / STORE)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.isolation_level = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone():
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            connection.execute("COMMIT")
        finally:
            connection.close()
    store = _opened(folder, writing=True)
    try:
        store.check_sums()
    except BaseException:
        store.close()
        raise
    return store


def _opened(folder: Path, *, writing: bool = False) -> Store:
    path = folder / STORE
    with errors_of(path):
        connection = connected(path)
    try:
        reading = Reading(path, connection)
        with errors_of(path):
            connection.execute("PRAGMA synchronous=FULL")  # after a power cut, what was committed is there
        meta = reading.meta()  # a sweep that was killed as it began has no tables yet
    except BaseException:
        connection.close()
        raise
    return Store(folder, meta, reading, None, Held(path, connection, meta) if writing else None)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder: a second sweep in it is refused. The system lets go when the process ends."""
    lock = folder / ".lock"
    with errors_of(lock), closing(sqlite3.connect(lock, timeout=0)) as connection:
        connection.isolation_level = None
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise ImcsimError("a sweep is running in this folder", file=folder, fix="wait for it") from None
        yield
