"""Tiles of several types on one chip: values, time, prices and area go by the type of each layer's tiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import random_images, random_network, vgg_like
from random_chips import any_network, assert_same, chips, outcome, plays

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.base.tile_types import Assignment, Rule
from imcsim.functional.program.program import build
from imcsim.functional.run import calibrated_converters, ideal_converters, run
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import charges
from imcsim.mapping import place
from imcsim.network.graph import Network
from imcsim.simulation.chip import numerics

SMALL = {"cells": {"rows": 32, "columns": 32}, "adc": {"bits": 5}}


def chip(types: dict[str, Any], layers: dict[str, str] | None = None, **overrides: Any) -> Hardware:
    values = {"tile_types": types, "mapping.tile_types": layers or {}}
    return imcsim.hardware.load(
        "dtsnn_32nm", values | {k.replace("__", "."): v for k, v in overrides.items()}
    )


def small_network(seed: int = 0) -> Network:
    return vgg_like(np.random.default_rng(seed), plan=(4, "M", 8, 8), size=8, classes=3, timesteps=2)


def all_layers(network: Network, tile_type: str) -> dict[str, str]:
    return dict.fromkeys((node.name for node in network.weighted), tile_type)


def test_a_type_like_the_chip_changes_nothing() -> None:
    network, plain = small_network(), imcsim.hardware.load("dtsnn_32nm").config
    alike = chip({"same": {"cells": {"rows": plain.cells.rows}}}, all_layers(network, "same")).config
    one, other = place(network, plain), place(network, alike)
    assert (one.parts, one.positions, one.tiles) == (other.parts, other.positions, other.tiles)
    assert charges(plain, one.size) == charges(alike, other.size)
    assert plain.area_um2(one.size) == alike.area_um2(other.size)
    about = {"exits": [2, 1], "timesteps": 2}
    assert_same(
        outcome(one, plain, fidelity="burst", **about), outcome(other, alike, fidelity="burst", **about)
    )
    images = random_images(np.random.default_rng(1), network.input_shape, 3)
    found = []
    for config in (plain, alike):
        program = build(network, numerics(config))
        found.append(run(program, images, 2, calibrated_converters(program, images, 2)))
    assert np.array_equal(found[0].outputs, found[1].outputs)
    assert np.array_equal(found[0].active_levels, found[1].active_levels)


def test_layers_of_a_type_are_those_of_a_chip_of_it() -> None:
    """A chip whose layers are all on small tiles has values, crossbars, prices and tiles of a small chip."""
    network = small_network(1)
    typed = chip({"small": SMALL}, all_layers(network, "small")).config
    flat = {f"{block}.{key}": value for block, values in SMALL.items() for key, value in values.items()}
    small = imcsim.hardware.load("dtsnn_32nm", flat).config
    one, other = place(network, typed), place(network, small)
    assert [layer.crossbars for layer in one.layers] == [layer.crossbars for layer in other.layers]
    assert one.parts == other.parts
    in_tiles = {name for name, block in small.components() if block.scope != "chip"}
    wanted = {
        (c.component, c.event): c.energy_pj for c in charges(small, other.size) if c.component in in_tiles
    }
    for charge in charges(typed, one.size):
        assert charge.component not in in_tiles or charge.columns in (None, (1, 2, 3, 4), (0, 5, 6))
        if charge.component in in_tiles and charge.columns != (0, 5, 6):
            assert charge.energy_pj == wanted[charge.component, charge.event]
    for name in in_tiles:
        assert typed.component_area_um2(name, one.size) == small.component_area_um2(name, other.size)
    images = random_images(np.random.default_rng(1), network.input_shape, 3)
    outputs = []
    for config in (typed, small):
        program = build(network, numerics(config))
        outputs.append(run(program, images, 2, calibrated_converters(program, images, 2)).outputs)
    assert np.array_equal(*outputs)


def test_adc_bits_follow_the_layer() -> None:
    network = small_network(2)
    config = chip({"small": SMALL, "wide": {"adc": {"bits": 9}}}, {"conv1": "small", "conv2": "wide"}).config
    converters = ideal_converters(build(network, numerics(config)))
    codes = [converters.code_of(node.name) for node in network.weighted]
    assert codes[:2] == [31, 511]
    assert codes[2:] == [(1 << config.adc.bits) - 1] * (len(codes) - 2)


def test_a_tile_holds_layers_of_its_type_only() -> None:
    network = random_network(np.random.default_rng(0), residual=True, depth=3, channels=10)
    names = [node.name for node in network.weighted]
    config = chip({"small": SMALL}, dict.fromkeys(names[::2], "small"), mapping__share_tiles=True).config
    placement = place(network, config)
    for tile in range(placement.tiles):
        held = {placement.layers[p.stage].tile_type for p in placement.parts if p.tile == tile}
        assert held == {placement.tile_type(tile)}
    crossbars = [config.of_type(placement.tile_type(k)).crossbars_per_tile for k in range(placement.tiles)]
    assert placement.size.crossbars == sum(crossbars)
    assert sum(one.size.crossbars for one in placement.size.of_types) == sum(crossbars)


def test_each_layer_pays_the_price_of_its_type() -> None:
    network = small_network()
    config = chip({"small": SMALL}, {"conv1": "small"}).config
    paid = charges(config, place(network, config).size)
    of_adc = {c.columns: c.energy_pj for c in paid if (c.component, c.event) == ("adc", Event.CONVERSIONS)}
    own, small = (one.adc.conversion_energy_pj(one) for one in (config, config.of_type("small")))
    assert of_adc == {(1,): small, (0, 2, 3, 4, 5, 6): own}
    assert small < own


@st.composite
def inhomogeneous(draw: st.DrawFn, network: Network) -> HardwareConfig:
    """Any chip with two further types of tile, on which any layers stand."""
    config = draw(chips(mapping__replication=draw(st.sampled_from(("none", "balanced", "latency")))))
    types = {}
    for name in ("a", "b"):
        bus, sets = draw(st.sampled_from((64, 8))), draw(st.sampled_from((1, 3)))
        types[name] = {
            "cells": {"rows": draw(st.sampled_from((16, 7, 32))), "columns": draw(st.sampled_from((16, 32)))},
            "column_mux": {"columns_per_adc": draw(st.sampled_from((2, 8)))},
            "adc": {"conversion_cycles": draw(st.sampled_from((1, 4)))},
            "tile": {"bus_bits": bus, "input_sets": sets, "output_rows": draw(st.sampled_from((1, 3)))},
        }
    layers = {node.name: draw(st.sampled_from(("chip", "a", "b"))) for node in network.weighted}
    values = config.model_dump(mode="json", by_alias=True)
    values["tile_types"], values["mapping"]["tile_types"] = types, layers
    values["clock"]["gating"] = "none"
    values["cells"]["columns"] = max(values["cells"]["columns"], values["column_mux"]["columns_per_adc"])
    return HardwareConfig.model_validate_json(json.dumps(values))


@given(st.data())
@settings(
    deadline=None,
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
def test_fidelities_agree_on_chips_of_several_types(data: st.DataObject) -> None:
    network = data.draw(any_network())
    config, how = data.draw(inhomogeneous(network)), data.draw(plays())
    placement = place(network, config)
    assert_same(*(outcome(placement, config, fidelity=kind, **how) for kind in ("reference", "burst")))


def test_rules_and_names_say_which_layers_a_type_takes() -> None:
    layers = [("a", 27), ("b", 288), ("c", 576), ("d", 40)]
    ends, tall = Rule(position="first_or_last"), Rule(rows_at_least=288)
    assert Assignment((), (("ends", ends), ("tall", tall))).types_of(layers) == {
        "a": "ends", "b": "tall", "c": "tall", "d": "ends",
    }  # fmt: skip
    by_hand = Assignment((("b", ""), ("a", "tall")), (("tall", Rule(28, 288)),))
    assert by_hand.types_of(layers) == {"a": "tall", "b": "", "c": "", "d": "tall"}


def test_a_rule_of_a_file_takes_its_layers() -> None:
    network = small_network()
    config = chip({"small": {"takes": {"position": "first"}, **SMALL}}).config
    assert [layer.tile_type for layer in place(network, config).layers] == ["small", "", "", ""]
    assert [layer.tile_type for layer in build(network, numerics(config)).crossbar_layers][:2] == [
        "small",
        "",
    ]


REFUSED = [
    ("a: {cells: {rows: 2}}", "tile_types.a.cells.rows", "4"),
    ("a: {cells: {row: 32}}", "tile_types.a.cells.row", "did you mean"),
    ("a: {lif: {lanes: 2}}", "tile_types.a.lif", "unknown key"),
    ("a: {cells: {columns: 36}}", "tile_types.a", "no multiple of column_mux.columns_per_adc"),
    ("a: {cells: {input_drive: pulses}}", "tile_types.a.cells.input_drive", "all tiles of a chip"),
    ("chip: {cells: {rows: 32}}", "tile_types.chip", "the chip's own"),
]


@pytest.mark.parametrize(("types", "key", "said"), REFUSED)
def test_what_does_not_fit_is_refused_with_its_place(types: str, key: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "chip.yaml"
    file.write_text(f"extends: dtsnn_32nm\nname: x\ndescription: x\ntile_types:\n  {types}\n")
    with pytest.raises(ImcsimError) as error:
        imcsim.hardware.load(file)
    assert error.value.file == file
    assert error.value.key == key
    assert said in str(error.value)


def test_unknown_types_and_layers_are_refused() -> None:
    with pytest.raises(ImcsimError, match=r"no tile type 'smal'.*did you mean 'small"):
        chip({"small": SMALL}, {"conv1": "smal"})
    with pytest.raises(ImcsimError, match="no layer 'conv9'"):
        place(small_network(), chip({"small": SMALL}, {"conv9": "small"}).config)


@pytest.mark.parametrize(
    "other", [{"nonideal__variation.sigma": 0.1}, {"clock__gating": "idle_tiles"}], ids=["errors", "gating"]
)
def test_what_is_for_tiles_that_are_all_alike_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ImcsimError, match="for chips whose tiles are all alike"):
        chip({"small": SMALL}, **other)


def test_given_figures_that_do_not_follow_a_type_say_so() -> None:
    given = {"cells__array_area_um2": 700.0}
    lines = imcsim.hardware.warnings(chip({"small": SMALL}, **given))
    assert any(
        line.startswith("tile_types.small: cells.array_area_um2 is given and does not follow")
        for line in lines
    )
    alike = chip({"same": {"tile": {"output_rows": 3}}}, **given)
    assert not any(line.startswith("tile_types") for line in imcsim.hardware.warnings(alike))
