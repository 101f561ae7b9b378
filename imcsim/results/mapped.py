"""What a search for a mapping has found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from imcsim.base.plurals import counted

Objective = Literal["latency", "throughput", "energy", "edp", "area"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
_UNITS = {"latency": "latency_ns", "throughput": "interval_ns", "energy": "energy_pj", "edp": "edp_pj_ns",
          "area": "area_mm2"}  # fmt: skip
"""The figure of a mapping that each objective makes small."""

ADCS = {"im2col": "crossbar", "kernel_position": "pe"}
"""Orders of rows, each with the ``tile.adcs`` that goes with it."""


@dataclass(frozen=True)
class Budget:
    """What a chip may take in all; None is no limit."""

    crossbars: int | None = None
    tiles: int | None = None
    area_mm2: float | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """``600crossbars``, ``12tiles`` or ``20mm2``, spaces as you like. Raises ValueError for anything
        else.
        """
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(crossbars|tiles|mm2)\s*", text)
        if found is None:
            raise ValueError(f"{text!r:.60} is no budget: give one such as 600crossbars, 12tiles or 20mm2")
        amount, unit = float(found[1]), found[2]
        if amount == 0 or (unit != "mm2" and amount != int(amount)):
            raise ValueError(f"{text!r:.60} is no budget: {unit} must be a number above 0")
        if unit == "mm2":
            return cls(area_mm2=amount)
        return cls(crossbars=int(amount)) if unit == "crossbars" else cls(tiles=int(amount))

    def __str__(self) -> str:
        counts = (self.crossbars, "crossbar"), (self.tiles, "tile")
        limits = [counted(limit, unit) for limit, unit in counts if limit is not None]
        return ", ".join([*limits, *([f"{self.area_mm2:g} mm2"] if self.area_mm2 is not None else [])])

    def holds(self, one: Mapped) -> bool:
        return (
            (self.crossbars is None or one.crossbars <= self.crossbars)
            and (self.tiles is None or one.tiles <= self.tiles)
            and (self.area_mm2 is None or one.area_mm2 <= self.area_mm2 * (1 + 1e-9))
        )


@dataclass(frozen=True)
class Mapped:
    """One mapping and what it comes to. Energy, latency and EDP are means over the images, each until its
    exit; `interval_ns` is the least time between images that follow each other without a pause, by whichever
    resource is busiest. `tile_types`: the type of each layer's tiles on a chip that has several. `right`: how
    many of the images exit with the right class, which differs only between types and orders of rows.
    """

    copies: Mapping[str, int]
    share_tiles: bool
    placement: str
    columns_per_adc: int
    row_order: str
    tile_types: Mapping[str, str]
    crossbars: int
    tiles: int
    area_mm2: float
    right: int = 0
    mean_timesteps: float = 0.0
    latency_ns: float = 0.0
    interval_ns: float = 0.0
    energy_pj: float = 0.0
    edp_pj_ns: float = 0.0

    def figure(self, objective: Objective) -> float:
        return float(getattr(self, _UNITS[objective]))

    @property
    def overrides(self) -> dict[str, Any]:
        """What a chip's file says to be mapped so."""
        return {
            "mapping.replication": {name: n for name, n in self.copies.items() if n > 1} or "none",
            "mapping.share_tiles": self.share_tiles,
            "mapping.placement": self.placement,
            "column_mux.columns_per_adc": self.columns_per_adc,
            "cells.row_order": self.row_order,
            "tile.adcs": ADCS[self.row_order],
            **({"mapping.tile_types": dict(self.tile_types)} if self.tile_types else {}),
        }


@dataclass(frozen=True)
class Goal:
    """What a mapping is searched for. No `budget`: the area of the chip as it stands in its file.
    `row_orders`: whether both orders of rows (``cells.row_order``) are tried.
    """

    objective: Objective
    budget: Budget | None = None
    row_orders: bool = False


@dataclass(frozen=True)
class MappingSearch:
    """What a search has found. `given`: the mapping of the chip's file, which is among the `tried`.

    `accuracy` and `mean_timesteps` are those of the chip of the file; `less_accurate`: how many other
    assignments to types of tile, or orders of rows, were left out because fewer images were right.
    """

    network: str
    hardware: str
    objective: Objective
    budget: Budget
    images: int
    accuracy: float
    mean_timesteps: float
    given: Mapped
    best: Mapped
    tried: tuple[Mapped, ...] = field(repr=False)
    less_accurate: int = 0

    @property
    def front(self) -> tuple[Mapped, ...]:
        """Of all that was tried, those of which none with as little area is as good, by area."""
        front: list[Mapped] = []
        for one in sorted(self.tried, key=lambda m: (m.area_mm2, m.figure(self.objective))):
            if not front or one.figure(self.objective) < front[-1].figure(self.objective):
                front.append(one)
        return tuple(front)
