"""Ranges: every alternative is the comparison on a chip that has its values; intervals follow from them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from threading import Event
from typing import Any

import numpy as np
import pytest
from networks import forward, random_images, random_network
from plain import plain_compare
from pydantic import ValidationError

import imcsim.hardware
from imcsim.hardware.alternatives import (
    Alternative,
    Alternatives,
    alternatives_of,
    cited,
    leaves,
    same_time,
)
from imcsim.hardware.component import Reach
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.report.terminal.ranges import ranged
from imcsim.results.comparison import CompareResult
from imcsim.results.figures import Reduction
from imcsim.results.model import to_json
from imcsim.results.ranges import AlternativeFigures, RangeFigures, Ranges
from imcsim.simulation.chip import Chip, make_chip, with_figures
from imcsim.studies import other_chips
from imcsim.studies.comparison import OPPONENTS, compare
from imcsim.studies.other_chips import OtherChips, Tried
from imcsim.studies.settings import CompareOptions
from imcsim.timing import Timing

OPTIONS = CompareOptions(workers=1, threshold=0.4)


def hardware(overrides: dict[str, Any] | None = None) -> Hardware:
    return imcsim.hardware.load("dtsnn_32nm", overrides or {})


@cache
def network() -> Network:
    return random_network(np.random.default_rng(11), depth=2, classes=5, timesteps=4, channels=8)


@cache
def images() -> Inputs:
    shown = random_images(np.random.default_rng(1), network().input_shape, 12)
    labels = forward(network(), shown, 4)[network().nodes[-1].name].sum(0).argmax(1)
    return Inputs(shown, labels.astype(np.int64), "images", "unknown", "1" * 64, 5)


def compared(overrides: dict[str, Any] | None = None, options: CompareOptions = OPTIONS) -> CompareResult:
    return plain_compare(network(), hardware(overrides), images(), None, options)


@cache
def ranges() -> Ranges:
    found = compare(network(), hardware(), images(), None, OPTIONS).ranges
    assert found is not None
    return found


def same(one: RangeFigures, result: CompareResult) -> None:
    static, dynamic = result.static[-1], result.dynamic
    assert one.static_issue == static.issue
    assert one.static_energy_pj == pytest.approx(static.energy_pj, rel=1e-12)
    assert one.static_latency_ns == static.latency_ns
    assert one.dynamic_energy_pj == pytest.approx(dynamic.energy_pj, rel=1e-12)
    assert one.dynamic_latency_ns == dynamic.latency_ns
    assert one.area_um2 == pytest.approx(result.meta.hardware.area_um2, rel=1e-12)
    for name, value in result.reduction.model_dump().items():
        assert getattr(one.reduction, name) == pytest.approx(value, abs=1e-12), name


def test_every_alternative_of_the_default_chip_is_the_comparison_on_that_chip() -> None:
    declared = alternatives_of(hardware().config)
    assert {one.kind for one in declared} == {"prices", "structure"}
    assert ranges().left_out == ()
    same(ranges().used, compared())
    for one in declared:
        found = next(
            a for a in ranges().alternatives if (a.kind, a.group, a.name) == (one.kind, one.group, one.name)
        )
        same(found, compared(dict(leaves(one.changes))))  # the chip by itself
        assert found.used == (one.of(hardware().config) == hardware().config)


@pytest.mark.parametrize("name", ["dtsnn_32nm", "dtsnn_32nm_nonideal", "isaac_32nm", "spikesim_65nm"])
def test_every_chip_has_alternatives_that_it_takes(name: str) -> None:
    config = imcsim.hardware.load(name).config
    found = alternatives_of(config)
    groups = {one.group for one in found}
    assert {"adc", "read_time", "copies", "encoder"} <= groups
    if name.startswith("dtsnn"):
        assert groups >= {"memory", "leakage", "wires", "toggling", "driver", "clamp"}
    for one in found:
        assert one.of(config).name == config.name, "the chip takes it"
        assert one.group == "adc" or cited(one, config) or one in tuple(config.alternatives.own())
    # Each group but the structure's moves what something costs or how long it takes.
    moved = {one.group for one in found if costs(one.of(config)) != costs(config)}
    assert moved >= groups - {"copies", "encoder"}


def costs(config: HardwareConfig) -> Any:
    parts = {
        name: (dict(c.charges(config)), c.area_um2(config), c.leakage_uw(config))
        for name, c in config.components()
    }
    return parts, config.sense_cycles, config.convert_cycles


def test_a_file_s_alternatives_take_the_place_of_shared_ones() -> None:
    chip = hardware(
        {
            "alternatives.prices.wires.bare.technology.wire_energy_pj_per_mm": 0.05,
            "alternatives.prices.mine.other.lif.update_energy_pj": 1.0,
        }
    )
    by_name = {(one.group, one.name): one for one in alternatives_of(chip.config)}
    assert dict(leaves(by_name["wires", "bare"].changes)) == {"technology.wire_energy_pj_per_mm": 0.05}
    assert ("mine", "other") in by_name
    assert ("wires", "cacti") in by_name
    alone = hardware({"alternatives.shared": False}).config
    assert alternatives_of(alone) == ()


def test_shared_alternatives_are_for_chips_that_have_what_they_change() -> None:
    """A given figure follows no source: there is nothing to choose from."""
    given = hardware({"technology.wire_energy_pj_per_mm": 0.2, "cells.read_pulse_ns": 5.0}).config
    by_group: dict[str, set[str]] = {}
    for one in alternatives_of(given):
        by_group.setdefault(one.group, set()).add(one.name)
    assert "wires" not in by_group
    assert by_group["read_time"] == {"lines_and_clamp"}


def test_issue_policies_are_structure() -> None:
    by_name = {(one.group, one.name): one for one in ranges().alternatives}
    result = compared()
    for less in result.reductions:
        found = by_name["static issue", less.issue].reduction
        assert found.model_dump() == pytest.approx(less.model_dump(exclude={"issue"}))
    ahead = compared(options=CompareOptions(workers=1, threshold=0.4, issue="speculate"))
    same(by_name["dynamic issue", "speculate"], ahead)
    same(by_name["dynamic issue", "wait"], result)


def figures(energy: float, saved: float) -> dict[str, Any]:
    less = Reduction(energy=saved, latency=0, edp_mean_of_products=saved, edp_product_of_means=saved)
    return {
        "static_issue": "wait", "static_energy_pj": 100.0, "static_latency_ns": 10.0,
        "dynamic_energy_pj": energy, "dynamic_latency_ns": 5.0, "area_um2": 7.0, "reduction": less,
    }  # fmt: skip


def one(group: str, name: str, energy: float, kind: Any = "prices") -> AlternativeFigures:
    return AlternativeFigures(
        kind=kind, group=group, name=name, used=False, **figures(energy, 1 - energy / 100)
    )


def test_an_interval_adds_the_largest_move_of_each_group_as_squares() -> None:
    several = (
        one("adc", "cheap", 46), one("adc", "dear", 90), one("adc", "middle", 60),
        one("wires", "bare", 47), one("leakage", "high", 80),
        one("copies", "none", 99, "structure"),
    )  # fmt: skip
    found = Ranges(used=RangeFigures(**figures(50, 0.5)), alternatives=several)
    energy = found.interval("dynamic_energy_pj")
    assert (energy.value, energy.lowest, energy.highest) == (50, 46, 90)
    assert (energy.lowest_by, energy.highest_by) == ("adc: cheap", "adc: dear")
    assert energy.low == pytest.approx(50 - math.hypot(4, 3))
    assert energy.high == pytest.approx(50 + math.hypot(40, 30))
    saved = found.interval("reduction.energy", "structure")
    assert saved.lowest == pytest.approx(0.01)
    assert (saved.lowest_by, saved.highest_by) == ("copies: none", None)
    assert saved.high == saved.value == 0.5
    area = found.interval("area_um2")
    assert (area.low, area.high, area.lowest_by, area.highest_by) == (7, 7, None, None)
    with pytest.raises(KeyError):
        found.interval("area_um2", "structure")
    data = found.model_dump()
    data["intervals"][0]["high"] *= 2
    with pytest.raises(ValidationError, match="does not follow from the alternatives"):
        Ranges.model_validate(data)


def test_a_range_holds_its_value_as_both_are_written() -> None:
    """28.6 does not lie in 29 to 403."""
    energy = (one("adc", "dear", 28_600_001), one("wires", "bare", 403e6))
    found = Ranges(used=RangeFigures(**figures(28_600_000, 0.5)), alternatives=energy)
    assert ranged(found.interval("dynamic_energy_pj")) == "28.6 uJ (28.6 to 403)"


def test_alternatives_are_no_part_of_the_chip() -> None:
    chip = hardware()
    other = hardware({"alternatives.prices.adc.other.adc.bits": 4})
    assert "alternatives" in chip.config.left_out
    assert other.sha256 == chip.sha256
    assert other.config.alternatives != chip.config.alternatives


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"adc": {"bits": 4}}, "it would change values"),
        ({"adc": {"bats": 4}}, "adc.bats: the chip has no such key"),
        ({"adc": {"preset": "none such"}}, "is not one of"),
        ({"lif": {"lanes": 0}}, "lif.lanes: expected a whole number"),
    ],
)
def test_what_cannot_be_tried_is_named(changes: dict[str, Any], why: str) -> None:
    chip = hardware()
    declared = Alternatives(prices={"odd": {"one": changes}}, shared=False)
    odd = Hardware(chip.config.model_copy(update={"alternatives": declared}), {}, (), chip.sha256, chip.path)
    found = compare(network(), odd, images(), None, OPTIONS).ranges
    assert found is not None
    assert len(found.left_out) == 1
    assert found.left_out[0].startswith("odd: one (")
    assert why in found.left_out[0]
    assert all(a.group != "odd" for a in found.alternatives)


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, OPTIONS),
        ({}, replace(OPTIONS, issue="speculate")),
        ({}, replace(OPTIONS, fidelity="reference")),
        ({"activity.skip_zero_reads": True}, OPTIONS),
        ({"nonideal.variation.sigma": 0.1, "adc.bits": 5}, OPTIONS),
    ],
    ids=["default", "speculate", "reference", "skipping", "errors"],
)
def test_chips_are_the_same_when_they_are_made_beside_the_images(
    changes: dict[str, Any], options: CompareOptions
) -> None:
    one, other = (
        compare(network(), hardware(changes), images(), None, replace(options, workers=workers))
        for workers in (1, 2)
    )
    assert one.ranges is not None
    assert one.sensitivity
    assert to_json(one) == to_json(other)


def test_what_is_not_begun_at_the_end_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended, made = Event(), Event(), list[Chip]()

    def slow(chip: Chip, config: HardwareConfig) -> Chip:
        begun.set()
        assert ended.wait(60)
        made.append(with_figures(chip, config))
        return made[-1]

    monkeypatch.setattr(other_chips, "with_figures", slow)
    chip = make_chip(network(), hardware(), images(), Timing(4), workers=1)
    with OtherChips(OPPONENTS, replace(OPTIONS, workers=2)) as chips:
        chips.begin(chip)
        assert begun.wait(60)
    ended.set()
    tried = [one for _, one in chips.of(chip).alternatives if isinstance(one, Tried)]
    assert len(made) == 1
    assert {one.made for one in tried if not one.same_time} == {None, made[0]}


def test_prices_are_told_from_time_by_the_units_of_the_keys() -> None:
    config = hardware().config

    def changed(**changes: Any) -> bool:
        sections: dict[str, Any] = {}
        for key, value in changes.items():
            block, _, name = key.partition("__")
            sections.setdefault(block, {})[name] = value
        return same_time(config, Alternative("prices", "a", "b", sections).of(config), Reach(4))

    assert changed(lif__update_energy_pj=1.0)
    assert changed(noc__router_area_um2=2.0, noc__router_leakage_uw=3.0)
    assert not changed(lif__lanes=8)
    assert not changed(technology__clock_ns=2.0)
    assert not changed(cells__read_pulse_ns=100.0)
    # In as many cycles of the clock the time of a read is a price.
    assert changed(cells__read_pulse_ns=config.cells.pulse_ns(config) * 1.01)
    # A tile that is larger by far has a longer way for the verdict.
    assert not changed(pooling__unit_area_um2=1e6)
    assert changed(pooling__unit_area_um2=1.0)
    assert not changed(encoder__mode="recompute")
