"""A network on a chip with a few images, the same on other chips, and its ledger by component."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import charges
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.simulation.chip import make_chip, with_timing
from imcsim.simulation.simulate import Simulation, replay, simulate
from imcsim.timing import Issue, Timing


def simulated(network: Network, hardware: Hardware, inputs: Inputs, timesteps: int) -> Simulation:
    """Static runs of 1 to `timesteps` timesteps; the images calibrate the ADCs themselves."""
    chip = make_chip(network, hardware, inputs, Timing(timesteps, Issue()))
    return simulate(chip, inputs)


def changed(config: HardwareConfig, changes: Mapping[str, Any]) -> HardwareConfig:
    """`config` with other values at the dotted keys of two parts, as ``htree.length_mm``."""
    for key, value in changes.items():
        block, field = key.split(".")
        section = getattr(config, block).model_copy(update={field: value})
        config = config.model_copy(update={block: section})
    return config


def on_other_chip(
    simulation: Simulation, config: HardwareConfig, inputs: Inputs, *, played: bool
) -> Simulation:
    """The same values on a chip that differs in prices alone or, `played` anew, in mapping and timing.

    What the change would do to values is left out.
    """
    chip = replace(simulation.chip, config=config, stated=config)
    return replay(simulation, with_timing(chip, chip.timing) if played else chip, inputs)


class Counts:
    """What a static run counted, summed over timesteps, for each layer; mean over the images.

    Prices are applied afterwards, so that one count serves many chips.
    """

    def __init__(self, simulation: Simulation, timesteps: int) -> None:
        ledger = simulation.static.ledger
        stay = np.full(ledger.images, timesteps, np.int64)
        self.layers = ledger.layers
        self.size = simulation.chip.size
        self.config = simulation.chip.config
        self.by_event = {
            event: counts.sum(axis=0) / ledger.images for event, counts in ledger.totals(stay).items()
        }

    def energy_pj(
        self,
        config: HardwareConfig | None = None,
        *,
        layers: Collection[str] | None = None,
        events: Collection[Event] | None = None,
    ) -> dict[str, float]:
        """Energy of each component, pJ an image, at the prices of `config`, in all or the named layers and
        events.
        """
        config = config or self.config
        chosen = [layers is None or name in layers for name in self.layers]
        energy = dict.fromkeys((name for name, _ in config.components()), 0.0)
        for charge in charges(config, self.size):
            if charge.event in self.by_event and (events is None or charge.event in events):
                energy[charge.component] += (
                    float(self.by_event[charge.event][chosen].sum()) * charge.energy_pj
                )
        return energy
