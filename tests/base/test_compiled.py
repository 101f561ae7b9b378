"""Machine code that is kept between runs: never that of other sources, and wherever the package lies."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import imcsim

CONSTANTS = "SCALE = {scale}\n"
INNER = """
from numbers_of import constants
from imcsim.base.compiled import compiled

def twice(x):
    return x + x * (constants.SCALE - 1)

twice = compiled(twice)
"""
OUTER = """
import sys
from numbers_of.inner import (
    twice,
)
from imcsim.base.compiled import compiled

def run(x):
    return twice(x) + 1

run = compiled(run)

if __name__ == "__main__":
    pass
"""
ASK = """
import numpy as np
import numbers_of.outer as outer
value = {ask}
stats = getattr(outer.run.code, "stats", None)
print(value, sum(stats.cache_hits.values()) if stats else -1)
"""


def package(folder: Path, scale: int = 2) -> Path:
    """A package of kernels: one calls another, which has a constant of a third module."""
    inside = folder / "numbers_of"
    inside.mkdir(exist_ok=True)
    (inside / "__init__.py").touch()
    (inside / "constants.py").write_text(CONSTANTS.format(scale=scale))
    (inside / "inner.py").write_text(INNER)
    (inside / "outer.py").write_text(OUTER)
    return inside


def ask(folder: Path, what: str = "outer.run(10)", **environment: str) -> list[str]:
    """The value of `what`, and how many functions came from the cache."""
    paths = os.pathsep.join([str(folder), str(Path(imcsim.__file__).parents[1])])
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(ask=what)],
        env={**kept, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_code_is_kept_until_a_source_that_is_compiled_in_changes(tmp_path: Path) -> None:
    folder = package(tmp_path)
    assert ask(tmp_path) == ["21", "0"]
    assert ask(tmp_path) == ["21", "1"]
    package(tmp_path, scale=5)  # neither the kernel's file nor that of the kernel it calls
    assert ask(tmp_path) == ["51", "0"]
    assert ask(tmp_path) == ["51", "1"]
    assert len(list((folder / "__pycache__").glob("outer.run-*.nbc"))) == 1  # what is stale goes


def test_code_for_several_types_is_kept(tmp_path: Path) -> None:
    folder = package(tmp_path)
    for hits in ("0", "1"):
        assert ask(tmp_path) == ["21", hits]
        assert ask(tmp_path, "outer.run(0.25)") == ["1.5", hits]
    assert len(list((folder / "__pycache__").glob("outer.run-*.nbc"))) == 2


def test_two_processes_that_compile_at_once_do_not_mix_up_their_code(tmp_path: Path) -> None:
    """Each writes its code and its index as if the other were not there, in the worst order."""
    pytest.importorskip("numba")
    from imcsim.base.compiled.kept import _Files

    one, other = (_Files(str(tmp_path), "outer.run-1.py3", "stamp") for _ in range(2))
    seen = one._load_index, other._load_index
    assert [load() for load in seen] == [{}, {}]
    # Both have read an empty index when they write.
    one._load_index = other._load_index = dict  # type: ignore[method-assign]
    one.save("int64", b"code for int64")
    other.save("float64", b"code for float64")
    fresh = _Files(str(tmp_path), "outer.run-1.py3", "stamp")
    assert fresh.load("float64") == b"code for float64"
    assert fresh.load("int64") in (None, b"code for int64")


def test_where_nothing_can_be_written_code_is_compiled_anew(tmp_path: Path) -> None:
    folder = package(tmp_path)
    (folder / "__pycache__").touch()  # a file where the folder should be, also for root
    nowhere = tmp_path / "nowhere"
    nowhere.touch()
    where = {"XDG_CACHE_HOME": str(nowhere), "HOME": str(nowhere)}
    for _ in range(2):
        assert ask(tmp_path, **where) == ["21", "0"]
    # A cache of the user's own is used where the package cannot be written.
    where["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    assert [ask(tmp_path, **where) for _ in range(2)] == [["21", "0"], ["21", "1"]]


def test_a_cache_that_breaks_later_breaks_nothing(tmp_path: Path) -> None:
    package(tmp_path)
    cache = tmp_path / "cache"
    gone = f"__import__('shutil').rmtree(r'{cache}') or open(r'{cache}', 'w').close()"
    what = f"(outer.run.code and {gone}) or outer.run(10)"
    assert ask(tmp_path, what, NUMBA_CACHE_DIR=str(cache)) == ["21", "0"]
    cache.unlink()
    assert ask(tmp_path, NUMBA_CACHE_DIR=str(cache)) == ["21", "0"]
    for file in cache.rglob("*.nbi"):
        file.write_bytes(b"")
    assert ask(tmp_path, NUMBA_CACHE_DIR=str(cache)) == ["21", "0"]


def test_kernels_run_without_a_compiler(tmp_path: Path) -> None:
    package(tmp_path)
    assert ask(tmp_path, NUMBA_DISABLE_JIT="1") == ["21", "-1"]


def test_the_sources_of_our_kernels_are_found() -> None:
    importlib.import_module("imcsim.functional.membrane_kernels")
    from imcsim.base.compiled.kept import _imported, _source

    source = _source("imcsim.functional.membrane_kernels")
    assert source is not None
    assert "imcsim.functional.kernels" in set(_imported(source, "imcsim"))
    kernels = _source("imcsim.functional.kernels")
    assert kernels is not None
    assert "imcsim.base.compiled" in set(_imported(kernels, "imcsim"))
