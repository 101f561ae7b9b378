"""Energy and area reference tables in Accelergy's output format, so that figures of CACTI, NeuroSim or a PDK
plug in.

A table file holds an energy reference table, an area reference table, or both::

    ERT:
      version: 0.4
      tables:
      - name: adc
        actions:
        - {name: conversions, arguments: null, energy: 0.31}   # pJ
    ART:
      version: 0.4
      tables:
      - {name: adc, area: 412.0}   # um2 of one instance

A component is named by its block, an action by an event that the component pays for, or ``leakage`` (pJ of
one instance in one clock cycle). Of a hierarchical name such as ``chip.tile[0..7].adc`` the last part counts.
What a table names replaces the block's own figure. Format: Accelergy (Wu, Emer, Sze, ICCAD 2019), as written
by its releases 0.3 and 0.4.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imcsim.base.errors import ImcsimError
from imcsim.base.names import shown, suggestion
from imcsim.base.yamlfile import KeyPath, YamlDocument, read_yaml
from imcsim.hardware.events import Event

_LARGEST = 1e30  # as of a chip's own figures

LEAKAGE = "leakage"
"""The action that stands for static power."""


@dataclass(frozen=True)
class TableFigure:
    """Where one figure of a table stands: ``component.action`` or ``component.area``, its unit, the file and
    line.
    """

    key: str
    value: float
    unit: str
    file: str
    line: int | None


@dataclass(frozen=True)
class ReferenceFigures:
    """What the tables say: pJ by component and event, um2 and leakage in pJ a cycle by component."""

    energy_pj: Mapping[str, Mapping[Event, float]] = field(default_factory=dict)
    area_um2: Mapping[str, float] = field(default_factory=dict)
    leakage_pj: Mapping[str, float] = field(default_factory=dict)
    origins: tuple[TableFigure, ...] = ()

    def without(self, components: Collection[str]) -> ReferenceFigures:
        """Those of all other components."""
        tables = (self.energy_pj, self.area_um2, self.leakage_pj)
        energy, area, leakage = ({k: v for k, v in t.items() if k not in components} for t in tables)
        kept = tuple(one for one in self.origins if one.key.split(".")[0] not in components)
        return ReferenceFigures(energy, area, leakage, kept)  # type: ignore[arg-type]

    def values(self) -> dict[str, float]:
        """Every figure by its key, for a hash: where they come from does not count."""
        return {origin.key: origin.value for origin in self.origins}


def read_tables(files: Sequence[Path], known: Mapping[str, Sequence[str]]) -> ReferenceFigures:
    """Read the table `files`; `known` has the actions that each component may have.

    Raises ImcsimError, naming file and line, for whatever `read_yaml` refuses, a file that is no table, an
    unknown component or action, a figure that is no number of at least 0, and one that is given twice.
    """
    energy: dict[str, dict[Event, float]] = {}
    area: dict[str, float] = {}
    leakage: dict[str, float] = {}
    origins: dict[str, TableFigure] = {}
    for file in files:
        for component, action, figure in _figures(read_yaml(file), known):
            if figure.key in origins:
                first = origins[figure.key]
                raise ImcsimError(
                    f"{figure.key} is given twice, first in {first.file}:{first.line}",
                    file=file,
                    line=figure.line,
                    fix="keep one of them; an action has one energy here, whatever its arguments",
                )
            origins[figure.key] = figure
            if action is None:
                area[component] = figure.value
            elif action == LEAKAGE:
                leakage[component] = figure.value
            else:
                energy.setdefault(component, {})[Event(action)] = figure.value
    return ReferenceFigures(energy, area, leakage, tuple(origins.values()))


def _figures(
    document: YamlDocument, known: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str | None, TableFigure]]:
    """Component, action (None for an area) and figure of every entry."""
    data = document.data
    if not isinstance(data, dict) or not set(data) & {"ERT", "ART"} or set(data) - {"ERT", "ART"}:
        fix = "its top keys are ERT (energies) and ART (areas)"
        raise document.error((), "this is no reference table", fix=fix)
    for table, path, entry in _entries(document):
        component = _known(document, (*path, "name"), _name(document, path, entry), list(known), "component")
        if table == "ART":
            yield component, None, _figure(document, path, entry, "area", f"{component}.area", "um2")
            continue
        actions = entry.get("actions")
        if not isinstance(actions, list):
            raise document.error(
                (*path, "actions"),
                f"expected a list of actions, got {shown(actions)}",
                fix="write a list of entries with name: and energy:",
            )
        for position, action in enumerate(actions):
            place = (*path, "actions", position)
            wanted = [*known[component], LEAKAGE]
            name = _known(document, (*place, "name"), _name(document, place, action), wanted, "action")
            yield component, name, _figure(document, place, action, "energy", f"{component}.{name}", "pJ")


def _entries(document: YamlDocument) -> Iterator[tuple[str, KeyPath, dict[str, Any]]]:
    for table, content in document.data.items():
        tables = content.get("tables") if isinstance(content, dict) else None
        if not isinstance(tables, list):
            raise document.error(
                (table,), "expected version: and a list of tables:", fix="see docs/components.md"
            )
        for position, entry in enumerate(tables):
            yield table, (table, "tables", position), entry


def _name(document: YamlDocument, path: KeyPath, entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise document.error(
            path, "an entry needs a name", fix="write name: and the name of a component or action"
        )
    return re.sub(r"\[[^\]]*\]", "", name).rsplit(".", 1)[-1]


def _known(document: YamlDocument, path: KeyPath, name: str, known: Sequence[str], what: str) -> str:
    if name in known:
        return name
    fix = suggestion(name, known, f"known here: {', '.join(known)}")
    raise document.error(path, f"unknown {what} {name!r}", fix=fix)


def _figure(
    document: YamlDocument, path: KeyPath, entry: Mapping[str, Any], key: str, name: str, unit: str
) -> TableFigure:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise document.error(
            (*path, key), f"expected a number of at least 0, got {shown(value)}", fix=f"write it in {unit}"
        )
    if value > _LARGEST:
        raise document.error(
            (*path, key),
            f"expected a number of at most {_LARGEST:g}, got {shown(value)}",
            fix=f"is it in {unit}?",
        )
    return TableFigure(name, float(value), unit, document.path.name, document.line((*path, key)))
