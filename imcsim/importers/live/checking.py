"""What the module and the network before rounding do with the same inputs, spike by spike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcsim.importers.importing.float_network import FloatNetwork
from imcsim.importers.importing.float_run import class_outputs, walk
from imcsim.network.graph import LIF, Relu

LEAST_EQUAL = 0.999
"""A layer with fewer equal spikes was not understood: rounding in float32 makes far fewer differ."""


@dataclass(frozen=True)
class Difference:
    """Where a layer first does something else: of the earliest timestep, the first image and neuron."""

    image: int
    """Its number, from 0."""
    timestep: int
    """Its number, from 0."""
    neuron: int
    """Its place in the layer's flattened output."""
    module: float
    """What the module's neuron gives there."""
    network: float
    """What the network's neuron gives there."""


@dataclass(frozen=True)
class LayerCheck:
    """One layer of neurons."""

    module: str
    """Name of its module."""
    node: str
    """Name of its node in the network."""
    equal: float
    """Share of equal spikes over neurons, timesteps and images."""
    rate: float
    """Spikes of the module per neuron and timestep."""
    first: Difference | None
    """Where the first difference is; None where all are equal."""


@dataclass(frozen=True)
class ModuleCheck:
    """What comparing the module with the network before quantisation gave."""

    images: int
    """How many were compared."""
    timesteps: int
    """How many each ran."""
    layers: tuple[LayerCheck, ...]
    """The spiking layers, from the input on."""
    same_prediction: float
    """Share of images on which both name one class after all timesteps."""

    @property
    def equal(self) -> float:
        """The smallest share of equal spikes of all layers."""
        return min((layer.equal for layer in self.layers), default=1.0)

    @property
    def start(self) -> LayerCheck | None:
        """The layer in which the first difference came about: the earliest timestep, then the first layer."""
        differing = [layer for layer in self.layers if layer.first is not None]
        return min(differing, key=lambda layer: layer.first.timestep if layer.first else 0, default=None)

    def sentence(self) -> str:
        """What was found, for people."""
        shown = f"{self.images} image{'s' if self.images != 1 else ''} over {self.timesteps} timestep"
        shown += "s" if self.timesteps != 1 else ""
        first = self.start
        if first is None or first.first is None:
            return f"all spikes are equal to the module's on {shown}"
        at = first.first
        return (
            f"{100 * self.equal:.6g} % of the spikes are equal to the module's on {shown}, in the layer "
            "with the "
            f"fewest; they start to differ at timestep {at.timestep + 1} in {first.module!r}: neuron "
            f"{at.neuron} of "
            f"image {at.image} gives {at.module:g} in the module and {at.network:g} in the network"
        )


def check(
    real: FloatNetwork,
    images: NDArray[np.uint8],
    timesteps: int,
    spikes: Mapping[str, tuple[str, NDArray[np.float64]]],
    named: Sequence[int] | NDArray[np.int64],
) -> ModuleCheck:
    """Play `images` through `real`; `spikes` are the module's, ``[N, T, ...]``, by the name of the node, with
    the path of the module; `named` the classes that the module names.
    """
    spiking = {node.name for node in real.nodes if isinstance(node, LIF | Relu)}
    ours: dict[str, list[NDArray[np.float64]]] = {name: [] for name in spikes if name in spiking}
    named_here: list[NDArray[np.int64]] = []
    for values in walk(real, images, timesteps):
        for name, pieces in ours.items():
            counts = real.counts(name, values[name])
            pieces.append(counts.reshape(*counts.shape[:2], -1).astype(np.float32))
        named_here.append(class_outputs(real, values, timesteps).sum(axis=1).argmax(axis=1))
    layers = tuple(
        _layer(
            spikes[name][0],
            name,
            real.counts(name, spikes[name][1]).reshape(len(images), timesteps, -1),
            np.concatenate(pieces),
        )
        for name, pieces in ours.items()
    )
    same = float((np.concatenate(named_here) == np.asarray(named)).mean())
    return ModuleCheck(len(images), timesteps, layers, same)


def _layer(path: str, node: str, theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> LayerCheck:
    different = theirs != ours
    first = None
    if different.any():
        timestep = int(different.any(axis=(0, 2)).argmax())
        image, neuron = (int(n) for n in np.argwhere(different[:, timestep])[0])
        place = (image, timestep, neuron)
        first = Difference(image, timestep, neuron, float(theirs[place]), float(ours[place]))
    return LayerCheck(path, node, 1.0 - float(different.mean()), float(theirs.mean()), first)
