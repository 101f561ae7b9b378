"""Every reader, for half a second or so: damaged files are read or refused, and nothing else happens.

The long campaign is ``python tests/hostile/campaign.py``; its table is tests/hostile/campaign.csv.
"""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
SECONDS = 0.4
TRIES = 400


@pytest.fixture(scope="module", autouse=True)
def modules() -> Iterator[tuple[ModuleType, ModuleType]]:
    """`campaign` and `readers` of this folder; readers that start a process fork it."""
    sys.path.insert(0, str(HERE))
    import campaign
    import readers

    with readers.forked_readers() as children:
        children.start()
        yield campaign, readers
    sys.path.remove(str(HERE))


def names() -> list[str]:
    sys.path.insert(0, str(HERE))
    try:
        import readers
    finally:
        sys.path.remove(str(HERE))
    return [reader.name for reader in readers.READERS]


@pytest.mark.parametrize("name", names())
def test_damaged_files_are_read_or_refused(
    name: str, modules: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, readers = modules
    reader = next(one for one in readers.READERS if one.name == name)
    if reader.needs is not None and importlib.util.find_spec(reader.needs) is None:
        pytest.skip(f"{reader.needs} is not installed")
    monkeypatch.chdir(tmp_path)
    outcomes = dict(campaign.tries(name, 1, 0, TRIES, tmp_path / "files", SECONDS))
    wrong = {index: said for index, said in outcomes.items() if said not in ("read", "refused")}
    assert not wrong
    assert outcomes


def test_what_is_sound_is_read(modules: Any, tmp_path: Path) -> None:
    """A fuzzer of files that are refused at once would find nothing."""
    campaign, readers = modules
    found: dict[str, bool] = {}
    for reader in readers.READERS:
        if reader.needs is not None and importlib.util.find_spec(reader.needs) is None:
            continue
        said = campaign.tries(reader.name, 2, 0, 150, tmp_path / reader.name, 3.0)
        found[reader.name] = any(outcome == "read" for _, outcome in said)
    assert all(found.values()), found


@pytest.mark.parametrize(
    ("use", "kind"),
    [
        (lambda path, made: (_ for _ in ()).throw(KeyError("x")), "internal error: KeyError"),
        (lambda path, made: __import__("os").system("true"), "executed"),
        (lambda path, made: Path("/var/tmp/imcsim-executed").open("w").close(), "executed"),
    ],
)
def test_the_campaign_sees_what_it_looks_for(
    use: Callable[[Any, Any], Any],
    kind: str,
    modules: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    campaign, readers = modules
    bad = readers.Reader("bad", lambda folder: None, lambda draw, made, folder: folder / "x", use)
    monkeypatch.setattr(readers, "READERS", (bad,))
    try:
        ((_, said),) = campaign.tries("bad", 1, 0, 1, tmp_path, 10.0)
    finally:
        Path("/var/tmp/imcsim-executed").unlink(missing_ok=True)
    assert said.startswith(kind)


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_of_the_long_campaign_is_all_zeros(modules: Any) -> None:
    campaign, readers = modules
    assert {row["reader"] for row in rows("campaign.csv")} == {reader.name for reader in readers.READERS}
    for row in rows("campaign.csv"):
        assert {row[kind] for kind in ("internal errors", "hangs", "crashes", "executed")} == {"0"}
        assert int(row["peak MiB"]) << 20 < campaign.MOST_BYTES
        assert int(row["read"]) + int(row["refused"]) == int(row["tries"]) > 0
        assert row["date"]


def test_the_table_of_kills_is_all_zeros() -> None:
    found = rows("kills.csv")
    assert {row["signal"] for row in found} == {"SIGKILL", "SIGINT", "SIGTERM"}
    assert len({(row["what"], row["signal"]) for row in found}) == len(found)
    for row in found:
        assert {row[kind] for kind in ("lost", "doubled", "half-written", "orphaned", "other")} == {"0"}
        assert int(row["sent"]) > 0
        assert row["date"]
