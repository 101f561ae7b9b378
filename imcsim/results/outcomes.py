"""What each image of a comparison did: enough to have the comparison at any other threshold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from imcsim.base.errors import ImcsimError
from imcsim.results.figures import Accuracy, check_exits, product_of_means
from imcsim.results.model import Amount, Count, DocumentPart, Fraction, Positive, require
from imcsim.results.statistics import wilson_interval

MOST_OUTCOMES = 400_000
"""Images times timesteps up to which the outcomes are kept: 10,000 images of 40 timesteps."""


class AtThreshold(Accuracy):
    """The dynamic run at some threshold."""

    mean_timesteps: Amount
    exit_fraction: tuple[Fraction, ...]
    energy_pj: Amount
    latency_ns: Amount
    edp_mean_of_products: Amount
    edp_product_of_means: Amount = product_of_means()

    @model_validator(mode="after")
    def _check_exits(self) -> Self:
        check_exits(self.exit_fraction, self.mean_timesteps)
        return self


class ImageOutcomes(DocumentPart):
    """Images of a comparison, one by one, as if each left after T = 1, ..., T max.

    A threshold in 0 to 1 is a word of the chip's threshold register: threshold x scale, rounded to an even
    word where it lies between two. An image leaves after the first timestep whose register holds at least the
    image's word of that timestep, and after T max at the latest.
    """

    schema_version: Literal[1] = 1
    images: Positive
    """How many images there are."""
    timesteps: Positive
    """T max."""
    scale: Annotated[float, Field(gt=0)]
    """The register's word for a threshold of 1, before it is rounded."""
    registers: tuple[Count, ...]
    """The words that the comparison used after T = 1, ..., T max - 1."""
    words: tuple[tuple[Count, ...], ...]
    """For each T = 1, ..., T max - 1 the least word with which each image leaves."""
    right: tuple[Annotated[str, Field(pattern="^[01]*$")], ...]
    """For each T = 1, ..., T max a 1 for each image that is classified rightly then, a 0 for the others."""
    energy_pj: tuple[tuple[Amount, ...], ...]
    """For each T = 1, ..., T max what each image has cost then."""
    latency_ns: tuple[tuple[Amount, ...], ...]
    """The same of the latency; one figure where all images take the same time."""

    @model_validator(mode="after")
    def _check_shapes(self) -> Self:
        early, n = self.timesteps - 1, self.images
        require(len(self.registers) == len(self.words) == early, "T max - 1 timesteps have words")
        whole = (self.right, self.energy_pj, self.latency_ns)
        require(all(len(part) == self.timesteps for part in whole), "figures must have T max timesteps")
        require(
            all(len(row) == n for part in (self.words, self.right, self.energy_pj) for row in part)
            and all(len(row) in (1, n) for row in self.latency_ns),
            "each image must have its figures",
        )
        return self

    def words_of(self, threshold: float | Sequence[float]) -> tuple[int, ...]:
        """The words of the threshold registers.

        Args:
            threshold: An exit threshold, 0 to 1, or one for each of T = 1, ..., T max - 1.

        Raises:
            ImcsimError: For other thresholds.
        """
        each = tuple(threshold) if isinstance(threshold, Sequence) else (threshold,) * len(self.registers)
        if len(each) != len(self.registers) or not all(0 <= one <= 1 for one in each):
            raise ImcsimError(
                f"{len(each)} thresholds do not go with T = {self.timesteps}"
                if len(each) != len(self.registers)
                else "a threshold lies outside 0 to 1",
                key="threshold",
                fix=f"give one threshold in 0 to 1, or {len(self.registers)}",
            )
        return tuple(round(one * self.scale) for one in each)

    def at(self, threshold: float | Sequence[float]) -> AtThreshold:
        """The dynamic run with another threshold. Nothing is chosen here: these are the reported images.

        Args:
            threshold: An exit threshold, 0 to 1, or one for each of T = 1, ..., T max - 1.

        Raises:
            ImcsimError: For other thresholds.
        """
        return self.with_registers(self.words_of(threshold))

    def with_registers(self, registers: Sequence[int]) -> AtThreshold:
        """The dynamic run with other words in the threshold registers.

        Args:
            registers: A word for each of T = 1, ..., T max - 1, in counts of the register.
        """
        stay = np.full(self.images, self.timesteps - 1)
        for t in range(self.timesteps - 2, -1, -1):
            stay[np.asarray(self.words[t], np.float64) <= registers[t]] = t
        right = np.array([np.frombuffer(row.encode(), np.uint8) for row in self.right]) == ord("1")
        latency = np.array([np.broadcast_to(row, self.images) for row in self.latency_ns], np.float64)
        energy_pj, latency_ns = _of(np.array(self.energy_pj, np.float64), stay), _of(latency, stay)
        correct = int(_of(right, stay).sum())
        low, high = wilson_interval(correct, self.images)
        return AtThreshold(
            accuracy=correct / self.images,
            accuracy_low=low,
            accuracy_high=high,
            mean_timesteps=float(stay.mean()) + 1,
            exit_fraction=tuple(float(np.mean(stay == t)) for t in range(self.timesteps)),
            energy_pj=float(energy_pj.mean()),
            latency_ns=float(latency_ns.mean()),
            edp_mean_of_products=float((energy_pj * latency_ns).mean()),
        )

    def to_json(self) -> str:
        """The document as JSON text in one line: it is for programs."""
        return json.dumps(self.model_dump(), separators=(",", ":"), allow_nan=False) + "\n"


def _of(figures: NDArray[Any], stay: NDArray[np.int64]) -> NDArray[Any]:
    """Of figures ``[T, images]`` that of the timestep, from 0, after which each image leaves."""
    found: NDArray[Any] = figures[stay, np.arange(figures.shape[1])]
    return found
