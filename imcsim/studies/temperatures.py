"""Temperatures of the checker, one for each timestep, fitted on validation images.

Outputs of an early timestep tend to say too much or too little of how sure they are, so one threshold does
not mean the same after every timestep. Divided by a temperature, outputs keep their order, so predictions do
not change, and their softmax becomes as sure as it is right (C. Guo, G. Pleiss, Y. Sun and K. Weinberger, On
calibration of modern neural networks, ICML 2017). A chip that decides on running means multiplies by a stored
1/t anyway: the temperature goes into that factor and costs nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from imcsim.exits.outputs import ClassOutputs

LARGEST = 16.0
"""Temperatures lie between 1 / LARGEST and LARGEST: where all images are right, the best one would be 0."""
HALVINGS = 48


def fitted(sums: NDArray[np.int64], labels: NDArray[np.int64], fraction_bits: int) -> tuple[float, ...]:
    """The temperature of each timestep with the least cross-entropy of the labels.

    The cross-entropy is convex in the inverse temperature b; its slope is the mean of
    ``sum_k softmax(b f)_k f_k - f_label``, with the running mean f, and is halved down to its zero.

    Args:
        sums: Running sums of class outputs, int64 ``[N, T, K]``, in ``2**-fraction_bits`` (see
            `ClassOutputs`).
        labels: The class of each image, int64 ``[N]``.
        fraction_bits: Fraction bits of the sums.
    """
    outputs = ClassOutputs(sums, mean=True)
    f = sums / (outputs.timesteps * float(1 << fraction_bits))[None, :, None]
    f -= f.max(axis=2, keepdims=True)
    labelled = np.take_along_axis(f, labels[:, None, None], axis=2)[:, :, 0].mean(axis=0)
    low = np.full(f.shape[1], -math.log(LARGEST))
    high = -low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        e = np.exp(np.exp(middle)[None, :, None] * f)
        slope = ((e * f).sum(axis=2) / e.sum(axis=2)).mean(axis=0) - labelled
        low, high = np.where(slope < 0, middle, low), np.where(slope < 0, high, middle)
    return tuple(float(one) for one in np.exp(-(low + high) / 2))
