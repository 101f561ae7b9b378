"""A sweep whose folder vanishes says so, ends non-zero, and saves what it has."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweep_files import base, made, whole_table

from imcsim.commands.cli import main
from imcsim.sweeps import load_spec, open_store, sweep
from imcsim.sweeps.lost import StoreLost
from imcsim.sweeps.store import Store

SPEC: dict[str, Any] = base(axes={"noc.flit_bits": [16, 32, 64, 128], "threshold": [0.3]})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("files"), SPEC)


@pytest.fixture(scope="module")
def table(files: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return whole_table(files, tmp_path_factory.mktemp("whole"))


def _removed(out: Path) -> None:
    shutil.rmtree(out)


def _emptied(out: Path) -> None:
    shutil.rmtree(out)
    out.mkdir()


def _moved(out: Path) -> None:
    out.rename(out.with_name("moved"))


def _replaced(out: Path) -> None:
    """By a copy with the same content."""
    copy = out / "copy"
    shutil.copy(out / "sweep.sqlite", copy)
    copy.replace(out / "sweep.sqlite")


def _overwritten(out: Path) -> None:
    (out / "sweep.sqlite").write_bytes(b"something else")


def _without_log(out: Path) -> None:
    """Commits go there first."""
    (out / "sweep.sqlite-wal").unlink()


def _deleted_rows(out: Path) -> None:
    with sqlite3.connect(out / "sweep.sqlite") as connection:
        connection.execute("DELETE FROM points WHERE point = 1")
    connection.close()


CHANGES = [_removed, _emptied, _moved, _replaced, _overwritten, _without_log]


@pytest.mark.parametrize(
    ("change", "after"), [(change, 2) for change in CHANGES] + [(_removed, 4), (_replaced, 4)]
)
def test_a_store_that_vanishes_is_noticed_and_saved(
    change: Callable[[Path], None],
    after: int,
    files: Path,
    table: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While points are written, and after the last one."""
    out, add, count = tmp_path / "out", Store.add, iter(range(1, 100))

    def add_then_change(store: Store, record: Any) -> None:
        add(store, record)
        if next(count) == after:
            change(out)

    monkeypatch.setattr(Store, "add", add_then_change)
    with pytest.raises(StoreLost) as caught:
        sweep(load_spec(files / "spec.yaml"), out, workers=1)
    monkeypatch.undo()
    text = str(caught.value)
    assert str(out / "sweep.sqlite") in text
    (rescued,) = tmp_path.glob("out-rescued-*")
    assert str(rescued) in text
    written = min(after + 1, 4)  # the point that was being written is saved too
    assert f"{written} points" in text
    with open_store(rescued) as store:
        assert store.finished() == set(range(written))
    whole = table.decode().splitlines()
    assert (rescued / "table.csv").read_text().splitlines() == whole[: 1 + written]
    # What was saved goes on as if nothing had happened.
    sweep(load_spec(files / "spec.yaml"), rescued, workers=1).close()
    assert (rescued / "table.csv").read_bytes() == table


def test_rows_that_somebody_else_deletes_are_missed(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, add = tmp_path / "out", Store.add

    def add_then_delete(store: Store, record: Any) -> None:
        add(store, record)
        if record.point["point"] == 2:
            _deleted_rows(out)

    monkeypatch.setattr(Store, "add", add_then_delete)
    command = ["sweep", str(files / "spec.yaml"), "--out", str(out), "--workers", "1", "--quiet"]
    assert main(command) == 2
    assert "was changed" in capsys.readouterr().err
    (rescued,) = tmp_path.glob("out-rescued-*")
    with open_store(rescued) as store:
        assert store.finished() == {0, 1, 2, 3}


@pytest.mark.parametrize("put", [None, "sweep.sqlite"])
def test_what_has_come_in_the_place_of_the_folder_stays(
    put: str | None, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store without points too, as of a copy without the log."""
    out, add = tmp_path / "out", Store.add

    def add_then_replace(store: Store, record: Any) -> None:
        add(store, record)
        if not (tmp_path / "moved").exists():
            out.rename(tmp_path / "moved")
            out.mkdir()
            if put is not None:
                shutil.copy(tmp_path / "moved" / "sweep.sqlite", out / put)

    monkeypatch.setattr(Store, "add", add_then_replace)
    with pytest.raises(StoreLost):
        sweep(load_spec(files / "spec.yaml"), out, workers=1)
    assert {path.name for path in out.iterdir()} - {"activity"} == ({put} if put else set())


def test_where_nothing_else_can_be_written(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, add = tmp_path / "out", Store.add

    def add_then_remove(store: Store, record: Any) -> None:
        add(store, record)
        shutil.rmtree(out, ignore_errors=True)

    monkeypatch.setattr(Store, "add", add_then_remove)
    monkeypatch.setattr("imcsim.sweeps.lost._places", lambda folder: [folder / "nowhere"])
    with pytest.raises(StoreLost, match="points are lost"):
        sweep(load_spec(files / "spec.yaml"), out, workers=1)


def test_who_reads_meanwhile_disturbs_nothing(
    files: Path, table: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last connection that closes removes the log: the sweep's own counts as open everywhere."""
    out, add, seen = tmp_path / "out", Store.add, []
    read = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        "print(*c.execute('SELECT count(*) FROM points').fetchone()); c.close()"
    )

    def add_then_read(store: Store, record: Any) -> None:
        add(store, record)
        command = [sys.executable, "-S", "-c", read, str(out / "sweep.sqlite")]
        seen.append(int(subprocess.run(command, capture_output=True, check=True).stdout))

    monkeypatch.setattr(Store, "add", add_then_read)
    sweep(load_spec(files / "spec.yaml"), out, workers=1).close()
    assert seen == [1, 2, 3, 4]
    assert (out / "table.csv").read_bytes() == table


def test_values_that_are_in_memory_alone_are_kept_in_files_again(tmp_path: Path) -> None:
    """A worker of a cluster remembers them longer than a folder may be there."""
    from imcsim.simulation.cache import CachedValues

    path = tmp_path / "kept" / "run-x.npz"
    values = CachedValues(path.parent, "0" * 64, {})
    values._write(path, {"a": np.arange(3)})
    before = path.read_bytes()
    shutil.rmtree(path.parent)
    found = values._read(path)
    assert found is not None
    assert found["a"].tolist() == [0, 1, 2]
    assert path.read_bytes() == before
