"""Law 8: no key of a chip's file is without effect or warning, over all chips and all errors.

`effects.acting` says what a chip's results follow from. Here whole runs are held against it: keys that it
calls idle change nothing at all, and all others change something.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from networks import random_images, random_network

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware import conditions
from imcsim.hardware.alternatives import leaves
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.effects import acting, perturbed, with_values, without_effect
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.simulation.chip import make_chip
from imcsim.simulation.simulate import simulate
from imcsim.studies.programming import programming
from imcsim.timing import Timing, parse

CHIPS = imcsim.hardware.names()

ELSEWHERE = {
    "adc.presets": "figures of converters that are not in use are in tables of other converters",
    "tile_buffer.capacity_bytes": "a buffer that is large enough",
    "global_buffer.capacity_bytes": "a buffer that is large enough",
    "global_buffer.width_bits": "as wide as what comes",
    "tile_buffer.width_bits": "the bus is narrower",
    "checker.exp_entries": "outputs that are sure",
    "checker.exp_range": "outputs that are sure",
    "adc.percentile": "steps are powers of two",
    "mapping.extra_crossbars": "layers that need no more copies",
    "mapping.extra_tiles": "copies that need further tiles",
    "mapping.extra_area_mm2": "copies that need further tiles",
    "mapping.placement": "two tiles",
    "mapping.grouped_layers": "layers without groups",
    "lif.parameters": "neurons that have nothing for themselves",
    "mapping.share_tiles": "layers that fill their tiles",
    "tile.bus_bits": "rows narrower than the bus",
    "noc.hop_cycles": "one hop",
    "noc.topology": "several tiles",
    "pooling.lanes": "few values",
    "technology.supply_v": "figures that are given do not follow",
    "technology.node_nm": "figures that are given do not follow, and warnings say so",
    "tile.output_rows": "tiles that wait for nothing else",
    "cells.rows": "layers of fewer channels",
    "adder_tree.level_cycles": "one block of rows",
    "activity.spike_coding": "spikes few enough for the links",
    "programming.method": "the method that is taken anyway",
    "tile.input_sets": "tiles that wait for nothing else",
    "activation": "networks of activations",
    "mapping.chip_imbalance": "layers that may be cut in several ways",
    "programming.endurance_writes": "weights that are loaded again and again",
}
"""Keys that act only on other networks than the one played here, with what it would take."""

FEW_BITS = ("adc.full_scale", "nonideal.converter.calibrated_on")
"""Keys about scales of ADCs. Where a sum of this small network fits the bits all steps are one level, so they
are played with an ADC of 5 bits.
"""


@cache
def config_of(name: str) -> HardwareConfig:
    return imcsim.hardware.load(name).config


@cache
def others(name: str) -> dict[str, HardwareConfig]:
    return perturbed(config_of(name))


@cache
def network() -> Network:
    rng = np.random.default_rng(5)
    return random_network(rng, residual=True, average=True, channels=9, size=8, weight_bits=8, timesteps=2)


@cache
def shown() -> Inputs:
    images = random_images(np.random.default_rng(6), network().input_shape, 4)
    return Inputs(images, np.zeros(4, np.int64), "images", "unknown", "2" * 64, network().classes)


def with_few_bits(config: HardwareConfig) -> HardwareConfig:
    return with_values(config, {"adc.bits": 5}).get("adc.bits", config)  # it may have 5 anyway


def results(config: HardwareConfig) -> tuple[Any, ...]:
    """All that a run says, byte by byte."""
    hardware = Hardware(config, {}, (), "0" * 64, imcsim.hardware.load("dtsnn_32nm").path)
    chip = make_chip(network(), hardware, shown(), Timing(2, parse("speculate")), workers=1)
    run = simulate(chip, shown(), workers=1)
    area = sum(c.area_um2(config) * c.instances(config, chip.size) for _, c in config.components())
    return (
        run.dynamic.energy_pj.tobytes(),
        run.dynamic.latency_ns.tobytes(),
        run.static.energy_pj.tobytes(),
        run.activity.outputs.tobytes(),
        area,
        chip.config.checker.numerics,
        [pj.energy_pj for pj in chip.prices() if pj.energy_pj],
        programming(chip, 1.0, 1.0),
    )


@pytest.mark.parametrize(
    "name",
    [
        "dtsnn_32nm",
        pytest.param("dtsnn_32nm_nonideal", marks=pytest.mark.slow),
        pytest.param("isaac_32nm", marks=pytest.mark.slow),
        "spikesim_65nm",
    ],
)
def test_every_key_acts_or_is_named(name: str) -> None:
    """Each key as `--set` gives it: what it changes, or the warning with its name in every result."""
    config = config_of(name)
    idle = set(without_effect(config, others(name)))
    assert len(others(name)) > 120
    for key, other in others(name).items():
        value = dict(leaves(other.model_dump(mode="json", by_alias=True)))[key]
        if key not in idle and not key.startswith("nonideal."):
            assert acting(other) != acting(config), key
            continue
        said = imcsim.hardware.warnings(imcsim.hardware.load(name, {key: value}))
        named = any(line.startswith(f"{key} is set and changes nothing") for line in said)
        assert named == (key in idle), key
    assert set(conditions.without_use(config)) == idle


@pytest.mark.parametrize("name", CHIPS)
def test_what_is_not_tried_is_refused_or_another_chip(name: str) -> None:
    """Of the keys that take no other value by themselves: another kind, layout or preset, or no numbers."""
    keys = [key for key, _ in leaves(config_of(name).model_dump(mode="json", by_alias=True))]
    left = {
        key
        for key in keys
        if key not in others(name) and not key.startswith(("adc.presets.", "alternatives"))
    }
    labels = {"schema", "name", "description", "strict", "reference_tables"}
    kinds = {key for key in keys if key.endswith((".kind", ".row_order", ".adcs", ".input_drive"))}
    together = {"mesh.columns", "mesh.rows", "adc.preset", "column_mux.columns_per_adc"}
    tables = {"sram.read_energy_pj_per_byte"}
    ohms = {"nonideal.on_off.finite"} | {key for key in keys if key.startswith("nonideal.wires.")}
    if config_of(name).cells.input_drive != "bits":  # which is for ideal cells and converters
        ohms |= {key for key in keys if key.startswith("nonideal.")}
    memory = {key for key in keys if key.startswith("dram.")} - {"dram.preset"}  # figures need a preset
    memory |= {key for key in keys if key.startswith("reload.")}  # which needs a memory
    assert left <= labels | kinds | together | tables | ohms | memory, left


def test_what_makes_a_key_idle_is_what_the_warning_is_about() -> None:
    """The same key acts where nothing stands in its way."""

    def said(**overrides: Any) -> list[str]:
        found = imcsim.hardware.warnings(
            imcsim.hardware.load("isaac_32nm", {k.replace("__", "."): v for k, v in overrides.items()})
        )
        return [line.split(" is set")[0] for line in found if "changes nothing" in line]

    assert said(clamp__bias_ua=30.0) == ["clamp.bias_ua"]
    assert said(clamp__bias_ua=30.0, clamp__read_energy_pj="estimate") == []
    assert said(nonideal__drift__exponent=0.1) == ["nonideal.drift.exponent"]
    assert said(nonideal__drift__exponent=0.1, nonideal__drift__time_s=1e4) == []
    assert said(adc__percentile=99.0) == []
    assert said(adc__percentile=99.0, adc__full_scale="ideal") == ["adc.percentile"]
    with pytest.raises(ImcsimError, match="changes nothing"):
        imcsim.hardware.load("isaac_32nm", {"clamp.bias_ua": 30.0, "strict": True})


@pytest.mark.slow
@pytest.mark.parametrize("name", CHIPS)
def test_idle_keys_change_nothing_and_others_something(name: str) -> None:
    config = config_of(name)
    idle = set(without_effect(config, others(name)))
    here, coarse, wrong = results(config), results(with_few_bits(config)), []
    for key, other in others(name).items():
        try:
            same = results(with_few_bits(other)) == coarse if key in FEW_BITS else results(other) == here
        except ImcsimError:
            same = False  # refused: it says so
        if same and key not in idle and not any(key.startswith(place) for place in ELSEWHERE):
            wrong.append(f"{key} acts, and changes nothing")
        if not same and key in idle:
            wrong.append(f"{key} is idle, and changes something")
    assert wrong == []
