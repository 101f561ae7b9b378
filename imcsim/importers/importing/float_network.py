"""A network with real weights: what files are folded to, and what quantisation is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imcsim.network.graph import LI, LIF, Add, Delay, Flatten, Pool2d, Relu

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FloatWeights:
    """A convolution (`weight` ``[Cout, Cin/groups, kH, kW]``) or fully connected layer (``[Cout, Cin]``).

    The real weight is ``scale[c] * weight[c]``, scale > 0; batch norms and the gains of neurons are in
    `scale`, so that `weight` keeps the numbers of the file where it can. `integer` says that these are the
    integers of a file that was quantised already.
    """

    name: str
    inputs: tuple[str]
    weight: Values
    scale: Values
    bias: Values
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    integer: bool = False
    weight_bits: int | None = None


FloatNode = FloatWeights | LIF | LI | Relu | Pool2d | Flatten | Add | Delay


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """`nodes` in topological order, but for delays; the last one gives the class outputs; the rest as in
    `Network`.

    `input_padding` is the pixel around the image of a padded convolution, one number per channel, exact.
    `names` maps the layers of the file to the nodes that hold their values, `notes` say what was done.
    """

    name: str
    input_shape: tuple[int, int, int]
    input_bits: int
    input_scale: float
    classes: int
    timesteps: int
    nodes: tuple[FloatNode, ...]
    input_padding: tuple[float, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    votes: int = 1

    @property
    def weighted(self) -> tuple[FloatWeights, ...]:
        """The nodes with weights, in order."""
        return tuple(node for node in self.nodes if isinstance(node, FloatWeights))

    def counts(self, name: str, values: Values) -> Values:
        """Values of a layer of neurons in spikes, or in steps of its activations."""
        node = next(node for node in self.nodes if node.name == name)
        return np.rint(values / node.step) if isinstance(node, Relu) else values

    @property
    def spiking(self) -> tuple[LIF, ...]:
        """The nodes that fire, in order."""
        return tuple(node for node in self.nodes if isinstance(node, LIF))
