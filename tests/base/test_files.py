"""Files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from imcsim.base.files import PARTIAL, temporary_name, write_through, written_whole
from imcsim.report.files import write_files
from imcsim.sweeps.sweeping import sweep_up


def test_the_file_takes_its_place_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("before")
    with written_whole(path) as temporary:
        assert temporary.parent == tmp_path
        assert not temporary.exists()
        write_through(temporary, b"after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ValueError])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "table.csv"
    path.write_text("before")
    with pytest.raises(error), written_whole(path) as temporary:
        _half(temporary, error)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def _half(path: Path, error: type[BaseException]) -> None:
    path.write_text("half")
    raise error


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "table.csv", tmp_path / "link.csv"
    target.write_text("before")
    link.symlink_to(target)
    with written_whole(link) as temporary:
        temporary.write_text("after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    assert list(target.parent.iterdir()) == [target]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("before")
    with pytest.raises(FileNotFoundError), written_whole(path):
        pass
    assert path.read_text() == "before"


def test_names_of_the_longest_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    with written_whole(path) as temporary:
        temporary.write_text("after")
    assert path.read_text() == "after"


def test_what_a_killed_process_left_is_swept_up(tmp_path: Path) -> None:
    (tmp_path / temporary_name()).write_text("half")
    (tmp_path / f"{temporary_name()}.lock").write_text("of Optuna's journal")
    kept = tmp_path / "activity"
    kept.mkdir()
    (kept / temporary_name()).write_text("half")
    (tmp_path / "whole.npz").write_text("whole")
    sweep_up(tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {"activity", "whole.npz"}
    assert temporary_name() != temporary_name()
    assert temporary_name().endswith(PARTIAL)


def test_of_several_files_none_is_written_where_one_cannot_be(tmp_path: Path) -> None:
    from imcsim.base.errors import ImcsimError

    one, two = tmp_path / "one", tmp_path / "missing" / "two"
    one.write_text("before")
    with pytest.raises(ImcsimError, match="two: cannot be written: No such file"):
        write_files({one: b"after", two: b"after"})
    assert one.read_text() == "before"
    assert list(tmp_path.iterdir()) == [one]
