"""SpikeSim's example network on its own chip: PEs, tiles, energy and shares, from our mapping and ledger.

SpikeSim's list charges each conv layer for the output map *after* pooling; the second run has the true
convolution sizes. Expected figures: what the released estimator prints, and its formula's shares.
"""

from __future__ import annotations

import imcsim.hardware
from imcsim.mapping import place
from imcsim.validate.chips import Counts, simulated
from imcsim.validate.networks import SPIKESIM_CHANNELS, random_images, spikesim_vgg9
from imcsim.validate.row import ValidationRow

SOURCE = "SpikeSim, released estimator"
TIMESTEPS = 5

LISTED_POOLS = (0, 2, 5)
"""Pools that give the conv layers the output sizes of SpikeSim's list: 32 16 16 8 8 8 4."""
TRUE_POOLS = (1, 3)
"""Pools where the network has them: convolutions put out 32 32 16 16 8 8 8."""

SHARES = {
    # per cent of a PE cycle; our component
    "tile buffer": (47.9, "tile_buffer"),
    "H-tree": (19.0, "htree"),
    "ADC": (15.7, "adc"),
    "crossbar": (15.3, "cells"),
    "column mux": (0.7, "column_mux"),
    "neuron": (0.6, "lif"),
    "memory fetch": (0.6, "global_buffer"),
}
ROUNDING_POINTS = 0.1


def spikesim_rows() -> list[ValidationRow]:
    """PEs, tiles, energy with both lists, and shares."""
    hardware = imcsim.hardware.load("spikesim_65nm")
    placed = place(spikesim_vgg9(LISTED_POOLS, classifier=False), hardware.config)
    listed, true = (_energy_pj(pools) for pools in (LISTED_POOLS, TRUE_POOLS))
    whole = sum(listed.values())
    rows = [
        ValidationRow("spikesim", "PEs of VGG9", 48, placed.pes_used, "PE", 0.0, SOURCE, "code"),
        ValidationRow("spikesim", "tiles of VGG9", 6, placed.tiles, "tile", 0.0, SOURCE, "code"),
        ValidationRow(
            "spikesim", "energy, SpikeSim's layer list, T = 5", 15_906_934, whole, "pJ", 1e-3, SOURCE, "code"
        ),
        ValidationRow(
            "spikesim", "energy, true convolution sizes, T = 5", 25.45e6, sum(true.values()), "pJ", 5e-3,
            f"{SOURCE}: its formula with the other sizes", "derived",
        ),
    ]  # fmt: skip
    for name, (share, component) in SHARES.items():
        rows.append(
            ValidationRow(
                "spikesim", f"share of the {name}", share, 100 * listed[component] / whole, "%",
                ROUNDING_POINTS, f"{SOURCE}: its formula", "derived", points=True,
                note="the expected share is rounded to a tenth",
            )
        )  # fmt: skip
    return rows


def _energy_pj(pools: tuple[int, ...]) -> dict[str, float]:
    """Energy of the seven conv layers, pJ by component; the classifier is not in SpikeSim's list."""
    network = spikesim_vgg9(pools)
    images = random_images(network.input_shape, network.input_bits, 1, seed=0)
    ran = simulated(network, imcsim.hardware.load("spikesim_65nm"), images, TIMESTEPS)
    layers = [f"conv{k + 1}" for k in range(len(SPIKESIM_CHANNELS))]
    return Counts(ran, TIMESTEPS).energy_pj(layers=layers)
