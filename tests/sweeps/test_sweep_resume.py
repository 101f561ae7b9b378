"""A sweep that is stopped at any moment goes on with nothing lost, nothing twice, and the same table."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sweep_files import base, made, whole_table

from imcsim.base.errors import ImcsimError
from imcsim.sweeps import load_spec, open_store, sweep
from imcsim.sweeps.pools import Processes

SPEC: dict[str, Any] = base(
    axes={"adc.bits": [4, 5, 99], "noc.flit_bits": [16, 64], "threshold": [None, 0.3]}
)
POINTS = 12
PATIENCE_S = 300
"""How long a busy machine may take for what a few seconds are enough for otherwise."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("files"), SPEC)


@pytest.fixture(scope="module")
def table(files: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of a sweep that nothing stopped."""
    return whole_table(files, tmp_path_factory.mktemp("whole"))


def start(files: Path, out: Path, workers: int = 1, **how: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "imcsim", "sweep", str(files / "spec.yaml"), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--workers", str(workers)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how
    )


def held(out: Path) -> dict[int, str]:
    """What the store holds: the hash of each point's result."""
    path = out / "sweep.sqlite"
    if not path.exists():
        return {}
    with sqlite3.connect(path) as connection:
        try:
            rows = connection.execute("SELECT point, coalesce(result_sha256, error) FROM points").fetchall()
            loose = connection.execute(
                "SELECT count(*) FROM results WHERE point NOT IN (SELECT point FROM points)"
            ).fetchone()
        except sqlite3.OperationalError:  # killed before there was a table
            return {}
    connection.close()
    assert loose == (0,)
    assert len({point for point, _ in rows}) == len(rows)
    return dict(rows)


def wait_for_rows(out: Path, process: subprocess.Popen[bytes], rows: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end and len(held(out)) < rows:
        time.sleep(0.02)


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Processes that work for `process`."""
    found = []
    for child in _children(process.pid):
        with suppress(OSError):  # it has ended meanwhile
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def wait_for_workers(process: subprocess.Popen[bytes]) -> list[int]:
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        found = workers_of(process)
        if found:
            return found
        time.sleep(0.01)
    return []


@pytest.mark.parametrize(
    ("workers", "kills"),
    [
        (1, (2, 7)),
        pytest.param(1, (1, 5, 9), marks=pytest.mark.slow),
        pytest.param(2, (1, 5, 9), marks=pytest.mark.slow),
    ],
)
def test_killed_again_and_again(
    workers: int, kills: tuple[int, ...], files: Path, table: bytes, tmp_path: Path
) -> None:
    out, moments = tmp_path / "out", random.Random(workers)
    before: dict[int, str] = {}
    for rows in kills:
        process = start(files, out, workers)
        wait_for_rows(out, process, rows)
        time.sleep(moments.random() * 0.1)
        process.kill()
        process.wait()
        now = held(out)
        assert before.items() <= now.items()  # nothing lost, nothing computed anew
        before = now
    process = start(files, out, workers)
    text, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, errors  # points with 99 bits fail
    assert f"{POINTS} points: {POINTS - len(before)} run now, {len(before)} before".encode() in text
    assert before.items() <= held(out).items()
    assert (out / "table.csv").read_bytes() == table
    assert not list(out.rglob("*.partial"))


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_by_ctrl_c(workers: int, files: Path, table: bytes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(files, out, workers, start_new_session=True)
    if workers == 1:
        wait_for_rows(out, process, 2)
    else:
        wait_for_workers(process)  # which are beginning
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=PATIENCE_S)
    if process.returncode != 1:  # else it was done before the signal came: points with 99 bits fail
        assert process.returncode == 130
        assert errors.strip() == b"interrupted"
    sweep(load_spec(files / "spec.yaml"), out, workers=1).close()
    assert (out / "table.csv").read_bytes() == table


@pytest.mark.parametrize(
    "limit", [0, 110_000, *(pytest.param(n, marks=pytest.mark.slow) for n in (5_000, 20_000, 60_000, 90_000))]
)
def test_full_disk(limit: int, files: Path, table: bytes, tmp_path: Path) -> None:
    out, kept = tmp_path / "out", {}
    if limit != 110_000:  # kernels find no room either; to compile them all takes half a minute
        kept = {"NUMBA_CACHE_DIR": str(tmp_path)}

    def no_more_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(files, out, preexec_fn=no_more_room, env={**os.environ, **kept})
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2, (process.returncode, errors)
    assert errors.startswith(b"error: ")
    assert b"room" in errors
    assert b"Traceback" not in errors
    before = held(out)
    assert len(before) < POINTS
    sweep(load_spec(files / "spec.yaml"), out, workers=1).close()
    assert before.items() <= held(out).items()
    assert (out / "table.csv").read_bytes() == table


def test_store_that_a_kill_left_without_tables(files: Path, table: bytes, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "sweep.sqlite").close()
    sweep(load_spec(files / "spec.yaml"), tmp_path, workers=1).close()
    assert (tmp_path / "table.csv").read_bytes() == table


@pytest.mark.slow
def test_workers_end_with_a_killed_sweep(files: Path, tmp_path: Path) -> None:
    process = start(files, tmp_path, 2)
    wait_for_rows(tmp_path, process, 1)
    children = _children(process.pid)
    process.kill()
    process.wait()
    end = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the workers")
def test_a_worker_that_dies_is_replaced(files: Path, table: bytes, tmp_path: Path) -> None:
    process = start(files, tmp_path, 2)
    wait_for_rows(tmp_path, process, 2)
    for child in workers_of(process)[:1]:
        with suppress(OSError):  # a worker ends with the sweep
            os.kill(child, signal.SIGKILL)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, errors  # points with 99 bits fail
    assert (tmp_path / "table.csv").read_bytes() == table


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []


def test_store_says_what_was_run(files: Path, tmp_path: Path) -> None:
    sweep(load_spec(files / "spec.yaml"), tmp_path, workers=1).close()
    with open_store(tmp_path) as store:
        assert store.planned == POINTS
        assert store.keys == ("adc.bits", "noc.flit_bits", "threshold")
        assert store.spec == SPEC
        assert set(json.loads(store.meta["contents"]).values()) != {""}


@pytest.mark.parametrize("error", [ValueError("KeyboardInterrupt"), ImcsimError("KeyboardInterrupt")])
def test_a_signal_that_a_library_makes_an_error_of_is_no_failed_point(
    error: Exception, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pydantic does with one that comes while it serialises."""

    def interrupted(*about: Any) -> Any:
        monkeypatch.setattr("imcsim.base.interrupts._heard_at", [time.monotonic()])
        raise error

    monkeypatch.setattr("imcsim.sweeps.tasks._experiment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(load_spec(files / "spec.yaml"), tmp_path / "out", workers=1)
    with open_store(tmp_path / "out") as store:
        assert not any("KeyboardInterrupt" in (row["error"] or "") for row in store.points())


def test_nothing_of_a_closed_pool_is_left_for_the_end_of_python() -> None:
    pool = Processes(1)
    pool._pool.submit(time.sleep, 60)
    manager = pool._pool._executor_manager_thread
    pool.close()
    assert not manager.is_alive()
