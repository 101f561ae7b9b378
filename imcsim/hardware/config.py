"""The hardware config: one block a component, validated once, frozen afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from imcsim.hardware.component import ChipSize, Component, Count, NonNegative, Positive
from imcsim.hardware.components.adc import Adc
from imcsim.hardware.components.arithmetic import AdderTree, Pooling, ResidualAdder, ShiftAdd
from imcsim.hardware.components.cells import Cells
from imcsim.hardware.components.checker import Accumulator, Checker
from imcsim.hardware.components.column_mux import ColumnMux
from imcsim.hardware.components.interconnect import Htree, Noc, OffchipLink
from imcsim.hardware.components.lif import Lif
from imcsim.hardware.components.memory import GlobalBuffer, PeBuffer, Sram, StateMemory, TileBuffer
from imcsim.hardware.components.register import Registers
from imcsim.hardware.components.wordline_driver import WordlineDriver
from imcsim.hardware.quantity import Provenance

_FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True)


class Technology(BaseModel):
    """Figures of the node that several components use."""

    model_config = _FROZEN
    node_nm: Positive
    clock_ns: Positive
    logic_leakage_uw_per_um2: NonNegative
    wire_energy_pj_per_mm: NonNegative
    """One toggled bit over one mm."""


class Tile(BaseModel):
    """How crossbars are grouped, and the bus from the tile buffer."""

    model_config = _FROZEN
    crossbars_per_pe: Count
    pes_per_tile: Count
    adcs: Literal["crossbar", "pe"]
    """Whether each crossbar has its own ADCs, or the crossbars of a PE share one set."""
    bus_bits: Count
    """Bits that the tile buffer delivers in a cycle."""
    input_sets: Count
    """Windows that may wait in front of the crossbars (2 = double buffering)."""
    output_rows: Count
    """Output rows that a tile may hold before they have left."""


class Mesh(BaseModel):
    """The mesh of tiles; 0 columns and rows means as large as the network needs."""

    model_config = _FROZEN
    columns: Annotated[int, Field(ge=0, le=1024)]
    rows: Annotated[int, Field(ge=0, le=1024)]


class MappingConfig(BaseModel):
    """How layers are laid over the chip."""

    model_config = _FROZEN
    replication: Literal["none", "balanced"]
    extra_crossbars: Annotated[int, Field(ge=0)]
    """Crossbars that `balanced` may spend on copies of layers that would otherwise be the slowest."""


class Encoder(BaseModel):
    """The first layer, which reads the image: run it at every timestep, or once and keep its currents."""

    model_config = _FROZEN
    mode: Literal["recompute", "keep"]


class HardwareConfig(BaseModel):
    """A chip. Blocks are described where they are declared; `component_blocks` are those that cost something."""

    model_config = _FROZEN
    schema_: Annotated[Literal[1], Field(alias="schema")]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    description: str
    technology: Technology
    tile: Tile
    mesh: Mesh
    mapping: MappingConfig
    encoder: Encoder
    cells: Cells
    wordline_driver: WordlineDriver
    column_mux: ColumnMux
    adc: Adc
    shift_add: ShiftAdd
    adder_tree: AdderTree
    registers: Registers
    sram: Sram
    pe_buffer: PeBuffer
    tile_buffer: TileBuffer
    global_buffer: GlobalBuffer
    htree: Htree
    noc: Noc
    lif: Lif
    state_memory: StateMemory
    pooling: Pooling
    residual_adder: ResidualAdder
    accumulator: Accumulator
    checker: Checker
    offchip_link: OffchipLink

    @model_validator(mode="after")
    def _fits_together(self) -> HardwareConfig:
        if self.cells.columns % self.column_mux.columns_per_adc:
            raise ValueError(
                f"cells.columns {self.cells.columns} is no multiple of column_mux.columns_per_adc "
                f"{self.column_mux.columns_per_adc}"
            )
        if (self.mesh.columns == 0) != (self.mesh.rows == 0):
            raise ValueError("mesh.columns and mesh.rows are both 0 (as large as needed) or both above 0")
        if (self.cells.row_order == "kernel_position") != (self.tile.adcs == "pe"):
            raise ValueError(
                "cells.row_order kernel_position merges the currents of a PE's crossbars, so it goes with tile.adcs pe; "
                "im2col goes with tile.adcs crossbar"
            )
        return self

    def components(self) -> Iterator[tuple[str, Component]]:
        """Name and block of every component that costs energy or area, in the order of the file."""
        for name in type(self).model_fields:
            block = getattr(self, name)
            if isinstance(block, Component) and not isinstance(block, Sram):
                yield name, block

    @property
    def crossbars_per_tile(self) -> int:
        return self.tile.crossbars_per_pe * self.tile.pes_per_tile

    @property
    def adcs_per_crossbar(self) -> int:
        return self.cells.columns // self.column_mux.columns_per_adc

    def adc_count(self, size: ChipSize) -> int:
        """ADCs on a chip of this size."""
        groups = size.crossbars if self.tile.adcs == "crossbar" else size.pes
        return groups * self.adcs_per_crossbar

    @property
    def sense_cycles(self) -> int:
        """Cycles of one read pulse."""
        return max(1, -(-round(self.cells.read_pulse_ns * 1e6) // round(self.technology.clock_ns * 1e6)))

    @property
    def convert_cycles(self) -> int:
        """Cycles to convert all columns of one read."""
        return self.column_mux.columns_per_adc * self.adc.conversion_cycles


@dataclass(frozen=True)
class Hardware:
    """A validated config with the provenance of every value, its hash, and where it was read."""

    config: HardwareConfig
    provenance: Mapping[str, Provenance]
    unsourced: tuple[str, ...]
    sha256: str
    path: Path

    @property
    def name(self) -> str:
        return self.config.name
