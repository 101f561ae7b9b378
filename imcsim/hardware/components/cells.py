"""Cell array: what a read of the memory cells costs.

``conductance``: a read pulse of V for t over a cell of conductance G dissipates ``V^2 t G`` (Ohm's law). Level l of
a cell with b bits has ``G = G_off + l (G_on - G_off) / (2^b - 1)``, so energy follows the rows that were driven and
the levels programmed on them. ``given``: a fixed energy for each read, as SpikeSim charges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from imcsim.hardware.component import ChipSize, Component, NonNegative, Positive
from imcsim.hardware.events import Event
from imcsim.choices import Encoding, RowOrder

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _Cells(Component):
    rows: Annotated[int, Field(ge=4, le=1024)]
    columns: Annotated[int, Field(ge=4, le=1024)]
    cell_bits: Annotated[int, Field(ge=1, le=8)]
    encoding: Encoding
    row_order: RowOrder
    read_pulse_ns: Positive
    array_area_um2: Positive
    """One crossbar of cells."""

    def area_um2(self, chip: HardwareConfig) -> float:
        return self.array_area_um2

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars


class ConductanceCells(_Cells):
    """Energy from the real conductances."""

    kind: Literal["conductance"]
    r_on_ohm: Positive
    r_off_ohm: Positive
    v_read_v: Positive

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        """``V^2 t G``: V^2 / Ohm is W, times ns is nJ, hence 1e3 to pJ."""
        pulse = self.v_read_v**2 * self.read_pulse_ns * 1e3
        g_on, g_off = 1 / self.r_on_ohm, 1 / self.r_off_ohm
        return {
            Event.ACTIVE_CELLS: pulse * g_off,
            Event.ACTIVE_LEVELS: pulse * (g_on - g_off) / ((1 << self.cell_bits) - 1),
        }


class GivenCells(_Cells):
    """A given energy for each crossbar driven for one column-mux setting."""

    kind: Literal["given"]
    read_energy_pj: NonNegative

    def charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.CROSSBAR_PHASES: self.read_energy_pj}


Cells = Annotated[ConductanceCells | GivenCells, Field(discriminator="kind")]
