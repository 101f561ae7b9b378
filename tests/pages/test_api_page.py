"""docs/api.md: every argument of the functions that it lists is explained, and its example runs."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def functions() -> Iterator[Callable[..., Any]]:
    for module, members in re.findall(r"\.\. automodule:: ([\w.]+)\n   :members: ([\w, ]+)", PAGE):
        for name in members.split(", "):
            found = getattr(importlib.import_module(module), name)
            if inspect.isfunction(found):
                yield found


@pytest.mark.parametrize("function", [*functions()], ids=lambda function: function.__qualname__)
def test_every_argument_is_explained(function: Callable[..., Any]) -> None:
    about = function.__doc__ or ""
    for name in inspect.signature(function).parameters:
        assert re.search(rf"\b{name}\b", about), name


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block.replace("images=20", "images=4, workers=1"), "api.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "images: 4 of 4"
    assert 1 <= float(lines[-1]) <= 4
