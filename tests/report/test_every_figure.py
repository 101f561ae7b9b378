"""Every figure of every command, looked at as a reader would: nothing cut, hidden or without a name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from drawn import Drawn, faults, makers_of_figures, watch
from matplotlib.figure import Figure
from sample_reproduction import pictures, reproduction
from sample_results import compare_result, run_result, stream_result
from sweep_files import base, write_files, write_spec

from imcsim.commands.cli import main
from imcsim.report.documents import write_folder
from imcsim.report.figures import drawing
from imcsim.report.reproduction import page_contents

pytest.importorskip("optuna", reason="searches need the extra `search`")

AXES: dict[str, Any] = {"adc.bits": [4, 6], "noc.flit_bits": [16, 64], "threshold": [0.0, 0.2, 0.5]}
WORDS: dict[str, Any] = {"issue": ["wait", "speculate"], "hardware": ["dtsnn_32nm", "isaac_32nm"]}
SEARCHED: dict[str, Any] = {
    "axes": {"adc.bits": [4, 5, 6, 8], "noc.flit_bits": [16, 32, 64], "threshold": {"linspace": [0, 0.5, 6]}},
    "objectives": ["energy", "accuracy"], "trials": 5, "seed": 1, "set": {"mapping.placement": "rows"},
}  # fmt: skip
"""Too few points for two that differ in one axis alone."""


def _command(*words: str) -> None:
    assert main(words) == 0, words


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[Drawn]:
    """All figures, of small networks and of made-up results with extremes."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("every")
        write_files(folder)
        patch.chdir(folder)
        seen = watch(patch)
        _make(folder)
    return seen


def _make(folder: Path) -> None:
    shown = "--model", "net", "--inputs", "test.npz", "--validation", "held.npz"
    _command("compare", *shown, "--out", "compared", "--quiet")
    _command("compare", *shown, "--timesteps", "1", "--out", "one", "--quiet")
    _command("compare", *shown, "--thresholds", "each", "--paper", "--out", "each", "--quiet")
    for chips in ("1", "2"):
        chip = "--hardware", "dtsnn_32nm_nonideal", "--chips", chips
        _command("compare", *shown, *chip, "--out", f"chips{chips}", "--quiet")
    _command("run", *shown[:4], "--policy", "static", "--out", "ran", "--quiet")
    _command("stream", *shown, "--out", "streamed", "--quiet")
    _command("map", "--model", "net", "--out", "mapped")
    _command("map", "--model", "vgg16_running_cifar10", "--out", "mapped_large")
    _command(
        "map", "--model", "vgg16_running_cifar10", "--hardware", "dtsnn_32nm_package", "--out", "package"
    )
    _command("map", "--model", "net", *shown[4:], "--optimise", "area", "--out", "found")
    together = (*(f"--image={k}" for k in range(6)), "--issue=interleave:6")
    for how in (("--image=0",), ("--image=0", "--image=1"), ("--issue=speculate",), together):
        _command("timeline", *shown, *how, "-o", "t.json", "--png", "t.png")
    for name, axes in (("swept", AXES), ("words", WORDS)):
        write_spec(folder, base(axes=axes), f"{name}.yaml")
        _command("sweep", f"{name}.yaml", "--out", name, "--quiet")
    write_spec(folder, base(**SEARCHED), "search.yaml")
    _command("search", "search.yaml", "--out", "searched", "--quiet")
    for name in ("compared", "one", "each", "ran", "swept", "words", "searched"):
        _command("report", name, "--quiet")
    _command("validate", "--out", "validated")
    page_contents(reproduction(2), pictures())
    results = [compare_result(images=20), compare_result(images=20, timesteps=16), run_result(images=20),
               compare_result(images=20, timesteps=200), stream_result()]  # fmt: skip
    for k, result in enumerate(results):
        write_folder(result, folder / f"made_up_{k}")


def test_every_function_that_makes_a_figure_is_looked_at(every: list[Drawn]) -> None:
    assert makers_of_figures() - {maker for drawn in every for maker in drawn.makers} == set()


def test_all_figures_come_from_the_function_that_knows_their_widths() -> None:
    root = Path(__file__).parents[2]
    made = {
        path.name
        for folder in ("imcsim", "benchmarks")
        for path in (root / folder).rglob("*.py")
        if re.search(r"\b(Figure|subplots|savefig)\(", path.read_text(encoding="utf-8"))
    }
    assert made == {"drawing.py"}


def test_no_figure_has_a_fault(every: list[Drawn]) -> None:
    """Widths of a column or a page; nothing beyond the paper, no words on words or on curves, no letters too
    small to read, no colour without a name.
    """
    found = {f"{drawn.name}: {fault}" for drawn in every for fault in faults(drawn)}
    assert sorted(found) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f, a: None, None),
        (lambda f, a: f.set_figwidth(4.2), "is 4.2 inches wide"),
        (lambda f, a: f.legend([*a.lines, *a.lines], ["a name that is longer than half a column is"] * 2,
                               ncols=2, loc="outside upper center"), "is cut at the left"),
        (lambda f, a: a.plot([1.0], [1.0], marker="*", markersize=200, clip_on=False), "is cut at the"),
        (lambda f, a: [a.set_ylim(0, 1), a.plot([1], [1], marker="s", color="C0", label="top")],
         "the axes cut a mark of 'top'"),
        (lambda f, a: a.plot([1], [1], marker="s", markersize=3, color="C0"), None),  # whole
        (lambda f, a: a.text(0.5, 0.5, "on the curve"), "'on the curve' lies on a curve"),
        (lambda f, a: [a.vlines([0.15], 0, 1, color="C0"), a.text(0.1, 0.8, "on the bar")],
         "'on the bar' lies on a bar"),
        (lambda f, a: [a.text(0.1, y, "words") for y in (0.8, 0.82)], "'words' lies on 'words'"),
        (lambda f, a: a.text(0.1, 0.8, "small", fontsize=4), "'small' has letters of 4.0 points"),
        (lambda f, a: a.plot([0, 1], [0.2, 0.1], color="#123456"), "no legend names #123456"),
        (lambda f, a: a.fill_between([0, 1], [0, 0.1], color="#123456"), "no legend names #123456"),
        (lambda f, a: a.axvspan(0, 0.1, color="#123456"), None),  # as bars, whose axis says what they are
    ],
)  # fmt: skip
def test_the_measure_sees_what_it_looks_for(spoil: Any, said: str | None) -> None:
    """In a figure without a fault until one is put in."""

    def spoilt() -> dict[str, Figure]:
        made, (axes,) = drawing.figure()
        axes.plot([0, 1], [0, 1])
        spoil(made, axes)
        return {"spoilt": made}

    with pytest.MonkeyPatch.context() as patch:
        seen = watch(patch)
        drawing.draw(spoilt)
    found = list(faults(seen[0]))
    assert (found == []) if said is None else any(fault.startswith(said) for fault in found), found
