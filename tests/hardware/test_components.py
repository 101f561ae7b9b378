"""Components: every block keeps the same contract, estimates follow node and bits, and the docs name all of
it.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest

import imcsim.hardware
import imcsim.hardware.components
from imcsim.base.errors import ImcsimError
from imcsim.hardware.component import Block, ChipSize, Component, Reach
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.estimators import adc as adc_estimator
from imcsim.hardware.estimators import nodes, periphery
from imcsim.hardware.estimators.memory import SramMacro, register_file
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import charges

BUILT_IN = ("dtsnn_32nm", "isaac_32nm", "spikesim_65nm")
DOCS = Path(__file__).parents[2] / "docs" / "components.md"
SIZE = ChipSize(5, 40, 320, (600_000, 400_000), 5, 4_096, 640)


def load(name: str = "dtsnn_32nm", **overrides: object) -> HardwareConfig:
    """A built-in config; ``adc__bits`` stands for ``adc.bits``."""
    return imcsim.hardware.load(name, {k.replace("__", "."): v for k, v in overrides.items()}).config


def classes() -> Iterator[type[Component]]:
    """Every component that a hardware file can name."""
    for module in pkgutil.iter_modules(imcsim.hardware.components.__path__):
        found = importlib.import_module(f"imcsim.hardware.components.{module.name}")
        for thing in vars(found).values():
            own = isinstance(thing, type) and thing.__module__ == found.__name__
            if own and issubclass(thing, Component) and hasattr(thing, "block") and thing.__name__[0] != "_":
                yield thing


def may_be_estimated(config: HardwareConfig) -> list[str]:
    """Dotted keys of all values of which a file may say ``estimate``."""

    def keys(block: Block, prefix: str) -> Iterator[str]:
        for name, field in type(block).model_fields.items():
            value = getattr(block, name)
            if name == "conversion_time_ns" and getattr(block, "model", "") == "survey_fit":
                continue  # the rate that is asked of the fit
            if any(get_args(part) == ("estimate",) for part in get_args(field.annotation)):
                yield f"{prefix}.{name}"
            elif isinstance(value, dict):
                for key, below in value.items():
                    if getattr(below, "model", "given") != "given":
                        yield from keys(below, f"{prefix}.{name}.{key}")

    blocks = {name: getattr(config, name) for name in type(config).model_fields}
    return [k for name, block in blocks.items() if isinstance(block, Block) for k in keys(block, name)]


def all_estimated(name: str, **overrides: object) -> imcsim.hardware.Hardware:
    """A built-in config in which every figure that can be computed is computed."""
    wanted: dict[str, object] = dict.fromkeys(may_be_estimated(load(name)), "estimate")
    wanted["activation.multiplier_bits"] = 18  # of a section that files leave out nothing is estimated
    return imcsim.hardware.load(name, wanted | {k.replace("__", "."): v for k, v in overrides.items()})


# The contract


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_block_knows_its_key_and_where_it_belongs(name: str) -> None:
    for key, component in load(name).components():
        assert component.block == key
        assert component.scope in ("crossbar", "pe", "tile", "chip")


def test_every_component_class_stands_in_a_file_of_its_own() -> None:
    homes = {}
    for found in classes():
        homes.setdefault(found.__module__, set()).add(found.block)
    assert all(len(blocks) == 1 for blocks in homes.values())
    assert {b for blocks in homes.values() for b in blocks} == {n for n, _ in load().components()}


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("estimated", [False, True])
def test_every_figure_is_finite_and_chips_grow_with_their_size(name: str, estimated: bool) -> None:
    config = all_estimated(name).config if estimated else load(name)
    none = ChipSize(0, 0, 0)
    double = ChipSize(10, 80, 640, (600_000, 400_000) * 2, 10, 8_192, 1_280)
    for _, component in config.components():
        figures = [*component.charges(config).values(), component.area_um2(config)]
        figures += [component.leakage_uw(config), component.standing_energy_pj(config)]
        assert all(math.isfinite(f) and f >= 0 for f in figures)
        fixed = component.instances(config, none)
        assert fixed == (0 if component.block not in CHIP_WIDE else 1)
        grown = component.instances(config, double) - fixed
        assert grown == pytest.approx(2 * (component.instances(config, SIZE) - fixed), abs=1)


CHIP_WIDE = {"global_buffer", "accumulator", "checker", "offchip_link"}


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_tile_is_the_sum_of_its_parts(name: str) -> None:
    config = load(name)
    one, two = (
        sum(
            c.area_um2(config) * c.instances(config, size)
            for n, c in config.components()
            if n not in CHIP_WIDE and n != "state_memory"
        )
        for size in (
            ChipSize(1, config.tile.pes_per_tile, config.crossbars_per_tile),
            ChipSize(2, 2 * config.tile.pes_per_tile, 2 * config.crossbars_per_tile),
        )
    )
    assert config.tile_area_um2() == pytest.approx(one)
    assert two == pytest.approx(2 * one)


# Estimates


@pytest.mark.parametrize("name", BUILT_IN)
def test_estimates_are_shown_as_computed_with_their_rule(name: str) -> None:
    hardware = all_estimated(name)
    keys = may_be_estimated(hardware.config)
    assert len(keys) > 20
    assert set(hardware.config.estimates()) == set(keys)
    rows = {row[0]: row for row in imcsim.hardware.describe(hardware)}
    for key in keys:
        _, value, unit, mark, source = rows[key]
        assert mark == "derived"
        assert float(value) > 0
        assert unit in ("pJ", "um2", "uW", "pJ/mm", "pJ/B", "ns", "cycle", "mm", "uW/um2", "uW/B")
        assert len(source) > 10
    assert hardware.unsourced == ()


@pytest.mark.parametrize("name", BUILT_IN)
def test_estimates_shrink_with_the_node(name: str) -> None:
    large, middle, small = (
        {key: e.value for key, e in all_estimated(name, technology__node_nm=node).config.estimates().items()}
        for node in (65.0, 32.0, 14.0)
    )
    for key in large:
        if "leakage" in key:  # leaks more at a smaller node
            assert large[key] > 0, key
        elif key == "sample_hold.column_area_um2":  # a capacitor's density is that of its metal
            assert large[key] == middle[key] == small[key] > 0
        elif "_ns" in key or "_cycles" in key:  # some converters are quoted with one time whatever the node
            assert large[key] >= middle[key] >= small[key] > 0, key
        else:
            assert large[key] > middle[key] > small[key] > 0, key


def test_a_block_that_says_estimate_charges_what_the_rule_computes() -> None:
    config = load(adder_tree__operation_energy_pj="estimate", adder_tree__unit_area_um2="estimate")
    bits = config.lif.partial_sum_bits
    energy = (0.21 / 32 * bits + 0.009 * bits) * nodes.energy_ratio(40, 32)
    area = (278 / 32 * bits + 5.98 * bits) * nodes.area_ratio(40, 32)
    assert config.adder_tree.charges(config)[Event.PARTIAL_SUM_ADDS] == pytest.approx(energy)
    assert config.adder_tree.area_um2(config) == pytest.approx(area)
    # Leakage goes by the area, computed or given.
    leakage = config.technology.figure("logic_leakage_uw_per_um2", config)
    assert config.adder_tree.leakage_uw(config) == pytest.approx(area * leakage)


def test_a_node_beyond_the_rules_is_refused_only_where_a_rule_is_asked() -> None:
    with pytest.raises(ImcsimError, match="7 to 180 nm"):
        load(technology__node_nm=250.0)
    presets = {
        "mine": {
            "kind": "sar",
            "model": "given",
            "conversion_energy_pj": 1.0,
            "converter_area_um2": 1.0,
            "conversion_time_ns": 1.0,
        }
    }
    config = load("spikesim_65nm", technology__node_nm=250.0, adc__presets=presets, adc__preset="mine")
    assert config.adc.charges(config) == {Event.CONVERSIONS: 1.0}


def test_estimate_is_no_number_where_no_rule_computes_one() -> None:
    with pytest.raises(ImcsimError, match=r"offchip_link\.bit_energy_pj: expected a number at least 0, got"):
        load(offchip_link__bit_energy_pj="estimate")
    with pytest.raises(ImcsimError, match="expected a number at least 0 or 'estimate', got the text 'guess'"):
        load(pooling__unit_area_um2="guess")


# ADC presets


def test_cells_that_conduct_more_when_off_and_clocks_beyond_any_are_refused() -> None:
    with pytest.raises(ImcsimError, match="a cell that is off conducts less: r_off_ohm must be at least"):
        load(cells__r_on_ohm=1e9)
    with pytest.raises(ImcsimError, match=r"technology\.clock_ns: expected a number at least 0\.001"):
        load(technology__clock_ns=1e-6)


def test_a_preset_s_model_follows_bits_and_rate() -> None:
    for preset in load().adc.presets:
        few, many = (load(adc__bits=bits, adc__preset=preset) for bits in (4, 8))
        ratio = few.adc.conversion_energy_pj(few) / many.adc.conversion_energy_pj(many)
        assert 0 < ratio < 1, preset
    slow, fast = (
        load(adc__preset="survey_fit", adc__presets__survey_fit__conversion_time_ns=ns) for ns in (1.0, 0.25)
    )
    assert fast.adc.conversion_energy_pj(fast) > slow.adc.conversion_energy_pj(slow)
    assert slow.adc.conversion_energy_pj(slow) == adc_estimator.survey_fit(8, 1e9, 32).cost.energy_pj


@pytest.mark.parametrize(
    ("preset", "clock_ns", "cycles"),
    [
        ("kull_sar", 1.0, 1), ("kull_sar", 0.8333, 1), ("kull_sar", 0.5, 2), ("neurosim_sar", 1.0, 9),
        ("neurosim_sar", 2.0, 5), ("neurosim_flash", 1.0, 3), ("neurosim_ramp", 1.0, 329),
    ],
)  # fmt: skip
def test_cycles_of_a_conversion_follow_its_time_and_the_clock(
    preset: str, clock_ns: float, cycles: int
) -> None:
    config = load(adc__preset=preset, technology__clock_ns=clock_ns)
    assert config.adc.cycles(config) == cycles
    assert config.convert_cycles == 8 * cycles
    forced = load(adc__preset=preset, technology__clock_ns=clock_ns, adc__conversion_cycles=2)
    assert forced.adc.cycles(forced) == 2


def test_a_converter_better_than_any_published_one_is_named() -> None:
    for preset in ("kull_sar", "isaac_sar", "survey_fit"):
        assert load(adc__preset=preset).warnings() == ()
    (warning,) = load(adc__preset="neurosim_sar").warnings()
    assert "neurosim_sar" in warning
    assert "best published converter needs 1.11 pJ" in warning


def test_a_forced_rate_says_what_it_implies() -> None:
    """0.161 pJ for 256 steps in 1 ns instead of 9."""
    found = load(adc__preset="neurosim_sar", adc__conversion_cycles=1).warnings()
    assert any("0.631 fJ per conversion step at 1000 MS/s" in w for w in found)
    assert load(adc__conversion_cycles=3).warnings() == ()


def test_a_preset_says_where_its_source_no_longer_speaks() -> None:
    (bits,) = load(adc__bits=6).warnings()
    assert "kull_sar speaks for 8 bits, and adc.bits is 6" in bits
    own = {"kind": "sar", "model": "given", "conversion_energy_pj": 5.0, "converter_area_um2": 1.0,
           "conversion_time_ns": 1.0, "for_bits": [4.0, 6.0], "for_nodes_nm": [20.0, 30.0]}  # fmt: skip
    found = load(adc__presets={"own": own}, adc__preset="own").warnings()
    assert len(found) == 2


@pytest.mark.parametrize(
    ("preset", "time_ns", "rates"),
    [
        ("kull_sar", 0.5, "up to 1200"),
        ("isaac_sar", 0.5, "up to 1200"),
        ("neurosim_sar", 8.0, "up to 111.1"),
        ("survey_fit", 0.001, "0.004 to 90000"),
        ("survey_fit", 1e6, "0.004 to 90000"),
    ],
)
def test_a_preset_says_for_which_rates_its_source_speaks(preset: str, time_ns: float, rates: str) -> None:
    key = f"adc__presets__{preset}__conversion_time_ns"
    faster = {key: time_ns, "adc__preset": preset}
    said = [w for w in load(**faster).warnings() if "MS/s, and converts" in w]
    assert said == [f"adc.presets.{preset} speaks for {rates} MS/s, and converts at {1e3 / time_ns:.4g} MS/s"]
    assert not any("MS/s, and converts" in w for w in load(adc__preset=preset).warnings())
    assert not any("and converts" in w for w in load(**faster | {key: 20.0}).warnings())


def test_built_in_presets_have_their_published_figures() -> None:
    for name, figures in {
        "dtsnn_32nm": {
            "kull_sar": (2.55, 1500, 0.8333), "isaac_sar": (1.667, 1200, 0.8333),
            "survey_fit": (1.71, 5972, 1.0),
            "neurosim_sar": (0.161, 382, 9), "neurosim_flash": (0.893, 2053, 2.30),
            "neurosim_ramp": (3.036, 47.93, 329),
        },
        "spikesim_65nm": {
            "spikesim": (2.03084, 693.6, 4.0), "neurosim_sar": (0.503, 1575, 9),
            "survey_fit": (6.49, None, 4.0),
            "neurosim_flash": (3.00, 5230, 5.17),
        },
    }.items():  # fmt: skip
        config = load(name)
        assert set(config.adc.presets) == set(figures)
        for preset, (energy, area, time) in figures.items():
            changed = config.model_copy(update={"adc": config.adc.model_copy(update={"preset": preset})})
            assert changed.adc.conversion_energy_pj(changed) == pytest.approx(energy, rel=0.003)
            assert changed.adc.used.time_ns(changed) == pytest.approx(time, rel=0.003)
            if area:
                assert changed.adc.area_um2(changed) == pytest.approx(area, rel=0.003)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "given"}, "needs all figures as numbers"),
        ({"model": "isaac", "kind": "flash"}, "isaac is a sar"),
        ({"kind": "sigma"}, "'sar', 'flash' or 'sense'"),
        ({"model": "neurosym"}, "did you mean 'neurosim'"),
    ],
)
def test_presets_that_make_no_sense_are_refused(changes: dict[str, str], message: str) -> None:
    preset: dict[str, Any] = {
        "kind": "sar",
        "model": "neurosim",
        "conversion_energy_pj": "estimate",
        "converter_area_um2": "estimate",
        "conversion_time_ns": "estimate",
    }
    with pytest.raises(ImcsimError, match=message):
        load(adc__presets={"mine": preset | changes}, adc__preset="mine")


@pytest.mark.parametrize("name", ["kull.2013", "", "$", "x" * 65])
def test_preset_names_are_plain_words(name: str) -> None:
    preset = {
        "kind": "sar",
        "model": "given",
        "conversion_energy_pj": 1.0,
        "converter_area_um2": 1.0,
        "conversion_time_ns": 1.0,
    }
    with pytest.raises(ImcsimError, match="only letters, digits"):
        load(adc__presets={name: preset}, adc__preset=name)


# Memory


@pytest.mark.parametrize("block", ["tile_buffer", "pe_buffer", "global_buffer"])
def test_buffers_cost_what_their_memory_does(block: str) -> None:
    """A word of the model over its bits; a write is no read, and a large memory costs more."""
    config = load()
    buffer = getattr(config, block)
    read, write = buffer.charges(config).values()
    macro = SramMacro(buffer.capacity_bytes * 8, buffer.width_bits, 32, two_ports=True)
    assert read * buffer.width_bits == pytest.approx(macro.read_pj)
    assert write * buffer.width_bits == pytest.approx(macro.write_pj)
    assert buffer.area_um2(config) == pytest.approx(macro.area_um2)
    larger = load(**{f"{block}__capacity_bytes": buffer.capacity_bytes * 16})
    costlier = getattr(larger, block).charges(larger).values()
    assert all(v > w for v, w in zip(costlier, (read, write), strict=True))
    width = buffer.width_bits
    assert [buffer.access_cycles(b) for b in (1, width, width + 1)] == [1, 1, 2]


def test_a_table_of_energies_takes_the_place_of_the_model() -> None:
    config = load(sram__read_energy_pj_per_byte=[[2048, 0.2], [8192, 0.4]], sram__bit_area_um2=0.5)
    assert config.sram.read_pj(2048 * 8, 64, config) == pytest.approx(0.2 * 8)
    assert config.sram.write_pj(4096 * 8, 32, config) == pytest.approx(math.sqrt(0.2 * 0.4) * 4)
    assert config.sram.read_pj(10**9, 8, config) == pytest.approx(0.4)
    assert config.sram.area_um2(1000, 64, config) == 500


def test_parts_have_banks_for_their_state_and_for_their_lanes() -> None:
    """32 lanes of 16 bits take a row of 64 bits from each of eight banks of 2 KB; state may ask for more."""
    config = load()
    memory = config.state_memory
    assert memory.banks(config, 0) == 0
    assert memory.banks(config, 1) == 8
    assert memory.banks(config, 8 * 16_384) == 8
    assert memory.banks(config, 8 * 16_384 + 1) == 9
    assert memory.instances(config, SIZE) == math.ceil(600_000 / 16_384) + math.ceil(400_000 / 16_384)
    wide = load(state_memory__width_bits=512)
    assert wide.state_memory.banks(wide, 1) == 1


def test_membranes_in_larger_banks_need_fewer_and_costlier_ones() -> None:
    small, large = (load(state_memory__bank_bytes=size) for size in (1024, 16_384))
    assert small.state_memory.instances(small, SIZE) > large.state_memory.instances(large, SIZE)
    energies = [c.state_memory.charges(c)[Event.MEMBRANE_READ_BITS] for c in (small, large)]
    assert energies[0] < energies[1]


def test_a_bit_of_state_pays_for_its_bank_and_its_way() -> None:
    config = load()
    bank = SramMacro(2048 * 8, 64, 32, two_ports=True)
    wire = 0.5 * 0.201 * math.sqrt(config.tile_area_um2()) * 0.5e-3
    charges = config.state_memory.charges(config)
    assert charges[Event.MEMBRANE_READ_BITS] == pytest.approx(bank.read_pj / 64 + wire)
    assert charges[Event.CURRENT_WRITE_BITS] == pytest.approx(bank.write_pj / 64 + wire)


def test_output_rows_thresholds_and_biases_have_bits() -> None:
    config = load()
    bit = register_file(32)
    assert config.output_store.instances(config, SIZE) == 4_096
    assert config.output_store.charges(config)[Event.OUTPUT_REGISTER_BITS] == pytest.approx(
        bit.read.value + bit.write.value
    )
    assert config.parameter_store.instances(config, SIZE) == 640 * 2 * 16
    assert config.parameter_store.charges(config)[Event.LIF_UPDATES] == pytest.approx(32 * bit.read.value)
    assert config.parameter_store.area_um2(config) == pytest.approx(2.65)


# Clock, leakage, gating


def test_gating_moves_what_a_tile_needs_to_its_own_cycles() -> None:
    changes = {"clock__tile_cycle_energy_pj": 0.5}
    always = load(**changes)
    gated = load(**changes, clock__gating="idle_tiles")
    standing = {c.component: c.energy_pj for c in charges(always, SIZE) if c.event == Event.POWERED_CYCLES}
    chip = {c.component: c.energy_pj for c in charges(gated, SIZE) if c.event == Event.POWERED_CYCLES}
    tile = {c.component: c.energy_pj for c in charges(gated, SIZE) if c.event == Event.POWERED_TILE_CYCLES}
    assert Event.POWERED_TILE_CYCLES not in {c.event for c in charges(always, SIZE)}
    assert standing["clock"] == pytest.approx(0.5 * SIZE.tiles)
    assert set(chip) == {"global_buffer", "state_memory", "accumulator", "checker"}
    # With every tile powered all the time both price lists come to the same.
    assert sum(chip.values()) + SIZE.tiles * sum(tile.values()) == pytest.approx(sum(standing.values()))


def test_leakage_is_power_times_the_clock() -> None:
    slow, fast = load(technology__clock_ns=2.0), load(technology__clock_ns=1.0)
    for (name, a), (_, b) in zip(slow.components(), fast.components(), strict=True):
        assert a.leakage_uw(slow) == b.leakage_uw(fast), name
        # The clock and the controllers also pay for each cycle, however long it is.
        each = 0.0
        if name in ("clock", "controller"):
            each = a.figure("tile_cycle_energy_pj", slow)
            assert each == pytest.approx(b.figure("tile_cycle_energy_pj", fast))
        standing = [c.standing_energy_pj(chip) - each for c, chip in ((a, slow), (b, fast))]
        assert standing[0] == pytest.approx(2 * standing[1], abs=1e-12), name


# Parts that cost little each


def test_only_offset_columns_count_their_rows() -> None:
    offset, differential = load(), load(cells__encoding="differential")
    assert offset.row_counter.instances(offset, SIZE) == SIZE.crossbars
    assert differential.row_counter.instances(differential, SIZE) == 0
    assert differential.row_counter.charges(differential) == {}


def test_a_reference_is_charged_where_the_converter_has_none() -> None:
    measured, bare = load(), load(adc__preset="neurosim_sar")
    assert measured.converter_reference.charges(measured)[Event.CONVERSIONS] == 0
    assert measured.converter_reference.area_um2(measured) == 0
    assert bare.converter_reference.charges(bare)[Event.CONVERSIONS] == pytest.approx(
        0.1 * bare.adc.conversion_energy_pj(bare)
    )
    assert bare.converter_reference.area_um2(bare) == pytest.approx(0.1 * bare.adc.area_um2(bare))


def test_a_clamp_draws_its_bias_while_it_reads() -> None:
    config = load()
    energy = config.clamp.charges(config)[Event.CONVERSIONS]
    assert energy == pytest.approx(20e-3 * 0.9 * config.cells.pulse_ns(config))
    longer = load(cells__read_pulse_ns=10.0)
    assert longer.clamp.charges(longer)[Event.CONVERSIONS] == pytest.approx(0.18)


def test_at_a_smaller_node_no_event_costs_more_and_no_part_is_larger() -> None:
    """Of every component of the default chip. Static power per area is left out: below 22 nm it rises."""

    def figures(node_nm: float) -> dict[str, float]:
        config = load(technology__node_nm=node_nm)
        return {
            f"{name} {what}": value
            for name, one in config.components()
            for what, value in [*one.charges(config).items(), ("area", one.area_um2(config))]
        }

    nodes_nm = (7.0, 9.0, 12.0, 14.0, 18.0, 22.0, 28.0, 32.0, 45.0, 65.0, 90.0, 130.0)
    for smaller, larger in pairwise(figures(node_nm) for node_nm in nodes_nm):
        assert [key for key, value in smaller.items() if value > larger[key] * (1 + 1e-9)] == []


def test_a_clamp_takes_area_by_node() -> None:
    """As a sense amplifier of NeuroSim does: 19.2 um2 at 32, 9.06 at 22 and 316 at 130 nm."""
    areas = [load(technology__node_nm=n).clamp.area_um2(load(technology__node_nm=n)) for n in (32, 22, 130)]
    assert areas == pytest.approx([40, 40 * 9.06 / 19.2, 40 * 316 / 19.2])
    sizes = [periphery.clamp_area_um2(node).value for node in (7, 10, 14, 22, 28, 45, 90, 150, 180)]
    assert sizes == sorted(sizes)


def test_the_verdict_s_way_is_part_of_a_check() -> None:
    given = load(checker__verdict_cycles=9)
    assert given.checker.way_cycles(Reach(7), given) == 9
    config = load(noc__link_length_mm=2.0, technology__clock_ns=0.5)
    # 2 mm at 0.289 ns/mm and two cycles per ns: 1.156 cycles for each of the links on its way.
    assert [config.checker.way_cycles(Reach(n), config) for n in (0, 1, 3, 8)] == [0, 2, 4, 10]
    assert config.checker.charges(config)[Event.CHECKER_VERDICT_TILES] == pytest.approx(
        2 * 0.201 + 0.009 * nodes.energy_ratio(40, 32)
    )
    assert config.checker.events(10, mean=True, tiles=12)[Event.CHECKER_VERDICT_TILES] == 12


def test_what_is_left_out_has_a_bound() -> None:
    for what, bound, why in imcsim.hardware.left_out():
        assert all((what, bound, why))
    assert len(imcsim.hardware.left_out()) >= 5


# Docs


def test_the_docs_name_every_block_class_field_and_event() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = {m[1]: m[0] for m in re.finditer(r"^\| `(\w+)` \(.*\|$", text, re.MULTILINE)}
    configs = [load(name) for name in BUILT_IN]
    for found in classes():
        row = rows[found.block]
        assert found.__name__ in row
        for field in found.model_fields:
            assert f"`{field}`" in row, (found.block, field)
    for config in configs:
        for block, component in config.components():
            assert f"| {component.scope} |" in rows[block]
            for event in component.charges(config):
                assert f"`{event}`" in rows[block], (block, event)
    assert set(rows) == {name for name, _ in configs[0].components()} | {"sram", "technology"}


def test_the_docs_list_what_is_left_out_with_its_bounds() -> None:
    text = DOCS.read_text(encoding="utf-8")
    section = text.split("## What is left out\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert rows == [f"| {' | '.join(row)} |" for row in imcsim.hardware.left_out()]


def test_every_row_of_the_docs_has_all_its_columns() -> None:
    table = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    rows = [line for line in table if "(" in line.split("|")[1]]
    assert rows
    for line in rows:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 8
        assert all(cells), line
