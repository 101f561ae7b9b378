"""Mappings that change what a network computes: layers on other types of tile, and another order of rows.

Crossbars of another shape, or with other converters, clip and round other sums, so each of these is a chip of
its own on which the validation images are computed again, a threshold is chosen and accuracy is measured.

Which of them are looked at does not depend on a budget: one layer moved to another type at a time; then the
moves that lose no accuracy and make the objective smaller, the best first, 1, 2, 4, ... and all of them
together; all layers on one type; and each of these with rows in the other order, if asked. So a larger budget
only adds to what is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imcsim.base.progress import Progress
from imcsim.hardware.config import Hardware, HardwareConfig
from imcsim.hardware.ledger import Stay
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.mapped import ADCS
from imcsim.studies.experiment import Experiment
from imcsim.studies.settings import CompareOptions

Types = dict[str, str]
"""The type of tile of each layer with weights, as a file calls it."""


@dataclass(frozen=True, eq=False)
class OnImages:
    """The images on one chip, until when each stays, and how many are right then."""

    experiment: Experiment
    stay: Stay
    right: int

    @classmethod
    def of(
        cls,
        network: Network,
        hardware: Hardware,
        inputs: Inputs,
        options: CompareOptions,
        progress: Progress | None,
    ) -> OnImages:
        """Compute the images on a chip, choose the threshold if none is given, and let each exit."""
        experiment = Experiment.make(network, hardware, inputs, inputs, options, progress)
        stay = experiment.exits(experiment.images, experiment.choose())
        share = experiment.accuracy(stay)["accuracy"]
        return cls(experiment, stay, round(share * len(stay)))

    @property
    def config(self) -> HardwareConfig:
        return self.experiment.chip.stated

    @property
    def mean(self) -> float:
        return float(self.stay.mean())

    @property
    def accuracy(self) -> float:
        return self.right / len(self.stay)


def with_row_order(config: HardwareConfig, order: str) -> HardwareConfig:
    """The chip with rows in that order, and the converters that go with it."""
    cells = config.cells.model_copy(update={"row_order": order})
    tile = config.tile.model_copy(update={"adcs": ADCS[order]})
    return config.model_copy(update={"cells": cells, "tile": tile})


def single_moves(types: Types, kinds: Sequence[str]) -> Iterator[Types]:
    """Every assignment in which one layer stands on another type."""
    for layer, present in types.items():
        for kind in kinds:
            if kind != present:
                yield {**types, layer: kind}


def joined_moves(
    types: Types, moves: Sequence[tuple[Types, float]], least: float, kinds: Sequence[str]
) -> Iterator[Types]:
    """Assignments to be searched, none twice: the moves with a figure below `least`, best first, 1, 2, 4, ...
    and all together; then all layers on each one of `kinds`. `moves`: assignments with one layer moved, and
    what they come to.
    """
    gains = sorted((figure, k) for k, (_, figure) in enumerate(moves) if figure < least)
    best: Types = {}
    for _, k in gains:
        for layer, kind in moves[k][0].items():
            if kind != types[layer]:
                best.setdefault(layer, kind)
    layers = list(best)
    counts = [*(1 << k for k in range(len(layers)) if 1 << k < len(layers)), *([len(layers)] * bool(layers))]
    seen = [types]
    for found in (
        *({**types, **{layer: best[layer] for layer in layers[:count]}} for count in counts),
        *(dict.fromkeys(types, kind) for kind in kinds),
    ):
        if found not in seen:
            seen.append(found)
            yield found
