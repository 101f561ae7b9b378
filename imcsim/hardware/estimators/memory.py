"""Memories: SRAM by size, width, ports and node; register files by node.

SRAM is CACTI 7's (low standby power), as a closed form that was fitted to its runs from 256 B to 256 KB, 16
to 512 bits and 22 to 90 nm, so that energy grows smoothly with size and width. For N bits in words of w::

    E_read  = a sqrt(N) + b w sqrt(N) + c w^2 / sqrt(N)
    E_write = d + e w + f sqrt(N) + g w sqrt(N)
    A       = h N + i sqrt(N) + j w^2

A write is no read: in tall arrays of narrow words it swings all bitlines. Straight lines of the logarithms
between nodes; beyond them by Stillmaker and Baas from the nearer one. A memory that is written while it is
read has a port for each. Register files are NeuroSim V1.4's. The figures stand in
``hardware/figures/memory.yaml``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from imcsim.hardware.estimators import nodes
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.figures import by_node, figures

MemoryModel = Literal["cacti", "cacti_least_read", "cacti_least_delay", "horowitz"]
"""What an SRAM's energies and area follow: CACTI 7 with equal weights, optimised for one thing, or a
published figure.
"""

SMALLEST_WORD = 16
"""Words narrower than this cost as much: below it the closed form was not fitted."""


@dataclass(frozen=True)
class SramMacro:
    """One SRAM. two_ports: one to read and one to write, else one port for both."""

    capacity_bits: int
    width_bits: int
    node_nm: float
    two_ports: bool = False
    model: MemoryModel = "cacti"

    @property
    def read_pj(self) -> float:
        """Energy to read one word."""
        root, width = self._root, self._width
        return self._scaled(
            "read", lambda row: row[0] * root + row[1] * width * root + row[2] * width**2 / root, "energy"
        )

    @property
    def write_pj(self) -> float:
        """Energy to write one word."""
        root, width = self._root, self._width
        return self._scaled(
            "write",
            lambda row: row[0] + row[1] * width + row[2] * root + row[3] * width * root,
            "energy",
        )

    @property
    def area_um2(self) -> float:
        """Area, periphery included."""
        root, width = self._root, self._width
        return self._scaled("area", lambda row: row[0] * root**2 + row[1] * root + row[2] * width**2, "area")

    @property
    def rule(self) -> str:
        """Where the figures come from, in words."""
        at = _nearest(figures("memory")["sram"]["value"], self.node_nm)
        ports = ", a read and a write port" if self.two_ports else ""
        size = f"{self.capacity_bits / 8:g} B in words of {self.width_bits} bits"
        model = "" if self.model == "cacti" else f", {figures('memory')['models']['names'][self.model]}"
        form = f"closed form of CACTI 7, lstp{model}"
        return f"{form}, {size}{ports}, at {at:g} nm{nodes.scaling(at, self.node_nm)}"

    @property
    def _width(self) -> float:
        return float(max(self.width_bits, SMALLEST_WORD))

    @property
    def _root(self) -> float:
        return math.sqrt(max(self.capacity_bits, self._width))

    def _scaled(self, what: str, form: Callable[[list[float]], float], kind: str) -> float:
        table = figures("memory")["sram"]["value"]
        at = _nearest(table, self.node_nm)
        value = nodes.loglog({float(node): form(row[what]) for node, row in table.items()}, at)
        ports = float(figures("memory")["two_ports"]["value"][what]) if self.two_ports else 1.0
        ratio = nodes.area_ratio if kind == "area" else nodes.energy_ratio
        model = float(figures("memory")["models"]["value"][self.model][what])
        return value * model * ports * (ratio(at, self.node_nm) if at != self.node_nm else 1.0)


def sram_leakage_uw_per_byte(node_nm: float, kelvin: int) -> Estimate:
    """Static power of a byte at 300, 330 or 360 K, periphery included."""
    table = figures("memory")["leakage_pw_per_bit"]
    at = _nearest(table["value"], node_nm)
    column = (300, 330, 360).index(kelvin)
    return Estimate(
        nodes.loglog(by_node(table, column), at) * 8e-6,
        f"CACTI 7, lstp, {kelvin} K, at {at:g} nm; the same per bit beyond",
        "power",
    )


@dataclass(frozen=True)
class RegisterFile:
    """One bit of a register file: um2, and pJ to read and to write it."""

    area: Estimate
    read: Estimate
    write: Estimate


def register_file(node_nm: float) -> RegisterFile:
    """A bit of a register file of 512 B in words of 64 bits."""
    entry = figures("memory")["register_file"]
    area, read, write = (nodes.loglog(by_node(entry, k), node_nm) for k in range(3))
    rule = f"NeuroSim V1.4: register file of 512 B, {node_nm:g} nm"
    bits = entry["bits"]
    return RegisterFile(
        Estimate(area, rule), Estimate(read / bits, rule, "energy"), Estimate(write / bits, rule, "energy")
    )


def _nearest(table: Mapping[int, object], node_nm: float) -> float:
    """The node within the table's ends."""
    return float(min(max(node_nm, min(table)), max(table)))


def two_port_leakage() -> float:
    """Leakage of a memory with a port to read and one to write, over that of one port."""
    return float(figures("memory")["two_ports"]["value"]["leakage"])
