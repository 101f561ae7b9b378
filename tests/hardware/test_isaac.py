"""ISAAC's tile: power and area from the component table against the published ones, and a network on the
chip.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from networks import random_images, random_network
from plain import plain_compare

import imcsim.hardware
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.tile_budget import full_rate, tile_area_mm2, tile_budget, tile_power_mw
from imcsim.inputs import Inputs
from imcsim.studies.settings import CompareOptions

DOCS = Path(__file__).parents[2] / "docs" / "components.md"
PAPER = {"cells_per_weight": 8, "input_bits": 16}
"""Its weights have 16 bits in cells of two, its inputs take 16 reads."""

PUBLISHED = {
    # component: mW and mm2 of a tile of 12 IMAs (ISCA 2016, table of the tile)
    "cells": (12 * 2.4, 12 * 0.0002),
    "wordline_driver": (12 * 4, 12 * 0.00017),
    "column_mux": (12 * 0.01, 12 * 0.00004),
    "adc": (12 * 16, 12 * 0.0096),
    "shift_add": (12 * 0.2, 12 * 0.00024),
    "pe_buffer": (12 * 1.24, 12 * 0.0021),
    "registers": (12 * 0.23 + 1.68, 12 * 0.00077 + 0.0032),
    "noc": (42 / 4, 0.151 / 4),
    "htree": (7, 0.090),
}


@pytest.fixture(scope="module")
def isaac() -> HardwareConfig:
    return imcsim.hardware.load("isaac_32nm").config


def test_the_tile_s_power_and_area_are_the_published_ones(isaac: HardwareConfig) -> None:
    assert tile_power_mw(isaac, **PAPER) == pytest.approx(330, rel=0.05)
    assert tile_area_mm2(isaac) == pytest.approx(0.372, rel=0.05)


def test_each_component_that_isaac_has_is_the_published_one(isaac: HardwareConfig) -> None:
    rows = {row.component: row for row in tile_budget(isaac, **PAPER)}
    for component, (power, area) in PUBLISHED.items():
        assert rows[component].power_mw == pytest.approx(power, rel=0.03), component
        assert rows[component].area_mm2 == pytest.approx(area, rel=0.01), component
    # Eleven parts in a hundred of the eDRAM's traffic are outputs, which here bypass it.
    assert rows["tile_buffer"].power_mw == pytest.approx(20.7 * 115.2 / 129.6, rel=0.01)
    # What ISAAC does not have stays small beside what it has.
    assert rows["lif"].area_mm2 + rows["residual_adder"].area_mm2 < 0.02 * 0.372


def test_rates_are_those_of_the_paper_s_arithmetic(isaac: HardwareConfig) -> None:
    """96 ADCs at 1.2 GS/s; 12 IMAs take 2 KB of inputs and give 256 B of outputs in 16 reads of 106.7 ns."""
    per_ns = {
        event: rate / isaac.technology.clock_ns
        for event, rate in full_rate(isaac, cells_per_weight=8, input_bits=16).items()
    }
    assert per_ns[Event.CONVERSIONS] == pytest.approx(96 * 1.2, rel=1e-3)
    assert per_ns[Event.TILE_BUFFER_READ_BITS] == pytest.approx(12 * 2048 * 8 / (16 * 106.667), rel=1e-3)
    assert per_ns[Event.OUTPUT_REGISTER_BITS] == pytest.approx(12 * 256 * 8 / (16 * 106.667), rel=1e-3)


def test_spikes_are_done_in_one_read(isaac: HardwareConfig) -> None:
    numbers = full_rate(isaac, cells_per_weight=4, input_bits=8)
    spikes = full_rate(isaac, cells_per_weight=4, input_bits=1)
    assert spikes[Event.LIF_UPDATES] == pytest.approx(8 * numbers[Event.LIF_UPDATES])
    assert spikes[Event.CONVERSIONS] == numbers[Event.CONVERSIONS]
    assert spikes[Event.OUTPUT_REGISTER_BITS] == pytest.approx(numbers[Event.OUTPUT_REGISTER_BITS])
    # The LIF lanes keep the pace of 8-bit weights.
    assert spikes[Event.LIF_UPDATES] <= isaac.lif.lanes


@pytest.mark.parametrize("name", ["dtsnn_32nm", "spikesim_65nm"])
def test_a_budget_works_on_every_chip_and_adds_up(name: str) -> None:
    config = imcsim.hardware.load(name).config
    rows = tile_budget(config, cells_per_weight=2)
    assert sum(row.power_mw for row in rows) == pytest.approx(tile_power_mw(config, cells_per_weight=2))
    assert sum(row.area_mm2 for row in rows) == pytest.approx(tile_area_mm2(config))
    assert {row.component for row in rows}.isdisjoint({"checker", "state_memory", "offchip_link"})


def test_spikesim_s_tile_at_full_rate_is_its_pe_cycle() -> None:
    """828.49 pJ a PE cycle (k = 3), one in 16 clocks, less the memory fetch, which belongs to the chip."""
    config = imcsim.hardware.load("spikesim_65nm").config
    interval_ns = 16 * 4.0
    assert tile_power_mw(config) == pytest.approx(8 * (828.49 - 4.64) / interval_ns, rel=0.001)


def test_the_docs_table_is_what_the_code_computes(isaac: HardwareConfig) -> None:
    text = DOCS.read_text(encoding="utf-8").split("## ISAAC's tile")[1]
    table = {m[1]: (float(m[2]), float(m[3])) for m in re.finditer(
        r"^\| `(\w+)` \|[^|]*\| ([\d.]+) \|[^|]*\| ([\d.]+) \|", text, re.MULTILINE
    )}  # fmt: skip
    rows = tile_budget(isaac, **PAPER)
    assert set(table) == {row.component for row in rows}
    for row in rows:
        assert table[row.component] == (round(row.power_mw, 2), round(row.area_mm2, 5))
    whole = re.search(r"^\| tile \| \| ([\d.]+) .*\| 330 \| ([\d.]+) .*\| 0.372 \|$", text, re.MULTILINE)
    assert whole
    assert float(whole[1]) == round(tile_power_mw(isaac, **PAPER), 1)
    assert float(whole[2]) == round(tile_area_mm2(isaac), 3)


@pytest.mark.parametrize("residual", [False, True])
def test_spiking_networks_run_on_it(residual: bool) -> None:
    network = random_network(np.random.default_rng(3), residual=residual, weight_bits=8, timesteps=2)
    images = random_images(np.random.default_rng(4), network.input_shape, 4)
    inputs = Inputs(images, np.zeros(4, np.int64), "random", "test", "0" * 64, network.classes)
    hardware = imcsim.hardware.load("isaac_32nm")
    result = plain_compare(network, hardware, inputs, None, CompareOptions(threshold=0.0, workers=1))
    parts = {part.name: part for part in result.components}
    (conversions,) = (a for a in parts["adc"].actions if a.name == "conversions")
    # Offset encoding in two-bit cells: a weight of 8 bits is four columns, each converted once a read.
    (shift_adds,) = (a for a in parts["shift_add"].actions if a.name == "shift_adds")
    assert conversions.count == shift_adds.count > 0
    assert conversions.count % 4 == 0
    assert conversions.energy_pj == pytest.approx(conversions.count * 1.667)
    assert (parts["residual_adder"].energy_pj > 0) == residual
    # A chip of whole tiles: its tiles' areas and what the chip has besides.
    tiles = parts["tile_buffer"].count
    chip_wide = ("global_buffer", "accumulator", "checker", "offchip_link", "state_memory")
    by_size = ("output_store", "parameter_store")  # with the network, not with the tiles
    whole = sum(part.area_um2 for name, part in parts.items() if name not in (*chip_wide, *by_size))
    assert whole == pytest.approx(tiles * tile_area_mm2(hardware.config) * 1e6)
    assert result.static[1].energy_pj > result.static[0].energy_pj
