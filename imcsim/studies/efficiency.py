"""The figures that architecture papers report, of images that ran on a chip (see `results.efficiency`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.hardware.ledger import Counts, Stay
from imcsim.hardware.naive import naive_energies
from imcsim.hardware.tile_budget import full_rate, tile_budget
from imcsim.mapping import LayerPlacement
from imcsim.mapping.pack import tiles_by_type
from imcsim.results.costs import LayerCost
from imcsim.results.efficiency import Efficiency, LayerEfficiency, PeakEfficiency
from imcsim.simulation.chip import Chip
from imcsim.simulation.simulate import ExitCosts
from imcsim.timing import Resource

PER_MULTIPLY_ACCUMULATE = 2
"""Operations: a multiplication and an addition."""


@dataclass(frozen=True, eq=False)
class WorkDone:
    """What images made a chip do.

    stay: how long each of them stayed. totals, finished: how often events happened in each timestep and layer
    of the ledger, over all images, int64 ``[T, layers]``; `finished` without what was begun and cancelled.
    layer_cycles: int64 ``[layers]``, cycles from a layer's first row of a timestep until its last one, over
    all images and their timesteps. energy_pj: of all of it, per image. latency_ns: the time per image, by
    which rates are taken.
    """

    chip: Chip
    stay: Stay
    layers: tuple[str, ...]
    totals: Mapping[Event, Counts]
    finished: Mapping[Event, Counts]
    layer_cycles: Counts
    energy_pj: float
    latency_ns: float
    copies: int = 1
    """Of the whole chip, which share the work."""

    @classmethod
    def of(cls, chip: Chip, stay: Stay, ran: ExitCosts) -> WorkDone:
        """That of images that exit after `stay` timesteps, one at a time on the chip."""
        at, ledger = np.arange(len(stay)), ran.ledger
        totals, cancelled = ledger.totals(stay), ledger.cancelled(stay)
        spans = ran.schedule.layer_cycles
        of_group = at if len(spans) > 1 else np.zeros_like(at)
        return cls(
            chip=chip,
            stay=stay,
            layers=ledger.layers,
            totals=totals,
            finished={event: counts - cancelled[event] for event, counts in totals.items()},
            layer_cycles=spans[of_group, stay - 1].sum(axis=0),
            energy_pj=float(ran.energy_pj[at, stay - 1].mean()),
            latency_ns=float(ran.latency_ns[at, stay - 1].mean()),
        )

    # --- the whole run

    def efficiency(self) -> Efficiency:
        """The figures of the whole run."""
        naive = naive_energies()
        stages = [layer.stage for layer in self.chip.placement.layers]
        # An image of one bit is spikes like any other.
        multiplied = np.array([stage.reads_image and stage.planes > 1 for stage in stages])
        planes = np.array([stage.planes for stage in stages])
        return Efficiency(
            energy_pj=self.energy_pj,
            latency_ns=self.latency_ns,
            area_um2=self.copies * area_um2(self.chip),
            weight_bits=self.chip.network.weight_bits,
            operations=float(self._operations.sum()),
            synaptic_operations=float(self._synaptic.sum()),
            accumulates=float(self._synaptic[~multiplied].sum()),
            multiply_accumulates=float(
                (self._operations / planes / PER_MULTIPLY_ACCUMULATE)[multiplied].sum()
            ),
            dense_multiply_accumulates=float(multiply_accumulates(self.chip).sum()),
            accumulate_pj=naive.accumulate_pj,
            multiply_accumulate_pj=naive.multiply_accumulate_pj,
            naive_node_nm=naive.node_nm,
        )

    # --- its layers

    def layer_efficiency(self) -> tuple[LayerEfficiency, ...]:
        """The figures of each layer of the ledger; the input, the output and what stands have rows, too."""
        energy = self._energies()
        read, skipped = (self._finished(e) for e in (Event.CROSSBAR_READS, Event.SKIPPED_READS))
        per_cycle_ns = self.chip.config.technology.clock_ns / self.images
        rows = []
        for k, name in enumerate(self.layers):
            rest = len(self.chip.placement.layers) < k or k == 0
            layer = None if rest else self.chip.placement.layers[k - 1]
            rows.append(
                LayerEfficiency(
                    name=name,
                    operations=0.0 if layer is None else float(self._operations[k - 1]),
                    synaptic_operations=0.0 if layer is None else float(self._synaptic[k - 1]),
                    skipped_reads=float(skipped[k] / max(1, int(read[k] + skipped[k]))),
                    energy_pj_by_component=energy[k],
                    latency_ns=None if layer is None else int(self.layer_cycles[k]) * per_cycle_ns,
                    busy_ns={} if layer is None else self._busy_ns(k),
                    cells_used=None if layer is None else self._cells_used(layer),
                )
            )
        return tuple(rows)

    def layer_costs(self) -> tuple[LayerCost, ...]:
        """What each layer of the ledger is on the chip, and what it costs."""
        energies = [sum(parts.values()) for parts in self._energies()]
        whole = sum(energies)
        placed = {layer.stage.name: layer for layer in self.chip.placement.layers}
        rows = []
        for k, name in enumerate(self.layers):
            layer, energy = placed.get(name), energies[k]
            share = energy / whole if whole else 0.0
            if layer is None:
                rows.append(
                    LayerCost(
                        name=name, kind=name, rows=0, columns=0, crossbars=0, tiles=0, copies=0,
                        energy_pj=energy, share=share, spike_rate=None,
                    )
                )  # fmt: skip
                continue
            stage = layer.stage
            places = stage.neuron_positions * stage.out_channels * int(self.stay.sum())
            rows.append(
                LayerCost(
                    name=name,
                    kind=stage.kind,
                    rows=stage.rows,
                    columns=stage.out_channels * layer.slices,
                    crossbars=layer.crossbars,
                    tiles=len({p.tile for p in self.chip.placement.parts_of(stage.index)}),
                    copies=layer.copies,
                    energy_pj=energy,
                    share=share,
                    spike_rate=int(self.totals[Event.SPIKES][:, k].sum()) / places if stage.neurons else None,
                )
            )
        return tuple(rows)

    @property
    def images(self) -> int:
        return len(self.stay)

    def _finished(self, event: Event) -> Counts:
        """Counts by layer, int64 ``[layers]``."""
        counts: Counts = self.finished.get(event, np.zeros((1, len(self.layers)), np.int64)).sum(axis=0)
        return counts

    def _energies(self) -> list[dict[str, float]]:
        """Energy of each layer by component, mean per image."""
        energy: list[dict[str, float]] = [{} for _ in self.layers]
        for charge in self.chip.prices():
            if charge.event not in self.totals:
                continue
            for k, count in enumerate(charge.paid(self.totals[charge.event]).sum(axis=0)):
                if count and charge.energy_pj:
                    pj = int(count) * charge.energy_pj / self.images
                    energy[k][charge.component] = energy[k].get(charge.component, 0.0) + pj
        return energy

    def _busy_ns(self, k: int) -> dict[str, float]:
        """For how long each resource of a layer works, mean per image."""
        occupancy, layer = self.chip.occupancies[k - 1], self.chip.placement.layers[k - 1]
        all_timesteps = int(self.stay.sum())
        computed = self.images if self._keeps(layer) else all_timesteps
        stored = all_timesteps - computed
        read, skipped = (int(self._finished(e)[k]) for e in (Event.CROSSBAR_READS, Event.SKIPPED_READS))
        parts = {
            name: cycles * computed + occupancy.stored[name] * stored
            for name, cycles in occupancy.computed.items()
        }
        share: dict[Resource, float] = dict.fromkeys(("crossbar", "adc"), read / max(1, read + skipped))
        whole = occupancy.flit_hops[0] * computed + occupancy.flit_hops[1] * stored
        if self.chip.config.activity.spike_coding == "aer":
            # Packets to other chips are as much shorter as all of them.
            share["mesh"] = share["package"] = int(self._finished(Event.FLIT_HOPS)[k]) / max(1, whole)
        per_cycle = self.chip.config.technology.clock_ns / self.images
        return {name: cycles * share.get(name, 1.0) * per_cycle for name, cycles in parts.items()}

    def _cells_used(self, layer: LayerPlacement) -> float:
        """Of the cells of its crossbars, those that hold a weight of it."""
        cells, stage = self.chip.config.of_type(layer.tile_type).cells, layer.stage
        used = stage.rows * (stage.out_channels // stage.groups) * layer.slices
        return used / (layer.crossbars_per_copy * cells.rows * cells.columns)

    def _keeps(self, layer: LayerPlacement) -> bool:
        return layer.stage.keeps_currents(self.chip.config)

    @cached_property
    def _operations(self) -> NDArray[np.float64]:
        """Native operations of each crossbar layer, mean per image, float64 ``[layers]``."""
        layers = self.chip.placement.layers
        often = np.array([1.0 if self._keeps(one) else float(self.stay.mean()) for one in layers])
        planes = np.array([one.stage.planes for one in layers])
        done: NDArray[np.float64] = multiply_accumulates(self.chip) * planes * PER_MULTIPLY_ACCUMULATE * often
        return done

    @cached_property
    def _synaptic(self) -> NDArray[np.float64]:
        """Synaptic operations of each crossbar layer, mean per image, float64 ``[layers]``."""
        inner = self._finished(Event.SYNAPTIC_OPERATIONS)[1 : 1 + len(self.chip.placement.layers)]
        return inner / float(self.images)


def multiply_accumulates(chip: Chip) -> NDArray[np.float64]:
    """Those of each layer for one input: each weight once at each position, float64 ``[layers]``."""
    stages = [layer.stage for layer in chip.placement.layers]
    return np.array([float(s.rows * s.positions * (s.out_channels // s.groups)) for s in stages], np.float64)


def area_um2(chip: Chip) -> float:
    """Area of all components of a chip."""
    config, size = chip.config, chip.size
    return config.area_um2(size)


def peak(chip: Chip, copies: int = 1) -> PeakEfficiency:
    """The chip, or so many copies of it, at full rate: its tiles as `tile_budget` has them, all else at its
    leakage.

    An interval is that between two reads of all rows of a crossbar, on tiles of the first layer's type.
    Unused columns of a crossbar, fewer than a weight takes, do no work.
    """
    config, size = chip.config, chip.size
    clock_ns = config.technology.clock_ns
    first: dict[str, LayerPlacement] = {}
    for layer in chip.placement.layers:
        first.setdefault(layer.tile_type, layer)
    tiles = tiles_by_type(chip.placement.parts, chip.placement.layers)
    types = [_FullRate.of(config.of_type(kind), one.slices, tiles[kind]) for kind, one in first.items()]
    interval_ns = types[0].interval_ns
    tiles_mw = sum(one.power_mw for one in types)
    standing_mw = sum(
        component.standing_energy_pj(config) * component.instances(config, size) / clock_ns
        for _, component in config.components()
        if component.scope == "chip"
    )
    return PeakEfficiency(
        energy_pj=copies * (tiles_mw + standing_mw) * interval_ns,
        latency_ns=interval_ns,
        area_um2=copies * area_um2(chip),
        weight_bits=chip.network.weight_bits,
        operations=copies * sum(one.operations * (interval_ns / one.interval_ns) for one in types),
    )


@dataclass(frozen=True)
class _FullRate:
    """All tiles of a type at full rate: the time between two reads, and the operations in it."""

    interval_ns: float
    power_mw: float
    operations: float

    @classmethod
    def of(cls, chip: HardwareConfig, per_weight: int, tiles: int) -> _FullRate:
        crossbars = chip.one_tile.crossbars
        reads = full_rate(chip, cells_per_weight=per_weight, input_bits=1)[Event.CROSSBAR_READS]
        weights = chip.cells.rows * (chip.cells.columns // per_weight)
        return cls(
            interval_ns=crossbars * chip.cells.turns / reads * chip.technology.clock_ns,
            power_mw=sum(row.power_mw for row in tile_budget(chip, cells_per_weight=per_weight)) * tiles,
            operations=float(tiles * crossbars * weights * PER_MULTIPLY_ACCUMULATE),
        )
