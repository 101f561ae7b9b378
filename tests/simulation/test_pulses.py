"""Inputs that drive their rows in pulses: values, counts, time and energy against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.functional.crossbars.crossbars import Crossbars
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.network.cells import to_cells
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network
from imcsim.network.rows import layout
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import Simulation, simulate
from imcsim.timing import Timing, parse
from imcsim.validate.chips import Counts

CHIP = {
    "cells.rows": 8, "cells.columns": 16, "cells.cell_bits": 3, "cells.encoding": "differential",
    "cells.input_drive": "pulses", "encoder.mode": "recompute", "mapping.replication": "none",
}  # fmt: skip
BITS, WEIGHT_BITS = 5, 4


def network(bits: int = BITS) -> Network:
    """A 3 x 3 convolution of several row blocks over pixels, and a classifier."""
    rng = np.random.default_rng(5)
    weight = rng.integers(-7, 8, (6, 3, 3, 3)).astype(np.int8)
    ones, classes = np.ones(6), np.ones(3)
    nodes = (
        Conv2d("conv", (INPUT,), weight, ones / 64, 0 * ones, (1, 1), (1, 1)),
        LIF("fire", ("conv",), 0.5, 1.0, "hard"),
        Flatten("flatten", ("fire",)),
        Linear("fc", ("flatten",), rng.integers(-7, 8, (3, 96)).astype(np.int8), classes, 0 * classes),
    )
    return Network("pulsed", (3, 4, 4), bits, 2.0**-bits, 3, 2, WEIGHT_BITS, nodes)


def images(bits: int = BITS, seed: int = 0, count: int = 3) -> Inputs:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 1 << bits, (count, 3, 4, 4)) * (rng.random((count, 3, 4, 4)) < 0.8)
    return Inputs(pixels.astype(np.uint8), np.zeros(count, np.int64), "made", "unknown", "", 3)


def hardware(**changes: Any) -> Hardware:
    return imcsim.hardware.load("dtsnn_32nm", CHIP | {k.replace("__", "."): v for k, v in changes.items()})


def played(chip: Hardware, fidelity: str = "burst", issue: str = "wait") -> Simulation:
    timing = Timing(2, parse(issue), fidelity=fidelity)  # type: ignore[arg-type]
    return simulate(make_chip(network(), chip, images(seed=1), timing), images())


# Values


def windows(inputs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Inputs ``[n, H, W, C]`` under a 3 x 3 window with a pad of 1, ``[n, H, W, rows]``, position by
    position.
    """
    padded = np.pad(inputs.astype(np.int64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    n, height, width, _ = inputs.shape
    found = [
        padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)
    ]  # kernel row, kernel column, channel
    return np.stack(found, axis=3).reshape(n, height, width, -1)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.integers(1, 8), st.integers(1, 10), st.integers(0, 6), st.integers(0, 1000))
def test_one_conversion_takes_the_sum_over_all_bits(bits: int, adc: int, shift: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-7, 8, (5, 3, 3, 3))
    at = layout((3, 3), 3, 8, "im2col")
    cells = to_cells(at.order(weight), WEIGHT_BITS, 2, "differential")
    levels = np.ascontiguousarray(cells.levels.reshape(-1, at.rows).T)
    crossbars = Crossbars(at, levels, cells.factor, cells.offset, most_pulses=(1 << bits) - 1)
    inputs = rng.integers(0, 1 << bits, (2, 4, 5, 3)).astype(np.uint8)
    shifts, largest = np.full(len(cells.factor), shift), (1 << adc) - 1
    out = np.empty((2, 4, 5, 5), np.int64)
    counts = crossbars.read(inputs, bits, shifts, largest, (1, 1), (1, 1), out)

    driven, expected, reads = windows(inputs), np.zeros_like(out), np.zeros(2, np.int64)
    half = (1 << shift) >> 1
    for block in range(at.blocks):
        rows = slice(8 * block, 8 * block + 8)
        sums = driven[..., rows] @ levels[rows].astype(np.int64)
        codes = np.minimum((sums + half) >> shift, largest) << shift
        expected += np.einsum("nhwsc,s->nhwc", codes.reshape(2, 4, 5, -1, 5), cells.factor)
        reads += (driven[..., rows] > 0).any(axis=3).sum(axis=(1, 2))
    assert np.array_equal(out, expected)
    whole = (1, 2, 3)
    assert counts[:, 0].tolist() == (driven > 0).sum(axis=whole).tolist()
    assert counts[:, 1].tolist() == (driven @ levels.sum(axis=1, dtype=np.int64)).sum(axis=(1, 2)).tolist()
    assert counts[:, 2].tolist() == reads.tolist()
    assert counts[:, 3].tolist() == driven.sum(axis=whole).tolist()


def test_with_ideal_converters_it_is_what_bits_give() -> None:
    pulsed, by_bits = (
        simulate(make_chip(network(), chip, images(seed=1), Timing(2, parse("wait"))), images())
        for chip in (
            hardware(adc__bits=14, adc__full_scale="ideal"),
            hardware(adc__bits=14, adc__full_scale="ideal", cells__input_drive="bits"),
        )
    )
    assert np.array_equal(pulsed.activity.outputs, by_bits.activity.outputs)
    assert np.array_equal(pulsed.activity.spikes, by_bits.activity.spikes)
    assert by_bits.activity.active_pulses is None
    assert pulsed.activity.pulses[:, :, 0].sum() > by_bits.activity.pulses[:, :, 0].sum()


# Counts, time, energy


def test_counts_follow_from_shapes_and_pixels() -> None:
    ran = played(hardware())
    counts = Counts(ran, 1).by_event
    layer = ran.chip.placement.layers[0]
    positions, blocks, slices = 16, 4, layer.slices
    reads = positions * blocks * layer.columns
    assert counts[Event.CROSSBAR_READS][1] == reads
    assert counts[Event.CONVERSIONS][1] == positions * blocks * 6 * slices
    assert counts[Event.COLUMN_STEPS][1] == counts[Event.CONVERSIONS][1] * ((1 << BITS) - 1)
    driven = windows(images().images.transpose(0, 2, 3, 1))
    rows, pulses = (driven > 0).sum() / 3, driven.sum() / 3
    assert counts[Event.ACTIVE_WORDLINES][1] == pytest.approx(rows * layer.columns)
    assert counts[Event.ACTIVE_CELLS][1] == pytest.approx(pulses * 6 * slices)
    # A spike is one pulse: the classifier's rows are driven for a cycle each.
    assert np.array_equal(ran.activity.pulses[:, :, 1], ran.activity.active_rows[:, :, 1])


def test_a_read_lasts_as_long_as_the_largest_value_may_drive_a_row() -> None:
    slow = played(hardware(cells__read_pulse_ns=3.0, adc__conversion_cycles=1, column_mux__columns_per_adc=1))
    first = slow.chip.placement.parts_of(0)[0].tile
    # Four rows of four positions, in both timesteps; the second read waits for no converter.
    assert slow.static.schedule.busy_cycles[first] % (16 * (31 + 3)) == 0
    assert slow.chip.config.read_cycles(BITS) == 31 + 3
    assert slow.chip.config.read_cycles(1) == 1 + 3


def test_energy_of_cells_is_ohm_s_law_over_the_pulses() -> None:
    chip = hardware(technology__clock_ns=2.0, cells__v_read_v=0.2, clamp__bias_ua=10.0)
    ran = played(chip)
    counts, config = Counts(ran, 1), chip.config
    driven = windows(images().images.transpose(0, 2, 3, 1)).sum() / 3
    levels = ran.activity.active_levels[:, 0, 0].mean()
    g_on, g_off, volt, clock = 1 / 20e3, 1 / 200e3, 0.2, 2.0
    cells = 6 * ran.chip.placement.layers[0].slices
    expected = volt**2 * clock * 1e3 * (driven * cells * g_off + levels * (g_on - g_off) / 7)
    assert counts.energy_pj(layers=["conv"])["cells"] == pytest.approx(expected)
    # The clamp holds its column for the pulses and while it settles: 10 uA at 0.9 V.
    conversions = counts.by_event[Event.CONVERSIONS][1]
    held_ns = 31 * clock + config.cells.pulse_ns(config)
    assert counts.energy_pj(layers=["conv"])["clamp"] == pytest.approx(
        conversions * 10 * 0.9 * held_ns * 1e-3
    )


@pytest.mark.parametrize("issue", ["wait", "pipeline"])
@pytest.mark.parametrize("skips", [False, True])
def test_both_fidelities_agree(issue: str, skips: bool) -> None:
    chip = hardware(activity__skip_zero_reads=skips)
    fine, quick = (played(chip, fidelity, issue) for fidelity in ("reference", "burst"))
    assert np.array_equal(fine.static.latency_ns, quick.static.latency_ns)
    assert np.array_equal(fine.dynamic.energy_pj, quick.dynamic.energy_pj)


# What it is not for


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nonideal.variation.sigma": 0.1}, "ideal cells"),
    ],
)
def test_what_pulses_cannot_do_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ImcsimError, match=told):
        imcsim.hardware.load("dtsnn_32nm", CHIP | changes)


def test_given_energies_do_not_follow_pulses() -> None:
    with pytest.raises(ImcsimError, match=r"cells\.kind given"):
        imcsim.hardware.load("spikesim_65nm", {"cells.input_drive": "pulses"})
