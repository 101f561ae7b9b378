"""``imcsim map``: what it prints and writes, and how it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from wide_networks import vgg

import imcsim.network
from imcsim.commands.cli import main

SMALL = (32, "M", 64, 64, "M", 128, 128, "M", 128)


@pytest.fixture
def model(tmp_path: Path) -> str:
    folder = tmp_path / "model"
    imcsim.network.save(vgg(SMALL), folder)
    return str(folder)


def chip_with(tmp_path: Path, *changes: tuple[str, str]) -> str:
    """A file with the default chip and other values, in the lines that begin with the given text."""
    from imcsim.base.resources import data_dirs

    text = (data_dirs("hw_configs")[0] / "dtsnn_32nm.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "chip.yaml"
    path.write_text(text)
    return str(path)


def test_prints_layers_tiles_and_totals(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "--model", model]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "Floorplan of vgg on dtsnn_32nm" in captured.out
    assert "Total: 9 tiles on a mesh of 3 x 3; 272 of 576 crossbars and 38 of 72 PEs used" in captured.out
    assert main(["map", "--model", model, "--hardware", "spikesim_65nm"]) == 0
    assert "conv1, conv2, conv3, conv4" in capsys.readouterr().out


def test_someone_who_watches_sees_progress(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["map", "--model", model]) == 0
    captured = capsys.readouterr()
    assert "chip" in captured.err
    assert "Floorplan of vgg" in captured.out


@pytest.mark.usefixtures("rough_figures")
def test_writes_files_that_agree(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, file = tmp_path / "out", tmp_path / "plan.json"
    assert main(["map", "--model", model, "--out", str(out), "--json", str(file)]) == 0
    assert "Floorplan" in capsys.readouterr().out
    names = {path.name for path in out.iterdir()}
    assert names == {
        "floorplan.json",
        "floorplan.pdf",
        "floorplan.svg",
        "floorplan.png",
        "layers.csv",
        "tiles.csv",
    }
    assert file.read_bytes() == (out / "floorplan.json").read_bytes()
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main(["map", "--model", model, "--out", str(out)]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first


def test_quiet_prints_no_tables_beside_files(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["map", "--model", model, "--quiet", "--json", str(tmp_path / "plan.json")]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "plan.json").read_text())["tiles"]
    assert main(["map", "--model", model, "--quiet"]) == 0  # nothing else would say what was found
    assert "Floorplan" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["sweep", "map", "report"])
def test_help_has_no_options_out_of_groups(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert "\nOptions:" not in capsys.readouterr().out


def test_json_on_stdout_sends_the_tables_to_stderr(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "--model", model, "--json", "-"]) == 0
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert len(data["tiles"]) == 9
    assert "Floorplan of vgg" in captured.err


def test_a_target_that_cannot_be_written_is_refused_first(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["map", "--model", "no such model", "--out", str(tmp_path / "taken")]) == 2
    assert "is a file, not a folder" in capsys.readouterr().err
    assert main(["map", "--model", model, "--json", str(tmp_path / "no" / "x.json")]) == 2
    assert "its folder does not exist" in capsys.readouterr().err


def test_a_chip_that_is_too_small_says_what_would_help(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = chip_with(
        tmp_path, ("columns: {value: 0", "columns: {value: 2"), ("rows: {value: 0", "rows: {value: 3")
    )
    assert main(["map", "--model", model, "--hardware", small]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(
        "error: vgg: mesh.columns: the network needs 9 tiles, the mesh has 2 x 3 = 6: 3 short"
    )
    assert "mesh.columns 3 with mesh.rows 3 would do" in captured.err
    assert "mapping.share_tiles true saves 3 tiles, which is enough" in captured.err
    sharing = Path(small).read_text().replace("share_tiles: {value: false", "share_tiles: {value: true")
    Path(small).write_text(sharing)
    assert main(["map", "--model", model, "--hardware", small]) == 0
    assert "6 tiles on a mesh of 2 x 3" in capsys.readouterr().out


def test_help_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "map " in capsys.readouterr().out
    assert main(["map", "--help"]) == 0
    assert "--hardware" in capsys.readouterr().out
