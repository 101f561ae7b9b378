"""Cell array: what a read of the memory cells costs.

``conductance``: a read pulse of V for t over a cell of conductance G dissipates ``V^2 t G`` (Ohm's law).
Level l of a cell with b bits has ``G = G_off + l (G_on - G_off) / (2^b - 1)``, so energy follows the rows
that were driven and the levels programmed on them. ``driven``: the power of a crossbar with all its rows
driven, as chips are quoted; each driven row takes its share. ``given``: a fixed energy for each read, as
SpikeSim charges.

The time of a read follows from the wires, transistors and cells of the array and from the clamp that holds
the bitlines (estimators.array), and so does the area; a number takes its place. A read's energy uses the same
time and voltage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from imcsim.base.choices import LEVEL_FRACTION_BITS, Encoding, InputDrive, RowOrder
from imcsim.hardware.component import ChipSize, Component, Figure, NonNegative, Positive
from imcsim.hardware.estimators.array import Array
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.figures import figures
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _Cells(Component):
    block = "cells"
    scope = "crossbar"
    rows: Annotated[int, Field(ge=4, le=1024)]
    columns: Annotated[int, Field(ge=4, le=1024)]
    cell_bits: Annotated[int, Field(ge=1, le=8)]
    encoding: Encoding
    row_order: RowOrder
    parallel_rows: Annotated[int, Field(ge=1, le=1024)] | Literal["all"] = "all"
    """Rows of a crossbar that may be driven at once: where there are more, they are read in turns, each with
    its own conversions, and a column's sum is of one turn. With ``kernel_position`` so many of each of the
    crossbars whose currents meet.
    """
    input_drive: InputDrive = "bits"
    """``bits``: an input of several bits takes a read, with conversions, for each. ``pulses``: it drives its
    row for as many clock cycles as its value says, in one read with one conversion of each column.
    """
    read_pulse_ns: Positive | Literal["estimate"]
    """From driving the wordlines until what the converters take has settled; the cells conduct so long. With
    ``input_drive`` ``pulses`` it follows behind the pulses.
    """
    cell_height_f: Positive
    """Pitch along the bitline, in feature sizes (the node)."""
    cell_width_f: Positive
    """Pitch along the wordline, in feature sizes (the node)."""
    array_area_um2: Figure
    """One crossbar of cells."""

    @property
    def rows_at_once(self) -> int:
        """Rows of a crossbar that are driven together."""
        return self.rows if self.parallel_rows == "all" else min(self.rows, self.parallel_rows)

    @property
    def turns(self) -> int:
        """Reads that it takes to drive each row of a crossbar once."""
        return -(-self.rows // self.rows_at_once)

    def array(self, chip: HardwareConfig) -> Array:
        """The crossbar as estimators see it; cells of usual resistance where they have none of their own."""
        usual = figures("array")["usual_cell"]["value"]
        return Array(
            self.rows,
            self.columns,
            self.cell_height_f,
            self.cell_width_f,
            chip.technology.node_nm,
            getattr(self, "r_on_ohm", float(usual["r_on_ohm"])),
            getattr(self, "r_off_ohm", float(usual["r_off_ohm"])),
            self.rows_at_once,
        )

    def pulse_ns(self, chip: HardwareConfig) -> float:
        """Time of one read, ns."""
        return self.figure("read_pulse_ns", chip)

    def driven_ns(self, chip: HardwareConfig) -> float:
        """How long a row is driven: in a read, or in one pulse of it."""
        return chip.technology.clock_ns if self.input_drive == "pulses" else self.pulse_ns(chip)

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        usual, array = figures("array")["usual_cell"]["value"], self.array(chip)
        sample_ff = getattr(self, "sample_ff", float(usual["sample_ff"]))
        bandwidth = getattr(self, "clamp_bandwidth_ghz", float(usual["clamp_bandwidth_ghz"]))
        return {
            "array_area_um2": array.area,
            "read_pulse_ns": array.read_time(chip.adc.bits, sample_ff, bandwidth),
        }

    def _area_um2(self, chip: HardwareConfig) -> float:
        return self.figure("array_area_um2", chip)

    def instances(self, chip: HardwareConfig, size: ChipSize) -> int:
        return size.crossbars


class ConductanceCells(_Cells):
    """Energy from the real conductances."""

    kind: Literal["conductance"]
    r_on_ohm: Positive
    r_off_ohm: Positive
    v_read_v: Positive
    sample_ff: Positive
    """Capacitor on which a column is sampled, fF."""
    clamp_bandwidth_ghz: Positive
    """Gain-bandwidth of the amplifier that holds a bitline at its virtual ground."""

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        """``V^2 t G``: V^2 / Ohm is W, times ns is nJ, hence 1e3 to pJ."""
        pulse = self.v_read_v**2 * self.driven_ns(chip) * 1e3
        g_on, g_off = 1 / self.r_on_ohm, 1 / self.r_off_ohm
        level = pulse * (g_on - g_off) / ((1 << self.cell_bits) - 1)
        # Levels of cells with errors are no whole numbers, and are counted in smaller units.
        levels = {Event.ACTIVE_LEVELS: level / (1 << LEVEL_FRACTION_BITS) if chip.nonideal.active else level}
        # Where cells at level 0 conduct too, that has errors as well and is counted with the levels.
        return levels if chip.nonideal.on_off.finite else {Event.ACTIVE_CELLS: pulse * g_off, **levels}


class DrivenCells(_Cells):
    """The power of a crossbar while all its rows are driven, shared by the rows."""

    kind: Literal["driven"]
    power_uw: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        """Power times the read pulse; uW ns is 1e-3 pJ."""
        return {Event.ACTIVE_WORDLINES: self.power_uw * self.pulse_ns(chip) * 1e-3 / self.rows}


class GivenCells(_Cells):
    """A given energy for each crossbar driven for one column-mux setting."""

    kind: Literal["given"]
    read_energy_pj: NonNegative

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        return {Event.CROSSBAR_PHASES: self.read_energy_pj}


Cells = Annotated[ConductanceCells | DrivenCells | GivenCells, Field(discriminator="kind")]
