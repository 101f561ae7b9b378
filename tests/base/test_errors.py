"""Errors that users meet: each says what to do."""

from __future__ import annotations

import ast
import errno
from pathlib import Path

import pytest

import imcsim
from imcsim.base.errors import cannot_read, cannot_write

PACKAGE = Path(imcsim.__file__).parent
TOLD_IN_THE_MESSAGE = {("commands/model.py", "model_check"), ("hardware/loader.py", "_complaint")}
"""Functions whose error joins lines, each of which has a fix of its own."""


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "make room on the disk"),
        (errno.EACCES, "have its permissions changed"),
        (errno.ENAMETOOLONG, "choose a shorter name"),
    ],
)
def test_what_the_operating_system_refuses_comes_with_what_to_do(number: int, fix: str) -> None:
    for made in (cannot_read, cannot_write):
        error = made("out.json", OSError(number, "no"))
        assert str(error).startswith("out.json: cannot")
        assert fix in str(error.fix)
    assert cannot_read("x", OSError(0, "no")).fix == "check the path"
    assert cannot_write("x", OSError(0, "no")).fix == "choose a folder that can be written to"


def test_every_error_is_raised_with_a_fix() -> None:
    without = []
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef) or (name, function.name) in TOLD_IN_THE_MESSAGE:
                continue
            without += [
                f"{name}:{call.lineno}"
                for call in ast.walk(function)
                if isinstance(call, ast.Call)
                and getattr(call.func, "id", None) == "ImcsimError"
                and not any(keyword.arg == "fix" for keyword in call.keywords)
            ]
    assert without == []
