"""How much one integer step of a weight is worth: one scale an output channel.

``max``: the largest weight of a channel becomes the largest integer. ``percentile``: so does that percentile
of the sizes of its weights, larger ones are clipped. ``mse``: the scale whose currents differ least from
those of the real weights, in the mean square, over windows of what the layer reads on calibration inputs;
without inputs, the scale whose weights differ least.

Before any of these, weights that lie on a grid already - integers, binary fractions, or a network trained
with quantised weights - are recognised, and keep their values.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Scales = Literal["max", "percentile", "mse"]

CLIPPINGS = np.geomspace(1.0, 2.0**-6, 33)
"""Shares of the largest weight that `mse` tries as the largest integer; 1 is ``max``."""

GRID_ERROR = 2.0**-22
"""Weights off a grid by this share of their size are on it: what rounding to float32 does to them."""

_PROBES = 12
"""Weights of a channel that are tried on a grid before all of them are."""


def largest_integer(bits: int) -> int:
    """The largest weight of the symmetric range of `bits` bits."""
    return int(2 ** (bits - 1) - 1)


def on_grid(weight: Values, bits: int) -> Values:
    """For each channel of ``[Cout, n]`` a step that all its weights are multiples of, else NaN.

    Only steps count with which the weights fit into `bits` bits. The largest power of two is preferred, so
    that thresholds and biases with short binary fractions stay exact in this unit; then the largest step of
    any size, up to the rounding of float32. Channels of zeros give NaN.
    """
    binary = _binary_steps(weight)
    fits = np.abs(weight).max(axis=1) <= largest_integer(bits) * binary
    found = np.where(fits, binary, np.nan)
    for channel in np.flatnonzero(~fits & weight.any(axis=1) & _may_be_on_grid(weight, bits)):
        found[channel] = _step(np.abs(weight[channel]), bits)
    return found


def _may_be_on_grid(weight: Values, bits: int) -> NDArray[np.bool_]:
    """Whether the smallest weight of each channel is a multiple of any step that the largest one has: what
    `_step` asks of all weights, and rules out nearly every channel that is on no grid.
    """
    sizes = np.abs(weight)
    smallest = np.where(sizes > 0, sizes, np.inf).min(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = sizes.max(axis=1)[:, None] / np.arange(1.0, largest_integer(bits) + 1)
        ratio = smallest[:, None] / steps
        whole = np.rint(ratio)
        near = np.abs(ratio - whole) <= GRID_ERROR * ratio  # never of infinite ones: their steps round to 0
    found: NDArray[np.bool_] = (near & (whole >= 1)).any(axis=1)
    return found


def _binary_steps(weight: Values) -> Values:
    """The largest power of two that each channel's weights are multiples of; NaN for zeros."""
    mantissa, exponent = np.frexp(weight)
    digits = np.rint(np.ldexp(mantissa, 53)).astype(np.int64)
    lowest = np.frexp((digits & -digits).astype(np.float64))[1] - 1 + exponent - 53
    lowest = np.where(weight == 0, np.iinfo(lowest.dtype).max, lowest).min(axis=1)
    zero = ~weight.any(axis=1)
    return np.where(zero, np.nan, np.ldexp(1.0, np.where(zero, 0, lowest)))


def _step(weight: Values, bits: int) -> float:
    """The largest step of one channel's sizes, as in `on_grid`; NaN for none."""
    sizes = np.unique(weight[weight > 0])
    step = sizes[-1] / np.arange(1.0, largest_integer(bits) + 1)
    # Small weights rule out more steps than large ones: a few of them come first.
    for part in (sizes[:2], sizes[:_PROBES], sizes):
        ratio = part[None, :] / step[:, None]
        whole = np.rint(ratio)
        step = step[((np.abs(ratio - whole) <= GRID_ERROR * ratio) & (whole >= 1)).all(axis=1)]
    return float(step[0]) if len(step) else float("nan")


def rounded(weight: Values, scale: Values, bits: int) -> NDArray[np.int64]:
    """``[Cout, n]`` as integers of the symmetric range, in units of `scale`."""
    most = largest_integer(bits)
    return np.clip(np.rint(weight / scale[:, None]), -most, most).astype(np.int64)


def choose(
    weight: Values,
    bits: int,
    method: Scales,
    percentile: float = 99.9,
    inputs: Values | None = None,
    groups: int = 1,
) -> Values:
    """A scale for each channel of ``[Cout, n]``; NaN where all its weights are 0.

    inputs: windows of what the layer reads, float64 ``[S, groups * n]``, for ``mse``.
    """
    most = largest_integer(bits)
    largest = np.abs(weight).max(axis=1)
    scale = np.where(largest > 0, largest / most, np.nan)
    # The smallest of all numbers have no room below them for a step.
    scale = np.where(largest / most > 0, scale, np.where(largest > 0, largest, np.nan))
    if method == "percentile":
        at = np.percentile(np.abs(weight), percentile, axis=1) / most
        return np.where(at > 0, at, scale)
    if method == "mse":
        return _least_squares(weight, scale, bits, inputs, groups)
    return scale


def error(weight: Values, scale: Values, bits: int, inputs: Values | None = None, groups: int = 1) -> Values:
    """The mean-squared error ``[Cout]`` of currents over `inputs` (``[S, groups * n]``); without inputs, of
    weights.
    """
    lost = weight - scale[:, None] * rounded(weight, scale, bits)
    if inputs is None:
        return np.asarray((lost**2).mean(axis=1))
    outer, inner = len(weight) // groups, weight.shape[1]
    found = np.empty(len(weight))
    for group in range(groups):
        at = slice(group * outer, (group + 1) * outer)
        seen = inputs[:, group * inner : (group + 1) * inner]
        found[at] = ((seen @ lost[at].T) ** 2).mean(axis=0)
    return found


def _least_squares(weight: Values, largest: Values, bits: int, inputs: Values | None, groups: int) -> Values:
    scale = np.where(np.isnan(largest), 1.0, largest)
    best, best_error = scale, error(weight, scale, bits, inputs, groups)
    # Where the inputs say nothing (a channel that they never drive), the weights themselves decide.
    own = error(weight, scale, bits)
    for clipping in CLIPPINGS[1:]:
        tried = scale * clipping
        found, found_own = error(weight, tried, bits, inputs, groups), error(weight, tried, bits)
        better = (found < best_error) | ((found == best_error) & (found_own < own))
        best = np.where(better, tried, best)
        best_error, own = np.where(better, found, best_error), np.where(better, found_own, own)
    return np.where(np.isnan(largest), np.nan, best)
