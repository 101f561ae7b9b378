"""Figures worked by hand in docs/timing.md against a simulation of the default chip.

The first network is one read: 64 one-bit inputs, all on, meet 64 x 32 weights of 8, whose two cells both have
level 8. The second one sends rows of 16 pixels x 32 channels from one tile to the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import imcsim.hardware
from imcsim.hardware.events import CHECKER_EVENTS
from imcsim.inputs import Inputs
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network
from imcsim.validate.chips import Counts, simulated
from imcsim.validate.row import ValidationRow

SOURCE = "docs/timing.md"
GIVEN = {
    "cells.read_pulse_ns": 7.9,
    "adc.conversion_cycles": 1,
    "adc.presets.kull_sar.conversion_energy_pj": 0.213,
    "wordline_driver.row_energy_pj": 0.032943,
    "technology.wire_energy_pj_per_mm": 0.1,
    "noc.router_energy_pj": 2.59,
    "noc.link_length_mm": 1.0,
    "checker.lookup_energy_pj": 1.49,
    "checker.multiply_energy_pj": 12.68,
    "checker.add_energy_pj": 0.21,
    "checker.compare_energy_pj": 0.0295,
    "checker.verdict_cycles": 0,
    "checker.verdict_energy_pj": 0,
}
"""Round figures that the page works with, in the place of estimates."""
DIGITS = 1e-3
"""The hand figures have three or four digits."""

CELL_FJ, LEVEL_FJ = 0.395, 0.237
"""``V^2 t G`` of a cell at level 0, and of each level more."""


def one_read() -> Network:
    """One crossbar read, and a classifier in the next tile."""
    nodes = (
        _conv("read", INPUT, np.full((32, 64, 1, 1), 8, np.int8)),
        LIF("fire", ("read",), 0.5, 1.0, "hard"),
        Flatten("flatten", ("fire",)),
        _linear("fc", "flatten", np.ones((10, 32), np.int8)),
    )
    return Network("one_read", (64, 1, 1), 1, 1.0, 10, 1, 8, nodes)


def one_row() -> Network:
    """Sixteen rows of 512 spikes to the next tile."""
    nodes = (
        _conv("sender", INPUT, np.ones((32, 3, 3, 3), np.int8)),
        LIF("fire", ("sender",), 0.5, 1.0, "hard"),
        _conv("receiver", "fire", np.ones((4, 32, 3, 3), np.int8), stride=4),
        LIF("fire2", ("receiver",), 0.5, 1.0, "hard"),
        Flatten("flatten", ("fire2",)),
        _linear("fc", "flatten", np.ones((10, 64), np.int8)),
    )
    return Network("one_row", (3, 16, 16), 1, 1.0, 10, 1, 8, nodes)


def by_hand_rows() -> list[ValidationRow]:
    """A read, its conversions, a packet, and the cycles of a whole image."""
    hardware = imcsim.hardware.load("dtsnn_32nm", GIVEN)
    read = simulated(one_read(), hardware, ones(one_read()), 1)
    counts = Counts(read, 1)
    energy = counts.energy_pj(layers=["read"])
    sent = simulated(one_row(), hardware, ones(one_row()), 1)
    packets = Counts(sent, 1).energy_pj(layers=["sender"])["noc"]
    driven = int(read.static.schedule.busy_cycles[read.chip.placement.parts_of(0)[0].tile])

    cycles = int(read.static.schedule.departure[0, 0])

    def row(name: str, expected: float, got: float, unit: str, allowed: float) -> ValidationRow:
        return ValidationRow("by_hand", name, expected, got, unit, allowed, SOURCE, "derived")

    return [
        row(
            "cells of a read: 64 rows x 64 cells at level 8",
            64 * 64 * (CELL_FJ + 8 * LEVEL_FJ) * 1e-3, energy["cells"], "pJ", DIGITS,
        ),
        row("wordline drivers of that read", 64 * 0.0329, energy["wordline_driver"], "pJ", 2 * DIGITS),
        row("cycles in which its crossbar is driven", 8, driven, "cycle", 0.0),
        row("its 64 conversions", 64 * 0.213, energy["adc"], "pJ", DIGITS),
        row("a packet of 16 x 32 spikes over 2 routers", 106.5, packets / 16, "pJ", DIGITS),
        row(
            "a check of 10 classes",
            11 * 0.0295 + 31 * 0.21 + 11 * 1.49 + 22 * 12.68,
            counts.energy_pj(events=CHECKER_EVENTS)["checker"], "pJ", DIGITS,
        ),
        row("an image of one read, from arrival to verdict", 94, cycles, "cycle", 0.0),
    ]  # fmt: skip


def ones(network: Network) -> Inputs:
    """One image with every pixel at 1."""
    images = np.ones((1, *network.input_shape), np.uint8)
    return Inputs(images, np.zeros(1, np.int64), "ones", "unknown", "", network.classes)


def _conv(name: str, source: str, weight: NDArray[np.int8], stride: int = 1) -> Conv2d:
    ones, pad = np.ones(weight.shape[0]), weight.shape[2] // 2
    return Conv2d(name, (source,), weight, ones, 0 * ones, (stride, stride), (pad, pad))


def _linear(name: str, source: str, weight: NDArray[np.int8]) -> Linear:
    ones = np.ones(weight.shape[0])
    return Linear(name, (source,), weight, 2.0**-6 * ones, 0 * ones)
