"""Wire resistance: what a driven cell really adds to its column, fast.

A crossbar is a network of resistors: cell (i, j) of conductance ``g_ij`` joins wordline i, driven from the
left, to bitline j, held at 0 V below the last row; each cell pitch of wire has a resistance. The network is
linear, so as long as its resistors stay the same, column currents are exactly ``I_j = sum_i V_i A_ij``. A is
what the columns see in place of g, and a read with A costs no more than one with g.

``grounded``: an inactive wordline is held at 0 V, and its cells still load the bitlines (no selectors, or all
access transistors on: 1-bit drivers as in ISAAC, ISCA 2016). A does not depend on which rows are active.
``gated``: the wordline opens the access transistors of its row (1T1R), cells of inactive rows are cut off,
and A depends on who is active. It is taken at the expected density of active rows. Both are circuits of
Xiao et al., Semicond. Sci. Technol. 36, 114004 (2021).

`seen` finds A from ladders (ladders.py), with n the share of rows whose cells load the bitlines: 1 where
``grounded``, the density where ``gated``.

- ``s_ij``: the current of cell (i, j) into a bitline at 0 V when its wordline is driven with 1 V; a ladder
  of the conductances along the wordline.
- ``b_ij``: the bitline voltages when all rows are driven alike, ``K b + n M b = s``. K is the bitlines' wire;
  ``M b = g (b - w)`` is the load of the wordlines, w what b raises undriven wordlines to, by ladders again.
  Solved by conjugate gradients, preconditioned with the ladder ``K + n g``: two or three steps.
- ``m_ij = (M b)_ij / b_ij``: the load of wordline i on bitline j, as if it were one of its own.
- ``beta_ij``: the share of a current put into bitline j at row i that reaches its end; a ladder of the
  loads n m.

Then ``A_ij = s_ij beta_ij``. Reads that drive all rows alike are right. Others are wrong by what bitlines
that differ send each other over inactive wordlines, in another measure than when all rows are driven (and,
``gated``, by where and how many the active rows are). `exact` is the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import Wires
from imcsim.functional.nonideal import ladders
from imcsim.functional.nonideal.ladders import Array

TOLERANCE = 1e-4
"""Of Kirchhoff's current law: what is left over of a column's current when all rows are driven alike."""

MOST_STEPS = 60
"""Ten times what wires take that leave a tenth of the currents."""

BATCH_CELLS = 1 << 16
"""Cells of the crossbars that are worked on together: their arrays stay in the cache."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A crossbar's cells as they act through the wires, both S, ``[..., R, C]``.

    column: what each driven cell adds to its column's current for 1 V. driver: what it takes from its row's
    driver at the given density; power is that times the square of the voltage.
    """

    column: Array
    driver: Array


def seen(conductance_s: NDArray[Any], wires: Wires, density: float = 1.0) -> Seen:
    """Solve crossbars by ladders. conductance_s: S, ``[..., R, C]``, row R - 1 at the sensed end, column 0
    at the drivers. density: share of rows that are active; the columns of `grounded` arrays do not depend
    on it.

    Without resistance all is as it was, to the bit. Raises ImcsimError for a density outside 0..1, a
    negative conductance, or resistances that leave about a hundredth of the currents or less.
    """
    g = checked(conductance_s)
    if not 0 <= density <= 1:
        raise ImcsimError(f"a density of {density} active rows", key="density", fix="use 0 to 1")
    if wires.ideal or g.size == 0:
        return Seen(g.copy(), g.copy())
    crossbars = g.reshape(-1, *g.shape[-2:])
    batch = max(BATCH_CELLS // crossbars[0].size, 1)
    column, driver = np.empty_like(crossbars), np.empty_like(crossbars)
    for i in range(0, len(crossbars), batch):
        one = slice(i, i + batch)
        column[one], driver[one] = _seen(crossbars[one], wires, density)
    if not np.all((column >= 0) & (column <= crossbars * (1 + 1e-9))):
        raise ImcsimError(
            "wires take nearly all of the current, and ladders no longer hold",
            key="nonideal.wires",
            fix="use smaller resistances or crossbars",
        )
    return Seen(column.reshape(g.shape), driver.reshape(g.shape))


def checked(conductance_s: NDArray[Any]) -> Array:
    """Conductances in double precision. Raises ImcsimError where one is negative or not a number."""
    g = np.asarray(conductance_s, np.float64)
    if g.ndim < 2:
        raise ImcsimError(
            f"conductances of shape {g.shape}", key="conductance_s", fix="use [..., rows, columns]"
        )
    if not np.all((g >= 0) & (g < np.inf)):
        raise ImcsimError(
            "a conductance is negative or not a number",
            key="conductance_s",
            fix="give conductances of at least 0",
        )
    return g


def _seen(crossbars: Array, wires: Wires, density: float) -> tuple[Array, Array]:
    """Column and driver of crossbars ``[B, R, C]``."""
    there = density if wires.inactive == "gated" else 1.0
    word = np.ascontiguousarray(crossbars.transpose(2, 0, 1))
    across = ladders.segments(len(word), wires.wordline_ohm, wires.driver_ohm)
    source = _to_bitlines(word * ladders.driven(word, across))
    cells = _to_bitlines(word)
    up = ladders.segments(len(cells), wires.bitline_ohm, wires.sense_ohm)

    def taken(raised: Array) -> Array:
        """What undriven wordlines take from bitlines at these voltages."""
        undriven = ladders.fed(word, across, word * _to_wordlines(raised))
        return cells * raised - cells * _to_bitlines(undriven)

    raised, current = _raised(source, cells, taken, up, there)
    load = np.divide(current, raised, out=cells.copy(), where=raised > 0)
    column = source * ladders.driven(there * load, up)
    driver = source - density * current
    if density < 1:
        # Of what is said of a row it is a condition that it is active; the others are with the density.
        alone = load * ladders.impedance(there * load, up)
        column /= 1 + (1 - there) * alone
        driver -= (1 - density) * alone * source
    return _back(column), _back(driver)


def _raised(
    source: Array, cells: Array, taken: Callable[[Array], Array], up: list[float], there: float
) -> tuple[Array, Array]:
    """Bitline voltages when all rows are driven alike, and what undriven wordlines would take from them.

    Conjugate gradients for each crossbar by itself. Instead of K b, which has no meaning without resistance,
    the residual of the preconditioner is followed: after ``b = P^-1 x`` the law misses ``x - (P b - n g b +
    n M b)``.
    """
    preconditioner = there * cells
    enough = TOLERANCE * source.sum(axis=0)
    raised = ladders.fed(preconditioner, up, source)
    current = taken(raised)
    missing = there * (cells * raised - current)
    ahead = missing
    step = ladders.fed(preconditioner, up, ahead)
    product = (missing * step).sum(axis=(0, 2))
    for _ in range(MOST_STEPS):
        left = (np.abs(missing).sum(axis=0) > enough).any(axis=1)
        if not left.any():
            break
        more = taken(step)
        # (K + n M) step, from P step = ahead
        along = ahead - there * (cells * step - more)
        size = np.where(left, product, 0) / np.where(left, (step * along).sum(axis=(0, 2)), 1)
        size = size[:, None]
        raised = raised + size * step
        current = current + size * more
        missing = missing - size * along
        correction = ladders.fed(preconditioner, up, missing)
        new = (missing * correction).sum(axis=(0, 2))
        turn = (np.where(left, new, 0) / np.where(left, product, 1))[:, None]
        step, ahead = correction + turn * step, missing + turn * ahead
        product = new
    return raised, current


def _to_bitlines(x: Array) -> Array:
    """``[C, B, R]``, along wordlines from their drivers, to ``[R, B, C]``, along bitlines from their ends."""
    return np.ascontiguousarray(x.transpose(2, 1, 0)[::-1])


def _to_wordlines(x: Array) -> Array:
    return np.ascontiguousarray(x[::-1].transpose(2, 1, 0))


def _back(x: Array) -> Array:
    """``[R, B, C]`` to ``[B, R, C]``."""
    return x[::-1].transpose(1, 0, 2)
