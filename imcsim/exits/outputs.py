"""Class outputs as exit rules see them, and what follows from the scores of a rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imcsim.base.choices import Accumulation

RECIPROCAL_FRACTION_BITS = 16


@dataclass(frozen=True, eq=False)
class ClassOutputs:
    """What the checker has been told of some images after each timestep."""

    sums: NDArray[np.int64]
    """Running sums of the class outputs, ``[N, T, K]``, in ``2**-fraction_bits``."""
    mean: bool
    """Whether the chip decides on running means rather than on sums."""
    temperatures: tuple[float, ...] | None = None
    """What running means are divided by as well, one for each timestep; None where that is 1."""

    @classmethod
    def of(
        cls,
        outputs: NDArray[np.int64],
        accumulation: Accumulation,
        temperatures: tuple[float, ...] | None = None,
    ) -> ClassOutputs:
        """From the class outputs of each timestep alone.

        Args:
            outputs: Those of N images, T timesteps and K classes, int64 ``[N, T, K]``.
            accumulation: Whether the chip decides on running means or sums.
            temperatures: What running means are divided by as well, one for each timestep. None: 1.
        """
        return cls(np.cumsum(outputs, axis=1), accumulation == "mean", temperatures)

    @property
    def timesteps(self) -> NDArray[np.int64]:
        """1, 2, ..., T, int64 ``[T]``."""
        return np.arange(1, self.sums.shape[1] + 1, dtype=np.int64)

    @property
    def divisors(self) -> NDArray[np.float64]:
        """What the running sums are divided by for a mean: t, times the temperature of t; float64 ``[T]``."""
        divisors: NDArray[np.float64] = self.timesteps * np.asarray(self.temperatures or 1.0)
        return divisors

    @cached_property
    def accumulated(self) -> NDArray[np.int64]:
        """The running sums or means, int64 ``[N, T, K]``; the chip multiplies by a stored 1/t for a mean, and
        has the temperature of t in the same factor.
        """
        if not self.mean:
            return self.sums
        reciprocal = np.rint((1 << RECIPROCAL_FRACTION_BITS) / self.divisors).astype(np.int64)
        half = 1 << (RECIPROCAL_FRACTION_BITS - 1)
        mean: NDArray[np.int64] = (self.sums * reciprocal[None, :, None] + half) >> RECIPROCAL_FRACTION_BITS
        return mean


def predictions(outputs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class after each timestep, ``[N, T]``: the largest running sum, the lower class on a tie.

    outputs: int64 ``[N, T, K]`` of each timestep alone.
    """
    classes: NDArray[np.int64] = np.argmax(np.cumsum(outputs, axis=1), axis=2)
    return classes


def exit_timesteps(
    required: NDArray[np.int64], threshold_registers: int | NDArray[np.int64]
) -> NDArray[np.int64]:
    """The exit timestep of each image, 1 to T; T where the checker never lets it go.

    required: ``[N, T]`` (see `ExitRule.required`); threshold_registers: one word for all timesteps, or one
    for each of 1 to T - 1.
    """
    leaves = np.ones(required.shape, np.bool_)
    leaves[:, :-1] = required[:, :-1] <= threshold_registers
    timesteps: NDArray[np.int64] = np.argmax(leaves, axis=1) + 1
    return timesteps
