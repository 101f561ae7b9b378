"""The comparison with aihwkit: what is left out is named, and its own arithmetic."""

from __future__ import annotations

import csv
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("aihwkit_peer")
    sys.modules.pop("aihwkit_peer", None)


def test_programs_that_are_not_there_are_named(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert script.main([]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "torch and aihwkit not installed: left out",
        "CrossSim is no package of the registry: left out",
    ]


def test_differences_are_judged_by_their_standard_error(script: Any) -> None:
    rng = np.random.default_rng(0)
    same = [[rng.normal(0, 1, 400) for _ in range(20)] for _ in range(2)]
    assert script.compared("", "", *same, np.std).agrees
    wider = [1.3 * one for one in same[1]]
    assert not script.compared("", "", same[0], wider, np.std).agrees


def test_the_committed_table_says_that_both_agree(script: Any) -> None:
    with (BENCHMARKS / "aihwkit_peer.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["what"] for row in rows} == {"currents", "read noise", "accuracy", "speed"}
    assert all(abs(float(row["z"])) <= script.LIMIT for row in rows)


@pytest.mark.slow
def test_both_programs_agree(script: Any) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("aihwkit", reason="aihwkit is not installed")
    assert script.main(["--quick"]) == 0
