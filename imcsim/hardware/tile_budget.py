"""Power and area of one tile at full rate, from the component table: the figures that papers print for a
chip's tile.

At full rate every crossbar reads as often as sensing and its converters allow, with all rows driven and
levels spread evenly; every input bit comes through the mesh, the tile buffer, the H-tree and the PE buffer
once, and every result leaves through the output register and the mesh. Inputs of b bits take b reads, so
there are 1/b of the results a read; where not all rows may be driven at once, a read is one of several
turns. State memory, checker, accumulator and the other parts of the chip as a whole are not part of a tile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imcsim.base.choices import LEVEL_FRACTION_BITS
from imcsim.hardware.components.cells import ConductanceCells
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event


@dataclass(frozen=True)
class BudgetRow:
    """One component of a tile: how many of it, their power in mW and their area in mm2."""

    component: str
    count: int
    power_mw: float
    area_mm2: float


def tile_budget(
    config: HardwareConfig, *, cells_per_weight: int = 1, input_bits: int = 1
) -> tuple[BudgetRow, ...]:
    """Rows of every component that is part of a tile; pJ a ns are mW.

    cells_per_weight: columns that hold one weight. input_bits: reads that an input takes; a spike takes one.
    """
    rates = full_rate(config, cells_per_weight=cells_per_weight, input_bits=input_bits)
    rows = []
    for name, component in config.components_of(config.one_tile):
        if component.scope == "chip":
            continue
        count = component.instances(config, config.one_tile)
        working = sum(energy * rates.get(event, 0.0) for event, energy in component.charges(config).items())
        standing = component.standing_energy_pj(config) * count
        power = (working + standing) / config.technology.clock_ns
        rows.append(BudgetRow(name, count, power, component.area_um2(config) * count * 1e-6))
    return tuple(rows)


def tile_power_mw(config: HardwareConfig, *, cells_per_weight: int = 1, input_bits: int = 1) -> float:
    """Power of one tile with every component at its full rate, mW."""
    return sum(
        row.power_mw for row in tile_budget(config, cells_per_weight=cells_per_weight, input_bits=input_bits)
    )


def tile_area_mm2(config: HardwareConfig) -> float:
    """Area of one tile, mm2."""
    return config.tile_area_um2() * 1e-6


def full_rate(config: HardwareConfig, *, cells_per_weight: int, input_bits: int) -> Mapping[Event, float]:
    """Events a clock cycle in one tile at full rate."""
    cells, tile, size = config.cells, config.tile, config.one_tile
    turns = cells.turns
    interval = max(config.sense_cycles, config.convert_cycles) * turns
    converting = size.crossbars if tile.adcs == "crossbar" else size.pes
    conversions = converting * cells.columns
    results = converting * (cells.columns // cells_per_weight) / input_bits
    # Crossbars that share their converters add up rows of different inputs; each still takes its own.
    inputs = size.crossbars * cells.rows
    outputs = results * input_bits
    phases = config.column_mux.columns_per_adc
    parts = 1 << LEVEL_FRACTION_BITS if config.nonideal.active else 1
    largest = (1 << cells.cell_bits) - 1
    level = largest / 2
    if config.nonideal.on_off.finite and isinstance(cells, ConductanceCells):
        level += largest / (cells.r_off_ohm / cells.r_on_ohm - 1)
    all_rows_once = {
        Event.CROSSBAR_READS: size.crossbars * turns,
        Event.CROSSBAR_PHASES: size.crossbars * phases * turns,
        Event.PE_CYCLES: size.pes * turns,
        Event.PE_PHASES: size.pes * phases * turns,
        Event.ACTIVE_WORDLINES: inputs,
        Event.ACTIVE_CELLS: inputs * cells.columns,
        Event.ACTIVE_LEVELS: inputs * cells.columns * level * parts,
        Event.CONVERSIONS: conversions * turns,
        Event.SHIFT_ADDS: conversions * turns,
        Event.FLIT_HOPS: (inputs + outputs) / config.noc.flit_bits,
        Event.TILE_BUFFER_WRITE_BITS: inputs,
        Event.TILE_BUFFER_READ_BITS: inputs,
        Event.HTREE_BITS: inputs,
        Event.HTREE_SUM_BITS: results * config.lif.partial_sum_bits,
        Event.PE_BUFFER_WRITE_BITS: inputs,
        Event.PE_BUFFER_READ_BITS: inputs,
        Event.INPUT_REGISTER_BITS: inputs,
        Event.OUTPUT_REGISTER_BITS: outputs,
        Event.PARTIAL_SUM_ADDS: results,
        Event.LIF_UPDATES: results,
        Event.POOL_OPERATIONS: results,
        Event.RESIDUAL_ADDS: results,
    }
    return {event: count / interval for event, count in all_rows_once.items()}
