"""Machine code that is kept between runs: never that of other sources, and wherever the package lies."""

from __future__ import annotations

import importlib
import os
import pickle
import random
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from forked import Forked

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


def begun(folder: Path, what: str = "outer.run(10)", **environment: str) -> list[str]:
    """The value of `what` in a Python that begins anew, and how many functions came from the cache."""
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(ask=what)],
        env=python(str(folder), **environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def python(*paths: str, **environment: str) -> dict[str, str]:
    """The environment of a Python that finds `paths` and this package."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    found = os.pathsep.join([*paths, str(Path(imcsim.__file__).parents[1])])
    return {**kept, "PYTHONPATH": found, "PYTHONDONTWRITEBYTECODE": "1", **environment}


@pytest.fixture(scope="module", autouse=True)
def _forking() -> Iterator[None]:
    """Processes that have the compiler already begin at once; see `ask`."""
    global _children
    _children = Forked(python())
    yield
    _children.close()


_children: Forked


def ask(folder: Path, what: str = "outer.run(10)", **environment: str) -> list[str]:
    """As `begun`, in a process that has the compiler, but nothing of `folder` yet."""
    return ask_and_hear(folder, what, **environment)[0]


def ask_and_hear(folder: Path, what: str = "outer.run(10)", **environment: str) -> tuple[list[str], str]:
    """As `ask`, and what came on stderr."""
    status, out, said = _children.run(ASK.format(ask=what), [str(folder)], environment)
    assert status == 0, said
    return out.split(), said


def test_code_is_kept_until_a_source_that_is_compiled_in_changes(tmp_path: Path) -> None:
    folder = package(tmp_path)
    assert begun(tmp_path) == ["21", "0"]
    assert begun(tmp_path) == ["21", "1"]
    package(tmp_path, scale=5)  # neither the kernel's file nor that of the kernel it calls
    assert begun(tmp_path) == ["51", "0"]
    # What has only to be loaded needs no compiler, whose parts take longer to import than all of ours.
    loaded = "(outer.run(10), 'numba.np.arraymath' in outer.sys.modules)"
    assert begun(tmp_path, loaded) == ["(51,", "False)", "1"]
    assert len(list((folder / "__pycache__").rglob("outer.run-*.nbc"))) == 1  # what is stale goes


def test_code_for_several_types_is_kept(tmp_path: Path) -> None:
    folder = package(tmp_path)
    for hits in ("0", "1"):
        assert ask(tmp_path) == ["21", hits]
        assert ask(tmp_path, "outer.run(0.25)") == ["1.5", hits]
    assert len(list((folder / "__pycache__").rglob("outer.run-*.nbc"))) == 2


def kernels(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.nbc"))


def test_processes_that_compile_at_once_do_not_mix_up_their_code(tmp_path: Path) -> None:
    package(tmp_path)
    asked = ["outer.run(10)", "outer.run(0.25)"] * 2
    with ThreadPoolExecutor(len(asked)) as threads:
        values = [answer[0] for answer in threads.map(lambda what: begun(tmp_path, what), asked)]
    assert values == ["21", "1.5"] * 2
    assert [ask(tmp_path, what) for what in asked[:2]] == [["21", "1"], ["1.5", "1"]]
    assert len(kernels(tmp_path)) == 4
    assert not list(tmp_path.rglob("*.partial"))


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    package(tmp_path)
    ask(tmp_path)
    (whole,) = (path for path in kernels(tmp_path) if path.name.startswith("outer"))
    passing = whole.with_name(".imcsim-0123.partial")
    passing.write_bytes(whole.read_bytes()[:100])
    assert ask(tmp_path) == ["21", "1"]
    assert passing.exists()  # another process may be writing it
    os.utime(passing, (0, 0))
    assert ask(tmp_path, "outer.run(0.25)") == ["1.5", "0"]
    assert not passing.exists()


def test_damaged_code_is_dropped_noted_once_and_compiled_anew(tmp_path: Path) -> None:
    package(tmp_path)
    ask(tmp_path)
    sound = {path: path.read_bytes() for path in kernels(tmp_path)}
    outer, inner = (next(p for p in sound if p.name.startswith(name)) for name in ("outer", "inner"))
    flipped = bytearray(sound[outer])
    flipped[random.Random(1).randrange(32, len(flipped))] ^= 4
    for content in (bytes(flipped), sound[inner]):
        outer.write_bytes(content)
        answer, notes = ask_and_hear(tmp_path)
        assert answer == ["21", "0"]
        assert notes.startswith("note: ")
        assert notes.count("\n") == 1
        assert outer.name in notes
        assert ask_and_hear(tmp_path) == (["21", "1"], "")
        assert set(kernels(tmp_path)) == set(sound)


def test_no_damage_goes_unseen() -> None:
    """Every single bit, every cut, and code of something else."""
    pytest.importorskip("numba")
    from imcsim.base.compiled.kept import _sealed, _unsealed

    raw = _sealed("run of int64", ("code", 1))
    assert _unsealed(raw, "run of int64") == ("code", 1)
    wrong = [raw[:cut] for cut in range(len(raw))] + [b"not a kernel" * 10, bytes(len(raw)), raw + b"0"]
    for place in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        wrong.append(bytes(flipped))
    for content in wrong:
        with pytest.raises(ValueError, match="damaged"):
            _unsealed(content, "run of int64")
    with pytest.raises(ValueError, match="something else"):
        _unsealed(raw, "run of float64")


def test_nothing_in_a_damaged_file_is_executed(tmp_path: Path) -> None:
    """Code is unpickled, so the checksum must be compared before."""
    package(tmp_path)
    ask(tmp_path)
    mark = tmp_path / "executed"
    for path in kernels(tmp_path):
        path.write_bytes(path.read_bytes()[:32] + pickle.dumps(_Executed(mark)))
    assert ask(tmp_path) == ["21", "0"]
    assert not mark.exists()


class _Executed:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_folders_of_kept_code_are_private(tmp_path: Path) -> None:
    folder = package(tmp_path)
    ask(tmp_path)
    (kept,) = {path.parent for path in kernels(tmp_path)}
    assert kept == folder / "__pycache__" / "imcsim-kernels"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    cache = tmp_path / "chosen"
    ask(tmp_path, NUMBA_CACHE_DIR=str(cache))
    (kept,) = {path.parent for path in kernels(cache)}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name == "nt", reason="rights are other there")
def test_a_cache_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    package(tmp_path)
    ask(tmp_path)
    (kept,) = {path.parent for path in kernels(tmp_path)}
    before = {path: path.read_bytes() for path in kernels(tmp_path)}
    kept.chmod(0o770)
    own = {"XDG_CACHE_HOME": str(tmp_path / "users")}
    answer, notes = ask_and_hear(tmp_path, **own)
    assert answer == ["21", "0"]
    assert notes.startswith(f"note: {kept}: others can write")
    assert notes.count("\n") == 1
    assert ask(tmp_path, **own) == ["21", "1"]  # the user's own cache takes its place
    assert {path: path.read_bytes() for path in kernels(kept)} == before
    assert kernels(tmp_path / "users")
    # A chosen cache has no other to take its place.
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    answer, notes = ask_and_hear(tmp_path, NUMBA_CACHE_DIR=str(open_to_all))
    assert answer == ["21", "0"]
    assert notes.startswith(f"note: {open_to_all}: others can write")
    assert not kernels(open_to_all)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_cache_of_another_user_is_not_used(tmp_path: Path) -> None:
    package(tmp_path)
    ask(tmp_path)
    (kept,) = {path.parent for path in kernels(tmp_path)}
    os.chown(kept, 12345, 12345)
    own = {"XDG_CACHE_HOME": str(tmp_path / "users")}
    assert [ask_and_hear(tmp_path, **own) for _ in range(2)] == [(["21", "0"], ""), (["21", "1"], "")]


def test_a_link_in_the_place_of_the_cache_is_not_followed(tmp_path: Path) -> None:
    folder = package(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "imcsim-kernels").symlink_to(elsewhere)
    own = {"XDG_CACHE_HOME": str(tmp_path / "users")}
    assert [ask(tmp_path, **own) for _ in range(2)] == [["21", "0"], ["21", "1"]]
    assert not list(elsewhere.iterdir())


def test_without_a_home(tmp_path: Path) -> None:
    """No HOME, and a user that the system does not list."""
    folder = package(tmp_path)
    (folder / "__pycache__").touch()
    gone = "setattr(__import__('pwd'), 'getpwuid', lambda uid: {}[uid])"
    environment = {"HOME": "", "XDG_CACHE_HOME": ""}
    what = f"({gone}, __import__('os').environ.pop('HOME')) and outer.run(10)"
    assert ask_and_hear(tmp_path, what, **environment) == (["21", "0"], "")


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
    for file in cache.rglob("*.nbc"):
        file.write_bytes(b"")
    assert ask(tmp_path, NUMBA_CACHE_DIR=str(cache)) == ["21", "0"]


def test_kernels_run_without_a_compiler(tmp_path: Path) -> None:
    package(tmp_path)
    assert begun(tmp_path, NUMBA_DISABLE_JIT="1") == ["21", "-1"]


def test_the_sources_of_our_kernels_are_found() -> None:
    importlib.import_module("imcsim.functional.membrane_kernels")
    from imcsim.base.compiled.kept import _imported, _source

    source = _source("imcsim.functional.membrane_kernels")
    assert source is not None
    assert "imcsim.functional.kernels" in set(_imported(source, "imcsim"))
    kernels = _source("imcsim.functional.kernels")
    assert kernels is not None
    assert "imcsim.base.compiled" in set(_imported(kernels, "imcsim"))
