"""Results of different code never meet in one folder, though the version is the same."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sweep_files import base, made

from imcsim.base import code
from imcsim.base.errors import ImcsimError
from imcsim.simulation.cache import digest
from imcsim.sweeps import Summary, load_spec, sweep
from imcsim.sweeps import sweeping as sweeping_module
from imcsim.sweeps.tasks import Task, WorkerFault, execute

SPEC: dict[str, Any] = base(axes={"threshold": [0.2, 0.3]})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("files"), SPEC)


def test_the_hash_follows_sources_and_data_but_not_what_only_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("base", "timing", "report", "hw_configs"):
        (tmp_path / place).mkdir()
    (tmp_path / "timing" / "engine.py").write_text("x = 1\n")
    monkeypatch.setattr(code, "__file__", str(tmp_path / "base" / "code.py"))
    (tmp_path / "base" / "code.py").touch()
    seen = []

    def now() -> str:
        code.code_sha256.cache_clear()
        return code.code_sha256()

    try:
        seen.append(now())
        (tmp_path / "timing" / "engine.py").write_text("x = 2\n")
        seen.append(now())
        (tmp_path / "timing" / "energies.yaml").write_text("x: 2\n")
        seen.append(now())
        (tmp_path / "timing" / "energies.yaml").rename(tmp_path / "timing" / "other.yaml")
        seen.append(now())
        assert len(set(seen)) == 4
        (tmp_path / "report" / "page.py").write_text("x = 2\n")
        (tmp_path / "hw_configs" / "chip.yaml").write_text("x: 2\n")  # its own hash tells
        (tmp_path / "timing" / "__pycache__").mkdir()
        (tmp_path / "timing" / "__pycache__" / "engine.pyc").touch()
        assert now() == seen[-1]
    finally:
        code.code_sha256.cache_clear()


def test_a_folder_of_other_code_is_not_gone_on_with(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec(files / "spec.yaml")
    sweep(spec, tmp_path, workers=1).close()
    monkeypatch.setattr(sweeping_module, "code_sha256", lambda: "0" * 64)
    with pytest.raises(ImcsimError, match=r"other sources: .*, these are 000000000000"):
        sweep(spec, tmp_path, workers=1)
    monkeypatch.undo()
    with sqlite3.connect(tmp_path / "sweep.sqlite") as connection:
        connection.execute("DELETE FROM meta WHERE key = 'code'")
    connection.close()
    with pytest.raises(ImcsimError, match="that were not noted"):
        sweep(spec, tmp_path, workers=1)


def test_a_worker_of_other_code_is_refused() -> None:
    from imcsim import __version__

    with pytest.raises(WorkerFault, match=r"other sources .* than the sweep \(0000"):
        execute(Task("", None, __version__, "0" * 64))


def test_kept_values_of_other_code_are_not_found(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = digest("scales", 1), digest("scales", 2)
    assert names[0] != names[1]
    assert digest("scales", 1) == names[0]
    monkeypatch.setattr("imcsim.simulation.cache.code_sha256", lambda: "0" * 64)
    assert digest("scales", 1) != names[0]


def test_what_is_done_is_found_with_the_same_code(files: Path, tmp_path: Path) -> None:
    spec, summary = load_spec(files / "spec.yaml"), Summary()
    sweep(spec, tmp_path, workers=1).close()
    sweep(spec, tmp_path, workers=1, summary=summary).close()
    assert (summary.points, summary.earlier) == (2, 2)
