"""Lines of wire with a load at each node, solved by elimination from the far end.

A ladder: segment k of ``ohm[k]`` Ohm leads from node k - 1 to node k; the end before segment 0 is held at a
voltage; at each node a load (S) leads to 0 V. Lines run along the first axis of their arrays, all others
are many lines at once. Seen from node k - 1, everything from node k on is one load and one current
(Thevenin), so one pass inwards and one outwards solve a line; it is the tridiagonal algorithm in circuit
form. A resistance of 0 is fine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def segments(count: int, wire_ohm: float, end_ohm: float) -> list[float]:
    """Resistance before each of `count` nodes; that of the held end adds to the first."""
    return [wire_ohm + end_ohm, *[wire_ohm] * (count - 1)]


def driven(load: Array, ohm: Sequence[float]) -> Array:
    """Node voltages of lines that are held at 1 V. By reciprocity also the share of a current put into each
    node that reaches an end held at 0 V.
    """
    ratio = np.empty_like(load)
    beyond = np.zeros_like(load[0])
    for k in reversed(range(len(load))):
        beyond = beyond + load[k]
        ratio[k] = 1 / (1 + ohm[k] * beyond)
        beyond = beyond * ratio[k]
    for k in range(1, len(load)):
        ratio[k] *= ratio[k - 1]
    return ratio


def fed(load: Array, ohm: Sequence[float], current: Array) -> Array:
    """Node voltages of lines held at 0 V, with `current` put into each node."""
    ratio, voltage = np.empty_like(load), np.empty_like(load)
    beyond, flow = np.zeros_like(load[0]), np.zeros_like(load[0])
    for k in reversed(range(len(load))):
        beyond, flow = beyond + load[k], flow + current[k]
        ratio[k] = 1 / (1 + ohm[k] * beyond)
        beyond, flow = beyond * ratio[k], flow * ratio[k]
        voltage[k] = ohm[k] * flow
    for k in range(1, len(load)):
        voltage[k] += ratio[k] * voltage[k - 1]
    return voltage


def impedance(load: Array, ohm: Sequence[float]) -> Array:
    """Voltage that a current of 1 A raises its own node to, on lines held at 0 V."""
    beyond = np.empty_like(load)
    after = np.zeros_like(load[0])
    for k in reversed(range(len(load))):
        beyond[k] = after + load[k]
        after = beyond[k] / (1 + ohm[k] * beyond[k])
    found = np.empty_like(load)
    before = np.zeros_like(load[0])  # of all nearer to the end, from the node before
    for k in range(len(load)):
        to_end = before + ohm[k]
        found[k] = to_end / (1 + to_end * beyond[k])
        before = to_end / (1 + to_end * load[k])
    return found
