"""Damaged and foreign stores: checked, repaired, and refused in one line that says where."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from sweep_files import base, made, whole_table

from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.sweeps import load_spec, open_store, sweep
from imcsim.sweeps.repairing import check_store

SPEC: dict[str, Any] = base(axes={"adc.bits": [4, 99], "threshold": [0.2, 0.3]})
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n) SELECT x AS point FROM n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("files"), SPEC)


@pytest.fixture(scope="module")
def sound(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sound")
    whole_table(files, out)
    return out


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "out")
    return tmp_path / "out"


def change(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "sweep.sqlite")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_sound_store_is_sound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "sweep.sqlite").read_bytes()
    assert main(["sweep", "--check", str(folder)]) == 0
    assert main(["sweep", "--repair", str(folder)]) == 0
    assert capsys.readouterr().out == "4 of 4 points are there and sound\n" * 2
    assert (folder / "sweep.sqlite").read_bytes() == before
    assert not list(folder.glob("*damaged*"))


@pytest.mark.parametrize(
    ("statement", "lost", "words"),
    [
        ("UPDATE points SET axes = '[1' WHERE point = 1", {1}, ("points, point 1, axes", "JSON")),
        ("UPDATE points SET axes = '{}' WHERE point = 0", {0}, ("points, point 0, axes",)),
        ("UPDATE points SET area_um2 = 'wide' WHERE point = 0", {0}, ("area_um2", "finite number")),
        ("UPDATE points SET network = CAST(x'ff80' AS TEXT) WHERE point = 1", {1}, ("network", "UTF-8")),
        ("UPDATE points SET status = 'lost' WHERE point = 2", {2}, ("status", "done or failed")),
        ("UPDATE points SET error = '' WHERE point = 2", {2}, ("point 2", "error is empty")),
        ("UPDATE results SET energy_pj = 9e999 WHERE point = 1", {1}, ("results, point 1", "energy_pj")),
        ("UPDATE results SET energy_pj = NULL WHERE point = 1", {1}, ("results, point 1", "missing")),
        ("UPDATE results SET components = '{\"a\": [1]}' WHERE point = 0", {0}, ("components",)),
        (
            "UPDATE results SET energy_pj = energy_pj * 2 WHERE point = 1",
            {1},
            ("point 1: its figures are not",),
        ),
        ("UPDATE points SET images = 3 WHERE point = 0", {0}, ("point 0: its figures are not",)),
        ("UPDATE results SET point = CAST(x'ff80' AS TEXT) WHERE point = 1", {1}, ("results, point",)),
        ("DELETE FROM results WHERE point = 1 AND timesteps = 2", {1}, ("point 1", "1 rows are missing")),
        ("DELETE FROM points WHERE point = 0", {0}, ("point 0", "not there")),
    ],
)
def test_one_thing_wrong(
    statement: str,
    lost: set[int],
    words: tuple[str, ...],
    files: Path,
    sound: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(folder, statement)
    assert main(["sweep", "--check", str(folder)]) == 1
    said = capsys.readouterr().out
    for word in words:
        assert word in said
    assert f"{4 - len(lost)} of 4 points are there and sound; " in said
    damaged = (folder / "sweep.sqlite").read_bytes()
    assert main(["sweep", "--repair", str(folder)]) == 0
    assert main(["sweep", "--check", str(folder)]) == 0
    (before,) = folder.glob("sweep.sqlite.damaged-*")
    assert before.read_bytes() == damaged
    with open_store(folder) as store:
        assert store.finished() == {0, 1, 2, 3} - lost
    sweep(load_spec(files / "spec.yaml"), folder, workers=1).close()
    assert (folder / "table.csv").read_bytes() == (sound / "table.csv").read_bytes()


def test_a_figure_that_was_changed_goes_nowhere(
    files: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder, "UPDATE results SET accuracy = accuracy / 2 WHERE point = 1 AND policy = 'dynamic'")
    table = (folder / "table.csv").read_bytes()
    for command in (
        ["sweep", str(files / "spec.yaml"), "--out", str(folder), "--workers", "1", "--quiet"],
        ["report", str(folder), "--out", str(tmp_path / "page"), "--quiet"],
    ):
        assert main(command) == 2
        assert "points, point 1: its figures are not those that were written" in capsys.readouterr().err
    assert (folder / "table.csv").read_bytes() == table
    change(folder, "ALTER TABLE points DROP COLUMN rows_sha256")  # as stores of before
    assert main(["sweep", "--check", str(folder)]) == 0


@pytest.mark.parametrize(
    "statements",
    [
        ("ALTER TABLE points RENAME TO old", f"CREATE VIEW points AS {ENDLESS}"),
        ("ALTER TABLE results RENAME TO old", f"CREATE VIEW results AS {ENDLESS}"),
        ("ALTER TABLE meta RENAME TO old", "CREATE VIEW meta AS SELECT * FROM old"),
        ("DROP VIEW sweep", "ALTER TABLE points ADD COLUMN x AS (zeroblob(1000000000))"),
        ("CREATE TRIGGER x AFTER INSERT ON points BEGIN DELETE FROM points; END",),
        ("DROP TABLE results",),
        ("DELETE FROM meta WHERE key = 'keys'",),
        ("UPDATE meta SET value = '[' WHERE key = 'spec'",),
        ("UPDATE meta SET value = x'00ff'",),
        ("UPDATE meta SET value = 'many' WHERE key = 'points'",),
    ],
)
def test_what_is_no_store_is_refused_at_once(statements: tuple[str, ...], folder: Path) -> None:
    change(folder, *statements)
    begun = time.monotonic()
    for use in (check_store, open_store):
        with pytest.raises(ImcsimError, match=r"sweep\.sqlite: the store") as caught:
            use(folder)
        assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 5


def test_the_view_in_the_store_is_not_used(folder: Path, sound: Path) -> None:
    """It is there for other tools; anyone may have changed it."""
    change(folder, "DROP VIEW sweep", f"CREATE VIEW sweep AS {ENDLESS}")
    with open_store(folder) as store, open_store(sound) as other:
        assert list(store.table()) == list(other.table())


def test_damaged_pages(folder: Path, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes of any page: what is sound is found, the rest is said, and what is kept is what was there."""
    with sqlite3.connect(folder / "sweep.sqlite") as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    raw = (folder / "sweep.sqlite").read_bytes()
    with open_store(sound) as store:
        rows = {row["point"]: row for row in store.table()}
    for page in range(1, len(raw) // 4096):
        damaged = bytearray(raw)
        damaged[4096 * page : 4096 * page + 200] = b"\xaa" * 200
        (folder / "sweep.sqlite").write_bytes(damaged)
        for log in folder.glob("sweep.sqlite?*"):
            log.unlink()
        status = main(["sweep", "--check", str(folder)])
        text = capsys.readouterr()
        assert status in (0, 1, 2)
        assert "internal error" not in text.err
        if main(["sweep", "--repair", str(folder)]) == 0:
            with open_store(folder) as store:
                for row in store.table():
                    assert row == rows[row["point"]]
        assert "internal error" not in capsys.readouterr().err


def test_check_and_repair_stand_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--check", str(folder), "--repair", str(folder)]) == 2
    assert main(["sweep", "spec.yaml", "--check", str(folder)]) == 2
    assert main(["sweep", "--check", str(folder / "nowhere")]) == 2
    assert "there is no sweep here" in capsys.readouterr().err
    assert main(["sweep", "--quiet"]) == 2
    assert "missing argument 'SPEC'" in capsys.readouterr().err


def test_a_schema_that_is_no_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SQLite's message quotes it, and Python cannot decode that."""
    change(folder, "PRAGMA journal_mode=DELETE")
    path = folder / "sweep.sqlite"
    raw = path.read_bytes()
    assert b"CREATE TABLE points" in raw
    path.write_bytes(raw.replace(b"CREATE TABLE points", b"CREATE T\xb4BLE points"))
    with pytest.raises(ImcsimError, match="the store cannot be used"):
        open_store(folder)
    assert main(["sweep", "--check", str(folder)]) == 2
    assert "internal error" not in capsys.readouterr().err
