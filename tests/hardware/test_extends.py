"""Hardware files that extend others, and values laid over them from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.base.resources import data_dirs
from imcsim.commands.cli import cli, main
from imcsim.hardware import files
from imcsim.hardware.files import read_chain

BASE = "dtsnn_32nm"


def file(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def base_text() -> str:
    return (data_dirs("hw_configs")[0] / f"{BASE}.yaml").read_text()


def refusal(path: Path, **overrides: Any) -> ImcsimError:
    with pytest.raises(ImcsimError) as caught:
        imcsim.hardware.load(path, {key.replace("__", "."): v for key, v in overrides.items()})
    return caught.value


def test_values_are_laid_over_those_of_the_base(tmp_path: Path) -> None:
    mine = imcsim.hardware.load(file(tmp_path, f"extends: {BASE}\nadc: {{bits: 5}}\n"))
    base = imcsim.hardware.load(BASE)
    assert mine.config.adc.bits == 5
    assert mine.config.adc.model_copy(update={"bits": base.config.adc.bits}) == base.config.adc
    about = mine.provenance["adc.bits"]
    assert (about.mark, about.line, about.file) == ("unsourced", 2, None)
    assert mine.unsourced == ("adc.bits",)
    for key, inherited in mine.provenance.items():
        if key == "adc.bits":
            continue
        theirs = base.provenance[key]
        if inherited.source == "estimate":  # the rule may speak of the bits
            assert (theirs.mark, theirs.source, theirs.line) == ("derived", "estimate", inherited.line)
            continue
        assert (inherited.mark, inherited.source, inherited.citation, inherited.line) == (
            theirs.mark, theirs.source, theirs.citation, theirs.line,
        )  # fmt: skip


def test_the_hash_is_that_of_the_same_file_written_out(tmp_path: Path) -> None:
    line = next(text for text in base_text().splitlines() if text.startswith("  bits:"))
    whole = file(tmp_path, base_text().replace(line, "  bits: 5"), "whole.yaml")
    part = file(tmp_path, f"adc:\n  bits: 5\nextends: {BASE}\n")
    hashes = {
        imcsim.hardware.load(whole).sha256,
        imcsim.hardware.load(part).sha256,
        imcsim.hardware.load(BASE, {"adc.bits": 5}).sha256,
    }
    assert len(hashes) == 1
    assert (
        imcsim.hardware.load(file(tmp_path, f"extends: {BASE}\n")).sha256 == imcsim.hardware.load(BASE).sha256
    )


def test_files_extend_files_relative_to_themselves(tmp_path: Path) -> None:
    file(tmp_path / "lib", f"extends: {BASE}\nadc: {{bits: 6}}\nnoc: {{flit_bits: 16}}\n", "base.yaml")
    mine = imcsim.hardware.load(file(tmp_path, "extends: lib/base.yaml\nadc: {bits: 5}\n"))
    assert (mine.config.adc.bits, mine.config.noc.flit_bits) == (5, 16)
    assert mine.provenance["noc.flit_bits"].file == tmp_path / "lib" / "base.yaml"
    assert mine.provenance["noc.flit_bits"].line == 3


def test_files_that_come_along_are_read_once_and_again_when_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, f"extends: {BASE}.yaml\nname: own\nadc: {{bits: 5}}\n", "own.yaml")
    file(tmp_path, base_text(), f"{BASE}.yaml")
    monkeypatch.setattr(files, "data_dirs", lambda kind: (tmp_path,))
    read: list[str] = []
    read_yaml = files.read_yaml
    monkeypatch.setattr(files, "read_yaml", lambda path: read.append(path.name) or read_yaml(path))
    first = imcsim.hardware.load("own")
    # What is laid over a chip stays out of what was read.
    assert imcsim.hardware.load("own", {"adc.bits": 6, "cells.cell_bits": 1}).config.adc.bits == 6
    assert imcsim.hardware.load("own").sha256 == first.sha256
    assert read == ["own.yaml", f"{BASE}.yaml"]
    path.write_text(f"extends: {BASE}.yaml\nname: own\nadc: {{bits: 4}}  # fewer\n")
    assert imcsim.hardware.load("own").config.adc.bits == 4
    assert read == ["own.yaml", f"{BASE}.yaml", "own.yaml"]


@pytest.mark.parametrize("name", imcsim.hardware.names())
def test_a_file_that_comes_along_has_the_name_of_its_chip(name: str) -> None:
    """Whoever looks for a result's chip relies on it."""
    assert read_chain(files.find(name))[0].data["name"] == name


def test_a_list_takes_the_place_of_a_list(tmp_path: Path) -> None:
    text = f"extends: {BASE}\nsram: {{read_energy_pj_per_byte: [[512, 0.5]]}}\n"
    assert imcsim.hardware.load(file(tmp_path, text)).config.sram.read_energy_pj_per_byte == [[512, 0.5]]


def test_a_new_kind_keeps_what_it_knows_and_lets_the_rest_go(tmp_path: Path) -> None:
    mine = imcsim.hardware.load(file(tmp_path, f"extends: {BASE}\ncells: {{kind: driven, power_uw: 300}}\n"))
    base = imcsim.hardware.load(BASE)
    assert mine.config.cells.kind == "driven"
    assert mine.config.cells.rows == base.config.cells.rows
    assert "cells.r_on_ohm" not in mine.provenance
    assert mine.provenance["cells.rows"].mark == base.provenance["cells.rows"].mark
    same = imcsim.hardware.load(BASE, {"cells.power_uw": 300, "cells.kind": "driven"})
    assert same.sha256 == mine.sha256
    # What the file itself says is never dropped.
    error = refusal(
        file(tmp_path, f"extends: {BASE}\ncells:\n  kind: driven\n  power_uw: 3\n  r_on_ohm: 4\n")
    )
    assert (error.line, error.key) == (5, "cells.r_on_ohm")
    error = refusal(file(tmp_path, f"extends: {BASE}\ncells:\n  kind: drivn\n"))
    assert error.line == 3
    assert "did you mean 'driven'?" in str(error)
    assert "unknown key" not in str(error)


def test_sources_are_merged(tmp_path: Path) -> None:
    text = f"""\
extends: {BASE}
sources: {{mine: "my own measurement", isaac: "another paper of this name"}}
adc:
  bits: {{value: 5, unit: bit, mark: paper, source: mine}}
  percentile: {{value: 99.0, mark: est, source: isaac}}
  conversion_cycles: {{value: 2, unit: cycle, mark: est, source: neurosim}}
"""
    mine, base = imcsim.hardware.load(file(tmp_path, text)), imcsim.hardware.load(BASE)
    assert mine.provenance["adc.bits"].citation == "my own measurement"
    assert mine.provenance["adc.conversion_cycles"].citation == imcsim.hardware.sources(base)["neurosim"]
    assert mine.provenance["adc.percentile"].citation == "another paper of this name"
    cited = imcsim.hardware.sources(mine)
    assert cited["isaac"] == "another paper of this name"
    assert cited[f"isaac ({BASE})"] == imcsim.hardware.sources(base)["isaac"]


def test_reference_tables_stay_with_the_file_that_names_them(tmp_path: Path) -> None:
    art = "ART:\n  version: 0.4\n  tables:\n  - {name: adc, area: 4.0}\n"
    file(tmp_path / "lib", art, "art.yaml")
    file(tmp_path / "lib", f"extends: {BASE}\nreference_tables: [art.yaml]\n", "base.yaml")
    mine = imcsim.hardware.load(file(tmp_path, "extends: lib/base.yaml\nadc: {bits: 5}\n"))
    assert mine.config.adc.area_um2(mine.config) == 4.0


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: x\nextends: mine.yaml\n", 2, "the file comes to extend itself"),
        ("extends: dtsnn_32mn\n", 1, "did you mean 'dtsnn_32nm'?"),
        ("extends: gone.yaml\n", 1, "there is no file"),
        ("extends: [dtsnn_32nm]\n", 1, "expected the name of a chip or of a file, got a list"),
        ("extends:\n", 1, "got nothing"),
        (f"extends: {BASE}\nadc:\n  bitz: 3\n", 3, "adc.bitz: unknown key (did you mean 'adc.bits'?)"),
        (f"extends: {BASE}\nadc:\n  bits: 99\n", 3, "adc.bits: expected a whole number from 1 to 14, got 99"),
        (f"extends: {BASE}\nadc: 3\n", 2, "adc: expected a section"),
        (f"extends: {BASE}\nadc:\n  bits: {{value: 3, unit: V, mark: given, source: user}}\n", 3, "unit"),
        (f"extends: {BASE}\nadc:\n  bits: {{value: 3, mark: est, source: isac}}\n", 3, "'isaac'?"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = file(tmp_path, text)
    error = refusal(path)
    assert (error.file, error.line) == (path, line)
    assert message in str(error)


def test_a_wrong_value_in_the_base_is_told_with_the_base_s_line(tmp_path: Path) -> None:
    base = file(tmp_path, f"extends: {BASE}\n\nadc:\n  bits: 99\n", "base.yaml")
    error = refusal(file(tmp_path, "extends: base.yaml\nnoc: {flit_bits: 8}\n"))
    assert (error.file, error.line, error.key) == (base, 4, "adc.bits")


def test_circles_and_long_chains_are_refused(tmp_path: Path) -> None:
    file(tmp_path, "extends: b.yaml\n", "a.yaml")
    last = file(tmp_path, "name: x\nextends: ./a.yaml\n", "b.yaml")
    error = refusal(tmp_path / "a.yaml")
    assert (error.file, error.line) == (last, 2)
    for k in range(20):
        file(tmp_path, f"extends: f{k + 1}.yaml\n", f"f{k}.yaml")
    error = refusal(tmp_path / "f0.yaml")
    assert "more than 16 files" in str(error)
    assert error.line == 1


# --- --set


def test_set_overrides_any_key_and_names_it_in_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hardware", "show", BASE, "--set", "adc.bits=5"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "adc.bits 5 bit given user" in shown
    for setting, message in {
        "adc.bitz=5": "adc.bitz: unknown key (did you mean 'adc.bits'?)",
        "adc.bits=50": "adc.bits: expected a whole number from 1 to 14, got 50",
        "adc.bits=": "adc.bits: expected a whole number from 1 to 14, got nothing",
        "adc.bits='5'": "got the text '5'",
        "adc.bits=[1": "adc.bits: not valid YAML",
        "adc.bits=!!python/object:os.system 3": "the tag",
        "adc.bits": "write KEY=VALUE, as adc.bits=5",
        "=5": "write KEY=VALUE, as adc.bits=5",
        "adc.bits.x=5": "adc.bits is a value, not a section",
        "extends=isaac_32nm": "only a file has this key",
        "sources.a=b": "only a file has this key",
        "adc.bits={value: 5, mark: est, source: isaac}": "write only the value",
    }.items():
        assert main(["hardware", "check", BASE, "--set", setting]) == 2, setting
        said = capsys.readouterr().err
        assert message in said, setting
        assert "Traceback" not in said


def test_values_are_read_as_in_a_file() -> None:
    for text, value in {"1e-3": 0.001, "2": 2.0, "0x10": 16.0}.items():
        chip = imcsim.hardware.load(BASE, {"technology.clock_ns": json.loads(json.dumps(value))})
        result = CliRunner().invoke(cli, ["hardware", "show", BASE, "--set", f"technology.clock_ns={text}"])
        assert f" {chip.config.technology.clock_ns} " in " ".join(result.output.split())


@pytest.mark.parametrize(
    "command",
    [
        ["compare"], ["run"], ["stream"], ["map"], ["trace", "record"], ["hardware", "show"],
        ["hardware", "check"], ["import"], ["timeline"], ["diff"],
    ],
)  # fmt: skip
def test_every_command_with_a_chip_takes_settings(command: list[str]) -> None:
    assert "--set KEY=VALUE" in CliRunner().invoke(cli, [*command, "--help"]).output


def test_a_result_names_what_was_set_and_says_nothing_where_nothing_was(tmp_path: Path) -> None:
    run = ["run", "--policy", "static", "--timesteps", "1", "--images", "2", "--quiet"]
    for name, more in {"plain": [], "set": ["--set", "adc.bits=5"]}.items():
        assert main([*run, *more, "--json", str(tmp_path / name)]) == 0
    plain, changed = (
        json.loads((tmp_path / name).read_text())["meta"]["hardware"] for name in ("plain", "set")
    )
    assert "overrides" not in plain
    assert changed["overrides"] == {"adc.bits": 5}
    assert plain["sha256"] == imcsim.hardware.load(BASE).sha256
    assert changed["sha256"] == imcsim.hardware.load(BASE, {"adc.bits": 5}).sha256


def test_settings_of_an_import_need_a_chip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = file(tmp_path, "x", "a.nir")
    assert main(["import", str(given), "-o", str(tmp_path / "out"), "--set", "adc.bits=5"]) == 2
    assert "--hardware" in capsys.readouterr().err
