"""A network on a chip with a few images, and what its ledger says about a component or a layer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.simulate import Simulation, Timing, make_chip, replay, simulate, with_timing
from imcsim.timing import Issue


def simulated(network: Network, hardware: Hardware, inputs: Inputs, timesteps: int) -> Simulation:
    """Static runs of 1 to `timesteps` timesteps; the images calibrate the ADCs themselves."""
    chip = make_chip(network, hardware, inputs, Timing(timesteps, Issue()))
    return simulate(chip, inputs)


def on_other_chip(simulation: Simulation, config: HardwareConfig, inputs: Inputs) -> Simulation:
    """The same values on a chip that differs in prices, mapping or timing, not in arithmetic."""
    chip = with_timing(replace(simulation.chip, config=config), simulation.chip.timing)
    return replay(simulation, chip, inputs)


def component_energy_pj(
    simulation: Simulation, timesteps: int, layers: Collection[str] | None = None
) -> dict[str, float]:
    """Energy of each component in a static run, pJ an image, over all layers or the named ones."""
    ledger, chip = simulation.static.ledger, simulation.chip
    totals = ledger.totals(np.full(ledger.images, timesteps, np.int64))
    chosen = [layers is None or name in layers for name in ledger.layers]
    energy = dict.fromkeys((name for name, _ in chip.config.components()), 0.0)
    for charge in chip.prices():
        if charge.event in totals:
            count = int(totals[charge.event][:, chosen].sum())
            energy[charge.component] += count * charge.energy_pj / ledger.images
    return energy


def event_energy_pj(simulation: Simulation, events: Collection[Event], timesteps: int) -> float:
    """Energy of some events in a static run, pJ an image."""
    ledger = simulation.static.ledger
    totals = ledger.totals(np.full(ledger.images, timesteps, np.int64))
    return sum(
        int(totals[charge.event].sum()) * charge.energy_pj / ledger.images
        for charge in simulation.chip.prices()
        if charge.event in events and charge.event in totals
    )
