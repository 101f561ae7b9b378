"""Packets and verdicts over links between chips: by hand, and in both fidelities to the cycle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import simpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import random_network, vgg_like
from random_chips import any_network, assert_same, chips, outcome, package, plays, random_work

from imcsim.base.arrangements import ARRANGEMENTS
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import IMAGE, Placement, place
from imcsim.mapping.topologies import chip_link
from imcsim.mapping.traffic import package_flits
from imcsim.network.graph import Network
from imcsim.timing import Layout, Timeline, Timing, parse
from imcsim.timing.fabric.one_image import exits_of
from imcsim.timing.link_times import check_cycles, held_cycles
from imcsim.timing.processes.links import Links
from imcsim.timing.recorder import Recorder


def network() -> Network:
    return random_network(np.random.default_rng(3), residual=True, depth=2, channels=6, timesteps=2)


def both(placed: Placement, config: HardwareConfig, **about: Any) -> Timeline:
    """What both fidelities say."""
    fine, quick = (outcome(placed, config, fidelity=kind, **about) for kind in ("reference", "burst"))
    assert_same(fine, quick)
    assert isinstance(quick, Timeline)
    return quick


# By hand


def sent(config: HardwareConfig, placed: Placement, flits: int, *packets: tuple[int, int]) -> list[int]:
    """When packets that begin together have come from one tile to another."""
    env = simpy.Environment()
    links = Links(env, config)
    arrived = [0] * len(packets)

    def carry(k: int, way: Any) -> Any:
        yield from links.send(way, flits, k)
        arrived[k] = int(env.now)

    for k, (source, target) in enumerate(packets):
        env.process(carry(k, placed.route(source, target)))
    env.run()
    return arrived


def test_a_packet_waits_whole_in_ports() -> None:
    config = package(3, package__bits_per_ns=8.0, package__latency_ns=5.0, technology__clock_ns=1.0)
    placed = place(network(), config)
    source, target = placed.chips[0].tiles[-1], placed.chips[2].tiles[-1]
    flits = 5
    held = flits * config.noc.flit_bits // 8
    assert held_cycles(chip_link(0, 1), flits, config) == held
    meshes = [
        len(placed.chips[0].route(placed.positions[source], None)),
        len(placed.chips[2].route(None, placed.positions[target])),
    ]
    hop = config.noc.hop_cycles
    alone = sum(hop * routers + flits - 1 for routers in meshes) + 2 * (5 + held)
    assert sent(config, placed, flits, (source, target)) == [alone]
    # A second one is held up where the first holds the link, for as long as its bits need.
    assert sent(config, placed, flits, (source, target), (source, target)) == [alone, alone + held]


def test_flits_over_links_are_counted_and_charged() -> None:
    config = package(2)
    placed, net = place(network(), config), network()
    line = both(placed, config, exits=[2], timesteps=2)
    moved = line.count(Event.PACKAGE_BITS)
    output = len(line.layers) - 2
    # Of the first timestep all that is sent, of each one a flit of the verdict.
    assert moved[0, :output].sum() == package_flits(placed, config) * config.noc.flit_bits
    assert moved[:, output].tolist() == [config.noc.flit_bits] * 2
    prices = {c.event: c.energy_pj for c in charges_of(placed, config) if c.component == "package"}
    assert prices[Event.PACKAGE_BITS] == 0.25
    whole = both(place(net, package(1)), package(1), exits=[2], timesteps=2)
    assert not whole.count(Event.PACKAGE_BITS).any()
    assert whole.package_cycles == 0 < line.package_cycles
    # All else that is counted is the same, but for what goes over longer ways.
    ways = (Event.FLIT_HOPS, Event.NOC_VALUE_BITS, Event.NOC_CURRENT_BITS, Event.PACKAGE_BITS)
    for event in Event:
        if event not in ways:
            assert np.array_equal(whole.count(event), line.count(event)), event


def charges_of(placed: Placement, config: HardwareConfig) -> Any:
    from imcsim.hardware.ledger import charges

    return charges(config, placed.size)


@pytest.mark.parametrize(
    ("count", "arrangement", "links"), [(2, "chain", 1), (4, "chain", 3), (4, "ring", 2), (4, "full", 1)]
)
def test_a_verdict_reaches_the_farthest_chip(count: int, arrangement: str, links: int) -> None:
    given = {"package__latency_ns": 7.0, "package__bits_per_ns": 10.0, "checker__verdict_cycles": 3}
    config = package(count, package__arrangement=arrangement, technology__clock_ns=1.0, **given)
    placed = place(network(), config)
    over = links * (7 + math.ceil(config.noc.flit_bits / 10))
    assert check_cycles(placed, config) == config.checker.cycles(placed.graph.classes) + 3 + over
    line = both(placed, config, exits=[1], timesteps=2, issue=parse("speculate"))
    first = int(np.flatnonzero(line.verdict >= 0)[0])
    assert line.verdict[first] - line.answer[first] == check_cycles(placed, config)
    assert line.departure[0] == line.verdict[first]
    bits = line.count(Event.PACKAGE_BITS)[first, len(line.layers) - 2]
    assert bits == (count - 1) * config.noc.flit_bits


def test_an_image_for_a_later_chip_passes_links() -> None:
    net = vgg_like(np.random.default_rng(0), plan=(4, 4), size=6, classes=3, timesteps=2)
    names = [node.name for node in net.weighted]
    config = package(2, mapping__chips={names[0]: 1, names[1]: 0})
    placed = place(net, config)
    line = both(placed, config, exits=[2], timesteps=2)
    edge = next(e for e in placed.graph.edges if e.source == IMAGE)
    flits = edge.height * (1 + -(-edge.row_bits // config.noc.flit_bits))
    to = len(placed.parts_of(edge.target))
    assert line.count(Event.PACKAGE_BITS)[0, 0] == flits * to * config.noc.flit_bits


def test_the_recorder_shows_links_between_chips() -> None:
    config = package(2)
    placed, recorder = place(network(), config), Recorder()
    line = outcome(placed, config, fidelity="reference", exits=[1], timesteps=1, recorder=recorder)
    assert isinstance(line, Timeline)
    hops = [one for one in recorder.of("hop") if one.link is not None and one.link.between_chips]
    assert sum(one.ended - one.began for one in hops) == line.package_cycles > 0
    others = [one for one in recorder.of("hop") if one.link is not None and not one.link.between_chips]
    assert sum(one.ended - one.began for one in others) == line.link_cycles


# Fidelities


@st.composite
def packages(draw: st.DrawFn, net: Network, **given: Any) -> HardwareConfig:
    """Any chip, and a package of some of them on any links, cut by traffic or by hand."""
    layers = [node.name for node in net.weighted]
    count = draw(st.integers(1, min(4, len(layers))))
    config = draw(chips(**given))
    links = config.package.model_copy(
        update={
            "chips": count,
            "arrangement": draw(st.sampled_from(ARRANGEMENTS)),
            "link": draw(st.sampled_from(("interposer", "board"))),
            "bits_per_ns": draw(st.sampled_from((None, 100.0, 7.3, 0.4))),
            "latency_ns": draw(st.sampled_from((None, 0.0, 31.0))),
        }
    )
    mapping = config.mapping
    if draw(st.booleans()):
        held = draw(
            st.permutations([*range(count), *(draw(st.integers(0, count - 1)) for _ in layers[count:])])
        )
        mapping = mapping.model_copy(update={"chips": dict(zip(layers, held, strict=True))})
    return config.model_copy(update={"package": links, "mapping": mapping})


def check_package(data: st.DataObject) -> None:
    net = data.draw(any_network(max_size=5))
    aer, skips = data.draw(st.sampled_from(("aer", "bitmap"))), data.draw(st.booleans())
    config = data.draw(packages(net, activity__spike_coding=aer, activity__skip_zero_reads=skips))
    placed, about = place(net, config), data.draw(plays())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    about["work"] = random_work(rng, placed, len(about["exits"]), about["timesteps"], 0.3)
    assert_same(*(outcome(placed, config, fidelity=kind, **about) for kind in ("reference", "burst")))


CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@given(st.data())
@settings(deadline=None, max_examples=30, derandomize=True, suppress_health_check=CHECKS)
def test_fidelities_agree_on_any_package(data: st.DataObject) -> None:
    check_package(data)


@pytest.mark.slow
@given(st.data())
@settings(deadline=None, max_examples=1000, suppress_health_check=CHECKS)
def test_fidelities_agree_on_many_packages(data: st.DataObject) -> None:
    check_package(data)


@pytest.mark.parametrize("policy", ["wait", "speculate", "interleave:2"])
def test_packages_with_types_of_tile_topologies_and_dram(policy: str) -> None:
    net = network()
    config = package(
        3,
        package__link="organic",
        noc__topology="ring" if policy == "wait" else "tree",
        tile_types={"small": {"cells": {"rows": 8, "columns": 16}, "adc": {"conversion_cycles": 3}}},
        mapping__tile_types={node.name: "small" for node in net.weighted[::2]},
        dram__preset="lpddr4",
    )
    placed = place(net, config)
    line = both(placed, config, exits=[2, 1, 2], timesteps=2, issue=parse(policy))
    assert line.count(Event.PACKAGE_BITS).any()
    bits = config.dram.result_bits(placed.graph.classes, config)
    assert line.count(Event.RESULT_BITS).sum() == 3 * bits
    # They go back over both links, and each verdict goes over both.
    output = line.count(Event.PACKAGE_BITS)[:, len(line.layers) - 2]
    checks = int((line.verdict >= 0).sum())
    assert output.sum() == 2 * (3 * bits + checks * config.noc.flit_bits)


@pytest.mark.parametrize("dynamic", [True, False])
def test_one_image_for_every_exit(dynamic: bool) -> None:
    config = package(3, package__link="board", dram__preset="lpddr5")
    placed = place(network(), config)
    issue = parse("speculate" if dynamic else "pipeline")
    line, shorter = exits_of(Layout(placed, config), Timing(3, issue), None, dynamic=dynamic, shown=(1, 2))
    for run in shorter:
        alone = both(placed, config, exits=[run.exit], timesteps=3 if dynamic else run.exit, issue=issue)
        assert np.array_equal(alone.counts[run.first :], run.counts)
    assert_same(line, both(placed, config, exits=[3], timesteps=3, issue=issue))


@given(any_network(max_size=5), plays())
@settings(deadline=None, max_examples=10, derandomize=True, suppress_health_check=CHECKS)
def test_one_chip_of_a_package_plays_like_today_s(net: Network, how: dict[str, Any]) -> None:
    plain = package(1)
    alone = plain.model_copy(
        update={"package": plain.package.model_copy(update={"link": "board", "latency_ns": 99.0})}
    )
    assert_same(*(outcome(place(net, one), one, **how) for one in (plain, alone)))
