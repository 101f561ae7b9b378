"""A crossbar of cells: wordlines, bitlines, their drivers and multiplexers, and how long a read takes.

All follows from one geometry: a cell is so many feature sizes high (along the bitline) and wide (along the
wordline), and the feature size is the node. With the wires and transistors of the node (NeuroSim V1.4; the
figures stand in ``hardware/figures/array.yaml``)::

    C_wl = columns (C_gate + C_w width)              R_wl = columns width R_row
    C_bl = rows (C_drain + C_w height)               R_bl = rows height R_column
    t_wl = 0.69 R_driver C_wl + 0.38 R_wl C_wl       Elmore delay to 50 %
    tau  = (C_bl + C_s) / (2 pi GBW C_s) + R_mux C_s + R_bl (C_bl / 2 + C_s)
    t    = t_wl + tau ln 2^(bits + 1)

(Elmore delay: Rabaey, "Digital integrated circuits".) A clamp holds the bitline at a virtual ground and
integrates on C_s, so that it settles with its gain-bandwidth times the feedback factor ``C_s / (C_s +
C_bl)``; half a step of a converter of `bits` is reached after ``ln 2^(bits + 1)`` time constants of a
first-order system. R_mux is a quarter of the resistance of a column
with half of the rows driven that may be at once (NeuroSim's rule). The access transistor of a cell, whose
gate and drain load the lines, is as wide as a quarter of the cell's resistance needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Cost, Estimate
from imcsim.hardware.estimators.figures import by_node, figures


@dataclass(frozen=True)
class Array:
    """A crossbar. height_f, width_f: of a cell, in feature sizes. r_on_ohm, r_off_ohm: of a cell.

    at_once: rows that may be driven together.
    """

    rows: int
    columns: int
    height_f: float
    width_f: float
    node_nm: float
    r_on_ohm: float
    r_off_ohm: float
    at_once: int

    @property
    def area(self) -> Estimate:
        """Area of the cells, um2."""
        feature = self.node_nm * 1e-3
        return Estimate(
            self.rows * self.columns * self.height_f * self.width_f * feature**2,
            f"{self.rows} x {self.columns} cells of {self.height_f:g} x {self.width_f:g} F, "
            f"F = {self.node_nm:g} nm",
        )

    @property
    def column_ohm(self) -> float:
        """Resistance of a column with half of the rows driven that may be, access transistors included."""
        access = float(figures("array")["access_transistor"]["value"]["share_of_on"]) * self.r_on_ohm
        siemens = self.at_once / 2 * (1 / (self.r_on_ohm + access) + 1 / (self.r_off_ohm + access))
        return 1 / siemens

    @property
    def mux_ohm(self) -> float:
        """Resistance of the switch of a multiplexer."""
        return float(figures("array")["column_mux"]["share_of_column"]) * self.column_ohm

    @property
    def wordline_ff(self) -> float:
        """Capacitance of a wordline with the gates of its cells."""
        return self.columns * (self._gate_ff + self._wire_ff * self.width_f)

    @property
    def bitline_ff(self) -> float:
        """Capacitance of a bitline with the drains of its cells."""
        return self.rows * (self._drain_ff + self._wire_ff * self.height_f)

    @property
    def wordline_ohm(self) -> float:
        """Resistance of a wordline from end to end."""
        return self.columns * self.width_f * self.node_nm * 1e-3 * self._wire_ohm(1)

    @property
    def bitline_ohm(self) -> float:
        """Resistance of a bitline from end to end."""
        return self.rows * self.height_f * self.node_nm * 1e-3 * self._wire_ohm(0)

    @property
    def wordline_rise_ns(self) -> float:
        """Until a driven wordline is half up; Ohm fF is 1e-6 ns."""
        driver = nodes.loglog(by_node(figures("array")["driver_ohm"]), self.node_nm)
        return (0.69 * driver + 0.38 * self.wordline_ohm) * self.wordline_ff * 1e-6

    def settling_tau_ns(self, sample_ff: float, bandwidth_ghz: float) -> float:
        """Time constant of a clamped bitline that is sampled on `sample_ff`."""
        clamp = (self.bitline_ff + sample_ff) / (2 * math.pi * bandwidth_ghz * sample_ff)
        wires = self.mux_ohm * sample_ff + self.bitline_ohm * (self.bitline_ff / 2 + sample_ff)
        return clamp + wires * 1e-6

    def read_time(self, bits: int, sample_ff: float, bandwidth_ghz: float) -> Estimate:
        """Time from driving the wordlines until the samples are right to half a step of `bits` bits, ns."""
        settling = self.settling_tau_ns(sample_ff, bandwidth_ghz) * math.log(2) * (bits + 1)
        rule = (
            f"wordline {self.wordline_rise_ns:.3g} ns, bitline and clamp of {bandwidth_ghz:g} GHz to half "
            f"a step of {bits} bits {settling:.3g} ns; wires and transistors of NeuroSim V1.4 at "
            f"{self.node_nm:g} nm"
        )
        return Estimate(self.wordline_rise_ns + settling, rule)

    def sharing_time(self, bits: int, cell_ff: float) -> Estimate:
        """Time of a read in which cells of `cell_ff` share their charge: wordline, then twice (columns
        charged, charge shared) until half a step of `bits` bits is settled through a transistor of minimum
        width and the bitline, ns.
        """
        transistor = nodes.loglog(by_node(figures("array")["transistor"], 0), self.node_nm)
        column_ff = self.bitline_ff + self.rows * cell_ff
        tau = (transistor * cell_ff + self.bitline_ohm * column_ff / 2) * 1e-6
        settling = 2 * tau * math.log(2) * (bits + 1)
        rule = (
            f"wordline {self.wordline_rise_ns:.3g} ns, charging and sharing of {cell_ff:.3g} fF to half a "
            f"step of {bits} bits {settling:.3g} ns; wires and transistors of NeuroSim V1.4 at "
            f"{self.node_nm:g} nm"
        )
        return Estimate(self.wordline_rise_ns + settling, rule, "delay")

    def driver(self) -> Cost:
        """One row that is driven in a read: its wordline, switch and flip-flop."""
        entry = figures("array")["row_switch"]
        energy, area = (nodes.loglog(by_node(entry, k), self.node_nm) / entry["rows"] for k in range(2))
        wordline = self.wordline_ff * supply_v(self.node_nm) ** 2 * 1e-3
        rule = f"NeuroSim V1.4: row switch, C V^2 of a wordline of {self.wordline_ff:.3g} fF"
        return Cost(energy + wordline, area, rule)

    def multiplexer(self, columns_per_adc: int) -> Cost:
        """One of `columns_per_adc` bitlines led to their converter."""
        entry = figures("array")["column_mux"]
        groups = entry["columns"] / entry["columns_per_adc"]
        share = columns_per_adc / entry["columns_per_adc"] / groups
        energy, area = (
            nodes.loglog(by_node(entry, k), self.node_nm)
            * share
            * (fixed + (1 - fixed) * entry["ohm"] / self.mux_ohm)
            for k, fixed in enumerate(entry["fixed_share"])
        )
        rule = f"NeuroSim V1.4: multiplexer of {columns_per_adc} columns, {self.mux_ohm:.3g} Ohm"
        return Cost(energy, area, rule)

    @property
    def _wire_ff(self) -> float:
        """Of a wire as long as one feature size."""
        return float(figures("array")["wire"]["ff_per_um"]) * self.node_nm * 1e-3

    def _wire_ohm(self, direction: int) -> float:
        """Ohm/um of a column (0) or a row (1)."""
        return nodes.loglog(by_node(figures("array")["wire"], direction), self.node_nm)

    @property
    def _access_width(self) -> float:
        """Of the access transistor, in minimum widths."""
        rule = figures("array")["access_transistor"]["value"]
        least = nodes.loglog(by_node(figures("array")["transistor"], 0), self.node_nm)
        return max(1.0, least * float(rule["linear_region"]) / (float(rule["share_of_on"]) * self.r_on_ohm))

    @property
    def _gate_ff(self) -> float:
        return self._access_width * nodes.loglog(by_node(figures("array")["transistor"], 1), self.node_nm)

    @property
    def _drain_ff(self) -> float:
        least, further = (
            nodes.loglog(by_node(figures("array")["transistor"], k), self.node_nm) for k in (2, 3)
        )
        return least + further * (self._access_width - 1)


def least_cell_ohm(node_nm: float) -> float:
    """Resistance of the smallest cell whose access transistor has the minimum width."""
    rule = figures("array")["access_transistor"]["value"]
    least = nodes.loglog(by_node(figures("array")["transistor"], 0), node_nm)
    return least * float(rule["linear_region"]) / float(rule["share_of_on"])


def supply_v(node_nm: float) -> float:
    """Nominal supply of the node, V."""
    return nodes.loglog({float(n): v for n, v in figures("array")["supply_v"]["value"].items()}, node_nm)
