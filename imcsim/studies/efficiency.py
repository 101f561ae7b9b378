"""The figures that architecture papers report, of the images of an experiment (see `results.efficiency`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.events import Event
from imcsim.hardware.ledger import Stay
from imcsim.hardware.naive import naive_energies
from imcsim.hardware.tile_budget import full_rate, tile_budget
from imcsim.results.efficiency import Efficiency, LayerEfficiency, PeakEfficiency
from imcsim.simulation.chip import Chip
from imcsim.simulation.simulate import ExitCosts

PER_MULTIPLY_ACCUMULATE = 2
"""Operations: a multiplication and an addition."""


@dataclass(frozen=True, eq=False)
class EfficiencyOf:
    """Images that stayed so long on a chip."""

    chip: Chip
    stay: Stay
    ran: ExitCosts

    def achieved(self) -> Efficiency:
        """The figures of the whole run."""
        at, naive = np.arange(len(self.stay)), naive_energies()
        energy = self.ran.energy_pj[at, self.stay - 1]
        latency = self.ran.latency_ns[at, self.stay - 1]
        stages = [layer.stage for layer in self.chip.placement.layers]
        # An image of one bit is spikes like any other.
        multiplied = np.array([stage.reads_image and stage.planes > 1 for stage in stages])
        planes = np.array([stage.planes for stage in stages])
        return Efficiency(
            energy_pj=float(energy.mean()),
            latency_ns=float(latency.mean()),
            area_um2=area_um2(self.chip),
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

    def layers(self) -> tuple[LayerEfficiency, ...]:
        """The figures of each layer of the ledger; the input, the output and what stands have rows, too."""
        ledger, images = self.ran.ledger, len(self.stay)
        totals = ledger.totals(self.stay)
        names = ledger.layers
        energy: list[dict[str, float]] = [{} for _ in names]
        for charge in self.chip.prices():
            if charge.event not in totals:
                continue
            for k, count in enumerate(totals[charge.event].sum(axis=0)):
                if count and charge.energy_pj:
                    pj = int(count) * charge.energy_pj / images
                    energy[k][charge.component] = energy[k].get(charge.component, 0.0) + pj
        nothing = np.zeros((ledger.timesteps, len(names)), np.int64)
        read, skipped = (
            totals.get(event, nothing).sum(axis=0) for event in (Event.CROSSBAR_READS, Event.SKIPPED_READS)
        )
        operations, synaptic = np.zeros(len(names)), np.zeros(len(names))
        # The first layer of the ledger is the input.
        inner = slice(1, 1 + len(self.chip.placement.layers))
        operations[inner], synaptic[inner] = self._operations, self._synaptic
        return tuple(
            LayerEfficiency(
                name=name,
                operations=float(operations[k]),
                synaptic_operations=float(synaptic[k]),
                skipped_reads=float(skipped[k] / max(1, int(read[k] + skipped[k]))),
                energy_pj_by_component=energy[k],
            )
            for k, name in enumerate(names)
        )

    @cached_property
    def _operations(self) -> NDArray[np.float64]:
        """Native operations of each layer, mean per image, float64 ``[layers]``."""
        stages = [layer.stage for layer in self.chip.placement.layers]
        kept = self.chip.config.encoder.mode == "keep"
        times = [1.0 if kept and stage.reads_image else float(self.stay.mean()) for stage in stages]
        planes = np.array([stage.planes for stage in stages])
        each: NDArray[np.float64] = multiply_accumulates(self.chip) * planes * PER_MULTIPLY_ACCUMULATE
        often = np.array(times, np.float64)
        done: NDArray[np.float64] = each * often
        return done

    @cached_property
    def _synaptic(self) -> NDArray[np.float64]:
        """Synaptic operations of each layer, mean per image, float64 ``[layers]``."""
        counts = self.ran.ledger.varied[Event.SYNAPTIC_OPERATIONS]
        stayed = np.arange(counts.shape[1]) < self.stay[:, None]
        inner = counts[:, :, 1 : 1 + len(self.chip.placement.layers)]
        reached: NDArray[np.int64] = (inner * stayed[:, :, None]).sum(axis=(0, 1))
        return reached / float(len(self.stay))


def multiply_accumulates(chip: Chip) -> NDArray[np.float64]:
    """Those of each layer for one input: each weight once at each position, float64 ``[layers]``."""
    stages = [layer.stage for layer in chip.placement.layers]
    return np.array([float(s.rows * s.positions * (s.out_channels // s.groups)) for s in stages], np.float64)


def area_um2(chip: Chip) -> float:
    """Area of all components of a chip."""
    config, size = chip.config, chip.size
    return sum(c.area_um2(config) * c.instances(config, size) for _, c in config.components())


def peak(chip: Chip) -> PeakEfficiency:
    """The chip at full rate: its tiles as `tile_budget` has them, all else at its leakage.

    An interval is that between two reads of a crossbar. Unused columns of a crossbar, fewer than a weight
    takes, do no work.
    """
    config, size = chip.config, chip.size
    clock_ns = config.technology.clock_ns
    per_weight = chip.placement.layers[0].slices
    tile = config.one_tile
    reads = full_rate(config, cells_per_weight=per_weight, input_bits=1)[Event.CROSSBAR_READS]
    interval_ns = tile.crossbars / reads * clock_ns
    tiles_mw = sum(row.power_mw for row in tile_budget(config, cells_per_weight=per_weight)) * size.tiles
    standing_mw = sum(
        component.standing_energy_pj(config) * component.instances(config, size) / clock_ns
        for _, component in config.components()
        if component.scope == "chip"
    )
    weights = config.cells.rows * (config.cells.columns // per_weight)
    return PeakEfficiency(
        energy_pj=(tiles_mw + standing_mw) * interval_ns,
        latency_ns=interval_ns,
        area_um2=area_um2(chip),
        weight_bits=chip.network.weight_bits,
        operations=float(size.tiles * tile.crossbars * weights * PER_MULTIPLY_ACCUMULATE),
    )
