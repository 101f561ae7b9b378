"""Every example on the pages about importing and inputs runs, in its order, in one folder a page.

Blocks of ``python`` share their names; a block of ``text`` after one holds what it prints. In blocks of
``console`` (and ``sh``) a line is a command, after ``$`` where output is shown too; the lines shown must be
in the output, in their order, and their numbers near: a network that is trained on the page is not the same
to the last bit everywhere. ``...`` stands for lines left out. Where a library of the page is missing, the
page is skipped.
"""

from __future__ import annotations

import importlib.util
import math
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imcsim.commands.cli import main

DOCS = Path(__file__).parents[2] / "docs"
IMPORT = DOCS / "import"

NEEDS = {
    "inputs.md": ("PIL",),
    "importing.md": ("safetensors",),
    "import/nir.md": ("nir", "h5py"),
    "import/snntorch.md": ("torch", "snntorch", "nir", "h5py"),
    "import/spikingjelly.md": ("torch", "spikingjelly", "nir", "h5py"),
    "import/norse.md": ("torch", "norse", "nir", "h5py"),
    "import/sinabs.md": ("torch", "sinabs", "nir", "h5py"),
    "import/pytorch.md": ("torch",),
    "import/safetensors.md": ("safetensors",),
    "import/onnx.md": ("torch", "onnx"),
    "modules.md": ("torch",),
    "live/snntorch.md": ("torch", "snntorch", "pandas"),
    "live/spikingjelly.md": ("torch", "spikingjelly", "pandas"),
}
"""Pages with examples, and what they import."""

SCRIPTS = ("modules.md", "live/snntorch.md", "live/spikingjelly.md")
"""Pages without commands: everything happens in one script."""

SLOW = ("live/snntorch.md", "live/spikingjelly.md")
"""Pages that train for longer than the everyday suite has."""

_BLOCK = re.compile(r"^```(python|sh|console|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


@pytest.fixture
def torch_as_before() -> Iterator[None]:
    """Pages compute in one thread of torch; what comes after them does not."""
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_every_page_is_known() -> None:
    found = {
        f"{folder}/{page.name}" for folder in ("import", "live") for page in (DOCS / folder).glob("*.md")
    }
    assert found == {n for n in NEEDS if "/" in n}


def test_pages_lead_to_each_other() -> None:
    """Each relative link of the pages leads to a file."""
    for name in NEEDS:
        text = (DOCS / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert ((DOCS / name).parent / target).exists(), f"{name}: {target}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the frameworks
@pytest.mark.usefixtures("torch_as_before")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NEEDS]
)
def test_the_examples_of_a_page_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for library in NEEDS[name]:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    text = (DOCS / name).read_text(encoding="utf-8")
    blocks = _BLOCK.findall(text)
    assert {kind for kind, _ in blocks} >= {"python"}
    assert any(kind in ("sh", "console") for kind, _ in blocks) == (name not in SCRIPTS)
    assert len(blocks) == len(re.findall(r"^```\w*(?:python|sh|bash|console|text)", text, re.MULTILINE))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for kind, block in blocks:
        if kind == "python":
            capsys.readouterr()
            exec(compile(block, name, "exec"), names)
            printed = capsys.readouterr().out
            continue
        if kind == "text":
            _check(block.splitlines(), printed, "the block above")
            continue
        for command, shown in _commands(block):
            program, *arguments = shlex.split(command)
            assert program == "imcsim"
            capsys.readouterr()
            status = main(arguments)
            found = capsys.readouterr()
            refused = any(line.startswith("error: ") for line in shown)
            assert status == (2 if refused else 0), f"{command}\n{found.err}"
            _check(shown, found.out + found.err, command)


def _commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Each command and the lines shown below it. A backslash at the end goes on in the next line."""
    lines = block.replace("\\\n", " ").splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith("$ ")]
    if not starts:
        yield from ((line, []) for line in lines if line.strip())
        return
    assert starts[0] == 0, "a block with output begins with a command"
    for begin, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[begin][2:], lines[begin + 1 : end]


def _check(shown: list[str], output: str, command: str) -> None:
    printed = iter(line.split() for line in output.splitlines())
    for line in shown:
        words = line.split()
        if not words or words == ["..."]:
            continue
        assert any(_alike(words, found) for found in printed), f"{command} does not print\n{line}\n{output}"


def _alike(words: list[str], found: list[str]) -> bool:
    slack = 2.0 if "%" in " ".join(words) or "points" in words else 0.02
    return len(words) == len(found) and all(_same(*pair, slack) for pair in zip(words, found, strict=True))


def _same(word: str, found: str, slack: float) -> bool:
    """The same word, or two numbers that are near each other."""
    one, other = (_NUMBER.fullmatch(text.strip("[],%")) for text in (word, found))
    if one is None or other is None:
        return word == found
    a, b = (float(match.group().replace(",", "")) for match in (one, other))
    return math.isclose(a, b, rel_tol=0.25, abs_tol=slack)


def test_the_check_of_outputs_can_fail() -> None:
    output = "layer  equal, %\nlif1   99.8\nlif2   100\n"
    _check(["lif1 99.7", "...", "lif2 100"], output, "imcsim")
    for wrong in (["lif1 50"], ["lif2 100", "lif1 99.8"], ["lif1 99.8 %"], ["lif3 100"]):
        with pytest.raises(AssertionError):
            _check(wrong, output, "imcsim")
