"""The figures that docs/timing.md works by hand, played through the engine, the ledger and the prices."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import simpy
from played import play

import imcsim.hardware
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import place
from imcsim.mapping.topologies import Mesh
from imcsim.network import problems
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network
from imcsim.timing.processes.links import Links
from imcsim.validate import by_hand, by_hand_rows
from imcsim.validate.chips import Counts, simulated

PAGE = (Path(__file__).parents[2] / "docs" / "timing.md").read_text(encoding="utf-8")
BY_HAND = PAGE.split("## A read, a conversion, a packet and an image by hand")[1]


def chip(**overrides: object) -> HardwareConfig:
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    return imcsim.hardware.load("dtsnn_32nm", {**by_hand.GIVEN, **given}).config


def image_cycles(network: Network, config: HardwareConfig) -> int:
    """Cycles from arrival to verdict, in both fidelities."""
    placed = place(network, config)
    played = {
        fidelity: play(placed, config, [1], 1, fidelity=fidelity).cycles
        for fidelity in ("reference", "burst")
    }  # fmt: skip
    assert played["reference"] == played["burst"]
    return played["burst"]


def test_the_networks_are_sound() -> None:
    for network in (by_hand.one_read(), by_hand.one_row()):
        assert not list(problems(network))


def test_every_row_is_within_its_digits() -> None:
    rows = by_hand_rows()
    assert len(rows) == 7
    for row in rows:
        assert row.passed, (row.name, row.expected, row.got)


@pytest.mark.parametrize(
    "figure",
    [
        "0.395 fJ", "0.237 fJ", "0.147 pJ", "0.0329 pJ", "13.6 pJ", "20 cycles", "106.5 pJ", "302.2 pJ",
        "94 cycles",
    ],
)  # fmt: skip
def test_the_page_says_so(figure: str) -> None:
    assert figure in BY_HAND


def test_a_driven_row_of_cells() -> None:
    # V^2 t G with V = 0.1 V, t = 7.9 ns: 5 uS at level 0, 45 uS over 15 levels.
    config = chip()
    prices = config.cells.charges(config)
    cell, level = 0.1**2 * 7.9e-9 * 5e-6, 0.1**2 * 7.9e-9 * 45e-6 / 15
    assert prices[Event.ACTIVE_CELLS] == pytest.approx(cell * 1e12)
    assert prices[Event.ACTIVE_LEVELS] == pytest.approx(level * 1e12)
    assert round(cell * 1e15, 3) == 0.395
    assert round(level * 1e15, 3) == 0.237
    assert 64 * (cell + 8 * level) * 1e12 == pytest.approx(0.147, abs=5e-4)
    driver = config.wordline_driver.charges(config)[Event.ACTIVE_WORDLINES]
    assert driver == pytest.approx(4.17e-6 * 7.9e-9 * 1e12)
    assert driver == pytest.approx(0.0329, abs=5e-5)


@pytest.mark.parametrize("level", [0, 3, 8, 15])
def test_a_read_follows_the_levels_of_its_cells(level: int) -> None:
    # A weight of w + 128 = 17 l has level l in both of its cells.
    weight = np.full((32, 64, 1, 1), 17 * level - 128, np.int8)
    network = by_hand.one_read()
    read, *others = network.nodes
    assert isinstance(read, Conv2d)
    changed = Conv2d(read.name, read.inputs, weight, read.scale, read.bias, read.stride, read.padding)
    network = Network("read", (64, 1, 1), 1, 1.0, 10, 1, 8, (changed, *others))
    hardware = imcsim.hardware.load("dtsnn_32nm", by_hand.GIVEN)
    energy = Counts(simulated(network, hardware, by_hand.ones(network), 1), 1).energy_pj(layers=["read"])
    assert energy["cells"] == pytest.approx(64 * 64 * (0.395 + level * 0.237) * 1e-3)


def test_conversions() -> None:
    config = chip()
    assert (config.sense_cycles, config.convert_cycles, config.adcs_per_crossbar) == (8, 8, 8)
    assert 64 * config.adc.conversion_energy_pj(config) == pytest.approx(13.6, abs=0.05)


@pytest.mark.parametrize(
    ("overrides", "cycles"),
    [
        ({}, 94),
        # Two reads, one after the other, of 4 cycles more each; of 8 conversions less each; and so on.
        ({"cells__read_pulse_ns": 11.9}, 94 + 2 * 4),
        ({"column_mux__columns_per_adc": 4}, 94 - 2 * 4),
        ({"adc__conversion_cycles": 2}, 94 + 2 * 8),
        # 32 neurons in two cycles.
        ({"lif__lanes": 16}, 94 + 1),
        # 64, 32 and 200 bits in 1 + 1, 1 + 1 and 1 + 4 flits instead of 1 + 2, 1 + 1 and 1 + 7.
        ({"noc__flit_bits": 64}, 94 - 1 - 0 - 3),
        # Five routers, a cycle more each.
        ({"noc__hop_cycles": 3}, 94 + 5),
        # 64 bits of image in 4 cycles.
        ({"offchip_link__bits_per_cycle": 16}, 94 + 3),
        ({"accumulator__class_cycles": 2}, 94 + 10),
        ({"checker__final_cycles": 5}, 94 + 1),
    ],
)
def test_the_cycles_of_one_image(overrides: dict[str, object], cycles: int) -> None:
    config = chip(**overrides)
    assert image_cycles(by_hand.one_read(), config) == cycles


def test_the_page_adds_up_to_the_image_s_cycles() -> None:
    line = next(line for line in BY_HAND.splitlines() if "= 94 cycles" in line)
    terms = re.findall(r"\d+", line.split("= 94 cycles")[0].split(":")[-1])
    assert sum(map(int, terms)) == 94


@pytest.mark.parametrize(("flits", "routers", "cycles"), [(17, 2, 20), (17, 1, 18), (1, 3, 6), (8, 5, 17)])
def test_a_packet_alone_on_the_mesh(flits: int, routers: int, cycles: int) -> None:
    config = chip()
    env = simpy.Environment()
    links = Links(env, config)
    assert links.flits(512) == 17
    target = (routers - 1, 0)
    way = Mesh((routers, 1), routers).route((0, 0), target)
    assert len(way) == routers
    env.process(links.send(way, flits, 1))
    env.run()
    assert env.now == cycles == routers * config.noc.hop_cycles + flits - 1


def test_a_packet_between_neighbouring_tiles() -> None:
    config, network = chip(), by_hand.one_row()
    placed = place(network, config)
    sender, receiver = (placed.positions[placed.parts_of(k)[0].tile] for k in (0, 1))
    assert abs(sender[0] - receiver[0]) + abs(sender[1] - receiver[1]) == 1
    hops = play(placed, config, [1], 1).count(Event.FLIT_HOPS)[0]
    assert hops[1] == 16 * 17 * 2
    prices = config.noc.charges(config)
    flit_hop, bit = prices[Event.FLIT_HOPS], prices[Event.NOC_VALUE_BITS]
    assert (flit_hop, bit) == pytest.approx((2.59, 0.18 * 1.0 * 0.1))
    assert 17 * 2 * flit_hop + 2 * 512 * bit == pytest.approx(106.5, abs=0.05)


def test_a_check_of_ten_classes() -> None:
    # Two passes over the classes and four cycles; a compare a class and one with the threshold; exponentials.
    config = chip()
    assert config.checker.cycles(10) == 24
    energy = sum(
        config.checker.charges(config)[event] * count
        for event, count in config.checker.events(10, mean=True, tiles=0).items()
    )
    assert energy == pytest.approx(11 * 0.0295 + 31 * 0.21 + 11 * 1.49 + 22 * 12.68)
    assert energy == pytest.approx(302.2, abs=0.05)


def test_a_read_costs_the_same_whatever_follows() -> None:
    hardware = imcsim.hardware.load("dtsnn_32nm", by_hand.GIVEN)
    network = by_hand.one_read()
    wide = Linear("fc", ("flatten",), np.ones((20, 32), np.int8), np.ones(20), np.zeros(20))
    other = Network(
        "wide", (64, 1, 1), 1, 1.0, 20, 1, 8,
        (network.node("read"), LIF("fire", ("read",), 0.5, 1.0, "hard"), Flatten("flatten", ("fire",)), wide),
    )  # fmt: skip
    assert network.node("read").inputs == (INPUT,)
    small, large = (
        Counts(simulated(n, hardware, by_hand.ones(n), 1), 1).energy_pj(layers=["read"])
        for n in (network, other)
    )
    assert small == large
