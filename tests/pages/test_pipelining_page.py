"""The script behind docs/pipelining.md: its tables say what the results say, and it mends the page."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images, random_network

import imcsim.inputs
import imcsim.network

ROOT = Path(__file__).parents[2]
IMAGES = 20


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("issue_policies", ROOT / "benchmarks" / "issue_policies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["issue_policies"] = module
    spec.loader.exec_module(module)
    return module


def _cells(text: str, heading: str) -> dict[str, list[str]]:
    """The lines of the table under `heading`: label to cells."""
    table = next(part for part in text.split("\n\n") if part.startswith(f"| {heading}"))
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]
    return {row[0]: row[1:] for row in rows}


def _number(cell: str) -> float:
    return float(cell.replace(",", "").rstrip("x% "))


def test_the_script_writes_tables_and_figure(
    script: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = random_network(np.random.default_rng(8), depth=2, classes=4, timesteps=3)
    imcsim.network.save(net, tmp_path / "net")
    for seed, split in enumerate(("test", "validation")):
        images = random_images(np.random.default_rng(seed), net.input_shape, IMAGES)
        # Labelled as the network sees them at once, so that leaving early is right.
        labels = forward(net, images, 1)[net.nodes[-1].name].sum(0).argmax(1)
        kind: Any = split
        imcsim.inputs.save(tmp_path / f"{split}.npz", images, labels, split=kind, classes=4)
    page = tmp_path / script.PAGE
    page.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n", encoding="utf-8")
    options = {"model": "net", "inputs": "test.npz", "validation": "validation.npz"}
    command = [part for key, name in options.items() for part in (f"--{key}", str(tmp_path / name))]
    monkeypatch.setattr(sys, "argv", ["issue_policies", *command, "--workers", "1", "--docs", str(tmp_path)])
    script.main()
    text = capsys.readouterr().out
    assert page.read_text(encoding="utf-8") == f"before\n{script.BEGIN}\n{text}{script.END}\nafter\n"
    assert (tmp_path / "figures" / "issue_policies.svg").is_file()

    labels_of = [
        f"{'static T = 3' if policy == 'static' else 'dynamic'}, {issue}" for policy, issue in script.POLICIES
    ]
    alone, stream, loaded, change = (
        _cells(text, heading) for heading in ("one image", "a stream", "Poisson", "change")
    )
    for table in (alone, stream, loaded):
        assert list(table) == labels_of
    for label, cells in stream.items():
        assert _number(cells[0]) == pytest.approx(1e6 / _number(cells[1]), rel=2e-3)
        assert _number(cells[7]) == pytest.approx(_number(cells[1]) * _number(cells[4]), rel=2e-3)
        assert (_number(cells[5]) > 0) == (label == "dynamic, speculate")
    # one image at a time is what a stream under `wait` is
    for label in ("static T = 3, wait", "dynamic, wait"):
        assert _number(stream[label][1]) == pytest.approx(_number(alone[label][2]), rel=2e-3)
    both = change["dynamic, speculate against static T = 3, pipeline"]
    base, mine = alone["static T = 3, pipeline"], alone["dynamic, speculate"]
    for k, column in ((0, 2), (1, 3), (2, 4), (3, 5)):
        assert _number(both[k]) == pytest.approx(
            100 * (_number(mine[column]) / _number(base[column]) - 1), abs=0.2
        )


def test_the_page_holds_tables_of_this_script(script: ModuleType) -> None:
    page = (ROOT / "docs" / script.PAGE).read_text(encoding="utf-8")
    results = page.split(script.BEGIN)[1].split(script.END)[0]
    for heading in ("one image at a time", "a stream, closed loop", "Poisson arrivals", "change"):
        assert f"| {heading}" in results
    for _, issue in script.POLICIES:
        assert f", {issue} |" in results
    for kind in ("png", "svg"):
        assert (ROOT / "docs" / "figures" / f"{script.FIGURE}.{kind}").is_file()
    assert f"figures/{script.FIGURE}.png" in page
