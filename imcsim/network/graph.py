"""The layer graph: what a trained spiking network is, before any hardware is chosen.

A node reads the outputs of the nodes it names in `inputs`; the name ``input`` stands for the image. Weights
are integers; the real weight of output channel c is ``scale[c] * weight[c]``.

Currents and values, for a node n at timestep t:

- `Conv2d`, `Linear`: ``I = scale * sum(weight * x) + bias`` (batch norm is already folded in). For the image,
  ``x = input_scale * pixel``; a `Linear` that reads the image sees it flattened. Padding is zeros, around the
  image the pixels `Network.input_padding`.
- `Add`: the sum of its inputs. Currents are added before the neuron; a spike train that enters an `Add`
  directly (identity shortcut) counts as a current of ``scale`` for each spike. An `Add` that no current
  enters is a sum of spikes, a whole number that weights and pools read.
- `LIF`: with a synapse the current is ``i = synapse * i + I``, else ``i = I``. With s' the spike of the
  timestep before, and ``fires(u)`` as ``u >= threshold`` (``at``) or ``u > threshold`` (``above``):

  - reset ``now``: ``u = leak * u + i; s = fires(u)``, then ``u = 0`` where s (``hard``) or
    ``u = u - threshold * s`` (``soft``);
  - reset ``next``: ``u = (leak * u + i) * (1 - s')`` (``hard``) or ``u = leak * u + i - threshold * s'``
    (``soft``); then ``s = fires(u)``;
  - reset ``none``: ``u = leak * u + i; s = fires(u)``.

  What a neuron may have besides (all off by default):

  - `initial`: u before the first timestep.
  - `drift`: added to u at every timestep, after the leak and i. A leak towards another potential than the
    reset's is ``drift = (1 - leak) * leak_reversal``.
  - `floor`: u is never below it, from the first timestep on.
  - `max_spikes` n above 1: s is ``min(floor(u / threshold), n)`` where u is above 0, else 0, and the soft
    reset takes s thresholds away (hard: u = 0 where s > 0).
  - `refractory` k: for k timesteps after a spike u keeps the value that the reset left it, and s is 0. The
    synaptic current i goes on.
- `LI`: ``i`` as above, ``v = leak * v + i``; puts out v.
- `Relu`: a clipped ReLU of whole steps, without memory: ``x = step * n`` with the code
  ``n = min(max(floor(I / step + 1/2), 0), 2**bits - 1)``. A network of them has one timestep (an ANN).
- `Pool2d`: average, sum or maximum over windows of spikes or activations; rows and columns that fill no
  window are left out. Padding counts as zeros, also in the size of an average's window. In a row of values
  windows ``(1, n)`` lie side by side. A pool that reads a `Conv2d` pools its currents, between the weights
  and the neurons that read it; a maximum is then that of what lies in the map.
- `Flatten`: channels, rows, columns, in that order.
- `Delay`: the spikes that its input gave `timesteps` timesteps before, none in the first ones. It alone may
  read a node that comes after it: all feedback passes through a delay. In an `Add` each of its spikes counts
  as a current of `weight`, which is one-to-one feedback; weights that read it are all-to-all feedback.

The last node gives the class outputs of a timestep: the currents of a `Conv2d` or `Linear`, the spikes of a
`LIF` (0 to `max_spikes`), or the v of an `LI`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer[Any]]
FloatArray = NDArray[np.float64]

PerChannel = float | FloatArray
"""One number for all channels, or float64 ``[C]``."""

OWN = ("leak", "threshold", "synapse")
"""Parameters that each neuron of a map may have for itself, ``[C, H, W]``."""

INPUT = "input"


@dataclass(frozen=True, eq=False)
class Conv2d:
    """2-D convolution. weight: int ``[Cout, Cin / groups, kH, kW]``; scale, bias: float64 ``[Cout]``.

    Output channel c reads the input channels of group ``c // (Cout / groups)`` alone. A 1-D convolution is
    one with ``kH = 1`` on a map of height 1. `weight_bits`: those of this layer, None for the network's.
    """

    name: str
    inputs: tuple[str]
    weight: IntArray
    scale: FloatArray
    bias: FloatArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    weight_bits: int | None = None

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns that a window spans: ``(k - 1) * dilation + 1``."""
        (height, width), (down, right) = self.weight.shape[2:], self.dilation
        return (height - 1) * down + 1, (width - 1) * right + 1


@dataclass(frozen=True, eq=False)
class Linear:
    """Fully connected layer. weight: int ``[Cout, Cin]``; scale, bias: float64 ``[Cout]``; `weight_bits` as
    in `Conv2d`.
    """

    name: str
    inputs: tuple[str]
    weight: IntArray
    scale: FloatArray
    bias: FloatArray
    weight_bits: int | None = None


@dataclass(frozen=True, eq=False)
class LIF:
    """Leaky integrate-and-fire neurons. `leak` in [0, 1] (1 is IF); `threshold` > 0.

    `leak`, `threshold` and `synapse` (the decay of a synaptic current, in [0, 1]) are numbers, or float64
    ``[C]``, one per channel, or ``[C, H, W]``, one per neuron of a map; `floor` (at most 0, None for none),
    `initial` and `drift` are numbers, or one per channel. Membranes are
    counted from the value that a hard reset gives them: a reset to another value moves threshold, floor,
    initial membrane and drift.
    """

    name: str
    inputs: tuple[str]
    leak: PerChannel
    threshold: PerChannel
    reset: Literal["hard", "soft", "none"]
    fires: Literal["at", "above"] = "at"
    reset_at: Literal["now", "next"] = "now"
    synapse: PerChannel | None = None
    floor: PerChannel | None = None
    initial: PerChannel = 0.0
    drift: PerChannel = 0.0
    max_spikes: int = 1
    refractory: int = 0


@dataclass(frozen=True, eq=False)
class LI:
    """Leaky integrators, which never fire: the class outputs of a network. `leak`, `synapse` as in `LIF`."""

    name: str
    inputs: tuple[str]
    leak: PerChannel
    synapse: PerChannel | None = None


@dataclass(frozen=True, eq=False)
class Relu:
    """Clipped, quantised activations: the nearest whole `step` from 0 to ``2**bits - 1`` of them."""

    name: str
    inputs: tuple[str]
    bits: int
    step: float

    @property
    def top(self) -> int:
        """The largest code."""
        return (1 << self.bits) - 1


@dataclass(frozen=True)
class Pool2d:
    """Pooling of spikes or currents over windows of `size` with step `stride`, all (rows, columns).

    `padding` zeros stand around the map; an average divides by the whole window.
    """

    name: str
    inputs: tuple[str]
    kind: Literal["average", "max", "sum"]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Flatten:
    """``[C, H, W]`` to ``[C * H * W]``."""

    name: str
    inputs: tuple[str]


@dataclass(frozen=True)
class Add:
    """Residual addition of two or more inputs of equal shape, before a LIF or LI; or of spikes alone, for
    weights and pools.

    `scale` is the current that one spike of an identity shortcut adds (1.0 unless trained otherwise; 1.0 in a
    sum of spikes).
    """

    name: str
    inputs: tuple[str, ...]
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Delay:
    """Spikes, or spikes pooled, of `timesteps` timesteps before.

    `weight`: the current that one of them adds in an `Add` (the `Add`'s own scale does not apply), of any
    sign, one for all channels or float64 ``[C]``; 1 for weighted layers.
    """

    name: str
    inputs: tuple[str]
    timesteps: int = 1
    weight: PerChannel = 1.0


Node = Conv2d | Linear | LIF | LI | Relu | Pool2d | Flatten | Add | Delay

KINDS: Mapping[str, type[Node]] = {
    "conv2d": Conv2d,
    "linear": Linear,
    "lif": LIF,
    "li": LI,
    "relu": Relu,
    "pool2d": Pool2d,
    "flatten": Flatten,
    "add": Add,
    "delay": Delay,
}
"""What each type of node is called in files and tables."""


def kind(node: Node) -> str:
    """The name of the type of `node`, as in `KINDS`: ``conv2d``, ``lif``, ``pool2d`` and so on."""
    return type(node).__name__.lower()


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network."""

    name: str
    """What reports call it."""
    input_shape: tuple[int, int, int]
    """``(C, H, W)``."""
    input_bits: int
    """Bits of a pixel, an unsigned integer."""
    input_scale: float
    """What one step of a pixel is worth."""
    classes: int
    """How many there are."""
    timesteps: int
    """The T that it was trained for."""
    weight_bits: int
    """Bits of weights of layers that say no other number."""
    nodes: tuple[Node, ...]
    """In topological order, but that delays may read later ones; the last one gives the class outputs."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Where the weights come from."""
    sha256: str = ""
    """Hash over the description and the arrays of the bundle; empty for a network made in memory."""
    input_padding: tuple[int, ...] = ()
    """The pixel, one number per channel, that a padded convolution finds around the image; empty is 0."""
    votes: int = 1
    """Outputs per class, side by side: a class output is their average (a voting layer)."""

    def bits_of(self, layer: Conv2d | Linear) -> int:
        """Bits of the weights of a layer: its own, or the network's. One bit stands for -1 and 1."""
        return self.weight_bits if layer.weight_bits is None else layer.weight_bits

    def node(self, name: str) -> Node:
        """The node called `name`. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def is_ann(self) -> bool:
        """Whether it computes with activations, in one timestep, and not with spikes."""
        return any(isinstance(node, Relu) for node in self.nodes)

    @property
    def weighted(self) -> tuple[Conv2d | Linear, ...]:
        """The nodes that own crossbars, in order."""
        return tuple(n for n in self.nodes if isinstance(n, Conv2d | Linear))

    @property
    def fan_ins(self) -> tuple[tuple[str, int], ...]:
        """Name and rows of the weight matrix of each of them, those of all groups together."""
        return tuple(
            (n.name, n.weight[0].size * (n.groups if isinstance(n, Conv2d) else 1)) for n in self.weighted
        )
