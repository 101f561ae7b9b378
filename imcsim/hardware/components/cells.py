"""Cell array: what a read of the memory cells costs.

``conductance``: a read pulse of V for t over a cell of conductance G dissipates ``V^2 t G`` (Ohm's law).
Level l of a cell with b bits has ``G = G_off + l (G_on - G_off) / (2^b - 1)``, so energy follows the rows
that were driven and the levels programmed on them. ``driven``: the power of a crossbar with all its rows
driven, as chips are quoted; each driven row takes its share. ``given``: a fixed energy for each read, as
SpikeSim charges. ``capacitive``: a cell moves the charge of a capacitor, one of C for each level, so that a
read costs ``C V^2`` for every level that toggles, and ``C V^2`` of each column that is charged before;
nothing flows once that has settled.

The time of a read follows from the wires, transistors and cells of the array and from the clamp that holds
the bitlines (estimators.array), and so does the area; a number takes its place. A read's energy uses the same
time and voltage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from imcsim.base.choices import FULL_INPUT, LEVEL_FRACTION_BITS, Encoding, InputDrive, RowOrder
from imcsim.hardware.component import ESTIMATE, ChipSize, Component, Figure, NonNegative, Positive
from imcsim.hardware.estimators import periphery
from imcsim.hardware.estimators.array import Array, least_cell_ohm
from imcsim.hardware.estimators.estimate import Estimate
from imcsim.hardware.estimators.figures import figures
from imcsim.hardware.events import Event

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class _Cells(Component):
    block = "cells"
    scope = "crossbar"
    rows: Annotated[int, Field(ge=4, le=4096)]
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
    ``levels``: by a voltage that goes with its value, in one read with one conversion; capacitive cells.
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

    @model_validator(mode="after")
    def _conducts_more_when_on(self) -> Self:
        if self.r_off_ohm < self.r_on_ohm:
            raise ValueError(
                f"a cell that is off conducts less: r_off_ohm must be at least r_on_ohm, not "
                f"{self.r_off_ohm:g} and {self.r_on_ohm:g}"
            )
        return self

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        """``V^2 t G``: V^2 / Ohm is W, times ns is nJ, hence 1e3 to pJ."""
        pulse = self.v_read_v**2 * self.driven_ns(chip) * 1e3
        g_on, g_off = 1 / self.r_on_ohm, 1 / self.r_off_ohm
        level = pulse * (g_on - g_off) / ((1 << self.cell_bits) - 1)
        # Levels of cells with errors are no whole numbers, and are counted in smaller units.
        levels = {Event.ACTIVE_LEVELS: level / (1 << LEVEL_FRACTION_BITS) if chip.nonideal.active else level}
        # Where cells at level 0 conduct too, that has errors as well and is counted with the levels.
        return levels if chip.nonideal.on_off.finite else {Event.ACTIVE_CELLS: pulse * g_off, **levels}


class CapacitiveCells(_Cells):
    """Energy from the charge that moves."""

    kind: Literal["capacitive"]
    capacitor_ff: Positive | Literal["estimate"]
    """Of one level of a cell."""
    swing_v: Positive | Literal["supply"]
    """By which capacitors and columns are charged."""
    sample_ff: ClassVar[float] = 0.0
    """The columns' own capacitors hold what is converted."""

    def array(self, chip: HardwareConfig) -> Array:
        """A crossbar whose rows drive a transistor of minimum width in each cell."""
        least = least_cell_ohm(chip.technology.node_nm)
        return replace(super().array(chip), r_on_ohm=least, r_off_ohm=least)

    def estimates(self, chip: HardwareConfig) -> Mapping[str, Estimate]:
        array, largest = self.array(chip), (1 << self.cell_bits) - 1
        capacitor = periphery.cell_capacitor_ff(array, largest)
        each = capacitor.value if self.capacitor_ff == ESTIMATE else self.capacitor_ff
        return {
            "array_area_um2": array.area,
            "capacitor_ff": capacitor,
            "read_pulse_ns": array.sharing_time(chip.adc.bits, each * largest),
        }

    def _charges(self, chip: HardwareConfig) -> Mapping[Event, float]:
        """``C V^2``: fF V^2 is 1e-3 pJ."""
        volt = chip.technology.volts if self.swing_v == "supply" else self.swing_v
        level = self.figure("capacitor_ff", chip) * volt**2 * 1e-3
        if chip.nonideal.active:
            level /= 1 << LEVEL_FRACTION_BITS
        if self.input_drive == "levels":  # charge from a supply goes with the voltage that it charges to
            level /= FULL_INPUT
        return {
            Event.ACTIVE_LEVELS: level,
            Event.CONVERSIONS: self.array(chip).bitline_ff * volt**2 * 1e-3,
        }


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


Cells = Annotated[ConductanceCells | CapacitiveCells | DrivenCells | GivenCells, Field(discriminator="kind")]
