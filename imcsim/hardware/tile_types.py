"""Types of tiles: tiles whose crossbars, cells, converters, buffers or sizes differ from the chip's own.

A type names the values that differ, in the sections in which the chip's file has them. All others, and what
estimates follow from them, are those of the chip. A type is therefore a chip of its own for all that is part
of a tile (`HardwareConfig.of_type`), while the mesh, neurons, checker and technology are the chip's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from imcsim.base.tile_types import Position, Rule
from imcsim.hardware.explain import KIND, Shape

TypeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Values = dict[str, Any]

ALIKE = (("cells", "input_drive"), ("noc", "topology"))
"""Keys of these sections that all tiles of a chip have in common."""


class Takes(BaseModel):
    """The layers that a type takes by rule: those that meet every condition given here."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
    rows_at_least: Annotated[int, Field(ge=1)] | None = None
    """Rows of a layer's weight matrix, its fan-in."""
    rows_at_most: Annotated[int, Field(ge=1)] | None = None
    position: Position | None = None
    """The first or the last layer with weights."""

    @property
    def rule(self) -> Rule:
        return Rule(self.rows_at_least, self.rows_at_most, self.position)


class TileType(BaseModel):
    """What differs from the chip's own tile, by section, and the layers that it takes by rule."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
    takes: Takes | None = None
    """None: only layers that `mapping.tile_types` names."""
    tile: Values = {}
    cells: Values = {}
    wordline_driver: Values = {}
    write_access: Values = {}
    row_counter: Values = {}
    clamp: Values = {}
    sample_hold: Values = {}
    column_mux: Values = {}
    adc: Values = {}
    converter_reference: Values = {}
    shift_add: Values = {}
    adder_tree: Values = {}
    registers: Values = {}
    pe_buffer: Values = {}
    tile_buffer: Values = {}
    htree: Values = {}

    @property
    def changes(self) -> dict[str, Values]:
        """The sections that it says anything of."""
        values = self.model_dump(mode="json", exclude={"takes"})
        return {name: section for name, section in values.items() if section}


def laid_over(changes: Mapping[str, Values], chip: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """The values of a chip with those of a type over them. Where a section changes its ``kind``, what the
    chip says in it stays only where the new kind knows the key.
    """
    merged: dict[str, Any] = {**chip}
    for name, section in changes.items():
        merged[name] = _over(section, chip[name])
    for name, section in changes.items():
        if KIND in section and section[KIND] != chip[name].get(KIND):
            known = {k: v for k, v in merged[name].items() if k in section or shape.knows(k, (name,), merged)}
            merged[name] = known
    return merged


def _over(over: Any, under: Any) -> Any:
    if not isinstance(over, dict) or not isinstance(under, dict):
        return over
    both = {key: _over(over[key], value) if key in over else value for key, value in under.items()}
    return both | {key: value for key, value in over.items() if key not in both}
