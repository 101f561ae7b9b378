"""What a product of a matrix with a vector costs on a chip, by playing a network of such products.

The network is a chain of 1 x 1 convolutions, one for each core, over a map: each pixel is a vector, and each
core holds one matrix of random weights. Counts, schedule and prices are those of any simulation; one product
costs what a core's layer counts over the pixels, and takes what further pixels add to the time of an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.events import Event
from imcsim.inputs import Inputs
from imcsim.network.graph import INPUT, LIF, Conv2d, Flatten, Linear, Network, Node, Pool2d
from imcsim.simulation.simulate import Simulation
from imcsim.validate.chips import Counts, simulated
from imcsim.validate.silicon.measured import MeasuredChip, Operation, Setting

SEED = 0
WIDTH = 4
HEIGHTS = (4, 8)
"""Rows of pixels of two runs, whose times are subtracted."""
PIXELS = WIDTH * HEIGHTS[1]
CLASSES = 10


@dataclass(frozen=True)
class ProductCost:
    """One product in all cores.

    energy_pj, area_um2: by component, static power included. conversions, columns: of all cores. bound: what
    a core spends its time with.
    """

    operations: int
    conversions: float
    columns: int
    time_ns: float
    energy_pj: Mapping[str, float]
    area_um2: Mapping[str, float]
    bound: str


class Products:
    """Products on a chip that is as `hardware` says, played once."""

    def __init__(self, hardware: Hardware, chip: MeasuredChip, setting: Setting) -> None:
        self.chip, self.setting = chip, setting
        short, self.long = (
            simulated(_chain(chip, setting, height), hardware, _vectors(chip.operation, setting, height), 1)
            for height in HEIGHTS
        )
        self.cycles = (_cycles(self.long) - _cycles(short)) / (PIXELS - WIDTH * HEIGHTS[0])
        self.counts = Counts(self.long, 1)

    def cost(self, config: HardwareConfig | None = None) -> ProductCost:
        """What one costs, at the prices of this chip or of another one with the same times."""
        config, operation = config or self.long.chip.config, self.chip.operation
        layers, reads = [_name(k) for k in range(operation.cores)], self.setting.reads
        counted = self.counts.energy_pj(config, layers=layers)
        size, tiles = self.long.chip.size, self.long.chip.placement.tiles
        energy, area = {}, {}
        for name, component in config.components_of(config.one_tile):
            if self.chip.scope == "core" and component.scope != "crossbar":
                continue
            standing = component.standing_energy_pj(config) * component.instances(config, size) * self.cycles
            energy[name] = (counted[name] / PIXELS + standing * operation.cores / tiles) * reads
            area[name] = float(component.area_um2(config) * component.instances(config, config.one_tile))
            area[name] *= operation.cores
        inside = [name in layers for name in self.counts.layers]
        conversions = self.counts.by_event[Event.CONVERSIONS][inside].sum() / PIXELS * reads
        drives = config.read_cycles(self.setting.input_bits)
        return ProductCost(
            operations=operation.operations,
            conversions=float(conversions),
            columns=config.cells.columns * operation.cores,
            time_ns=self.cycles * config.technology.clock_ns * reads,
            energy_pj=energy,
            area_um2=area,
            bound=_bound(self.cycles, drives, config.convert_cycles),
        )


def _bound(cycles: float, drives: int, converts: int) -> str:
    """The component that a core waits for."""
    if cycles > 1.05 * max(drives, converts):
        return "tile"
    return "cells" if drives >= converts else "adc"


def _cycles(simulation: Simulation) -> int:
    return int(simulation.static.schedule.departure[0, 0])


def _vectors(operation: Operation, setting: Setting, height: int) -> Inputs:
    """A map of inputs, of which the share that is not driven is 0."""
    rng, most = np.random.default_rng(SEED), (1 << setting.input_bits) - 1
    shape = (1, operation.rows, height, WIDTH)
    values = rng.integers(0, most, shape, endpoint=True)
    if setting.inputs is not None:
        values[:] = round(setting.inputs * most)
    values[rng.random(shape) >= setting.driven] = 0
    return Inputs(values.astype(np.uint8), np.zeros(1, np.int64), "vectors", "unknown", "", CLASSES)


def _chain(chip: MeasuredChip, setting: Setting, height: int) -> Network:
    """A core's layer after the other, and a classifier."""
    operation, rng = chip.operation, np.random.default_rng(SEED)
    most, spikes = (1 << (operation.weight_bits - 1)) - 1, (1 << setting.input_bits) - 1
    nodes: list[Node] = []
    last = INPUT
    for k in range(operation.cores):
        weight = rng.integers(-most, most, (operation.outputs, operation.rows, 1, 1), endpoint=True)
        if setting.weights is not None:  # from the lowest level of a cell to the highest
            weight[:] = round(setting.weights * (2 * most + 1)) - most - 1
        nodes.append(_matrix(_name(k), last, weight.astype(np.int8), spikes, setting.driven))
        nodes.append(LIF(f"fire{k}", (_name(k),), 1.0, 1.0, "soft", max_spikes=spikes))
        last = nodes[-1].name
    nodes.append(Pool2d("pool", (last,), "max", (height, WIDTH), (height, WIDTH)))
    nodes.append(Flatten("flatten", ("pool",)))
    weight = rng.integers(-most, most, (CLASSES, operation.outputs), endpoint=True)
    ones = np.ones(CLASSES)
    nodes.append(Linear("classify", ("flatten",), weight.astype(np.int8), ones, 0 * ones))
    shape = (operation.rows, height, WIDTH)
    return Network(
        "products", shape, setting.input_bits, 1.0, CLASSES, 1, operation.weight_bits, tuple(nodes)
    )


def _name(core: int) -> str:
    return f"core{core}"


def _matrix(name: str, source: str, weight: NDArray[np.int8], most: int, driven: float) -> Conv2d:
    """With currents that let one core drive the next one as the inputs drive the first: around half the
    largest value, or above 0 for the share that is `driven`.
    """
    ones = np.ones(weight.shape[0])
    spread, middle = most / 3, most / 2
    if driven < 1:
        spread = most / 1.6  # half a normal distribution with its mean at half the largest value
        middle = spread * NormalDist().inv_cdf(driven)
    inputs = np.clip(np.random.default_rng(SEED).normal(middle, spread, 1 << 12), 0, most)
    squares = np.square(weight.astype(np.float64)).mean().clip(1) * np.square(inputs).mean()
    deviation = np.sqrt(weight.shape[1] * squares)
    return Conv2d(name, (source,), weight, spread / deviation * ones, middle * ones)
