"""The benchmarks run, end with a ratio, and their tables are what the files say. No time is asserted."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import forward

import imcsim.hardware
import imcsim.inputs

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
RATIO = re.compile(r"ratio: \d+(\.\d+)?(e[+-]\d+)?")


Load = Callable[[str], Any]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a module of the benchmarks; names that tests have too stay theirs."""
    names = {path.stem for path in BENCHMARKS.glob("*.py")}
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(others)


@pytest.fixture
def common(load: Load) -> Any:
    return load("common")


def quick(script: str, *more: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(BENCHMARKS / script), "--quick", *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_script_without_peers_runs() -> None:
    before = (BENCHMARKS / "README.md").read_bytes()
    assert RATIO.fullmatch(quick("startup.py")[-1])
    assert (BENCHMARKS / "README.md").read_bytes() == before, "a quick run writes nothing"


@pytest.mark.slow
@pytest.mark.parametrize("script", ["memory.py", "scaling.py", "timing_fidelity.py", "sweep_reuse.py"])
def test_more_scripts_without_peers_run(script: str) -> None:
    assert RATIO.fullmatch(quick(script)[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        "compare_vs_torch.py",
        "functional_vs_frameworks.py",
        "large_networks.py",
        "vgg9_image.py",
        "sanafe_events.py",
        "training_step.py",
    ],
)
def test_scripts_with_peers_run_or_say_which_is_missing(script: str) -> None:
    last = quick(script)[-1]
    assert RATIO.fullmatch(last) or re.fullmatch(r"skipped: .* is not installed.*", last)


def test_a_peer_that_is_missing_is_named(tmp_path: Path) -> None:
    lines = quick("sanafe_events.py", "--python", str(tmp_path / "python"))
    assert lines == [
        f"skipped: SANA-FE is not installed for {tmp_path / 'python'} (pip install sanafe; see --help)"
    ]


def test_all_runs_every_script_that_there_is() -> None:
    text = (BENCHMARKS / "all.py").read_text()
    shared = {"all.py", "common.py", "networks.py", "nonideal_figures.py", "peers.py", "sanafe_peer.py"}
    apart = {
        "aihwkit_peer.py",
        "ann_crossover.py",
        "cluster.py",
        "issue_policies.py",
        "ir_drop.py",
        "mapping_search.py",
        "neurosim.py",
        "nonideal_study.py",
        "reload_study.py",
        "spikesim_counter.py",
        "structure.py",
    }  # not of speed, or without a peer
    found = {path.name for path in BENCHMARKS.glob("*.py")} - shared - apart
    assert {script for script in found if f'"{script}"' not in text} == set()


# --- the tables


def test_the_pages_table_is_that_of_the_results(common: Any) -> None:
    page = common.PAGE.read_text(encoding="utf-8")
    assert common.with_table(page, common.read()) == page


def test_the_scaling_table_is_that_of_the_file(load: Load) -> None:
    scaling = load("scaling")
    page = (ROOT / "docs" / scaling.PAGE).read_text(encoding="utf-8")
    assert scaling.with_table(page, scaling.read()) == page


def test_the_table_of_reloads_is_that_of_the_file(load: Load) -> None:
    study = load("reload_study")
    page = (ROOT / "docs" / study.PAGE).read_text(encoding="utf-8")
    assert study.table(study.read()) in page
    # The closed form: at the break-even nothing is saved, below it something is.
    at = study.break_even(1.945, 1.945)
    assert study.expected(1.945, 1.945, np.array([at]))[0] == pytest.approx(0)
    assert study.expected(1.945, 1.945, np.array([0.5 * at]))[0] > 0


@pytest.mark.parametrize("script", ["ann_crossover", "reload_study", "ir_drop", "scaling", "nonideal_study"])
def test_the_figures_of_the_tables_are_a_page_wide_and_within(load: Load, script: str) -> None:
    from drawn import faults, watch

    from imcsim.report.figures.drawing import draw

    study = load(script)
    rows = study.read_csv() if script == "ir_drop" else study.read()
    with pytest.MonkeyPatch.context() as patch:
        seen = watch(patch)
        if script == "nonideal_study":
            load("nonideal_figures").draw_figures(rows)
        else:
            draw(lambda: {script: (study.drawn if hasattr(study, "drawn") else study.figure)(rows)})
    assert [one.figure.get_figwidth() for one in seen] == [7.0] * len(seen) != []
    assert [fault for one in seen for fault in faults(one) if "wide" in fault or "cut" in fault] == []


def test_neurosim_s_layers_add_up_and_every_component_has_one_group(load: Load) -> None:
    neurosim = load("neurosim")
    them = neurosim.theirs()
    for name, each in them["layers"].items():
        parts = each["adc_pj"] + each["accumulation_pj"] + each["other_pj"]
        assert parts == pytest.approx(each["dynamic_pj"], rel=1e-4), name
        assert each["buffer_pj"] + each["interconnect_pj"] < each["other_pj"]
        times = each["adc_ns"] + each["accumulation_ns"] + each["other_ns"]
        assert times == pytest.approx(each["latency_ns"], rel=1e-4), name
    config = imcsim.hardware.load("dtsnn_32nm", neurosim.CHIP).config
    grouped = [name for names in neurosim.GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) <= {name for name, _ in config.components()}
    settings = them["settings"]
    assert (config.cells.r_on_ohm, config.cells.r_off_ohm) == (settings["r_on_ohm"], settings["r_off_ohm"])
    assert config.technology.node_nm == settings["technode"]
    assert config.cells.v_read_v == settings["read_voltage_v"]
    assert f"{config.cells.rows} x {config.cells.columns}" == settings["subarray"]


@pytest.mark.slow
def test_the_page_has_the_tables_beside_neurosim(load: Load) -> None:
    neurosim = load("neurosim")
    page = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    for cells in neurosim.tables():
        for line in cells:
            assert "| " + " | ".join(line) + " |" in page


def test_a_row_replaces_that_of_the_same_measure_and_processor(common: Any, tmp_path: Path) -> None:
    def row(**changes: str) -> dict[str, str]:
        return {name: name for name in common.COLUMNS} | changes

    page = tmp_path / "page.md"
    page.write_text(f"before\n{common.BEGIN}\nold\n{common.END}\nafter\n")
    rows: list[dict[str, str]] = []
    for new in (row(ratio="1"), row(ratio="2", measures='with a comma, and "quotes"'), row(ratio="3")):
        rows = common.merged(rows, new)
    rows = common.merged(rows, row(ratio="4", processor="another"))
    assert sorted(one["ratio"] for one in rows) == ["2", "3", "4"]
    common.write(rows, tmp_path / "results.csv", page)
    assert common.read(tmp_path / "results.csv") == rows
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.count("\n| `script` |") == len(rows)
    assert "old" not in text


def test_a_ratio_is_the_last_line(common: Any, capsys: pytest.CaptureFixture[str]) -> None:
    common.finish("x.py", "m", ours="1 s", theirs="12.34 s", ratio=12.34, peak=(1.0, 2.4), save=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "ratio: 12.3"
    assert "peak memory, MB, ours / theirs: 1 / 2" in lines


# --- taking turns


def test_sides_take_turns_in_processes_of_their_own(common: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "REST_SECONDS", 0.0)
    order: list[str] = []

    def run(name: str) -> tuple[float, int]:
        order.append(name)
        return float(len(order)), len(order)

    turns = common.by_turns({"a": lambda: run("a"), "b": lambda: run("b")}, 3)
    assert order == ["a", "b"] * 3
    assert (turns["a"].median, turns["b"].median, turns["b"].out) == (3.0, 4.0, 6)


def test_memory_of_a_side_is_its_own(common: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is large when it starts another does not count for it."""
    lines = "def make(size):\n    held = bytearray(b'x') * size\n    return lambda: len(held)\n"
    (tmp_path / "a_side_that_holds.py").write_text(lines)
    monkeypatch.syspath_prepend(str(tmp_path))
    make = importlib.import_module("a_side_that_holds").make
    ballast = np.ones(300_000_000 // 8)
    with common.Side(make, 50_000_000) as side:
        held = side.run()[1]
        peak = side.peak_mb()
    assert held == 50_000_000
    assert 50 < peak < 290, "MB; this process has more"
    assert common.peak_mb() > 300
    assert ballast.size


# --- peers run the same network


@pytest.mark.parametrize("peer", ["PyTorch", "snnTorch", "SpikingJelly"])
def test_peers_give_the_same_outputs_in_any_order(peer: str, load: Load) -> None:
    """Against the plain equations in numpy."""
    networks, peers = load("networks"), load("peers")
    if not peers.there(peer):
        pytest.skip(peers.missing(peer))
    net = networks.spiking("small", (8, "P", 12, "P"))
    images = imcsim.inputs.load("cifar10_test", 5).images
    wanted = forward(net, images, net.timesteps)["fc"].transpose(1, 0, 2)
    for together in (True, False):
        for last, apart in ((True, False), (False, True)):
            play = peers.runner(peer, net, peers.Way(2, together, last, apart))
            for _ in range(2):  # nothing stays from run to run
                np.testing.assert_allclose(play(images), wanted, atol=1e-3)


@pytest.mark.parametrize("make", ["resnet18", "large_vgg16"])
def test_large_networks_are_what_they_say_and_run_in_pytorch(make: str, load: Load) -> None:
    """Shapes and rates, and residual sums of the peer against the plain equations in numpy."""
    networks, peers = load("networks"), load("peers")
    net = getattr(networks, make)(32, 10, 16)
    assert len(net.weighted) == {"resnet18": 21, "large_vgg16": 14}[make]
    images = networks.enlarged("cifar10_test", 3, 32).images
    assert images.shape == (3, 3, 32, 32)
    for rate in networks.rates(net, images).values():
        assert 0.05 < rate < 0.25
    if not peers.there("PyTorch"):
        pytest.skip(peers.missing("PyTorch"))
    wanted = forward(net, images, net.timesteps)["fc"].transpose(1, 0, 2)
    for together in (True, False):
        found = peers.runner("PyTorch", net, peers.Way(2, together, True, False))(images)
        # A membrane that ends on the threshold may fall to either side of it; most images meet none.
        assert np.isclose(found, wanted, atol=1e-3).all((1, 2)).any()


def test_the_networks_of_the_benchmarks(load: Load) -> None:
    networks = load("networks")
    net = networks.vgg9()
    assert [(n.weight.shape[1], n.weight.shape[0]) for n in net.weighted[:7]] == [
        (3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)
    ]  # fmt: skip
    wide = networks.vgg16()
    assert [len(n.weight) for n in wide.weighted[:-1]] == [c for c in networks.VGG16 if c != "P"]
    small = networks.spiking("small", (8, 8, "P", 12))
    for rate in networks.rates(small).values():
        assert 0.05 < rate < 0.25


def test_sanafe_synapses_are_counted_one_by_one(load: Load) -> None:
    sanafe = load("sanafe_events")
    net, spikes = sanafe.network(3)
    assert spikes.shape == (1, 4, 2, 28, 28)
    found, side = 0, 28
    for node in net.weighted[:-1]:
        side -= 2
        found += node.weight.size * side * side
    assert sanafe.synapses(3) == found + net.weighted[-1].weight.size
