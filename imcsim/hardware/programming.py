"""What it takes to write the cells of a chip, once for a network.

A pulse of V for t over a cell of conductance G dissipates ``V^2 t G`` (Ohm's law), with the mean of the
conductances of the lowest and the highest level, as if all levels were equally frequent. A cell that is
verified is read behind each pulse, for one read pulse and one conversion. A cell of SRAM, and the gate of a
FeFET, exchange a charge instead, ``C V^2``. Crossbars that share a set of write access are written one after
the other, cell after cell; all sets work at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from imcsim.hardware.component import Positive
from imcsim.hardware.estimators.figures import figures

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig


class ProgrammingConfig(BaseModel):
    """How cells are written. What is left out is that of the `method` (hardware/figures/programming.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
    method: Literal["rram", "pcm", "fefet", "sram"] | None = None
    """None: capacitive cells are SRAM, all others RRAM."""
    pulses: Positive | None = None
    """Pulses that a cell takes on average."""
    pulse_ns: Positive | None = None
    pulse_v: Positive | None = None
    cells_at_once: Annotated[int, Field(ge=1)] | Literal["row"] = 1
    """Cells that each set of write access writes at a time; ``row``: those of a row of a crossbar."""
    endurance_writes: Positive | None = None
    """Writes after which a cell is worn out."""


_CHARGED = {"sram": "write_cell_ff", "fefet": "write_gate_ff"}
"""Cells whose write charges a capacitor, and which."""


@dataclass(frozen=True)
class CellWriting:
    """Writing one cell: its pulses, and for each of them the energy and time of the pulse and its read."""

    method: str
    pulses: float
    pulse_ns: float
    pulse_energy_pj: float
    verify_ns: float
    verify_energy_pj: float
    source: str
    endurance_writes: float | None = None
    """Writes after which it is worn out; None where it does not wear."""


def cell_writing(config: HardwareConfig) -> CellWriting:
    """What a cell of this chip takes."""
    given = config.programming
    method = given.method or ("sram" if config.cells.kind == "capacitive" else "rram")
    entry = figures("programming")[method]
    known = entry["value"]
    pulses = float(known["pulses"] if given.pulses is None else given.pulses)
    pulse_ns = float(known["pulse_ns"] if given.pulse_ns is None else given.pulse_ns)
    pulse_v = float(known["pulse_v"] if given.pulse_v is None else given.pulse_v)
    if method in _CHARGED:
        # fF V^2 is 1e-3 pJ.
        energy_pj = float(figures("programming")[_CHARGED[method]]["value"]) * pulse_v**2 * 1e-3
    else:
        array = config.cells.array(config)
        siemens = (1 / array.r_on_ohm + 1 / array.r_off_ohm) / 2
        energy_pj = pulse_v**2 * siemens * pulse_ns * 1e3
    verify_ns = verify_pj = 0.0
    if known["verified"]:
        clock_ns = config.technology.clock_ns
        verify_ns = (config.sense_cycles + config.adc.cycles(config)) * clock_ns
        verify_pj = config.adc.conversion_energy_pj(config)
    mark, wears = entry["mark"], known["endurance_writes"]
    endurance = wears if given.endurance_writes is None else given.endurance_writes
    return CellWriting(
        method, pulses, pulse_ns, energy_pj, verify_ns, verify_pj, f"{mark}: {entry['source']}",
        None if endurance is None else float(endurance),
    )  # fmt: skip


def cells_in_turn(config: HardwareConfig, crossbars: int) -> int:
    """Cells of the crossbars, of so many, that one set of write access has, which are written one after the
    other.
    """
    shared = min(config.write_access.shared_by, crossbars)
    return shared * config.cells.rows * config.cells.columns


def writing_ns(config: HardwareConfig, crossbars: int) -> float:
    """Time to write so many crossbars; all sets of write access work at the same time."""
    one = cell_writing(config)
    turns = -(-cells_in_turn(config, crossbars) // cells_at_once(config))
    return turns * one.pulses * (one.pulse_ns + one.verify_ns)


def cells_at_once(config: HardwareConfig) -> int:
    """Cells that each set of write access writes at a time."""
    given = config.programming.cells_at_once
    return config.cells.columns if given == "row" else given
