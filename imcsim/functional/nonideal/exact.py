"""Wire resistance, exactly: nodal analysis of the whole resistor network of a crossbar.

Kirchhoff's current law at every node of every wordline and bitline is ``L v = i`` with the Laplacian L of the
network: ``L_ab = -1 / R_ab`` between nodes a and b, and each row adds up to 0. Drivers and virtual grounds
hold nodes at given voltages (set F). All others (set U) follow from ``L_UU v_U = -L_UF v_F``, and ``i_F =
L_FU v_U + L_FF v_F`` is what drivers and grounds supply. L_UU is sparse and positive definite; it is
factorised once for each network and serves all input vectors. Nodes that no resistance parts are one node.

The circuits are those of `ir_drop`, which is the fast way. This is the reference: slow, and right to
rounding. It needs SciPy (``pip install 'imcsim[nonideal]'``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import Wires
from imcsim.functional.nonideal.ir_drop import checked
from imcsim.functional.nonideal.ladders import Array


@dataclass(frozen=True, eq=False)
class CircuitCurrents:
    """What flows for each input vector. column_a: A, ``[n, C]``, out of the bitlines; row_a: A, ``[n, R]``,
    out of the drivers; row_v: V, ``[n, R]``, of the drivers.
    """

    column_a: Array
    row_a: Array
    row_v: Array

    @property
    def power_w(self) -> Array:
        """Dissipated in cells and wires, W, ``[n]``."""
        power: Array = (self.row_a * self.row_v).sum(axis=1)
        return power


class Crossbar:
    """One crossbar. conductance_s: S, ``[R, C]``, row R - 1 at the sensed end, column 0 at the drivers.

    Raises ImcsimError for a negative conductance, or where SciPy is missing.
    """

    def __init__(self, conductance_s: NDArray[Any], wires: Wires) -> None:
        self.conductance_s = checked(conductance_s)
        if self.conductance_s.ndim != 2 or 0 in self.conductance_s.shape:
            raise ImcsimError(f"a crossbar of shape {self.conductance_s.shape}", fix="use [rows, columns]")
        self.wires = wires
        _scipy()

    def read(self, active: NDArray[Any], v_read_v: float = 1.0) -> CircuitCurrents:
        """Drive active ``[n, R]``, 0 or 1 a row, with `v_read_v` V; the others with 0 V.

        Between 0 and 1 a row is driven with that share of the voltage; a `gated` row is cut off where it is
        0. Raises ImcsimError where the shape does not fit.
        """
        active = np.asarray(active, np.float64)
        rows = len(self.conductance_s)
        if active.ndim != 2 or active.shape[1] != rows:
            raise ImcsimError(f"inputs of shape {active.shape} for {rows} rows", fix=f"use [n, {rows}]")
        volts = active * v_read_v
        if self.wires.inactive == "grounded":
            return self._all.read(volts)
        columns = np.zeros((len(volts), self.conductance_s.shape[1]))
        supplied = np.zeros_like(volts)
        patterns, which = np.unique(active > 0, axis=0, return_inverse=True)
        for index, connected in enumerate(patterns):
            mine = np.flatnonzero(which.reshape(-1) == index)
            network = _Network(self.conductance_s * connected[:, None], self.wires)
            found = network.read(volts[mine])
            columns[mine], supplied[mine] = found.column_a, found.row_a
        return CircuitCurrents(columns, supplied, volts)

    def transfer(self) -> Array:
        """Column currents for 1 V on each row alone, S, ``[R, C]``: all reads of a `grounded` crossbar are
        sums of its rows.

        Raises ImcsimError for a `gated` crossbar, whose reads do not add up.
        """
        if self.wires.inactive == "gated":
            raise ImcsimError(
                "reads of gated rows do not add up", key="inactive", fix="read each input vector"
            )
        return self.read(np.eye(len(self.conductance_s))).column_a

    @cached_property
    def _all(self) -> _Network:
        return _Network(self.conductance_s, self.wires)


class _Network:
    """All nodes, joined by resistors, and the factors of L_UU."""

    def __init__(self, g: Array, wires: Wires) -> None:
        sparse, linalg, graph = _scipy()
        rows, columns = g.shape
        drivers, grounds = np.arange(rows), rows + np.arange(columns)
        word = rows + columns + np.arange(g.size).reshape(rows, columns)
        bit = word + g.size
        cells = np.nonzero(g)
        ends: list[tuple[Any, Any, Any]] = [  # pairs of nodes, and the resistance between
            (drivers, word[:, 0], wires.driver_ohm + wires.wordline_ohm),
            (word[:, :-1], word[:, 1:], wires.wordline_ohm),
            (bit[:-1], bit[1:], wires.bitline_ohm),
            (bit[-1], grounds, wires.sense_ohm + wires.bitline_ohm),
            (word[cells], bit[cells], 1 / g[cells]),
        ]
        one = np.concatenate([np.ravel(a) for a, _, _ in ends])
        other = np.concatenate([np.ravel(b) for _, b, _ in ends])
        ohm = np.concatenate([np.broadcast_to(r, np.shape(a)).ravel() for a, _, r in ends])

        nodes = rows + columns + 2 * g.size
        joined = ohm == 0
        same = sparse.coo_array((np.ones(joined.sum()), (one[joined], other[joined])), shape=(nodes, nodes))
        count, name = graph.connected_components(same, directed=False)
        one, other, siemens = name[one[~joined]], name[other[~joined]], 1 / ohm[~joined]
        laplacian = sparse.coo_array(
            (
                np.concatenate([siemens, siemens, -siemens, -siemens]),
                (np.concatenate([one, other, one, other]), np.concatenate([one, other, other, one])),
            ),
            shape=(count, count),
        ).tocsr()  # fmt: skip

        held = name[: rows + columns]
        free = np.setdiff1d(np.arange(count), held)
        of_free, of_held = laplacian[free], laplacian[held]
        self._rows = rows
        self._from_held = of_free[:, held]
        self._held, self._to_held = of_held[:, held], of_held[:, free]
        self._factors = None
        if len(free):
            # Symmetric and diagonally dominant: no pivoting is needed, and the order keeps fill small.
            self._factors = linalg.splu(
                of_free[:, free].tocsc(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )

    def read(self, volts: Array) -> CircuitCurrents:
        """volts ``[n, R]`` of the drivers; bitlines end at 0 V."""
        held = np.zeros((self._held.shape[0], len(volts)))
        held[: self._rows] = volts.T
        supplied = self._held @ held
        if self._factors is not None:
            supplied += self._to_held @ self._factors.solve(-(self._from_held @ held))
        return CircuitCurrents(-supplied[self._rows :].T, supplied[: self._rows].T, volts)


def _scipy() -> tuple[Any, Any, Any]:
    """SciPy's sparse arrays, their linear algebra, and graphs."""
    try:
        from scipy import sparse
        from scipy.sparse import csgraph, linalg
    except ImportError:
        raise ImcsimError(
            "the exact solver of wire resistance needs SciPy", fix="pip install 'imcsim[nonideal]'"
        ) from None
    return sparse, linalg, csgraph
