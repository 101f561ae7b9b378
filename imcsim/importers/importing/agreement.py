"""How much of a network survives quantisation: real weights against integers, spike by spike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.progress import Progress
from imcsim.exits.outputs import predictions
from imcsim.functional.program.program import Program
from imcsim.functional.run import Converters, ideal_converters
from imcsim.functional.run import run as run_program
from imcsim.importers.importing.float_network import FloatNetwork
from imcsim.importers.importing.float_run import FloatBlock, class_outputs, walk_blocks
from imcsim.inputs import Inputs
from imcsim.network.graph import LIF, Network, Relu
from imcsim.results.statistics import wilson_interval

Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class LayerAgreement:
    """One LIF layer: the share of neurons and timesteps in which both did the same, and their spike rates
    (spikes per neuron and timestep).
    """

    name: str
    equal: float
    float_rate: float
    rate: float
    bound: int = 1
    """Spikes that a neuron may fire in a timestep."""
    at_bound: float = 0.0
    """Where that is several: the share of neurons and timesteps of the float network that fire so many."""


@dataclass(frozen=True)
class AccuracyOverTime:
    """The share of images that are right after each timestep, with its 95 % Wilson interval."""

    per_timestep: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class IntegerAgreement:
    """One integer network against the real one. `same_prediction` is the share of images on which both name
    one class, after each timestep; `accuracy` is None without labels. `hardware` None: ideal converters and
    wide membranes. `seed` is that which the errors of the chip were drawn from, None where it has none.
    """

    hardware: str | None
    layers: tuple[LayerAgreement, ...]
    same_prediction: tuple[float, ...]
    accuracy: AccuracyOverTime | None
    seed: int | None = None


@dataclass(frozen=True)
class Agreement:
    """What comparing on some images gave. `ideal` has the quantisation alone, `chip` also a chip's ADCs, word
    widths and errors, where one was named.
    """

    inputs: str
    inputs_sha256: str
    split: str
    images: int
    timesteps: int
    float_accuracy: AccuracyOverTime | None
    ideal: IntegerAgreement
    chip: IntegerAgreement | None

    def provenance(self) -> dict[str, Any] | None:
        """The accuracies as a bundle keeps them; None without labels."""
        if self.float_accuracy is None or self.ideal.accuracy is None:
            return None
        return {
            "images": self.images,
            "inputs": self.inputs,
            "inputs_sha256": self.inputs_sha256,
            "split": self.split,
            "float_per_timestep": list(self.float_accuracy.per_timestep),
            "quantised_per_timestep": list(self.ideal.accuracy.per_timestep),
        }


@dataclass(frozen=True, eq=False)
class ComparedChip:
    """Whose words, converters and errors the integers are also run with; seed as in `IntegerAgreement`."""

    name: str
    program: Callable[[Network, Inputs], tuple[Program, Converters]]
    seed: int | None = None


def agree(
    real: FloatNetwork,
    network: Network,
    inputs: Inputs,
    ideal: Program,
    chip: ComparedChip | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Agreement:
    """Play `inputs` through the network with real weights and the one with integers.

    ideal: the program of `network` with ideal converters and wide membranes. Predictions are of the running
    mean of the outputs. Raises ImcsimError where the inputs do not fit, or a word overflows.
    """
    inputs.require(shape=network.input_shape, bits=network.input_bits, classes=network.classes)
    timesteps = network.timesteps
    inputs = inputs.first(timesteps)
    sides = [_Side(None, network, ideal, ideal_converters(ideal))]
    if chip is not None:
        sides.append(_Side(chip.name, network, *chip.program(network, inputs), chip.seed))
    count = len(inputs.images)
    real_named = np.empty((count, timesteps), np.int64)
    before: Any = 0.0
    for block in walk_blocks(real, inputs.images, timesteps):
        shown, times = block.images, block.timesteps
        if times.start == 0:
            before = 0.0
            for side in sides:
                side.play(inputs.images[shown], inputs.numbers[shown], timesteps, workers)
        outputs = class_outputs(real, block.values, block.count)
        outputs[:, 0] += before
        sums = outputs.cumsum(axis=1)
        before = sums[:, -1]
        real_named[shown, times] = sums.argmax(axis=2)
        for side in sides:
            side.compare(block)
        if progress is not None and times.stop == timesteps:
            progress("float against quantised", shown.stop, count)
    labels = inputs.labels if len(inputs.labels) else None
    found = [side.result(real_named, labels) for side in sides]
    return Agreement(
        inputs=inputs.name,
        inputs_sha256=inputs.sha256,
        split=inputs.split,
        images=count,
        timesteps=timesteps,
        float_accuracy=None if labels is None else _accuracy(real_named == labels[:, None]),
        ideal=found[0],
        chip=found[1] if len(found) > 1 else None,
    )


class _Side:
    """Counts what one program does beside the real network."""

    def __init__(
        self,
        hardware: str | None,
        network: Network,
        program: Program,
        converters: Converters,
        seed: int | None = None,
    ) -> None:
        self.hardware, self.program, self.converters, self.seed = hardware, program, converters, seed
        self.steps = {node.name: node.step for node in network.nodes if isinstance(node, Relu)}
        self.bounds = {
            node.name: node.top if isinstance(node, Relu) else node.max_spikes
            for node in network.nodes
            if isinstance(node, LIF | Relu)
        }
        self.layers = list(self.bounds)
        self.counts = {name: np.zeros(5, np.int64) for name in self.layers}
        self.named: list[NDArray[np.int64]] = []
        self.recorded: dict[str, NDArray[Any]] = {}

    def play(
        self,
        images: NDArray[np.uint8],
        numbers: NDArray[np.int64],
        timesteps: int,
        workers: int | None,
    ) -> None:
        """Play these images, which are compared next."""
        activity = run_program(
            self.program, images, timesteps, self.converters, workers=workers, record=set(self.layers),
            numbers=numbers,
        )  # fmt: skip
        self.recorded = activity.recorded
        self.named.append(predictions(activity.outputs))

    def compare(self, block: FloatBlock) -> None:
        """Count what the images that were played last did as in the real network."""
        for name in self.layers:
            wanted = block.values[name]
            wanted = wanted if name not in self.steps else np.rint(wanted / self.steps[name])
            if wanted.ndim == 5:
                wanted = wanted.transpose(0, 1, 3, 4, 2)
            spikes = self.recorded[name][:, block.timesteps].reshape(wanted.shape)
            same = np.count_nonzero(wanted == spikes)
            both = int(wanted.sum()), int(spikes.sum(dtype=np.int64))
            bound = self.bounds[name]
            full = np.count_nonzero(wanted == bound) if bound > 1 else 0
            self.counts[name] += np.array([wanted.size, same, *both, full])

    def result(self, real_named: NDArray[np.int64], labels: NDArray[np.int64] | None) -> IntegerAgreement:
        named = np.concatenate(self.named)
        layers = tuple(
            LayerAgreement(name, same / total, wanted / total, found / total, self.bounds[name], full / total)
            for name, (total, same, wanted, found, full) in (
                (name, map(float, counts)) for name, counts in self.counts.items()
            )
        )
        same = tuple(float(share) for share in (named == real_named).mean(axis=0))
        accuracy = None if labels is None else _accuracy(named == labels[:, None])
        return IntegerAgreement(self.hardware, layers, same, accuracy, self.seed)


def _accuracy(right: Bits) -> AccuracyOverTime:
    images = len(right)
    intervals = [wilson_interval(int(n), images) for n in right.sum(axis=0)]
    shares = tuple(float(share) for share in right.mean(axis=0))
    return AccuracyOverTime(shares, tuple(low for low, _ in intervals), tuple(high for _, high in intervals))
