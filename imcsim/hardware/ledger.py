"""Counts first, energy afterwards: integers by event, layer, timestep, image; priced by a pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.accounting import PERIPHERALS
from imcsim.hardware.component import ChipSize
from imcsim.hardware.config import BuiltShare, HardwareConfig, of_all_instances
from imcsim.hardware.events import Event
from imcsim.hardware.exit_counts import ExitCounts

Stay = NDArray[np.int64]
"""Timesteps that each image stays on the chip, int64 ``[images]``, 1 to T."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ledger:
    """What happened, for every timestep at which an image might leave.

    fixed: events that timing counts; one group serves all images where time does not depend on values, else
    there is a group an image. varied: events that follow from values, int64 ``[images, T, layers]`` of whole
    timesteps. begun: crossbar reads, skipped ones too, which say how much of a cancelled timestep was done.
    """

    layers: tuple[str, ...]
    images: int
    timesteps: int
    fixed: Mapping[Event, ExitCounts]
    varied: Mapping[Event, Counts]
    begun: ExitCounts

    @property
    def events(self) -> tuple[Event, ...]:
        """Events that were counted, in the order of the vocabulary."""
        return tuple(e for e in Event if e in self.fixed or e in self.varied)

    def image_counts(self, event: Event, exit_index: int) -> Counts:
        """Counts of each image when it leaves after ``exit_index + 1`` timesteps, ``[images or 1, T,
        layers]``.
        """
        if event in self.fixed:
            return self.fixed[event].of(exit_index)
        return self._left(self.varied[event], exit_index, np.arange(self.images))

    def _left(self, whole: Counts, exit_index: int, chosen: NDArray[np.int64]) -> Counts:
        """Counts of whole timesteps as they are for the `chosen` images that exit after some."""
        left = np.zeros((len(chosen), *whole.shape[1:]), np.int64)
        left[:, : exit_index + 1] = whole[chosen, : exit_index + 1]
        late = self.begun.cancelled_timesteps(exit_index)
        if len(late):
            left[:, late] = self._share(whole[chosen][:, late], exit_index, late, chosen)
        return left

    def _share(self, whole: Counts, exit_index: int, late: Counts, chosen: NDArray[np.int64]) -> Counts:
        """What cancelled timesteps drove: their share of the reads, rounded down, as values of single rows
        are not kept.
        """
        done, all_of_it = (self.begun.of(k)[:, late] for k in (exit_index, -1))
        if len(done) > 1:
            done, all_of_it = done[chosen], all_of_it[chosen]
        share: Counts = whole * done // np.maximum(all_of_it, 1)
        return share

    def sums(self, event: Event) -> Counts:
        """Counts of each image over layers and timesteps, for each exit, int64 ``[images or 1, T]``."""
        if event in self.fixed:
            return self.fixed[event].totals()
        whole, everybody = self.varied[event], np.arange(self.images)
        sums: Counts = whole.sum(axis=2).cumsum(axis=1)
        for k in self.begun.cancelling():
            late = self.begun.cancelled_timesteps(k)
            sums[:, k] += self._share(whole[:, late], k, late, everybody).sum(axis=(1, 2))
        return sums

    def totals(self, stay: Stay) -> dict[Event, Counts]:
        """Counts over all images, cancelled work included, int64 ``[T, layers]`` for each event."""
        return self._sum(stay, cancelled=False)

    def cancelled(self, stay: Stay) -> dict[Event, Counts]:
        """The part of `totals` that was cancelled."""
        return self._sum(stay, cancelled=True)

    def _sum(self, stay: Stay, *, cancelled: bool) -> dict[Event, Counts]:
        result = {event: np.zeros((self.timesteps, len(self.layers)), np.int64) for event in self.events}
        for event in self.events:
            whole = None if event in self.fixed else self.varied[event]
            for leaves in np.unique(stay):
                chosen, k = np.flatnonzero(stay == leaves), int(leaves) - 1
                first = k + 1 if cancelled else 0
                if whole is not None:
                    part = self._left(whole, k, chosen).sum(axis=0)
                elif self.fixed[event].alike:
                    part = self.fixed[event].of(k)[0] * len(chosen)
                else:
                    part = self.fixed[event].of(k)[chosen].sum(axis=0)
                result[event][first:] += part[first:]
        return result


@dataclass(frozen=True)
class Charge:
    """What a component pays for one event, in pJ; with `once`, for an image's first timestep only."""

    component: str
    event: Event
    energy_pj: float
    once: bool = False
    columns: tuple[int, ...] | None = None
    """The layers of the ledger, by number, whose tiles are of a type with this price; None: all of them."""

    def counted(self, counts: Counts) -> Counts:
        """Of counts, int64 ``[..., layers]``, those of the layers that it is about."""
        if self.columns is None:
            return counts
        return np.where(np.isin(np.arange(counts.shape[-1]), self.columns), counts, 0)

    def paid(self, counts: Counts) -> Counts:
        """Of counts, int64 ``[..., T, layers]``, those that are paid for."""
        mine = self.counted(counts)
        return mine[..., :1, :] if self.once else mine


def charges(config: HardwareConfig, size: ChipSize) -> tuple[Charge, ...]:
    """The price list of a chip of this size. Leakage and clock are charged by the powered cycle, for all
    instances together; where idle tiles are gated, those of a tile by the powered cycle of a tile.
    """
    result = []
    gated = config.clock.gating == "idle_tiles"
    for name, component in config.components_of(size):
        once = config.accounting == "peripherals_once" and name in PERIPHERALS
        shares = config.built(name, size)
        if len(shares) == 1:
            for event, energy in component.charges(config).items():
                result.append(Charge(name, event, energy, once))
        else:
            result += _charges_of_types(name, shares, once=once)
        standing = of_all_instances(shares, lambda share: share.component.standing_energy_pj(share.chip))
        if standing > 0 and gated and component.scope != "chip":
            result.append(Charge(name, Event.POWERED_TILE_CYCLES, standing / size.tiles, once))
        elif standing > 0:
            result.append(Charge(name, Event.POWERED_CYCLES, standing, once))
    return tuple(result)


def _charges_of_types(name: str, shares: Sequence[BuiltShare], *, once: bool) -> list[Charge]:
    """The prices of a component that tiles of several types have; one where they are the same for all."""
    columns: dict[tuple[Event, float], list[int]] = {}
    for share in shares:
        for event, energy in share.component.charges(share.chip).items():
            columns.setdefault((event, energy), []).extend(share.columns or ())
    every = {column for share in shares for column in share.columns or ()}
    return [
        Charge(name, event, energy, once, None if set(mine) == every else tuple(sorted(mine)))
        for (event, energy), mine in columns.items()
        if mine
    ]


def energy_pj(ledger: Ledger, prices: tuple[Charge, ...]) -> NDArray[np.float64]:
    """Energy of each image if it leaves after 1, 2, .. T timesteps, pJ ``[images, T]``, cancelled work
    included.
    """
    energy = np.zeros((ledger.images, ledger.timesteps))
    counted = set(ledger.events)
    for charge in prices:
        if charge.event not in counted or charge.energy_pj == 0:
            continue
        if charge.once or charge.columns is not None:
            for k in range(ledger.timesteps):
                paid = charge.paid(ledger.image_counts(charge.event, k))
                energy[:, k] += paid.sum(axis=(1, 2)) * charge.energy_pj
        else:
            energy += ledger.sums(charge.event) * charge.energy_pj
    return energy
