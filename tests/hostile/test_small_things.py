"""Pipes, devices, huge numbers and names, full disks, cells of spreadsheets: one case of each kind."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_results import stream_result

import imcsim.hardware
from imcsim.base.cells import csv_cell
from imcsim.base.errors import ImcsimError
from imcsim.base.files import new_folders, read_ordinary
from imcsim.commands.cli import main
from imcsim.network.arrays import read_npz
from imcsim.report.files import csv_text, write_contents
from imcsim.results.model import to_json


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize(
    "command",
    [
        ["diff", "x.json", "x.json"],
        ["inputs", "show", "x.npz"],
        ["inputs", "show", "x.npy"],
        ["inputs", "show", "images", "--labels", "x.csv"],
        ["inputs", "show", "images", "--labels", "x.npy"],
        ["hardware", "show", "x.yaml"],
        ["sweep", "x.yaml", "--out", "out"],
        ["import", "x.nir", "-o", "out"],
        ["trace", "info", "x.npz"],
        ["report", "x"],
        ["plugins", "list", "--plugin", "x.py"],
    ],
)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_not_waited_for(
    command: list[str],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for name in ("x.json", "x.npz", "x.npy", "x.csv", "x.yaml", "x.nir", "x.py"):
        if kind == "pipe":
            os.mkfifo(name)
        else:
            Path(name).symlink_to("/dev/zero")
    Path("images").mkdir()
    Image.new("L", (4, 4)).save("images/a.png")
    assert main(command) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not Path("out").exists()


def test_only_ordinary_files_are_read_and_not_too_much_of_them(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert read_ordinary(tmp_path / "x", 3) == b"abc"
    with pytest.raises(ValueError, match="larger than 2 bytes"):
        read_ordinary(tmp_path / "x", 2)
    for other in (Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError):  # noqa: PT011 (whatever the system says)
            read_ordinary(other, 3)


@pytest.mark.parametrize("value", [2**63, -(2**64), 10**400, 1e301])
def test_numbers_beyond_all_range_in_results(
    value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(to_json(stream_result()))
    document["meta"]["hardware"]["tiles"] = value
    (tmp_path / "x.json").write_text(json.dumps(document))
    assert main(["diff", str(tmp_path / "x.json"), str(tmp_path / "x.json")]) == 2
    assert "meta.hardware.tiles: the number" in capsys.readouterr().err


def test_a_number_of_tiles_takes_no_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(to_json(stream_result()))
    document["meta"]["hardware"]["tiles"] = 10**15
    (tmp_path / "x.json").write_text(json.dumps(document))
    assert main(["diff", str(tmp_path / "x.json"), str(tmp_path / "x.json")]) == 2
    assert "tiles must hold every tile" in capsys.readouterr().err


def test_names_of_70_000_letters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 70_000
    for command in (["inputs", "show", name], ["diff", name, name], ["map", "--set", f"{name}=1"]):
        assert main(command) == 2
        text = capsys.readouterr().err
        assert "internal" not in text
        assert len(text) < 5000


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions(tmp_path: Path, compression: int) -> None:
    """Read, but damaged ones are refused by the name of the member."""
    path, member = tmp_path / "x.npz", io.BytesIO()
    np.save(member, np.arange(100))
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.npy", member.getvalue())
    assert read_npz(path)["a"].tolist() == list(range(100))
    raw = bytearray(path.read_bytes())
    start = 30 + len("a.npy")
    for place in range(start + 12, start + 60):
        damaged = bytearray(raw)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(ImcsimError, match=r"x\.npz: a: ") as caught:
            read_npz(path)
        assert "None" not in str(caught.value)


def test_lzma_that_asks_for_gigabytes(tmp_path: Path) -> None:
    path, member = tmp_path / "x.npz", io.BytesIO()
    np.save(member, np.arange(100))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", member.getvalue())
    raw = bytearray(path.read_bytes())
    at = 30 + len("a.npy") + 5
    raw[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(ImcsimError, match="too much memory"):
        read_npz(path)


@pytest.mark.parametrize("value", ["=1+1", "+x", "-x", "@x", "\tx", "-", "--5"])
def test_no_spreadsheet_computes_a_cell(value: str) -> None:
    assert csv_cell(value) == f"'{value}"
    rows = list(csv.reader(io.StringIO(csv_text([value, "b"], [[value, -1.5], ["-2.5e3", None]]))))
    assert rows == [[f"'{value}", "b"], [f"'{value}", "-1.5"], ["-2.5e3", ""]]


def test_a_full_disk_leaves_no_empty_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("imcsim.report.files.write_through", full)
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "new" / "deep", tmp_path / "there"):
        with pytest.raises(ImcsimError, match="No space left"):
            write_contents(target, {"a.csv": b"x", "figures/b.svg": b"x"})
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_full_disk_leaves_no_folders_for_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from networks import random_network

    import imcsim.network

    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    network, target = random_network(np.random.default_rng(1)), tmp_path / "new" / "deep" / "net"
    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(ImcsimError, match="No space left") as caught:
        imcsim.network.save(network, target)
    assert caught.value.file == target
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_full_disk_while_a_trace_is_written_names_the_file(tmp_path: Path) -> None:
    import resource

    from imcsim.inputs.writer import NpzWriter

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with (
            pytest.raises(ImcsimError, match=r"x\.npz: cannot write"),
            NpzWriter(tmp_path / "x.npz") as writer,
        ):
            writer.put("a", np.arange(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_folders_stay_where_something_is_in_them(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folders(tmp_path / "a" / "b", tmp_path / "a" / "c"):
            (tmp_path / "a" / "c" / "x").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "c", "x"]


def test_a_sweep_that_cannot_begin_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sweep_files import base, made

    files = made(tmp_path / "files" if (tmp_path / "files").mkdir() is None else tmp_path, base())

    def full(*arguments: Any) -> None:
        raise ImcsimError("the disk is full")

    monkeypatch.setattr("imcsim.sweeps.sweeping.create_store", full)
    out = tmp_path / "new" / "out"
    assert main(["sweep", str(files / "spec.yaml"), "--out", str(out), "--workers", "1"]) == 2
    assert not (tmp_path / "new").exists()


def _no_room(*about: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_is_kept_on_the_way_leaves_no_folder_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imcsim.simulation.cache import CachedValues
    from imcsim.studies.tried_mappings import TriedMappings

    monkeypatch.setattr("imcsim.simulation.cache.NpzWriter", _no_room)
    CachedValues(tmp_path / "values" / "0.1.0", "0" * 64, {})._write(
        tmp_path / "values" / "0.1.0" / "x.npz", {}
    )
    tried = TriedMappings.of_folder(tmp_path / "sound", {})
    with monkeypatch.context() as patched:
        patched.setattr("imcsim.studies.tried_mappings.os.open", _no_room)
        with pytest.raises(ImcsimError, match=r"written: No space"):
            tried.put("x", None)
    monkeypatch.setattr("imcsim.studies.tried_mappings.written_whole", _no_room)
    with pytest.raises(ImcsimError, match=r"tried.jsonl: cannot be written: No space"):
        TriedMappings.of_folder(tmp_path / "new" / "out", {})
    assert [path.name for path in tmp_path.iterdir()] == ["sound"]


@pytest.mark.parametrize("kind", ["pipe", "device", "nonsense"])
def test_a_part_of_a_reproduction_that_never_ends_is_made_again(tmp_path: Path, kind: str) -> None:
    from imcsim.reproduction.store import read_part

    (tmp_path / "parts").mkdir()
    place = tmp_path / "parts" / "vgg16.json"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        place.write_bytes(b"\xff{")
    assert read_part(tmp_path, "vgg16", "0" * 64) is None


def test_a_chip_that_extends_a_name_of_70_000_letters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.yaml").write_text(f"extends: {'x' * 70_000}\n")
    assert main(["hardware", "show", str(tmp_path / "x.yaml")]) == 2
    text = capsys.readouterr().err
    assert "no built-in chip is called" in text
    assert len(text) < 5000


def test_events_take_no_more_memory_than_there_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three megabytes of them took five gigabytes."""
    monkeypatch.setattr("imcsim.inputs.events.MAX_EVENTS", 10)
    for count, status in ((10, 0), (11, 2)):
        columns = {key: np.zeros(count, np.uint8) for key in "txyp"}
        np.savez(tmp_path / "x.npz", **columns)  # type: ignore[arg-type]
        assert main(["inputs", "show", str(tmp_path / "x.npz")]) == status
    assert "there are 11 events; at most 10 are read" in capsys.readouterr().err


def test_any_byte_for_true_is_one_spike(tmp_path: Path) -> None:
    import imcsim.inputs

    stored = np.array([0, 1, 2, 255] * 4, np.uint8).reshape(1, 1, 4, 4).view(np.bool_)
    np.savez(tmp_path / "x.npz", images=stored, labels=np.zeros(1, np.int64))
    assert imcsim.inputs.load(tmp_path / "x.npz").images.ravel().tolist() == [0, 1, 1, 1] * 4


@pytest.mark.skipif(not hasattr(os, "getppid"), reason="processes of POSIX")
def test_a_reader_s_process_ends_with_its_parent() -> None:
    import subprocess
    import sys
    import time

    watch = "from imcsim.importers.apart.child import _end_with_parent as end; print(1, flush=True); end({})"
    code = (
        "import os, subprocess, sys\n"
        f"command = [sys.executable, '-c', {watch!r}.format(os.getpid())]\n"
        "child = subprocess.Popen(command, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nprint(child.pid, flush=True)\nos._exit(0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, check=True, timeout=300
    )
    end, place = time.monotonic() + 300, Path(f"/proc/{int(done.stdout)}/cmdline")
    while place.exists() and place.read_bytes() and time.monotonic() < end:
        time.sleep(0.05)
    assert not place.exists() or not place.read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"mapping": {"replication": [{"value": "balanced", "mark": "est", "source": "imcsim"}]}},
        {"mapping.replication": {"value": "none", "mark": "est", "source": "imcsim"}},
        {"a[0].b": {"value": 1, "mark": "est", "source": "imcsim"}},
    ],
)
def test_chips_are_shown_whatever_their_alternatives_change(changes: Any, tmp_path: Path) -> None:
    chip = {"extends": "dtsnn_32nm", "alternatives": {"structure": {"copies": {"other": changes}}}}
    (tmp_path / "x.yaml").write_text(json.dumps(chip))
    assert main(["hardware", "show", str(tmp_path / "x.yaml")]) == 0
    imcsim.hardware.describe(imcsim.hardware.load(tmp_path / "x.yaml"))


def test_a_sweep_without_a_point_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when the store has been made, but holds no point."""
    from sweep_files import base, made

    (tmp_path / "files").mkdir()
    files = made(tmp_path / "files", base())

    def full(*arguments: Any) -> None:
        raise ImcsimError("the disk is full")

    monkeypatch.setattr("imcsim.sweeps.sweeping.check_same", full)
    out = tmp_path / "new" / "out"
    assert main(["sweep", str(files / "spec.yaml"), "--out", str(out), "--workers", "1"]) == 2
    assert not (tmp_path / "new").exists()
