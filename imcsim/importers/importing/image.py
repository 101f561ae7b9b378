"""What an image is to a network: its shape, what its pixels are worth, how many timesteps it is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.importers.folding.form import Shape
from imcsim.importers.importing import layers as file
from imcsim.network.sizes import MAX_VALUES

DEFAULT_TIMESTEPS = 4


@dataclass(frozen=True)
class Image:
    """What the pixels of the inputs are worth: ``(scale * code - mean) / std``, codes of `bits` bits
    (None: 8).

    `scale` None is the file's own word, else the largest code's reciprocal: pixels from 0 to 1. `mean` and
    `std` hold one number, or one per channel.
    """

    bits: int | None = None
    scale: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def timesteps_of(model: file.ReadModel, stated: int | None = None) -> int:
    """The T of the network: what was stated, else the file's, else 4."""
    return stated or int(model.source.get("timesteps") or DEFAULT_TIMESTEPS)


def image_shape(shape: tuple[int, ...]) -> Shape:
    """(C, H, W) of a file's input: rows of N values are N channels, (C, L) is a map of height 1."""
    match tuple(int(n) for n in shape):
        case (channels, height, width):
            found = channels, height, width
        case (channels, length):
            found = channels, 1, length
        case (values,):
            found = values, 1, 1
        case _:
            raise ImcsimError(
                f"the input has {counted(len(shape), 'axis', 'axes')}, not channels, rows and columns",
                key="input",
                fix="give --input-shape CxHxW",
            )
    if min(found) < 1 or math.prod(found) > MAX_VALUES:
        raise ImcsimError(
            f"the input is {' x '.join(map(str, found))}", key="input", fix="give --input-shape CxHxW"
        )
    return found


def input_scale(model: file.ReadModel, image: Image, bits: int) -> float:
    """What the pixel code 1 is worth: what was stated, else the file's word, else the largest code is 1."""
    stated: Any = image.scale if image.scale is not None else model.source.get("input_scale")
    return float(stated) if stated is not None else 1.0 / (2**bits - 1)
