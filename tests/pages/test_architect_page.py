"""The architect's page: its files and commands run as they stand there, and its tables have every key."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from imcsim.commands.cli import main
from imcsim.hardware.component import Component
from imcsim.hardware.components.adc import Adc, AdcPreset
from imcsim.hardware.components.cells import CapacitiveCells, ConductanceCells, DrivenCells, GivenCells
from imcsim.hardware.config import HardwareConfig

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


def test_every_key_beside_a_converter_and_a_device_is_explained() -> None:
    """Errors, programming, reference, clamp, sample-and-hold: by their dotted keys, or in a row of them."""

    def keys(model: type[BaseModel], before: str) -> Iterator[str]:
        for name, field in model.model_fields.items():
            if name in Component.model_fields and issubclass(model, Component):
                continue
            inside = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
            models = [one for one in inside if issubclass(one, BaseModel)]
            yield from keys(models[0], f"{before}{name}.") if models else [f"{before}{name}"]

    listed = set()
    for cell in re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE):
        first, *more = re.findall(r"`([^`]+)`", cell)
        listed |= {first, *(first.rpartition(".")[0] + one for one in more if one.startswith("."))}
    for block in ("nonideal", "programming", "converter_reference", "clamp", "sample_hold"):
        field = HardwareConfig.model_fields[block].annotation
        (model,) = [
            one for one in (field, *get_args(field)) if isinstance(one, type) and one is not type(None)
        ]
        assert set(keys(model, f"{block}.")) - listed == set()


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
