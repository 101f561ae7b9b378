"""The one place that reads a store: whatever the file is, rows come checked, or one line says what is wrong.

A store may be damaged, or made by somebody else. Only tables are read: a view, a virtual table or a computed
column in the place of one may give rows without end. Values have a largest size, each value is checked (see
`columns`), and a query that finds no row for a long time is given up.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.names import shown
from imcsim.sweeps.columns import (
    LATER,
    MOST_VALUE_BYTES,
    POINTS,
    RESULTS,
    Unsound,
    check_meta,
    check_row,
    check_value,
)

STORE = "sweep.sqlite"

SQLITE_ERRORS = (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError)
"""What SQLite's functions raise of a damaged file; the last where a message quotes a damaged schema."""

LONGEST_SEARCH_S = 8.0
"""How long the next row may take."""

_STEPS = 200_000  # of SQLite's machine between two looks at the clock
_MOST_META = 1000
_MOST_COLUMNS = 2000


class Reading:
    """A connection to the store `path`, and what may be read through it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection
        self._until = 0.0
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4 * MOST_VALUE_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, _MOST_COLUMNS)
        connection.set_progress_handler(self._too_long, _STEPS)
        with errors_of(path):
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")

    def _too_long(self) -> bool:
        return time.monotonic() > self._until > 0

    # --- what there is

    def tables(self) -> set[str]:
        """Names of the tables. Raises ImcsimError for a trigger, and for a table's name that is no table."""
        found = set()
        for kind, name, text in self.raw("SELECT type, name, sql FROM sqlite_master LIMIT 10000"):
            if kind == "trigger":
                raise self.unsound(f"it has a trigger, {shown(name)}")
            if name in ("meta", "points", "results", "front"):
                plain = kind == "table" and str(text).lstrip().upper().startswith("CREATE TABLE")
                if not plain:
                    raise self.unsound(f"{name} is no plain table")
                found.add(name)
        return found

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns. Raises ImcsimError where one of them is computed."""
        names = []
        for row in self.raw(f"PRAGMA table_xinfo({table})"):
            if row[6] != 0:
                raise self.unsound(f"the column {shown(row[1])} of {table} is computed")
            names.append(str(row[1]))
        return names

    def known(self, table: str) -> list[str]:
        """The columns of ``points`` or ``results`` that this store has; later ones may be missing."""
        known = POINTS if table == "points" else RESULTS
        there = set(self.columns(table))
        missing = [name for name in known if name not in there and name not in LATER]
        if missing:
            raise self.unsound(f"{table} has no column {missing[0]}")
        return [name for name in known if name in there]

    def meta(self) -> dict[str, str]:
        """The entries of ``meta``; none where a sweep was killed as it began."""
        tables = self.tables()
        if "meta" not in tables:
            if tables:
                raise self.unsound("it has no table meta")
            return {}
        if not {"key", "value"} <= set(self.columns("meta")) or not {"points", "results"} <= tables:
            raise self.unsound("these are not the tables of a sweep")
        for table in ("points", "results"):
            self.known(table)
        found: dict[str, str] = {}
        for key, value in self.raw(f"SELECT key, value FROM meta LIMIT {_MOST_META + 1}"):
            if len(found) == _MOST_META or not isinstance(key, str) or key in found:
                raise self.unsound(f"meta, {shown(key)}: there are too many entries, or two of one name")
            try:
                found[key] = check_meta(key, value)
            except Unsound as error:
                raise self.unsound(f"meta, {shown(key)}: {error}") from None
        for key in ("spec", "keys", "points", "spec_sha256", "version"):
            if key not in found:
                raise self.unsound(f"meta has no {key}")
        return found

    # --- rows

    def rows(self, table: str, where: str = "", given: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """Rows of ``points`` or ``results`` in order, JSON columns as data."""
        names = self.known(table)
        key = ("point",) if table == "points" else ("point", "policy", "timesteps")
        order = "point" if table == "points" else "point, policy != 'static', policy, timesteps"
        query = f"SELECT {', '.join(names)} FROM {table} {where} ORDER BY {order}"
        before: tuple[Any, ...] | None = None
        for values in self.raw(query, given):
            row = self.checked(table, dict(zip(names, values, strict=True)))
            at = tuple(row[name] for name in key)
            at = at if table == "points" else (at[0], at[1] != "static", *at[1:])
            if before is not None and at <= before:
                raise self.unsound(f"{table}, point {row['point']}: the row is there twice")
            before = at
            yield row

    def checked(self, table: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        """A row with every value checked. Raises ImcsimError that names table, row and column."""
        row = {name: self.value(table, name, value, raw) for name, value in raw.items()}
        try:
            check_row(table, row)
        except Unsound as error:
            raise self.unsound(f"{table}, {_place(raw)}: {error}") from None
        return row

    def value(self, table: str, column: str, value: Any, raw: Mapping[str, Any]) -> Any:
        """A value that is checked by the column of a table that it comes from."""
        try:
            return check_value(table, column, value)
        except Unsound as error:
            where = f"{table}, {_place(raw)}, {column}"
            raise self.unsound(f"{where}: {error}, not {shown(value)}") from None

    def raw(self, query: str, given: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a query, unchecked."""
        with errors_of(self.path):
            self._until = time.monotonic() + LONGEST_SEARCH_S
            cursor = self.connection.execute(query, tuple(given))
            while True:
                self._until = time.monotonic() + LONGEST_SEARCH_S
                row = cursor.fetchone()
                self._until = 0.0
                if row is None:
                    return
                yield row

    def unsound(self, what: str) -> ImcsimError:
        return ImcsimError(f"the store is not sound: {what}", file=self.path, fix=_looked_over(self.path))


def _looked_over(path: Path) -> str:
    folder = path.parent
    return f"imcsim sweep --check {folder} lists what is wrong, --repair {folder} keeps what is sound"


def _place(raw: Mapping[str, Any]) -> str:
    """A row's name in messages: point, policy and timesteps, whatever they hold."""
    parts = [f"{name} {shown(raw[name])}" for name in ("point", "policy", "timesteps") if name in raw]
    return " ".join(parts if "policy" in raw else parts[:1])


def connected(path: Path) -> sqlite3.Connection:
    """A connection to a store that is there. Raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Errors of a store in plain words. Raises ImcsimError."""
    try:
        yield
    except SQLITE_ERRORS as error:
        text = str(error)
        fix = f"is this the folder of a sweep? {_looked_over(path)}"
        if "interrupted" in text:
            text = "it takes too long to read"
        if any(word in text for word in ("disk is full", "I/O", "unable to open", "readonly")):
            fix = "make room on the disk or choose another folder, then run the same command again"
        raise ImcsimError(f"the store cannot be used: {text}", file=path, fix=fix) from None
    except OSError as error:
        fix = "make room on the disk or choose another folder, then run the same command again"
        raise ImcsimError(f"cannot write: {error.strerror}", file=error.filename or path, fix=fix) from None
