"""A second known chip: power and area of ISAAC's tile, from the component table of `isaac_32nm`."""

from __future__ import annotations

import imcsim.hardware
from imcsim.hardware.tile_budget import tile_area_mm2, tile_power_mw
from imcsim.validate.row import ValidationRow

SOURCE = "ISAAC, ISCA 2016, table of the tile"


def isaac_rows() -> list[ValidationRow]:
    """Its weights of 16 bits take 8 cells, its inputs of 16 bits 16 reads."""
    config = imcsim.hardware.load("isaac_32nm").config
    power, area = tile_power_mw(config, cells_per_weight=8, input_bits=16), tile_area_mm2(config)
    note = "spiking units stand in for its sigmoid units"
    return [
        ValidationRow(
            "isaac", "power of a tile at full rate", 330, power, "mW", 0.05, SOURCE, "paper", note=note
        ),
        ValidationRow("isaac", "area of a tile", 0.372, area, "mm2", 0.05, SOURCE, "paper", note=note),
    ]
