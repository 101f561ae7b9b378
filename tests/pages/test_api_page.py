"""docs/api.md: it is what its script writes, every argument is explained, and its examples run."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

import imcsim

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "api.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def make_api() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_api"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_its_script_writes(make_api: ModuleType) -> None:
    assert make_api.whole() == PAGE, "run python docs/make_api.py"


def test_all_of_the_package_is_on_the_page() -> None:
    headings = set(re.findall(r"^### (\S+)$", PAGE, re.MULTILINE))
    assert set(imcsim.__all__) <= headings
    for name in imcsim.__all__:
        section = PAGE.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        for argument in inspect.signature(getattr(imcsim, name)).parameters:
            (row,) = re.findall(rf"^\| `{argument}` \|(.*)\|$", section.partition("\n####")[0], re.MULTILINE)
            kind, default, meaning = (cell.strip() for cell in re.split(r"(?<!\\)\|", row))
            assert kind
            assert default
            assert len(meaning.split()) >= 3


def test_an_argument_without_a_word_is_refused(make_api: ModuleType) -> None:
    def halved(number: float, silent: int = 0) -> float:
        """Half of a number.

        Args:
            number: What is halved.
        """
        return number / 2

    halved.__module__ = make_api.__name__
    with pytest.raises(make_api.Unexplained, match="silent"):
        list(make_api.Writer({})._function(halved, "halved", None))


def test_a_field_without_a_word_is_refused(make_api: ModuleType) -> None:
    class Silent(BaseModel):
        count: int

    Silent.__module__ = "imcsim.base"
    with pytest.raises(make_api.Unexplained, match="count"):
        list(make_api.Writer({})._fields(Silent))


def test_fields_have_their_meaning() -> None:
    tables = re.findall(r"^(\| field \|.*\|)\n\| ---.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert len(tables) > 40
    for head, rows in tables:
        assert head.endswith("| meaning |")
        assert not re.findall(r"^.*\|\s*\|$", rows, re.MULTILINE)


def test_types_and_signatures_have_no_noise(make_api: ModuleType) -> None:
    assert "typing" not in PAGE.partition(make_api.MARK)[2]
    assert (
        max(
            len(line)
            for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
            for line in code.split("\n")
        )
        <= 100
    )

    def call(a: int, *, b: str = "x", c: float = 0.5) -> None: ...

    assert make_api.signature("call", make_api._parameters(call)) == 'call(a, *, b="x", c=0.5)'
    assert make_api.Writer({}).type_of("Mapping[str, float | None] | None", make_api.Item) == (
        "mapping of str to float or None or None"
    )


def test_links_lead_to_headings(make_api: ModuleType) -> None:
    anchors = [make_api._slug(title) for title in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)]
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= set(anchors)


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    exec(compile(block.replace("images=20", "images=4, workers=1"), "api.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "images: 4 of 4"
    assert 1 <= float(lines[-1]) <= 4
