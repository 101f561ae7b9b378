"""docs/inputs.md: every example runs, in its order, in one folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from imcsim.cli import main

PAGE = (Path(__file__).parents[1] / "docs" / "inputs.md").read_text(encoding="utf-8")


def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("PIL")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(python|sh)\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 10
    names: dict[str, Any] = {}
    for kind, text in blocks:
        if kind == "python":
            exec(text, names)
            continue
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "imcsim"
            assert main(arguments) == 0, f"{line}\n{capsys.readouterr().err}"
