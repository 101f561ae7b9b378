"""Other values that a chip's file might have had: what published sources, or another structure, would say.

Those that all chips share stand in ``hardware/figures/alternatives.yaml``, each with its source and with the
values that a chip must have for it to be an alternative; the presets of a chip's ADC are alternatives too. A
chip's file adds its own, as ``alternatives.prices.GROUP.NAME: {section: {key: value}}``. The alternatives of
a group exclude each other: they answer one question, as which ADC, or how wires are priced. They are no part
of the chip, so a chip's hash leaves them out. `imcsim compare` plays them one at a time and shows what they
move.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imcsim.base.errors import ImcsimError
from imcsim.hardware.component import ESTIMATE, Reach
from imcsim.hardware.estimators.figures import figures
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
    shared: bool = True
    """Whether the alternatives that all chips share, and the chip's other ADC presets, are tried too."""
    prices: Groups = {}
    """What sources disagree about: energies, areas, leakage, and how long a part takes."""
    structure: Groups = {}
    """What another design of the same chip would have."""

    def own(self) -> Iterator[Alternative]:
        """The alternatives of the chip's file, in its order."""
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
        for key, value in leaves(self.changes):
            *sections, last = key.split(".")
            section: Any = values
            for part in sections:
                section = section.get(part) if isinstance(section, dict) else None
            if not isinstance(section, dict) or last not in section:
                raise self._error("the chip has no such key", key, "name a key of this chip")
            section[last] = value
        try:
            changed = type(config).model_validate_json(json.dumps(values, allow_nan=False))
        except ValidationError as error:
            problem = explain(error, type(config), values)[0]
            raise self._error(problem.message, ".".join(map(str, problem.path)), problem.fix) from None
        return changed.with_reference(config.reference)

    def _error(self, message: str, key: str, fix: str | None) -> ImcsimError:
        place = f"alternatives.{self.kind}.{self.group}.{self.name}"
        return ImcsimError(f"{key}: {message}", key=place, fix=fix or "give it a value that the chip takes")


def alternatives_of(config: HardwareConfig) -> tuple[Alternative, ...]:
    """All alternatives of a chip: its ADC presets, those that all chips share and that are about what it has,
    and those of its file, which take the place of others of the same group and name.
    """
    found: dict[tuple[str, str, str], Alternative] = {}

    def put(kind: Kind, group: str, name: str, changes: Mapping[str, Any]) -> None:
        found[kind, group, name] = Alternative(kind, group, name, changes)

    if config.alternatives.shared:
        # A sense amplifier that ramps through all codes is another design, not another source.
        kinds = {"sar", "flash", config.adc.used.kind}
        presets = [name for name, preset in config.adc.presets.items() if preset.kind in kinds]
        for preset in presets if len(presets) > 1 else ():
            put("prices", "adc", preset, {"adc.preset": preset})
        values = dict(leaves(config.model_dump(mode="json", exclude={"alternatives"})))
        for entry in figures("alternatives").values():
            if all(_has(values.get(key), wanted) for key, wanted in entry["when"].items()):
                put(entry["kind"], entry["group"], entry["name"], entry["value"])
    for one in config.alternatives.own():
        found[one.kind, one.group, one.name] = one
    return tuple(found.values())


def cited(one: Alternative, config: HardwareConfig) -> str:
    """Where an alternative that is not of the chip's file comes from; "" for one that is."""
    if one in tuple(config.alternatives.own()):
        return ""
    for entry in figures("alternatives").values():
        if (entry["kind"], entry["group"], entry["name"]) == (one.kind, one.group, one.name):
            return f"{entry['source']} ({entry['mark']})"
    return f"adc.presets.{one.name}"


def _has(value: object, wanted: object) -> bool:
    return (value is not None and value != ESTIMATE) if wanted == "number" else value == wanted


_PRICES = frozenset({"fJ", "pJ", "nJ", "nW", "uW", "mW", "um2", "mm2"})


_TIMELESS = frozenset(
    {
        "adc.preset", "technology.leakage", "technology.memory", "technology.wires", "clamp.bias_ua",
        "htree.toggle_rate", "htree.sum_toggle_rate", "noc.toggle_rate", "noc.sum_toggle_rate",
        "cells.read_pulse_ns", "cells.clamp_bandwidth_ghz",
    }
)  # fmt: skip
"""Keys that move time, if at all, by what `same_time` compares."""


def same_time(config: HardwareConfig, other: HardwareConfig, reach: Reach) -> bool:
    """Whether two chips whose wires reach so far are known to differ in energies, areas and
    powers only, by the units of the keys; so that what one did in time, the other does in the same cycles.
    """
    a, b = (dict(leaves(chip.model_dump(mode="json"))) for chip in (config, other))
    if a.keys() != b.keys():
        return False
    differ = {key for key in a if a[key] != b[key]} - _TIMELESS
    return all(unit_of(key.rsplit(".", 1)[-1]).split("/")[0] in _PRICES for key in differ) and (
        _read_cycles(config),
        _wire_cycles(config, reach),
    ) == (_read_cycles(other), _wire_cycles(other, reach))


def _wire_cycles(config: HardwareConfig, reach: Reach) -> list[int]:
    """Cycles of a verdict on its way, and of links of every length."""
    links = [config.noc.link_cycles(pitches, config) for pitches in range(1, reach.longest_link + 1)]
    return [config.checker.way_cycles(reach, config), *links]


def _read_cycles(config: HardwareConfig) -> list[tuple[int, int]]:
    """Cycles of sensing and of converting, of each type of tile."""
    chips = [config, *map(config.of_type, config.tile_types)]
    return [(chip.sense_cycles, chip.convert_cycles) for chip in chips]


def leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested sections by dotted key."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
