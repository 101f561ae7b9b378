"""Cells that move charge: energy, time and area against closed forms; both fidelities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import Simulation, simulate
from imcsim.timing import Issue, Timing
from imcsim.validate.chips import Counts

CELLS: dict[str, Any] = {
    "cells.kind": "capacitive", "cells.capacitor_ff": 2.0, "cells.swing_v": 0.5, "cells.rows": 8,
    "cells.columns": 16, "cells.cell_bits": 2, "cells.encoding": "differential",
    "encoder.mode": "recompute", "mapping.replication": "none",
}  # fmt: skip


def chip(**changes: Any) -> Hardware:
    return imcsim.hardware.load("dtsnn_32nm", CELLS | {k.replace("__", "."): v for k, v in changes.items()})


def network() -> Network:
    rng, ones, classes = np.random.default_rng(3), np.ones(5), np.ones(3)
    nodes = (
        Conv2d("conv", (INPUT,), rng.integers(-7, 8, (5, 12, 1, 1)).astype(np.int8), ones / 40, 0 * ones),
        LIF("fire", ("conv",), 0.5, 1.0, "hard"),
        Flatten("flatten", ("fire",)),
        Linear("fc", ("flatten",), rng.integers(-7, 8, (3, 20)).astype(np.int8), classes, 0 * classes),
    )
    return Network("charge", (12, 2, 2), 3, 0.125, 3, 2, 4, nodes)


def played(hardware: Hardware, fidelity: str = "burst") -> Simulation:
    pixels = np.random.default_rng(4).integers(0, 8, (2, 12, 2, 2)).astype(np.uint8)
    images = Inputs(pixels, np.zeros(2, np.int64), "made", "unknown", "", 3)
    timing = Timing(2, Issue(), fidelity=fidelity)  # type: ignore[arg-type]
    return simulate(make_chip(network(), hardware, images, timing), images)


@pytest.mark.parametrize("drive", ["bits", "pulses"])
def test_energy_is_c_v_squared_of_what_toggles(drive: str) -> None:
    hardware = chip(cells__input_drive=drive)
    ran = played(hardware)
    counts, config = Counts(ran, 1), hardware.config
    levels = counts.by_event[Event.ACTIVE_LEVELS][1]
    conversions = counts.by_event[Event.CONVERSIONS][1]
    # Two row blocks of 5 outputs with 2 cells of either sign at 4 positions, once for each bit or once.
    assert conversions == 2 * 5 * 4 * 4 * (3 if drive == "bits" else 1)
    # 2 fF a level; a column of 8 cells, 4 x 32 nm of wire (0.2 fF/um) and the least drain (0.0453 fF) each.
    column_ff = 8 * (0.0453 + 0.2 * 4 * 0.032)
    expected = (levels * 2.0 + conversions * column_ff) * 0.5**2 * 1e-3
    assert counts.energy_pj(layers=["conv"])["cells"] == pytest.approx(expected)
    assert config.cells.array(config).bitline_ff == pytest.approx(column_ff)


def test_inputs_that_are_voltages_move_charge_in_proportion() -> None:
    levels, pulses = (played(chip(cells__input_drive=drive)) for drive in ("levels", "pulses"))
    assert np.array_equal(levels.activity.outputs, pulses.activity.outputs)
    counts, of_pulses = (Counts(ran, 1) for ran in (levels, pulses))
    # Three bits: 7 is the whole swing; counted in 255ths of it, image by image.
    each = of_pulses.by_event[Event.ACTIVE_LEVELS][1]
    assert counts.by_event[Event.ACTIVE_LEVELS][1] == pytest.approx(each * 255 / 7, abs=1)
    conversions = counts.by_event[Event.CONVERSIONS][1]
    assert conversions == of_pulses.by_event[Event.CONVERSIONS][1]
    column_ff = 8 * (0.0453 + 0.2 * 4 * 0.032)
    expected = (each / 7 * 2.0 + conversions * column_ff) * 0.5**2 * 1e-3
    assert counts.energy_pj(layers=["conv"])["cells"] == pytest.approx(expected, rel=1e-4)
    # A read lasts as long as that of a single bit.
    config = levels.chip.config
    assert config.read_cycles(3) == config.sense_cycles
    assert config.reads_of(3) == 1
    assert Event.COLUMN_STEPS not in {e for e, n in counts.by_event.items() if n.any()}


def test_voltages_are_for_capacitive_cells() -> None:
    with pytest.raises(ImcsimError, match=r"use cells\.kind capacitive"):
        imcsim.hardware.load("dtsnn_32nm", {"cells.input_drive": "levels"})


def test_nothing_flows_once_it_has_settled() -> None:
    short, long = (Counts(played(chip(cells__read_pulse_ns=pulse)), 1).energy_pj() for pulse in (2.0, 200.0))
    assert short["cells"] == long["cells"]
    assert short["clamp"] == short["sample_hold"] == 0
    config = chip().config
    assert config.clamp.area_um2(config) == config.sample_hold.area_um2(config) == 0


def test_estimates_by_hand() -> None:
    config = chip(cells__capacitor_ff="estimate", cells__cell_bits=3, cells__swing_v="supply").config
    um2 = 4 * 12 * 0.032**2
    assert config.cells.figure("capacitor_ff", config) == pytest.approx(1.5 * um2 / 7)
    array = config.cells.array(config)
    cell_ff = 1.5 * um2
    column_ff = array.bitline_ff + 8 * cell_ff
    tau_ns = (82941 * cell_ff + array.bitline_ohm * column_ff / 2) * 1e-6
    expected = array.wordline_rise_ns + 2 * tau_ns * math.log(2) * 9
    assert config.cells.pulse_ns(config) == pytest.approx(expected)
    level = config.cells.charges(config)[Event.ACTIVE_LEVELS]
    assert level == pytest.approx(1.5 * um2 / 7 * 0.9**2 * 1e-3)


def test_both_fidelities_agree() -> None:
    fine, quick = (played(chip(cells__input_drive="pulses"), kind) for kind in ("reference", "burst"))
    assert np.array_equal(fine.static.latency_ns, quick.static.latency_ns)
    assert np.array_equal(fine.static.energy_pj, quick.static.energy_pj)


def test_capacitors_that_differ_from_cell_to_cell_cost_what_they_are() -> None:
    plain, spread = (
        Counts(played(chip(nonideal__variation__sigma=sigma)), 1).energy_pj(layers=["conv"])["cells"]
        for sigma in (0, 0.01)
    )
    assert spread != plain
    assert spread == pytest.approx(plain, rel=0.02)
