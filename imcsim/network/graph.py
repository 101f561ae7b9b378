"""The layer graph: what a trained spiking network is, before any hardware is chosen.

A node reads the outputs of the nodes it names in `inputs`; the name ``input`` stands for the image. Weights
are integers; the real weight of output channel c is ``scale[c] * weight[c]``.

Currents and values, for a node n at timestep t:

- `Conv2d`, `Linear`: ``I = scale * sum(weight * x) + bias`` (batch norm is already folded in). For the image,
  ``x = input_scale * pixel``; a `Linear` that reads the image sees it flattened. Padding is zeros.
- `Add`: the sum of its inputs. Currents are added before the neuron; a spike train that enters an `Add`
  directly (identity shortcut) counts as a current of ``scale`` for each spike.
- `LIF`: ``u = leak * u + I``; a spike when ``u >= threshold``; then ``u = 0`` (``hard``) or
  ``u = u - threshold`` (``soft``).
- `Pool2d`: average or maximum over windows of spikes; rows and columns that fill no window are left out.
- `Flatten`: channels, rows, columns, in that order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer[Any]]
FloatArray = NDArray[np.float64]

INPUT = "input"


@dataclass(frozen=True, eq=False)
class Conv2d:
    """2-D convolution. weight: int ``[Cout, Cin, kH, kW]``; scale, bias: float64 ``[Cout]``."""

    name: str
    inputs: tuple[str]
    weight: IntArray
    scale: FloatArray
    bias: FloatArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Linear:
    """Fully connected layer. weight: int ``[Cout, Cin]``; scale, bias: float64 ``[Cout]``."""

    name: str
    inputs: tuple[str]
    weight: IntArray
    scale: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class LIF:
    """Leaky integrate-and-fire neurons. `leak` in [0, 1] (1 is IF); `threshold` > 0."""

    name: str
    inputs: tuple[str]
    leak: float
    threshold: float
    reset: Literal["hard", "soft"]


@dataclass(frozen=True)
class Pool2d:
    """Pooling of spikes over ``size x size`` windows with step `stride`; no padding."""

    name: str
    inputs: tuple[str]
    kind: Literal["average", "max"]
    size: int
    stride: int


@dataclass(frozen=True)
class Flatten:
    """``[C, H, W]`` to ``[C * H * W]``."""

    name: str
    inputs: tuple[str]


@dataclass(frozen=True)
class Add:
    """Residual addition of two inputs of equal shape, before a LIF.

    `scale` is the current that one spike of an identity shortcut adds (1.0 unless trained otherwise).
    """

    name: str
    inputs: tuple[str, str]
    scale: float = 1.0


Node = Conv2d | Linear | LIF | Pool2d | Flatten | Add

KINDS: Mapping[str, type[Node]] = {
    "conv2d": Conv2d,
    "linear": Linear,
    "lif": LIF,
    "pool2d": Pool2d,
    "flatten": Flatten,
    "add": Add,
}
"""What each type of node is called in files and tables."""


def kind(node: Node) -> str:
    """The name of the type of `node`: ``conv2d``, ``linear``, ``lif``, ``pool2d``, ``flatten`` or ``add``."""
    return type(node).__name__.lower()


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network. `nodes` are in topological order; the last one gives the class outputs (no LIF).

    `input_shape` is ``(C, H, W)``; pixels are unsigned integers of `input_bits` bits, worth `input_scale`.
    `timesteps` is the T it was trained for. `provenance` says where the weights come from.
    """

    name: str
    input_shape: tuple[int, int, int]
    input_bits: int
    input_scale: float
    classes: int
    timesteps: int
    weight_bits: int
    nodes: tuple[Node, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    """Hash over the description and the arrays of the bundle; empty for a network made in memory."""

    def node(self, name: str) -> Node:
        """The node called `name`. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def weighted(self) -> tuple[Conv2d | Linear, ...]:
        """The nodes that own crossbars, in order."""
        return tuple(n for n in self.nodes if isinstance(n, Conv2d | Linear))
