"""Writing the weights once, against closed forms by hand; and the hypothesis about DT-SNN's accounting."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from networks import random_images, random_network

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware.accounting import HYPOTHESIS, PERIPHERALS
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.report.documents import csv_tables
from imcsim.results.model import to_json
from imcsim.results.run import RunResult
from imcsim.studies.comparison import compare, run
from imcsim.studies.settings import CompareOptions
from imcsim.studies.streaming import stream
from imcsim.validate.by_hand import one_read, ones

CELLS = 64 * 32 + 32 * 10
"""Of `one_read`: 64 inputs meet 32 channels, those 10 classes; a weight of 4 bits takes a cell."""


def network() -> Network:
    return random_network(np.random.default_rng(11), depth=2, classes=5, timesteps=4, channels=8)


def images(shown: Network, count: int = 4) -> Inputs:
    rng = np.random.default_rng(1)
    pixels = random_images(rng, shown.input_shape, count)
    return Inputs(pixels, rng.integers(0, shown.classes, count), "images", "unknown", "", shown.classes)


def written(**overrides: Any) -> RunResult:
    shown = one_read()
    hardware = imcsim.hardware.load("dtsnn_32nm", {k.replace("__", "."): v for k, v in overrides.items()})
    return run(shown, hardware, ones(shown), None, CompareOptions(workers=1, timesteps=1), policy="static")


def test_cells_are_written_with_pulses_and_verified() -> None:
    cost = written().outcome.programming
    slices = cost.cells // CELLS
    assert cost.cells == slices * CELLS
    # 1.5 V for 1 us over the mean of 20 and 200 kOhm: 2.25 x 27.5 uS x 1 us; and a conversion behind it.
    config = imcsim.hardware.load("dtsnn_32nm").config
    assert cost.pulse_energy_pj == pytest.approx(2.25 * 27.5)
    assert cost.verify_energy_pj == config.adc.conversion_energy_pj(config)
    # A threshold and a bias of 16 bits for each of the 32 neurons, in register files.
    bit = config.parameter_store.figure("bit_write_energy_pj", config)
    assert cost.parameters_energy_pj == pytest.approx(32 * 32 * bit)
    cells_pj = cost.cells * 8.5 * (61.875 + cost.verify_energy_pj)
    assert cost.energy_pj == pytest.approx(cells_pj + 32 * 32 * bit, rel=1e-12)
    # The crossbars of both layers share one set of write access, which writes cell after cell.
    assert cost.cells_in_turn % 4096 == 0
    assert cost.time_ns == pytest.approx(cost.cells_in_turn * 8.5 * (1000 + cost.verify_ns))
    assert cost.source.startswith("est: ")


def test_amortised_is_a_hundredth_of_all_energy() -> None:
    result = written()
    cost, each = result.outcome.programming, result.outcome.energy_pj
    assert cost.inferences_of_equal_energy == pytest.approx(cost.energy_pj / each)
    spent = cost.energy_pj + (cost.amortised_inferences or 0.0) * each
    assert cost.energy_pj / spent == pytest.approx(0.01)


def test_a_chip_may_say_how_it_is_written() -> None:
    plain, given = written().outcome, written(programming__pulses=4.0, programming__cells_at_once=64).outcome
    words = plain.programming.parameters_energy_pj
    assert given.programming.parameters_energy_pj == words
    assert given.programming.energy_pj - words == pytest.approx(
        (plain.programming.energy_pj - words) * 4 / 8.5
    )
    assert given.programming.time_ns == pytest.approx(plain.programming.time_ns * 4 / 8.5 / 64)
    assert given.energy_pj == plain.energy_pj
    sram = written(programming__method="sram").outcome.programming
    assert (sram.pulses, sram.verify_ns) == (1, 0)
    assert sram.energy_pj == pytest.approx(sram.cells * 1e-3 * 0.81 + words)
    assert written(programming__method="rram").outcome.programming == plain.programming
    with pytest.raises(ImcsimError, match=r"programming\.method"):
        written(programming__method="flash")


def test_a_chip_that_says_nothing_has_the_hash_it_had() -> None:
    plain = imcsim.hardware.load("dtsnn_32nm")
    same = imcsim.hardware.load("dtsnn_32nm", {"accounting": "every_event", "programming.cells_at_once": 1})
    other = imcsim.hardware.load("dtsnn_32nm", {"accounting": "peripherals_once"})
    assert plain.sha256 == same.sha256 != other.sha256


@pytest.mark.parametrize("gating", ["none", "idle_tiles"])
def test_peripherals_once_is_their_energy_of_one_timestep(gating: str) -> None:
    shown = network()
    figures: dict[str, list[dict[str, float]]] = {}
    for accounting in ("every_event", "peripherals_once"):
        chip = imcsim.hardware.load("dtsnn_32nm", {"accounting": accounting, "clock.gating": gating})
        runs = [
            run(shown, chip, images(shown), None, CompareOptions(workers=1, timesteps=t), policy="static")
            for t in (1, 4)
        ]
        for one in runs:
            layers = [la.energy_pj for la in one.outcome.layer_efficiency]
            assert sum(layers) == pytest.approx(one.outcome.energy_pj)
        figures[accounting] = [{c.name: c.energy_pj for c in one.outcome.components} for one in runs]
    (one, four), (guess_one, guess_four) = figures.values()
    assert guess_one == pytest.approx(one)
    expected = {name: one[name] if name in PERIPHERALS else pj for name, pj in four.items()}
    assert guess_four == pytest.approx(expected)
    assert sum(guess_four.values()) < sum(four.values())


def test_every_report_says_that_it_is_a_hypothesis() -> None:
    shown = network()
    chip = imcsim.hardware.load("dtsnn_32nm", {"accounting": "peripherals_once"})
    options = CompareOptions(workers=1, threshold=0.5)
    ran = run(shown, chip, images(shown), None, options)
    for result in (
        ran,
        compare(shown, chip, images(shown), None, options),
        stream(shown, chip, images(shown), None, options),
    ):
        assert result.warnings[0] == HYPOTHESIS
        assert json.loads(to_json(result))["meta"]["hardware"]["accounting"] == "peripherals_once"
        for name, text in csv_tables(result).items():
            lines = text.splitlines()
            assert lines[0].endswith(",accounting"), name
            assert all(line.endswith(",peripherals_once") for line in lines[1:]), name
    plain = run(shown, imcsim.hardware.load("dtsnn_32nm"), images(shown), None, options)
    assert "accounting" not in to_json(plain)
    assert not any("accounting" in text.splitlines()[0] for text in csv_tables(plain).values())
    # Under `wait` a stream is its images one after the other, by this accounting, too.
    assert stream(shown, chip, images(shown), None, options).energy_pj == pytest.approx(
        ran.outcome.energy_pj, rel=1e-6
    )
