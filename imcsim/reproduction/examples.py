"""Images to look at: some that leave after one timestep, rightly or wrongly, and some that stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.entropy import Entropy
from imcsim.exits.outputs import ClassOutputs, predictions
from imcsim.exits.softmax import tables
from imcsim.hardware.ledger import Stay
from imcsim.results.reproduction.document import Example
from imcsim.studies.experiment import Experiment

RIGHT_AT_ONCE, WRONG_AT_ONCE, TO_THE_END = 10, 5, 10


def examples(bench: Experiment, stay: Stay) -> tuple[Example, ...]:
    """The first images of each kind in the order of the inputs, so that nobody picks the good ones; of those
    that leave rightly at once and of those that stay, one of each class as far as they go.
    """
    outputs, labels = bench.images.activity.outputs, bench.inputs.labels
    answers = predictions(outputs)
    entropy = _entropy(bench)
    at_once = stay == 1
    right = answers[np.arange(len(stay)), stay - 1] == labels
    to_the_end = stay == bench.timesteps
    picked = [
        *_one_of_each(np.flatnonzero(at_once & right), labels, RIGHT_AT_ONCE),
        *np.flatnonzero(at_once & ~right)[:WRONG_AT_ONCE],
    ]
    if bench.timesteps > 1:
        picked += _one_of_each(np.flatnonzero(to_the_end), labels, TO_THE_END)
    return tuple(
        Example(
            index=int(k),
            label=int(labels[k]),
            predictions=tuple(int(p) for p in answers[k]),
            entropy=tuple(float(h) for h in entropy[k]),
            leaves=int(stay[k]),
        )
        for k in picked
    )


def _one_of_each(indices: NDArray[np.intp], labels: NDArray[np.int64], most: int) -> list[int]:
    """The first of each class, then the next of each, at most so many; in order of rounds and classes."""
    turn: dict[int, int] = {}
    ranked = []
    for k in indices:
        label = int(labels[k])
        turn[label] = turn.get(label, 0) + 1
        ranked.append((turn[label], label, int(k)))
    return [k for _, _, k in sorted(ranked)[:most]]


def _entropy(bench: Experiment) -> NDArray[np.float64]:
    """The normalised entropy as the chip has it, ``[images, T]``; its tables may take it past 1 by a hair."""
    numerics = bench.chip.program.numerics.checker
    rule, outputs = Entropy(), ClassOutputs.of(bench.images.activity.outputs, bench.options.accumulation)
    numerator, total = rule.fraction(outputs.accumulated, tables(numerics))
    one = rule.scale(bench.chip.network.classes, numerics)
    entropy: NDArray[np.float64] = np.clip(numerator / (total * one), 0.0, 1.0)
    return entropy
