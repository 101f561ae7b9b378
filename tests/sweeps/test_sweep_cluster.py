"""Sweeps on a real Dask cluster of two processes: the same table, also when one of them is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clusters import killing_one_at_work, two_workers
from sweep_files import base, made, whole_table

from imcsim.base.errors import ImcsimError
from imcsim.sweeps import Summary, load_spec, open_store, sweep

SPEC: dict[str, Any] = base(axes={"adc.bits": [4, 5, 99], "noc.flit_bits": [16, 32, 64], "threshold": [0.2]})
distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("files"), SPEC)


@pytest.fixture(scope="module")
def table(files: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return whole_table(files, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def cluster() -> Iterator[Any]:
    with two_workers() as made:
        yield made


def test_cluster_gives_the_same_table_and_survives_the_loss_of_a_worker(
    cluster: Any, files: Path, table: bytes, tmp_path: Path
) -> None:
    spec = load_spec(files / "spec.yaml")
    summary = Summary()
    sweep(spec, tmp_path / "calm", scheduler=cluster.scheduler_address, summary=summary).close()
    assert (tmp_path / "calm" / "table.csv").read_bytes() == table
    assert summary.computed == 2 * 3  # scales, images and validation images of two ADCs

    killed: list[int] = []
    with killing_one_at_work(cluster, killed) as kill:
        address = cluster.scheduler_address
        sweep(spec, tmp_path / "rough", scheduler=address, progress=kill).close()
    assert killed
    assert (tmp_path / "rough" / "table.csv").read_bytes() == table
    with open_store(tmp_path / "rough") as store:
        assert store.counts() == {"done": 6, "failed": 3}


@pytest.mark.parametrize(
    ("address", "encrypted", "why"),
    [("nonsense://x", False, "nonsense"), ("tcp://127.0.0.1:1", True, "encryption required")],
)
def test_no_scheduler_there(files: Path, address: str, encrypted: bool, why: str, tmp_path: Path) -> None:
    """One line says so at once, and the client that was not made leaves no traceback behind."""
    command = [sys.executable, "-m", "imcsim", "sweep", str(files / "spec.yaml"), "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--scheduler", address], capture_output=True, text=True, timeout=30,
        env={**os.environ, "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": str(encrypted)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: scheduler: ")
    assert len(done.stderr.splitlines()) == 1
    assert why in done.stderr
    assert "tls://" in done.stderr


def test_without_the_extra(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImcsimError, match=r"pip install 'imcsim\[cluster\]'"):
        sweep(load_spec(files / "spec.yaml"), tmp_path, scheduler="tcp://127.0.0.1:1")
