"""A store whose file vanishes while a sweep writes to it: seen at the next commit, and saved from memory.

A folder may be removed, unmounted or replaced at any time. The system then goes on writing to a file that no
name leads to, and says nothing. So after each commit the file is looked at by its name: it must be the same
one (by device and number), have its size, and hold the point that was just written.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.files import file_number
from imcsim.sweeps.reading import SQLITE_ERRORS, STORE, Reading, connected
from imcsim.sweeps.rows import Record
from imcsim.sweeps.table import SCHEMA, TABLE, insert, table_rows, write_table

_CONTENT = "SELECT point, status, coalesce(result_sha256, error) FROM points"


class StoreLost(ImcsimError):
    """The file of a store is not the one that was opened any more."""


class Held:
    """The file `path` as `connection` has opened it, and what has been written to it since."""

    def __init__(self, path: Path, connection: sqlite3.Connection, meta: Mapping[str, str]) -> None:
        self._path = path
        self._connection = connection
        self._meta = meta
        self._number = file_number(path)
        self._size = 0
        self._written: dict[int, Record] = {}

    def note(self, record: Record) -> None:
        """A record that is about to be written."""
        self._written[record.point["point"]] = record

    def check(self, point: int | None) -> None:
        """See that the file is there and holds `point`. Raises StoreLost."""
        found = self._changed()
        if found is None and point is not None:
            try:
                if _content(self._path, f"{_CONTENT} WHERE point = {point}") != self._content(point):
                    found = "was changed"
            except (*SQLITE_ERRORS, OSError):
                found = "was changed"
        if found is not None:
            raise self._lost(found)

    def check_all(self) -> None:
        """See that the file holds everything that was written and all that it held. Raises StoreLost."""
        found = self._changed()
        if found is None:
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                held = set(self._connection.execute(_CONTENT)) | set(map(_told, self._written.values()))
                if _content(self._path, _CONTENT) != held or not _sound(self._path):
                    found = "was changed"
            except (*SQLITE_ERRORS, OSError):
                found = "was changed"
        if found is not None:
            raise self._lost(found)

    def _content(self, point: int) -> set[tuple[Any, ...]]:
        return set(self._connection.execute(f"{_CONTENT} WHERE point = {point}"))

    def _changed(self) -> str | None:
        """What has happened to the file, as far as its name and its first bytes tell."""
        try:
            if file_number(self._path) != self._number:
                return "was replaced"
            size = self._path.stat().st_size
            if size < self._size:
                return "was changed"
            self._size = size
            _look(self._path)
        except OSError:
            return "was removed"
        except SQLITE_ERRORS:
            return "was changed"
        return None

    def _lost(self, what: str) -> StoreLost:
        """What to raise; writes all that is known to another place."""
        kept = _in_memory(self._connection, self._meta, self._written)
        count = kept.execute("SELECT count(*) FROM points").fetchone()[0]
        for place in _places(self._path.parent):
            with suppress(OSError, *SQLITE_ERRORS, ImcsimError):
                folder = _write(kept, place / f"{self._path.parent.name}-rescued-{token_hex(4)}")
                fix = (
                    f"{folder} holds {count} points and their table: make it the folder of the sweep, and "
                    "run the same command again"
                )
                break
        else:
            fix = f"no other place could be written; {count} points are lost"
        return StoreLost(
            f"the store {what} while the sweep ran: {len(self._written)} points that were run since then, or "
            "shortly before, are not in it",
            file=self._path,
            fix=fix,
        )


def _told(record: Record) -> tuple[Any, ...]:
    """A record as `_CONTENT` shows it."""
    point = record.point
    sha256 = point.get("result_sha256")
    return point["point"], point["status"], point.get("error") if sha256 is None else sha256


def _content(path: Path, query: str) -> set[tuple[Any, ...]]:
    """The rows of a query as somebody else would read them."""
    with closing(_read_only(path)) as fresh:
        return set(fresh.execute(query))


def _look(path: Path) -> None:
    """Read the first page of the file itself, not what stands beside it. Raises sqlite3.Error.

    SQLite must do it: to close a file that was opened in any other way lets go of all locks that this process
    has on it (POSIX), and whoever reads the store meanwhile then takes it for closed and removes the log that
    the next points go to.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as fresh:
        fresh.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _sound(path: Path) -> bool:
    with closing(_read_only(path)) as fresh:
        return bool(fresh.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _in_memory(
    connection: sqlite3.Connection, meta: Mapping[str, str], written: Mapping[int, Record]
) -> sqlite3.Connection:
    """All that the lost store held, if the system still lets it be read, else what this process wrote."""
    kept = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.backup(kept)
        kept.execute("SELECT count(*) FROM points").fetchone()
        if kept.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError
    except SQLITE_ERRORS:
        kept.close()
        kept = sqlite3.connect(":memory:", isolation_level=None)
        for statement in SCHEMA:
            kept.execute(statement)
        kept.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    for record in written.values():
        if insert(kept, "points", [record.point], "OR IGNORE "):
            insert(kept, "results", record.results, "OR IGNORE ")
    return kept


def _places(folder: Path) -> Iterator[Path]:
    """Where a store may be saved: beside its folder, here, where temporary files go."""
    yield folder.absolute().parent
    yield Path.cwd()
    yield Path(tempfile.gettempdir())


def _write(kept: sqlite3.Connection, folder: Path) -> Path:
    """The store and its table in a new folder. Raises OSError, sqlite3.Error and ImcsimError."""
    folder.mkdir()
    path = folder / STORE
    try:
        with closing(sqlite3.connect(path)) as target:
            kept.backup(target)
        with closing(connected(path)) as connection:
            reading = Reading(path, connection)
            keys = json.loads(reading.meta().get("keys", "[]"))
            write_table(folder / TABLE, table_rows(reading, tuple(keys)))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder
