"""What a file of another framework holds, in one form for all of them: layers with real numbers.

A layer reads the layers it names in `inputs`; the name ``input`` stands for the image. A layer with several
inputs gets their sum. Arrays are float64; ``[C]`` is one number an output channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Number = float | FloatArray
"""A number for all neurons, or float64 ``[C]`` one per channel, or ``[C, H, W]`` one per neuron."""

Reset = Literal["hard", "soft", "none"]
ResetAt = Literal["now", "next"]
Fires = Literal["at", "above"]
Framework = Literal["auto", "nir", "snntorch", "spikingjelly", "norse", "norse_main", "sinabs"]

INPUT = "input"


@dataclass(frozen=True, eq=False)
class Weights:
    """A convolution (`weight` ``[Cout, Cin/groups, kH, kW]``) or a fully connected layer (``[Cout, Cin]``).

    ``y = weight * x + bias``; padding is zeros. A 1-D convolution has kH = 1 and reads a map of height 1.
    Where `scale` (``[Cout]``) is given, `weight` holds integers and the real weight is ``scale * weight``;
    `bias` is always in real units. `weight_bits`: those that this layer is to have, where it has its own.
    """

    name: str
    inputs: tuple[str, ...]
    weight: FloatArray
    bias: FloatArray | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    scale: FloatArray | None = None
    weight_bits: int | None = None


@dataclass(frozen=True, eq=False)
class Norm:
    """``y = factor * x + offset``, arrays ``[C]`` or ``[1]``: batch norm in evaluation, or a scale."""

    name: str
    inputs: tuple[str, ...]
    factor: FloatArray
    offset: FloatArray


@dataclass(frozen=True, eq=False)
class Neuron:
    """Spiking neurons, or (`spiking` false) leaky integrators that put out their membrane.

    With I the sum of the inputs, in one timestep::

        i = synapse * i + synapse_gain * I        (i = I where `synapse` is None)
        u = leak * u + gain * i + drift

    then a spike, and the reset, as in `imcsim.network.graph.LIF`. u is the membrane less its reset value: a
    hard reset makes it 0; `threshold`, `floor` and `initial` are counted from there too. For an integrator, u
    is the membrane less the value it starts from, and that value is 0 (readers refuse others).
    """

    name: str
    inputs: tuple[str, ...]
    leak: Number
    gain: Number
    drift: Number
    threshold: Number
    reset: Reset = "hard"
    fires: Fires = "at"
    reset_at: ResetAt = "now"
    synapse: Number | None = None
    synapse_gain: Number = 1.0
    spiking: bool = True
    floor: Number | None = None
    initial: Number = 0.0
    max_spikes: int = 1
    refractory: int = 0


@dataclass(frozen=True, eq=False)
class ReadRelu:
    """Activations in whole steps, from 0 to ``2**bits - 1`` of them (see `imcsim.network.graph.Relu`)."""

    name: str
    inputs: tuple[str, ...]
    bits: int
    step: float


@dataclass(frozen=True, eq=False)
class ReadPool:
    """Pooling; `size`, `stride`, `padding` are (rows, columns). Padding is zeros and counts in an average."""

    name: str
    inputs: tuple[str, ...]
    kind: Literal["average", "max", "sum"]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class ReadFlatten:
    """``[C, H, W]`` to ``[C * H * W]``."""

    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Delayed:
    """What a layer gave `timesteps` timesteps before, and zeros in the first ones. It alone may read a layer
    that comes later.
    """

    name: str
    inputs: tuple[str, ...]
    timesteps: int


@dataclass(frozen=True, eq=False)
class Voting:
    """The last layer: averages of `size` neighbouring outputs each, one per class."""

    name: str
    inputs: tuple[str, ...]
    size: int


Layer = Weights | Norm | Neuron | ReadRelu | ReadPool | ReadFlatten | Delayed | Voting


@dataclass(frozen=True, eq=False)
class ReadModel:
    """A network as read. `layers` are in topological order, but for delays; `output` names the one that gives
    the result.

    `input_shape` is ``(C, H, W)``, ``(C, L)`` for a 1-D convolution or ``(N,)`` for a row of numbers.
    `source` says where the layers come from and how the file was read: ``file``, ``format``, ``framework``
    (the rules of time and reset that were used), ``notes`` (a list of what the user should know),
    ``affirmed`` (of what only the user knows: every report repeats it) and, where the file or the options say
    so, ``timesteps``, ``classes`` and ``input_scale``.
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    output: str
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about a file; None where nothing was said.

    `dt` is in seconds. `neuron` gives the neurons of formats without any (ONNX): the same keys as
    ``neuron:`` in a layer list; and of a NIR file what its neurons are besides what the file can say.
    """

    framework: Framework = "auto"
    dt: float | None = None
    reset: Reset | None = None
    reset_at: ResetAt | None = None
    fires: Fires | None = None
    layers_file: Path | None = None
    input_shape: tuple[int, ...] | None = None
    timesteps: int | None = None
    name: str | None = None
    neuron: Mapping[str, Any] | None = None
