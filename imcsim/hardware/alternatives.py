"""Other values that a chip's file might have had: what published sources, or another structure, would say.

Each stands in the file with its own source, as ``alternatives.prices.GROUP.NAME: {section: {key: value}}``.
The alternatives of a group exclude each other: they answer one question, as which ADC, or how wires are
priced. They are no part of the chip, so a chip's hash leaves them out. `imcsim compare` plays them one at a
time and shows what they move.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imcsim.base.errors import ImcsimError
from imcsim.hardware.explain import explain
from imcsim.hardware.quantity import unit_of

if TYPE_CHECKING:
    from imcsim.hardware.config import HardwareConfig

Kind = Literal["prices", "structure"]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Changes = dict[str, Any]
"""Sections and values as a chip's file has them, only those that differ."""
Groups = dict[_Name, dict[_Name, Changes]]
"""Alternatives by their names, by group."""


class Alternatives(BaseModel):
    """Values that a chip might have had; see the module."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
    prices: Groups = {}
    """What sources disagree about: energies, areas, leakage, and how long a part takes."""
    structure: Groups = {}
    """What another design of the same chip would have."""

    def each(self) -> Iterator[Alternative]:
        """All alternatives in the order of the file."""
        groups: tuple[tuple[Kind, Groups], ...] = (("prices", self.prices), ("structure", self.structure))
        for kind, named in groups:
            for group, choices in named.items():
                for name, changes in choices.items():
                    yield Alternative(kind, group, name, changes)


@dataclass(frozen=True)
class Alternative:
    """One alternative of a group."""

    kind: Kind
    group: str
    name: str
    changes: Mapping[str, Any]

    def of(self, config: HardwareConfig) -> HardwareConfig:
        """`config` with the values of this alternative. Raises ImcsimError where it does not take them."""
        values = config.model_dump(mode="json", by_alias=True)
        for key, value in _leaves(self.changes):
            *sections, last = key.split(".")
            section: Any = values
            for part in sections:
                section = section.get(part) if isinstance(section, dict) else None
            if not isinstance(section, dict) or last not in section:
                raise self._error("the chip has no such key", key)
            section[last] = value
        try:
            changed = type(config).model_validate_json(json.dumps(values, allow_nan=False))
        except ValidationError as error:
            problem = explain(error, type(config), values)[0]
            raise self._error(problem.message, ".".join(map(str, problem.path))) from None
        return changed.with_reference(config.reference)

    def _error(self, message: str, key: str) -> ImcsimError:
        return ImcsimError(f"{key}: {message}", key=f"alternatives.{self.kind}.{self.group}.{self.name}")


_PRICES = frozenset({"fJ", "pJ", "nJ", "nW", "uW", "mW", "um2", "mm2"})


def same_time(config: HardwareConfig, other: HardwareConfig) -> bool:
    """Whether two chips are known to differ in energies, areas and powers only, by the units of the keys; so
    that what one did in time, the other does in the same cycles.
    """
    a, b = (dict(_leaves(chip.model_dump(mode="json"))) for chip in (config, other))
    if a.keys() != b.keys():
        return False
    differ = {key for key in a if a[key] != b[key]} - {"adc.preset"}
    return all(unit_of(key.rsplit(".", 1)[-1]).split("/")[0] in _PRICES for key in differ) and (
        config.sense_cycles,
        config.convert_cycles,
    ) == (other.sense_cycles, other.convert_cycles)


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
