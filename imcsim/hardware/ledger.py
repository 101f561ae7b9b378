"""Counts first, energy afterwards: integers by event, layer, timestep and image, priced by a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.component import ChipSize
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event

Alive = NDArray[np.bool_]
"""bool ``[images, timesteps]``: the timesteps that each image runs."""


@dataclass(frozen=True, eq=False)
class Ledger:
    """What happened. `fixed` counts are the same for every image, int64 ``[T, layers]``; `varied` ones are
    int64 ``[images, T, layers]``. A timestep counts for an image only while the image is on the chip.
    """

    layers: tuple[str, ...]
    images: int
    timesteps: int
    fixed: Mapping[Event, NDArray[np.int64]]
    varied: Mapping[Event, NDArray[np.int64]]

    @property
    def events(self) -> tuple[Event, ...]:
        """Events that were counted, in the order of the vocabulary."""
        return tuple(e for e in Event if e in self.fixed or e in self.varied)

    def totals(self, alive: Alive) -> dict[Event, NDArray[np.int64]]:
        """Counts over all images, int64 ``[T, layers]`` for each event."""
        running = alive.sum(axis=0).astype(np.int64)
        result = {}
        for event in self.events:
            if event in self.fixed:
                result[event] = self.fixed[event] * running[:, None]
            else:
                result[event] = (self.varied[event] * alive[:, :, None]).sum(axis=0)
        return result


@dataclass(frozen=True)
class Charge:
    """What a component pays for one event, in pJ."""

    component: str
    event: Event
    energy_pj: float


def charges(config: HardwareConfig, size: ChipSize) -> tuple[Charge, ...]:
    """The price list of a chip of this size. Leakage is charged by the powered cycle, for all instances together:
    1 uW over 1 ns is 1e-3 pJ.
    """
    result = []
    for name, component in config.components():
        for event, energy in component.charges(config).items():
            result.append(Charge(name, event, energy))
        leakage = component.leakage_uw(config) * component.instances(config, size)
        if leakage > 0:
            result.append(Charge(name, Event.POWERED_CYCLES, leakage * config.technology.clock_ns * 1e-3))
    return tuple(result)


def energy_pj(ledger: Ledger, prices: tuple[Charge, ...]) -> NDArray[np.float64]:
    """Energy of each image in each timestep, pJ ``[images, T]``, whether or not it still runs then."""
    fixed = np.zeros(ledger.timesteps)
    varied = np.zeros((ledger.images, ledger.timesteps))
    for charge in prices:
        if charge.event in ledger.fixed:
            fixed += ledger.fixed[charge.event].sum(axis=1) * charge.energy_pj
        elif charge.event in ledger.varied:
            varied += ledger.varied[charge.event].sum(axis=2) * charge.energy_pj
    return varied + fixed


def static_alive(images: int, timesteps: int, until: int) -> Alive:
    """Every image runs `until` of `timesteps` timesteps."""
    return np.broadcast_to(np.arange(timesteps) < until, (images, timesteps))


def dynamic_alive(exit_timesteps: NDArray[np.int64], timesteps: int) -> Alive:
    """Image i runs ``exit_timesteps[i]`` timesteps."""
    return np.arange(timesteps)[None, :] < exit_timesteps[:, None]
