"""Numbers of neurons and layers, from the shapes that frameworks give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.importers.importing.layers import Number

Values = NDArray[np.float64]


def bare(values: Values) -> Values:
    """`values` without the axes of length 1 that frameworks put in front for batches, as 1 to 3 axes."""
    while values.ndim > 3 and values.shape[0] == 1:
        values = values[0]
    return values.reshape(1) if values.ndim == 0 else values


def as_number(values: Values) -> Number:
    """A float where all `values` are equal; ``[C]`` where they are equal in each channel; else all of them.

    ``[C, L]`` (a 1-D convolution) comes out as ``[C, 1, L]``.
    """
    if values.size and np.all(values == values.flat[0]):
        return float(values.flat[0])
    if values.ndim == 1:
        return values
    rows = values.reshape(len(values), -1)
    if np.all(rows == rows[:, :1]):
        return np.ascontiguousarray(rows[:, 0])
    return values[:, None, :] if values.ndim == 2 else values


def as_written(values: NDArray[Any]) -> Values:
    """`values` in float64; float32 that a decimal of six digits was rounded to become that decimal.

    Frameworks compute with float32(0.9), and round what they compute: ``0.9 * 10`` is 9 there too, and not
    8.9999998. With the decimal a membrane meets its threshold exactly where it does in the framework.
    """
    wide: Values = values.astype(np.float64)
    if values.dtype != np.float32:
        return wide
    decimal = np.round(wide, 6)
    return np.where(decimal.astype(np.float32) == values, decimal, wide)
