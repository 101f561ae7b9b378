"""The hardware floor: built-in configs, what each component charges, and the ledger's arithmetic."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import vgg_like
from played import play

import imcsim.hardware
from imcsim.base.errors import ImcsimError
from imcsim.hardware.component import ChipSize, Reach
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.estimators import nodes
from imcsim.hardware.events import CHECKER_EVENTS, Event
from imcsim.hardware.exit_counts import ExitCounts
from imcsim.hardware.ledger import Charge, Ledger, charges, energy_pj
from imcsim.mapping import place
from imcsim.network.graph import INPUT, Conv2d, Network

BUILT_IN = tuple(imcsim.hardware.names())
SIZES = (
    ChipSize(1, 1, 1, (1,), 1, 1, 1),
    ChipSize(3, 24, 192, (600, 400), 3, 64, 64),
    ChipSize(80, 640, 5120, (4_000_000, 3_000_000), 90, 9_000, 2_000),
)


def chip(name: str = "dtsnn_32nm", **overrides: object) -> HardwareConfig:
    """A built-in config; ``adc__bits`` stands for ``adc.bits``."""
    return imcsim.hardware.load(name, {k.replace("__", "."): v for k, v in overrides.items()}).config


def price(config: HardwareConfig, block: str, event: Event) -> float:
    """pJ that a block charges for one event."""
    component: Any = getattr(config, block)
    return float(component.charges(config)[event])


# Files


def test_the_built_in_configs() -> None:
    assert {"dtsnn_32nm", "spikesim_65nm"} <= set(BUILT_IN)
    assert all(imcsim.hardware.load(name).name == name for name in BUILT_IN)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_value_has_a_source(name: str) -> None:
    hardware = imcsim.hardware.load(name)
    assert hardware.name == name
    assert hardware.unsourced == ()
    for key, about in hardware.provenance.items():
        assert about.citation, key
        assert about.line is not None, key
        assert about.mark in ("paper", "code", "2nd", "est", "derived"), key
    rows = imcsim.hardware.describe(hardware)
    assert len(rows) == len(hardware.provenance)
    assert all(value not in ("", "None") for _, value, *_ in rows)


def test_overrides_are_marked_and_change_the_hash() -> None:
    plain, again = imcsim.hardware.load("dtsnn_32nm"), imcsim.hardware.load("dtsnn_32nm")
    changed = imcsim.hardware.load("dtsnn_32nm", {"adc.bits": 6})
    assert plain.sha256 == again.sha256 != changed.sha256
    assert changed.config.adc.bits == 6
    assert changed.provenance["adc.bits"].mark == "given"
    assert changed.unsourced == ()


def copied(tmp_path: Path, *changes: tuple[str, str], name: str = "dtsnn_32nm") -> Path:
    """A built-in file with texts replaced."""
    text = imcsim.hardware.load(name).path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def line_of(path: Path, text: str) -> int:
    return next(k for k, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = copied(
        tmp_path,
        ("name: dtsnn_32nm", "name: mine"),
        ("router_energy_pj: estimate", "router_energy_pj: 4.0"),
    )
    hardware: Hardware = imcsim.hardware.load(path)
    assert hardware.name == "mine"
    assert hardware.unsourced == ("noc.router_energy_pj",)
    assert hardware.config.noc.router_energy_pj == 4.0
    assert hardware.path == path


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "fix"),
    [
        (
            "  conversion_cycles: est",
            "  conversion_cycels: est",
            "conversion_cycels",
            "conversion_cycels",
            "conversion_cycles",
        ),
        ("adder_tree:", "adder_trees:", "adder_trees:", "adder_trees", "adder_tree"),
        (
            "preset: {value: kull_sar, mark: est,",
            "preset: {value: neurosim, mark: est,",
            "",
            "preset 'neurosim' is not one of",
            "",
        ),
        ("cell_bits: {value: 4,", "cell_bits: {value: 9,", "cell_bits", "", ""),
        ("cell_bits: {value: 4,", "cell_bits: {value: 4.5,", "cell_bits", "", ""),
        ("r_off_ohm: {value: 200000,", "r_off_ohm: {value: 0,", "r_off_ohm", "", ""),
        ("kind: conductance", "kind: conductive", "kind: conductive", "conductance", ""),
        (
            "columns_per_adc: {value: 8,",
            "columns_per_adc: {value: 7,",
            "",
            "no multiple of column_mux.columns_per_adc",
            "",
        ),
        (
            "row_order: {value: im2col,",
            "row_order: {value: kernel_position,",
            "",
            "goes with tile.adcs pe",
            "",
        ),
        (
            "read_energy_pj_per_byte: estimate",
            "read_energy_pj_per_byte: [[4096, 0.093], [2048, 0.187]]",
            "read_energy_pj_per_byte",
            "capacities must rise",
            "",
        ),
        ("schema: 1", "schema: 2", "schema: 2", "", ""),
    ],
)
def test_mistakes_in_a_file_are_named(
    tmp_path: Path, old: str, new: str, line: str, message: str, fix: str
) -> None:
    path = copied(tmp_path, (old, new))
    with pytest.raises(ImcsimError) as caught:
        imcsim.hardware.load(path)
    error = caught.value
    assert error.file == path
    assert message in str(error)
    assert fix in str(error)
    if line:
        assert error.line == line_of(path, line)


def test_one_mesh_side_alone_is_refused() -> None:
    with pytest.raises(ImcsimError, match="both 0"):
        chip(mesh__columns=3)


def test_unknown_names_get_a_guess() -> None:
    with pytest.raises(ImcsimError, match="dtsnn_32") as caught:
        imcsim.hardware.load("dtsnn_32mn")
    assert caught.value.fix == "did you mean 'dtsnn_32nm'?"


# Every component


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_component_keeps_the_contract(name: str, size: ChipSize) -> None:
    config = chip(name)
    seen = set()
    for block, component in config.components():
        for event, energy in component.charges(config).items():
            assert isinstance(event, Event), block
            assert math.isfinite(energy), block
            assert energy >= 0, block
            seen.add(event)
        for figure in (
            component.area_um2(config),
            component.leakage_uw(config),
            component.standing_energy_pj(config),
        ):
            assert math.isfinite(figure), block
            assert figure >= 0, block
        count = component.instances(config, size)
        assert type(count) is int, block
        if component.stands(size):
            assert count > 0 or (block == "row_counter" and config.cells.encoding != "offset"), block
        else:
            assert block in ("lif" if size.activates else "activation", "dram", "package", "reload")
            assert count == 0
    assert Event.SPIKES not in seen
    assert Event.SYNAPTIC_OPERATIONS not in seen
    assert seen >= CHECKER_EVENTS | {Event.CONVERSIONS, Event.ACCUMULATOR_ADDS}


def test_instances_follow_the_chip() -> None:
    size = ChipSize(tiles=3, pes=24, crossbars=192, state_bits=(140_000, 1000), parts=3, channels=5)
    config = chip()
    counts = {block: component.instances(config, size) for block, component in config.components()}
    assert counts["cells"] == 192
    assert counts["adc"] == counts["column_mux"] == counts["shift_add"] == 192 * 64 // 8
    assert counts["wordline_driver"] == 192 * 64
    assert counts["registers"] == 2 * 192 * 64 + 3 * 256
    assert counts["adder_tree"] == 24 * 32
    assert counts["pe_buffer"] == 24
    assert counts["tile_buffer"] == counts["noc"] == counts["htree"] == 3
    assert counts["lif"] == counts["residual_adder"] == 3 * 32
    assert (
        counts["global_buffer"] == counts["checker"] == counts["accumulator"] == counts["offchip_link"] == 1
    )
    assert counts["clamp"] == counts["sample_hold"] == 192 * 64
    assert counts["write_access"] == 192 // 8
    assert counts["controller"] == 3
    assert counts["parameter_store"] == 5 * 2 * 16
    # 140,000 bits in banks of 2,048 bytes, and for 1,000 bits the eight banks that 32 lanes need
    assert counts["state_memory"] == 9 + 8
    # SpikeSim's PE shares one set of ADCs among its crossbars.
    assert chip("spikesim_65nm").adc.instances(chip("spikesim_65nm"), size) == 24 * 8


def test_prices_by_hand() -> None:
    config = chip(cells__read_pulse_ns=7.9)
    # V^2 t G: 0.01 V^2 x 7.9 ns / 200 kOhm = 3.95e-16 J; a level of 15 adds (50 - 5) uS / 15 = 3 uS: 2.37e-16
    # J.
    assert price(config, "cells", Event.ACTIVE_CELLS) == pytest.approx(3.95e-4)
    assert price(config, "cells", Event.ACTIVE_LEVELS) == pytest.approx(2.37e-4)
    # 16.4 fF of wordline at 0.9 V, and a 64th of 0.501 pJ of switches
    assert price(config, "wordline_driver", Event.ACTIVE_WORDLINES) == pytest.approx(0.02111, rel=1e-3)
    # a 64th of 0.429 pJ of level shifters
    assert price(config, "write_access", Event.ACTIVE_WORDLINES) == pytest.approx(0.429 / 64)
    # 0.18 and 0.5 toggles x half the side of a tile x 0.201 pJ
    half = math.sqrt(config.tile_area_um2()) / 2000
    assert price(config, "htree", Event.HTREE_BITS) == pytest.approx(0.18 * half * 0.201)
    assert price(config, "htree", Event.HTREE_SUM_BITS) == pytest.approx(0.5 * half * 0.201)
    # the router: 20.74 pJ for 256 bits; its links by the bit
    assert price(config, "noc", Event.FLIT_HOPS) == pytest.approx(20.74 / 8)
    assert price(config, "noc", Event.NOC_VALUE_BITS) == pytest.approx(0.18 * 2 * half * 0.201)
    assert price(config, "noc", Event.NOC_CURRENT_BITS) == pytest.approx(0.5 * 2 * half * 0.201)
    assert price(config, "adc", Event.CONVERSIONS) == 2.55
    assert price(config, "clamp", Event.CONVERSIONS) == pytest.approx(20e-3 * 0.9 * 7.9)
    assert price(config, "sample_hold", Event.CONVERSIONS) == pytest.approx(0.0081)
    assert price(config, "offchip_link", Event.IMAGE_BITS) == 0.203
    checker, logic = config.checker, config.technology.figure("logic_leakage_uw_per_um2", config)
    # a multiplier of 16 x 16 bits, two adders and a comparator of 32, at 40 nm, and 24,576 bits of tables
    tables = config.sram.area_um2(24_576, 16, config)
    units = (6350 / 4 + 2 * 278 + 71) * nodes.area_ratio(40, 32)
    assert checker.area_um2(config) == pytest.approx(units + tables)
    assert checker.leakage_uw(config) == pytest.approx(units * logic + 24_576 * 16.7e-6)
    assert checker.cycles(10) == 24
    # Over 4 links of a mesh of 3 x 3 at 0.289 ns/mm, about 1.4 mm each.
    assert checker.way_cycles(Reach(4), config) == 2


def test_a_full_read_dissipates_what_ohm_says() -> None:
    # 64 x 64 cells, all driven, all at the highest level: V^2 t / R_on each.
    config = chip()
    cells = 64 * 64
    energy = cells * price(config, "cells", Event.ACTIVE_CELLS) + 15 * cells * price(
        config, "cells", Event.ACTIVE_LEVELS
    )
    assert energy == pytest.approx(cells * 0.1**2 * config.cells.pulse_ns(config) * 1e-9 / 20e3 * 1e12)


def test_sram_energy_between_and_beyond_the_points_of_a_table() -> None:
    points = [[512, 0.093], [2048, 0.187], [8192, 0.430], [16384, 0.818], [65536, 1.79]]
    config = chip(sram__read_energy_pj_per_byte=points)

    def byte(size: float) -> float:
        return config.sram.read_pj(int(size * 8), 8, config)

    for size, energy in points:
        assert byte(size) == pytest.approx(energy)
    assert byte(64) == pytest.approx(0.093)
    assert byte(1 << 30) == pytest.approx(1.79)
    assert byte(1024) == pytest.approx(math.sqrt(0.093 * 0.187))
    # 10 KB between 8 KB (0.430) and 16 KB (0.818): 0.430 x 1.9023 ^ log2(1.25) = 0.5289 pJ per byte
    assert byte(10_240) == pytest.approx(0.5289, rel=1e-4)
    grid = [byte(size) for size in np.geomspace(64, 1 << 20, 200)]
    assert grid == sorted(grid)


@pytest.mark.parametrize(
    ("pulse", "clock", "cycles"),
    [(7.9, 1.0, 8), (8.0, 1.0, 8), (8.1, 1.0, 9), (0.1, 4.0, 1), (64, 4.0, 16), (0.3, 0.1, 3)],
)
def test_sense_cycles_cover_the_read_pulse(pulse: float, clock: float, cycles: int) -> None:
    assert chip(cells__read_pulse_ns=pulse, technology__clock_ns=clock).sense_cycles == cycles


def test_convert_cycles() -> None:
    assert chip().convert_cycles == 8
    assert chip(column_mux__columns_per_adc=16, adc__conversion_cycles=3).convert_cycles == 48


# SpikeSim


def pe_network(kernel: int) -> Network:
    """One output position of a 64 x 64 convolution of one-bit inputs."""
    weight = np.ones((64, 64, kernel, kernel), np.int8)
    node = Conv2d("conv", (INPUT,), weight, np.ones(64), np.zeros(64))
    return Network("pe", (64, kernel, kernel), 1, 1.0, 64, 1, 4, (node,))


@pytest.mark.parametrize(("kernel", "crossbars"), [(3, 9), (2, 4), (1, 1)])
def test_a_pe_cycle_of_spikesim(kernel: int, crossbars: int) -> None:
    # Its released estimator: H-tree + fetch + neuron + 8 (k^2 crossbar + 8 (ADC + mux)) + 16 x 8 subtractions
    # + 8 temporary buffer + tile buffer
    expected = (
        19.64 * 8
        + 4.64
        + 1.274 * 4
        + 8 * (crossbars * 1.76423 + 8 * (2.03084 + 0.094245))
        + 128 * 1.15e-6
        + 8 * 0.2
        + 397
    )
    if kernel == 3:
        assert expected == pytest.approx(828.49, rel=1e-5)
    config = chip("spikesim_65nm")
    placed = place(pe_network(kernel), config)
    line = play(placed, config, [1], 1)
    layer = line.layers.index("conv")
    counts = {event: int(line.count(event)[:, layer].sum()) for event in Event}
    assert counts[Event.PE_CYCLES] == 1
    assert counts[Event.PE_PHASES] == 8
    assert counts[Event.CROSSBAR_READS] == crossbars
    assert counts[Event.CROSSBAR_PHASES] == 8 * crossbars
    assert counts[Event.CONVERSIONS] == 64
    energy = sum(c.energy_pj * counts.get(c.event, 0) for c in charges(config, placed.size))
    assert energy == pytest.approx(expected, rel=1e-3)


def test_spikesim_s_vgg9() -> None:
    # 25.45 uJ at T = 5 with the true sizes of the convolution outputs (32 32 16 16 8 8 8): 6,144 PE cycles a
    # timestep.
    plan = (64, 64, "M", 128, 128, "M", 256, 256, 256)
    network = vgg_like(np.random.default_rng(0), plan=plan, size=8, weight_bits=4, timesteps=1)
    config = chip("spikesim_65nm")
    placed = place(network, config)
    line = play(placed, config, [1], 1)
    # The test network's maps are a quarter as high and wide, and its image has 8 bits, each a PE cycle of the
    # first layer.
    cycles = {name: int(n) for name, n in zip(line.layers, line.count(Event.PE_CYCLES)[0], strict=True)}
    convs = [cycles[f"conv{k}"] for k in range(1, 8)]
    assert convs[0] == 8 * 64
    whole = 16 * (convs[0] // 8 + sum(convs[1:]))
    assert whole == 6144
    assert 5 * whole * 828.49 == pytest.approx(25.45e6, rel=1e-3)


# Ledger


def ledger(images: int = 3, timesteps: int = 4) -> Ledger:
    """Random counts. An image that leaves after t timesteps has done half of the reads of the next one."""
    rng = np.random.default_rng(0)
    done = np.full((1, timesteps, timesteps, 3), 8)
    for leaves in range(1, timesteps + 1):
        done[:, leaves - 1, leaves : leaves + 1] = 4
        done[:, leaves - 1, leaves + 1 :] = 0
    one = rng.integers(0, 100, (timesteps, 3))
    return Ledger(
        layers=("input", "a", "static"),
        images=images,
        timesteps=timesteps,
        fixed={Event.CONVERSIONS: ExitCounts.of_table(one * done // 8)},
        varied={Event.ACTIVE_WORDLINES: rng.integers(0, 100, (images, timesteps, 3))},
        begun=ExitCounts.of_table(done),
    )


@pytest.mark.parametrize("groups", [1, 3])
def test_counts_of_every_exit_are_those_of_the_table(groups: int) -> None:
    """The longest run and what other exits have beside its beginning say all that a table says."""
    rng = np.random.default_rng(groups)
    table = np.broadcast_to(rng.integers(0, 9, (groups, 1, 6, 3)), (groups, 6, 6, 3)).copy()
    table *= (np.arange(6) <= np.arange(6)[:, None])[None, :, :, None]
    for group, exits, timestep, layer in rng.integers(0, (groups, 6, 6, 3), (20, 4)):
        table[group, exits, timestep, layer] += 1
    found = ExitCounts.of_table(table)
    assert found.shape == table.shape
    assert np.array_equal(found, table)
    assert np.array_equal(found.totals(), table.sum(axis=(2, 3)))
    assert np.array_equal(found[0, -1], table[0, -1])
    twice = ExitCounts.joined([found, ExitCounts.of_table(table[:1])])
    assert np.array_equal(twice, np.concatenate([table, table[:1]]))
    assert np.array_equal(twice.totals(), np.concatenate([table, table[:1]]).sum(axis=(2, 3)))
    assert twice.alike == (groups == 1)
    for k in range(6):
        late = [t for t in range(k + 1, 6) if table[:, k, t].any()]
        assert found.cancelled_timesteps(k).tolist() == late


def test_totals_count_what_ran_and_what_was_begun() -> None:
    book = ledger()
    stay = np.array([1, 4, 2])
    totals, cancelled = book.totals(stay), book.cancelled(stay)
    assert tuple(totals) == book.events == (Event.ACTIVE_WORDLINES, Event.CONVERSIONS)
    conversions, rows = book.fixed[Event.CONVERSIONS][0, -1], book.varied[Event.ACTIVE_WORDLINES]
    for t in range(4):
        here = [k for k in range(3) if stay[k] > t]
        begun = [k for k in range(3) if stay[k] == t]
        halves = {
            Event.CONVERSIONS: len(begun) * (conversions[t] // 2),
            Event.ACTIVE_WORDLINES: sum((rows[k, t] // 2 for k in begun), np.zeros(3, int)),
        }
        assert (totals[Event.CONVERSIONS][t] == len(here) * conversions[t] + halves[Event.CONVERSIONS]).all()
        wordlines = sum((rows[k, t] for k in here), halves[Event.ACTIVE_WORDLINES])
        assert (totals[Event.ACTIVE_WORDLINES][t] == wordlines).all()
        for event, half in halves.items():
            assert (cancelled[event][t] == half).all(), event
    everybody = book.cancelled(np.array([4, 4, 4]))
    assert not any(table.any() for table in everybody.values())


def test_energy_is_count_times_price() -> None:
    book = ledger()
    prices = (
        Charge("adc", Event.CONVERSIONS, 0.5),
        Charge("column_mux", Event.CONVERSIONS, 0.25),
        Charge("wordline_driver", Event.ACTIVE_WORDLINES, 2.0),
        Charge("lif", Event.LIF_UPDATES, 1e9),
    )
    energy = energy_pj(book, prices)
    assert energy.shape == (3, 4)
    for k in range(3):
        for leaves in range(1, 5):
            conversions = book.totals(np.full(3, leaves))[Event.CONVERSIONS].sum() / 3
            rows = book.image_counts(Event.ACTIVE_WORDLINES, leaves - 1)[k].sum()
            assert energy[k, leaves - 1] == pytest.approx(conversions * 0.75 + rows * 2.0)


@pytest.mark.parametrize("name", BUILT_IN)
def test_leakage_is_charged_for_all_instances_by_the_cycle(name: str) -> None:
    config = chip(name, technology__logic_leakage_uw_per_um2=0.01, sram__leakage_uw_per_byte=0.002)
    size = SIZES[1]
    leaking = {c.component: c.energy_pj for c in charges(config, size) if c.event == Event.POWERED_CYCLES}
    for block, component in config.components():
        count = component.instances(config, size)
        # 1 uW over 1 ns is 1 fJ; the clock and the controllers also pay for each cycle.
        pj = component.leakage_uw(config) * config.technology.clock_ns / 1000
        if block in ("clock", "controller"):
            pj += component.figure("tile_cycle_energy_pj", config)
        assert leaking.get(block, 0.0) == pytest.approx(pj * count)
    assert {"checker", "accumulator", "state_memory"} <= leaking.keys()


def test_a_price_list_has_no_entry_twice() -> None:
    for name in BUILT_IN:
        keys = [(c.component, c.event) for c in charges(chip(name), SIZES[1])]
        assert len(keys) == len(set(keys))
