"""The steps of a program: what each layer of a network is as integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imcsim.base.tile_types import OWN
from imcsim.functional.crossbars.crossbars import Crossbars
from imcsim.functional.crossbars.grouped import GroupedCrossbars
from imcsim.functional.program.numerics import Numerics
from imcsim.network.rows import RowLayout


@dataclass(frozen=True, eq=False)
class CrossbarLayer:
    """A conv or linear layer as programmed.

    unit: real value of one count ``[Cout]``; largest_sum bounds the size of every digital sum and of what is
    added up on the way to it.
    """

    name: str
    source: str
    crossbars: Crossbars | GroupedCrossbars
    planes: int
    """Bits of an input."""
    stride: tuple[int, int]
    padding: tuple[int, int]
    border: tuple[int, ...]
    """Pixel around the image, one per channel; empty where it is 0 or the layer reads no image."""
    out_shape: tuple[int, int, int]
    unit: NDArray[np.float64]
    bias: NDArray[np.float64]
    largest_sum: int
    reach: NDArray[np.float64]
    """The largest size that the exact sum of each output can have, ``[Cout]``."""
    accumulator: np.dtype[Any]
    tile_type: str = OWN
    """The type of the tiles that it stands on."""

    @property
    def layout(self) -> RowLayout:
        return self.crossbars.layout


@dataclass(frozen=True, eq=False)
class Branch:
    """A current that enters a neuron, aligned by ``(x * multiplier + half) >> right`` for each channel."""

    source: str
    multiplier: NDArray[np.int64]
    right: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PooledBias:
    """What a pool between weights and neurons does to biases; by itself: there is none.

    windows: how many sums each neuron's current has, int64 ``[H, W]``, where that differs because of padding;
    then a layer's bias is that of one sum. elements: where it does not, the sums that a current has (1 for a
    maximum).
    """

    windows: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    elements: int = 1


@dataclass(frozen=True, eq=False)
class NeuronLayer:
    """LIF neurons in fixed point. left, right, bias: int64 ``[C]``; threshold, leak, synapse: int64 ``[C]``,
    or ``[H * W * C]`` where each neuron has its own.

    `synapse` is empty for none. Leaks and synapses count in ``2**-decay_bits``.
    """

    name: str
    source: str
    main: str
    """The crossbar layer in whose tiles these neurons stand."""
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    bias: NDArray[np.int64]
    threshold: NDArray[np.int64]
    above: bool
    leak: NDArray[np.int64]
    synapse: NDArray[np.int64]
    decay_bits: int
    reset: Literal["hard", "soft", "none"]
    late: bool
    limit: int
    floor: NDArray[np.int64]
    """As `initial` and `drift` in counts of the membrane; each is empty where there is none."""
    initial: NDArray[np.int64]
    drift: NDArray[np.int64]
    max_spikes: int
    refractory: int
    branches: tuple[Branch, ...] = ()
    pooled: PooledBias = field(default_factory=PooledBias)


def word_of(step: NeuronLayer, largest: int) -> type[np.int32] | type[np.int64]:
    """The word that holds currents of up to `largest`, aligned, with bias and membrane, and what a leak makes
    of these.
    """
    entering = largest * np.exp2(step.left) + np.exp2(step.right) + np.abs(step.bias)
    sums_fit = step.right.max() < 31 and float(entering.max()) + step.limit + 1 < 2.0**31
    return np.int32 if sums_fit and step.decay_bits <= 15 and step.limit < 1 << 15 else np.int64


@dataclass(frozen=True, eq=False)
class IntegratorLayer:
    """Leaky integrators in fixed point, the class outputs; as `NeuronLayer`. unit: real value of one count of
    the membrane, ``[C]``.
    """

    name: str
    source: str
    main: str
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    bias: NDArray[np.int64]
    leak: NDArray[np.int64]
    synapse: NDArray[np.int64]
    decay_bits: int
    limit: int
    unit: NDArray[np.float64]
    branches: tuple[Branch, ...] = ()
    pooled: PooledBias = field(default_factory=PooledBias)


@dataclass(frozen=True, eq=False)
class ActivationLayer:
    """Clipped ReLUs in whole steps: ``min(max((total + half) >> right, 0), top)``.

    ``total = sum * multiplier + bias``, with one multiplier per branch of an addition; `half` is half of
    ``2**right``. multiplier, right, bias: int64 ``[C]``. `source`, `main` and `pooled` as in `NeuronLayer`.
    """

    name: str
    source: str
    main: str
    multiplier: NDArray[np.int64]
    right: NDArray[np.int64]
    bias: NDArray[np.int64]
    top: int
    branches: tuple[Branch, ...] = ()
    """Branches that are added: their own multipliers, and no shifts, take the place of `multiplier`."""
    pooled: PooledBias = field(default_factory=PooledBias)


@dataclass(frozen=True)
class PoolLayer:
    """Pooling of values, or of a crossbar layer's sums (`currents`); `sums` for averages too, which the next
    layer's unit divides.
    """

    name: str
    source: str
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    sums: bool
    out_shape: tuple[int, int, int]
    currents: bool = False
    row: bool = False
    """Whether it pools neighbouring values of a row, and no map."""


@dataclass(frozen=True)
class FlattenLayer:
    name: str
    source: str


@dataclass(frozen=True)
class SumLayer:
    """The sum of several trains of spikes, a value of several bits. source: the first of `sources`."""

    name: str
    sources: tuple[str, ...]

    @property
    def source(self) -> str:
        return self.sources[0]


@dataclass(frozen=True)
class DelayLayer:
    """What `source`, which may be a later step, gave `timesteps` timesteps before.

    `shape` is ``(H, W, C)``.
    """

    name: str
    source: str
    timesteps: int
    shape: tuple[int, int, int]


Neurons = NeuronLayer | IntegratorLayer | ActivationLayer
"""What takes currents: neurons that fire, integrators, and activations."""

Step = CrossbarLayer | Neurons | PoolLayer | FlattenLayer | SumLayer | DelayLayer


@dataclass(frozen=True, eq=False)
class Program:
    """Steps in order. Class outputs in 2**-fraction_bits: ``((sum * multiplier + half) >> right) + bias``.

    With several `votes` per class, products and biases of that many neighbouring outputs are added first.
    """

    steps: tuple[Step, ...]
    output: str
    out_multiplier: NDArray[np.int64]
    out_right: int
    out_bias: NDArray[np.int64]
    numerics: Numerics
    classes: int
    votes: int = 1

    def class_outputs(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Class outputs ``[..., classes]`` of what the last step gives, ``[..., classes * votes]``."""
        products = (sums * self.out_multiplier).reshape(*sums.shape[:-1], self.classes, self.votes)
        bias: NDArray[np.int64] = self.out_bias.reshape(self.classes, self.votes).sum(axis=1)
        outputs: NDArray[np.int64] = (products.sum(axis=-1) + (1 << self.out_right >> 1)) >> self.out_right
        return np.asarray(outputs + bias)

    @property
    def pulsed(self) -> bool:
        """Whether a read takes all bits of an input, and drives rows as long or as high as its value says."""
        return self.numerics.input_drive != "bits"

    @property
    def crossbar_layers(self) -> tuple[CrossbarLayer, ...]:
        return tuple(s for s in self.steps if isinstance(s, CrossbarLayer))

    @property
    def delays(self) -> tuple[DelayLayer, ...]:
        return tuple(s for s in self.steps if isinstance(s, DelayLayer))

    @property
    def feedback(self) -> int:
        """Timesteps after which the first spikes come back to an earlier step; 0 where none do. No more can
        be played at a time.
        """
        place = {step.name: n for n, step in enumerate(self.steps)}
        return min((s.timesteps for s in self.delays if place[s.source] > place[s.name]), default=0)

    @cached_property
    def words(self) -> dict[str, type[np.int32] | type[np.int64]]:
        """The words that hold all that neurons of each layer add up, where they only leak, integrate and
        fire.
        """
        largest = {step.name: step.largest_sum for step in self.crossbar_layers}
        found = {}
        for step in self.steps:
            if isinstance(step, NeuronLayer):
                added = bool(step.branches) or step.pooled.windows.size > 0
                sums = largest[step.main] * step.pooled.elements
                found[step.name] = np.int64 if added else word_of(step, sums)
        return found

    @property
    def neuron_layers(self) -> tuple[Neurons, ...]:
        """Layers that take currents; integrators never fire."""
        return tuple(s for s in self.steps if isinstance(s, Neurons))
