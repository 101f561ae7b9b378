"""`imcsim validate`: its rows, its verdicts, the page, and what it claims about the estimates."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import imcsim.hardware
import imcsim.validate
from imcsim.commands.cli import main
from imcsim.functional.program.program import build
from imcsim.functional.run import ideal_converters, run
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.mapping import floorplan, place
from imcsim.network import problems, shapes
from imcsim.network.graph import Conv2d, Network
from imcsim.report.terminal import validation as report
from imcsim.simulation.chip import numerics
from imcsim.validate import (
    FITTED,
    Accounting,
    AssumptionOutcome,
    Fit,
    JudgedRows,
    Validation,
    ValidationRow,
    Verification,
    isaac_rows,
    spikesim_rows,
    validate,
    verify,
)
from imcsim.validate.assumptions import ASSUMPTIONS
from imcsim.validate.by_hand import by_hand_rows, one_row, ones
from imcsim.validate.chips import Counts, changed, on_other_chip, simulated
from imcsim.validate.dtsnn import (
    CROSSBARS,
    PERIPHERALS,
    SPIKE_RATE,
    TIMESTEPS,
    Vgg16,
    curves,
    dtsnn_rows,
    growth_rows,
    intercept,
    vgg16_run,
)
from imcsim.validate.hypotheses import accountings, peripherals_once
from imcsim.validate.networks import random_images, spikesim_vgg9, vgg16
from imcsim.validate.spikesim import LISTED_POOLS, TRUE_POOLS

PAGE = (Path(__file__).parents[2] / "docs" / "validation.md").read_text(encoding="utf-8")


# Rows


@pytest.mark.parametrize(
    ("expected", "got", "allowed", "points", "deviation", "passed"),
    [
        (100.0, 100.9, 0.01, False, 0.009, True),
        (100.0, 98.9, 0.01, False, -0.011, False),
        (48.0, 48.0, 0.0, False, 0.0, True),
        (48.0, 49.0, 0.0, False, 1 / 48, False),
        (0.6, 0.7, 0.1 + 1e-12, True, 0.1, True),
        (0.0, 2.0, 1.0, True, 2.0, False),
        (10.0, 99.0, None, False, 8.9, None),
    ],
)
def test_deviation_and_verdict(
    expected: float, got: float, allowed: float | None, points: bool, deviation: float, passed: bool | None
) -> None:
    row = ValidationRow("isaac", "figure", expected, got, "mW", allowed, "somebody", "paper", points)
    assert row.deviation == pytest.approx(deviation)
    assert row.passed is passed
    assert row.document()["passed"] is passed


def test_only_rows_outside_fail_a_validation() -> None:
    good = ValidationRow("isaac", "a", 1.0, 1.0, "", 0.1, "s", "paper")
    shown, bad = replace(good, got=5.0, allowed=None), replace(good, got=5.0)
    fit = Fit({}, (1.0, 2.0, 97.0))
    assert Validation((good, shown), (), fit, ()).passed
    assert not Validation((good, shown, bad), (), fit, ()).passed
    assert Verification((good, shown)).passed
    assert not Verification((good, shown, bad)).passed


# Parts


def test_spikesim_s_figures_come_out_of_our_ledger() -> None:
    rows = {row.name: row for row in spikesim_rows()}
    assert all(row.passed for row in rows.values())
    assert rows["PEs of VGG9"].got == 48
    assert rows["tiles of VGG9"].got == 6
    listed = rows["energy, SpikeSim's layer list, T = 5"]
    assert (listed.expected, listed.allowed) == (15_906_934, 0.001)
    true = rows["energy, true convolution sizes, T = 5"]
    assert (true.expected, true.allowed) == (25.45e6, 0.005)
    shares = [row for row in rows.values() if row.name.startswith("share")]
    # Temporary buffers and subtractors are what the list of shares leaves out.
    assert 99.5 < sum(row.got for row in shares) < 100


def test_a_wrong_price_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    load = imcsim.hardware.load

    def dearer(name: str) -> Hardware:
        return load(name, {"tile_buffer.access_energy_pj": 399})

    monkeypatch.setattr(imcsim.hardware, "load", dearer)
    outside = {row.name for row in spikesim_rows() if row.passed is False}
    assert outside == {"energy, SpikeSim's layer list, T = 5", "share of the tile buffer"}


@pytest.mark.parametrize(
    ("pools", "sizes"),
    [(LISTED_POOLS, [32, 16, 16, 8, 8, 8, 4]), (TRUE_POOLS, [32, 32, 16, 16, 8, 8, 8])],
)
def test_spikesim_s_layer_lists(pools: tuple[int, ...], sizes: list[int]) -> None:
    network = spikesim_vgg9(pools)
    assert not list(problems(network))
    convs = [node for node in network.nodes if isinstance(node, Conv2d)]
    assert [node.weight.shape[1] for node in convs] == [3, 64, 64, 128, 128, 256, 256]
    assert [shapes(network)[node.name][1] for node in convs] == sizes


def test_isaac_and_hand_rows_pass() -> None:
    rows = [*isaac_rows(), *by_hand_rows()]
    assert all(row.passed for row in rows)
    assert {row.allowed for row in rows if row.part == "isaac"} == {0.05}


# DT-SNN's network


@pytest.fixture(scope="module")
def network() -> Network:
    return vgg16(SPIKE_RATE, 0)


def test_vgg16_is_the_paper_s(network: Network) -> None:
    assert not list(problems(network))
    config = imcsim.hardware.load("dtsnn_32nm", {"mapping.replication": "none"}).config
    plan = floorplan(place(network, config), config)
    assert plan.crossbars_used == 7192
    assert sum(node.weight.size for node in network.weighted) == pytest.approx(14.72e6, rel=1e-3)
    assert all(abs(int(node.weight.min())) <= 127 for node in network.weighted)


def test_vgg16_s_neurons_fire_as_often_as_wanted(network: Network) -> None:
    images = random_images(network.input_shape, network.input_bits, 1, seed=0)
    program = build(network, numerics(imcsim.hardware.load("dtsnn_32nm").config).ideal())
    activity = run(program, images.images, 4, ideal_converters(program))
    sizes = [int(np.prod(shapes(network)[name])) for name in activity.neuron_layers]
    rates = activity.spikes[0].mean(axis=0) / sizes
    # The image that the thresholds were set on, without rounding ADCs: only the last bit may differ.
    assert rates == pytest.approx(np.full(13, SPIKE_RATE), abs=0.004)


def test_random_networks_are_the_same_every_time(network: Network) -> None:
    again = vgg16(SPIKE_RATE, 0)
    for a, b in zip(network.weighted, again.weighted, strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.scale, b.scale)


def test_groups_of_components_are_those_of_the_chip() -> None:
    names = {name for name, _ in imcsim.hardware.load("dtsnn_32nm").config.components()}
    assert names > PERIPHERALS | CROSSBARS
    assert not PERIPHERALS & CROSSBARS


def test_intercept() -> None:
    steps = np.arange(1, 9)
    assert intercept(0.443 + 0.557 * steps) == pytest.approx(0.443)
    assert intercept(7.0 * steps) == pytest.approx(0)
    # The paper's own figure: 4.9x at T = 8.
    assert intercept(np.array([1.0, *np.full(6, np.nan), 4.9])) == pytest.approx(0.443, abs=5e-4)


# Claims about the estimates


def test_only_cells_and_wordlines_depend_on_values() -> None:
    hardware, net = imcsim.hardware.load("dtsnn_32nm"), one_row()
    silent = Inputs(
        np.zeros((1, *net.input_shape), np.uint8), np.zeros(1, np.int64), "zeros", "unknown", "", net.classes
    )
    loud, quiet = (Counts(simulated(net, hardware, i, 2), 2).energy_pj() for i in (ones(net), silent))
    different = {name for name in loud if loud[name] != quiet[name]}
    assert different == {"cells", "wordline_driver", "write_access", "row_counter"}


@pytest.mark.parametrize("change", ASSUMPTIONS, ids=lambda change: change.name)
def test_a_change_is_what_the_loader_would_make_of_it(change: Any) -> None:
    loaded = imcsim.hardware.load("dtsnn_32nm", change.changes).config
    assert changed(imcsim.hardware.load("dtsnn_32nm").config, change.changes) == loaded


@pytest.mark.parametrize(
    ("changes", "played"),
    [({"htree.length_mm": 1.0}, False), ({"encoder.mode": "recompute"}, True), ({"noc.flit_bits": 16}, True)],
)
def test_values_taken_over_give_what_a_run_of_its_own_gives(changes: dict[str, Any], played: bool) -> None:
    net = one_row()
    images = random_images(net.input_shape, 1, 2, seed=3)
    ran = simulated(net, imcsim.hardware.load("dtsnn_32nm"), images, 3)
    other = on_other_chip(ran, changed(ran.chip.config, changes), images, played=played)
    own = simulated(net, imcsim.hardware.load("dtsnn_32nm", changes), images, 3)
    for a, b in zip(curves(other), curves(own), strict=True):
        assert a == pytest.approx(b)


def test_counts_price_to_the_run_s_energy() -> None:
    net = one_row()
    ran = simulated(net, imcsim.hardware.load("dtsnn_32nm"), ones(net), 3)
    for timesteps in (1, 2, 3):
        counts = Counts(ran, timesteps)
        assert sum(counts.energy_pj().values()) == pytest.approx(ran.static.energy_pj[0, timesteps - 1])
        by_layer = sum(sum(counts.energy_pj(layers=[name]).values()) for name in counts.layers)
        assert by_layer == pytest.approx(ran.static.energy_pj[0, timesteps - 1])


def test_only_estimates_are_fitted_and_within_their_range() -> None:
    hardware = imcsim.hardware.load("dtsnn_32nm")
    for key, values in FITTED.items():
        assert hardware.provenance[key].mark in ("est", "derived")
        block, field = key.split(".")
        assert min(values) <= getattr(hardware.config, block).figure(field, hardware.config) <= max(values)


# Tables, page, command


def sample(passed: bool = True) -> Validation:
    row = ValidationRow(
        "isaac", "power", 330, 327.0 if passed else 300.0, "mW", 0.05, "ISAAC", "paper", note="why"
    )
    shown = ValidationRow("dtsnn", "share", 45, 40.7, "%", None, "DT-SNN", "paper", points=True)
    outcome = AssumptionOutcome("links of 2 mm", "est", 0.0108, 7.82, (40.0, 37.5, 22.5), 39.2e6)
    counted = Accounting("peripherals once", True, 4.85, 0.45, 10.6, 8.0)
    return Validation((row, shown), (outcome,), Fit({"adc.bits": 5}, (45.0, 26.0, 29.0)), (counted,))


def text(result: JudgedRows, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, markup=False).print(report.validation_report(result))
    return stream.getvalue()


def test_the_report_says_what_it_compares() -> None:
    lines = [line.strip() for line in text(sample()).splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Validation: these published figures were not put in")
    start = next(at for at, line in enumerate(lines) if line.startswith("peripherals"))
    heading = " ".join(lines[start : start + 4])
    assert "peripherals" in heading
    assert "once" in heading
    assert "(hypothesis)" in heading
    counted = {line.rsplit(" ", 1)[0].strip(): line.split()[-1] for line in lines[start:] if line}
    figures = {"E(8) / E(1)": "4.85", "intercept": "0.450", "EDP(4) / EDP(1)": "10.60", "D(8) / D(1)": "8.00"}
    assert counted.items() >= figures.items()
    assert lines[-1] == "1 of 1 judged figures are within what is allowed"
    (power,) = (line.split() for line in lines if line.startswith("power"))
    assert power == ["power", "330", "327", "mW", "-0.91", "%", "5", "%", "paper", "ok"]
    (share,) = (line.split() for line in lines if line.startswith("share "))
    assert share == ["share", "45", "40.7", "%", "-4.3", "points", "paper", "shown"]
    checked = text(Verification(sample().rows))
    assert checked.startswith("Verification: these figures follow from what was put in")
    assert report.ASSUMPTIONS not in checked
    assert "1 of 1 judged" in checked
    outside = text(sample(passed=False))
    assert "0 of 1 judged figures are within what is allowed; outside: power" in outside
    assert "OUTSIDE" in outside


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The command with a sample in place of the long run; the list says whether its figures pass."""
    passes = [True]
    monkeypatch.setattr(imcsim.validate, "validate", lambda progress: sample(passes[0]))
    monkeypatch.setattr(imcsim.validate, "verify", lambda progress: Verification(sample(passes[0]).rows))
    return passes


@pytest.mark.parametrize("asked", [[], ["--verification"]])
@pytest.mark.parametrize("passed", [True, False])
def test_the_command_s_exit_status(
    replaced: list[bool], passed: bool, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    replaced[0] = passed
    assert main(["validate", *asked]) == (0 if passed else 1)
    printed = capsys.readouterr()
    assert "deviation" in printed.out
    assert printed.err == ""


@pytest.mark.usefixtures("rough_figures")
def test_the_command_writes_what_it_prints(
    replaced: list[bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--json", "-", "--out", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["passed"] is True
    assert document["rows"][0] | {"deviation": 0} == {
        "part": "isaac", "name": "power", "expected": 330, "got": 327.0, "unit": "mW", "allowed": 0.05,
        "source": "ISAAC", "mark": "paper", "points": False, "note": "why", "deviation": 0, "passed": True,
    }  # fmt: skip
    assert document["assumptions"][0]["shares"] == [40.0, 37.5, 22.5]
    assert "deviation" in printed.err
    written = sorted(p.name for p in (tmp_path / "new").iterdir())
    assert written == ["data", "index.html", "validation.json", "validation.md"]
    assert json.loads((tmp_path / "new" / "validation.json").read_text()) == document
    assert document["kind"] == "validation"
    assert document["accountings"][0]["hypothesis"] is True
    assert main(["validate", "--verification", "--json", "-", "--out", str(tmp_path / "new")]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked == {k: v for k, v in document.items() if k in checked} | {"kind": "verification"}
    assert sorted(checked) == ["kind", "passed", "rows", "version"]
    assert json.loads((tmp_path / "new" / "verification.json").read_text()) == checked
    assert (tmp_path / "new" / "verification.md").read_text().startswith("Verification: ")
    assert "Verification of imcsim" in (tmp_path / "new" / "index.html").read_text()
    assert main(["validate", "--json", str(tmp_path / "no" / "such" / "file.json")]) == 2


def test_the_page_holds_the_tables_that_come_quickly() -> None:
    for rows in (spikesim_rows(), by_hand_rows(), isaac_rows()):
        assert report.rows_markdown(rows) in PAGE
    for title in report.TITLES.values():
        assert f"### {title}" in PAGE


def test_tables_of_the_page_can_be_renewed() -> None:
    old = report.validation_markdown(sample())
    other = sample(passed=False)
    page = f"# Page\n\n{old}\n\nText after.\n".replace("### Fitted", "Between.\n\n### Fitted")
    new = report.renewed(page, report.validation_markdown(other))
    for block in report.validation_markdown(other).split("\n\n"):
        assert block.strip() in new
    assert "-0.91 %" in page
    assert "-0.91 %" not in new
    assert new.endswith("Text after.\n")
    assert "Between." in new
    assert report.renewed(new, old) == page
    with pytest.raises(ValueError, match="no heading"):
        report.renewed("# Page\n", old)


@pytest.mark.slow
def test_the_whole_verification_and_validation_pass_and_are_the_page() -> None:
    heard: list[tuple[str, int, int]] = []
    verification = verify(lambda *step: heard.append(step))
    assert [done for _, done, _ in heard] == list(range(1, heard[-1][2] + 1))
    heard.clear()
    validation = validate(lambda *step: heard.append(step))
    assert [done for _, done, _ in heard] == list(range(1, heard[-1][2] + 1))
    for result in (verification, validation):
        assert result.passed
        for block in report.validation_markdown(result).split("\n\n"):
            assert block.strip() in PAGE
        json.loads(report.validation_json(result))
        assert max(map(len, text(result).splitlines())) <= 80
    # What the page says in words.
    moved = {outcome.name: outcome for outcome in validation.outcomes}
    assert moved["no copies of layers"].intercept == pytest.approx(0.65, abs=0.01)
    assert moved["no copies of layers"].latency_ratio < 4
    others = [o.intercept for o in validation.outcomes if o.name != "no copies of layers"]
    assert max(others) < 0.065
    rows = {row.name: row for row in (*verification.rows, *validation.rows)}
    needed = rows["energy spent once an inference"].expected
    growth = rows["EDP at T = 4 over T = 1"]
    ours, what_if, of_shares, _ = validation.accountings
    for words in (
        f"within {-100 * rows['latency at T = 8 over T = 1'].deviation:.1f} %",
        f"our chip spends {100 * rows['intercept of E(T) / E(1)'].got:.0f} %",
        f"{needed:.1f} uJ would have",
        f"{10 * round(needed * 1e5 / 24_576):.0f} pJ for each",
        f"E(8) / E(1) is {rows['energy at T = 8 over T = 1'].got:.1f} here",
        f"EDP of T = 4 is {growth.got:.1f} times",
        f"at most {100 - 100 / growth.got:.1f} %",
        f"instead of {100 - 100 / growth.expected:.1f} %",
        f"E(8) / E(1) = {of_shares.energy_ratio:.2f} and EDP(4) / EDP(1) = {of_shares.edp_ratio:.1f}",
        f"E(8) / E(1) becomes {what_if.energy_ratio:.2f} instead of {ours.energy_ratio:.2f}",
    ):
        assert words in " ".join(PAGE.split()), words


@pytest.fixture(scope="module")
def vgg() -> Vgg16:
    return vgg16_run()


@pytest.mark.slow
def test_peripherals_once_is_our_energy_less_their_later_timesteps(vgg: Vgg16) -> None:
    energy, latency = curves(vgg.simulation)
    once = peripherals_once(vgg)
    assert once[0] == pytest.approx(energy[0])
    last = Counts(vgg.simulation, TIMESTEPS).energy_pj()
    first = Counts(vgg.simulation, 1).energy_pj()
    later = sum(last[name] - first[name] for name in PERIPHERALS)
    assert energy[-1] - once[-1] == pytest.approx(later)
    ours, what_if, of_shares, paper = accountings(vgg)
    assert [one.hypothesis for one in (ours, what_if, of_shares, paper)] == [False, True, True, False]
    assert ours.energy_ratio == pytest.approx(energy[-1] / energy[0])
    assert what_if.energy_ratio < ours.energy_ratio
    assert what_if.latency_ratio == ours.latency_ratio == pytest.approx(latency[-1] / latency[0])
    # By hand: 0.45 + 0.55 T at T = 8, and (0.45 + 0.55 x 4) x 4.
    assert of_shares.energy_ratio == pytest.approx(4.85)
    assert of_shares.intercept == pytest.approx(0.45)
    assert of_shares.edp_ratio == pytest.approx(10.6)
    assert (paper.energy_ratio, paper.latency_ratio) == (4.9, 8)


@pytest.mark.slow
def test_dtsnn_s_rows(vgg: Vgg16) -> None:
    rows = {row.name: row for row in (*growth_rows(vgg), *dtsnn_rows(vgg))}
    assert all(row.passed is not False for row in rows.values())
    energy, latency = curves(vgg.simulation)
    assert len(energy) == TIMESTEPS
    assert np.diff(latency) == pytest.approx(np.full(TIMESTEPS - 1, latency[1] - latency[0]))
    shares = [row.got for row in rows.values() if row.name.startswith("share")]
    assert sum(shares) == pytest.approx(100)
    got = {name: row.got for name, row in rows.items()}
    assert got["intercept of E(T) / E(1)"] + got["slope of E(T) / E(1)"] == pytest.approx(1)
    assert got["energy at T = 8 over T = 1"] == pytest.approx(1 + 7 * got["slope of E(T) / E(1)"])
