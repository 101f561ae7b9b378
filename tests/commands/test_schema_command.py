"""JSON schemas for editors, and completion in shells."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.shell_completion import BashComplete, FishComplete, ZshComplete
from click.testing import CliRunner

import imcsim.hardware
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.base.resources import data_dirs
from imcsim.base.yamlfile import parse_yaml, read_yaml
from imcsim.commands.cli import cli
from imcsim.commands.completion import COMPLETE_VARIABLE
from imcsim.hardware.schema import json_schema
from imcsim.network.json_schema import json_schema as network_schema

CONFIGS = sorted(data_dirs("hw_configs")[0].glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def errors(data: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(data)]


@pytest.mark.parametrize(
    "kind",
    # What those of results say is held against the package's own in tests/results.
    [
        "hardware",
        "sweep",
        "search",
        "network",
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("result", "chips")),
    ],
)
def test_every_kind_prints_a_sound_schema(kind: str) -> None:
    result = CliRunner().invoke(cli, ["schema", kind])
    assert result.exit_code == 0, result.output
    jsonschema.Draft202012Validator.check_schema(json.loads(result.output))


def test_hardware_is_what_is_printed_unless_another_kind_is_named() -> None:
    assert json.loads(CliRunner().invoke(cli, ["schema"]).output) == json_schema()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_built_in_chips_fit_the_schema(config: Path) -> None:
    assert errors(read_yaml(config).data) == []


BREAKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown key": lambda d: d["adc"].update(bitz=3),
    "unknown block": lambda d: d.update(adcs={}),
    "missing key": lambda d: d["adc"].pop("bits"),
    "missing block": lambda d: d.pop("noc"),
    "out of range": lambda d: d["adc"].update(bits=99),
    "not whole": lambda d: d["adc"].update(bits=4.5),
    "text for a number": lambda d: d["adc"].update(bits="8"),
    "wrong word": lambda d: d["adc"].update(full_scale="calibratd"),
    "wrong kind": lambda d: d["cells"].update(kind="drivn"),
    "key of another kind": lambda d: d["cells"].update(power_uw=3),
    "wrong unit": lambda d: d["adc"].update(bits={"value": 5, "unit": "V", "mark": "est", "source": "isaac"}),
    "unknown mark": lambda d: d["adc"].update(bits={"value": 5, "mark": "sure", "source": "isaac"}),
    "no source": lambda d: d["adc"].update(bits={"value": 5, "mark": "est"}),
    "unknown detail": lambda d: d["adc"].update(bits={"value": 5, "mark": "est", "source": "x", "nota": ""}),
    "user is sure": lambda d: d["adc"].update(bits={"value": 5, "mark": "paper", "source": "user"}),
    "sourced out of range": lambda d: d["adc"].update(bits={"value": 99, "mark": "est", "source": "isaac"}),
    "wrong schema": lambda d: d.update(schema=2),
    "section for a value": lambda d: d["noc"].update(flit_bits={"a": 1}),
    "citation": lambda d: d["sources"].update(isaac=3),
    "preset": lambda d: d["adc"]["presets"]["isaac_sar"].update(kind="pipeline"),
    "extends a number": lambda d: d.update(extends=3),
}


@pytest.mark.parametrize("what", BREAKS)
def test_broken_chips_fit_neither_the_schema_nor_the_loader(what: str, tmp_path: Path) -> None:
    data = read_yaml(data_dirs("hw_configs")[0] / "dtsnn_32nm.yaml").data
    BREAKS[what](data)
    assert errors(data)
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ImcsimError):
        imcsim.hardware.load(path)


EXTENDING = {
    "adc: {bits: 5}": True,
    "adc: {bits: {value: 5, unit: bit, mark: given, source: user}}": True,
    "cells: {kind: driven, power_uw: 3}": True,
    "cells: {rows: 128}": True,
    "adc: {presets: {mine: {kind: sar, model: isaac, conversion_energy_pj: 1,\n"
    " converter_area_um2: 2, conversion_time_ns: 1}}}": True,
    "sources: {a: b}": True,
    "adc: {bitz: 5}": False,
    "cells: {rows: 128, rowz: 3}": False,
    "adc: {bits: 0}": False,
}


@pytest.mark.parametrize("text", EXTENDING)
def test_a_file_that_extends_another_may_leave_out_the_rest(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: dtsnn_32nm\n{text}\n")
    assert (errors(read_yaml(path).data) == []) is EXTENDING[text]
    if EXTENDING[text]:
        imcsim.hardware.load(path)
    else:
        with pytest.raises(ImcsimError):
            imcsim.hardware.load(path)


def test_built_in_networks_fit_their_schema_and_broken_ones_do_not() -> None:
    validator = jsonschema.Draft202012Validator(network_schema())
    for name in imcsim.network.names():
        file = imcsim.network.bundle.find(name) / "network.yaml"
        data = read_yaml(file).data
        assert list(validator.iter_errors(data)) == []
        data["nodes"][0]["strides"] = 1
        assert list(validator.iter_errors(data))


def test_a_spec_fits_the_schema_of_sweeps() -> None:
    validator = jsonschema.Draft202012Validator(
        json.loads(CliRunner().invoke(cli, ["schema", "sweep"]).output)
    )
    text = """\
hardware: dtsnn_32nm
images: 200
set: {adc.percentile: 99.9}
axes:
  adc.bits: [4, 5, 6]
  noc.flit_bits: {log: [16, 64, 3]}
zip:
  - {cells.rows: [64, 128], cells.columns: [64, 128]}
constraints: [adc.bits < 6]
"""
    data = parse_yaml(text, "spec.yaml").data
    assert list(validator.iter_errors(data)) == []
    assert list(validator.iter_errors(data | {"axis": {}}))
    assert list(validator.iter_errors(data | {"axes": {"adc.bits": {"logg": [1, 2, 3]}}}))
    assert list(validator.iter_errors(data | {"axes": {"adc.bits": 5}}))


# --- completion


def completed(*words: str) -> list[str]:
    """What bash would be offered for the last of `words`."""
    complete = BashComplete(cli, {}, "imcsim", COMPLETE_VARIABLE)
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


def test_names_complete() -> None:
    chips = imcsim.hardware.names()
    assert set(chips) <= set(completed("compare", "--hardware", ""))
    assert completed("compare", "--hardware", "isa")[0] == "isaac_32nm"
    assert completed("hardware", "show", "spike")[0] == "spikesim_65nm"
    assert completed("diff", "isaac_32nm", "dts")[0] == "dtsnn_32nm"
    assert set(imcsim.network.names()) <= set(completed("run", "--model", ""))
    assert "cifar10_test" in completed("stream", "--inputs", "cif")
    assert "cifar10_validation" in completed("timeline", "--validation", "cif")
    assert completed("schema", "ne") == ["network"]
    assert completed("hardw") == ["hardware"]


def test_files_complete_beside_names() -> None:
    complete = ZshComplete(cli, {}, "imcsim", COMPLETE_VARIABLE)
    assert {item.type for item in complete.get_completions(["map", "--hardware"], "d")} == {"plain", "file"}


def test_keys_of_the_chip_at_hand_complete() -> None:
    assert "adc.bits=" in completed("run", "--set", "adc.b")
    assert "adc.presets.spikesim.model=" in completed(
        "run", "--hardware", "spikesim_65nm", "--set", "adc.pre"
    )
    assert completed("run", "--hardware", "no_such_chip", "--set", "adc.b") == []


def test_the_script_of_fish_is_click_s() -> None:
    result = CliRunner().invoke(cli, ["completion", "fish"])
    assert result.exit_code == 0
    assert result.output.strip() == FishComplete(cli, {}, "imcsim", COMPLETE_VARIABLE).source().strip()


def script_of(shell: str, folder: Path) -> str:
    """The script for a shell; the command that it asks is written to `folder`."""
    folder.joinpath("imcsim").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m imcsim "$@"\n')
    folder.joinpath("imcsim").chmod(0o755)
    return CliRunner().invoke(cli, ["completion", shell]).output


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_completes(tmp_path: Path) -> None:
    """Without a call of compinit before it; no blank ends KEY=."""

    def in_zsh(*words: str) -> list[str]:
        call = (
            f"path=({shlex.quote(str(tmp_path))} $path)\n"
            "autoload() { compdef() { print defined } }; compinit() { }\n"
            f"{script_of('zsh', tmp_path)}"
            'compadd() { print -r -- "${(q)@[1,-3]}" "${(@P)@[-1]}" }; _path_files() { }\n'
            f"words=({' '.join(map(shlex.quote, words))}); CURRENT={len(words)}; _imcsim_completion\n"
        )
        done = subprocess.run(["zsh", "-f", "-c", call], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout.splitlines()

    assert in_zsh("imcsim", "compare", "--set", "adc.b") == ["defined", "-U -S '' -V unsorted adc.bits="]
    assert in_zsh("imcsim", "compare", "--hardware", "isa") == ["defined", "-U -V unsorted isaac_32nm"]


def in_bash(folder: Path, *words: str) -> tuple[list[str], set[str]]:
    """What bash itself is offered for the last of `words`, and the options of its completion."""
    script = script_of("bash", folder)
    call = (
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}\n"
        'compopt() { options+=("$2"); }; options=()\n'
        '_imcsim_completion ./imcsim; printf "%s\\n" "${COMPREPLY[@]}" -- "${options[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script + call], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found, _, options = done.stdout.partition("--\n")
    return found.split("\n")[:-1], set(options.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes(tmp_path: Path) -> None:
    (tmp_path / "isaac of mine.yaml").touch()
    both = (["isaac_32nm", "isaac of mine.yaml"], {"filenames"})
    assert in_bash(tmp_path, "imcsim", "compare", "--hardware", "isa") == both
    assert in_bash(tmp_path, "imcsim", "compare", "--hardware", "=", "isa") == both
    assert in_bash(tmp_path, "imcsim", "compare", "--set", "adc.b") == (["adc.bits="], {"nospace"})
    assert in_bash(tmp_path, "imcsim", "map", "--set", "adc.bits", "=", "5", "--model", "vgg7_c") == (
        ["vgg7_cifar10"],
        {"filenames"},
    )
    # Nothing of ours fits: bash offers files by itself.
    assert in_bash(tmp_path, "imcsim", "sweep", "isaac") == ([], set())
    assert " -o default " in CliRunner().invoke(cli, ["completion", "bash"]).output


def test_a_shell_gets_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    about = {"_IMCSIM_COMPLETE": "fish_complete", "COMP_WORDS": "imcsim map --hardware", "COMP_CWORD": "isa"}
    result = CliRunner().invoke(cli, [], env=about, prog_name="imcsim", complete_var=COMPLETE_VARIABLE)
    assert result.output.splitlines()[0].startswith("plain,isaac_32nm")
