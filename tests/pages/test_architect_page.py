"""The architect's page: its files and commands run as they stand there, and its tables have every key."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, get_args

import pytest

from imcsim.commands.cli import main
from imcsim.hardware.component import Component
from imcsim.hardware.components.adc import Adc, AdcPreset
from imcsim.hardware.components.cells import CapacitiveCells, ConductanceCells, DrivenCells, GivenCells

PAGE = (Path(__file__).parents[2] / "docs" / "architect.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(yaml|sh|python)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    "block", [Adc, AdcPreset, ConductanceCells, CapacitiveCells, DrivenCells, GivenCells]
)
def test_every_key_is_explained(block: Any) -> None:
    tables = PAGE.split("## Every key of a converter")[1]
    shared = {} if block is AdcPreset else Component.model_fields
    for name in block.model_fields:
        if name not in shared:
            assert f"`{name}`" in tables, name


def test_every_value_of_a_choice_is_named() -> None:
    for block, key in ((AdcPreset, "kind"), (AdcPreset, "model"), (Adc, "full_scale"),
                       (ConductanceCells, "encoding"), (ConductanceCells, "row_order"),
                       (ConductanceCells, "input_drive")):  # fmt: skip
        annotation: Any = block.model_fields[key].annotation
        (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{key}` |")
                   and get_args(annotation)[0] in line]  # fmt: skip
        for value in get_args(annotation):
            assert f"`{value}`" in line


@pytest.mark.slow
def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = iter(("my_chip.yaml", "open.yaml"))
    for kind, text in BLOCKS:
        if kind == "yaml":
            Path(next(files)).write_text(text)
        elif kind == "python":
            exec(compile(text, "architect.md", "exec"), {})
        else:
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "imcsim"
                assert main(arguments) in (0, 1) if arguments[0] == "diff" else main(arguments) == 0, line
    assert capsys.readouterr().out.splitlines()[-1].split()[0] in ("5", "6")
    assert Path("open/table.tex").exists()
    assert Path("open/report/index.html").exists()
