"""Between the numbers that a module is shown and the pixels that the chip is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.importers.importing.image import Image

Values = NDArray[np.float64]

EXACT = 1e-6
"""How far, as a share of the largest, numbers may lie from pixels and still be those: rounding to float32."""


@dataclass(frozen=True)
class PixelGrid:
    """What pixels are worth: ``(scale * code - mean) / std``, codes of `bits` bits; `mean` and `std` are one
    number, or one per channel.
    """

    bits: int
    scale: float
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def image(self) -> Image:
        return Image(self.bits, self.scale, self.mean, self.std)

    def codes(self, values: Values, place: int, what: str) -> tuple[NDArray[np.uint8], float]:
        """The codes of `values`, whose channels are at axis `place`, and how far the farthest is off.

        Raises ImcsimError, about `what`, for values that no code stands for.
        """
        raw = values * self._along(self.std, values, place, 1.0) + self._along(self.mean, values, place, 0.0)
        raw = raw / self.scale
        low, high = (float(raw.min()), float(raw.max())) if raw.size else (0.0, 0.0)
        most = 2**self.bits - 1
        if not np.isfinite(raw).all() or low < -0.01 or high > most + 0.01:
            shown = (
                f"{float(values.min()):.4g} to {float(values.max()):.4g}"
                if np.isfinite(values).all()
                else "NaN"
            )
            raise ImcsimError(
                f"the values go from {shown}, beyond what {self.bits}-bit pixels of this network are worth "
                f"({self.values(np.zeros(1))[0]:.4g} to {self.values(np.full(1, most))[0]:.4g})",
                key=what,
                fix="say mean= and std= of the normalisation, or scale= of a pixel, in from_torch",
            )
        codes = np.rint(np.clip(raw, 0, most)).astype(np.uint8)
        off = float(np.abs(self.values(codes, place) - values).max()) if values.size else 0.0
        return codes, off

    def values(self, codes: NDArray[Any], place: int = 0) -> Values:
        """What `codes` are worth."""
        raw = codes.astype(np.float64) * self.scale
        mean, std = self._along(self.mean, raw, place, 0.0), self._along(self.std, raw, place, 1.0)
        return np.asarray((raw - mean) / std)

    def _along(self, numbers: tuple[float, ...], values: Values, place: int, default: float) -> Any:
        if not numbers:
            return default
        if len(numbers) == 1:
            return numbers[0]
        if place >= values.ndim:
            return numbers[0]
        if values.shape[place] != len(numbers):
            raise ImcsimError(
                f"there are {len(numbers)} of them for "
                f"{counted(values.shape[place], 'channel')}", key="mean, std",
                fix="give one number, or one per channel",
            )  # fmt: skip
        return np.asarray(numbers).reshape(-1, *(1,) * (values.ndim - place - 1))


def grid_of(values: Values, image: Image, timed: bool) -> PixelGrid:
    """What the pixels of `values` are worth: as `image` says, else as the values look.

    Whole numbers above 1 are codes themselves; frames of 0 and 1 are spikes; what lies between 0 and 1 are
    pixels of 8 bits. Raises ImcsimError for others.
    """
    stated = image.bits is not None or image.scale is not None or image.mean or image.std
    if stated:
        bits = image.bits or 8
        scale = image.scale if image.scale is not None else 1.0 / (2**bits - 1)
        return PixelGrid(bits, scale, image.mean, image.std)
    whole = bool((values == np.rint(values)).all())
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not np.isfinite(values).all() or low < 0 or (high > 1 and not whole) or high > 255:
        raise ImcsimError(
            f"its values go from {low:.4g} to {high:.4g}: they are no pixels (0 to 1, or whole numbers "
            "up to 255)",
            key="example",
            fix="say mean= and std= as in transforms.Normalize, or scale=; and show real inputs, not "
            "random ones",
        )
    if whole and high <= 1 and timed:
        return PixelGrid(1, 1.0)
    return PixelGrid(8, 1.0) if whole and high > 1 else PixelGrid(8, 1.0 / 255)
