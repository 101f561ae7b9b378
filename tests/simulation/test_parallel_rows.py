"""Rows that are not all driven at once: the sums, codes, counts and prices of chips that read in turns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_images, random_network
from random_chips import changed

from imcsim.functional.program.program import build
from imcsim.functional.run import Activity, calibrated_converters, full_scale, run
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.tile_budget import full_rate
from imcsim.mapping import place
from imcsim.simulation.chip import numerics
from imcsim.simulation.counts import lower
from imcsim.timing.figures import part_figures

NETWORK = random_network(np.random.default_rng(6), channels=20, size=7, weight_bits=8)
SHOWN = random_images(np.random.default_rng(3), NETWORK.input_shape, 2)
BOTH = pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm"])


def ran(config: HardwareConfig) -> Activity:
    program = build(NETWORK, numerics(config))
    return run(program, SHOWN, 2, calibrated_converters(program, SHOWN, 2, 1), workers=1)


@BOTH
@settings(deadline=None, max_examples=5)
@given(at_once=st.integers(1, 16), turns=st.integers(2, 4), bits=st.integers(2, 7))
def test_turns_compute_what_smaller_crossbars_would(name: str, at_once: int, turns: int, bits: int) -> None:
    """A turn of p rows is read and converted as a crossbar of p rows is: the same spikes and outputs, to the
    bit, clipping and rounding included, on the same wordlines; but on fewer crossbars.
    """
    given = {"adc.bits": bits, "tile.crossbars_per_pe": 9}
    large = changed(name, given | {"cells.rows": at_once * turns, "cells.parallel_rows": at_once})
    small = changed(name, given | {"cells.rows": at_once})
    one, other = ran(large), ran(small)
    for field in ("outputs", "spikes", "active_rows", "active_levels", "active_reads"):
        assert np.array_equal(getattr(one, field), getattr(other, field)), field


@BOTH
def test_a_limit_that_does_not_bind_changes_nothing(name: str) -> None:
    free = changed(name, {"cells.parallel_rows": "all"})
    loose = changed(name, {"cells.parallel_rows": 1024})
    assert np.array_equal(ran(free).outputs, ran(loose).outputs)
    assert free.estimates() == loose.estimates()
    assert full_rate(free, cells_per_weight=2, input_bits=1) == full_rate(
        loose, cells_per_weight=2, input_bits=1
    )


def test_an_adc_covers_the_sums_of_one_turn() -> None:
    """Full scale is that of the rows driven at once, so that a step of fewer bits is as fine."""
    for at_once in (64, 16, 4):
        config = changed("dtsnn_32nm", {"cells.parallel_rows": at_once})
        program = build(NETWORK, numerics(config))
        for layer in program.crossbar_layers:
            assert full_scale(layer, program.numerics) == min(at_once, layer.layout.rows) * 15


@BOTH
@pytest.mark.parametrize("at_once", [1, 5, 16, 64])
def test_reads_go_with_turns_and_driven_rows_do_not(name: str, at_once: int) -> None:
    def counted(parallel: Any) -> dict[Event, int]:
        config = changed(name, {"cells.parallel_rows": parallel, "tile.crossbars_per_pe": 9})
        placement = place(NETWORK, config)
        total: dict[Event, int] = {}
        for one in part_figures(placement, config):
            for counts in (
                *(one.row_read_counts(blocks, one.row_reads(blocks), 0) for blocks in one.alike),
                one.row_counts(stored=False, first=True),
            ):
                for event, number in counts.items():
                    total[event] = total.get(event, 0) + number
        program = build(NETWORK, numerics(config))
        activity = run(program, SHOWN, 2, calibrated_converters(program, SHOWN, 2, 1), workers=1)
        # Spikes differ, as sums are rounded in other pieces: the image's rows do not.
        wordlines = lower(activity, program, placement, config)[Event.ACTIVE_WORDLINES][:, 0, 1]
        return total | {Event.ACTIVE_WORDLINES: int(wordlines.sum())}

    free, limited = counted("all"), counted(at_once)
    config = changed(name, {"tile.crossbars_per_pe": 9})
    rows = [
        int(n)
        for layer in place(NETWORK, config).layers
        for n in layer.rows.crossbar_rows // (layer.unit_crossbars if name == "spikesim_65nm" else 1)
    ]
    most = max(-(-n // at_once) for n in rows)
    turned = {Event.CROSSBAR_READS, Event.CROSSBAR_PHASES, Event.CONVERSIONS, Event.SHIFT_ADDS}
    turned |= {Event.PE_CYCLES, Event.PE_PHASES}
    for event, number in free.items():
        if event in turned:
            assert number <= limited[event] <= number * most, event
        else:
            assert limited[event] == number, event
    if at_once == 1 and name == "dtsnn_32nm":
        assert limited[Event.CROSSBAR_READS] > 16 * free[Event.CROSSBAR_READS]


def test_full_rate_pays_for_every_turn() -> None:
    """A pass over all rows takes four reads: as many rows and results in four times the time."""
    free = full_rate(changed("dtsnn_32nm", {}), cells_per_weight=2, input_bits=1)
    config = changed("dtsnn_32nm", {"cells.parallel_rows": 16})
    assert config.cells.turns == 4
    quarter = full_rate(config, cells_per_weight=2, input_bits=1)
    for event in (Event.CONVERSIONS, Event.CROSSBAR_READS, Event.SHIFT_ADDS, Event.PE_CYCLES):
        assert quarter[event] == pytest.approx(free[event])
    for event in (Event.ACTIVE_WORDLINES, Event.HTREE_SUM_BITS, Event.LIF_UPDATES, Event.INPUT_REGISTER_BITS):
        assert quarter[event] == pytest.approx(free[event] / 4)
