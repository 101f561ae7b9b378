"""What images did: spikes, driven wordlines and class outputs, for each image, timestep and layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Activity:
    """What the inputs did. Counts are int64 ``[images, timesteps, layers]``.

    active_rows: wordlines driven, over all windows and input bits, once for each block that is read.
    active_pulses: where inputs drive rows for as long as their values say, the clock cycles for which they
    do, as active_rows counts them; None where each bit drives its row once.
    active_levels: the levels of all cells on those rows, summed, in 2**-`choices.LEVEL_FRACTION_BITS` where
    cells have errors. active_reads: block reads with a row active.
    spikes: spikes that left each LIF layer, or activations above 0 of each ReLU. outputs: class outputs int64
    ``[images, timesteps, classes]`` of each timestep alone, in 2**-fraction_bits. A layer that reads an image
    does the same at every timestep, unless there are frames.
    """

    layers: tuple[str, ...]
    neuron_layers: tuple[str, ...]
    active_rows: NDArray[np.int64]
    active_levels: NDArray[np.int64]
    active_reads: NDArray[np.int64]
    spikes: NDArray[np.int64]
    outputs: NDArray[np.int64]
    recorded: dict[str, NDArray[Any]]
    toggles: dict[str, NDArray[np.int64]]
    """For each node asked for, int64 ``[images, timesteps, H]``: bits that change between the neighbouring
    pixel words of each row.
    """
    active_pulses: NDArray[np.int64] | None = None

    @property
    def pulses(self) -> NDArray[np.int64]:
        """How long rows are driven, in pulses."""
        return self.active_rows if self.active_pulses is None else self.active_pulses

    @property
    def images(self) -> int:
        return int(self.outputs.shape[0])

    @property
    def timesteps(self) -> int:
        return int(self.outputs.shape[1])


def concatenate(activities: Sequence[Activity]) -> Activity:
    """One activity of images that were played in several runs; recorded values are left out."""
    first = activities[0]
    return Activity(
        layers=first.layers,
        neuron_layers=first.neuron_layers,
        active_rows=np.concatenate([a.active_rows for a in activities]),
        active_levels=np.concatenate([a.active_levels for a in activities]),
        active_reads=np.concatenate([a.active_reads for a in activities]),
        spikes=np.concatenate([a.spikes for a in activities]),
        outputs=np.concatenate([a.outputs for a in activities]),
        recorded={},
        toggles={
            node: np.concatenate([a.toggles[node] for a in activities]) for node in activities[0].toggles
        },
        active_pulses=None if first.active_pulses is None else np.concatenate([a.pulses for a in activities]),
    )
