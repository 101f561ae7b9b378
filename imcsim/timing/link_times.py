"""How long packets take over links, and verdicts to all who wait for them."""

from __future__ import annotations

from imcsim.base.arrangements import chips_passed
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping import Placement
from imcsim.mapping.topologies import Link


def head_cycles(link: Link, config: HardwareConfig) -> int:
    """Cycles until the head of a packet is through a link."""
    if link.between_chips:
        return config.package.latency_cycles(config) + 1
    return config.noc.link_cycles(link.pitches, config)


def held_cycles(link: Link, flits: int, config: HardwareConfig) -> int:
    """Cycles for which a packet of so many flits holds a link."""
    if link.between_chips:
        return config.package.transfer_cycles(flits * config.noc.flit_bits, config)
    return flits


def check_cycles(placement: Placement, config: HardwareConfig) -> int:
    """Cycles from the class outputs of a timestep until everybody knows the verdict."""
    checker = config.checker
    return checker.cycles(placement.graph.classes) + checker.way_cycles(placement.reach, config)


def results(placement: Placement, config: HardwareConfig) -> dict[Event, int]:
    """What it counts to write an image's class outputs to the DRAM, which stands at the first chip."""
    bits = config.dram.result_bits(placement.graph.classes, config)
    links = len(chips_passed(placement.arrangement, len(placement.chips), placement.checker_chip, 0)) - 1
    return {Event.RESULT_BITS: bits, Event.PACKAGE_BITS: bits * links} if links else {Event.RESULT_BITS: bits}


def checked(placement: Placement, config: HardwareConfig, *, mean: bool) -> dict[Event, int]:
    """What a check and its verdict count, on its way to all tiles of all chips."""
    found = config.checker.events(placement.graph.classes, mean, placement.tiles)
    bits = config.package.verdict_bits(config)
    return {**found, Event.PACKAGE_BITS: bits} if bits else found
