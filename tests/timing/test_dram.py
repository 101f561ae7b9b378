"""Memory behind the link: what it adds to counts, cycles and energy, in both fidelities."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from networks import vgg_like
from random_chips import assert_same

import imcsim
from imcsim.base.errors import ImcsimError
from imcsim.hardware.component import ChipSize
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.estimators.figures import figures
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import charges
from imcsim.mapping import Placement, place
from imcsim.network.graph import Network
from imcsim.timing import Timeline, Timing, parse, play

SMALL = {"encoder.mode": "keep", "mapping.replication": "none"}


def chip(**values: object) -> HardwareConfig:
    given = {f"dram.{key}": value for key, value in values.items()}
    return imcsim.hardware.load("dtsnn_32nm", SMALL | given).config


@pytest.fixture(scope="module")
def network() -> Network:
    return vgg_like(np.random.default_rng(5))


def placed(network: Network, config: HardwareConfig) -> Placement:
    return place(network, config)


def line(network: Network, config: HardwareConfig, **about: object) -> Timeline:
    timing = Timing(3, **about)  # type: ignore[arg-type]
    return play(placed(network, config), config, [2, 3], timing)


def test_image_waits_for_the_slower_of_link_and_memory(network: Network) -> None:
    bits = placed(network, chip()).graph.image_bits
    clock = chip().technology.clock_ns
    plain = line(network, chip())
    for preset in ("lpddr4", "lpddr5", "hbm2"):
        known = figures("dram")[preset]["value"]
        config = chip(preset=preset)
        over_link = -(-bits // config.offchip_link.bits_per_cycle)
        given = math.ceil(bits / (known["bits_per_ns"] * clock))
        cycles = max(over_link, given) + math.ceil(known["latency_ns"] / clock)
        assert config.load_cycles(bits) == cycles
        # Under `wait` an image is loaded before anything else, so that all of it is that much later.
        later = cycles - chip().load_cycles(bits)
        assert line(network, config).departure[0] == plain.departure[0] + later
    slow = chip(preset="lpddr4", bits_per_ns=0.5, latency_ns=0)
    assert slow.load_cycles(bits) == math.ceil(bits / (0.5 * clock)) > over_link


def test_results_go_back_once_for_each_image(network: Network) -> None:
    config = chip(preset="lpddr4")
    written = line(network, config).count(Event.RESULT_BITS)
    bits = network.classes * config.lif.partial_sum_bits
    # Jobs are the timesteps of an image of two and of one of three.
    assert written[:, -2].tolist() == [bits, 0, bits, 0, 0]
    assert written.sum() == 2 * bits
    assert line(network, chip()).count(Event.RESULT_BITS).sum() == 0


def test_all_other_counts_are_those_of_the_chip_alone(network: Network) -> None:
    with_memory, alone = line(network, chip(preset="hbm2")), line(network, chip())
    for event in Event:
        if event is not Event.RESULT_BITS:
            assert np.array_equal(with_memory.count(event), alone.count(event)), event


@pytest.mark.parametrize("issue", ["wait", "pipeline", "speculate", "interleave:2"])
@pytest.mark.parametrize("timed", [False, True])
def test_fidelities_agree_to_the_cycle(issue: str, timed: bool) -> None:
    network = vgg_like(np.random.default_rng(5), plan=(4, "M", 6), size=8)  # the reference takes its time
    config = imcsim.hardware.load(
        "dtsnn_32nm",
        SMALL | {"dram.preset": "lpddr4", "dram.latency_ns": 37.5, "encoder.mode": "recompute"},
    ).config
    both = [
        line(network, config, fidelity=kind, issue=parse(issue), timed=timed)
        for kind in ("reference", "burst")
    ]
    assert_same(*both)


def test_prices_are_those_of_the_preset_or_of_the_file() -> None:
    size = ChipSize(9, 72, 576)
    config = chip(preset="lpddr4", bit_energy_pj=3.5)
    prices = {(c.component, c.event): c.energy_pj for c in charges(config, size)}
    assert prices["dram", Event.IMAGE_BITS] == prices["dram", Event.RESULT_BITS] == 3.5
    assert prices["offchip_link", Event.RESULT_BITS] == config.offchip_link.bit_energy_pj
    standing = figures("dram")["lpddr4"]["value"]["background_uw"] * config.technology.clock_ns * 1e-3
    assert prices["dram", Event.POWERED_CYCLES] == pytest.approx(standing)
    assert config.area_um2(size) == chip().area_um2(size)
    assert chip().dram not in [part for _, part in chip().components_of(size)]
    assert charges(chip(), size) == tuple(
        c
        for c in charges(config, size)
        if c.component != "dram" and (c.component, c.event) != ("offchip_link", Event.RESULT_BITS)
    )


def test_presets_say_how_sure_they_are() -> None:
    for preset in figures("dram").values():
        assert preset["mark"] in ("paper", "code", "2nd", "est", "derived")
        assert preset["source"]


def test_a_figure_without_a_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImcsimError, match=r"dram.*bit_energy_pj is given, but there is no DRAM"):
        chip(bit_energy_pj=3.5)
    file = tmp_path / "chip.yaml"
    file.write_text("extends: dtsnn_32nm\ndram:\n  preset: ddr9\n")
    with pytest.raises(ImcsimError, match=r"chip\.yaml.*dram\.preset"):
        imcsim.hardware.load(file)
